"""The way through a plain graph, from its input to its output, a layer at a time.

Owns what a layer is (a convolution with its bias and batch norm, a linear layer) and what every layer of the family must be:
square, padded on all sides, not dilated. What layers follow one another in an LCNet `match` knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, NoReturn

import numpy as np

from ..arch import BN_EPS
from ..errors import ModelFileError
from ..text import quoted
from .graph import Graph, Node

MAX_VALUES = 1 << 28  # of all layers together: 1 GiB, as of a checkpoint
ACTIVATIONS = {"HardSwish": "hard_swish", "Relu": "relu"}
_UNPADDED = ("", "NOTSET")


class Misfit(ModelFileError):
    """A node that no LCNet has where it stands."""


class Layer(NamedTuple):
    """A convolution or linear layer, with the batch norm behind it if there is one."""

    node: Node
    weight: np.ndarray
    bias: np.ndarray | None
    norm: tuple[np.ndarray, ...] | None = None  # weight, bias, mean, variance
    eps: float | None = None
    strides: tuple[int, int] = (1, 1)

    @property
    def groups(self) -> float:
        """Of a convolution."""
        return self.node.number("group", 1)


@dataclass
class Walk:
    """Where the way has led: `x` is the value that has been reached."""

    graph: Graph
    x: str
    readers: dict[str, list[Node]]
    activations: dict[str, Node] = field(default_factory=dict)  # and where each was first seen
    slopes: set[float] = field(default_factory=set)  # of hard-sigmoids
    gates: set[str] = field(default_factory=set)
    around: Node | None = None  # a sum that reads the input of the block, and is not on the way before its end
    left: int = MAX_VALUES

    def following(self) -> list[Node]:
        """The nodes that read the value, but for the sum at the block's end."""
        return [node for node in self.readers.get(self.x, []) if node is not self.around]

    def next(self) -> Node | None:
        """The only node that reads the value."""
        nodes = self.following()
        return nodes[0] if len(nodes) == 1 else None

    def next_is(self, *ops: str) -> bool:
        """Whether the value goes to one node, of one of these operations."""
        node = self.next()
        return node is not None and node.op in ops

    def skip(self, *ops: str) -> Node | None:
        """Step over the next node if it is one of these."""
        node = self.next()
        if node is None or node.op not in ops or node.inputs[0] != self.x:
            return None
        self.x = node.output
        return node

    def take(self, expected: str, *ops: str) -> Node:
        """Step over the next node, which must be one of these."""
        return self.skip(*ops) or self.refuse(expected)

    def refuse(self, expected: str, node: Node | None = None) -> NoReturn:
        """Raise `Misfit` for a node, or for what comes next."""
        nodes = [node] if node else self.following()
        found = " and ".join(f"{node} ({quoted(node.op)})" for node in nodes[:2]) or "the graph's end"
        raise Misfit(f"{found} stands where {expected} was expected")

    def array(self, node: Node, at: int) -> np.ndarray:
        """A constant that a node reads."""
        value = self.graph.tensors.get(node.inputs[at]) if at < len(node.inputs) else None
        if value is None or value.dtype.kind != "f":
            raise Misfit(f"{node} ({node.op}) reads values that are no constant of floats where an LCNet has its weights")
        self.left -= value.size
        if self.left < 0:
            raise ModelFileError(f"its layers have more than {MAX_VALUES} weights: no LCNet's do")
        with np.errstate(over="ignore"):  # to Inf, which the model file refuses by the tensor's name
            return np.ascontiguousarray(value, np.float32)

    def conv(self, expected: str) -> Layer:
        """A convolution, its bias and its batch norm."""
        return self._conv(self.take(expected, "Conv"))

    def branch(self, node: Node, expected: str) -> Layer:
        """The same of a node that is one of several which read the value."""
        if node.op != "Conv" or node.inputs[0] != self.x:
            self.refuse(expected, node)
        self.x = node.output
        return self._conv(node)

    def _conv(self, node: Node) -> Layer:
        weight = self.array(node, 1)
        strides = _check_conv(node, weight)
        bias = self.array(node, 2) if len(node.inputs) > 2 and node.inputs[2] else None
        if bias is not None and bias.shape != weight.shape[:1]:
            raise Misfit(f"{node} (Conv) has {bias.size} biases, expected {len(weight)}")
        return self.normed(Layer(node, weight, self.added(bias, len(weight), flat=False), strides=strides))

    def added(self, bias: np.ndarray | None, channels: int, flat: bool) -> np.ndarray | None:
        """A bias with what further nodes add to it; `flat`: to vectors, not to maps."""
        while (node := self.skip("Bias")) is not None:
            more = self.array(node, 1)
            plain = (channels,) if flat or node.number("axis", -1) == 1 else (channels, 1, 1)
            if more.shape not in (plain, (1, *plain)):
                raise Misfit(f"{node} (Add) adds the shape {list(more.shape)[:8]} to {channels} channels")
            bias = more.reshape(-1) if bias is None else bias + more.reshape(-1)
        return bias

    def normed(self, layer: Layer) -> Layer:
        """The layer with the batch norm behind it."""
        node = self.skip("BatchNormalization")
        if node is None:
            return layer
        norm = tuple(self.array(node, i) for i in range(1, 5))
        if node.number("training_mode", 0) or any(value.shape != layer.weight.shape[:1] for value in norm):
            raise Misfit(f"{node} (BatchNormalization) is one of a training, or of other channels than it follows")
        return layer._replace(norm=norm, eps=decimal(node.number("epsilon", BN_EPS)))

    def activation(self) -> None:
        """An activation between layers."""
        node = self.take("a hard-swish or a ReLU", *ACTIVATIONS)
        self.activations.setdefault(ACTIVATIONS[node.op], node)

    def pointwise_follows(self) -> bool:
        """Whether a convolution of 1x1 is next in which every channel meets every other."""
        node = self.next()
        weight = self.graph.tensors.get(node.inputs[1]) if node and node.op == "Conv" and len(node.inputs) > 1 else None
        return weight is not None and weight.shape[2:] == (1, 1) and node is not None and node.number("group", 1) == 1

    def dense(self, expected: str) -> Layer:
        """A linear layer on pooled values, or the convolution of 1x1 that is one.

        A change of shape before it does not matter: it keeps the order of values, and the layer takes them a vector at a time.
        """
        self.reshape()
        node = self.skip("Linear")
        if node is None:
            layer = self.conv(expected)
            return layer if is_pointwise(layer) and layer.norm is None else self.refuse(expected, layer.node)
        weight, bias = (None if v is None else np.ascontiguousarray(v, np.float32) for v in map(node.attributes.get, _LINEAR))
        assert weight is not None  # `simplify` has put it there
        if bias is not None and bias.shape not in ((len(weight),), (1, len(weight))):
            raise Misfit(f"{node} (Gemm) adds the shape {list(bias.shape)[:8]} to {len(weight)} values")
        return Layer(node, weight, self.added(None if bias is None else bias.reshape(-1), len(weight), flat=True))

    def reshape(self) -> None:
        """Step over changes of shape."""
        while self.skip("Reshape"):
            pass


_LINEAR = ("weight", "bias")


def decimal(value: float) -> float:
    """The number that a float32 was written for: 1e-05, which the file has as 9.999999747378752e-06."""
    return float(str(np.float32(value))) if float(np.float32(value)) == value else value


def folded(layer: Layer) -> Layer:
    """The layer with its batch norm in its weights and its bias."""
    return layer if layer.norm is None else _single(layer, *_double(layer))


def summed(layers: Sequence[Layer]) -> Layer:
    """The one convolution that is the sum of several of the same map, whose kernels get zeros around them. Raises `Misfit`."""
    first = layers[0]
    if len(layers) == 1:
        return first
    size = max(layer.weight.shape[2] for layer in layers)
    weight, bias = np.zeros((*first.weight.shape[:2], size, size)), np.zeros(len(first.weight))
    for layer in layers:
        if (layer.strides, layer.weight.shape[:2]) != (first.strides, first.weight.shape[:2]):
            raise Misfit(f"{layer.node} (Conv) has other strides or channels than {first.node}, to which it is added")
        (kernel, more), around = _double(layer), (size - layer.weight.shape[2]) // 2
        weight[:, :, around : size - around, around : size - around] += kernel
        bias += more
    return _single(first, weight, bias)


def _double(layer: Layer) -> tuple[np.ndarray, np.ndarray]:
    """Weight and bias in double precision, the batch norm folded in."""
    weight = layer.weight.astype(np.float64)
    bias = np.zeros(len(weight)) if layer.bias is None else layer.bias.astype(np.float64)
    if layer.norm is None:
        return weight, bias
    gamma, beta, mean, variance = (value.astype(np.float64) for value in layer.norm)
    with np.errstate(all="ignore"):  # to NaN or Inf, which the model file refuses by the tensor's name
        scale = gamma / np.sqrt(variance + (layer.eps or BN_EPS))
        return weight * scale.reshape(-1, *(1,) * (weight.ndim - 1)), beta + (bias - mean) * scale


def _single(layer: Layer, weight: np.ndarray, bias: np.ndarray) -> Layer:
    with np.errstate(over="ignore"):
        return layer._replace(weight=weight.astype(np.float32), bias=bias.astype(np.float32), norm=None, eps=None)


def is_pointwise(layer: Layer) -> bool:
    """Whether a convolution is one of 1x1 in which every channel meets every other."""
    return layer.weight.shape[2:] == (1, 1) and layer.groups == 1 and layer.strides == (1, 1)


def is_depthwise(layer: Layer) -> bool:
    """Whether a convolution has a kernel for each channel."""
    return layer.weight.shape[1] == 1 and layer.groups == len(layer.weight)


def _check_conv(node: Node, weight: np.ndarray) -> tuple[int, int]:
    """The strides of a convolution that keeps the size but for these: a square kernel of odd size, padded on all sides."""
    if weight.ndim != 4 or not weight.size or weight.shape[2] != weight.shape[3] or weight.shape[2] % 2 == 0:
        raise Misfit(f"{node} (Conv) has a kernel of the shape {list(weight.shape)[:8]}, expected a square one of odd size")
    strides, dilations = node.numbers("strides", (1, 1)), node.numbers("dilations", (1, 1))
    if strides not in ([1, 1], [1, 2], [2, 1], [2, 2]) or dilations != [1, 1]:
        raise Misfit(f"{node} (Conv) has the strides {strides} and the dilations {dilations}, expected 1 or 2, and 1")
    pads, auto, pad = node.numbers("pads", (0,) * 4), node.text("auto_pad"), weight.shape[2] // 2
    same = auto in ("SAME_UPPER", "SAME_LOWER") and strides == [1, 1]  # at stride 2 these pad one side only
    if not (same or (auto in _UNPADDED and pads == [pad] * 4) or (auto == "VALID" and pad == 0)):
        raise Misfit(f"{node} (Conv) pads by {pads if auto in _UNPADDED else quoted(auto)}, expected {pad} on all sides")
    return strides[0], strides[1]
