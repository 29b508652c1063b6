"""Fields compete: a source that is plainly better used elsewhere steps back."""

from __future__ import annotations

import numpy as np

from mapper_ai.core.scoring import logit, sigmoid
from mapper_ai.core.signals import Matrix

# A source that feeds one target well may feed another nearly as well (order number: invoice number and reference);
# within this many log-odds nothing is taken away.
TOLERANCE = 1.0
# Log-odds lost per log-odds a pair stays behind the best pair of its source, beyond the tolerance.
PRESSURE = 0.35
# Nothing is lost beyond this, so that a strong rival cannot hide a candidate altogether.
MAX_LOSS = 2.0


def compete(confidence: Matrix) -> Matrix:
    """Lower a pair whose source is much better used elsewhere.

    Args:
        confidence: source x target, in [0, 1].

    Returns:
        A new matrix; the best pair of every source keeps its value.
    """
    if not confidence.size:
        return confidence
    odds = logit(confidence)
    behind = odds.max(axis=1, keepdims=True) - odds - TOLERANCE
    return sigmoid(odds - np.clip(PRESSURE * behind, 0.0, MAX_LOSS).astype(np.float32))
