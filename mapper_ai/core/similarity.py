"""How alike names and texts are: soft cosine of concepts, spelling, TF-IDF."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from rapidfuzz import fuzz, process
from rapidfuzz.distance import JaroWinkler

from mapper_ai.core.names import FieldMeaning, Weighted
from mapper_ai.core.signals import Matrix, Side
from mapper_ai.core.vocabulary import Vocabulary


class ConceptSpace:
    """Turns weighted concepts into vectors and compares them by soft cosine.

    Known concepts are compared by the vocabulary's relations, unknown words by their spelling.
    """

    def __init__(self, vocabulary: Vocabulary, bags: Sequence[Weighted]) -> None:
        names = sorted({name for bag in bags for name, _ in bag})
        self._index = {name: position for position, name in enumerate(names)}
        relation = np.eye(len(names), dtype=np.float32)
        for (first, second), weight in vocabulary.related.items():
            if first in self._index and second in self._index:
                row, column = self._index[first], self._index[second]
                relation[row, column] = relation[column, row] = weight
        unknown = [name for name in names if name.startswith("~")]
        if len(unknown) > 1:
            rows = np.array([self._index[name] for name in unknown])
            words = [name[1:] for name in unknown]
            alike = process.cdist(words, words, scorer=JaroWinkler.similarity, dtype=np.float32, workers=1)
            # Below 0.85 two words share letters, not meaning.
            alike = np.where(alike >= 0.85, alike, 0.0).astype(np.float32)
            np.fill_diagonal(alike, 1.0)
            relation[np.ix_(rows, rows)] = alike
        self._relation = relation

    def vectors(self, bags: Sequence[Weighted]) -> Matrix:
        """One row a bag."""
        rows = np.zeros((len(bags), len(self._index)), dtype=np.float32)
        for number, bag in enumerate(bags):
            for name, weight in bag:
                rows[number, self._index[name]] = weight
        return rows

    def similarity(self, first: Matrix, second: Matrix) -> Matrix:
        """Soft cosine of all rows against all rows, in [-1, 1]."""
        left = first @ self._relation
        cross = left @ second.T
        own = np.sqrt(np.maximum((left * first).sum(axis=1), 1e-6))
        other = np.sqrt(np.maximum(((second @ self._relation) * second).sum(axis=1), 1e-6))
        result: Matrix = np.clip(cross / own[:, None] / other[None, :], -1.0, 1.0).astype(np.float32)
        return result

    def between(self, first: Sequence[str], second: Sequence[str]) -> Matrix:
        """Relation of single concepts, in [-1, 1]."""
        rows = [self._index[name] for name in first]
        columns = [self._index[name] for name in second]
        result: Matrix = self._relation[np.ix_(rows, columns)]
        return result


def name_signals(source: Side, target: Side, vocabulary: Vocabulary) -> dict[str, Matrix]:
    """Signals from names alone: `name`, `path`, `head`, `spelling`; the best of a field's aliases counts."""
    left = [meaning for _, meaning in source.variants]
    right = [meaning for _, meaning in target.variants]
    bags = [bag for meaning in (*left, *right) for bag in (meaning.leaf, meaning.path, ((meaning.head, 1.0),))]
    space = ConceptSpace(vocabulary, bags)
    leaf = space.similarity(space.vectors([m.leaf for m in left]), space.vectors([m.leaf for m in right]))
    path = space.similarity(space.vectors([m.path for m in left]), space.vectors([m.path for m in right]))
    head = space.between([m.head for m in left], [m.head for m in right])
    own = [_leaf_text(m) for m in left]
    other = [_leaf_text(m) for m in right]
    spelling = process.cdist(own, other, scorer=fuzz.ratio, dtype=np.float32, workers=1) / np.float32(100.0)
    whole_own = [" ".join(m.words) for m in left]
    whole_other = [" ".join(m.words) for m in right]
    whole = process.cdist(
        whole_own, whole_other, scorer=fuzz.token_sort_ratio, dtype=np.float32, workers=1
    ) / np.float32(100.0)
    spelled = np.maximum(np.maximum(spelling, whole) - 0.5, 0.0) * 2.0
    return {
        name: _best_variant(np.asarray(matrix, dtype=np.float32), source, target)
        for name, matrix in (("name", leaf), ("path", path), ("head", head), ("spelling", spelled))
    }


def _leaf_text(meaning: FieldMeaning) -> str:
    return " ".join(concept.removeprefix("~") for concept, _ in meaning.leaf) or meaning.head


def _best_variant(matrix: npt.NDArray[np.floating], source: Side, target: Side) -> Matrix:
    """Reduce rows and columns of aliases to their field by the maximum."""
    rows = np.array([index for index, _ in source.variants])
    columns = np.array([index for index, _ in target.variants])
    starts = np.flatnonzero(np.r_[True, rows[1:] != rows[:-1]])
    reduced = np.maximum.reduceat(matrix, starts, axis=0)
    starts = np.flatnonzero(np.r_[True, columns[1:] != columns[:-1]])
    result: Matrix = np.maximum.reduceat(reduced, starts, axis=1).astype(np.float32)
    return result


def text_signal(source: Side, target: Side) -> Matrix:
    """Cosine of TF-IDF over 3 and 4 characters of the words of name, path and description, in [0, 1].

    Plain sparse algebra rather than scikit-learn, whose import alone takes longer than all of a suggestion.
    """
    from scipy.sparse import csr_matrix

    counts = [Counter(_pieces(text)) for text in (*source.texts, *target.texts)]
    known = {piece: position for position, piece in enumerate(sorted(set().union(*counts) if counts else set()))}
    cut = len(source.texts)
    if not known:
        return np.zeros((cut, len(target.texts)), dtype=np.float32)
    rows = np.repeat(np.arange(len(counts)), [len(count) for count in counts])
    columns = np.array([known[piece] for count in counts for piece in count])
    times = np.array([number for count in counts for number in count.values()], dtype=np.float32)
    spread = np.bincount(columns, minlength=len(known))
    rarity = np.log((1.0 + len(counts)) / (1.0 + spread)) + 1.0
    weights = (1.0 + np.log(times)) * rarity[columns]
    lengths = np.sqrt(np.bincount(rows, weights=weights**2, minlength=len(counts)))
    values = (weights / lengths[rows]).astype(np.float32)
    table = csr_matrix((values, (rows, columns)), shape=(len(counts), len(known)), dtype=np.float32)
    result: Matrix = np.asarray((table[:cut] @ table[cut:].T).todense(), dtype=np.float32)
    return result


def _pieces(text: str) -> Iterator[str]:
    """Runs of 3 and 4 characters of every word with a blank around it."""
    for word in text.casefold().split():
        padded = f" {word} "
        for size in (3, 4):
            yield from (padded[at : at + size] for at in range(max(1, len(padded) - size + 1)))
