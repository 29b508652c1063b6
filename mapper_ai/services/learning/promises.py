"""What auto-accept may promise: how often it went wrong on platform pairs left out, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mapper_ai.core.model import Promise

_AT = tuple(round(0.5 + step / 100, 2) for step in range(50))
_DRAWS = 1000
_SEED = 20_260_101


@dataclass(frozen=True)
class Taken:
    """A match that could be accepted without a person: where it stood, how sure it was, whether it was right."""

    group: str
    confidence: float
    right: bool


def promises(taken: Sequence[Taken], *, gold: int) -> tuple[Promise, ...]:
    """What was measured at each confidence from 0.5, by the hundredth.

    Args:
        taken: Of left-out platform pairs, without money, taxes and keys.
        gold: Targets with a source, of all kinds.
    """
    return tuple(_promise(taken, at, max(1, gold)) for at in _AT)


def _promise(taken: Sequence[Taken], at: float, gold: int) -> Promise:
    sure = [row for row in taken if row.confidence >= at]
    wrong = sum(not row.right for row in sure)
    low, high = _interval(taken, at)
    return Promise(
        at=at,
        count=len(sure),
        wrong=wrong,
        expected=round(sum(1.0 - row.confidence for row in sure) / len(sure), 4) if sure else 0.0,
        low=round(low, 4),
        # A clean sweep proves little.
        high=round(max(high, _wilson_high(wrong, len(sure))), 4),
        covered=round((len(sure) - wrong) / gold, 4),
    )


def _interval(taken: Sequence[Taken], at: float) -> tuple[float, float]:
    """95 % interval of the wrong share, platform pairs drawn anew, the same draws in every run."""
    by_group: Mapping[str, list[int]] = {group: [0, 0] for group in sorted({row.group for row in taken})}
    for row in taken:
        if row.confidence >= at:
            by_group[row.group][0] += 1
            by_group[row.group][1] += not row.right
    if not by_group:
        return 0.0, 1.0
    pairs = np.array(list(by_group.values()), dtype=float)
    draws = np.random.default_rng(_SEED).integers(0, len(pairs), size=(_DRAWS, len(pairs)))
    sums = pairs[draws].sum(axis=1)
    low, high = np.percentile(sums[:, 1] / np.maximum(1.0, sums[:, 0]), [2.5, 97.5])
    return float(low), float(high)


def _wilson_high(wrong: int, count: int) -> float:
    """Upper end of Wilson's 95 % interval of a share."""
    if not count:
        return 1.0
    z = 1.96
    share, spread = wrong / count, z * z / count
    middle = share + spread / 2 + z * float(np.sqrt(share * (1 - share) / count + spread / count / 4))
    return min(1.0, middle / (1 + spread))
