"""What a draft of a mapping makes of samples, as rows for a person. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mapper_ai.services.draft_data import plain_data
from mapper_ai.services.drafts import compiled, parsed
from mapper_ai.services.sources import part_sources, read_at
from mapspec import CompiledSpec, Draft, SpecError, TransformError
from mapspec.fingerprint import FLOW
from mapspec.ops import NOT_LOOKED_UP
from mapspec.paths import get_at
from mapspec.wire import wire


@dataclass(frozen=True)
class PreviewRow:
    """What the draft makes of one sample.

    Attributes:
        decision: go, skip, wait or hold; `error` where the draft does not compile.
        reasons: Why it does not go, then warnings, in words; with a part, only what concerns that part. What only the
            other system knows is such a warning.
        documents: Target name -> list of bodies; what a later answer brings stands as `{client.id}`. Empty when a part
            is asked for.
        before: Source path -> value of the part asked for; empty when none is.
        after: Value of the part asked for, a list for list members; the documents when none is asked for.
        failed: The sample is held, or the part asked for has no value because of an error.
    """

    sample: str
    decision: str
    reasons: tuple[str, ...]
    documents: dict[str, Any]
    before: dict[str, Any]
    after: Any
    failed: bool = False


@dataclass(frozen=True)
class Tried:
    """A sample and what a draft makes of it: as it is, and with the gate and the record checks left aside."""

    sample: str
    record: Mapping[str, Any]
    draft: Draft
    opened: Draft


def tried_on(text: str, samples: Sequence[tuple[str, Mapping[str, Any]]]) -> list[Tried]:
    """Every sample through a draft.

    Raises:
        SpecError: The draft does not compile.
    """
    spec, opened = compiled(text), compiled(text, open_gate=True)
    return [Tried(name, record, spec.apply(record), opened.apply(record)) for name, record in samples]


def preview_rows(
    text: str,
    samples: Sequence[tuple[str, Mapping[str, Any]]],
    *,
    part: str | None = None,
    tried: Sequence[Tried] | None = None,
) -> list[PreviewRow]:
    """Rows for all samples, failures first, otherwise in the order given. `tried`: the samples, tried before."""
    try:
        found = tried_on(text, samples) if tried is None else tried
        opened = compiled(text, open_gate=True)
    except SpecError as error:
        return [PreviewRow(name, "error", (error.message,), {}, {}, None, failed=True) for name, _ in samples]
    paths = part_sources(parsed(text), part) if part and part != FLOW else ()
    return sorted((_row(row, opened, part, paths) for row in found), key=lambda row: not row.failed)


def part_values(opened: CompiledSpec, tried: Tried, parts: Sequence[str]) -> dict[str, Any]:
    """What a sample gives for each part, the flow aside; what is absent or fails is left out."""
    found = {part: _after(part, tried.record, opened, tried.opened)[0] for part in parts if part != FLOW}
    return {part: value for part, value in found.items() if value is not None}


def _row(tried: Tried, opened: CompiledSpec, part: str | None, paths: tuple[str, ...]) -> PreviewRow:
    name, record, draft, shown = tried.sample, tried.record, tried.draft, tried.opened
    if part is None or part == FLOW:
        documents = {target: [plain_data(row.body) for row in rows] for target, rows in draft.documents.items()}
        reasons = tuple(row.message for row in (*draft.reasons, *draft.warnings))
        return PreviewRow(name, draft.decision, reasons, documents, {}, documents, failed=draft.decision == "hold")
    # A record that the gate stops has a value for the part all the same.
    concerned = {part, part[: part.index("[]") + 2]} if "[]." in part else {part}
    told = [row for row in (*shown.reasons, *shown.warnings) if row.target in concerned]
    reasons = tuple(row.message for row in told)
    failed = any(row.id != NOT_LOOKED_UP for row in told)
    after, problem = _after(part, record, opened, shown)
    if problem:
        reasons, failed = (problem, *reasons), True
    before = {path: plain_data(read_at(record, path)) for path in paths}
    return PreviewRow(name, draft.decision, reasons, {}, before, after, failed=failed)


def _after(part: str, record: Mapping[str, Any], spec: CompiledSpec, draft: Draft) -> tuple[Any, str]:
    if part.startswith("values."):
        try:
            return plain_data(wire(spec.value(part, record))), ""
        except (TransformError, KeyError) as error:
            return None, getattr(error, "message", "there is no such value")
    target, _, member = part.partition(".")
    bodies = [row.body for row in draft.documents.get(target, ())]
    found = [_member(body, member) for body in bodies]
    if any(step.target == target and step.each for step in spec.spec.flow):
        return plain_data(found), ""
    return plain_data(found[0]) if found else None, ""


def _member(body: Mapping[str, Any], member: str) -> Any:
    head, inside, last = member.partition("[]")
    if not inside:
        return get_at(body, member)
    rows = get_at(body, head) or []
    return [get_at(row, last.lstrip(".")) for row in rows] if last else rows
