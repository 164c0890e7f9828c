"""A model as an ncnn network: its text of layers and its stream of weights, written as ncnn's own tools would.

The format is that of ncnn's documentation (param and model file structure): every layer line is `type name inputs outputs
input-names output-names key=value...`; a conv's weights follow a four-byte zero that says float32, its bias does not.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from ..arch import Stride
from ..modelfile import ModelFile
from ..modelfile.fold import FoldedBlock, FoldedLayer, fold


class _Network:
    def __init__(self) -> None:
        self.lines: list[str] = ["Input input 0 1 input"]
        self.data = bytearray()
        self.blobs = 1
        self.activation = self.gate = ""

    def add(self, kind: str, inputs: list[str], outputs: list[str], **values: Any) -> str:
        self.blobs += len(outputs)
        keys = " ".join(f"{key[1:]}={value}" for key, value in values.items())
        names = " ".join([*inputs, *outputs])
        self.lines.append(f"{kind} {outputs[0]}_ {len(inputs)} {len(outputs)} {names} {keys}")
        return outputs[0]

    def weights(self, layer: FoldedLayer) -> None:
        w, b = layer
        self.data += b"\0\0\0\0" + np.ascontiguousarray(w).tobytes() + b.tobytes()

    def conv(self, x: str, layer: FoldedLayer, name: str, strides: Stride = (1, 1), group: int = 1) -> str:
        w, b = layer
        k = w.shape[2] if w.ndim == 4 else 1
        self.weights(layer)
        kind = "ConvolutionDepthWise" if group > 1 else "Convolution"
        down, across = strides
        values = {"_0": len(b), "_1": k, "_3": across, "_4": k // 2, "_5": 1, "_6": w.size}
        return self.add(
            kind, [x], [name], **values, **({"_7": group} if group > 1 else {}), **({"_13": down} if down != across else {})
        )

    def dense(self, x: str, layer: FoldedLayer, name: str) -> str:
        """A layer on pooled values, which ncnn keeps without height and width."""
        w, b = layer
        self.weights(layer)
        return self.add("InnerProduct", [x], [name], _0=len(b), _1=1, _2=w.size)

    def activate(self, x: str) -> str:
        if self.activation == "relu":
            return self.add("ReLU", [x], [f"{x}.act"])
        return self.add("HardSwish", [x], [f"{x}.act"], _0=1 / 6, _1=0.5)

    def pool(self, x: str) -> str:
        return self.add("Pooling", [x], [f"{x}.pool"], _0=1, _4=1)

    def split(self, x: str) -> tuple[str, str]:
        """A value for two readers."""
        self.add("Split", [x], [f"{x}.a", f"{x}.b"])
        return f"{x}.a", f"{x}.b"

    def gated(self, x: str) -> str:
        if self.gate == "sigmoid":
            return self.add("Sigmoid", [x], [f"{x}.gate"])
        return self.add("HardSigmoid", [x], [f"{x}.gate"], _0=1 / 6, _1=0.5)

    def block(self, x: str, block: FoldedBlock) -> str:
        name, start = block.name, ""
        if block.shortcut:
            x, start = self.split(x)
        x = self.activate(self.conv(x, block.depthwise, f"{name}.dw", block.strides, group=len(block.depthwise[1])))
        if block.squeeze_excite:
            reduce, expand = block.squeeze_excite
            self.add("Split", [x], [f"{name}.a", f"{name}.b"])
            pooled = self.add("Pooling", [f"{name}.a"], [f"{name}.pool"], _0=1, _4=1)
            squeezed = self.add("ReLU", [self.dense(pooled, reduce, f"{name}.reduce")], [f"{name}.relu"])
            gate = self.gated(self.dense(squeezed, expand, f"{name}.expand"))
            x = self.add("BinaryOp", [f"{name}.b", gate], [f"{name}.se"], _0=2)
        x = self.activate(self.conv(x, block.pointwise, f"{name}.pw"))
        if block.pointwise2:
            x = self.activate(self.conv(x, block.pointwise2, f"{name}.pw2"))
        return self.add("BinaryOp", [x, start], [f"{name}.sum"], _0=0) if block.shortcut else x


def write_ncnn(model: ModelFile, net: Any) -> None:
    """Load a model into an `ncnn.Net`: input blob `input`, output blob `logits`."""
    folded, network = fold(model), _Network()
    assert folded.classifier is not None
    network.activation, network.gate = folded.arch.activation, folded.arch.gate
    x = network.activate(network.conv("input", folded.stem, "stem", folded.arch.stem_stride))
    *early, last = folded.arch.pooled_blocks
    pools = []
    for block in folded.blocks:
        x = network.block(x, block)
        if block.name in early:
            mean, x = network.split(x)
            pools.append(network.pool(mean))
    assert folded.blocks[-1].name == last
    pools.append(network.pool(x))
    x = pools[0] if len(pools) == 1 else network.add("Concat", pools, ["pooled"], _0=0)
    if folded.head:
        x = network.dense(x, folded.head, "head")
        x = network.activate(x) if folded.arch.head_activation == "same" else x
    network.dense(x, folded.classifier, "logits")
    text = "\n".join(["7767517", f"{len(network.lines)} {network.blobs}", *network.lines, ""])
    with tempfile.TemporaryDirectory() as folder:
        param, weights = Path(folder) / "net.param", Path(folder) / "net.bin"
        param.write_text(text)
        weights.write_bytes(network.data)
        net.load_param(str(param))
        net.load_model(str(weights))
