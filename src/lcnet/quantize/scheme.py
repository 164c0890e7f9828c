"""From float layers and ranges to int8 layers: equalisation, input codes, rounded weights.

A per-channel input scale folds into the weights' columns before they are rounded, so every activation can have a scale for
each channel at no cost. docs/int8.md explains the choices.
"""

from __future__ import annotations

import numpy as np

from ..config import Preprocessing
from ..modelfile.fold import FoldedLayer
from ..modelfile.quantized import LARGEST_WEIGHT, SMALLEST_SCALE, QuantizedLayer
from .network import Layer

EQUALIZATION = 0.25  # how far the columns of a pointwise layer are evened out: 0 not at all, 1 to one size
MOST_EQUALIZED = 16.0  # times that a channel's codes may be made coarser for it


def quantize_stem(tensors: FoldedLayer, preprocessing: Preprocessing) -> QuantizedLayer:
    """The stem on pixels from 0 to 255: the deviation goes into the weights and the mean into the bias."""
    weight, bias = tensors
    mean, std = (np.asarray(v, np.float64) for v in (preprocessing.mean, preprocessing.std))
    scale = (1 / (255 * std)).astype(np.float32)
    codes, multiplier = rounded(weight * scale.astype(np.float64)[:, None, None])
    effective = codes * multiplier.astype(np.float64)[:, None, None, None]
    shift = (effective * (255 * mean)[:, None, None]).sum(axis=(1, 2, 3))
    zero = np.rint(255 * mean).astype(np.uint8)
    return QuantizedLayer(codes, multiplier, (bias - shift).astype(np.float32), scale, zero)


def quantize_layer(
    layer: Layer, tensors: FoldedLayer, lo: np.ndarray, hi: np.ndarray, equalization: float = EQUALIZATION
) -> QuantizedLayer:
    """One layer whose input channels are to cover [lo, hi], float64 [in]."""
    weight, bias = tensors
    scale = (hi - lo) / 255
    if layer.kind != "depthwise":
        scale = scale * _evened(weight.reshape(len(weight), -1) * scale, equalization)
    scale = scale.astype(np.float32)
    zero = np.clip(np.rint(-lo / ((hi - lo) / 255)), 0, 255)
    if layer.kind != "depthwise":
        zero = np.clip(np.rint(-lo / scale), 0, 255)
    columns = (-1, 1, 1, 1) if layer.kind == "depthwise" else (1, -1, *(1,) * (weight.ndim - 2))
    codes, multiplier = rounded(weight * scale.astype(np.float64).reshape(columns))
    return QuantizedLayer(codes, multiplier, bias, scale, zero.astype(np.uint8))


def _evened(columns: np.ndarray, strength: float) -> np.ndarray:
    """The factor by which each input's codes get coarser so that its column of weights gets larger."""
    size = np.abs(columns).max(axis=0)
    least = size.max() * MOST_EQUALIZED ** (-1 / strength) if strength else 1.0
    return (size.max() / np.maximum(size, least)) ** strength if size.any() else np.ones_like(size)


def rounded(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Round each output's weights to int8: the codes and their scale, float32 [out].

    Of a dead channel, whose weights decayed to nothing a float32 scale can state, all codes are 0.
    """
    largest = np.abs(weight).reshape(len(weight), -1).max(axis=1)
    scale = (largest / LARGEST_WEIGHT).astype(np.float32)
    scale = np.where(scale >= SMALLEST_SCALE, scale, np.float32(1))
    codes = np.rint(weight / scale.astype(np.float64).reshape(-1, *(1,) * (weight.ndim - 1)))
    return np.clip(codes, -LARGEST_WEIGHT, LARGEST_WEIGHT).astype(np.int8), scale
