"""Batch norm folded into the convs before it: the network as the plain layers that the runtime and the exports work with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from . import ModelFile
from .values import scale_and_bias

FoldedLayer = tuple[np.ndarray, np.ndarray]  # weight, bias; float32


@dataclass(frozen=True)
class FoldedBlock:
    """One block: depthwise [C,1,k,k] and pointwise [N,C], each followed by hard-swish, with squeeze-and-excite or without."""

    name: str
    stride: int
    depthwise: FoldedLayer
    squeeze_excite: tuple[FoldedLayer, FoldedLayer] | None  # reduce [C/4,C], expand [C,C/4]
    pointwise: FoldedLayer


@dataclass(frozen=True)
class Folded:
    """The whole network. The stem is [C,in_chans,3,3] with stride 2, head and classifier are [out,in]."""

    stem: FoldedLayer
    blocks: tuple[FoldedBlock, ...]
    head: FoldedLayer
    classifier: FoldedLayer | None


def fold(model: ModelFile) -> Folded:
    """Fold a model's batch norms: w * gamma / sqrt(var + eps), beta - mean * gamma / sqrt(var + eps), in double precision.

    Raises `InputError` for a quantised model.
    """
    if model.config.quantization:
        raise InputError("the model is quantised: its float weights are gone; take the file that it was made from")
    weights, eps, arch = model.weights, model.config.bn_eps, model.config.arch

    def folded(conv: str, bn: str) -> FoldedLayer:
        scale, bias = scale_and_bias(weights, bn, eps)
        w = weights[f"{conv}.weight"] * scale[:, None, None, None]
        return w.astype(np.float32), bias.astype(np.float32)

    def plain(name: str) -> FoldedLayer:
        return _matrix((weights[f"{name}.weight"], weights[f"{name}.bias"]))

    blocks = []
    for name, block in arch.blocks():
        gates = (plain(f"{name}.se.conv_reduce"), plain(f"{name}.se.conv_expand")) if block.se_channels else None
        depthwise, pointwise = folded(f"{name}.conv_dw", f"{name}.bn1"), folded(f"{name}.conv_pw", f"{name}.bn2")
        blocks.append(FoldedBlock(name, block.stride, depthwise, gates, _matrix(pointwise)))
    classifier = plain("classifier") if arch.num_classes else None
    return Folded(folded("conv_stem", "bn1"), tuple(blocks), plain("conv_head"), classifier)


def _matrix(layer: FoldedLayer) -> FoldedLayer:
    w, b = layer
    return w.reshape(w.shape[:2]), b
