"""How good ranked suggestions are against gold: rank, accepted set, calibration, and intervals. Pure.

The measures are those of the field mapping benchmark that the project is judged by; where it leaves a choice, its
scorer's choice is taken: a suggestion for a target without gold is an error, one for an ignored target is dropped, a
combination is right when all its members are gold sources.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

BINS = 10
HIGH = 0.9
THRESHOLD = 0.5
_DRAWS = 1000
_SEED = 20_260_101
_INDEX = re.compile(r"\[(\d+|\*|)\]")

Point = tuple[float, bool]


@dataclass(frozen=True)
class Gold:
    """What a person knows about a pair of record kinds.

    Attributes:
        sources: Target -> its right sources, any of them or all together.
        combined: Targets that their sources feed together.
        ignored: Targets about which nothing is said.
    """

    sources: Mapping[str, frozenset[str]]
    combined: frozenset[str] = frozenset()
    ignored: frozenset[str] = frozenset()

    def right(self, prediction: Prediction) -> bool:
        """Whether all that is proposed for the target is gold."""
        known = self.sources.get(prediction.target, frozenset())
        return bool(prediction.sources) and set(prediction.sources) <= known


@dataclass(frozen=True)
class Prediction:
    """One candidate of one target; `accepted` None where the tool does not say."""

    sources: tuple[str, ...]
    target: str
    confidence: float
    accepted: bool | None = None


@dataclass(frozen=True)
class CaseScore:
    """The measures of one case.

    Attributes:
        points: (confidence, right) of the best candidate of every scored target that has one, best first.
        coverage: Share of the scored targets that have a candidate; None when they are not known.
    """

    gold: int
    accepted: int
    right: int
    precision: float
    recall: float
    f1: float
    mrr: float
    recall_at_1: float
    recall_at_3: float
    recall_at_gold: float
    coverage: float | None
    points: tuple[Point, ...] = field(repr=False)

    @property
    def ece(self) -> float | None:
        """Expected calibration error of the case alone."""
        return calibration_error(self.points)


@dataclass(frozen=True)
class Figure:
    """A measure with its 95 % interval; the value is None where nothing could be measured."""

    value: float | None
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        if self.value is None:
            return "-"
        spread = "" if self.low is None or self.high is None else f" ({self.low:.3f} to {self.high:.3f})"
        return f"{self.value:.3f}{spread}"


def plain_path(path: str) -> str:
    """One notation for `$.a[0].b`, `a[*].b` and `/a/0/b`: `a[].b`."""
    text = path.strip()
    if text.startswith("$"):
        text = text[1:].lstrip(".")
    if text.startswith("/"):
        text = ".".join(re.sub(r"^\d+$", "[]", part) for part in text[1:].split("/")).replace(".[]", "[]")
    text = _INDEX.sub("[]", text)
    return text[2:].lstrip(".") if text.startswith("[]") else text


def score_case(
    gold: Gold, predictions: Sequence[Prediction], *, threshold: float = THRESHOLD, targets: Sequence[str] | None = None
) -> CaseScore:
    """Score one case.

    Args:
        gold: Paths in the notation of `plain_path`, as everywhere here.
        predictions: Any order; candidates of a target rank by confidence, ties in the order given. Where any of them
            says whether it is accepted, those words decide, else the threshold.
        threshold: Inclusive.
        targets: All target fields; those not ignored are the scored ones.

    Raises:
        ValueError: A confidence outside 0..1.
    """
    ranked = _ranked(gold, predictions)
    explicit = any(row.accepted is not None for row in predictions)
    accepted = [
        next((row for row in rows if (row.accepted if explicit else row.confidence >= threshold)), None)
        for rows in ranked.values()
    ]
    chosen = [row for row in accepted if row is not None]
    right = sum(gold.right(row) for row in chosen)
    count = len(gold.sources)
    precision = right / len(chosen) if chosen else 0.0
    recall = right / count if count else 0.0
    ranks = [
        next((place for place, row in enumerate(ranked.get(target, ()), 1) if gold.right(row)), 0)
        for target in gold.sources
    ]
    together = sorted((row for rows in ranked.values() for row in rows), key=_order(predictions))[:count]
    best = [rows[0] for rows in ranked.values()]
    scored = None if targets is None else [name for name in targets if name in gold.sources or name not in gold.ignored]
    return CaseScore(
        gold=count,
        accepted=len(chosen),
        right=right,
        precision=precision,
        recall=recall,
        f1=2 * precision * recall / (precision + recall) if right else 0.0,
        mrr=_share(sum(1.0 / place for place in ranks if place), count),
        recall_at_1=_share(sum(place == 1 for place in ranks), count),
        recall_at_3=_share(sum(0 < place <= 3 for place in ranks), count),
        recall_at_gold=_share(len({row.target for row in together if gold.right(row)}), count),
        coverage=len(best) / len(scored) if scored else None,
        points=tuple(sorted(((row.confidence, gold.right(row)) for row in best), key=lambda point: -point[0])),
    )


def calibration_error(points: Sequence[Point]) -> float | None:
    """Expected calibration error over ten equal bins; None without points."""
    if not points:
        return None
    gaps = [0.0] * BINS
    for confidence, right in points:
        gaps[min(BINS - 1, int(confidence * BINS))] += confidence - right
    return sum(map(abs, gaps)) / len(points)


def risk_coverage(points: Sequence[Point]) -> list[tuple[float, float]]:
    """(coverage, error rate) as confidence falls; tied confidences share their mean error."""
    ordered = sorted(points, key=lambda point: -point[0])
    curve: list[tuple[float, float]] = []
    errors, start = 0.0, 0
    while start < len(ordered):
        end = start
        while end < len(ordered) and ordered[end][0] == ordered[start][0]:
            end += 1
        share = sum(not right for _, right in ordered[start:end]) / (end - start)
        for place in range(start + 1, end + 1):
            errors += share
            curve.append((place / len(ordered), errors / place))
        start = end
    return curve


def area_under_risk(points: Sequence[Point]) -> float | None:
    """Mean error rate over all coverages; None without points."""
    curve = risk_coverage(points)
    return sum(risk for _, risk in curve) / len(curve) if curve else None


def pooled(cases: Sequence[CaseScore]) -> list[Point]:
    """The points of all cases."""
    return [point for case in cases for point in case.points]


def _mean_of(read: Callable[[CaseScore], float]) -> Callable[[Sequence[CaseScore]], float | None]:
    return lambda cases: sum(map(read, cases)) / len(cases) if cases else None


def _high_precision(cases: Sequence[CaseScore]) -> float | None:
    high = [right for confidence, right in pooled(cases) if confidence >= HIGH]
    return sum(high) / len(high) if high else None


def _high_coverage(cases: Sequence[CaseScore]) -> float | None:
    gold = sum(case.gold for case in cases)
    return sum(confidence >= HIGH for confidence, _ in pooled(cases)) / gold if gold else None


# Means over cases, then what is measured over all best candidates together.
MEASURES: Mapping[str, Callable[[Sequence[CaseScore]], float | None]] = {
    "MRR": _mean_of(lambda case: case.mrr),
    "Recall@1": _mean_of(lambda case: case.recall_at_1),
    "Recall@3": _mean_of(lambda case: case.recall_at_3),
    "Precision": _mean_of(lambda case: case.precision),
    "Recall": _mean_of(lambda case: case.recall),
    "F1": _mean_of(lambda case: case.f1),
    "Recall@GT": _mean_of(lambda case: case.recall_at_gold),
    "ECE": lambda cases: calibration_error(pooled(cases)),
    "AURC": lambda cases: area_under_risk(pooled(cases)),
    "P>=0.9": _high_precision,
    "coverage>=0.9": _high_coverage,
}


def figures(groups: Mapping[str, Sequence[CaseScore]], *, draws: int = _DRAWS) -> dict[str, Figure]:
    """All measures; intervals by drawing whole groups with replacement, the same draws in every run.

    Cases of one group (a pair of platforms) resemble each other, so that drawing single cases would promise too much.
    """
    cases = [case for name in sorted(groups) for case in groups[name]]
    names = sorted(groups)
    picks = np.random.default_rng(_SEED).integers(
        0, max(1, len(names)), size=(draws if len(names) > 1 else 0, len(names))
    )
    samples = [[case for pick in draw for case in groups[names[pick]]] for draw in picks]
    found = {}
    for name, measure in MEASURES.items():
        values = [value for sample in samples if (value := measure(sample)) is not None]
        low, high = (float(end) for end in np.percentile(values, [2.5, 97.5])) if values else (None, None)
        found[name] = Figure(measure(cases), low, high)
    return found


def _ranked(gold: Gold, predictions: Sequence[Prediction]) -> dict[str, list[Prediction]]:
    ranked: dict[str, list[Prediction]] = {}
    for row in predictions:
        if not 0.0 <= row.confidence <= 1.0:
            raise ValueError(f"{row.target}: a confidence must lie in 0..1, got {row.confidence}")
        if row.target in gold.sources or row.target not in gold.ignored:
            ranked.setdefault(row.target, []).append(row)
    # Sorting is stable: ties keep the order given.
    return {target: sorted(rows, key=lambda row: -row.confidence) for target, rows in ranked.items()}


def _order(predictions: Sequence[Prediction]) -> Callable[[Prediction], tuple[float, int]]:
    places = {id(row): place for place, row in enumerate(predictions)}
    return lambda row: (-row.confidence, places[id(row)])


def _share(part: float, whole: int) -> float:
    return part / whole if whole else 0.0
