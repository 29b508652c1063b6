"""Fields that point at other records: ids of the same thing, and the natural keys by which it is looked up."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mapper_ai.core.names import FieldMeaning
from mapper_ai.core.signals import Matrix, Side

_KEY_WORDS = frozenset({"id", "number", "reference", "external_id", "uuid"})
# What is pointed at -> concepts that name one of its kind across systems.
_NATURAL_KEYS: Mapping[str, frozenset[str]] = {
    "customer": frozenset({"email", "vat_number"}),
    "product": frozenset({"sku", "barcode"}),
    "tax_code": frozenset({"tax_rate", "tax_name", "tax_code"}),
    "payment_method": frozenset({"payment_method", "card_type"}),
    "currency": frozenset({"currency"}),
    "ship_method": frozenset({"ship_method"}),
    "warehouse": frozenset({"warehouse"}),
    "salesperson": frozenset({"salesperson"}),
    "category": frozenset({"category"}),
}


def reference_signal(source: Side, target: Side) -> Matrix:
    """Ids to ids of the same thing: 1 both refer to the same subject, -1 only one of the two is an id, else 0."""
    left, right = [_subject(m) for m in source.meanings], [_subject(m) for m in target.meanings]
    subjects = sorted({s for s in (*left, *right) if s})
    index = {name: position + 1 for position, name in enumerate(subjects)}
    a = np.array([index.get(s or "", 0) for s in left])[:, None]
    b = np.array([index.get(s or "", 0) for s in right])[None, :]
    both, one = (a > 0) & (b > 0), (a > 0) ^ (b > 0)
    result: Matrix = np.where(both, np.where(a == b, 1.0, -0.7), np.where(one, -0.5, 0.0)).astype(np.float32)
    return result


def _subject(meaning: FieldMeaning) -> str:
    """What an id or number points at; "" when the field is none."""
    concepts = [name for name, _ in meaning.leaf]
    if not {"id", "number", "reference", "external_id"} & set(concepts):
        return ""
    named = [name for name in concepts if name not in {"id", "number", "reference", "external_id"}]
    return named[0] if named else (meaning.scope or "?")


def natural_key_signal(source: Side, target: Side) -> Matrix:
    """1 where the target is the id of another record and the source names that record across systems, else 0."""
    wanted = [lookup_of(meaning) for meaning in target.meanings]
    kinds = sorted(_NATURAL_KEYS)
    names = [{name for name, weight in meaning.leaf if weight > 0.6} for meaning in source.meanings]
    left = np.array([[bool(concepts & _NATURAL_KEYS[kind]) for kind in kinds] for concepts in names])
    right = np.array([[kind == subject for kind in kinds] for subject in wanted])
    result: Matrix = (left.astype(np.float32) @ right.T.astype(np.float32)).astype(np.float32)
    return result


def lookup_of(meaning: FieldMeaning) -> str:
    """The kind of record a reference field points at; "" for the record's own id and for fields that are none.

    The id of another system is never the id of this one: what feeds such a field is looked up.
    """
    if meaning.own_id:
        return ""
    concepts = [name for name, _ in meaning.leaf]
    if not {"id", "uuid"} & set(concepts):
        return ""
    return next((name for name in concepts if name in _NATURAL_KEYS), "")
