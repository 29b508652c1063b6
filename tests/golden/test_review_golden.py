"""Kinds of change, one a commit: exactly the expected findings, on the right lines, in every format."""

from __future__ import annotations

import json
import os
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from mapper_ai.services.review.formats import FORMATS
from mapper_ai.services.review.report import Review
from mapper_ai.services.review.run import review
from mapspec.diff_rules import RULES
from tests.review_changes import KINDS, UNCHANGED, Kind
from tests.review_repo import MAPPING, Repo, make_repo

FILES = Path(__file__).parent / "files"
TODAY = date(2026, 11, 21)


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Repo, dict[str, str]]]:
    """The repository with a commit for each kind, all of them on top of the base; commit by name."""
    repo = make_repo(tmp_path_factory.mktemp("review") / "repo")
    base = repo.git("rev-parse", "HEAD")
    commits: dict[str, str] = {}
    for kind in (*KINDS, *UNCHANGED):
        repo.git("checkout", "--quiet", "-B", kind.name, base)
        kind.apply(repo)
        commits[kind.name] = repo.git("rev-parse", "HEAD")
    yield repo, commits


def reviewed(history: tuple[Repo, dict[str, str]], name: str) -> Review:
    repo, commits = history
    return review(repo.root, "main", head=commits[name], today=TODAY)


def lines_at(history: tuple[Repo, dict[str, str]], name: str) -> list[str]:
    repo, commits = history
    return repo.git("show", f"{commits[name]}:{MAPPING}").splitlines()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_change_gives_exactly_its_findings_on_their_lines(history: tuple[Repo, dict[str, str]], kind: Kind) -> None:
    found = reviewed(history, kind.name).findings
    assert [(row.id, row.part) for row in found] == [(rule, part) for rule, part, _ in kind.found]
    text = lines_at(history, kind.name)
    for row, (_, _, snippet) in zip(found, kind.found, strict=True):
        assert snippet in text[row.line - 1], f"{row.id} points at line {row.line}: {text[row.line - 1]}"
        assert text[row.line - 1][row.column - 1] != " "


@pytest.mark.parametrize("kind", UNCHANGED, ids=lambda kind: kind.name)
def test_what_means_the_same_gives_no_finding_in_any_format(history: tuple[Repo, dict[str, str]], kind: Kind) -> None:
    found = reviewed(history, kind.name)
    assert found.findings == []
    assert found.blocking("medium") == []
    assert json.loads(FORMATS["sarif"](found, "medium"))["runs"][0]["results"] == []
    assert json.loads(FORMATS["gitlab"](found, "medium")) == []
    assert "<failure" not in FORMATS["junit"](found, "medium")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_format_says_what_it_said(history: tuple[Repo, dict[str, str]], kind: Kind) -> None:
    found = reviewed(history, kind.name)
    shown = "".join(f"=== {name}\n{write(found, 'high')}" for name, write in FORMATS.items())
    # Ids of commits say nothing about the formats.
    shown = re.sub(found.head, "HEAD" * 10, shown).replace(found.base, "BASE" * 10)
    shown = shown.replace(found.head[:10], "HEAD").replace(found.base[:10], "BASE")
    golden = FILES / f"review__{kind.name}.txt"
    if os.environ.get("MAPPER_UPDATE_GOLDEN"):
        golden.write_text(shown, encoding="utf-8")
    assert golden.is_file(), f"{golden.name} is missing: make golden"
    assert shown == golden.read_text(encoding="utf-8"), f"{golden.name} differs: read `make golden && git diff`"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_format_has_every_finding(history: tuple[Repo, dict[str, str]], kind: Kind) -> None:
    found = reviewed(history, kind.name)
    wanted = [(row.id, row.path, row.line) for row in found.findings]
    sarif = json.loads(FORMATS["sarif"](found, "high"))["runs"][0]
    results = [row for row in sarif["results"] if "suppressions" not in row]
    places = [row["locations"][0]["physicalLocation"] for row in results]
    assert sorted(wanted) == sorted(
        (row["ruleId"], place["artifactLocation"]["uri"], place["region"]["startLine"])
        for row, place in zip(results, places, strict=True)
    )
    assert [sarif["tool"]["driver"]["rules"][row["ruleIndex"]]["id"] for row in results] == [
        row["ruleId"] for row in results
    ]
    gitlab = json.loads(FORMATS["gitlab"](found, "high"))
    assert wanted == [(row["check_name"], row["location"]["path"], row["location"]["lines"]["begin"]) for row in gitlab]
    assert len({row["fingerprint"] for row in gitlab}) == len(gitlab)
    github = FORMATS["github"](found, "high")
    for row in found.findings:
        command = {"high": "error", "medium": "warning", "low": "notice"}[row.risk]
        title = f"title={row.risk}%3A {row.id}"
        assert f"::{command} file={row.path},line={row.line},col={row.column},{title}::" in github
    suites = ElementTree.fromstring(FORMATS["junit"](found, "high"))  # noqa: S314 # our own text
    failures = {
        str(case.find("failure").get("type")) for case in suites.iter("testcase") if case.find("failure") is not None
    }  # type: ignore[union-attr]
    assert failures <= {row.id for row in found.blocking("high")}
    assert bool(failures) == bool(found.blocking("high"))
    for name in ("markdown", "text"):
        shown = FORMATS[name](found, "high")
        assert all(row.id in shown and f":{row.line}" in shown for row in found.findings)


def test_every_kind_of_the_issue_is_tried() -> None:
    assert len(KINDS) >= 20
    tried = {rule for kind in KINDS for rule, _, _ in kind.found}
    assert tried <= RULES.keys()


def _sarif_schema() -> Any:
    return json.loads((Path(__file__).parents[1] / "data" / "sarif-2.1.0-subset.schema.json").read_text("utf-8"))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_sarif_is_valid(history: tuple[Repo, dict[str, str]], kind: Kind) -> None:
    data = json.loads(FORMATS["sarif"](reviewed(history, kind.name), "high"))
    jsonschema.Draft202012Validator(_sarif_schema()).validate(data)


def test_the_same_change_gives_the_same_text_again(history: tuple[Repo, dict[str, str]]) -> None:
    for write in FORMATS.values():
        texts = {write(reviewed(history, "tax-rate"), "high") for _ in range(2)}
        assert len(texts) == 1
