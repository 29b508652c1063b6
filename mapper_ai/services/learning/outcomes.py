"""Gold cases as the trainer sees them: every target's retrieved candidates, and whether they are right."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mapper_ai.core.combine import with_combinations
from mapper_ai.core.evaluation import Prediction, plain_path
from mapper_ai.core.evidence import collect
from mapper_ai.core.features import FEATURES, Candidates, gather
from mapper_ai.core.suggest import ACCEPT_AT
from mapper_ai.core.vocabulary import load_vocabulary
from mapper_ai.services.learning.gold import Case

Array = npt.NDArray[np.float64]
_ASSIGNED = list(FEATURES).index("assigned")


@dataclass(frozen=True)
class Described:
    """A case as the trainer sees it.

    Attributes:
        sources: Of each candidate, one row a target, best retrieved first.
        right: Whether each candidate is right, in the same places.
        learnt: Targets whose answer is known, or that no connector ever fills: the system's own ids.
        scored: Targets that count in a measure.
        has_gold: Targets with a source by the gold.
        own: Targets that their own system fills, which are not tried.
    """

    case: Case
    candidates: Candidates
    sources: tuple[tuple[str, ...], ...]
    right: npt.NDArray[np.bool_]
    learnt: npt.NDArray[np.bool_]
    scored: npt.NDArray[np.bool_]
    has_gold: npt.NDArray[np.bool_]
    own: npt.NDArray[np.bool_]


def describe(case: Case) -> Described:
    """Retrieve candidates for a case and look their answers up."""
    source, combined = with_combinations(case.source, case.target, load_vocabulary())
    found = gather(collect(source, case.target))
    paths, goals = source.paths, case.target.paths
    members = [combined[path].sources if path in combined else (path,) for path in paths]
    sources = tuple(members[row] for row in found.rows)
    right = np.array(
        [case.right(given, goals[column]) for given, column in zip(sources, found.columns, strict=True)]
    ).reshape(len(goals), found.count)
    plain = list(map(plain_path, goals))
    scored = np.array([goal not in case.gold.ignored for goal in plain])
    own = found.features[:: found.count, _ASSIGNED] <= -1.0
    has_gold = np.array([goal in case.gold.sources for goal in plain])
    return Described(case, found, sources, right, scored | own, scored, has_gold, own)


def retrieved(described: Described, *, top: int = 5) -> list[Prediction]:
    """What the hand-set weights alone would say, as they did before anything was trained."""
    count = described.candidates.count
    sure = 1.0 / (1.0 + np.exp(-np.clip(described.candidates.odds.astype(np.float64), -30.0, 30.0)))
    return [
        Prediction(
            tuple(map(plain_path, described.sources[place])),
            plain_path(goal),
            float(sure[place]),
            bool(place == count * column and sure[place] >= ACCEPT_AT and not described.own[column]),
        )
        for column, goal in enumerate(described.case.target.paths)
        for place in range(count * column, count * column + min(top, count))
    ]


@dataclass(frozen=True)
class Outcome:
    """The best candidates of a case's scored targets under some scorer.

    Attributes:
        odds: Log-odds of each.
        right: Whether it is right.
        has_gold: Whether its target has a source by the gold.
    """

    odds: Array
    right: npt.NDArray[np.bool_]
    has_gold: npt.NDArray[np.bool_]


def outcome(described: Described, odds: Array) -> Outcome:
    """Rank the candidates by their log-odds, as the suggester does."""
    table = np.round(odds.reshape(described.right.shape), 4)
    best = np.argsort(-table, axis=1, kind="stable")[:, :1]
    scored = described.scored
    return Outcome(
        np.take_along_axis(table, best, axis=1)[scored, 0],
        np.take_along_axis(described.right, best, axis=1)[scored, 0],
        described.has_gold[scored],
    )


def examples(described: Iterable[Described], weight: float = 1.0) -> list[tuple[Array, Array, Array]]:
    """Features, answers and weights of all candidates whose answer is known."""
    made = []
    for entry in described:
        known = np.repeat(entry.learnt, entry.candidates.count)
        features = entry.candidates.features[known].astype(np.float64)
        made.append((features, entry.right.ravel()[known].astype(np.float64), np.full(len(features), weight)))
    return made
