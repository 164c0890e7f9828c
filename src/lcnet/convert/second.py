"""PaddleClas's PP-LCNetV2 state dicts -> timm's keys: the names, the convolution that is there twice, and ShiTu's features.

A `.pdparams` has the branches of training and, beside them, the one convolution that its last evaluation made of them: that one
is left out. PPLCNetV2_base_ShiTu, whose features are the answer, is known by the bias of its last convolution, or by its neck.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..arch import BN_EPS, Arch
from ..errors import ModelFileError
from ..modelfile import infer_arch
from ..modelfile.branches import is_branched
from ..modelfile.values import scale_and_bias
from ..text import quoted
from .find import NECK

SIGN = "stem.0.bn._mean"  # timm calls the same tensor otherwise
_PARTS = {
    "se.fc1": "se.conv1",
    "se.fc2": "se.conv2",
    "pw_conv.0": "pw_conv_1",
    "pw_conv.1": "pw_conv_2",
    "conv_head": "last_conv",
    "classifier": "fc",
}
_LEAVES = {"running_mean": "_mean", "running_var": "_variance"}


def second_key(key: str) -> str:
    """PaddleClas's name of timm's tensor `key`: `stages.2.0.pw_conv.1.bn.running_mean` is `stages.2.0.pw_conv_2.bn._mean`."""
    for ours, theirs in _PARTS.items():
        if f".{ours}." in f".{key}":
            key = f".{key}".replace(f".{ours}.", f".{theirs}.")[1:]
    part, _, leaf = key.rpartition(".")
    return f"{part}.{_LEAVES.get(leaf, leaf)}"


def second_arch(tensors: Mapping[str, np.ndarray]) -> Arch:
    """The network that has these tensors; without a classifier, one of features. Raises `ModelFileError`."""
    shapes = {key: value.shape for key, value in tensors.items()}
    if "last_conv.weight" not in shapes:
        raise ModelFileError("the tensors are not those of a PaddleClas PPLCNetV2: missing last_conv.weight")
    head, classifier = shapes.get("last_conv.weight", ()), shapes.get("fc.weight", ())[::-1]
    arch = infer_arch({**shapes, "conv_head.weight": head, "classifier.weight": classifier})
    other: dict[str, Any] = {"head_channels": head[0]}
    if "last_conv.bias" in tensors or f"{NECK}weight" in tensors:
        last = (*arch.stage_strides[:-1], (1, 1))
        other |= {"head_bias": True, "head_activation": "none", "stage_strides": last}
    try:
        return replace(arch, **other)
    except ValueError as error:
        raise ModelFileError(f"its last convolution is none of the family: {error}") from None


def from_second(tensors: Mapping[str, np.ndarray], dropout_scale: float) -> dict[str, np.ndarray]:
    """Rename a PPLCNetV2 state dict to timm's keys, with its branches where there are some.

    `dropout_scale` goes into the classifier; where there is none, into the head, behind which ReLU or nothing stands, and so
    does ShiTu's neck. Raises `ModelFileError` naming the tensors that are missing or unknown.
    """
    arch, branched = second_arch(tensors), is_branched(tensors)
    names = {key: second_key(key) for key in arch.shapes(branched)}
    if "last_conv.bias" not in tensors:
        names.pop("conv_head.bias", None)
    spare = {second_key(key) for key in arch.shapes()} if branched else set()
    neck = {f"{NECK}{leaf}" for leaf in ("weight", "bias", "_mean", "_variance")} if f"{NECK}weight" in tensors else set()
    missing = [name for name in (*names.values(), *sorted(neck)) if name not in tensors]
    unknown = [quoted(name) for name in tensors if name not in {*names.values(), *spare, *neck}]
    if missing or unknown:
        found = "; ".join(f"{what} {', '.join(n[:5])}" for what, n in (("missing", missing), ("unknown", unknown)) if n)
        raise ModelFileError(f"the tensors are not those of a PaddleClas PPLCNetV2: {found}")
    out = {key: tensors[name] for key, name in names.items()}
    odd = next((n for n in (*neck, "last_conv.bias") if n in tensors and tensors[n].shape != (arch.head_channels,)), None)
    if odd is not None:
        raise ModelFileError(f"{odd} has shape {list(tensors[odd].shape)}, expected {[arch.head_channels]}")
    if "classifier.weight" in out:
        out["classifier.weight"] = np.ascontiguousarray(out["classifier.weight"].T) * np.float32(dropout_scale)
        return out
    return out | _features(out, tensors, arch, dropout_scale)


def _features(
    out: Mapping[str, np.ndarray], tensors: Mapping[str, np.ndarray], arch: Arch, factor: float
) -> dict[str, np.ndarray]:
    """The head of a network of features, with the factor and the neck behind it in its weights."""
    weight = out["conv_head.weight"].astype(np.float64) * factor
    bias = out.get("conv_head.bias", np.zeros(len(weight))).astype(np.float64) * factor
    if f"{NECK}weight" in tensors:
        norm = {f"{NECK}{ours}": tensors[f"{NECK}{theirs}"] for ours, theirs in _LEAVES.items()}
        norm |= {f"{NECK}{leaf}": tensors[f"{NECK}{leaf}"] for leaf in ("weight", "bias")}
        with np.errstate(all="ignore"):  # to NaN or Inf, which the model file refuses by the tensor's name
            scale, shift = scale_and_bias(norm, NECK.removesuffix("."), BN_EPS)
            weight, bias = weight * scale[:, None, None, None], bias * scale + shift
    made = {"conv_head.weight": weight.astype(np.float32)}
    return made | ({"conv_head.bias": bias.astype(np.float32)} if arch.head_bias else {})
