"""A linear classifier on features: scikit-learn's logistic regression, with the standardisation folded into its weights.

Multinomial for one label a picture, one against the rest for several. The result reads features as the network gives them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import MissingExtraError
from .choice import Scale

# Times 1 / (strength x pictures) it is logistic regression's C: what holds coefficients of logits back as ridge regression's
# strength does those of targets -1 and 1. Found best, and flat around it, on pictures of two kinds; docs/probe.md.
PER_STRENGTH = 15.0
STEPS = 1000
_RARE = float(np.log(1e-3))  # of a label that no picture has, or of lacking one that all have: its logit, for want of another


@dataclass(frozen=True, eq=False)
class Linear:
    """Logits are features @ weight.T + bias."""

    weight: np.ndarray  # float64 [K,D]
    bias: np.ndarray  # float64 [K]

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """The logits, float64 [N,K], of features [N,D]."""
        return np.asarray(x @ self.weight.T + self.bias)


def require() -> None:
    """Raise `MissingExtraError` where scikit-learn is not installed."""
    from importlib.util import find_spec

    for module, package in (("sklearn", "scikit-learn"), ("scipy", "scipy")):
        if find_spec(module) is None:
            raise MissingExtraError(f"a probe is fitted by {package}, which is not installed: pip install 'lcnet[probe]'")


@contextmanager
def fitting() -> Iterator[None]:
    """Meanwhile a product of matrices has one thread: folds have their own, and on a busy machine more would only wait.

    scikit-learn's warning of too few steps is not shown: after so many it is as good as there.
    """
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def inverse_strength(strength: float, pictures: float) -> float:
    """Logistic regression's C for ridge regression's strength."""
    return PER_STRENGTH / (strength * pictures)


def fit(x: np.ndarray, targets: np.ndarray, weights: np.ndarray, strength: float, classes: int) -> Linear:
    """Fit features [N,D] to targets, int64 [N] or uint8 [N,classes]; `strength` is ridge regression's."""
    scale = Scale.of(x)
    c = inverse_strength(strength, float(weights.sum()))
    return folded(_standardized(scale(x), targets, weights, c, classes), scale)


def folded(linear: Linear, scale: Scale) -> Linear:
    """The same of features as they are, of one of standardised features."""
    weight = linear.weight / scale.deviation
    return Linear(weight, linear.bias - weight @ scale.mean)


def _standardized(x: np.ndarray, targets: np.ndarray, weights: np.ndarray, c: float, classes: int) -> Linear:
    if targets.ndim == 2:
        rows = [_one(x, column, weights, c) for column in targets.T]
        return Linear(np.stack([weight for weight, _ in rows]), np.array([bias for _, bias in rows]))
    there = np.unique(targets)
    weight, bias = np.zeros((classes, x.shape[1])), np.zeros(classes)
    if len(there) > 1:
        model = _fitted(x, targets, weights, c)
        two = len(there) == 2  # one row, of the second class against the first: half of it each
        weight[there] = np.vstack([-model.coef_, model.coef_]) / 2 if two else model.coef_
        bias[there] = np.array([-0.5, 0.5]) * model.intercept_ if two else model.intercept_
    absent = np.setdiff1d(np.arange(classes), there)  # as in a fold of few pictures
    bias[absent] = bias[there].min() + _RARE
    return Linear(weight, bias)


def _one(x: np.ndarray, column: np.ndarray, weights: np.ndarray, c: float) -> tuple[np.ndarray, float]:
    """One label against its absence."""
    if len(np.unique(column)) == 1:
        return np.zeros(x.shape[1]), -_RARE if column[0] else _RARE
    model = _fitted(x, column, weights, c)
    return model.coef_[0], float(model.intercept_[0])


def _fitted(x: np.ndarray, targets: np.ndarray, weights: np.ndarray, c: float) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=c, max_iter=STEPS).fit(x, targets, weights)
