"""A model file as ONNX, for other engines: built without torch, and checked against our runtime before it is kept.

The graph has batch norm folded, float32 weights, NCHW layout, a free batch dimension and the model's own input size. Its
metadata carries the model's description (preprocessing, labels, ...) as the model file's does.
"""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np

from ..arch import Stride
from ..errors import InputError, MissingExtraError
from ..files import check_target, write_atomically
from ..modelfile import ModelFile
from ..modelfile.description import METADATA_KEY, versioned
from ..modelfile.fold import Folded, FoldedBlock, FoldedLayer, fold
from . import parity

OPSET = 17
OPS = {"hard_swish": "HardSwish", "relu": "Relu", "hard_sigmoid": "HardSigmoid", "sigmoid": "Sigmoid"}
IR_VERSION = 8  # of the same time as the opset: engines refuse what is newer than they are


def export_onnx(model: ModelFile, path: str | os.PathLike[str], overwrite: bool = False) -> float:
    """Write a model as ONNX and return the largest difference from our runtime, as a part of the outputs' range.

    Input `input` float32 [batch,C,H,W]; output `logits` float32 [batch,classes], or `embeddings` [batch,head_hidden_size]
    for a model without a classifier. Raises `InputError` if `path` exists, `ExportError` if the exported network computes
    something else.
    """
    check_target(path, overwrite)
    graph = to_onnx(model)
    data = graph.SerializeToString()
    found = parity(model, lambda x: _session(graph, data).run(None, {"input": x})[0])
    write_atomically(path, data)
    return found


def to_onnx(model: ModelFile) -> Any:
    """Build the ONNX graph of a model (opset 17). Raises `InputError` for a quantised one."""
    if model.config.quantization:
        raise InputError(
            "the model is quantised with a scale for each channel of every activation, which ONNX engines do not"
            " run in int8: export the float model that it was made from"
        )
    onnx = _import_onnx()
    size = model.config.preprocessing.input_size
    graph = _Graph(onnx)
    output, width = graph.network(fold(model))
    made: Any = onnx.helper.make_model(
        onnx.helper.make_graph(
            graph.nodes,
            model.config.arch.name,
            [onnx.helper.make_tensor_value_info("input", onnx.TensorProto.FLOAT, ["batch", *size])],
            [onnx.helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, ["batch", width])],
            graph.weights,
        ),
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="lcnet",
    )
    onnx.helper.set_model_props(made, {METADATA_KEY: json.dumps(versioned(model.config), ensure_ascii=False)})
    onnx.checker.check_model(made, full_check=True)
    return made


class _Graph:
    """Nodes and weights as they are added; every method returns the name of the value that it makes."""

    def __init__(self, onnx: Any) -> None:
        self.onnx = onnx
        self.nodes: list[Any] = []
        self.weights: list[Any] = []
        self.activation = self.gate = ""

    def add(self, op: str, inputs: list[str], name: str, **attributes: Any) -> str:
        self.nodes.append(self.onnx.helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def weight(self, name: str, value: np.ndarray) -> str:
        self.weights.append(self.onnx.numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def conv(self, x: str, layer: FoldedLayer, name: str, strides: Stride = (1, 1), group: int = 1) -> str:
        w, b = layer
        w = w if w.ndim == 4 else w[:, :, None, None]
        pad = w.shape[2] // 2
        inputs = [x, self.weight(f"{name}.weight", w), self.weight(f"{name}.bias", b)]
        attributes = {"kernel_shape": w.shape[2:], "strides": strides, "pads": [pad] * 4, "group": group}
        return self.add("Conv", inputs, name, **attributes)

    def activate(self, x: str) -> str:
        return self.add(self.activation, [x], f"{x}.act")

    def block(self, start: str, block: FoldedBlock) -> str:
        x, channels = start, len(block.depthwise[1])
        x = self.activate(self.conv(x, block.depthwise, f"{block.name}.conv_dw", block.strides, group=channels))
        if block.squeeze_excite:
            reduce, expand = block.squeeze_excite
            pooled = self.add("GlobalAveragePool", [x], f"{block.name}.se.pool")
            squeezed = self.add("Relu", [self.conv(pooled, reduce, f"{block.name}.se.conv_reduce")], f"{block.name}.se.act")
            expanded = self.conv(squeezed, expand, f"{block.name}.se.conv_expand")
            slope = {"alpha": 1 / 6, "beta": 0.5} if self.gate == "HardSigmoid" else {}
            gate = self.add(self.gate, [expanded], f"{block.name}.se.gate", **slope)
            x = self.add("Mul", [x, gate], f"{block.name}.se")
        x = self.activate(self.conv(x, block.pointwise, f"{block.name}.conv_pw"))
        if block.pointwise2:
            x = self.activate(self.conv(x, block.pointwise2, f"{block.name}.conv_pw2"))
        return self.add("Add", [x, start], f"{block.name}.sum") if block.shortcut else x

    def pooled(self, maps: list[str]) -> str:
        if len(maps) == 1:
            return self.add("GlobalAveragePool", maps, "global_pool")
        pools = [self.add("GlobalAveragePool", [x], f"{x}.pool") for x in maps]
        return self.add("Concat", pools, "global_pool", axis=1)

    def network(self, folded: Folded) -> tuple[str, int]:
        """Add everything; returns the name and the width of the output."""
        self.activation, self.gate = OPS[folded.arch.activation], OPS[folded.arch.gate]
        x = self.activate(self.conv("input", folded.stem, "conv_stem", folded.arch.stem_stride))
        maps = {}
        for block in folded.blocks:
            maps[block.name] = x = self.block(x, block)
        x = self.pooled([maps[name] for name in folded.arch.pooled_blocks])
        if folded.head:
            x = self.conv(x, folded.head, "conv_head")
            x = self.activate(x) if folded.arch.head_activation == "same" else x
        x = self.add("Flatten", [x], "flatten" if folded.classifier else "embeddings")
        if folded.classifier is None:
            return x, folded.arch.head_hidden_size
        w, b = folded.classifier
        inputs = [x, self.weight("classifier.weight", w), self.weight("classifier.bias", b)]
        return self.add("Gemm", inputs, "logits", transB=1), len(b)


def _session(graph: Any, data: bytes) -> Any:
    """ONNX Runtime where it is installed, else onnx's own reference."""
    try:
        import onnxruntime  # type: ignore[import-untyped, import-not-found, unused-ignore]

        return onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    except ImportError:
        from onnx.reference import ReferenceEvaluator

        return ReferenceEvaluator(graph)


def _import_onnx() -> Any:
    try:
        import onnx
        import onnx.checker
        import onnx.helper
        import onnx.numpy_helper
    except ImportError as error:
        raise MissingExtraError(f"the export needs the package onnx ({error}): pip install 'lcnet[export]'") from None
    return onnx
