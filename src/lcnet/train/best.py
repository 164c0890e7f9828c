"""Which epoch is kept: the one of the smallest loss among those whose metric is as good as the best, as far as can be told.

Of 48 pictures one more or less right says nothing, and the loss says more. So a metric counts as the best as long as it lies
within the 95% interval of the highest so far, and of such epochs the loss decides. The weights that a run starts from are an
epoch too, number 0, where they know every class, and are kept in the end unless training has bettered them. That is looked at
once, in the last epoch: of many epochs some are better by chance, and the last ones show best what a run comes to.
"""

from __future__ import annotations

import math

import numpy as np

from ..evaluate.metrics import share
from .checkpoint import Place
from .validation import METRICS, Measured

CHANCE = 0.674  # standard errors of a mean difference, which chance exceeds one time in four


def better(place: Place, epoch: int, metric: str, found: Measured | None) -> bool:
    """Whether an epoch is to be kept in place of the one in `place`, which is told of it.

    found: of the validation pictures; without any the last epoch is kept.
    """
    value, loss = (found.metrics[metric], _finite(found.metrics["loss"], math.inf)) if found else (None, None)
    kept = found is None or place.best is None or _beats(place, metric, found)
    if METRICS[metric][0] and value is not None:
        place.top = max(_finite(value, 0.0), place.top or 0.0)
    if kept:
        place.best, place.best_loss, place.best_epoch = value, loss, epoch
    return kept


def _beats(place: Place, metric: str, found: Measured) -> bool:
    value, smaller = found.metrics[metric], _finite(found.metrics["loss"], math.inf) < _finite(place.best_loss, math.inf)
    if not METRICS[metric][0]:
        return smaller
    top = max(_finite(value, 0.0), place.top or 0.0)
    low = max(_low(top, len(found.losses)), min(_finite(place.floor, 0.0), top))
    return value >= low and (smaller or _finite(place.best, 0.0) < low)


def keep_start(place: Place, metric: str, start: np.ndarray, last: np.ndarray) -> bool:
    """Whether the start is to be kept after all, of which `place` is told. start, last: what `losses` says of both."""
    larger, floor, best = METRICS[metric][0], _finite(place.floor, 0.0), _finite(place.best, 0.0)
    if bettered(start, last) and (best >= floor if larger else best <= floor):
        return False
    place.best, place.best_loss, place.best_epoch = place.floor, None, 0
    return True


def bettered(before: np.ndarray, after: np.ndarray) -> bool:
    """Whether the same pictures, float [N] each, have a smaller loss after than before by more than chance: a paired test."""
    gain = before.astype(np.float64) - after
    return len(gain) > 1 and bool(gain.mean() > CHANCE * gain.std(ddof=1) / math.sqrt(len(gain)))


def _low(value: float, pictures: int) -> float:
    """The lower end of the interval of a share of so many pictures (Wilson); near enough for means over classes too."""
    return share(round(value * pictures), pictures).low


def _finite(value: float | None, otherwise: float) -> float:
    return value if value is not None and math.isfinite(value) else otherwise
