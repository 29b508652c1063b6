"""What an invoice will come to, beside what the order says. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from mapper_ai.services.workspace import Sample
from mapspec.codec import load_spec
from mapspec.engine import CompiledSpec, compile_spec
from mapspec.errors import SpecError
from mapspec.model import MappingSpec


@dataclass(frozen=True)
class Totals:
    """Of one sample, as text with its digits.

    Attributes:
        order: What the source says; "" where it says nothing.
        predicted: What FreshBooks will make of the lines; a range when its rounding decides; "" without lines.
        difference: Nearest prediction minus order; "" without one of both, "0" when a prediction agrees.
    """

    order: str = ""
    predicted: str = ""
    difference: str = ""
    currency: str = ""


def totals_of(text: str, samples: Sequence[Sample]) -> dict[str, Totals]:
    """Totals by sample name; empty for a draft that does not compile or has no money block.

    Args:
        text: The draft's YAML.
    """
    try:
        compiled = compile_spec(load_spec(text))
    except SpecError:
        return {}
    member = _total_member(compiled.spec)
    if member is None:
        return {}
    return {sample.name: _totals(compiled, member, sample.record) for sample in samples}


def _totals(compiled: CompiledSpec, member: str, record: Mapping[str, Any]) -> Totals:
    draft = compiled.apply(record)
    stated = _stated(record, member)
    if draft.priced is None:
        return Totals(order=stated, currency=draft.currency or "")
    total = draft.priced.total
    predictions = sorted(set(draft.priced.predicted.values()))
    nearest = min(predictions, key=lambda amount: abs(amount - total))
    shown = f"{predictions[0]:f}" if len(predictions) == 1 else f"{predictions[0]:f} to {predictions[-1]:f}"
    if nearest == total and len(predictions) > 1:
        shown = f"{nearest:f}"
    return Totals(
        order=stated or f"{total:f}",
        predicted=shown,
        difference="0" if nearest == total else f"{nearest - total:+f}",
        currency=draft.currency or "",
    )


def _total_member(spec: MappingSpec) -> str | None:
    for block in spec.blocks().values():
        if block.money is not None:
            return block.money.total.text.removeprefix("$.")
    return None


def _stated(record: Mapping[str, Any], path: str) -> str:
    value: Any = record
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    if isinstance(value, Decimal):
        return f"{value:f}"
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
