"""Propose sources for every target: read names, weigh the signals, let fields compete, accept or say no match."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from mapper_ai.core.assignment import compete, rank
from mapper_ai.core.fields import FieldProfile, Profile, split_path
from mapper_ai.core.history import Decision, HistorySignal, history_matrix
from mapper_ai.core.names import FieldMeaning, read_names
from mapper_ai.core.scoring import Scorer, WeightedScorer
from mapper_ai.core.signals import (
    Matrix,
    Side,
    assigned_signal,
    clash_signal,
    format_signal,
    number_signal,
    reference_signal,
    scope_signal,
    shape_signal,
    side_signal,
    source_prior,
    target_prior,
    technical_signal,
    values_signal,
)
from mapper_ai.core.similarity import ConceptSpace, name_signals, text_signal
from mapper_ai.core.structure import align_arrays, is_allowed, structure_signal
from mapper_ai.core.vocabulary import Vocabulary, load_vocabulary

# Below this a person would more often delete the proposal than keep it.
ACCEPT_AT = 0.5
# Candidates below this say nothing and only lengthen the list.
SHOW_AT = 0.005
# Highest confidence of a field from a list that does not feed the target's list.
OTHER_LIST_AT = 0.4


@dataclass(frozen=True)
class Candidate:
    """One possible source of a target.

    Attributes:
        source: Path in the source records.
        target: Path in the target records.
        confidence: That the source is right, 0..1.
        evidence: Signal -> what it adds to (or takes from) the confidence, in log-odds.
        similarity: Of the two names alone, 0..1.
        joined_with: Further source paths when several feed the target together (first and last name).
    """

    source: str
    target: str
    confidence: float
    evidence: Mapping[str, float] = field(default_factory=dict)
    similarity: float = 0.0
    joined_with: tuple[str, ...] = ()

    @property
    def sources(self) -> tuple[str, ...]:
        """All source paths that feed the target together, in the order they are joined."""
        return (self.source, *self.joined_with)


@dataclass(frozen=True)
class TargetSuggestion:
    """The ranked candidates of one target.

    Attributes:
        target: Path in the target records.
        candidates: Best first; empty when no source comes near.
        accepted: True when the first candidate is proposed as the match.
        state: "match" when accepted, else "no-match".
    """

    target: str
    candidates: tuple[Candidate, ...]
    accepted: bool
    state: Literal["match", "no-match"]


def suggest(
    source: Profile,
    target: Profile,
    *,
    top: int = 5,
    history: HistorySignal | Sequence[Decision] = (),
    scorer: Scorer | None = None,
    accept_at: float = ACCEPT_AT,
    vocabulary: Vocabulary | None = None,
) -> list[TargetSuggestion]:
    """Rank sources for every target field.

    Deterministic: equal profiles give equal results. An empty profile on either side gives no candidates.

    Args:
        source: Fields that may feed.
        target: Fields to be fed.
        top: Candidates kept a target, at least 1.
        history: Earlier decisions; an accepted pair of the same paths is proposed again, a refused one is not.
        scorer: Combines the signals; the default has fixed weights.
        accept_at: Lowest confidence of an accepted candidate, 0..1.
        vocabulary: Words of the domain; the default ships with the package.

    Returns:
        One entry a target, in the order of the target profile.

    Raises:
        ValueError: `top` is below 1 or `accept_at` lies outside 0..1.
    """
    if top < 1:
        raise ValueError(f"top must be at least 1, got {top}")
    if not 0.0 <= accept_at <= 1.0:
        raise ValueError(f"accept_at must lie in 0..1, got {accept_at}")
    if not source.fields or not target.fields:
        return [TargetSuggestion(entry.path, (), False, "no-match") for entry in target.fields]
    words = vocabulary or load_vocabulary()
    combine = scorer or WeightedScorer()
    source, joined = _with_full_names(source, words)
    signals, aligned = compute_signals(source, target, history=history, scorer=combine, vocabulary=words)
    confidence = compete(combine.confidence(signals))
    # A field of another list may be shown, but must stand behind what is allowed and below acceptance.
    confidence = np.where(signals["structure"] <= -1.0, np.minimum(confidence, OTHER_LIST_AT), confidence)
    suggestions = []
    for column, rows in enumerate(rank(confidence, top)):
        goal = target.fields[column]
        candidates = tuple(
            _candidate(
                joined.get(source.fields[row].path, (source.fields[row].path,)),
                goal.path,
                float(confidence[row, column]),
                {name: float(matrix[row, column]) for name, matrix in signals.items()},
                combine,
            )
            for row in rows
            if confidence[row, column] >= SHOW_AT
        )
        accepted = (
            bool(candidates)
            and candidates[0].confidence >= accept_at
            and is_allowed(source.fields[rows[0]], goal, aligned)
            and not (goal.contract is not None and goal.contract.read_only)
        )
        suggestions.append(TargetSuggestion(goal.path, candidates, accepted, "match" if accepted else "no-match"))
    return suggestions


def compute_signals(
    source: Profile,
    target: Profile,
    *,
    history: HistorySignal | Sequence[Decision] = (),
    scorer: Scorer | None = None,
    vocabulary: Vocabulary | None = None,
) -> tuple[dict[str, Matrix], dict[str, str]]:
    """All signals of all pairs, and the alignment of target arrays to source arrays.

    This is what a scorer is trained on.
    """
    words = vocabulary or load_vocabulary()
    combine = scorer or WeightedScorer()
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
    signals["number"] = number_signal(left, right)
    signals["technical"] = technical_signal(left, right, words)
    signals["target_prior"] = np.broadcast_to(target_prior(right, words)[None, :], shape)
    signals["assigned"] = np.broadcast_to(assigned_signal(right)[None, :], shape)
    signals["source_prior"] = np.broadcast_to(source_prior(left, words)[:, None], shape)
    told = history_matrix(history, source, target)
    signals["history"] = np.zeros(shape, dtype=np.float32) if told is None else told
    names = _array_similarity(left, right, words)
    aligned = align_arrays(source.fields, target.fields, combine.confidence(signals), names)
    signals["structure"] = structure_signal(source.fields, target.fields, aligned)
    return signals, aligned


def _candidate(
    sources: Sequence[str], target: str, confidence: float, signals: Mapping[str, float], scorer: Scorer
) -> Candidate:
    return Candidate(
        source=sources[0],
        target=target,
        confidence=round(confidence, 4),
        evidence=scorer.contributions(signals),
        similarity=round(min(1.0, max(0.0, signals["name"], signals["path"])), 4),
        joined_with=tuple(sources[1:]),
    )


def _with_full_names(profile: Profile, vocabulary: Vocabulary) -> tuple[Profile, dict[str, tuple[str, ...]]]:
    """Add a full name wherever an object has a first and a last name but no full one.

    Returns:
        The profile with the made fields, and their paths with the two sources each stands for.
    """
    levels: dict[tuple[tuple[str, bool], ...], dict[str, FieldProfile]] = {}
    for entry, meaning in zip(profile.fields, read_names(profile, vocabulary), strict=True):
        levels.setdefault(entry.segments[:-1], {}).setdefault(meaning.head, entry)
    made: list[FieldProfile] = []
    sources: dict[str, tuple[str, ...]] = {}
    for level, heads in levels.items():
        first, last = heads.get("first_name"), heads.get("last_name")
        if first is None or last is None or "full_name" in heads:
            continue
        path = f"{first.path} + {last.path}"
        made.append(
            replace(
                first,
                path=path,
                segments=(*level, ("full name", False)),
                formats={"text": 1.0},
                values=(),
                examples=(),
                contract=None,
            )
        )
        sources[path] = (first.path, last.path)
    return Profile((*profile.fields, *made), profile.record_count), sources


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
