"""Batch norm folded into the convs before it: the network as the plain layers that the runtime and the exports work with.

So is the slope of a hard-sigmoid: every gate of a folded network has 1/6.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .. import _native
from ..arch import Arch, Conv, Stride
from ..errors import InputError
from . import ModelFile
from .quantized import CLASSIFIER, HEAD, STEM, sloped
from .values import norm_keys

FoldedLayer = tuple[np.ndarray, np.ndarray]  # weight, bias; float32


@dataclass(frozen=True)
class FoldedBlock:
    """One block: depthwise [C,1,k,k] and one or two pointwise [N,C], each with the activation; squeeze-and-excite or none.

    `shortcut`: the block's input is added behind the last activation.
    """

    name: str
    strides: Stride
    depthwise: FoldedLayer
    squeeze_excite: tuple[FoldedLayer, FoldedLayer] | None  # reduce [C/4,C], expand [C,C/4]
    pointwise: FoldedLayer
    pointwise2: FoldedLayer | None = None
    shortcut: bool = False


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
    arch = model.config.arch
    layers = {conv.layer: _folded(model.weights, conv, model.config.bn_eps) for conv in arch.convs()}
    blocks = []
    for name, block in arch.blocks():
        gates = None
        if block.se_channels:
            gates = layers[f"{name}.se.conv_reduce"], sloped(layers[f"{name}.se.conv_expand"], arch.hard_sigmoid_slope)
        depthwise, pointwise = layers[f"{name}.conv_dw"], layers[f"{name}.conv_pw"]
        second = layers.get(f"{name}.conv_pw2")
        blocks.append(FoldedBlock(name, block.strides, depthwise, gates, pointwise, second, block.shortcut))
    return Folded(arch, layers[STEM], tuple(blocks), layers.get(HEAD), layers.get(CLASSIFIER))


def _folded(weights: Mapping[str, np.ndarray], conv: Conv, eps: float) -> FoldedLayer:
    """A layer with its batch norm in it, or with its own bias; what has no kernel as a matrix."""
    w = weights[f"{conv.conv}.weight"]
    if conv.norm:
        folded, bias = np.empty_like(w, order="C"), np.empty(len(w), np.float32)
        gamma, beta, mean, var = (weights[key] for key in norm_keys(conv.norm))
        _native.fold(w, gamma, beta, mean, var, eps, folded, bias)
        w = folded
    else:
        bias = weights[f"{conv.conv}.bias"] if conv.bias else np.zeros(len(w), np.float32)
    return w if conv.shape[2:] not in ((), (1, 1)) else w.reshape(w.shape[:2]), bias
