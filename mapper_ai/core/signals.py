"""Evidence for field pairs: one matrix (source x target) a signal.

Every signal is a float32 matrix. Names, text, format, values and structure lie in [0, 1] or [-1, 1]; 0 stands for
"says nothing" or "speaks for nothing", so that a weight of a scorer is the most a signal can add.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mapper_ai.core.fields import FieldProfile
from mapper_ai.core.formats import FORMATS, nearness
from mapper_ai.core.names import FieldMeaning
from mapper_ai.core.vocabulary import Vocabulary

Matrix = npt.NDArray[np.float32]

SIGNALS: tuple[str, ...] = (
    "name",
    "path",
    "head",
    "spelling",
    "text",
    "format",
    "clash",
    "values",
    "shape",
    "side",
    "scope",
    "reference",
    "natural_key",
    "number",
    "technical",
    "target_prior",
    "assigned",
    "source_prior",
    "structure",
)


@dataclass(frozen=True)
class Side:
    """One end of a mapping as the signals need it: fields and the readings of their names.

    Attributes:
        fields: In profile order.
        meanings: One a field.
        variants: (field index, reading) of every name of a field: its own first, then its aliases.
        texts: Name, path and description of each field, for TF-IDF.
    """

    fields: Sequence[FieldProfile]
    meanings: Sequence[FieldMeaning]
    variants: Sequence[tuple[int, FieldMeaning]]
    texts: Sequence[str]


def format_signal(source: Side, target: Side) -> Matrix:
    """Expected nearness of a source value's format to a target value's, in [-1, 1]; 0 when a side is empty."""
    table = np.array([[nearness(a, b) for b in FORMATS] for a in FORMATS], dtype=np.float32)
    left, right = _format_shares(source.fields), _format_shares(target.fields)
    result: Matrix = (left @ (table * 2.0 - 1.0) @ right.T).astype(np.float32)
    return result


def clash_signal(source: Side, target: Side) -> Matrix:
    """-1 where the formats rule each other out (a date for a flag), 0 otherwise."""
    table = np.array([[nearness(a, b) < 0.1 for b in FORMATS] for a in FORMATS], dtype=np.float32)
    clash: Matrix = (_format_shares(source.fields) @ table @ _format_shares(target.fields).T).astype(np.float32)
    return -clash


def _format_shares(fields: Sequence[FieldProfile]) -> Matrix:
    index = {name: position for position, name in enumerate(FORMATS)}
    rows = np.zeros((len(fields), len(FORMATS)), dtype=np.float32)
    for number, entry in enumerate(fields):
        if not entry.formats:
            rows[number, index["empty"]] = 1.0
        for name, share in entry.formats.items():
            rows[number, index[name]] = share
    return rows


def values_signal(source: Side, target: Side) -> Matrix:
    """Shared values: containment of the smaller set in the larger, rare values counting more, in [0, 1].

    Flags and short numbers are left out: 0, 1 and true occur everywhere.
    """
    from scipy.sparse import csr_matrix

    sets = [_telling_values(entry) for entry in (*source.fields, *target.fields)]
    known = {value: position for position, value in enumerate(sorted(set().union(*sets) if sets else set()))}
    shape = (len(source.fields), len(target.fields))
    if not known:
        return np.zeros(shape, dtype=np.float32)
    rows = [number for number, values in enumerate(sets) for _ in values]
    columns = [known[value] for values in sets for value in sorted(values)]
    counts = np.bincount(np.array(columns), minlength=len(known))
    weights = 1.0 / np.sqrt(counts.astype(np.float32))
    matrix = csr_matrix((weights[columns], (rows, columns)), shape=(len(sets), len(known)), dtype=np.float32)
    cut = len(source.fields)
    shared = np.asarray((matrix[:cut] @ matrix[cut:].T).todense(), dtype=np.float32)
    sizes = np.asarray(matrix.multiply(matrix).sum(axis=1), dtype=np.float32).ravel()
    smaller = np.minimum(sizes[:cut, None], sizes[None, cut:])
    # A set of one or two values agrees by chance; the 1.0 asks for more.
    result: Matrix = np.divide(shared, smaller + 1.0, out=np.zeros_like(shared), where=smaller > 0)
    return np.minimum(result, 1.0)


def _telling_values(entry: FieldProfile) -> frozenset[str]:
    if entry.format in {"bool", "empty"}:
        return frozenset()
    return frozenset(value.casefold() for value in entry.values if len(value) > 2 or not value.lstrip("-").isdigit())


def shape_signal(source: Side, target: Side) -> Matrix:
    """Likeness of length, character classes, size of numbers and variety, centred: in [-1, 1], 0 when empty."""
    left, right = _shapes(source.fields), _shapes(target.fields)
    total = np.zeros((len(left), len(right)), dtype=np.float32)
    for feature in range(left.shape[1]):
        total += np.exp(-np.abs(left[:, feature][:, None] - right[:, feature][None, :]))
    mean = total / max(1, left.shape[1]) * 2.0 - 1.0
    filled = np.array([bool(e.values) for e in source.fields])[:, None] & np.array(
        [bool(e.values) for e in target.fields]
    )
    result: Matrix = np.where(filled, mean, 0.0).astype(np.float32)
    return result


def _shapes(fields: Sequence[FieldProfile]) -> Matrix:
    rows = np.zeros((len(fields), 7), dtype=np.float32)
    for number, entry in enumerate(fields):
        text = "".join(entry.values)
        size = max(1, len(text))
        rows[number] = (
            np.log1p(entry.mean_length),
            3.0 * sum(map(str.isdigit, text)) / size,
            3.0 * sum(map(str.isalpha, text)) / size,
            6.0 * text.count(" ") / size,
            3.0 * sum(map(str.isupper, text)) / size,
            0.5 * np.log1p(abs(float(entry.mean))) if entry.mean is not None else 0.0,
            2.0 * entry.distinct / max(1, entry.occurrences),
        )
    return rows


_SIDES = ("", "billing", "shipping", "primary")
# Rows: source, columns: target. An address without a side is mostly the one that is billed.
_SIDE_TABLE = np.array(
    [
        [0.2, 0.1, -0.3, 0.1],
        [0.2, 1.0, -1.0, 0.2],
        [-0.3, -1.0, 1.0, -0.2],
        [0.3, 0.3, -0.1, 0.5],
    ],
    dtype=np.float32,
)


def side_signal(source: Side, target: Side, vocabulary: Vocabulary) -> Matrix:
    """Billing against shipping, in [-1, 1]; 0 where neither field is part of an address or person."""
    table = {name: position for position, name in enumerate(_SIDES)}
    left = np.array([table[m.side] for m in source.meanings])
    right = np.array([table[m.side] for m in target.meanings])
    result: Matrix = _SIDE_TABLE[np.ix_(left, right)].copy()
    personal = vocabulary.families["address"] | vocabulary.families["person"]
    about_left = np.array([_touches(m, personal) for m in source.meanings])
    about_right = np.array([_touches(m, personal) for m in target.meanings])
    result[~(about_left[:, None] | about_right[None, :])] = 0.0
    return result


def _touches(meaning: FieldMeaning, concepts: frozenset[str]) -> bool:
    return any(name in concepts for name, _ in meaning.leaf)


# What a record is about -> what else its fields may feed. Persons and documents carry each other's data.
_SCOPE_NEAR: Mapping[frozenset[str], float] = {
    frozenset(pair): share
    for pair, share in (
        (("document", "customer"), 0.2),
        (("document", "payment"), 0.0),
        (("document", "line"), -0.4),
        (("document", "tax_line"), -0.3),
        (("document", "shipping_line"), -0.2),
        (("line", "product"), 0.6),
        (("line", "tax_line"), -0.2),
        (("line", "shipping_line"), -0.2),
        (("customer", "line"), -0.8),
        (("customer", "payment"), -0.4),
        (("payment", "line"), -0.8),
        (("customer", "product"), -0.8),
        (("customer", "tax_line"), -0.8),
        (("refund", "payment"), -0.4),
        (("refund", "document"), -0.3),
    )
}


def scope_signal(source: Side, target: Side) -> Matrix:
    """Whether the records around the fields are about the same thing, in [-1, 1]; 0 when unknown."""
    scopes = sorted({m.scope for m in (*source.meanings, *target.meanings)})
    index = {name: position for position, name in enumerate(scopes)}
    table = np.array([[_scope_nearness(a, b) for b in scopes] for a in scopes], dtype=np.float32)
    left = [index[m.scope] for m in source.meanings]
    right = [index[m.scope] for m in target.meanings]
    result: Matrix = table[np.ix_(left, right)] if scopes else np.zeros((0, 0), dtype=np.float32)
    return result


def _scope_nearness(first: str, second: str) -> float:
    if not first or not second:
        return 0.0
    return 1.0 if first == second else _SCOPE_NEAR.get(frozenset((first, second)), -0.5)


def number_signal(source: Side, target: Side) -> Matrix:
    """Numbered members: `line1` to `street`, not to `street2`; in [-1, 1]."""
    left = np.array([_ordinal(m) for m in source.meanings])[:, None]
    right = np.array([_ordinal(m) for m in target.meanings])[None, :]
    lengths = np.array([entry.list_length for entry in source.fields])[:, None]
    # The second tax of a line may be the second item of a list, if the list ever has one.
    unnumbered = np.where(lengths >= np.maximum(right, 2), -0.1, -0.6)
    result: Matrix = np.where(
        left == right, 0.0, np.where(left == 0, unnumbered, np.where(right == 0, -0.4, -1.0))
    ).astype(np.float32)
    return result


def _ordinal(meaning: FieldMeaning) -> int:
    # `street` and `line1` are both the first.
    return int(meaning.number) if meaning.number and len(meaning.number) < 3 and meaning.number != "1" else 0


def technical_signal(source: Side, target: Side, vocabulary: Vocabulary) -> Matrix:
    """-1 where one field is plumbing (token, template, version) and the other is not, 0 otherwise."""
    plumbing = vocabulary.families["technical"]
    left = np.array([m.head in plumbing for m in source.meanings])[:, None]
    right = np.array([m.head in plumbing for m in target.meanings])[None, :]
    result: Matrix = np.where(left ^ right, -1.0, 0.0).astype(np.float32)
    return result


def target_prior(target: Side, vocabulary: Vocabulary) -> npt.NDArray[np.float32]:
    """How unlikely it is that anything feeds each target, in [-1, 0]: plumbing, flags, never filled."""
    prior = np.zeros(len(target.fields), dtype=np.float32)
    plumbing, audit = vocabulary.families["technical"], vocabulary.families["audit"]
    for number, (entry, meaning) in enumerate(zip(target.fields, target.meanings, strict=True)):
        value = 0.0
        if meaning.head in plumbing:
            value -= 0.5
        elif meaning.head in audit:
            value -= 0.25
        if entry.occurrences and not entry.formats:
            value -= 0.3
        elif entry.occurrences >= 4 and entry.distinct == 1 and entry.format not in {"currency", "country"}:
            value -= 0.25
        if meaning.flag or entry.format == "bool":
            value -= 0.25
        if entry.arrays and {"document", "id"} <= {name for name, _ in meaning.leaf}:
            # The row's pointer back to its own record.
            value -= 0.6
        prior[number] = max(-1.0, value)
    return prior


def assigned_signal(target: Side) -> npt.NDArray[np.float32]:
    """-1 for targets the target system sets itself: read-only by contract, or the record's own id; else 0."""
    return np.array(
        [
            -1.0
            if (entry.contract is not None and entry.contract.read_only) or meaning.own_id
            else (-0.3 if meaning.head == "updated" else 0.0)
            for entry, meaning in zip(target.fields, target.meanings, strict=True)
        ],
        dtype=np.float32,
    )


def source_prior(source: Side, vocabulary: Vocabulary) -> npt.NDArray[np.float32]:
    """How unlikely it is that each source feeds anything, in [-1, 0]: plumbing, never filled."""
    prior = np.zeros(len(source.fields), dtype=np.float32)
    for number, (entry, meaning) in enumerate(zip(source.fields, source.meanings, strict=True)):
        value = -0.5 if meaning.head in vocabulary.families["technical"] else 0.0
        if entry.occurrences and not entry.formats:
            value -= 0.4
        prior[number] = max(-1.0, value - 0.1 * max(0, len(entry.segments) - 3))
    return prior
