"""Candidates and their features: a short list of sources for every target, each with one documented vector.

The hand-weighted scorer retrieves; the features say what a second look needs: every signal, how the candidate stands
among its rivals for the target and among the other uses of its source, and how well the objects around the two fields
answer one another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mapper_ai.core.assignment import compete
from mapper_ai.core.evidence import Evidence
from mapper_ai.core.fields import FieldProfile
from mapper_ai.core.names import FieldMeaning
from mapper_ai.core.scoring import DEFAULT_BIAS, DEFAULT_WEIGHTS, logit, sigmoid
from mapper_ai.core.signals import Matrix, Side

# Sources kept a target for the second look.
RETRIEVED = 10
# Margins are cut here: beyond it one candidate is plainly ahead.
_MAX_MARGIN = 6.0

# Feature -> what it says. The order is the order of the vector; 0 always stands for "says nothing".
FEATURES: Mapping[str, str] = {
    "name": "soft cosine of the leaf names' concepts, -1..1",
    "path": "soft cosine of the whole paths' concepts, -1..1",
    "head": "relation of the two main concepts, -1..1",
    "spelling": "likeness of the spelling above one half, 0..1",
    "text": "TF-IDF cosine of names, paths and descriptions, 0..1",
    "format": "expected nearness of the values' formats, -1..1",
    "clash": "-1 where the formats rule each other out",
    "values": "shared telling values, 0..1",
    "shape": "likeness of lengths, character classes, sizes and variety, -1..1",
    "side": "billing against shipping, -1..1",
    "scope": "what the records around the fields are about, -1..1",
    "reference": "ids that point at the same thing, or at different ones, -1..1",
    "natural_key": "1 where the source names across systems what the target points at: e-mail, SKU",
    "number": "numbered members that agree or not, -1..0",
    "technical": "-1 where one field is plumbing and the other is not",
    "target_prior": "how unlikely any source is for the target, -1..0",
    "assigned": "-1 where the target system sets the field itself",
    "source_prior": "how unlikely it is that the source feeds anything, -1..0",
    "structure": "fit with the alignment of arrays, -1..0",
    "shared_words": "share of the paths' words that both have, 0..1",
    "known": "1 both leaf names are known words, 0 one of them, -1 neither",
    "context_lead": "how well the members of the two objects answer one another, behind the best object, -1..0",
    "column_lead": "log-odds ahead of the best rival for the target, -1..1 (one is six log-odds)",
    "column_rank": "-1 for far down the target's list, 0 for its head",
    "row_lead": "log-odds ahead of the source's best other use, -1..1",
    "mutual": "1 where each is the other's best",
    "source_constant": "-1 where the source always has one value",
    "target_constant": "-1 where the target always has one value",
    "target_flag": "-1 where the target is a yes/no field",
    "target_empty": "-1 where the target was never filled",
    "source_empty": "-1 where the source was never filled",
    "target_id": "-1 where the target is a key or number of some record",
    "target_type": "-1 where the target is a type or a status",
    "level": "-1 where an amount of the record would feed the items of a list, or an item's the record",
    "flag_gap": "-1 where one of the two is a yes/no field and the other is not",
    "filled_gap": "-1 where the target is always filled and the source seldom",
    "deeper": "levels the source lies deeper than the target, in fifths, 0..1 negative",
}
_ID_CONCEPTS = frozenset({"id", "number", "reference", "external_id", "uuid", "sku"})
_TYPE_CONCEPTS = frozenset({"type", "status", "payment_status", "category", "customer_group"})


@dataclass(frozen=True)
class Candidates:
    """The short lists of all targets, flat and ordered by target, then by the retrieving score.

    Attributes:
        rows: Source index of each candidate.
        columns: Target index of each candidate.
        features: One row a candidate, in the order of FEATURES.
        odds: The retrieving score of each, in log-odds.
        count: Candidates a target.
    """

    rows: npt.NDArray[np.intp]
    columns: npt.NDArray[np.intp]
    features: Matrix
    odds: Matrix
    count: int

    def span(self, column: int) -> slice:
        """Where a target's candidates stand."""
        return slice(column * self.count, (column + 1) * self.count)


def gather(evidence: Evidence, *, retrieved: int = RETRIEVED, wanted: Matrix | None = None) -> Candidates:
    """Retrieve the best sources of every target and describe each by its features.

    Args:
        evidence: Of two profiles that both have fields.
        retrieved: Sources kept a target.
        wanted: Pairs with a value above 0 are kept whatever they look like.
    """
    odds = retrieval_odds(evidence)
    count = min(retrieved, odds.shape[0])
    # Rounded so that the last bit of a float sum does not decide the order.
    key = -np.round(odds, 3)
    if wanted is not None:
        key = np.where(wanted > 0, key - 100.0 * wanted, key)
    # Whole columns of a thousand need no full sort: the best are set apart first, by value, then by row.
    order = _first(key, count)
    rows = order.T.ravel()
    columns = np.repeat(np.arange(odds.shape[1]), count)
    named = _features(evidence, odds, rows, columns, count)
    table = np.stack([np.broadcast_to(named[name], rows.shape) for name in FEATURES], axis=1)
    return Candidates(rows, columns, np.round(table, 4).astype(np.float32), odds[rows, columns], count)


def _first(key: Matrix, count: int) -> npt.NDArray[np.intp]:
    """For every column the rows of the smallest keys, smallest first; equal keys in row order."""
    if key.shape[0] <= 4 * count:
        return np.argsort(key, axis=0, kind="stable")[:count]
    border = np.partition(key, count - 1, axis=0)[count - 1]
    found = np.empty((count, key.shape[1]), dtype=np.intp)
    for column in range(key.shape[1]):
        near = np.flatnonzero(key[:, column] <= border[column])
        found[:, column] = near[np.argsort(key[near, column], kind="stable")[:count]]
    return found


def retrieval_odds(evidence: Evidence) -> Matrix:
    """Log-odds by hand-set weights after the pairs of a source have competed; history has no say."""
    total = np.full(evidence.shape, DEFAULT_BIAS, dtype=np.float32)
    for name, weight in DEFAULT_WEIGHTS.items():
        if name in evidence.signals:
            total += np.float32(weight) * evidence.signals[name]
    odds: Matrix = logit(compete(sigmoid(total)))
    return odds


def _features(
    evidence: Evidence,
    odds: Matrix,
    rows: npt.NDArray[np.intp],
    columns: npt.NDArray[np.intp],
    count: int,
) -> dict[str, npt.NDArray[np.floating]]:
    source, target = evidence.source, evidence.target
    found: dict[str, npt.NDArray[np.floating]] = {
        name: matrix[rows, columns] for name, matrix in evidence.signals.items() if name in FEATURES
    }
    found.update(_word_features(source, target, rows, columns))
    found.update(_context(source, target, sigmoid(odds), rows, columns))
    found.update(_competition(odds, rows, columns, count))
    left, right = _traits(source), _traits(target)
    for name in ("constant", "empty"):
        found[f"source_{name}"] = -left[name][rows]
    for name in ("constant", "empty", "flag", "id", "type"):
        found[f"target_{name}"] = -right[name][columns]
    amounts = np.minimum(left["money"][rows], right["money"][columns])
    found["level"] = -amounts * np.abs(left["listed"][rows] - right["listed"][columns])
    seen = left["seen"][rows] * right["seen"][columns]
    found["flag_gap"] = -seen * np.abs(left["flag"][rows] - right["flag"][columns])
    found["filled_gap"] = -np.maximum(0.0, right["filled"][columns] - left["filled"][rows])
    found["deeper"] = -np.clip((left["depth"][rows] - right["depth"][columns]) / 5.0, 0.0, 1.0)
    return found


def _word_features(
    source: Side, target: Side, rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp]
) -> dict[str, npt.NDArray[np.floating]]:
    own = [(frozenset(meaning.words), _known(meaning)) for meaning in source.meanings]
    other = [(frozenset(meaning.words), _known(meaning)) for meaning in target.meanings]
    table = np.zeros((len(rows), 2))
    for number, (row, column) in enumerate(zip(rows.tolist(), columns.tolist(), strict=True)):
        (words, known), (wanted, wanted_known) = own[row], other[column]
        union = len(words | wanted)
        table[number] = len(words & wanted) / union if union else 0.0, known + wanted_known - 1.0
    return {"shared_words": table[:, 0], "known": table[:, 1]}


def _known(meaning: FieldMeaning) -> float:
    return float(not meaning.head.startswith("~"))


def _context(
    source: Side,
    target: Side,
    confidence: Matrix,
    rows: npt.NDArray[np.intp],
    columns: npt.NDArray[np.intp],
) -> dict[str, npt.NDArray[np.floating]]:
    """The mean of the best confidences between the other members of the two objects, beside the best such mean."""
    left, right = _parents(source.fields), _parents(target.fields)
    groups = int(left.max()) + 1
    best = np.zeros((groups, confidence.shape[1]), dtype=np.float32)
    for group in range(groups):
        best[group] = confidence[left == group].max(axis=0)
    others = int(right.max()) + 1
    members = np.zeros((confidence.shape[1], others), dtype=np.float32)
    members[np.arange(len(right)), right] = 1.0
    sums, sizes = best @ members, members.sum(axis=0)
    alone = sizes[right[columns]] <= 1
    share = (sums[left[rows], right[columns]] - best[left[rows], columns]) / np.maximum(1.0, sizes[right[columns]] - 1)
    top = (sums[:, right] - best) / np.maximum(1.0, sizes[right] - 1)[None, :]
    lead = share - top.max(axis=0)[columns]
    return {"context_lead": np.where(alone, 0.0, lead)}


def _parents(fields: Sequence[FieldProfile]) -> npt.NDArray[np.intp]:
    """A number for the object each field is a member of."""
    known: dict[object, int] = {}
    return np.array([known.setdefault(entry.segments[:-1], len(known)) for entry in fields], dtype=np.intp)


def _competition(
    odds: Matrix, rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp], count: int
) -> dict[str, npt.NDArray[np.floating]]:
    own = odds[rows, columns]
    column_lead = own - _best_rival(odds)[rows, columns]
    row_lead = own - _best_rival(odds.T).T[rows, columns]
    blocks = np.round(own, 3).reshape(odds.shape[1], count)
    rank = (blocks[:, None, :] > blocks[:, :, None]).sum(axis=2).ravel() / max(1, RETRIEVED - 1)
    return {
        "column_lead": np.clip(column_lead / _MAX_MARGIN, -1.0, 1.0),
        "column_rank": -rank,
        "row_lead": np.clip(row_lead / _MAX_MARGIN, -1.0, 1.0),
        "mutual": ((column_lead >= 0) & (row_lead >= 0)).astype(np.float32),
    }


def _best_rival(odds: Matrix) -> Matrix:
    """For every pair the best log-odds of the other rows in its column; its own when there is no other row."""
    if odds.shape[0] < 2:
        # To be ahead of nobody says nothing.
        return odds
    first = odds.argmax(axis=0)
    span = np.arange(odds.shape[1])
    best = odds[first, span]
    second = np.partition(odds, odds.shape[0] - 2, axis=0)[-2]
    rival: Matrix = np.broadcast_to(best[None, :], odds.shape).copy()
    rival[first, span] = second
    return rival


def _traits(side: Side) -> dict[str, npt.NDArray[np.float32]]:
    names = ("constant", "empty", "flag", "id", "type", "money", "filled", "depth", "listed", "seen")
    rows = np.zeros((len(side.fields), len(names)), dtype=np.float32)
    for number, (entry, meaning) in enumerate(zip(side.fields, side.meanings, strict=True)):
        concepts = {name for name, _ in meaning.leaf}
        rows[number] = (
            entry.occurrences >= 4 and entry.distinct == 1,
            bool(entry.occurrences) and not entry.formats,
            meaning.flag or entry.format == "bool",
            bool(concepts & _ID_CONCEPTS),
            bool(concepts & _TYPE_CONCEPTS),
            meaning.money == "amount" or meaning.head in MONEY_CONCEPTS,
            entry.filled_share * entry.present_share if entry.occurrences else 0.0,
            len(entry.segments),
            bool(entry.arrays),
            bool(entry.formats),
        )
    return dict(zip(names, rows.T, strict=True))


# Concepts of amounts; the vocabulary's names.
MONEY_CONCEPTS = frozenset(
    [
        "unit_price",
        "cost",
        "cost_price",
        "amount",
        "line_total",
        "grand_total",
        "subtotal",
        "discount",
        "tax_total",
        "shipping_total",
        "handling_total",
        "fee_total",
        "fee_amount",
        "shipping_tax",
        "amount_paid",
        "applied_amount",
        "balance",
        "deposit",
    ]
)
