"""Bias correction: what rounding shifts on average, layer by layer, is taken back in the bias.

Sequential: each layer is corrected behind layers that are corrected already, so that no shift is taken back twice. One
layer's activations are in memory at a time, in float and in int8, of as many pictures as `picture_limit` allows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ..arch import Arch
from ..config import Preprocessing
from ..modelfile.quantized import AnyLayer, Layers, QuantizedLayer
from .network import Held, Layer, after, before, layers_in_order, pre_activation, with_mean

MEMORY = 48 << 20  # bytes of the largest layer's float activations
FEWEST = 16  # pictures, however large
CHUNK = 16  # pictures that go through a layer at once: the arithmetic needs ten times the memory of its result


def picture_limit(arch: Arch, preprocessing: Preprocessing) -> int:
    """How many pictures the correction may look at, so that its memory is bounded."""
    largest = max(np.prod(shape) for _, _, shape in arch.conv_costs(*preprocessing.input_size[1:]))
    return max(FEWEST, int(MEMORY // (4 * largest)))


def corrected(
    arch: Arch, exact: Mapping[str, AnyLayer], layers: Mapping[str, AnyLayer], preprocessing: Preprocessing, x: np.ndarray
) -> Layers:
    """Return int8 layers whose pre-activations have the float network's means on ready input, float32 [N,C,H,W].

    Only the means over all pixels and pictures are compared, so that borders count as they do at run time.
    """
    out: Layers = dict(layers)
    want = have = np.ascontiguousarray(x.transpose(1, 2, 3, 0))
    wanted = had = Held()
    for layer in layers_in_order(arch):
        wanted, had = before(layer, want, wanted), before(layer, have, had)
        pre, found = (
            _in_chunks(layer, by_name[layer.name], state, preprocessing) for by_name, state in ((exact, want), (out, have))
        )
        tensors = out[layer.name]
        if isinstance(tensors, QuantizedLayer):
            shift = _means(pre) - _means(found)
            out[layer.name] = replace(tensors, bias=(tensors.bias + shift).astype(np.float32))
            found += shift.astype(np.float32).reshape(-1, *(1,) * (found.ndim - 1))
        want, have = after(layer, pre, exact, wanted), after(layer, found, out, had)
        wanted, had = with_mean(layer, want, wanted), with_mean(layer, have, had)
    return out


def _in_chunks(layer: Layer, tensors: AnyLayer, state: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
    parts = (np.ascontiguousarray(state[..., i : i + CHUNK]) for i in range(0, state.shape[-1], CHUNK))
    return np.concatenate([pre_activation(layer, tensors, part, preprocessing) for part in parts], axis=-1)


def _means(values: np.ndarray) -> np.ndarray:
    return values.reshape(len(values), -1).mean(axis=1, dtype=np.float64)
