"""How good answers are: plain numpy on scores and targets, independent of pictures, models and files.

Every function states its definition. What cannot be measured (a class without pictures, a precision without answers) is
NaN, never a number that stands for something else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

Z95 = 1.959963984540054  # standard deviations to each side that hold 95% of a normal distribution
BINS = 15  # of equal width, for the calibration error
REPEATS = 1000  # of the bootstrap


class Estimate(NamedTuple):
    """A value with its 95% interval, NaN where there is none."""

    value: float
    low: float = float("nan")
    high: float = float("nan")


class Bin(NamedTuple):
    """Pictures whose confidence is in (low, high]: how many, their mean confidence, and the share that is right."""

    low: float
    high: float
    pictures: int
    confidence: float
    accuracy: float


class PerClass(NamedTuple):
    """Counts int64 [K], and rates float64 [K] that are NaN where nothing can be measured."""

    support: np.ndarray  # pictures of the class
    predicted: np.ndarray  # answers that name it
    right: np.ndarray  # both
    precision: np.ndarray  # right / predicted
    recall: np.ndarray  # right / support
    f1: np.ndarray  # 2 right / (support + predicted); NaN without support


def share(right: int, total: int) -> Estimate:
    """A proportion and its Wilson score interval (1927), which stays within 0 and 1 and holds for few pictures too."""
    if not total:
        return Estimate(float("nan"))
    p, spread = right / total, Z95**2 / total
    center, half = p + spread / 2, Z95 * np.sqrt(p * (1 - p) / total + spread / (4 * total))
    low, high = (center - half) / (1 + spread), (center + half) / (1 + spread)
    return Estimate(p, 0.0 if not right else float(low), 1.0 if right == total else float(high))


def ranks(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """How many classes come before the target, int64 [N]; of equal scores [N,K] the first class comes first."""
    at = scores[np.arange(len(scores)), targets][:, None]
    before = np.arange(scores.shape[1]) < targets[:, None]
    return ((scores > at) | ((scores == at) & before)).sum(axis=1)


def confusions(targets: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """The entries of the confusion matrix that are not zero, int64 [M,3]: true class, answer, pictures; most first."""
    pairs, counts = np.unique(targets * classes + predicted, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return np.stack([pairs // classes, pairs % classes, counts], axis=1)[order]


def per_class(support: np.ndarray, predicted: np.ndarray, right: np.ndarray) -> PerClass:
    """Precision, recall and F1 of each class from its counts."""
    precision, recall = _ratio(right, predicted), _ratio(right, support)
    f1 = np.where(support > 0, _ratio(2 * right, support + predicted), np.nan)
    return PerClass(support, predicted, right, precision, recall, f1)


def class_counts(targets: np.ndarray, predicted: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Support, answers and right answers of each class, int64 [K], from one target and one answer a picture, int64 [N]."""
    support, answers, right = (np.bincount(c, minlength=classes) for c in (targets, predicted, targets[targets == predicted]))
    return support, answers, right


def macro(support: np.ndarray, predicted: np.ndarray, right: np.ndarray) -> tuple[float, float, float]:
    """Means of precision, recall and F1 over the classes that have pictures; one that is never answered has precision 0.

    The mean recall is the balanced accuracy.
    """
    present = support > 0
    classes = np.count_nonzero(present)
    if not classes:
        return (float("nan"),) * 3
    wholes = (np.maximum(predicted, 1), np.maximum(support, 1), (support + predicted + (~present)) / 2)
    precision, recall, f1 = (float((right / whole)[present].sum() / classes) for whole in wholes)
    return precision, recall, f1


def calibration(confidence: np.ndarray, right: np.ndarray) -> tuple[float, list[Bin]]:
    """Return the expected calibration error (Guo et al. 2017) and its bins: `BINS` of equal width, closed to the right.

    The error is the mean over pictures of |accuracy - mean confidence| of their bin. confidence: [N], 0 to 1.
    """
    number = np.clip(np.ceil(confidence.astype(np.float64) * BINS).astype(np.int64) - 1, 0, BINS - 1)
    counts = np.bincount(number, minlength=BINS)
    sums = (np.bincount(number, weights=values.astype(np.float64), minlength=BINS) for values in (confidence, right))
    mean, accuracy = (_ratio(s, counts) for s in sums)
    error = float(np.nansum(np.abs(accuracy - mean) * counts) / max(1, len(number)))
    edges = np.linspace(0, 1, BINS + 1)
    rows = zip(edges[:-1], edges[1:], counts, mean, accuracy, strict=True)
    return error, [Bin(float(a), float(b), int(n), float(c), float(d)) for a, b, n, c, d in rows]


def average_precision(scores: np.ndarray, positive: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Return the mean of the precision at each positive, by falling score: the area under the curve without interpolation.

    Equal scores are one step, as scikit-learn has it. scores, positive, weights: [N]; NaN if nothing is positive.
    """
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)
    return _area(order, ends, positive, np.ones(len(order)) if weights is None else weights)


def _area(order: np.ndarray, ends: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> float:
    weight = weights[order]
    found = np.cumsum(weight * positive[order])[ends]
    if not len(found) or not found[-1]:
        return float("nan")
    precision = found / np.maximum(np.cumsum(weight)[ends], 1e-300)
    return float(np.sum(np.diff(found, prepend=0.0) * precision) / found[-1])


def mean_average_precision(scores: np.ndarray, positive: np.ndarray, repeats: int = 0) -> tuple[Estimate, np.ndarray]:
    """Return the mean of the classes' average precisions with a bootstrap interval, and those, float64 [K].

    scores, positive: [N,K]. repeats: of the bootstrap over pictures; 0: no interval. Classes without positives are left out.
    """
    number = scores.shape[1]
    orders = [np.argsort(-scores[:, k], kind="stable") for k in range(number)]
    ends = [np.append(np.flatnonzero(np.diff(scores[o, k])), len(o) - 1) for k, o in enumerate(orders)]

    def areas(weights: np.ndarray) -> np.ndarray:
        return np.array([_area(orders[k], ends[k], positive[:, k], weights) for k in range(number)])

    each = areas(np.ones(len(scores)))
    if not repeats:
        return Estimate(_mean(each)), each
    rng = np.random.default_rng(0)
    size = len(scores)
    means = [_mean(areas(np.bincount(rng.integers(size, size=size), minlength=size))) for _ in range(repeats)]
    low, high = np.nanpercentile(means, [2.5, 97.5])
    return Estimate(_mean(each), float(low), float(high)), each


def bootstrap(statistic: Callable[[np.ndarray], tuple[float, ...]], size: int, repeats: int = REPEATS) -> list[Estimate]:
    """Return each value of `statistic` of the pictures 0 to `size` - 1 with its 95% percentile interval.

    The pictures are drawn with replacement, `repeats` times (0: no interval), from the same seed every time.
    """
    if not repeats:
        return [Estimate(float(v)) for v in statistic(np.arange(size))]
    rng = np.random.default_rng(0)
    drawn = np.array([statistic(rng.integers(size, size=size)) for _ in range(repeats)])
    low, high = np.nanpercentile(drawn, [2.5, 97.5], axis=0)
    values = statistic(np.arange(size))
    return [Estimate(float(v), float(a), float(b)) for v, a, b in zip(values, low, high, strict=True)]


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=np.asarray(whole) > 0)


def _mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
