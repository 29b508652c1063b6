"""Other models on the same features, to see whether the plain one gives anything away. Nothing of them is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from mapper_ai.core.features import FEATURES
from mapper_ai.services.learning.fitting import Array

Rows = Sequence[tuple[Array, Array, Array]]
# Examples -> a function from features to log-odds.
Fit = Callable[[Rows], Callable[[Array], Array]]


def logistic(rows: Rows) -> Callable[[Array], Array]:
    """scikit-learn's logistic regression: weights of any sign, pulled to zero."""
    from sklearn.linear_model import LogisticRegression

    return _odds(LogisticRegression(C=1.0, max_iter=3000), rows)


def boosting(rows: Rows) -> Callable[[Array], Array]:
    """Small trees, boosted; more of a feature never lowers the odds."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    model = HistGradientBoostingClassifier(
        max_iter=80,
        max_leaf_nodes=6,
        learning_rate=0.08,
        l2_regularization=5.0,
        min_samples_leaf=30,
        monotonic_cst=[1] * len(FEATURES),
        random_state=0,
    )
    return _odds(model, rows)


RIVALS: Mapping[str, Fit] = {"free logistic": logistic, "monotone boosting": boosting}


def _odds(model: object, rows: Rows) -> Callable[[Array], Array]:
    features, right, weight = (np.concatenate([row[part] for row in rows]) for part in range(3))
    model.fit(features, right, sample_weight=weight)  # type: ignore[attr-defined]  # any estimator of scikit-learn

    def odds(given: Array) -> Array:
        probability: Array = model.predict_proba(given)[:, 1]  # type: ignore[attr-defined]
        safe = np.clip(probability, 1e-5, 1.0 - 1e-5)
        result: Array = np.log(safe / (1.0 - safe))
        return result

    return odds
