"""docs/accounting.md: every pitfall has a row, every test it names is there, every fixture is run and explained."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "accounting.md").read_text("utf-8")
FIXTURES = ROOT / "fixtures" / "books"


def test_every_pitfall_has_a_row_with_a_decision_and_a_test() -> None:
    rows = [line for line in PAGE.splitlines() if re.match(r"\| \d+ \|", line)]
    assert [int(row.split("|")[1]) for row in rows] == list(range(1, 26))
    for row in PAGE.splitlines():
        if row.startswith("|") and not row.startswith(("| |", "| theme", "| ---")):
            cells = [cell.strip() for cell in row.strip("|").split("|")]
            assert all(cells), row
            assert "`test_" in cells[-1], row


def test_the_tests_it_names_exist() -> None:
    written = "\n".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    for name in sorted(set(re.findall(r"`(test_\w+)`", PAGE))):
        assert f"def {name}(" in written, name


def test_every_fixture_is_named_on_the_page_and_in_its_sources() -> None:
    sources = (FIXTURES / "SOURCES.md").read_text("utf-8")
    for path in FIXTURES.glob("*.json"):
        assert path.name in sources
        assert f"`{path.stem.removeprefix('order__')}`" in PAGE, path.name
