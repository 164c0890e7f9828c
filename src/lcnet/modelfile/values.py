"""What the tensors of a model file may hold: finite numbers of the right type, and finite still when they are put to work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from .. import _native
from ..arch import Arch
from ..config import ModelConfig
from ..errors import ModelFileError
from . import quantized

COUNTER = "num_batches_tracked"  # batch-norm's int64 step counter: kept where it exists, never needed
LARGEST = float(np.finfo(np.float32).max)


def dtypes_of(keys: Iterable[str], config: ModelConfig) -> dict[str, str]:
    """What type each tensor must have, as safetensors writes it."""
    if config.quantization:
        return {key: dtype for key, (dtype, _) in quantized.shapes(config.arch, config.quantization).items()}
    return {key: "I64" if key.endswith(COUNTER) else "F32" for key in keys}


def check_values(weights: Mapping[str, np.ndarray], config: ModelConfig) -> None:
    """Raise `ModelFileError` naming the first tensor with NaN, Inf or a negative variance, or that is not float32.

    The counters must be int64, and what is quantised as `lcnet.modelfile.quantized` says. No batch norm may make Inf of
    the convolution that it is folded into.
    """
    dtypes = dtypes_of(weights, config)
    for key, value in weights.items():
        if value.dtype != quantized.DTYPES[dtypes[key]]:
            raise ModelFileError(f"{key} has dtype {value.dtype}, expected {np.dtype(quantized.DTYPES[dtypes[key]])}")
        bad = value.size - np.count_nonzero(np.isfinite(value))
        if bad:
            raise ModelFileError(f"{key} has {bad} NaN or Inf values of {value.size}: the weights are damaged")
        if key.endswith("running_var") and (value < 0).any():
            raise ModelFileError(f"{key} has negative values: a variance cannot be")
    _check_gates(weights, config.arch.hard_sigmoid_slope)
    if config.quantization:
        quantized.check_values(weights)
        return
    for conv, norm in batch_norms(config.arch, any(".dw_conv_list." in key for key in weights)):
        _check_folded(weights, conv, norm, config.bn_eps)


def batch_norms(arch: Arch, branches: bool = False) -> Iterator[tuple[str, str]]:
    """Every convolution that has a batch norm, and that."""
    yield from ((conv.conv, conv.norm) for conv in arch.convs(branches) if conv.norm)


def scale_and_bias(weights: Mapping[str, np.ndarray], norm: str, eps: float) -> tuple[np.ndarray, np.ndarray]:
    """What a batch norm multiplies by and adds, float64 [C]."""
    gamma, beta, mean, var = (weights[key].astype(np.float64) for key in norm_keys(norm))
    scale, shift = np.empty_like(gamma), np.empty_like(gamma)
    _native.batch_norm(gamma, beta, mean, var, eps, scale, shift)
    return scale, shift


def norm_keys(norm: str) -> tuple[str, ...]:
    """The four arrays of a batch norm, in the order that the native core takes them."""
    return tuple(f"{norm}.{key}" for key in ("weight", "bias", "running_mean", "running_var"))


def _check_gates(weights: Mapping[str, np.ndarray], slope: float) -> None:
    for key, value in weights.items():
        if ".se.conv_expand." in key and not (6 * slope * np.abs(value.astype(np.float64)) <= LARGEST).all():
            raise ModelFileError(f"{key} overflows float32 with a hard-sigmoid slope of {slope:g}: the weights are damaged")


def _check_folded(weights: Mapping[str, np.ndarray], conv: str, norm: str, eps: float) -> None:
    scale, bias = scale_and_bias(weights, norm, eps)
    weight = weights[f"{conv}.weight"].reshape(len(scale), -1)
    peaks = np.maximum(weight.max(axis=1), -weight.min(axis=1)) * np.abs(scale)
    if not (np.maximum(peaks, np.abs(bias)) <= LARGEST).all():
        raise ModelFileError(f"{conv} overflows float32 with its batch norm {norm} folded in: the weights are damaged")
