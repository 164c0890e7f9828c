"""The parallel depthwise convolutions of a training, and the one that they become in a model file.

A convolution of a smaller kernel is one of the largest with zeros around, and so the sum of them all, each with its batch
norm, is one convolution with a bias.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from ..arch import Arch, Conv
from .values import scale_and_bias

_LIST = ".dw_conv_list."  # timm's and PaddleClas's name of them


def is_branched(keys: Iterable[str]) -> bool:
    """Whether tensors of these names are those of a network with its branches."""
    return any(_LIST in key for key in keys)


def fused(weights: Mapping[str, np.ndarray], arch: Arch, eps: float) -> dict[str, np.ndarray]:
    """The weights with one convolution in the place of the branches; those of a network that has none are as they were."""
    if not is_branched(weights):
        return dict(weights)
    kernels = {conv.layer: conv for conv in arch.convs()}
    sums: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for branch in arch.convs(branches=True):
        if _LIST in branch.conv:
            kernel, bias = _folded(weights, branch, kernels[branch.layer].shape[2], eps)
            before = sums.get(branch.layer, (0, 0))
            sums[branch.layer] = before[0] + kernel, before[1] + bias
    out = {key: value for key, value in weights.items() if _LIST not in key}
    with np.errstate(over="ignore"):  # what does not fit becomes Inf, which the model file refuses by the tensor's name
        for layer, parts in sums.items():
            kernel, bias = (part.astype(np.float32) for part in parts)
            out |= {f"{kernels[layer].conv}.weight": kernel, f"{kernels[layer].conv}.bias": bias}
    return out


def _folded(weights: Mapping[str, np.ndarray], branch: Conv, size: int, eps: float) -> tuple[np.ndarray, np.ndarray]:
    """A branch's kernel, its batch norm folded in and with zeros up to `size`, and its bias, in double precision."""
    assert branch.norm is not None
    scale, bias = scale_and_bias(weights, branch.norm, eps)
    around = (size - branch.shape[2]) // 2
    pads = ((0, 0), (0, 0), (around, around), (around, around))
    return np.pad(weights[f"{branch.conv}.weight"] * scale[:, None, None, None], pads), bias
