"""What became of every target of a case: its ranked candidates and whether they are right."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mapper_ai.core.combine import with_combinations
from mapper_ai.core.evidence import collect
from mapper_ai.core.features import FEATURES, Candidates, gather
from mapper_ai.core.suggest import risk_of
from mapper_ai.core.vocabulary import load_vocabulary
from mapper_ai.services.learning.gold import Case

Array = npt.NDArray[np.float64]
_ASSIGNED = list(FEATURES).index("assigned")


@dataclass(frozen=True)
class Described:
    """A case as the trainer sees it.

    Attributes:
        right: Whether each candidate is right, one row a target, best retrieved first.
        learnt: Targets whose answer is known, or that no connector ever fills: the system's own ids.
        scored: Targets that count in a measure.
        has_gold: Targets with a source by the gold.
        risky: Targets of money, taxes and keys, which are never accepted without a person.
    """

    case: Case
    candidates: Candidates
    right: npt.NDArray[np.bool_]
    learnt: npt.NDArray[np.bool_]
    scored: npt.NDArray[np.bool_]
    has_gold: npt.NDArray[np.bool_]
    risky: npt.NDArray[np.bool_]


def describe(case: Case) -> Described:
    """Retrieve candidates for a case and look their answers up."""
    source, combined = with_combinations(case.source, case.target, load_vocabulary())
    evidence = collect(source, case.target)
    found = gather(evidence)
    paths, goals = source.paths, case.target.paths
    members = [combined[path].sources if path in combined else (path,) for path in paths]
    right = np.array(
        [case.right(members[row], goals[column]) for row, column in zip(found.rows, found.columns, strict=True)]
    ).reshape(len(goals), found.count)
    scored = np.array([goal not in case.ignored for goal in goals])
    own = found.features[:: found.count, _ASSIGNED] <= -1.0
    has_gold = np.array([goal in case.gold for goal in goals])
    risky = np.array([bool(risk_of(meaning)) for meaning in evidence.target.meanings])
    return Described(case, found, right, scored | own, scored, has_gold, risky)


@dataclass(frozen=True)
class Outcome:
    """A case's targets under some scorer.

    Attributes:
        odds: Log-odds of the best candidate of each scored target.
        right: Whether that one is right.
        rank: Rank of the first right candidate of each gold target, 0 when there is none.
        has_gold: Whether each scored target has a source by the gold.
        risky: Whether each scored target is one of money, taxes or keys.
        gold: Number of gold targets.
    """

    name: str
    group: str
    odds: Array
    right: npt.NDArray[np.bool_]
    rank: npt.NDArray[np.intp]
    has_gold: npt.NDArray[np.bool_]
    risky: npt.NDArray[np.bool_]
    gold: int


def outcome(described: Described, odds: Array) -> Outcome:
    """Rank the candidates by their log-odds, as the suggester does."""
    table = np.round(odds.reshape(described.right.shape), 4)
    order = np.argsort(-table, axis=1, kind="stable")
    ranked = np.take_along_axis(described.right, order, axis=1)
    best = np.take_along_axis(table, order[:, :1], axis=1)[:, 0]
    scored, gold = described.scored, described.has_gold
    first = np.where(ranked.any(axis=1), ranked.argmax(axis=1) + 1, 0)
    return Outcome(
        described.case.name,
        described.case.group,
        best[scored],
        ranked[scored, 0],
        first[gold],
        gold[scored],
        described.risky[scored],
        len(described.case.gold),
    )


def examples(described: Iterable[Described], weight: float = 1.0) -> list[tuple[Array, Array, Array]]:
    """Features, answers and weights of all candidates whose answer is known."""
    made = []
    for entry in described:
        known = np.repeat(entry.learnt, entry.candidates.count)
        features = entry.candidates.features[known].astype(np.float64)
        made.append((features, entry.right.ravel()[known].astype(np.float64), np.full(len(features), weight)))
    return made


def groups(cases: Sequence[Case]) -> list[str]:
    """The platform pairs of the cases, sorted."""
    return sorted({case.group for case in cases})
