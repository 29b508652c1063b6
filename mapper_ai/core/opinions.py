"""Somebody's opinions on which candidate is right, as one more signal: worth what a test on known fields shows.

Whoever gives opinions (a language model) is also asked about fields whose answer is all but certain, and about fields
that all but certainly have no source. How often it is right there says what its word is worth elsewhere, as the
likelihood ratio of having said it. Chance on the test weighs nothing, and no opinion weighs more than the caps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import log, sqrt
from typing import Final

import numpy as np

from mapper_ai.core.scoring import logit, sigmoid
from mapper_ai.core.signals import Matrix

# Log-odds an opinion adds to a candidate at most, and takes at most. With the first, a candidate below 0.09 is never
# accepted on anybody's word; with the second, one above 0.84 is never rejected on it.
MOST: Final = 2.6
LEAST: Final = -1.8
# Fields that are still in doubt are harder than those of the test: a word counts this share there.
HARDER: Final = 0.9
# Standard deviations taken off what a test shows. The three are set by simulated givers (docs/decisions/0019): the
# confidences stay as honest as they were, chance costs nothing, and whoever is always right helps most.
CAUTION: Final = 0.7
# What is left of a word that its giver is less sure of.
SURENESS: Final[Mapping[str, float]] = {"high": 1.0, "medium": 0.7, "low": 0.35}


@dataclass(frozen=True)
class Opinion:
    """A word on one target.

    Attributes:
        target: Its path.
        sources: Paths of the chosen candidate, in its order; empty for "none of them".
        options: Number of candidates there were to choose from, "none" left aside.
        sure: "high", "medium" or "low".
        why: In words, one line.
    """

    target: str
    sources: tuple[str, ...]
    options: int
    sure: str = "high"
    why: str = ""


@dataclass(frozen=True)
class Trust:
    """How the giver did on the test.

    Attributes:
        right: Fields with a known source that were answered right.
        tried: Fields with a known source that were asked.
        none_right: Fields without a source of which it was said.
        none_tried: Fields without a source that were asked.
    """

    right: int = 0
    tried: int = 0
    none_right: int = 0
    none_tried: int = 0

    @property
    def of_picks(self) -> float:
        """Share of right picks, with the doubt that a short test leaves taken off."""
        return _cautious(self.right, self.tried)

    @property
    def of_nones(self) -> float:
        """The same for "none of them"."""
        return _cautious(self.none_right, self.none_tried)


@dataclass(frozen=True)
class Opinions:
    """Opinions by target path, and what they are worth."""

    trust: Trust = Trust()
    by_target: Mapping[str, Opinion] = field(default_factory=dict)

    def weight(self, options: int) -> float:
        """Log-odds that a choice among so many candidates adds when its giver is sure of it."""
        return HARDER * self._pick(max(1, options))[0]

    def shifts(self, target: str, sources: Sequence[tuple[str, ...]]) -> tuple[list[float], float]:
        """Log-odds that a target's candidates gain or lose, and that its having a source at all gains or loses."""
        said = self.by_target.get(target)
        if said is None:
            return [0.0] * len(sources), 0.0
        worth = SURENESS.get(said.sure, SURENESS["low"]) * HARDER
        if not said.sources:
            loss = worth * self._none()
            return [loss] * len(sources), loss
        if said.sources not in sources:
            return [0.0] * len(sources), 0.0
        gain, loss = (worth * value for value in self._pick(max(1, said.options)))
        return [gain if one == said.sources else loss for one in sources], gain

    def _pick(self, options: int) -> tuple[float, float]:
        """What a pick adds to the picked and takes from the others."""
        right, none = self.trust.of_picks, self.trust.of_nones
        # Somebody who never says "none" picks something where nothing is right, and most often the likeliest one.
        by_mistake = max((1.0 - right) / options, (1.0 - none) / 2.0)
        gain = min(MOST, max(0.0, _log(right, by_mistake)))
        loss = max(LEAST, min(0.0, _log(1.0 - right, 1.0 - (1.0 - right) / options))) if gain else 0.0
        return gain, loss

    def _none(self) -> float:
        """What "none of them" takes from every candidate."""
        return max(LEAST, min(0.0, _log(1.0 - self.trust.of_picks, self.trust.of_nones)))


def swayed(confidence: Matrix, shift: Matrix) -> Matrix:
    """Confidences moved by log-odds; what no opinion touches keeps its confidence to the last digit."""
    if not shift.any():
        return confidence
    moved = sigmoid((logit(confidence) + shift).astype(np.float32))
    result: Matrix = np.where(np.abs(shift) < 1e-6, confidence, moved).astype(np.float32)
    return result


def unaided(confidence: float, evidence: Mapping[str, float]) -> float:
    """The confidence of a candidate without the share of an opinion."""
    share = evidence.get("llm", 0.0)
    if not share:
        return confidence
    safe = min(1.0 - 1e-6, max(1e-6, confidence))
    return float(sigmoid(np.array([log(safe / (1.0 - safe)) - share], np.float32))[0])


def _cautious(right: int, tried: int) -> float:
    """Mean, less CAUTION standard deviations, of what a test of this length and result leaves likely."""
    a, b = right + 1.0, tried - right + 1.0
    mean = a / (a + b)
    return max(0.0, mean - CAUTION * sqrt(mean * (1.0 - mean) / (a + b + 1.0)))


def _log(over: float, under: float) -> float:
    return log(max(over, 1e-6) / max(under, 1e-6))
