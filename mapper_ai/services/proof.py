"""Runs a spec on samples to see which parts fail, gate and record checks aside. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mapspec import Draft, MappingSpec, SpecError, compile_spec


@dataclass(frozen=True)
class Failure:
    """What went wrong with one part.

    Attributes:
        count: Samples it failed on.
        tried: Samples it was tried on.
        message: Of the first failure; names expectation and shape, never a customer's value.
    """

    count: int
    tried: int
    message: str


def failures(spec: MappingSpec, records: Sequence[Mapping[str, Any]]) -> dict[str, Failure]:
    """Parts that fail on samples; "" for a spec that does not compile.

    The gate is left aside, so that a part is tried on cancelled orders too; it has to work on what is let through,
    and a value that fits there and fails elsewhere is worth a look.
    """
    open_spec = spec.model_copy(update={"gate": (), "assertions": ()})
    try:
        compiled = compile_spec(open_spec)
    except (SpecError, ValueError) as error:
        return {"": Failure(len(records), len(records), getattr(error, "message", str(error)))}
    return failed_parts([compiled.apply(record) for record in records])


def failed_parts(drafts: Sequence[Draft]) -> dict[str, Failure]:
    """As `failures`, of samples that a spec without gate and record checks was tried on before."""
    counts: dict[str, int] = {}
    first: dict[str, str] = {}
    for draft in drafts:
        for part in {row.target for row in (*draft.reasons, *draft.warnings) if row.target}:
            counts[part] = counts.get(part, 0) + 1
        for row in (*draft.reasons, *draft.warnings):
            if row.target:
                first.setdefault(row.target, row.message)
    return {part: Failure(count, len(drafts), first[part]) for part, count in counts.items()}
