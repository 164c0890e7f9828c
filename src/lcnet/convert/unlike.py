"""What a graph is that is no LCNet: the networks that people take for one, by the node that gives them away.

Rows of data, the first that shows is it. What is none of them has no name here, and `match` says where it ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from .graph import Graph, Node

NO_CONSTANT = ("MatMul", "Gemm")  # such as `simplify` leaves: of two values that are computed


class Row(NamedTuple):
    """A network: what to call it, what gives it away, and the node of it."""

    what: str
    sign: str
    find: Callable[[_Look], Node | None]


class _Look:
    """A plain graph with what the rows ask of it."""

    def __init__(self, graph: Graph) -> None:
        self.nodes, self.tensors, self.made = graph.nodes, graph.tensors, graph.makers()
        self.ops = {node.op for node in graph.nodes}

    def first(self, *ops: str) -> Node | None:
        """The first node of these operations."""
        return next((node for node in self.nodes if node.op in ops), None)

    @property
    def depthwise(self) -> Node | None:
        """The first depthwise convolution."""
        return next((node for node in self.nodes if node.op == "Conv" and self.is_depthwise(node)), None)

    def is_depthwise(self, node: Node) -> bool:
        """Whether a convolution has a group for each channel."""
        weight = self.tensors.get(node.inputs[1]) if len(node.inputs) > 1 else None
        return weight is not None and weight.ndim == 4 and node.number("group", 1) == len(weight) > 1

    def shortcut(self, linear: bool = False) -> Node | None:
        """The first sum of two maps; `linear`: one of which comes from a convolution without an activation."""
        sums = (node for node in self.nodes if node.op == "Add" and not self.tensors.keys() & set(node.inputs))
        return next((node for node in sums if not linear or self.has_linear(node)), None)

    def has_linear(self, node: Node) -> bool:
        """Whether a node reads a convolution, or its batch norm, directly."""
        ops = (self.made[name].op for name in node.inputs if name in self.made)
        return any(op in ("Conv", "BatchNormalization", "Bias") for op in ops)

    def inverted(self, *signs: str) -> Node | None:
        """The first inverted residual, in a network that has all of these operations."""
        return self.shortcut(linear=True) if self.depthwise and self.has(signs) else None

    def has(self, ops: Iterable[str]) -> bool:
        """Whether the graph has all of these."""
        return set(ops) <= self.ops

    def attention(self) -> Node | None:
        """The first product of two computed values."""
        return self.first(*NO_CONSTANT)

    def swish(self) -> Node | None:
        """The first x * sigmoid(x)."""
        for node in self.nodes:
            for x, other in (node.inputs, node.inputs[::-1]) if node.op == "Mul" and len(node.inputs) == 2 else ():
                maker = self.made.get(other)
                if maker is not None and maker.op == "Sigmoid" and maker.inputs[0] == x:
                    return node
        return None


ROWS = (
    Row(
        "a quantised network",
        "whole numbers",
        lambda g: g.first("QuantizeLinear", "DequantizeLinear", "QLinearConv", "ConvInteger"),
    ),
    Row("a network for text", "a recurrent layer", lambda g: g.first("LSTM", "GRU", "RNN", "rnn")),
    Row(
        "a network that makes maps",
        "an enlargement",
        lambda g: g.first("Resize", "Upsample", "ConvTranspose", "nearest_interp"),
    ),
    Row(
        "an LCNet with an ML-Decoder head, whose attention lcnet does not have,",
        "attention",
        lambda g: g.attention() if g.depthwise and g.has(("HardSwish", "HardSigmoid")) and not g.inverted() else None,
    ),
    Row("a transformer", "attention", lambda g: g.attention()),
    Row("an EfficientNet", "an inverted residual", lambda g: g.inverted() if g.swish() else None),
    Row("a MobileNetV3", "an inverted residual", lambda g: g.inverted("HardSwish")),
    Row("a MobileNetV2", "an inverted residual", lambda g: g.inverted()),
    Row("a ResNet", "a shortcut", lambda g: g.shortcut() if not g.depthwise else None),
    Row("a network of branches", "a concatenation", lambda g: g.first("Concat")),
    Row("a MobileNetV1", "a convolution with ReLU6", lambda g: g.first("Relu6") if g.depthwise else None),
)


def unlike(graph: Graph) -> str | None:
    """What a plain graph is, with the node that shows it: `a MobileNetV3 (an inverted residual at 'Add.1')`."""
    look = _Look(graph)
    for row in ROWS:
        node = row.find(look)
        if node is not None:
            return f"{row.what} ({row.sign} at {node})"
    return None
