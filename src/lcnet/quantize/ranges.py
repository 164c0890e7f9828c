"""What every layer's input looked like on the calibration pictures: a histogram of each channel, kept on the fly.

Memory does not depend on how many pictures there were. Out of the histograms come the ranges that the codes cover.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from ..arch import Arch
from ..config import Preprocessing
from ..modelfile.quantized import STEM, AnyLayer
from .network import LOWEST, Layer, run

BINS = 1024
HEADROOM = 1.25  # times the largest value seen: other pictures have larger ones
HEADROOM_POOLED = 1.5  # after the average a channel has one value a picture: the largest seen says less
FLOOR = 1 / 64  # of the layer's median range: a channel that was silent on the calibration pictures may speak on others
SHRINK = np.linspace(1.0, 0.4, 25)  # of the range, tried by "mse"


@dataclass
class Histogram:
    """Counts of each channel's values from `LOWEST` on, over `width`, which doubles as larger values come."""

    low: np.ndarray  # [C]
    high: np.ndarray
    width: np.ndarray
    counts: np.ndarray  # int64 [C, BINS]

    @classmethod
    def empty(cls, channels: int) -> Histogram:
        """Begin with nothing."""
        zeros = np.zeros(channels, np.float32)
        return cls(zeros, zeros.copy(), np.full(channels, 0.125), np.zeros((channels, BINS), np.int64))

    def add(self, values: np.ndarray) -> None:
        """Count values, float32 [C, any]."""
        self.low, self.high = np.minimum(self.low, values.min(axis=1)), np.maximum(self.high, values.max(axis=1))
        while (wide := self.high - LOWEST >= self.width).any():
            halved = self.counts[wide].reshape(-1, BINS // 2, 2).sum(axis=2)
            self.counts[wide] = np.concatenate([halved, np.zeros_like(halved)], axis=1)
            self.width[wide] *= 2
        at = ((values - np.float32(LOWEST)) * (BINS / self.width).astype(np.float32)[:, None]).astype(np.int32)
        at = np.clip(at, 0, BINS - 1, out=at) + np.arange(len(values), dtype=np.int32)[:, None] * BINS
        self.counts += np.bincount(at.ravel(), minlength=self.counts.size).reshape(self.counts.shape)

    @property
    def centers(self) -> np.ndarray:
        """The middle of each bin, [C, BINS]."""
        return LOWEST + (np.arange(BINS) + 0.5) * self.width[:, None] / BINS


@dataclass
class Statistics:
    """The histograms of all layers' inputs, by the layer's name, without the stem's: pixels are known."""

    histograms: dict[str, Histogram] = field(default_factory=dict)

    def add(self, layer: Layer, state: np.ndarray) -> None:
        """Count the input of a layer, as `network.run` yields it."""
        if layer.name != STEM:
            values = state.reshape(len(state), -1) * np.float32(1 / layer.factor)
            self.histograms.setdefault(layer.name, Histogram.empty(len(state))).add(values)


def collect(
    arch: Arch, layers: Mapping[str, AnyLayer], preprocessing: Preprocessing, batches: Iterable[np.ndarray]
) -> Statistics:
    """Run ready input, batches of float32 [N,C,H,W], through the float network and count what every layer gets."""
    statistics = Statistics()
    for x in batches:
        for layer, state, _ in run(arch, layers, preprocessing, x):
            statistics.add(layer, state)
    return statistics


def choose(layer: Layer, histogram: Histogram, method: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the range [lo, hi] that each channel's codes should cover, float64 [C]; it includes 0."""
    if layer.kind == "linear":  # an average has one value a picture: too few for a histogram
        lo, hi = _widened(histogram, HEADROOM_POOLED)
    else:
        lo, hi = METHODS[method](histogram)
    lo = np.clip(lo.astype(np.float64), layer.lowest, 0)
    hi = np.maximum(hi.astype(np.float64), 0)
    return lo, np.maximum(hi, FLOOR * max(float(np.median(hi - lo)), 1e-6) + lo)


def _widened(histogram: Histogram, headroom: float = HEADROOM) -> tuple[np.ndarray, np.ndarray]:
    """The seen range, with room for values that other pictures have."""
    return histogram.low * headroom, histogram.high * headroom


def _least_squares(histogram: Histogram) -> tuple[np.ndarray, np.ndarray]:
    """The part of the seen range whose codes, clipped outside, have the smallest squared error."""
    best, where = np.full(len(histogram.low), np.inf), np.ones(len(histogram.low))
    centers, lo = histogram.centers, np.minimum(histogram.low, 0)[:, None]
    for shrink in SHRINK:
        hi = np.maximum(histogram.high * shrink, 1e-6)[:, None]
        inside = np.clip(centers, lo, hi)
        error = (histogram.counts * ((centers - inside) ** 2 + ((hi - lo) / 255) ** 2 / 12)).sum(axis=1)
        where, best = np.where(error < best, shrink, where), np.minimum(error, best)
    return histogram.low, histogram.high * where


METHODS: dict[str, Callable[[Histogram], tuple[np.ndarray, np.ndarray]]] = {"minmax": _widened, "mse": _least_squares}
