"""What a spec makes of one record, as JSON data. Pure and light: the preview command loads nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from mapspec import Draft
from mapspec.numbers import plain
from mapspec.ops import Output


def draft_as_data(draft: Draft) -> dict[str, Any]:
    """A draft as JSON data; what an earlier step's answer will bring stands as `{client.id}`."""
    return {
        "record": draft.id,
        "number": draft.number,
        "decision": draft.decision,
        "reasons": [{"id": row.id, "message": row.message, "target": row.target} for row in draft.reasons],
        "warnings": [{"id": row.id, "message": row.message, "target": row.target} for row in draft.warnings],
        "currency": draft.currency,
        "documents": {
            target: [{"key": row.key, "body": plain_data(row.body)} for row in rows]
            for target, rows in draft.documents.items()
        },
        "keys": dict(draft.keys),
        "lookups": [
            {"step": row.step, "entity": row.entity, "field": row.field, "value": row.value, "where": row.where}
            for row in draft.lookups
        ],
    }


def plain_data(value: Any) -> Any:
    """A mapped value as JSON data, exact decimals as texts."""
    if isinstance(value, Output):
        return f"{{{value.step}.{value.member}}}"
    if isinstance(value, Mapping):
        return {key: plain_data(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_data(item) for item in value]
    return plain(value) if isinstance(value, Decimal) else value
