"""The review for machines of others: SARIF 2.1.0, GitHub annotations, GitLab code quality, JUnit."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr

from mapper_ai.services.review.report import FailOn, Finding, Review, SpecReview
from mapspec.diff_rules import RULES

SARIF_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS: Final = {"high": "error", "medium": "warning", "low": "note"}
_COMMANDS: Final = {"high": "error", "medium": "warning", "low": "notice"}
# GitHub shows ten of a kind from one step and drops the rest without a word.
MAX_ANNOTATIONS: Final = 10
_SEVERITIES: Final = {"high": "critical", "medium": "major", "low": "minor"}
_UNPRINTED: Final = re.compile("[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def as_sarif(review: Review, fail_on: FailOn = "high") -> str:
    """SARIF 2.1.0 with one run and the rules that found something. What a mapping leaves out is a suppressed result."""
    used = {row.id for spec in review.specs for row in (*spec.findings, *spec.suppressed)}
    rules = [rule for rule in RULES.values() if rule.id in used]
    places = {rule.id: place for place, rule in enumerate(rules)}
    results = [_result(row, places[row.id]) for spec in review.specs for row in (*spec.findings, *spec.suppressed)]
    driver = {
        "name": "mapper-review",
        "version": _version(),
        "rules": [
            {
                "id": rule.id,
                "name": "".join(word.capitalize() for word in rule.id.split("-")),
                "shortDescription": {"text": rule.why},
                "defaultConfiguration": {"level": _LEVELS[rule.risk]},
                "properties": {"risk": rule.risk},
            }
            for rule in rules
        ],
    }
    run = {
        "tool": {"driver": driver},
        "automationDetails": {"id": "mapper-review/"},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {"%SRCROOT%": {"description": {"text": "The root of the repository."}}},
        "invocations": [
            {
                "executionSuccessful": True,
                "toolExecutionNotifications": [
                    {"level": "note", "message": {"text": notice}} for notice in review.notices
                ],
            }
        ],
        "properties": {"base": review.base, "head": review.head, "failOn": fail_on},
        "results": results,
    }
    data = {"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(data, ensure_ascii=False, indent=2) + "\n"


def _result(row: Finding, place: int) -> dict[str, Any]:
    text = f"{row.part}: {row.change}" + (f". {row.effect}" if row.effect else "")
    made: dict[str, Any] = {
        "ruleId": row.id,
        "ruleIndex": place,
        "level": _LEVELS[row.risk],
        "message": {"text": text},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {
                        "uri": quote(row.path.encode("utf-8", "surrogateescape")),
                        "uriBaseId": "%SRCROOT%",
                    },
                    "region": {"startLine": row.line, "startColumn": row.column},
                },
                "logicalLocations": [{"fullyQualifiedName": f"{row.spec}:{row.part}", "kind": "member"}],
            }
        ],
        "partialFingerprints": {"mapperReview/v1": row.fingerprint},
        "properties": {"risk": row.risk, "approved": row.approved, "samples": row.effect},
    }
    if row.suppressed:
        made["suppressions"] = [{"kind": "inSource", "status": "accepted", "justification": row.suppressed}]
    return made


def as_github(review: Review, fail_on: FailOn = "high") -> str:
    """Workflow commands that annotate lines; at most ten of a kind, the rest is counted."""
    return "\n".join(_commands(review, fail_on)) + "\n"


def _commands(review: Review, fail_on: FailOn) -> Iterator[str]:
    left = 0
    for risk, command in _COMMANDS.items():
        rows = [row for row in review.findings if row.risk == risk]
        room = MAX_ANNOTATIONS - (command == "notice")
        left += max(0, len(rows) - room)
        for row in rows[:room]:
            text = f"{row.part}: {row.change}" + (f"\n{row.effect}" if row.effect else "")
            place = f"file={_property(row.path)},line={row.line},col={row.column}"
            yield f"::{command} {place},title={_property(f'{row.risk}: {row.id}')}::{_data(text)}"
    stopping = len(review.blocking(fail_on))
    more = f", {left} of them not shown beside lines" if left else ""
    changed = sum(spec.state != "same" for spec in review.specs)
    text = f"{len(review.findings)} finding(s) in {changed} changed mapping(s), {stopping} blocking{more}"
    yield f"::notice title=mapper review::{_data(text)}"


def _data(text: str) -> str:
    text = _UNPRINTED.sub(" ", text)
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def as_gitlab(review: Review, fail_on: FailOn = "high") -> str:
    """A code quality report; what blocks is a blocker."""
    blocking = {id(row) for row in review.blocking(fail_on)}
    seen: set[str] = set()
    rows = []
    for row in review.findings:
        # GitLab shows one of those that share a fingerprint.
        mark, number = row.fingerprint, 1
        while mark in seen:
            number += 1
            mark = f"{row.fingerprint}-{number}"
        seen.add(mark)
        text = f"{row.part}: {row.change}" + (f" ({row.effect})" if row.effect else "")
        rows.append(
            {
                "description": text,
                "check_name": row.id,
                "fingerprint": mark,
                "severity": "blocker" if id(row) in blocking else _SEVERITIES[row.risk],
                "location": {"path": row.path, "lines": {"begin": row.line}},
            }
        )
    return json.dumps(rows, ensure_ascii=False, indent=2) + "\n"


def as_junit(review: Review, fail_on: FailOn = "high") -> str:
    """One suite a mapping, one case a part and assertion; what blocks is a failure, the rest is output."""
    blocking = {id(row) for row in review.blocking(fail_on)}
    suites = [_suite(spec, blocking) for spec in review.specs]
    tests, failures = sum(suite[0] for suite in suites), sum(suite[1] for suite in suites)
    rows = "\n".join(suite[2] for suite in suites)
    head = f'<testsuites name="mapper review" tests="{tests}" failures="{failures}" errors="0">'
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{head}\n{rows}\n</testsuites>\n'


def _suite(spec: SpecReview, blocking: set[int]) -> tuple[int, int, str]:
    found: dict[str, list[Finding]] = {part: [] for part in spec.parts}
    for row in spec.findings:
        assertion = f"assertion {row.name}"
        found.setdefault(assertion if assertion in found else row.part, []).append(row)
    cases = [_case(spec, part, rows, blocking) for part, rows in found.items()]
    failed = sum("<failure" in case for case in cases)
    head = f'<testsuite name={_quoted(spec.spec)} tests="{len(cases)}" failures="{failed}" errors="0" skipped="0">'
    return len(cases), failed, "\n".join([f"  {head}", *cases, "  </testsuite>"])


def _case(spec: SpecReview, part: str, rows: Iterable[Finding], blocking: set[int]) -> str:
    rows = list(rows)
    line = rows[0].line if rows else 1
    head = f'    <testcase classname={_quoted(spec.spec)} name={_quoted(part)} file={_quoted(spec.path)} line="{line}"'
    if not rows:
        return head + "/>"
    stopping = [row for row in rows if id(row) in blocking]
    body = []
    if stopping:
        text = "\n".join(_told(row) for row in stopping)
        body.append(
            f"<failure type={_quoted(stopping[0].id)} message={_quoted(stopping[0].message)}>{_xml(text)}</failure>"
        )
    others = "\n".join(_told(row) for row in rows if id(row) not in blocking)
    if others:
        body.append(f"<system-out>{_xml(others)}</system-out>")
    return f"{head}>{''.join(body)}</testcase>"


def _told(row: Finding) -> str:
    return f"{row.path}:{row.line}: {row.risk} {row.id}: {row.change}" + (f" ({row.effect})" if row.effect else "")


def _xml(text: str) -> str:
    return escape(_NOT_XML.sub("\ufffd", text))


def _quoted(text: str) -> str:
    return quoteattr(_NOT_XML.sub("\ufffd", text))


def _version() -> str:
    try:
        return version("mapper-ai")
    except PackageNotFoundError:
        return "0"
