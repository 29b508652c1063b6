"""How earlier decisions shift confidences, whatever scorer these come from."""

from __future__ import annotations

import numpy as np

from mapper_ai.core.scoring import logit, sigmoid
from mapper_ai.core.signals import Matrix

# Log-odds that full agreement adds, full refusal takes.
SHIFT = 8.0
# What an accepted pair takes from the other candidates of its target.
DISPLACED = 4.0
# From here on a pair stands first among its target's candidates, or below acceptance.
FIRM = 0.5
_REFUSED_AT_MOST = 0.05


def recalled(confidence: Matrix, history: Matrix) -> Matrix:
    """Confidences shifted by the history signal, whatever scorer they come from.

    A firmly accepted pair stands first among its target's candidates, a firmly refused one below acceptance.
    """
    if not history.any():
        return confidence
    best = np.maximum(history.max(axis=0, keepdims=True), 0.0)
    shift = SHIFT * history - DISPLACED * np.where(history <= 0.0, best, 0.0)
    shifted = sigmoid((logit(confidence) + shift).astype(np.float32))
    # What history does not touch keeps its confidence to the last digit.
    shifted = np.where(np.abs(shift) < 1e-6, confidence, shifted)
    others = np.where(history >= FIRM, 0.0, shifted).max(axis=0, keepdims=True)
    floor = np.minimum(0.99, others + (1.0 - others) / 2.0) * np.minimum(1.0, 0.9 + history / 10.0)
    shifted = np.where(
        history >= FIRM, np.maximum(shifted, np.maximum(floor, np.nextafter(others, np.float32(1)))), shifted
    )
    result: Matrix = np.where(history <= -FIRM, np.minimum(shifted, _REFUSED_AT_MOST), shifted).astype(np.float32)
    return result
