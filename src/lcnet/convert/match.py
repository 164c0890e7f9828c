"""A graph held against the family, node by node: the architecture and the weights by timm's names, or what does not fit.

Strides, the head, the factor before the classifier and the function at the end are read from the graph, whatever the model is
called. Owns what an LCNet is; of exporters' ways to write it `simplify` has made one. Nothing is guessed: a node is either
the one that the family has at its place, or it is named.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from ..arch import BN_EPS, BN_KEYS, FAMILIES, Arch, Block, Conv
from ..errors import ModelFileError
from ..modelfile.quantized import IN_BLOCKS
from .graph import Graph, Node
from .simplify import simplify, slope
from .unlike import unlike
from .walk import ACTIVATIONS, Layer, Misfit, Walk, decimal, folded, is_depthwise, is_pointwise, summed

MAX_BLOCKS = 64
ENDS = {"Softmax": "softmax", "Sigmoid": "sigmoid"}
GATES = {"HardSigmoid": "hard_sigmoid", "Sigmoid": "sigmoid"}
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


class Separable(NamedTuple):
    """A block of the families."""

    depthwise: Layer
    gate: tuple[Layer, ...]  # of squeeze-and-excite: what squeezes, what excites
    pointwise: tuple[Layer, ...]  # one or two
    shortcut: bool

    @property
    def channels(self) -> int:
        """Of its output."""
        return len(self.pointwise[-1].weight)


class Found(NamedTuple):
    """The layers of a network, in its order."""

    stem: Layer
    blocks: list[Separable]
    head: Layer | None
    active: bool  # whether an activation follows the head
    factor: float
    classifier: Layer | None

    def layers(self, arch: Arch) -> dict[str, Layer]:
        """The layers by our names."""
        out = {"conv_stem": self.stem}
        for (name, _), block in zip(arch.blocks(), self.blocks, strict=True):
            parts = zip(IN_BLOCKS, (block.depthwise, *block.pointwise), strict=False)
            gates = zip(("se.conv_reduce", "se.conv_expand"), block.gate, strict=False)
            out |= {f"{name}.{part}": layer for part, layer in (*parts, *gates)}
        ends = (("conv_head", self.head), ("classifier", self.classifier))
        return out | {name: layer for name, layer in ends if layer}

    def convs(self) -> Iterator[Layer]:
        """The layers that a batch norm may follow."""
        yield self.stem
        for block in self.blocks:
            yield from (block.depthwise, *block.pointwise)


def match(graph: Graph, features: bool = False) -> Match:
    """Match a graph. Raises `ModelFileError` that says what it is instead, or the first node that does not fit.

    features: it is known to end in a head without an activation, which otherwise looks like a classifier.
    """
    plain = simplify(graph)
    try:
        return _match(plain, features)
    except Misfit as misfit:
        what = unlike(plain)
        raise ModelFileError(f"this is {what}, not an LCNet" if what else f"this is no LCNet: {misfit}") from None


def _match(graph: Graph, features: bool) -> Match:
    walk = _begin(graph)
    shape = graph.inputs[walk.x] or (None,) * 4
    found = _layers(walk, shape[1], features)
    end = _end(walk)
    if end and not found.classifier:
        raise Misfit(f"it ends in {end}, and there is no classifier before it")
    arch = _arch(walk, found)
    eps = _bn_eps(found)
    size = (shape[2], shape[3]) if shape[2] and shape[3] else None
    folded = all(layer.norm is None for layer in found.convs())
    return Match(arch, _weights(found, arch, eps), eps, end, size, decimal(found.factor), folded)


def _begin(graph: Graph) -> Walk:
    readers = graph.readers()
    inputs = [name for name in graph.inputs if name in readers]
    if len(inputs) != 1 or len(graph.outputs) != 1:
        raise Misfit(f"it has {len(inputs)} inputs and {len(graph.outputs)} outputs, expected one of each")
    if len(graph.inputs[inputs[0]]) not in (0, 4):
        raise Misfit(f"its input has {len(graph.inputs[inputs[0]])} dimensions, expected 4 (NCHW)")
    return Walk(graph, inputs[0], readers)


def _layers(walk: Walk, channels: int | None, features: bool) -> Found:
    stem = walk.conv(_STEM)
    if stem.weight.shape[1:] != (channels or stem.weight.shape[1], 3, 3) or stem.groups != 1:
        walk.refuse(_STEM, stem.node)
    walk.activation()
    blocks: list[Separable] = []
    while any(node.op == "Conv" for node in walk.following()) and len(blocks) < MAX_BLOCKS:
        blocks.append(_block(walk))
    walk.take("the mean of the last map", "GlobalAveragePool")
    return Found(stem, blocks, *_head(walk, features))


def _block(walk: Walk) -> Separable:
    start, walk.around = walk.x, _around(walk)
    depthwise = _depthwise(walk)
    walk.activation()
    gate = _squeeze_excite(walk) if sorted(node.op for node in walk.following()) == list(_GATE) else ()
    pointwise = [_pointwise(walk)]
    if walk.pointwise_follows():
        pointwise.append(_pointwise(walk))
    shortcut, walk.around = walk.around, None
    if shortcut is None:
        return Separable(depthwise, gate, tuple(pointwise), False)
    if walk.next() is not shortcut or set(shortcut.inputs) != {start, walk.x}:
        walk.refuse("the end of a block, whose input is added,")
    walk.x = shortcut.output
    return Separable(depthwise, gate, tuple(pointwise), True)


def _around(walk: Walk) -> Node | None:
    """The sum that reads the value beside what is next."""
    readers = walk.readers.get(walk.x, [])
    sums = [node for node in readers if node.op == "Add"]
    return sums[0] if len(sums) == 1 and len(readers) > 1 else None


def _depthwise(walk: Walk) -> Layer:
    layers = _branches(walk) if len(walk.following()) > 1 else [walk.conv("a depthwise convolution")]
    for layer in layers:
        if not is_depthwise(layer):
            walk.refuse("a depthwise convolution", layer.node)
    return summed(layers)


def _branches(walk: Walk) -> list[Layer]:
    """Several convolutions of the same map, and the sums that make one of them, as a network has them that is being trained."""
    start, layers, open_ = walk.x, [], set()
    for node in walk.following():
        layers.append(walk.branch(node, "depthwise convolutions whose sum goes on"))
        open_.add(walk.x)
        walk.x = start
    while len(open_) > 1:
        add = next((node for name in open_ for node in walk.readers.get(name, []) if set(node.inputs) <= open_), None)
        if add is None or add.op != "Add" or len(set(add.inputs)) != 2:
            walk.refuse("depthwise convolutions whose sum goes on")
        open_ = (open_ - set(add.inputs)) | {add.output}
    walk.x = open_.pop()
    return layers


def _pointwise(walk: Walk) -> Layer:
    pointwise = walk.conv("a convolution of 1x1")
    if not is_pointwise(pointwise):
        walk.refuse("a convolution of 1x1", pointwise.node)
    walk.activation()
    return pointwise


def _squeeze_excite(walk: Walk) -> tuple[Layer, ...]:
    x = walk.x
    pool, multiply = sorted(walk.readers[x], key=lambda node: _GATE.index(node.op))
    walk.x = pool.output
    reduce = walk.dense("a convolution of 1x1 that squeezes")
    walk.take("a ReLU", "Relu")
    expand = walk.dense("a convolution of 1x1 that excites")
    gate = walk.take("a hard-sigmoid or a sigmoid", *GATES)
    walk.gates.add(GATES[gate.op])
    if gate.op == "HardSigmoid":
        if abs(gate.number("beta", 0.5) - 0.5) > 1e-6:
            walk.refuse("a hard-sigmoid around a half", gate)
        walk.slopes.add(slope(gate))
    walk.reshape()
    if set(multiply.inputs) != {x, walk.x}:
        walk.refuse("a product of map and gate", multiply)
    walk.x = multiply.output
    return reduce, expand


def _head(walk: Walk, features: bool) -> tuple[Layer | None, bool, float, Layer | None]:
    """The convolution behind the pooling, if there is one, whether an activation follows, the factor behind that, and the
    classifier, if there is one."""
    factor = _factor(walk)
    first = walk.dense("the head or the classifier") if walk.next_is("Conv", "Linear") else None
    if first is None or factor != 1:
        return None, True, factor, first
    active = walk.next_is(*ACTIVATIONS)
    if active:
        walk.activation()
        factor = _factor(walk)
    else:
        plain = _plain_head(walk, first, features) if first.node.op == "Conv" else None
        if plain is None:
            return None, True, factor, first
        first = plain
    return first, active, factor, walk.dense("the classifier") if walk.next_is("Conv", "Linear") else None


def _plain_head(walk: Walk, head: Layer, features: bool) -> Layer | None:
    """A head without an activation, with the factors and the batch norm behind it in its weights; None: it has none of them."""
    out = head
    while walk.next_is("Scale", "Reshape", "BatchNormalization"):
        factor = _factor(walk)
        scaled = Layer(head.node, out.weight * np.float32(factor), None if out.bias is None else out.bias * np.float32(factor))
        out = folded(walk.normed(scaled if factor != 1 else out))
    return None if out is head and not features else out


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
    if len(walk.gates) > 1:
        raise Misfit("some of its gates end in a hard-sigmoid and some in a sigmoid, expected the same everywhere")
    base = _base(found)
    _compare(base, found.blocks)
    differs: dict[str, Any] = {"hard_sigmoid_slope": walk.slopes.pop()} if walk.slopes else {}
    if found.head:
        bias = base.head_bias or (found.head.bias is not None and bool(found.head.bias.any()))
        differs |= {"head_channels": len(found.head.weight), "head_bias": bias}
        differs["head_activation"] = "same" if found.active else "none"
    else:
        differs |= {"head_channels": 0, "classifier_input": base.table.stage_names[-1:]}
    firsts = [base.blocks_before(s - 1) if s else 0 for s in range(len(base.stages))]
    try:
        return replace(
            base,
            in_chans=found.stem.weight.shape[1],
            num_classes=len(found.classifier.weight) if found.classifier else 0,
            stem_stride=found.stem.strides,
            stage_strides=tuple(found.blocks[at].depthwise.strides for at in firsts),
            activation=next(iter(walk.activations)),
            gate=next(iter(walk.gates), base.gate),
            **differs,
        )
    except ValueError as error:
        raise Misfit(str(error)) from None


def _base(found: Found) -> Arch:
    """The usual network of the width whose stem and last block have these channels; of PP-LCNetV2, of these depths too."""
    blocks = found.blocks
    second = any(block.shortcut or len(block.pointwise) > 1 for block in blocks)
    table = FAMILIES["lcnetv2" if second else "lcnet"]
    stem, last = len(found.stem.weight), blocks[-1].channels if blocks else 0
    for name in table.sizes:
        arch = Arch.of(name)
        if (arch.stem_channels, arch.num_features) == (stem, last):
            return _deep(arch, blocks)
    raise Misfit(f"{found.stem.node} (Conv) has {stem} channels and the last block {last}, as no {table.title} has")


def _deep(arch: Arch, blocks: list[Separable]) -> Arch:
    """The network with as many blocks in each stage as have its channels, where the family leaves their number open."""
    open_ = [stage for stage, row in zip(arch.stages, arch.table.stages, strict=True) if row.depth is None]
    return replace(arch, depths=tuple(max(1, sum(b.channels == s[0].out_channels for b in blocks)) for s in open_))


def _compare(base: Arch, blocks: list[Separable]) -> None:
    expected = list(base.blocks())
    for (name, block), found in zip(expected, blocks, strict=False):
        _compare_block(name, block, found, base)
    if len(expected) != len(blocks):
        raise Misfit(f"it has {len(blocks)} blocks, expected {len(expected)}")


def _compare_block(name: str, block: Block, found: Separable, base: Arch) -> None:
    node, depthwise, first = found.depthwise.node, found.depthwise.weight, found.pointwise[0].weight
    have: tuple[Any, ...] = (len(depthwise), found.channels, depthwise.shape[2], len(found.gate[0].weight) if found.gate else 0)
    want: tuple[Any, ...] = (block.in_channels, block.out_channels, block.kernel, block.se_channels)
    words = "{} channels, then {}, a kernel of {}, {} channels of squeeze-and-excite"
    if base.family != "lcnet":
        have += (len(first) if len(found.pointwise) > 1 else 0, "a" if found.shortcut else "no")
        want += (block.mid_channels, "a" if block.shortcut else "no")
        words += ", {} between two convolutions of 1x1, {} shortcut"
    if have != want:
        raise Misfit(f"{node} (Conv), as {name}, has {words.format(*have)}; expected {words.format(*want)}")
    strides = found.depthwise.strides
    if name not in _firsts(base) and strides != (1, 1):
        raise Misfit(f"{node} (Conv), as {name}, has the strides {strides}, expected 1 within a stage")


def _firsts(base: Arch) -> set[str]:
    """The blocks that begin a stage."""
    names = [name for name, _ in base.blocks()]
    return {names[base.blocks_before(s - 1) if s else 0] for s in range(len(base.stages))}


def _bn_eps(found: Found) -> float:
    eps = {layer.eps for layer in found.convs() if layer.eps is not None} or {BN_EPS}
    if len(eps) > 1:
        raise Misfit(f"its batch norms have the epsilons {sorted(eps)[:4]}, expected the same everywhere")
    return eps.pop()


def _weights(found: Found, arch: Arch, eps: float) -> dict[str, np.ndarray]:
    out: dict[str, np.ndarray] = {}
    layers = found.layers(arch)
    for conv in arch.convs():
        out |= _tensors(conv, layers[conv.layer], eps)
    if found.classifier:
        # Into the classifier, as hard-swish does not commute with a factor: the head could not take it.
        out["classifier.weight"] = out["classifier.weight"] * np.float32(found.factor)
    elif found.factor != 1:
        raise Misfit(f"its features are multiplied by {found.factor:g}, and there is no classifier to take the factor")
    return out


def _tensors(conv: Conv, layer: Layer, eps: float) -> dict[str, np.ndarray]:
    """A layer's tensors by the names of the model file."""
    if conv.norm:
        norm = {f"{conv.norm}.{key}": value for key, value in zip(BN_KEYS, _norm(layer, eps), strict=True)}
        return {f"{conv.conv}.weight": layer.weight, **norm}
    layer = folded(layer)
    weight = layer.weight
    if conv.shape[2:] in ((), (1, 1)):
        weight = weight.reshape(*weight.shape[:2], *conv.shape[2:])
    out = {f"{conv.conv}.weight": weight}
    if conv.bias:
        out[f"{conv.conv}.bias"] = np.zeros(len(layer.weight), np.float32) if layer.bias is None else layer.bias
    return out


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
