"""Which epoch is kept: the one of the smallest loss among those whose metric is as good as the best, as far as can be told.

Of 48 pictures one more or less right says nothing, and the loss says more. So a metric counts as the best as long as it lies
within the 95% interval of the highest so far, and of such epochs the loss decides. The weights that a run starts from are an
epoch too, number 0, where they know every class: what takes their place has no lower metric and is better beyond doubt.
"""

from __future__ import annotations

import math

import numpy as np

from ..evaluate.metrics import share
from .checkpoint import Place
from .validation import METRICS, Measured

DOUBT = 2.576  # standard errors of a mean difference: 99%


def better(place: Place, epoch: int, metric: str, found: Measured | None, start: np.ndarray | None = None) -> bool:
    """Whether an epoch is to be kept in place of the one in `place`, which is told of it.

    found: of the validation pictures; without any the last epoch is kept. start: the losses of epoch 0.
    """
    value, loss = (found.metrics[metric], _finite(found.metrics["loss"], math.inf)) if found else (None, None)
    kept = found is None or place.best is None or _beats(place, metric, found, start)
    if METRICS[metric][0] and value is not None:
        place.top = max(_finite(value, 0.0), place.top or 0.0)
    if kept:
        place.best, place.best_loss, place.best_epoch = value, loss, epoch
    if not epoch:
        place.floor = value
    return kept


def _beats(place: Place, metric: str, found: Measured, start: np.ndarray | None) -> bool:
    value, loss = found.metrics[metric], _finite(found.metrics["loss"], math.inf)
    smaller = loss < _finite(place.best_loss, math.inf)
    if place.best_epoch == 0 and start is not None:
        smaller &= beyond_doubt(start, found.losses)
    if not METRICS[metric][0]:
        return smaller
    low = max(_low(max(_finite(value, 0.0), place.top or 0.0), len(found.losses)), _finite(place.floor, 0.0))
    return value >= low and (smaller or _finite(place.best, 0.0) < low)


def beyond_doubt(before: np.ndarray, after: np.ndarray) -> bool:
    """Whether the same pictures, float [N] each, have a smaller loss after than before, by a paired test."""
    gain = before.astype(np.float64) - after
    return len(gain) > 1 and bool(gain.mean() > DOUBT * gain.std(ddof=1) / math.sqrt(len(gain)))


def _low(value: float, pictures: int) -> float:
    """The lower end of the interval of a share of so many pictures (Wilson); near enough for means over classes too."""
    return share(round(value * pictures), pictures).low


def _finite(value: float | None, otherwise: float) -> float:
    return value if value is not None and math.isfinite(value) else otherwise
