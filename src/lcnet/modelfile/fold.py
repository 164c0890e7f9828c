"""Batch norm folded into the convs before it: the network as the plain layers that the runtime and the exports work with.

So is the slope of a hard-sigmoid: every gate of a folded network has 1/6.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..arch import Arch, Stride
from ..errors import InputError
from . import ModelFile
from .quantized import sloped
from .values import scale_and_bias

FoldedLayer = tuple[np.ndarray, np.ndarray]  # weight, bias; float32


@dataclass(frozen=True)
class FoldedBlock:
    """One block: depthwise [C,1,k,k] and pointwise [N,C], each followed by the activation; squeeze-and-excite or none."""

    name: str
    strides: Stride
    depthwise: FoldedLayer
    squeeze_excite: tuple[FoldedLayer, FoldedLayer] | None  # reduce [C/4,C], expand [C,C/4]
    pointwise: FoldedLayer


@dataclass(frozen=True)
class Folded:
    """The whole network, whose geometry is `arch`'s. The stem is [C,in_chans,3,3], head and classifier are [out,in]."""

    arch: Arch
    stem: FoldedLayer
    blocks: tuple[FoldedBlock, ...]
    head: FoldedLayer | None
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
        gates = None
        if block.se_channels:
            gates = plain(f"{name}.se.conv_reduce"), sloped(plain(f"{name}.se.conv_expand"), arch.hard_sigmoid_slope)
        depthwise, pointwise = folded(f"{name}.conv_dw", f"{name}.bn1"), folded(f"{name}.conv_pw", f"{name}.bn2")
        blocks.append(FoldedBlock(name, block.strides, depthwise, gates, _matrix(pointwise)))
    head = plain("conv_head") if arch.head_channels else None
    classifier = plain("classifier") if arch.num_classes else None
    return Folded(arch, folded("conv_stem", "bn1"), tuple(blocks), head, classifier)


def _matrix(layer: FoldedLayer) -> FoldedLayer:
    w, b = layer
    return w.reshape(w.shape[:2]), b
