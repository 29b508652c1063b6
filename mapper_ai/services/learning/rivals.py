"""Other models on the same features, to see whether the plain one gives anything away. Nothing of them is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mapper_ai.core.features import FEATURES
from mapper_ai.core.model import Model, Odds
from mapper_ai.core.signals import Matrix
from mapper_ai.services.learning.lessons import Fit, Rows


@dataclass(frozen=True)
class Estimated(Model):
    """A model whose log-odds come from an estimator of scikit-learn."""

    estimator: Any = field(default=None, kw_only=True)

    def odds(self, features: Matrix | Odds) -> Odds:
        """See Model."""
        probability = np.clip(self.estimator.predict_proba(features.astype(np.float64))[:, 1], 1e-5, 1.0 - 1e-5)
        result: Odds = np.round(np.log(probability / (1.0 - probability)), 4)
        return result


def logistic(rows: Rows, _near: Model | None) -> Model:
    """scikit-learn's logistic regression: weights of any sign, pulled to zero."""
    from sklearn.linear_model import LogisticRegression

    return _fitted(LogisticRegression(C=1.0, max_iter=3000), rows)


def boosting(rows: Rows, _near: Model | None) -> Model:
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
    return _fitted(model, rows)


RIVALS: Mapping[str, Fit] = {"free logistic": logistic, "monotone boosting": boosting}


def _fitted(estimator: Any, rows: Rows) -> Model:
    features, right, weight = (np.concatenate([row[part] for row in rows]) for part in range(3))
    return Estimated({}, 0.0, estimator=estimator.fit(features, right, sample_weight=weight))
