"""The comment: nothing in it is taken for markup, and it always fits."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree

import pytest

from mapper_ai.services.review.formats import FORMATS
from mapper_ai.services.review.markdown import MARKER, MAX_BYTES, code, escaped
from mapper_ai.services.review.report import (
    Coverage,
    Effects,
    Example,
    Finding,
    PartEffect,
    RequestChange,
    Review,
    SpecReview,
)

HOSTILE = (
    "</details><script>alert(1)</script>",
    "<!-- mapper-review -->",
    "| a | b |\n| --- | --- |",
    "`` ` ```",
    "\\| \\\\| \\",
    "@everyone #1 https://evil.example [x](javascript:1) ![y](z)",
    "**bold** _it_ ~gone~ $x$",
    "\u202eright to left \x00\x1b[31m \ud800 \u2028",
    "::error file=x::%0Ainjected",
    "a" * 5000,
)


def finding(text: str, number: int = 1) -> Finding:
    return Finding(
        "source-changed", "medium", "acme/x", text or "p", text, "mappings/x.yaml", number, 1,
        before=text, after=text, approved=text, origin=text, effect=text,
    )  # fmt: skip


def review(texts: tuple[str, ...], specs: int = 1, findings: int = 1) -> Review:
    rows = tuple(finding(text, number + 1) for text in texts for number in range(findings))
    effects = Effects(
        samples=5,
        parts={text: PartEffect(text, 1, (Example(text, text, text),)) for text in texts},
        requests=tuple(RequestChange(text, text, 1, "", "abc") for text in texts),
    )
    made = [
        SpecReview(
            f"acme/x{n}", f"mappings/x{n}.yaml", "changed", renames=texts, counts={"changed": 1},
            after=Coverage(parts=1), effects=effects, findings=rows, suppressed=rows[:1], parts=texts,
        )
        for n in range(specs)
    ]  # fmt: skip
    return Review("b" * 40, "h" * 40, tuple(made), notices=texts)


def cells(row: str) -> int:
    """Cells of a table row, as GitHub counts them: a backslash and what follows it are one sign."""
    return len(re.sub(r"\\.", "", row).strip("|").split("|"))


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_in_a_comment_is_markup(text: str) -> None:
    shown = FORMATS["markdown"](review((text,)), "high")
    assert shown.startswith(MARKER)
    tables = [row for row in shown.splitlines() if row.startswith("| ")]
    assert {cells(row) for row in tables if "source-changed" in row} == {7}
    outside = re.sub(r"(`+)(?:(?!\1).)+?\1(?!`)", "", shown)  # code spans show what they hold as it is
    assert outside.count("<!--") == 1
    assert "<script" not in outside and "](javascript" not in outside and "@everyone" not in outside
    assert "https://evil" not in outside
    assert outside.count("<details>") == outside.count("</details>")
    assert not re.search("[\x00-\x09\x0b-\x1f\u202a-\u202e\ud800-\udfff]", shown)


@pytest.mark.parametrize("text", HOSTILE)
def test_other_formats_hold_such_texts_too(text: str) -> None:
    found = review((text,))
    ElementTree.fromstring(FORMATS["junit"](found, "medium").encode("utf-8", "surrogatepass"))  # noqa: S314
    for name in ("json", "sarif", "gitlab"):
        json.loads(FORMATS[name](found, "medium"))
    commands = FORMATS["github"](found, "medium").removesuffix("\n").split("\n")
    assert all(
        row.startswith(("::warning file=mappings/x.yaml,", "::notice title=mapper review::")) for row in commands
    )
    assert len(commands) == 2


def test_a_comment_always_fits_and_says_what_it_leaves_out() -> None:
    for specs, findings in ((1, 400), (30, 40), (300, 3)):
        shown = FORMATS["markdown"](review(("x" * 250, "€" * 250), specs, findings), "high")
        assert len(shown.encode()) <= MAX_BYTES
        assert "more" in shown or "cut here" in shown
        assert shown.rstrip().endswith("</sub>")


def test_annotations_are_limited_and_the_rest_is_counted() -> None:
    commands = FORMATS["github"](review(("a", "b"), findings=20), "medium").splitlines()
    assert sum(row.startswith("::warning") for row in commands) == 10
    assert "30 of them not shown beside lines" in commands[-1]


def test_a_code_span_shows_its_text() -> None:
    assert code("a `b` c") == "``a `b` c``"
    assert code("a|b") == "`a\\|b`"
    assert escaped("<b>") == "&#60;b&#62;"
