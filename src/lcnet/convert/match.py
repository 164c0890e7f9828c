"""A graph held against the family, node by node: the architecture and the weights by timm's names, or what does not fit.

Strides, the head, the factor before the classifier and the function at the end are read from the graph, whatever the model is
called. Owns what an LCNet is; of exporters' ways to write it `simplify` has made one. Nothing is guessed: a node is either
the one that the family has at its place, or it is named.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..arch import BN_EPS, BN_KEYS, WIDTHS, Arch, Block
from ..errors import ModelFileError
from .graph import Graph
from .simplify import simplify, slope
from .unlike import unlike
from .walk import ACTIVATIONS, Layer, Misfit, Walk, decimal, is_depthwise, is_pointwise

MAX_BLOCKS = 64
ENDS = {"Softmax": "softmax", "Sigmoid": "sigmoid"}
_GATE = ("GlobalAveragePool", "Mul")
_STEM = "the stem, a convolution of 3x3,"


@dataclass(frozen=True)
class Match:
    """An LCNet as it was found in a graph."""

    arch: Arch
    weights: Mapping[str, np.ndarray]
    bn_eps: float
    end: str | None  # softmax or sigmoid; None: the graph gives logits
    size: tuple[int, int] | None  # height and width of the input, where the graph states them
    factor: float  # before the classifier, which has it in its weights now
    folded: bool  # the graph had no batch norms


class Depthwise(NamedTuple):
    """A block of the family."""

    depthwise: Layer
    gate: tuple[Layer, ...]  # of squeeze-and-excite: what squeezes, what excites
    pointwise: Layer


class Found(NamedTuple):
    """The layers of a network, in its order."""

    stem: Layer
    blocks: list[Depthwise]
    head: Layer | None
    factor: float
    classifier: Layer | None

    def convs(self, arch: Arch) -> list[tuple[str, str, Layer]]:
        """(convolution, batch norm, layer) by timm's names."""
        out = [("conv_stem", "bn1", self.stem)]
        for (name, _), block in zip(arch.blocks(), self.blocks, strict=True):
            out += [(f"{name}.conv_dw", f"{name}.bn1", block.depthwise), (f"{name}.conv_pw", f"{name}.bn2", block.pointwise)]
        return out


def match(graph: Graph) -> Match:
    """Match a graph. Raises `ModelFileError` that says what it is instead, or the first node that does not fit."""
    plain = simplify(graph)
    try:
        return _match(plain)
    except Misfit as misfit:
        what = unlike(plain)
        raise ModelFileError(f"this is {what}, not an LCNet" if what else f"this is no LCNet: {misfit}") from None


def _match(graph: Graph) -> Match:
    walk = _begin(graph)
    shape = graph.inputs[walk.x] or (None,) * 4
    found = _layers(walk, shape[1])
    end = _end(walk)
    arch = _arch(walk, found)
    eps = _bn_eps(found, arch)
    size = (shape[2], shape[3]) if shape[2] and shape[3] else None
    folded = all(layer.norm is None for _, _, layer in found.convs(arch))
    return Match(arch, _weights(found, arch, eps), eps, end, size, decimal(found.factor), folded)


def _begin(graph: Graph) -> Walk:
    readers = graph.readers()
    inputs = [name for name in graph.inputs if name in readers]
    if len(inputs) != 1 or len(graph.outputs) != 1:
        raise Misfit(f"it has {len(inputs)} inputs and {len(graph.outputs)} outputs, expected one of each")
    if len(graph.inputs[inputs[0]]) not in (0, 4):
        raise Misfit(f"its input has {len(graph.inputs[inputs[0]])} dimensions, expected 4 (NCHW)")
    return Walk(graph, inputs[0], readers)


def _layers(walk: Walk, channels: int | None) -> Found:
    stem = walk.conv(_STEM)
    if stem.weight.shape[1:] != (channels or stem.weight.shape[1], 3, 3) or stem.groups != 1:
        walk.refuse(_STEM, stem.node)
    walk.activation()
    blocks: list[Depthwise] = []
    while walk.next_is("Conv") and len(blocks) < MAX_BLOCKS:
        blocks.append(_block(walk))
    walk.take("the mean of the last map", "GlobalAveragePool")
    return Found(stem, blocks, *_head(walk))


def _block(walk: Walk) -> Depthwise:
    depthwise = walk.conv("a depthwise convolution")
    if not is_depthwise(depthwise):
        walk.refuse("a depthwise convolution", depthwise.node)
    walk.activation()
    gate = _squeeze_excite(walk) if sorted(node.op for node in walk.readers.get(walk.x, [])) == list(_GATE) else ()
    pointwise = walk.conv("a convolution of 1x1")
    if not is_pointwise(pointwise):
        walk.refuse("a convolution of 1x1", pointwise.node)
    walk.activation()
    return Depthwise(depthwise, gate, pointwise)


def _squeeze_excite(walk: Walk) -> tuple[Layer, ...]:
    x = walk.x
    pool, multiply = sorted(walk.readers[x], key=lambda node: _GATE.index(node.op))
    walk.x = pool.output
    reduce = walk.dense("a convolution of 1x1 that squeezes")
    walk.take("a ReLU", "Relu")
    expand = walk.dense("a convolution of 1x1 that excites")
    gate = walk.take("a hard-sigmoid", "HardSigmoid")
    if abs(gate.number("beta", 0.5) - 0.5) > 1e-6:
        walk.refuse("a hard-sigmoid around a half", gate)
    walk.slopes.add(slope(gate))
    walk.reshape()
    if set(multiply.inputs) != {x, walk.x}:
        walk.refuse("a product of map and gate", multiply)
    walk.x = multiply.output
    return reduce, expand


def _head(walk: Walk) -> tuple[Layer | None, float, Layer | None]:
    """The convolution behind the pooling, if there is one, the factor behind it, and the classifier, if there is one."""
    factor = _factor(walk)
    first = walk.dense("the head or the classifier") if walk.next_is("Conv", "Linear") else None
    if first is None or factor != 1 or not walk.next_is(*ACTIVATIONS):
        return None, factor, first
    walk.activation()
    factor = _factor(walk)
    return first, factor, walk.dense("the classifier") if walk.next_is("Conv", "Linear") else None


def _factor(walk: Walk) -> float:
    factor = 1.0
    while (node := walk.skip("Scale", "Reshape")) is not None:
        factor *= node.number("factor", 1)
    return factor


def _end(walk: Walk) -> str | None:
    walk.reshape()
    node = walk.skip(*ENDS)
    if node is not None and node.number("axis", -1) not in (-1, 1):
        walk.refuse("a function of each picture's own values", node)
    walk.reshape()
    if walk.x not in walk.graph.outputs or walk.readers.get(walk.x):
        walk.refuse("the graph's end")
    return ENDS[node.op] if node else None


def _arch(walk: Walk, found: Found) -> Arch:
    """The network of the family that has these layers."""
    if len(walk.activations) > 1:
        raise Misfit(f"{walk.activations['relu']} (Relu) stands where a hard-swish was expected, as elsewhere")
    if len(walk.slopes) > 1:
        raise Misfit(f"its hard-sigmoids have the slopes {sorted(walk.slopes)}, expected the same everywhere")
    base = _of_width(found)
    _compare(base, found.blocks)
    differs: dict[str, Any] = {"hard_sigmoid_slope": walk.slopes.pop()} if walk.slopes else {}
    if found.head:
        differs["head_channels"] = len(found.head.weight)
    else:
        differs |= {"head_channels": 0, "classifier_input": (f"blocks.{len(base.stages) - 1}",)}
    firsts = [sum(map(len, base.stages[:s])) for s in range(len(base.stages))]
    try:
        return Arch(
            base.width,
            found.stem.weight.shape[1],
            len(found.classifier.weight) if found.classifier else 0,
            stem_stride=found.stem.strides,
            stage_strides=tuple(found.blocks[at].depthwise.strides for at in firsts),
            activation=next(iter(walk.activations)),
            **differs,
        )
    except ValueError as error:
        raise Misfit(str(error)) from None


def _of_width(found: Found) -> Arch:
    """The usual network of the width whose stem and last block have these channels."""
    stem, last = len(found.stem.weight), len(found.blocks[-1].pointwise.weight) if found.blocks else 0
    for width in WIDTHS.values():
        if (Arch(width).stem_channels, Arch(width).num_features) == (stem, last):
            return Arch(width)
    raise Misfit(f"{found.stem.node} (Conv) has {stem} channels and the last block {last}, as no LCNet has")


def _compare(base: Arch, blocks: list[Depthwise]) -> None:
    expected = list(base.blocks())
    for (name, block), found in zip(expected, blocks, strict=False):
        _compare_block(name, block, found)
    if len(expected) != len(blocks):
        raise Misfit(f"it has {len(blocks)} blocks, expected {len(expected)}")


def _compare_block(name: str, block: Block, found: Depthwise) -> None:
    depthwise, pointwise = found.depthwise.weight, found.pointwise.weight
    have = (len(depthwise), len(pointwise), depthwise.shape[2], len(found.gate[0].weight) if found.gate else 0)
    want = (block.in_channels, block.out_channels, block.kernel, block.se_channels)
    words = "{} channels, then {}, a kernel of {}, {} channels of squeeze-and-excite"
    if have != want:
        raise Misfit(f"{found.depthwise.node} (Conv), as {name}, has {words.format(*have)}; expected {words.format(*want)}")
    strides = found.depthwise.strides
    if not name.endswith(".0") and strides != (1, 1):
        raise Misfit(f"{found.depthwise.node} (Conv), as {name}, has the strides {strides}, expected 1 within a stage")


def _bn_eps(found: Found, arch: Arch) -> float:
    eps = {layer.eps for _, _, layer in found.convs(arch) if layer.eps is not None} or {BN_EPS}
    if len(eps) > 1:
        raise Misfit(f"its batch norms have the epsilons {sorted(eps)[:4]}, expected the same everywhere")
    return eps.pop()


def _weights(found: Found, arch: Arch, eps: float) -> dict[str, np.ndarray]:
    out: dict[str, np.ndarray] = {}
    for conv, norm, layer in found.convs(arch):
        out[f"{conv}.weight"] = layer.weight
        out |= {f"{norm}.{key}": value for key, value in zip(BN_KEYS, _norm(layer, eps), strict=True)}
    for (name, _), block in zip(arch.blocks(), found.blocks, strict=True):
        for part, layer in zip(("reduce", "expand"), block.gate, strict=False):
            out |= _dense(f"{name}.se.conv_{part}", layer, 4)
    if found.head:
        out |= _dense("conv_head", found.head, 4)
    if found.classifier:
        # Into the classifier, as hard-swish does not commute with a factor: the head could not take it.
        out |= _dense("classifier", found.classifier, 2)
        out["classifier.weight"] = out["classifier.weight"] * np.float32(found.factor)
    elif found.factor != 1:
        raise Misfit(f"its features are multiplied by {found.factor:g}, and there is no classifier to take the factor")
    return out


def _dense(name: str, layer: Layer, dimensions: int) -> dict[str, np.ndarray]:
    rows = len(layer.weight)
    weight = layer.weight.reshape(rows, -1, *(1,) * (dimensions - 2))
    return {f"{name}.weight": weight, f"{name}.bias": np.zeros(rows, np.float32) if layer.bias is None else layer.bias}


def _norm(layer: Layer, eps: float) -> tuple[np.ndarray, ...]:
    """The layer's batch norm; without one, the one that changes nothing but adds the bias.

    Its scale is 1 / sqrt(float32(1 - eps) + eps), within half of float32's last place of 1: folded in double precision, as
    `lcnet.modelfile.fold` does, the weights are those of the file, bit by bit.
    """
    zeros = np.zeros(len(layer.weight), np.float32)
    bias = zeros if layer.bias is None else layer.bias
    if layer.norm is None:
        return np.ones_like(zeros), bias, zeros, np.full_like(zeros, 1 - eps)
    weight, shift, mean, variance = layer.norm
    return weight, shift, mean - bias, variance
