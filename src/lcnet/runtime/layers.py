"""The hand-over of a model file's layers to the native core, in float and quantised."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import _native
from ..arch import Arch
from ..modelfile import ModelFile, quantized
from ..modelfile.fold import fold


def native_layers(model: ModelFile) -> _native.Layers | _native.Int8Layers:
    """The layers of a checked model as the engine takes them; their arrays are kept until it has packed them."""
    return (_int8_layers if model.config.quantization else _layers)(model)


def _geometry(layers: _native.Layers | _native.Int8Layers, arch: Arch) -> None:
    """Which maps leave the network or are pooled, the activation between all layers, and the gates'."""
    layers.feature_maps(arch.feature_indices)
    layers.pooled([arch.blocks_before(stage) for stage in arch.pooled_stages])
    layers.activation(arch.activation)
    layers.gate(arch.gate)


def _head_activated(arch: Arch) -> bool:
    return arch.head_activation == "same"


def _layers(model: ModelFile) -> _native.Layers:
    """Hand the folded layers to the native core."""
    folded, layers = fold(model), _native.Layers()
    _geometry(layers, folded.arch)
    layers.stem(*folded.stem, folded.arch.stem_stride)
    for block in folded.blocks:
        layers.block(block.strides, *block.depthwise, *block.pointwise, shortcut=block.shortcut)
        if block.pointwise2:
            layers.pointwise(*block.pointwise2)
        if block.squeeze_excite:
            reduce, expand = block.squeeze_excite
            layers.squeeze_excite(*reduce, *expand)
    if folded.head:
        layers.head(*folded.head, activate=_head_activated(folded.arch))
    if folded.classifier:
        layers.classifier(*folded.classifier)
    return layers


def _int8_layers(model: ModelFile) -> _native.Int8Layers:
    """Hand the layers of a quantised model to the native core."""
    arch, layers = model.config.arch, _native.Int8Layers()
    by_name = quantized.from_weights(model.weights, arch.hard_sigmoid_slope)
    _geometry(layers, arch)
    mean = 255 * np.asarray(model.config.preprocessing.mean)

    def add(kind: str, names: Sequence[str], *before: Any, **after: bool) -> None:
        found = [by_name[name] for name in names]
        whole = isinstance(found[0], quantized.QuantizedLayer)
        getattr(layers, kind if whole else f"float_{kind}")(
            *before, *(array for layer in found for array in quantized.fields_of(layer)), **after
        )

    stem: list[Any] = [*quantized.fields_of(by_name[quantized.STEM]), mean.astype(np.float32), arch.stem_stride]
    layers.stem(*stem)
    for name, block in arch.blocks():
        depthwise, pointwise, *second = quantized.layers_of(arch, name)
        add("block", (depthwise, pointwise), block.strides, shortcut=block.shortcut)
        if second:
            add("pointwise", second)
        if block.se_channels:
            reduce, expand = (quantized.fields_of(by_name[f"{name}.se.{part}"]) for part in ("conv_reduce", "conv_expand"))
            layers.squeeze_excite(*reduce, *expand)
    if arch.head_channels:
        add("head", [quantized.HEAD], activate=_head_activated(arch))
    if arch.num_classes:
        add("classifier", [quantized.CLASSIFIER])
    return layers
