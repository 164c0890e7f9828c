"""A graph made plain: constants worked out, and what exporters write in several nodes made the one operation that it is.

Behind this there are a dozen operations, however old the exporter: `Conv`, `Bias`, `BatchNormalization`, `Linear`,
`HardSwish`, `HardSigmoid`, `Relu`, `GlobalAveragePool`, `Mul`, `Scale`, `Reshape` (any change of shape), `Softmax`, `Sigmoid`.
What is none of them keeps its own name, for `match` to refuse by it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from ..errors import ModelFileError
from .graph import Graph, Node

MAX_VALUES = 1 << 20  # that constants are expanded to, all together: biases of zeros
SIX_HARD_SIGMOIDS, SIX_HARD_SWISHES = "6 HardSigmoid", "6 HardSwish"  # on the way to the real ones
HARD_SIGMOID = "HardSigmoid"
_NEAR = 1e-6  # of constants that a writer rounded to float32


def simplify(graph: Graph) -> Graph:
    """The plain form of a graph, without the nodes that its output does not need."""
    work = _Work(dict(graph.tensors), {}, {})
    nodes = [plain for node in graph.live().nodes for plain in work.step(node)]
    outputs = tuple(work.same.get(name, name) for name in graph.outputs)
    return Graph(tuple(nodes), work.tensors, graph.inputs, outputs).live()


@dataclass
class _Work:
    """What is known behind the nodes so far: constants, values that are another's, and who made the rest."""

    tensors: dict[str, np.ndarray]
    same: dict[str, str]
    makers: dict[str, Node]
    values: int = 0

    def step(self, node: Node) -> list[Node]:
        """The plain nodes for one node: one, or none if its value is known."""
        node = replace(node, inputs=tuple(self.same.get(name, name) for name in node.inputs))
        if self.fold(node):
            return []
        if _unchanging(self, node):
            self.same[node.output] = node.inputs[0]
            return []
        for rule in _RULES.get(node.op, ()):
            node = rule(self, node) or node
        self.makers |= dict.fromkeys(node.outputs, node)
        return [node]

    def fold(self, node: Node) -> bool:
        """Work out a node whose inputs are constants."""
        inputs = [self.tensors.get(name) for name in node.inputs if name]
        if node.op not in _FOLDED or not inputs or any(value is None for value in inputs):
            return False
        try:
            value = _FOLDED[node.op](node, *inputs)
        except (ArithmeticError, LookupError, MemoryError, TypeError, ValueError):
            raise ModelFileError(f"{node} ({node.op}) has constants that do not fit it: the graph is damaged") from None
        self.values += value.size if node.op == "Expand" else 0
        if self.values > MAX_VALUES:
            raise ModelFileError(f"its constants make more than {MAX_VALUES} values: no LCNet's do")
        self.tensors[node.output] = value
        return True

    def constant(self, name: str) -> np.ndarray | None:
        """A constant array."""
        return self.tensors.get(name)

    def scalar(self, name: str) -> float | None:
        """A constant that is one number."""
        value = self.tensors.get(name)
        return float(value.reshape(())) if value is not None and value.size == 1 else None

    def made_by(self, op: str, name: str) -> Node | None:
        """The node that makes a value, if it is of this operation."""
        node = self.makers.get(name)
        return node if node is not None and node.op == op else None

    def split(self, node: Node) -> tuple[str, np.ndarray] | None:
        """The value and the constant that a node of two inputs has, in either order."""
        names = [name for name in node.inputs if name]
        constants = [self.tensors.get(name) for name in names]
        if len(names) != 2 or (constants[0] is None) == (constants[1] is None):
            return None
        return (names[0], constants[1]) if constants[1] is not None else (names[1], constants[0])  # type: ignore[return-value]


def _reshaped(node: Node, value: np.ndarray, shape: np.ndarray | None = None) -> np.ndarray:
    sizes = node.numbers("shape", ()) if shape is None else shape.reshape(-1).tolist()
    return value.reshape([value.shape[i] if size == 0 else size for i, size in enumerate(sizes or ())])


def _axes(node: Node, given: np.ndarray | None) -> tuple[int, ...] | None:
    axes = node.numbers("axes") if given is None else given.reshape(-1).tolist()
    return tuple(int(axis) for axis in axes) if axes is not None else None


def _unsqueezed(node: Node, value: np.ndarray, axes: np.ndarray | None = None) -> np.ndarray:
    return np.expand_dims(value, _axes(node, axes) or ())


def _expanded(node: Node, value: np.ndarray, shape: np.ndarray) -> np.ndarray:
    sizes = np.broadcast_shapes(value.shape, tuple(shape.reshape(-1).tolist()))
    count = 1
    for size in sizes:
        count *= size
    if count > MAX_VALUES:
        raise ValueError("too many")
    return np.broadcast_to(value, sizes)


# Operations on constants: of biases, and of the shapes that exporters compute.
_FOLDED: Mapping[str, Callable[..., np.ndarray]] = {
    "Cast": lambda node, value: value,
    "CastLike": lambda node, value, like: value,
    "Identity": lambda node, value: value,
    "Reshape": _reshaped,
    "Flatten": lambda node, value: value.reshape(value.shape[0] if value.ndim else 1, -1),
    "Unsqueeze": _unsqueezed,
    "Squeeze": lambda node, value, axes=None: np.squeeze(value, _axes(node, axes)),
    "Transpose": lambda node, value: np.transpose(value, node.numbers("perm")),
    "Shape": lambda node, value: np.array(value.shape[int(node.number("start", 0)) : int(node.number("end", 32))], np.int64),
    "Expand": _expanded,
}


def _unchanging(work: _Work, node: Node) -> bool:
    """Whether the value is that of its first input, in a network that is not being trained."""
    if node.op in ("Identity", "Cast", "CastLike") or (node.op == "Scale" and node.number("factor", 1) == 1):
        return True
    trained = work.scalar(node.inputs[2]) if len(node.inputs) > 2 and node.inputs[2] else 0
    return node.op == "Dropout" and not trained


def _is(value: float | None, expected: float) -> bool:
    return value is not None and abs(value - expected) <= _NEAR * max(1.0, abs(expected))


def _clip(work: _Work, node: Node) -> Node | None:
    """A clip of x + 3 from 0 to 6 is six hard-sigmoids of x; without the 3 it is ReLU6."""
    low, high = _bound(work, node, 1, "min"), _bound(work, node, 2, "max")
    if not (_is(low, 0) and _is(high, 6)):
        return None
    added = work.made_by("Bias", node.inputs[0])
    three = added is not None and np.all(np.abs(work.tensors[added.inputs[1]] - 3) <= _NEAR)
    if added is not None and three:
        return replace(node, op=SIX_HARD_SIGMOIDS, inputs=added.inputs[:1])
    return replace(node, op="Relu6", inputs=node.inputs[:1])


def _bound(work: _Work, node: Node, at: int, name: str) -> float | None:
    if len(node.inputs) > at and node.inputs[at]:
        return work.scalar(node.inputs[at])
    return node.number(name, math.nan)


def _multiply(work: _Work, node: Node) -> Node | None:
    if len(node.inputs) != 2:
        return None
    split = work.split(node)
    if split:
        return _scale(node, split[0], float(split[1].reshape(()))) if split[1].size == 1 else None
    return _gated(work, node, HARD_SIGMOID, "HardSwish") or _gated(work, node, SIX_HARD_SIGMOIDS, SIX_HARD_SWISHES)


def _gated(work: _Work, node: Node, gate: str, made: str) -> Node | None:
    """x times a hard-sigmoid of the same x."""
    for x, other in (node.inputs, node.inputs[::-1]):
        maker = work.made_by(gate, other)
        if maker is not None and maker.inputs[0] == x and _is_sixth(maker):
            return replace(node, op=made, inputs=(x,), attributes={})
    return None


def _is_sixth(node: Node) -> bool:
    """Whether a hard-sigmoid is the one of hard-swish. Slopes of 0.1666667 are, as far as float32 goes."""
    return node.op != HARD_SIGMOID or (_is(slope(node), 1 / 6) and _is(node.number("beta", 0.5), 0.5))


def slope(node: Node) -> float:
    """A hard-sigmoid's slope, exactly a sixth where float32 has no nearer number."""
    alpha = node.number("alpha", 0.2)
    return 1 / 6 if np.float32(alpha) == np.float32(1 / 6) else alpha


def _divide(work: _Work, node: Node) -> Node | None:
    by = work.scalar(node.inputs[1]) if len(node.inputs) == 2 else None
    return _scale(node, node.inputs[0], 1 / by) if by else None


def _scale(node: Node, x: str, factor: float) -> Node:
    return replace(node, op="Scale", inputs=(x,), attributes={"factor": factor})


def _sixth(work: _Work, node: Node) -> Node | None:
    """A sixth of six hard-sigmoids or hard-swishes."""
    if node.op != "Scale" or not _is(node.number("factor", 1), 1 / 6):
        return None
    if (maker := work.made_by(SIX_HARD_SIGMOIDS, node.inputs[0])) is not None:
        return replace(node, op=HARD_SIGMOID, inputs=maker.inputs, attributes={"alpha": 1 / 6, "beta": 0.5})
    maker = work.made_by(SIX_HARD_SWISHES, node.inputs[0])
    return replace(node, op="HardSwish", inputs=maker.inputs, attributes={}) if maker is not None else None


def _bias(work: _Work, node: Node) -> Node | None:
    split = work.split(node)
    if split is None:
        return None
    constant = next(name for name in node.inputs if name in work.tensors)
    return replace(node, op="Bias", inputs=(split[0], constant))


def _matmul(work: _Work, node: Node) -> Node | None:
    """x @ weight, the weight [in, out]."""
    return _linear(work, node, 1, 1, transposed=False)


def _gemm(work: _Work, node: Node) -> Node | None:
    if node.number("transA", 0):
        return None
    return _linear(work, node, node.number("alpha", 1), node.number("beta", 1), bool(node.number("transB", 0)))


def _linear(work: _Work, node: Node, alpha: float, beta: float, transposed: bool) -> Node | None:
    weight = work.constant(node.inputs[1]) if len(node.inputs) > 1 else None
    if weight is None or weight.ndim != 2 or (alpha, beta) != (1, 1):
        return None
    rest = [work.constant(name) for name in node.inputs[2:] if name]
    if any(bias is None for bias in rest):
        return None
    attributes = {"weight": weight if transposed else weight.T, "bias": rest[0] if rest else None}
    return replace(node, op="Linear", inputs=node.inputs[:1], attributes=attributes)


def _mean(work: _Work, node: Node) -> Node | None:
    """The mean of height and width."""
    given = work.constant(node.inputs[1]) if len(node.inputs) > 1 else None
    axes = _axes(node, given)
    spatial = axes is not None and sorted(axis % 4 for axis in axes) == [2, 3]
    return replace(node, op="GlobalAveragePool", inputs=node.inputs[:1], attributes={}) if spatial else None


def _shape_only(work: _Work, node: Node) -> Node:
    """A change of shape, wherever the new one comes from."""
    return replace(node, op="Reshape", inputs=node.inputs[:1], attributes={})


_Rule = Callable[[_Work, Node], Node | None]
_RULES: Mapping[str, tuple[_Rule, ...]] = {
    "Add": (_bias,),
    "Clip": (_clip,),
    "Div": (_divide, _sixth),
    "Flatten": (_shape_only,),
    "Gemm": (_gemm,),
    "MatMul": (_matmul,),
    "Mul": (_multiply, _sixth),
    "ReduceMean": (_mean,),
    "Reshape": (_shape_only,),
    "Squeeze": (_shape_only,),
    "Unsqueeze": (_shape_only,),
}
