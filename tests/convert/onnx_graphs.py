"""LCNets as ONNX graphs, in the ways in which exporters of different age write them: made by onnx, to be read without it."""

from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import helper, numpy_helper

FLOAT = onnx.TensorProto.FLOAT


@dataclass
class Style:
    """How an exporter writes what can be written in several ways."""

    opset: int = 15
    folded: bool = False  # batch norms into the convolutions
    swish: str = (
        "op"  # op, clip (Add, Clip, Mul, Div), clip-first (Add, Clip, Div, Mul), sixth (Mul by 1/6), gate (HardSigmoid, Mul)
    )
    gate: str = "op"  # op, clip
    slope: float = 1 / 6
    constants: bool = False  # weights as Constant nodes
    pool: str = "op"  # op, mean
    flatten: str = (
        "flatten"  # flatten, reshape, shape (Shape, Slice, Concat, Reshape), squeeze, last (a 1x1 conv, then flatten)
    )
    classifier: str = "gemm"  # gemm, matmul, conv
    conv_bias: str = "input"  # input, add (a node of its own)
    scale: float = 1.0
    end: str | None = None  # Softmax, Sigmoid
    identities: bool = False
    epsilon: float = 1e-5
    size: tuple = (3, 64, 64)
    extra: dict = field(default_factory=dict)


class _Builder:
    def __init__(self, weights, style):
        self.weights, self.style = weights, style
        self.nodes, self.tensors, self.count = [], [], 0

    def name(self, hint):
        self.count += 1
        return f"{hint}.{self.count}"

    def constant(self, value, hint="c"):
        name = self.name(hint)
        proto = numpy_helper.from_array(np.ascontiguousarray(value), name)
        if self.style.constants:
            self.nodes.append(helper.make_node("Constant", [], [name], value=proto))
        else:
            self.tensors.append(proto)
        return name

    def add(self, op, *inputs, **attributes):
        out = self.name(op)
        self.nodes.append(helper.make_node(op, list(inputs), [out], name=out, **attributes))
        if self.style.identities:
            self.nodes.append(helper.make_node("Identity", [out], [f"{out}.same"]))
            return f"{out}.same"
        return out

    def clipped(self, x):
        added = self.add("Add", x, self.constant(np.float32(3)))
        if self.style.opset < 11:
            return self.add("Clip", added, min=0.0, max=6.0)
        return self.add("Clip", added, self.constant(np.float32(0)), self.constant(np.float32(6)))

    def activation(self, x):
        style, six = self.style.swish, np.float32(6)
        if style == "relu":
            return self.add("Relu", x)
        if style == "op":
            return self.add("HardSwish", x)
        if style == "gate":
            return self.add("Mul", x, self.add("HardSigmoid", x, alpha=1 / 6, beta=0.5))
        if style == "clip":
            return self.add("Div", self.add("Mul", x, self.clipped(x)), self.constant(six))
        if style == "clip-first":
            return self.add("Mul", self.add("Div", self.clipped(x), self.constant(six)), x)
        return self.add("Mul", self.constant(np.float32(1 / 6)), self.add("Mul", self.clipped(x), x))

    def conv(self, x, key, norm=None, strides=(1, 1), groups=1):
        w, b = self.weights[f"{key}.weight"], self.weights.get(f"{key}.bias")
        w = w.reshape(*w.shape, 1, 1) if w.ndim == 2 else w
        bn = [self.weights[f"{norm}.{k}"] for k in ("weight", "bias", "running_mean", "running_var")] if norm else None
        if bn and self.style.folded:
            scale = bn[0] / np.sqrt(bn[3].astype(np.float64) + self.style.epsilon)
            w, b = (w * scale[:, None, None, None]).astype(np.float32), (bn[1] - bn[2] * scale).astype(np.float32)
        pad = w.shape[2] // 2
        inputs = [x, self.constant(w, key)]
        if b is not None and self.style.conv_bias == "input":
            inputs.append(self.constant(b))
        x = self.add("Conv", *inputs, kernel_shape=w.shape[2:], strides=strides, pads=[pad] * 4, group=groups)
        if b is not None and self.style.conv_bias == "add":
            x = self.add("Add", x, self.constant(b.reshape(1, -1, 1, 1)))
        if bn and not self.style.folded:
            x = self.add("BatchNormalization", x, *map(self.constant, bn), epsilon=self.style.epsilon)
        return x

    def pool(self, x):
        if self.style.pool == "op":
            return self.add("GlobalAveragePool", x)
        if self.style.opset < 18:
            return self.add("ReduceMean", x, axes=[2, 3], keepdims=1)
        return self.add("ReduceMean", x, self.constant(np.int64([-1, -2])), keepdims=1)

    def gate(self, x):
        if self.style.gate == "op":
            return self.add("HardSigmoid", x, alpha=self.style.slope, beta=0.5)
        return self.add("Div", self.clipped(x), self.constant(np.float32(6)))

    def block(self, x, name, block):
        x = self.activation(self.conv(x, f"{name}.conv_dw", f"{name}.bn1", block.strides, block.in_channels))
        if block.se_channels:
            y = self.add("Relu", self.conv(self.pool(x), f"{name}.se.conv_reduce"))
            x = self.add("Mul", x, self.gate(self.conv(y, f"{name}.se.conv_expand")))
        return self.activation(self.conv(x, f"{name}.conv_pw", f"{name}.bn2"))

    def flatten(self, x, channels):
        style = self.style.flatten
        if style == "flatten":
            return self.add("Flatten", x, axis=1)
        if style == "reshape":
            return self.add("Reshape", x, self.constant(np.int64([-1, channels])))
        if style == "squeeze":
            return self.add("Squeeze", x, self.constant(np.int64([2, 3])))
        first = self.add("Slice", self.add("Shape", x), *(self.constant(np.int64([n])) for n in (0, 1, 0)))
        return self.add("Reshape", x, self.add("Concat", first, self.constant(np.int64([-1])), axis=0))

    def classifier(self, x, channels):
        w, b = self.weights["classifier.weight"], self.weights["classifier.bias"]
        if self.style.classifier == "conv":
            return self.flatten(self.conv(x, "classifier"), len(b))
        x = self.flatten(x, channels)
        if self.style.classifier == "gemm":
            return self.add("Gemm", x, self.constant(w), self.constant(b), transB=1)
        return self.add("Add", self.add("MatMul", x, self.constant(w.T)), self.constant(b))

    def network(self, arch):
        x = self.activation(self.conv("x", "conv_stem", "bn1", arch.stem_stride))
        for name, block in arch.blocks():
            x = self.block(x, name, block)
        x, channels = self.pool(x), arch.num_features
        if arch.head_channels:
            x, channels = self.activation(self.conv(x, "conv_head")), arch.head_channels
        if self.style.scale != 1:
            x = self.add("Mul", x, self.constant(np.float32(self.style.scale)))
        x = self.classifier(x, channels) if arch.num_classes else self.flatten(x, channels)
        return self.add(self.style.end, x) if self.style.end else x


def lcnet(weights, arch, style=None, metadata=None):
    """An ONNX model of the network that takes `x`."""
    style = style or Style()
    builder = _Builder(weights, style)
    out = builder.network(arch)
    graph = helper.make_graph(
        builder.nodes,
        "lcnet",
        [helper.make_tensor_value_info("x", FLOAT, ["batch", *style.size])],
        [helper.make_tensor_value_info(out, FLOAT, None)],
        builder.tensors,
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", style.opset)], ir_version=8, producer_name="test")
    helper.set_model_props(made, metadata or {})
    return made
