"""Paddle's operators -> nodes of a `Graph`, by a table: what each is called in ONNX, and where its inputs come from.

An operator that is not in the table keeps its own name, for `match` to refuse by it; so does one that is set to compute
something else than the family's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..errors import ModelFileError
from ..text import quoted
from .graph import Graph, Node, checked
from .program import Operator, Program

_Translation = Callable[[Node, "_Constants"], Node | None]
_Constants = dict[str, np.ndarray]


class Row(NamedTuple):
    """An operator: ONNX's name, its inputs by slot (ProgramDesc) and by place (PIR), its output, and what is to be done."""

    op: str
    slots: tuple[str, ...] = ("X",)
    places: tuple[int, ...] = (0,)
    output: str = "Out"
    translate: _Translation = lambda node, constants: node


def to_graph(program: Program, parameters: Mapping[str, np.ndarray]) -> Graph:
    """The graph of a program with its parameters. Raises `ModelFileError`."""
    tensors: _Constants = dict(parameters)
    inputs: dict[str, tuple[int | None, ...]] = {}
    nodes, outputs = [], []
    for operator in program.operators:
        if operator.kind in ("feed", "data"):
            inputs |= _input(operator, program)
        elif operator.kind == "fetch":
            outputs.append(next(iter(operator.inputs.values()), ""))
        elif (node := _node(operator, tensors)) is not None:
            nodes.append(node)
    return checked(Graph(tuple(nodes), tensors, inputs, tuple(outputs)))


def _input(operator: Operator, program: Program) -> dict[str, tuple[int | None, ...]]:
    name = next(iter(operator.outputs.values()), "")
    shape = program.shapes.get(name) or operator.attributes.get("shape")
    sizes = shape if isinstance(shape, (list, tuple)) and all(type(n) is int for n in shape) else ()
    return {name: tuple(size if size > 0 else None for size in sizes)}


def _node(operator: Operator, tensors: _Constants) -> Node | None:
    row = _ROWS.get(_SYNONYMS.get(operator.kind, operator.kind))
    outputs, name = operator.outputs, next(iter(operator.outputs.values()), operator.kind)
    if row is None:
        return Node(operator.kind, tuple(operator.inputs.values()), tuple(outputs.values()), operator.attributes, name)
    numbered = 0 in outputs or 0 in operator.inputs
    keys: tuple[str | int, ...] = row.places if numbered else row.slots
    inputs = [operator.inputs.get(key, "") for key in keys]
    while inputs and not inputs[-1]:
        inputs.pop()
    output = outputs.get(0 if numbered else row.output, "")
    attributes = {**operator.attributes, "kind": operator.kind}
    return row.translate(Node(row.op, tuple(inputs), (output,), attributes, output), tensors)


def _as(node: Node, op: str, inputs: int = 1, **attributes: Any) -> Node:
    return Node(op, node.inputs[:inputs], node.outputs, attributes, node.name)


def _other(node: Node) -> Node:
    """The same by Paddle's own name: it does something that no LCNet needs."""
    return Node(node.text("kind"), node.inputs, node.outputs, node.attributes, node.name)


def _conv(node: Node, _: _Constants) -> Node:
    strides, pads = node.numbers("strides", (1, 1)), node.numbers("paddings", (0, 0)) or []
    if len(pads) == 2:
        pads = [*pads, *pads]
    elif len(pads) == 4:  # top, bottom, left, right
        pads = [pads[0], pads[2], pads[1], pads[3]]
    padding = {"SAME": "SAME_UPPER", "VALID": "VALID"}.get(node.text("padding_algorithm"), "NOTSET")
    if node.text("data_format", "NCHW") not in ("NCHW", "AnyLayout"):
        return _other(node)
    rest = {"dilations": node.numbers("dilations", (1, 1)), "group": node.number("groups", 1)}
    return _as(node, "Conv", 3, strides=strides, pads=pads, auto_pad=padding, **rest)


def _batch_norm(node: Node, _: _Constants) -> Node:
    training = not node.attributes.get("is_test", True) and not node.attributes.get("use_global_stats", False)
    return _as(node, "BatchNormalization", 5, epsilon=node.number("epsilon", 1e-5), training_mode=int(training))


def _hard_swish(node: Node, _: _Constants) -> Node:
    usual = (node.number("threshold", 6), node.number("scale", 6), node.number("offset", 3)) == (6, 6, 3)
    return _as(node, "HardSwish") if usual else _other(node)


def _hard_sigmoid(node: Node, _: _Constants) -> Node:
    return _as(node, "HardSigmoid", alpha=node.number("slope", 0.2), beta=node.number("offset", 0.5))


def _pool(node: Node, constants: _Constants) -> Node:
    given = constants.get(node.inputs[1]) if len(node.inputs) > 1 else None
    kernel = node.numbers("ksize") if given is None else given.reshape(-1).tolist()
    whole = node.attributes.get("global_pooling") or (node.attributes.get("adaptive") and kernel == [1, 1])
    average = node.text("pooling_type") == "avg" and node.text("data_format", "NCHW") in ("NCHW", "AnyLayout")
    return _as(node, "GlobalAveragePool") if whole and average else _other(node)


def _mean(node: Node, constants: _Constants) -> Node:
    given = constants.get(node.inputs[1]) if len(node.inputs) > 1 else None
    axes = node.numbers("dim") or node.numbers("axis") if given is None else given.reshape(-1).tolist()
    return _as(node, "ReduceMean", axes=axes)


def _dropout(node: Node, constants: _Constants) -> Node:
    """At inference the older mode multiplies by what is kept, in float32; the newer one did so in training."""
    mode = node.text("dropout_implementation") or node.text("mode", "downgrade_in_infer")
    given = constants.get(node.inputs[2]) if len(node.inputs) > 2 else None
    dropped = node.number("dropout_prob", 0.5) if given is None else float(given.reshape(-1)[0]) if given.size else 1.0
    if mode == "upscale_in_train":
        return _as(node, "Identity")
    if mode != "downgrade_in_infer" or not 0 <= dropped < 1:
        return _other(node)
    return _as(node, "Scale", factor=float(np.float32(1) - np.float32(dropped)))


def _scaled(node: Node, constants: _Constants) -> Node:
    given = constants.get(node.inputs[1]) if len(node.inputs) > 1 else None
    factor = node.number("scale", 1) if given is None or given.size != 1 else float(given.reshape(()))
    return _as(node, "Scale", factor=factor) if node.number("bias", 0) == 0 else _other(node)


def _matmul(node: Node, _: _Constants) -> Node:
    """A product of matrices; `mul` has other attributes, which say for maps what the shapes of vectors say."""
    flags = ("trans_x", "transpose_x", "transpose_X"), ("trans_y", "transpose_y", "transpose_Y")
    left, right = (any(node.attributes.get(name) for name in names) for names in flags)
    return _as(node, "Gemm", 2, transA=int(left), transB=int(right), alpha=node.number("alpha", 1))


def _reshape(node: Node, _: _Constants) -> Node:
    return _as(node, "Reshape", 2, shape=node.numbers("shape"))


def _full(node: Node, constants: _Constants) -> None:
    """A constant, which becomes an array."""
    value = node.attributes.get("value")
    values: list[Any] = value if isinstance(value, list) else [value]
    if len(values) > 1 << 10 or any(type(v) not in (int, float) or abs(v) > 1e300 for v in values):
        raise ModelFileError(f"{node} has the values {quoted(value)}, expected a few numbers")
    constants[node.output] = np.array(values, np.float64 if any(type(v) is float for v in values) else np.int64)


def _added(node: Node, _: _Constants) -> Node:
    return _as(node, node.op, 2, axis=node.number("axis", -1))


_SYNONYMS = {
    "depthwise_conv2d": "conv2d",
    "batch_norm_": "batch_norm",
    "hardswish": "hard_swish",
    "hardsigmoid": "hard_sigmoid",
    "relu_": "relu",
    "sigmoid_": "sigmoid",
    "add": "elementwise_add",
    "add_": "elementwise_add",
    "multiply": "elementwise_mul",
    "flatten": "flatten_contiguous_range",
    "flatten2": "flatten_contiguous_range",
    "reshape": "reshape2",
    "reshape_": "reshape2",
    "squeeze2": "flatten_contiguous_range",
    "matmul": "matmul_v2",
    "mean": "reduce_mean",
    "mul": "matmul_v2",
    "scale_": "scale",
    "full_int_array": "full",
    "assign": "cast",
    "share_data": "cast",
}
_ROWS: Mapping[str, Row] = {
    "batch_norm": Row("BatchNormalization", ("X", "Scale", "Bias", "Mean", "Variance"), (0, 3, 4, 1, 2), "Y", _batch_norm),
    "cast": Row("Identity"),
    "conv2d": Row("Conv", ("Input", "Filter", "Bias"), (0, 1, 2), "Output", _conv),
    "dropout": Row("Dropout", ("X", "Seed"), (0, 1, 2), translate=_dropout),
    "elementwise_add": Row("Add", ("X", "Y"), (0, 1), translate=_added),
    "elementwise_mul": Row("Mul", ("X", "Y"), (0, 1)),
    "flatten_contiguous_range": Row("Flatten", translate=lambda node, _: _as(node, "Flatten")),
    "full": Row("Constant", (), (), translate=_full),
    "hard_sigmoid": Row("HardSigmoid", translate=_hard_sigmoid),
    "hard_swish": Row("HardSwish", translate=_hard_swish),
    "matmul_v2": Row("Gemm", ("X", "Y"), (0, 1), translate=_matmul),
    "pool2d": Row("AveragePool", ("X",), (0, 1), translate=_pool),
    "reduce_mean": Row("ReduceMean", ("X",), (0, 1), translate=_mean),
    "relu": Row("Relu"),
    "relu6": Row("Relu6"),
    "reshape2": Row("Reshape", ("X", "Shape"), (0, 1), translate=_reshape),
    "scale": Row("Scale", ("X", "ScaleTensor"), (0, 1), translate=_scaled),
    "sigmoid": Row("Sigmoid"),
    "softmax": Row("Softmax", translate=lambda node, _: _as(node, "Softmax", axis=node.number("axis", -1))),
}
