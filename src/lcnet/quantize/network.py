"""The network in numpy, layer by layer, in float and in int8: the reference of the int8 kernels, and what calibration runs.

`Layer`s are the layers in order; `pre_activation` and `after` are the two halves of one. The int8 arithmetic is the kernels',
to the bit (docs/int8.md). Maps are [C,H,W,N], so that numpy's inner loops run over whole rows of all pictures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from ..arch import Arch, Block, Stride, conv_size
from ..config import Preprocessing
from ..modelfile.fold import Folded
from ..modelfile.quantized import CLASSIFIER, HEAD, STEM, AnyLayer, Layers, QuantizedLayer
from .fma import fma
from .sigmoid import sigmoid

EXACT_TERMS = 512  # that many products of a code and a weight add up below 2^24: exact in float32, in any order
SIXTH = np.float32(1 / 6)
LOWEST = -0.375  # of hard-swish, at -1.5; gates and averages only bring it nearer to 0

Dense = Callable[[AnyLayer, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Layer:
    """What a layer does; what it does it with is an `AnyLayer`.

    Its input is `factor` times the true value: hard-swish leaves its division by 6 to the next layer, and so is its output
    `out_factor` times as large.
    """

    name: str
    kind: str  # stem, depthwise, pointwise or linear
    unit: str  # the part that stays in float as a whole, or the stem
    factor: int = 6
    strides: Stride = (1, 1)
    activation: str = "hard_swish"  # or relu, or none
    gate: str = ""  # of the squeeze-and-excite that follows: hard_sigmoid, sigmoid, or none
    shortcut: bool = False  # the block's input is added
    pooled: bool = False  # the global average follows, behind those of earlier maps that are read too
    read: bool = False  # its global average is one of those; the map goes on
    lowest: float = LOWEST  # no true value of its input is below

    @property
    def out_factor(self) -> int:
        """How much larger than the true value the output is."""
        return 6 if self.activation == "hard_swish" and not self.pooled else 1


class Held(NamedTuple):
    """What later layers read beside the output of the one before them."""

    means: tuple[np.ndarray, ...] = ()  # of the maps so far that the classifier reads, [C,N]
    block_input: np.ndarray | None = None  # of the block at hand


NOTHING_HELD = Held()


def layers_in_order(arch: Arch) -> list[Layer]:
    """All layers but squeeze-and-excite, in order."""
    act = arch.activation
    out = [Layer(STEM, "stem", STEM, 1, arch.stem_stride, act)]
    lowest, read = LOWEST, []
    for name, block in arch.blocks():
        out += _block_layers(arch, name, block, lowest)
        lowest = LOWEST + (lowest if block.shortcut else 0)
        read += [lowest] if name in arch.pooled_blocks else []
    plain = arch.head_activation == "none"
    if arch.head_channels:
        out.append(Layer(HEAD, "linear", HEAD, 1, activation="none" if plain else act, lowest=min(read)))
        lowest, read = (-math.inf if plain else LOWEST), []
    if arch.num_classes:
        lowest = min(read, default=lowest)
        out.append(Layer(CLASSIFIER, "linear", CLASSIFIER, out[-1].out_factor, activation="none", lowest=lowest))
    return out


def _block_layers(arch: Arch, name: str, block: Block, lowest: float) -> list[Layer]:
    """The layers of one block, whose input is never below `lowest`."""
    act, (*read, last) = arch.activation, arch.pooled_blocks
    factor = Layer("", "", "", activation=act).out_factor
    gate = arch.gate if block.se_channels else ""
    depthwise = Layer(f"{name}.conv_dw", "depthwise", name, factor, block.strides, act, gate, lowest=lowest)
    parts = ["conv_pw", "conv_pw2"] if block.mid_channels else ["conv_pw"]
    first = [Layer(f"{name}.{part}", "pointwise", name, factor, activation=act) for part in parts]
    end = replace(first[-1], shortcut=block.shortcut, pooled=name == last, read=name in read)
    return [depthwise, *first[:-1], end]


def float_layers(folded: Folded) -> Layers:
    """Name the layers of a folded float network."""
    out: Layers = {STEM: folded.stem}
    for block in folded.blocks:
        out[f"{block.name}.conv_dw"] = block.depthwise
        if block.squeeze_excite:
            out[f"{block.name}.se.conv_reduce"], out[f"{block.name}.se.conv_expand"] = block.squeeze_excite
        out[f"{block.name}.conv_pw"] = block.pointwise
        if block.pointwise2:
            out[f"{block.name}.conv_pw2"] = block.pointwise2
    ends = ((HEAD, folded.head), (CLASSIFIER, folded.classifier))
    return out | {name: layer for name, layer in ends if layer}


def run(
    arch: Arch, layers: Mapping[str, AnyLayer], preprocessing: Preprocessing, x: np.ndarray
) -> Iterator[tuple[Layer, np.ndarray, np.ndarray]]:
    """Run ready input, float32 [N,C,H,W]: yields each layer with its input and output, which are `factor` times the values.

    The last output is `outputs`' argument.
    """
    state = np.ascontiguousarray(x.transpose(1, 2, 3, 0))
    held = Held()
    for layer in layers_in_order(arch):
        held = before(layer, state, held)
        out = after(layer, pre_activation(layer, layers[layer.name], state, preprocessing), layers, held)
        yield layer, state, out
        state, held = out, with_mean(layer, out, held)


def forward(arch: Arch, layers: Mapping[str, AnyLayer], preprocessing: Preprocessing, x: np.ndarray) -> np.ndarray:
    """Return the logits, float32 [N,classes], or the embeddings of a network without classifier, of float32 [N,C,H,W]."""
    *_, (layer, _, last) = run(arch, layers, preprocessing, x)
    return outputs(layer, last)


def outputs(layer: Layer, last: np.ndarray) -> np.ndarray:
    """Logits, or embeddings, of what the last layer gave."""
    return np.ascontiguousarray((last if layer.out_factor == 1 else last * SIXTH).T)


def pre_activation(layer: Layer, tensors: AnyLayer, state: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
    """Return what the layer makes of its input, before hard-swish: float32 [out,H,W,N] or [out,N]."""
    if isinstance(tensors, QuantizedLayer):
        codes = code(layer, tensors, state, preprocessing)
        zero = _column(tensors.input_zero.astype(np.float32), codes)
        stem = layer.kind == "stem"
        sums = _sums(layer, tensors.weight, codes if stem else codes - zero, border=zero if stem else 0)
        return fma(sums, _column(tensors.scale, sums), _column(tensors.bias, sums))
    weight, bias = tensors
    sums = _sums(layer, weight, state if layer.factor == 1 else state * SIXTH)
    return sums + _column(bias, sums)


def code(layer: Layer, tensors: QuantizedLayer, state: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
    """Return a layer's input as codes: whole numbers from 0 to 255, in float32."""
    factor = (1 / (layer.factor * tensors.input_scale.astype(np.float64))).astype(np.float32)
    zero = tensors.input_zero.astype(np.float32)
    if layer.kind == "stem":
        zero = np.asarray([255 * m for m in preprocessing.mean], np.float32)
    codes = np.rint(fma(state, _column(factor, state), _column(zero, state)))
    return np.clip(np.nan_to_num(codes, copy=False, nan=0.0), 0, 255, out=codes)


def before(layer: Layer, state: np.ndarray, held: Held) -> Held:
    """What is to be kept of a layer's input."""
    return held._replace(block_input=state) if layer.kind == "depthwise" else held


def after(layer: Layer, pre: np.ndarray, layers: Mapping[str, AnyLayer], held: Held = NOTHING_HELD) -> np.ndarray:
    """Return the input of the next layer, `out_factor` times as large: the activation, then what follows it.

    That is the gate, the shortcut, or the global averages.
    """
    if layer.activation == "none":
        return pre
    hard_swish = layer.activation == "hard_swish"
    out = pre * np.clip(pre + np.float32(3), 0, 6) if hard_swish else np.maximum(pre, np.float32(0))
    factor = 6 if hard_swish else 1
    if layer.gate:
        reduce, expand = (layers[f"{layer.unit}.se.{name}"] for name in ("conv_reduce", "conv_expand"))
        dense = _sequential if isinstance(layers[layer.name], QuantizedLayer) else _dense
        return out * _gates(layer.gate, mean(out, factor), reduce, expand, dense)[:, None, None]
    if layer.shortcut:
        assert held.block_input is not None
        out = out + held.block_input
    return np.concatenate([*held.means, mean(out, factor)]) if layer.pooled else out


def with_mean(layer: Layer, out: np.ndarray, held: Held) -> Held:
    """What is to be kept behind a layer and its output."""
    return held._replace(means=(*held.means, mean(out, layer.out_factor))) if layer.read else held


def mean(out: np.ndarray, factor: int = 6) -> np.ndarray:
    """Average over the pixels, of values that are `factor` times too large: along each row in turn, then over the rows."""
    rows = np.zeros((out.shape[0], out.shape[1], out.shape[3]), np.float32)
    for x in range(out.shape[2]):
        rows += out[:, :, x]
    total = np.zeros((out.shape[0], out.shape[3]), np.float32)
    for y in range(out.shape[1]):
        total += rows[:, y]
    return total * np.float32(1 / (factor * out.shape[1] * out.shape[2]))


def _gates(kind: str, means: np.ndarray, reduce: AnyLayer, expand: AnyLayer, dense: Dense) -> np.ndarray:
    hidden = np.maximum(dense(reduce, means), np.float32(0))
    sums = dense(expand, hidden)
    return sigmoid(sums) if kind == "sigmoid" else np.clip(sums + np.float32(3), 0, 6) * SIXTH


def _dense(tensors: AnyLayer, x: np.ndarray) -> np.ndarray:
    assert not isinstance(tensors, QuantizedLayer)
    weight, bias = tensors
    return weight.reshape(len(bias), -1) @ x + bias[:, None]


def _sequential(tensors: AnyLayer, x: np.ndarray) -> np.ndarray:
    """A dense layer whose sums start at the bias and take the inputs in their order, each by one fma."""
    assert not isinstance(tensors, QuantizedLayer)
    weight, bias = tensors
    weight = weight.reshape(len(bias), -1)
    out = np.repeat(bias[:, None], x.shape[1], axis=1)
    for i in range(weight.shape[1]):
        out = fma(weight[:, i, None], x[None, i], out)
    return out


def _sums(layer: Layer, weight: np.ndarray, x: np.ndarray, border: np.ndarray | float = 0) -> np.ndarray:
    """The convolution's sums: exact for whole numbers of int8 and uint8 size."""
    weight = weight.astype(np.float32, copy=False)
    if layer.kind == "depthwise":
        return _depthwise(weight, _padded(x, weight.shape[2] // 2, border), layer.strides)
    if layer.kind == "stem":
        x = _patches(_padded(x, 1, border), 3, layer.strides)
    columns = x.reshape(len(x), -1)
    return _product(weight.reshape(len(weight), -1), columns).reshape(len(weight), *x.shape[1:])


def _product(weight: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """A matrix product in parts of `EXACT_TERMS`, which are added in float64."""
    if weight.shape[1] <= EXACT_TERMS:
        return weight @ columns
    parts = range(0, weight.shape[1], EXACT_TERMS)
    total = np.zeros((len(weight), columns.shape[1]))
    for start in parts:
        total += weight[:, start : start + EXACT_TERMS] @ columns[start : start + EXACT_TERMS]
    return total.astype(np.float32)


def _padded(x: np.ndarray, width: int, border: np.ndarray | float) -> np.ndarray:
    c, h, w, n = x.shape
    out = np.empty((c, h + 2 * width, w + 2 * width, n), np.float32)
    out[:] = border
    out[:, width : width + h, width : width + w] = x
    return out


def _patches(padded: np.ndarray, kernel: int, strides: Stride) -> np.ndarray:
    """The pixels under each tap: [C * kernel * kernel, H, W, N]."""
    taps = [tap for _, tap in _taps(padded, kernel, strides)]
    out = np.stack(taps, axis=1)
    return out.reshape(-1, *out.shape[2:])


def _depthwise(weight: np.ndarray, padded: np.ndarray, strides: Stride) -> np.ndarray:
    out = None
    for (y, x), tap in _taps(padded, weight.shape[2], strides):
        term = tap * weight[:, 0, y, x, None, None, None]
        out = term if out is None else np.add(out, term, out=out)
    assert out is not None
    return out


def _taps(padded: np.ndarray, kernel: int, strides: Stride) -> Iterator[tuple[tuple[int, int], np.ndarray]]:
    (down, right), (height, width) = strides, padded.shape[1:3]
    height, width = conv_size(height - kernel + 1, down), conv_size(width - kernel + 1, right)
    for y in range(kernel):
        for x in range(kernel):
            rows, columns = (slice(y, y + down * (height - 1) + 1, down), slice(x, x + right * (width - 1) + 1, right))
            yield (y, x), padded[:, rows, columns]


def _column(values: np.ndarray, like: np.ndarray) -> np.ndarray:
    return values.reshape(-1, *(1,) * (like.ndim - 1))
