"""A draft over all its samples: which field and check passes on which, what would be sent, what differs. Pure."""

from __future__ import annotations

import difflib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Literal

from mapper_ai.services.draft_data import plain_data
from mapper_ai.services.drafts import Sample, compiled, parsed
from mapper_ai.services.words_checks import checks_in_words
from mapspec import CompiledSpec, Draft, MappingSpec, Reason, SpecError
from mapspec.model import FieldRule
from mapspec.paths import get_at
from sync.errors import SyncError
from sync.outcome import EndedError
from sync.plan import plan_actions

State = Literal["pass", "empty", "warn", "fail", "not reached"]
STATES: Final[tuple[State, ...]] = ("fail", "warn", "pass", "empty", "not reached")
COLOURS: Final[Mapping[State, str]] = {
    "fail": "#c5283d",
    "warn": "#d08700",
    "pass": "#2e8540",
    "empty": "#9fb8a5",
    "not reached": "#c3c7cd",
}


@dataclass(frozen=True)
class Line:
    """One field or check over all samples.

    Attributes:
        name: A part of the mapping, "assertion NAME", or what a reason is called that belongs to no part.
        must: Its checks in words.
        states: One a sample, in their order.
        first: The first failure or warning, with its sample; "" without one.
    """

    name: str
    must: str
    states: tuple[State, ...]
    first: str = ""

    def count(self, state: State) -> int:
        """On how many samples it is so."""
        return self.states.count(state)


@dataclass(frozen=True)
class Planned:
    """One call that the flow would make for a sample."""

    sample: str
    do: str
    entity: str
    key: str
    total: Decimal | None
    currency: str | None
    body: Any


@dataclass(frozen=True)
class SampleRun:
    """A draft over its samples.

    Attributes:
        lines: Failures first, then in the mapping's order.
        planned: Of the samples that go through.
        error: Why the draft does not compile; nothing else then.
    """

    samples: tuple[str, ...] = ()
    lines: tuple[Line, ...] = ()
    planned: tuple[Planned, ...] = ()
    error: str = ""

    @property
    def failed(self) -> int:
        """How many fields and checks fail on a sample."""
        return sum(bool(line.count("fail")) for line in self.lines)


def run_samples(text: str, samples: Sequence[Sample]) -> SampleRun:
    """Try a draft on all samples; never raises for what they hold.

    Args:
        text: The draft's YAML.
    """
    try:
        spec = compiled(text)
    except SpecError as error:
        return SampleRun(error=error.message)
    drafts = [(sample, spec.apply(sample.record)) for sample in samples]
    names = [*parsed(text).rules(), *(f"assertion {rule.id}" for rule in parsed(text).assertions)]
    told = [_told(spec.spec, draft) for _, draft in drafts]
    for found in told:
        names += [name for name in found if name not in names]
    lines = [_line(spec, name, drafts, told) for name in names]
    lines.sort(key=lambda line: (-line.count("fail"), -line.count("warn")))
    planned = [call for sample, draft in drafts for call in _planned(spec.spec, sample.name, draft)]
    return SampleRun(tuple(sample.name for sample in samples), tuple(lines), tuple(planned))


def _told(spec: MappingSpec, draft: Draft) -> dict[str, tuple[State, str]]:
    """What is wrong with a draft, by the line it belongs to; the graver one counts."""
    found: dict[str, tuple[State, str]] = {}
    for reason in draft.warnings:
        found.setdefault(_name_of(spec, reason), ("warn", reason.message))
    if draft.decision == "hold":
        for reason in reversed(draft.reasons):
            found[_name_of(spec, reason)] = ("fail", reason.message)
    return found


def _name_of(spec: MappingSpec, reason: Reason) -> str:
    if reason.target:
        return reason.target
    for rule in spec.assertions:
        if reason.id == rule.id or reason.message.startswith(f"{rule.id}: "):
            return f"assertion {rule.id}"
    return reason.id


def _line(
    spec: CompiledSpec,
    name: str,
    drafts: Sequence[tuple[Sample, Draft]],
    told: Sequence[Mapping[str, tuple[State, str]]],
) -> Line:
    states = tuple(_state(name, draft, found) for (_, draft), found in zip(drafts, told, strict=True))
    wrong = [
        (found[name][0] != "fail", f"{sample.name}: {found[name][1]}")
        for (sample, _), found in zip(drafts, told, strict=True)
        if name in found
    ]
    return Line(name, _must(spec.spec, name), states, min(wrong, key=lambda one: one[0])[1] if wrong else "")


def _state(name: str, draft: Draft, told: Mapping[str, tuple[State, str]]) -> State:
    if draft.decision in ("skip", "wait"):
        return "not reached"
    if name in told:
        return told[name][0]
    target, _, member = name.partition(".")
    if name.startswith(("assertion ", "values.")) or not member:
        return "pass"
    bodies = [document.body for document in draft.documents.get(target, ())]
    return "pass" if any(_has(body, member) for body in bodies) else "empty"


def _has(body: Mapping[str, Any], member: str) -> bool:
    head, inside, last = member.partition("[]")
    if not inside:
        return get_at(body, member) is not None
    rows = get_at(body, head) or []
    return any(get_at(row, last.lstrip(".")) is not None for row in rows) if last else bool(rows)


def _must(spec: MappingSpec, name: str) -> str:
    rule = spec.rules().get(name)
    if isinstance(rule, FieldRule):
        return " and ".join(filter(None, ["present" if rule.required else "", checks_in_words(rule.check)]))
    return next((one.message for one in spec.assertions if name == f"assertion {one.id}"), "")


def _planned(spec: MappingSpec, sample: str, draft: Draft) -> list[Planned]:
    if draft.decision != "go":
        return []
    try:
        actions = plan_actions(spec, draft)
    except (EndedError, SyncError):
        return []
    return [
        Planned(
            sample,
            action.kind,
            action.entity,
            action.key or ", ".join(lookup.value for lookup in action.lookups),
            action.total,
            action.currency,
            None if action.body is None else plain_data(action.body),
        )
        for action in actions
    ]


def sums_of(planned: Sequence[Planned]) -> list[tuple[str, int, dict[str, Decimal]]]:
    """What is done to which kind of record, how often, and the sums by currency."""
    counts = Counter((call.do, call.entity) for call in planned)
    sums: dict[tuple[str, str], dict[str, Decimal]] = {}
    for call in planned:
        if call.total is not None and call.currency:
            of = sums.setdefault((call.do, call.entity), {})
            of[call.currency] = of.get(call.currency, Decimal(0)) + call.total
    return [(f"{do.replace('_', ' ')}: {entity}", n, sums.get((do, entity), {})) for (do, entity), n in counts.items()]


def difference(before: str, after: str, record: Mapping[str, Any]) -> str:
    """A record's documents by two mappings, line by line; "" where they are the same.

    Args:
        before: YAML of the one that is saved, "" for none.
        after: Of the draft.
    """
    one, other = _documents(before, record) if before else "", _documents(after, record)
    lines = difflib.unified_diff(one.splitlines(), other.splitlines(), "saved", "draft", lineterm="", n=3)
    return "\n".join(lines)


def _documents(text: str, record: Mapping[str, Any]) -> str:
    try:
        draft = compiled(text).apply(record)
    except SpecError as error:
        return error.message
    shown: dict[str, Any] = {"decision": draft.decision}
    for target, rows in draft.documents.items():
        shown[target] = [plain_data(row.body) for row in rows]
    return json.dumps(shown, ensure_ascii=False, indent=2, default=str)


def matrix_chart(tested: SampleRun, *, most: int) -> dict[str, Any]:
    """Vega-Lite: a cell for each field or check and sample, failures on top."""
    lines = tested.lines[:most]
    cells = [
        {"field": line.name, "sample": sample, "state": state}
        for line in lines
        for sample, state in zip(tested.samples, line.states, strict=True)
    ]
    return {
        "data": {"values": cells},
        "mark": {"type": "rect", "tooltip": True, "stroke": "white", "strokeWidth": 1},
        "encoding": {
            "x": {
                "field": "sample",
                "type": "nominal",
                "title": None,
                "sort": list(tested.samples),
                "axis": {"labelAngle": -60, "labelLimit": 110},
            },
            "y": {
                "field": "field",
                "type": "nominal",
                "title": None,
                "sort": [line.name for line in lines],
                "axis": {"labelLimit": 260, "labelOverlap": False},
            },
            "color": {
                "field": "state",
                "type": "nominal",
                "title": None,
                "scale": {"domain": list(STATES), "range": [COLOURS[state] for state in STATES]},
                "legend": {"orient": "top"},
            },
        },
        "height": {"step": 17},
    }
