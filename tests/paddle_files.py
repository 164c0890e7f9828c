"""Paddle's files, made by hand: parameters one behind the other, and where the samples of real ones lie."""

import json
import struct

import numpy as np
import pytest
from sample_data import SHARED_DATA

CODES = {"f4": 5, "f2": 4, "f8": 6, "i4": 2, "i8": 3, "u1": 20, "i1": 21, "b1": 0}


def tensor(array: np.ndarray, code: int | None = None, dims=None) -> bytes:
    """One tensor as Paddle serialises it."""
    code = CODES[array.dtype.str[1:]] if code is None else code
    described = b"\x08" + bytes([code]) + b"".join(b"\x10" + _varint(n) for n in (array.shape if dims is None else dims))
    return struct.pack("<IQIi", 0, 0, 0, len(described)) + described + array.tobytes()


def _varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def pdiparams(arrays: dict[str, np.ndarray], order=sorted) -> bytes:
    """A whole file; Paddle sorts the names by their bytes."""
    return b"".join(tensor(arrays[name]) for name in order(arrays))


def sample(*parts: str):
    """A file or folder of the samples that some machines have beside the checkout."""
    path = SHARED_DATA.joinpath("paddle", *parts)
    if not path.exists():
        pytest.skip(f"the sample {'/'.join(parts)} is not beside the checkout")
    return path


# Graphs, as far as reading them needs: the same operators in both formats.

FLOAT = 5  # VarType


class Writer:
    """The operators of an LCNet in Paddle's words, and its parameters by the names that Paddle gives them."""

    def __init__(self, weights, arch, end="softmax", dropped=0.2, size=(64, 64)):
        self.weights, self.arch, self.size = weights, arch, size
        self.parameters: dict[str, np.ndarray] = {}
        self.operators: list[tuple[str, dict, str, dict]] = []  # kind, inputs by slot, output, attributes
        self.convs = self.norms = 0
        self.shape = (-1, arch.in_chans, *size)
        self.output = self.network(end, dropped)

    def parameter(self, name, value):
        self.parameters[name] = np.ascontiguousarray(value, np.float32)
        return name

    def add(self, kind, inputs, **attributes):
        name = f"v{len(self.operators)}"
        self.operators.append((kind, inputs, name, attributes))
        return name

    def conv(self, x, key, norm=None, strides=(1, 1), groups=1):
        w = self.weights[f"{key}.weight"]
        name, self.convs = f"conv2d_{self.convs}", self.convs + 1
        pad = w.shape[2] // 2
        attributes = {"strides": list(strides), "paddings": [pad] * 2, "groups": groups, "dilations": [1, 1]}
        attributes |= {"padding_algorithm": "EXPLICIT", "data_format": "NCHW"}
        x = self.add(
            "depthwise_conv2d" if groups > 1 else "conv2d",
            {"Input": x, "Filter": self.parameter(f"{name}.w_0", w)},
            **attributes,
        )
        if f"{key}.bias" in self.weights and key != "conv_head":
            b = self.parameter(f"{name}.b_0", self.weights[f"{key}.bias"])
            x = self.add("elementwise_add", {"X": x, "Y": b}, axis=1)
        return self.norm(x, norm) if norm else x

    def norm(self, x, key):
        name, self.norms = f"batch_norm2d_{self.norms}", self.norms + 1
        slots = {"Scale": ("w_0", "weight"), "Bias": ("b_0", "bias")}
        slots |= {"Mean": ("w_1", "running_mean"), "Variance": ("w_2", "running_var")}
        inputs = {s: self.parameter(f"{name}.{p}", self.weights[f"{key}.{k}"]) for s, (p, k) in slots.items()}
        return self.add("batch_norm", {"X": x, **inputs}, epsilon=float(np.float32(1e-5)), is_test=True)

    def block(self, x, name, block):
        act = "hard_swish"
        x = self.add(act, {"X": self.conv(x, f"{name}.conv_dw", f"{name}.bn1", block.strides, block.in_channels)})
        if block.se_channels:
            y = self.add("pool2d", {"X": x}, pooling_type="avg", adaptive=True, ksize=[1, 1])
            y = self.conv(self.add("relu", {"X": self.conv(y, f"{name}.se.conv_reduce")}), f"{name}.se.conv_expand")
            y = self.add("hard_sigmoid", {"X": y}, slope=float(np.float32(0.1666667)), offset=0.5)
            x = self.add("elementwise_mul", {"X": x, "Y": y}, axis=-1)
        return self.add(act, {"X": self.conv(x, f"{name}.conv_pw", f"{name}.bn2")})

    def network(self, end, dropped):
        x = self.add("hard_swish", {"X": self.conv("x", "conv_stem", "bn1", self.arch.stem_stride)})
        for name, block in self.arch.blocks():
            x = self.block(x, name, block)
        x = self.add("pool2d", {"X": x}, pooling_type="avg", adaptive=True, ksize=[1, 1])
        if self.arch.head_channels:
            x = self.add("hard_swish", {"X": self.conv(x, "conv_head")})
            x = self.add("dropout", {"X": x}, dropout_prob=dropped, dropout_implementation="downgrade_in_infer", is_test=True)
        x = self.add("flatten_contiguous_range", {"X": x}, start_axis=1, stop_axis=3)
        w = self.parameter("linear_0.w_0", self.weights["classifier.weight"].T)
        x = self.add("matmul_v2", {"X": x, "Y": w}, trans_x=False, trans_y=False)
        x = self.add("elementwise_add", {"X": x, "Y": self.parameter("linear_0.b_0", self.weights["classifier.bias"])}, axis=1)
        return self.add(end, {"X": x}, axis=-1) if end else x

    def pdiparams(self):
        return pdiparams(self.parameters)

    # ProgramDesc

    def pdmodel(self):
        variables = [_variable("feed", 9, None, True), _variable("x", 7, self.shape, False)]
        variables += [_variable(name, 7, value.shape, True) for name, value in self.parameters.items()]
        ops = [("feed", {"X": "feed"}, "x", {}), *self.operators, ("fetch", {"X": self.output}, "fetch", {})]
        return _message(1, b"".join(variables) + b"".join(_message(4, _operator(*op)) for op in ops))

    # PIR

    def pir(self):
        ids = {"x": 1} | {name: i + 2 for i, name in enumerate(self.parameters)}
        ops = [_pir_parameter(name, value, ids[name]) for name, value in reversed(self.parameters.items())]
        ops.append(_pir("data", [], 1, {"name": "x", "shape": list(self.shape)}))
        for kind, inputs, output, attributes in self.operators:
            ids[output] = len(ids) + 1
            ops.append(_pir(PIR_NAMES.get(kind, kind), _places(kind, inputs, ids), ids[output], attributes))
        ops.append(_pir("fetch", [ids[self.output]], len(ids) + 1, {"name": "fetch_name_0"}))
        block = {"#": "block_0", "args": [], "ops": ops}
        root = {"base_code": {"magic": "pir", "trainable": True, "version": 1}, "program": {"regions": [{"blocks": [block]}]}}
        return json.dumps(root, separators=(",", ":")).encode()


PIR_NAMES = {
    "batch_norm": "batch_norm_",
    "hard_swish": "hardswish",
    "hard_sigmoid": "hardsigmoid",
    "elementwise_mul": "multiply",
}
PIR_NAMES |= {"flatten_contiguous_range": "flatten", "matmul_v2": "matmul", "elementwise_add": "add"}


def _places(kind, inputs, ids):
    slots = ("X", "Mean", "Variance", "Scale", "Bias") if kind == "batch_norm" else inputs
    return [ids[inputs[slot]] for slot in slots]


def _pir_parameter(name, value, number):
    kind = {"#": "0.t_dtensor", "D": [{"#": "0.t_f32"}, list(value.shape), "NCHW", [], 0]}
    return {"#": "p", "A": [0, 1, 1, name], "O": {"%": number, "TT": kind}}


def _pir(kind, inputs, output, attributes):
    said = [{"N": name, "AT": _pir_value(value)} for name, value in attributes.items()]
    return {"#": f"1.{kind}", "A": said, "I": [{"%": i} for i in inputs], "O": [{"%": output}]}


def _pir_value(value):
    if isinstance(value, list):
        return {"#": "0.a_array", "D": [{"#": "0.a_i32", "D": item} for item in value]}
    return {"#": "0.a_str", "D": value}


def _message(number, data):
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _variable(name, kind, shape, persistable):
    dims = b"".join(b"\x10" + _varint(n & 2**64 - 1) for n in shape or ())
    tensor = b"" if shape is None else _message(3, _message(1, b"\x08" + bytes([FLOAT]) + dims))
    return _message(
        3, _message(1, name.encode()) + _message(2, b"\x08" + bytes([kind]) + tensor) + b"\x18" + bytes([persistable])
    )


def _operator(kind, inputs, output, attributes):
    slots = b"".join(_message(1, _message(1, slot.encode()) + _message(2, name.encode())) for slot, name in inputs.items())
    out = {"conv2d": "Output", "depthwise_conv2d": "Output", "batch_norm": "Y"}.get(kind, "Out")
    slots += _message(2, _message(1, out.encode()) + _message(2, output.encode())) + _message(3, kind.encode())
    return slots + b"".join(_message(4, _message(1, name.encode()) + _attribute(value)) for name, value in attributes.items())


def _attribute(value):
    if isinstance(value, bool):
        return b"\x10\x06\x50" + bytes([value])
    if isinstance(value, int):
        return b"\x10\x00\x18" + _varint(value & 2**64 - 1)
    if isinstance(value, float):
        return b"\x10\x01\x25" + struct.pack("<f", value)
    if isinstance(value, str):
        return b"\x10\x02" + _message(5, value.encode())
    return b"\x10\x03" + b"".join(b"\x30" + _varint(n) for n in value)
