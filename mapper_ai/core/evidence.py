"""Everything that speaks for or against a pair of fields, worked out once for two profiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mapper_ai.core.fields import FieldProfile, Profile, split_path
from mapper_ai.core.names import FieldMeaning, read_names
from mapper_ai.core.references import natural_key_signal, reference_signal
from mapper_ai.core.scoring import WeightedScorer
from mapper_ai.core.signals import (
    Matrix,
    Side,
    assigned_signal,
    clash_signal,
    format_signal,
    number_signal,
    scope_signal,
    shape_signal,
    side_signal,
    source_prior,
    target_prior,
    technical_signal,
    values_signal,
)
from mapper_ai.core.similarity import ConceptSpace, name_signals, text_signal
from mapper_ai.core.structure import align_arrays, structure_signal
from mapper_ai.core.vocabulary import Vocabulary, load_vocabulary


@dataclass(frozen=True)
class Evidence:
    """All signals of all pairs of two profiles.

    Attributes:
        source: Rows of the signals.
        target: Columns of the signals.
        signals: Name -> matrix, for every name in SIGNALS.
        aligned: Target array -> source array that feeds it, "" for the record itself.
    """

    source: Side
    target: Side
    signals: Mapping[str, Matrix]
    aligned: Mapping[str, str]

    @property
    def shape(self) -> tuple[int, int]:
        """Sources, targets."""
        return len(self.source.fields), len(self.target.fields)


def collect(source: Profile, target: Profile, vocabulary: Vocabulary | None = None) -> Evidence:
    """Read both profiles and compute every signal; both must have fields."""
    words = vocabulary or load_vocabulary()
    left, right = _side(source, words), _side(target, words)
    shape = (len(source.fields), len(target.fields))
    signals = name_signals(left, right, words)
    signals["text"] = text_signal(left, right)
    signals["format"] = format_signal(left, right)
    signals["clash"] = clash_signal(left, right)
    signals["values"] = values_signal(left, right)
    signals["shape"] = shape_signal(left, right)
    signals["side"] = side_signal(left, right, words)
    signals["scope"] = scope_signal(left, right)
    signals["reference"] = reference_signal(left, right)
    signals["natural_key"] = natural_key_signal(left, right)
    signals["number"] = number_signal(left, right)
    signals["technical"] = technical_signal(left, right, words)
    signals["target_prior"] = np.broadcast_to(target_prior(right, words)[None, :], shape)
    signals["assigned"] = np.broadcast_to(assigned_signal(right)[None, :], shape)
    signals["source_prior"] = np.broadcast_to(source_prior(left, words)[:, None], shape)
    names = _array_similarity(left, right, words)
    aligned = align_arrays(source.fields, target.fields, WeightedScorer().confidence(signals), names)
    signals["structure"] = structure_signal(source.fields, target.fields, aligned)
    return Evidence(left, right, signals, aligned)


def _side(profile: Profile, vocabulary: Vocabulary) -> Side:
    meanings = read_names(profile, vocabulary)
    variants: list[tuple[int, FieldMeaning]] = []
    aliases: list[tuple[int, FieldProfile]] = []
    for number, (entry, meaning) in enumerate(zip(profile.fields, meanings, strict=True)):
        variants.append((number, meaning))
        aliases.extend(
            (number, FieldProfile(path=alias, segments=_alias_segments(entry, alias), contract=entry.contract))
            for alias in (entry.contract.aliases if entry.contract else ())
        )
    if aliases:
        read = read_names(Profile(tuple(entry for _, entry in aliases)), vocabulary)
        variants += [(number, meaning) for (number, _), meaning in zip(aliases, read, strict=True)]
        variants.sort(key=lambda item: item[0])
    texts = [
        " ".join(
            (
                *meaning.words,
                *(concept.replace("_", " ") for concept, _ in meaning.leaf if not concept.startswith("~")),
                *(entry.contract.aliases if entry.contract else ()),
                (entry.contract.note[:200] if entry.contract else ""),
            )
        )
        for entry, meaning in zip(profile.fields, meanings, strict=True)
    ]
    return Side(profile.fields, meanings, variants, texts)


def _alias_segments(entry: FieldProfile, alias: str) -> tuple[tuple[str, bool], ...]:
    """An alias of one word replaces the last name; a dotted one replaces the path."""
    segments = split_path(alias)
    return segments if len(segments) > 1 else (*entry.segments[:-1], *segments)


def _array_similarity(source: Side, target: Side, vocabulary: Vocabulary) -> dict[tuple[str, str], float]:
    """Likeness of the arrays' own names, e.g. of `lineItems[]` and `order_detail[]`."""
    left = sorted({path for entry in source.fields for path in entry.arrays})
    right = sorted({path for entry in target.fields for path in entry.arrays})
    if not left or not right:
        return {}

    def bag(path: str) -> tuple[tuple[str, float], ...]:
        words = [word for name, _ in split_path(path)[-2:] for word in vocabulary.normalise(name)]
        concepts = vocabulary.concepts(words) or ("~",)
        # In a list's name `line` and `product` are what matters, not a filler.
        return tuple((concept, 0.2 if concept.startswith("~") else 1.0) for concept in concepts)

    bags_left, bags_right = [bag(path) for path in left], [bag(path) for path in right]
    space = ConceptSpace(vocabulary, [*bags_left, *bags_right])
    matrix = space.similarity(space.vectors(bags_left), space.vectors(bags_right))
    return {
        (a, b): max(0.0, float(matrix[row, column])) for row, a in enumerate(left) for column, b in enumerate(right)
    }
