"""Ridge regression in closed form, and what it would have said of each picture had it not seen it, for all strengths at once.

One eigendecomposition a set of features: of the covariance, or of the pictures' products where there are fewer pictures. With
hat values h the error without a picture is its residual / (1 - h) (Allen's PRESS, 1974; Cook and Weisberg 1982).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

# The penalty is strength x sum of weights x squared coefficients, of standardised features and targets of -1 and 1.
STRENGTHS = tuple(10.0**e for e in np.arange(-4, 2.5, 0.5))
_CLOSEST = 1e-6  # that a hat value comes to 1, where a picture is all that decides of itself


class LeftOut(NamedTuple):
    """What is said of pictures that were left out, float64 [N,K], with one strength."""

    strength: float
    said: np.ndarray


def left_out(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> list[LeftOut]:
    """Leave each picture out in turn. x: float64 [N,D], y: float64 [N,K], weights: float64 [N], positive."""
    total, root = weights.sum(), np.sqrt(weights)[:, None]
    mean = weights @ y / total
    centered, targets = (x - weights @ x / total) * root, (y - mean) * root
    values, vectors = _decomposed(centered)
    spread, squares, own = vectors.T @ targets, vectors**2, weights / total
    rows = []
    for strength in STRENGTHS:
        kept = values / (values + strength * total)
        hat = np.minimum(squares @ kept + own, 1 - _CLOSEST)
        residual = (targets - vectors @ (kept[:, None] * spread)) / (1 - hat)[:, None]
        rows.append(LeftOut(strength, (targets - residual) / root + mean))
    return rows


def _decomposed(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The squared singular values and left singular vectors of x [N,D], without those that are zero."""
    wide = x.shape[0] <= x.shape[1]
    values, vectors = np.linalg.eigh(x @ x.T if wide else x.T @ x)
    there = values > max(values[-1], 0.0) * 1e-10
    values, vectors = values[there], vectors[:, there]
    return values, vectors if wide else x @ vectors / np.sqrt(values)
