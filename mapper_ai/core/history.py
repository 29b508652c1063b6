"""Earlier decisions as a signal: whoever keeps them answers with one number a pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from mapper_ai.core.fields import Profile
from mapper_ai.core.signals import Matrix

# Log-odds a full word of history adds or takes: enough to overrule everything else.
HISTORY_WEIGHT = 12.0


class HistorySignal(Protocol):
    """What was decided before about these fields or fields like them.

    Any store of decisions can stand behind it; the answer must depend on the profiles and the decisions alone.
    """

    def __call__(self, source: Profile, target: Profile) -> Matrix:
        """One row a source field, one column a target field, in profile order.

        1 says accepted before, -1 refused before, values between speak less loudly, 0 says nothing.
        """
        ...


@dataclass(frozen=True)
class Decision:
    """What a person decided earlier about a pair of paths."""

    source: str
    target: str
    accepted: bool = True


@dataclass(frozen=True)
class SamePaths:
    """The plainest history: decisions count for exactly the same two paths, the last one of a pair."""

    decisions: Sequence[Decision]

    def __call__(self, source: Profile, target: Profile) -> Matrix:
        """1 for pairs accepted before, -1 for refused ones, 0 otherwise."""
        rows = {path: number for number, path in enumerate(source.paths)}
        columns = {path: number for number, path in enumerate(target.paths)}
        matrix = np.zeros((len(rows), len(columns)), dtype=np.float32)
        for decision in self.decisions:
            if decision.source in rows and decision.target in columns:
                matrix[rows[decision.source], columns[decision.target]] = 1.0 if decision.accepted else -1.0
        return matrix


def history_matrix(history: HistorySignal | Sequence[Decision], source: Profile, target: Profile) -> Matrix | None:
    """The matrix a history gives; None when it has nothing to say.

    Raises:
        ValueError: The matrix has another shape, or values outside -1..1.
    """
    signal = history if callable(history) else SamePaths(history)
    if isinstance(signal, SamePaths) and not signal.decisions:
        return None
    matrix = np.asarray(signal(source, target), dtype=np.float32)
    if matrix.shape != (len(source.fields), len(target.fields)):
        raise ValueError(f"history: expected {len(source.fields)} x {len(target.fields)} values, got {matrix.shape}")
    if not (np.isfinite(matrix).all() and (np.abs(matrix) <= 1.0).all()):
        raise ValueError("history: expected values in -1..1")
    return matrix if matrix.any() else None
