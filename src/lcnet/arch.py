"""Networks as data: the stage table of a family widened into typed layers, shapes, parameters and multiply-adds.

Owns what follows from the tables of `families`. It builds no tensors and imports nothing else of ours.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from .families import FAMILIES, SIZES, WIDTHS, Family, Stage, Stride

__all__ = ["FAMILIES", "SIZES", "WIDTHS", "Arch", "Block", "Conv", "Stride", "conv_size", "reduction_name", "round_channels"]

HEAD_CHANNELS = 1280  # not scaled by the width
BN_EPS = 1e-5
# Of the stem and of the first block of each stage, whose depthwise conv has it; the other blocks have 1.
STEM_STRIDE: Stride = (2, 2)
STRIDES = (1, 2)  # that an axis can have
ACTIVATIONS = ("hard_swish", "relu")
GATES = ("hard_sigmoid", "sigmoid")
HEAD_ACTIVATIONS = ("same", "none")
HARD_SIGMOID_SLOPE = 1 / 6
EMBEDDINGS = "embeddings"  # what the head conv makes; the other inputs of a classifier are pooled maps, `blocks.S`
# How much smaller than the input the feature maps of a network with the usual strides are, on both axes.
REDUCTIONS = (2, 4, 8, 16, 32)

MAX_HEAD = 1 << 16  # channels
MAX_DEPTH = 64  # blocks of a stage
_STRIDE_PAIR = "1 or 2 down and 1 or 2 across"
BN_KEYS = ("weight", "bias", "running_mean", "running_var")


def _usual_strides(family: Family) -> tuple[Stride, ...]:
    return tuple((row.stride, row.stride) for row in family.stages)


STAGE_STRIDES = _usual_strides(FAMILIES["lcnet"])


def round_channels(channels: float, divisor: int = 8) -> int:
    """Round to a multiple of `divisor`, ties up, never more than 10% down (the rule that timm and PaddleClas share)."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


def conv_size(size: int, stride: int) -> int:
    """Output size of a conv with padding (k-1)//2 on both sides: the same for every odd kernel."""
    return (size - 1) // stride + 1


def reduction_name(reduction: Stride) -> str:
    """How a map's size is called: `4`, or where the axes differ `4x2`, the vertical one first."""
    height, width = reduction
    return str(height) if height == width else f"{height}x{width}"


class Conv(NamedTuple):
    """A convolution or linear layer: its name as a layer, and by which names a float model file has its tensors."""

    layer: str
    conv: str
    norm: str | None  # the batch norm behind it; None: there is none, and it may have a bias
    shape: tuple[int, ...]  # of its weight
    bias: bool

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Tensor -> shape, in timm's order."""
        out, channels = {f"{self.conv}.weight": self.shape}, self.shape[:1]
        if self.bias:
            out[f"{self.conv}.bias"] = channels
        return out | ({f"{self.norm}.{key}": channels for key in BN_KEYS} if self.norm else {})


@dataclass(frozen=True)
class Block:
    """Depthwise k x k, BN, activation -> [SE] -> pointwise, BN, activation [-> another of these] [+ the block's input].

    `branches`: the kernels of the depthwise convs, each with its batch norm, whose sum stands for the one while training;
    of such a block the one has a bias, and no batch norm.
    """

    in_channels: int
    out_channels: int
    kernel: int
    strides: Stride
    se_channels: int  # 0: no squeeze-and-excite
    mid_channels: int = 0  # between two pointwise layers; 0: there is one
    shortcut: bool = False  # the block's input is added behind the last activation
    branches: tuple[int, ...] = ()

    @property
    def stride(self) -> int:
        """The stride of both axes. Raises `ValueError` if they differ."""
        if self.strides[0] != self.strides[1]:
            raise ValueError(f"the strides of this block differ by axis, {self.strides}: take `strides`")
        return self.strides[0]

    def layers(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """(layer, shape of its weight) in their order."""
        c, m, n, r = self.in_channels, self.mid_channels, self.out_channels, self.se_channels
        yield "conv_dw", (c, 1, self.kernel, self.kernel)
        if r:
            yield "se.conv_reduce", (r, c, 1, 1)
            yield "se.conv_expand", (c, r, 1, 1)
        yield "conv_pw", (m or n, c, 1, 1)
        if m:
            yield "conv_pw2", (n, m, 1, 1)


@dataclass(frozen=True)
class Arch:
    """One network of a family: width, interface sizes and what differs from timm's, from which every layer follows.

    The defaults are those of the family `lcnet`; `Arch.of` makes a registered network of any. Strides are (vertical,
    horizontal), 1 or 2, of the stem and of the first block of each stage. `head_channels`: of the conv
    between pooling and classifier, which reads `("embeddings",)` then; 0: there is none, and the classifier reads pooled maps,
    the outputs of stages in their order, side by side: `("blocks.5",)` is the last stage, `("blocks.2", "blocks.4")` two.
    Stages behind the last one read do not exist, and their strides are dropped. `gate`: of squeeze-and-excite, a sigmoid or a
    hard-sigmoid, min(max(hard_sigmoid_slope * x + 0.5, 0), 1). `depths`: the blocks of the stages whose number the family
    leaves open. `head_activation`: "same" as everywhere, or "none". Raises `ValueError` naming the field.
    """

    width: float
    in_chans: int = 3
    num_classes: int = 1000  # 0: no classifier; the network ends with what one would read
    stem_stride: Stride = STEM_STRIDE
    stage_strides: tuple[Stride, ...] = STAGE_STRIDES
    head_channels: int = HEAD_CHANNELS
    activation: str = ACTIVATIONS[0]
    hard_sigmoid_slope: float = HARD_SIGMOID_SLOPE
    classifier_input: tuple[str, ...] = (EMBEDDINGS,)
    family: str = "lcnet"
    depths: tuple[int, ...] = ()
    gate: str = GATES[0]
    head_bias: bool = True
    head_activation: str = HEAD_ACTIVATIONS[0]

    @classmethod
    def of(cls, name: str, in_chans: int = 3, num_classes: int = 1000, **other: Any) -> Arch:
        """The registered network of a name (`lcnet_050`, `lcnetv2_base`), but for what is given. Raises `KeyError`."""
        family, width, depths = SIZES[name]
        usual = {"stage_strides": _usual_strides(FAMILIES[family]), "depths": depths, **FAMILIES[family].usual}
        return cls(width, in_chans, num_classes, family=family, **(usual | other))

    def __post_init__(self) -> None:
        for name in ("stem_stride", "stage_strides", "classifier_input", "depths"):  # as JSON has them
            object.__setattr__(self, name, _tuples(getattr(self, name)))
        _require(self.family in FAMILIES, "family", self.family, _either(FAMILIES))
        self._check_head()
        self._check_classifier_input()
        self._check_strides()
        self._check_depths()
        self._check_gate()
        _require(self.activation in ACTIVATIONS, "activation", self.activation, _either(ACTIVATIONS))

    def _check_head(self) -> None:
        whole = type(self.head_channels) is int and 0 <= self.head_channels <= MAX_HEAD
        _require(whole, "head_channels", self.head_channels, f"a whole number from 0 to {MAX_HEAD}")
        _require(self.head_activation in HEAD_ACTIVATIONS, "head_activation", self.head_activation, _either(HEAD_ACTIVATIONS))
        _require(type(self.head_bias) is bool, "head_bias", self.head_bias, "true or false")
        if not self.head_channels:
            object.__setattr__(self, "head_bias", True)
            object.__setattr__(self, "head_activation", HEAD_ACTIVATIONS[0])

    def _check_classifier_input(self) -> None:
        read, names = self.classifier_input, self.table.stage_names
        expected = f"[{EMBEDDINGS!r}], as there is a head"
        good = read == (EMBEDDINGS,)
        if not self.head_channels:
            expected = f"stages in their order, {names[0]!r} to {names[-1]!r}, as head_channels is 0"
            good = bool(read) and read == tuple(name for name in names if name in read)
        _require(good, "classifier_input", read, expected)

    def _check_strides(self) -> None:
        _require(_is_stride(self.stem_stride), "stem_stride", self.stem_stride, _STRIDE_PAIR)
        count, strides, most = self.pooled_stages[-1] + 1, self.stage_strides, len(self.table.stages)
        good = isinstance(strides, tuple) and count <= len(strides) <= most and all(map(_is_stride, strides))
        _require(good, "stage_strides", strides, f"{count} pairs, each {_STRIDE_PAIR}")
        object.__setattr__(self, "stage_strides", strides[:count])

    def _check_depths(self) -> None:
        depths, rows = self.depths, self.table.stages
        count, most = (sum(row.depth is None for row in part) for part in (rows[: len(self.stage_strides)], rows))
        good = isinstance(depths, tuple) and count <= len(depths) <= most
        good = good and all(type(n) is int and 1 <= n <= MAX_DEPTH for n in depths)
        _require(good, "depths", depths, f"{count} whole numbers from 1 to {MAX_DEPTH}" if count else "none in this family")
        object.__setattr__(self, "depths", depths[:count])

    def _check_gate(self) -> None:
        _require(self.gate in GATES, "gate", self.gate, _either(GATES))
        slope = self.hard_sigmoid_slope
        good = type(slope) in (int, float) and 0 < slope <= 1
        _require(good, "hard_sigmoid_slope", slope, "a number above 0, at most 1")
        hard = self.gate == GATES[0] or slope == HARD_SIGMOID_SLOPE
        _require(hard, "hard_sigmoid_slope", slope, "the usual one, as the gate is a sigmoid")

    @property
    def table(self) -> Family:
        """The tables of the family."""
        return FAMILIES[self.family]

    @property
    def name(self) -> str:
        """The registered name (`lcnet_050`, `lcnetv2_base`), or the family with the width for one that has none."""
        named = (n for n, size in SIZES.items() if size == (self.family, self.width, self.depths))
        depths = f", depths {' '.join(map(str, self.depths))}" if self.depths else ""
        return next(named, f"{self.family} (width {self.width:g}{depths})")

    @property
    def usual(self) -> bool:
        """Whether it is timm's network of its name, but for input channels and classes."""
        return self.name in SIZES and self == Arch.of(self.name, self.in_chans, self.num_classes)

    def _channels(self, channels: int) -> int:
        return round_channels(channels * self.width)

    @property
    def stem_channels(self) -> int:
        """Channels after the stem conv."""
        return self._channels(self.table.stem_channels)

    @property
    def stages(self) -> tuple[tuple[Block, ...], ...]:
        """The stages of blocks: all of the family's, unless the classifier reads none as late as the last."""
        out, cin, depths = [], self.stem_channels, iter(self.depths)
        for row, stride in zip(self.table.stages, self.stage_strides, strict=False):
            depth = next(depths) if row.depth is None else row.depth
            first = self._block(row, cin, row.kernels[0], stride, 1 if row.stride == 1 else 3)
            cin = first.out_channels
            out.append((first, *(self._block(row, cin, row.kernels[1], (1, 1), 1) for _ in range(depth - 1))))
        return tuple(out)

    def _block(self, row: Stage, cin: int, kernel: int, stride: Stride, least: int) -> Block:
        """A block; `least`: the smallest kernel of branches, which a block has that was strided when it was made."""
        n = self._channels(row.channels)
        branches = tuple(range(kernel, least - 1, -2)) if row.branched else ()
        shortcut = row.shortcut and cin == n and stride == (1, 1)
        se = cin // 4 if row.squeeze_excite else 0
        return Block(cin, n, kernel, stride, se, n // 2 if row.split else 0, shortcut, branches)

    def blocks(self) -> Iterator[tuple[str, Block]]:
        """Yield (`blocks.S.B`, block) in network order, by timm's names."""
        for s, stage in enumerate(self.stages):
            for b, block in enumerate(stage):
                yield self._block_name(s, b), block

    def _block_name(self, stage: int, block: int) -> str:
        return f"{self.table.stage_names[stage]}.{block if stage else block + self.table.lone_block}"

    @property
    def num_features(self) -> int:
        """Channels of the last stage: the depth of the last feature map."""
        return self.stages[-1][-1].out_channels

    @property
    def pooled_stages(self) -> tuple[int, ...]:
        """The stages whose pooled outputs the head conv, or without one the classifier reads."""
        names = self.table.stage_names
        return tuple(map(names.index, self.classifier_input)) if not self.head_channels else (len(names) - 1,)

    @property
    def pooled_channels(self) -> tuple[int, ...]:
        """Channels of the pooled maps."""
        return tuple(self.stages[s][-1].out_channels for s in self.pooled_stages)

    @property
    def pooled_blocks(self) -> tuple[str, ...]:
        """The blocks whose outputs those are: the last ones of their stages."""
        return tuple(self._block_name(s, len(self.stages[s]) - 1) for s in self.pooled_stages)

    def blocks_before(self, stage: int) -> int:
        """How many blocks there are up to the end of a stage."""
        return sum(len(blocks) for blocks in self.stages[: stage + 1])

    @property
    def reductions(self) -> tuple[Stride, ...]:
        """How many pixels of the input there are for one of each feature map, (vertical, horizontal): ascending."""
        return tuple(self._features())

    def _features(self) -> dict[Stride, int]:
        """The last stage of each reduction (timm's rule): 0, 1, 2, 4 and 5 with the usual strides, 1 to 4 in `lcnetv2`."""
        found, (height, width) = {}, self.stem_stride
        for s, (down, right) in enumerate(self.stage_strides):
            height, width = height * down, width * right
            if s >= self.table.first_map or self.stage_strides[s + 1 :] == ():
                found[height, width] = s
        return found

    @property
    def feature_stages(self) -> tuple[int, ...]:
        """The stages whose outputs the feature maps are."""
        return tuple(self._features().values())

    @property
    def feature_indices(self) -> tuple[int, ...]:
        """After how many blocks each feature map is: 1, 3, 5, 11, 13 with the usual strides."""
        return tuple(map(self.blocks_before, self.feature_stages))

    @property
    def head_hidden_size(self) -> int:
        """Size of the embeddings, what the classifier reads: the head conv's channels, or those of the pooled maps."""
        return self.head_channels or sum(self.pooled_channels)

    @property
    def feature_channels(self) -> tuple[int, ...]:
        """Channels of the feature maps."""
        return tuple(self.stages[s][-1].out_channels for s in self.feature_stages)

    def feature_shapes(self, height: int, width: int) -> tuple[tuple[int, int, int], ...]:
        """(channels, height, width) of the feature maps for an input of that size."""
        sizes = ((conv_size(height, down), conv_size(width, right)) for down, right in self.reductions)
        return tuple((c, h, w) for c, (h, w) in zip(self.feature_channels, sizes, strict=True))

    def convs(self, branches: bool = False) -> Iterator[Conv]:
        """Every convolution and linear layer in network order; `branches`: those of training in place of what they become."""
        stem = self.stem_channels
        yield Conv("conv_stem", *self.table.stem, (stem, self.in_chans, 3, 3), False)
        for name, block in self.blocks():
            yield from self._block_convs(name, block, branches)
        if self.head_channels:
            yield Conv("conv_head", "conv_head", None, (self.head_channels, self.num_features, 1, 1), self.head_bias)
        if self.num_classes:
            yield Conv("classifier", "classifier", None, (self.num_classes, self.head_hidden_size), True)

    def _block_convs(self, name: str, block: Block, branches: bool) -> Iterator[Conv]:
        table, names = self.table, dict(self.table.parts)
        names |= table.branched_parts if block.branches else {}
        names |= table.split_parts if block.mid_channels else {}
        for layer, shape in block.layers():
            conv, norm = names[layer]
            if branches and block.branches and layer == "conv_dw":
                for i, k in enumerate(block.branches):
                    part = f"{name}.{conv}_list.{i}"
                    yield Conv(f"{name}.{layer}", f"{part}.conv", f"{part}.bn", (shape[0], 1, k, k), False)
            else:
                yield Conv(f"{name}.{layer}", f"{name}.{conv}", norm and f"{name}.{norm}", shape, norm is None)

    def shapes(self, branches: bool = False) -> dict[str, tuple[int, ...]]:
        """Every tensor of the state dict (timm's keys) except `num_batches_tracked` -> shape; `branches`: while training."""
        return {key: shape for conv in self.convs(branches) for key, shape in conv.shapes().items()}

    @property
    def parameters(self) -> int:
        """Learnable values (batch-norm running statistics are not counted, as in timm)."""
        return _learnable(self.shapes())

    @property
    def training_parameters(self) -> int:
        """The same while training, with the branches that become one convolution."""
        return _learnable(self.shapes(branches=True))

    def conv_costs(self, height: int, width: int) -> list[tuple[str, int, tuple[int, int, int]]]:
        """(layer, multiply-adds, output (C, H, W)) of every conv and linear layer for one image of that size."""
        size, strides = (height, width), {f"{name}.conv_dw": block.strides for name, block in self.blocks()}
        rows = []
        for conv in self.convs():
            pooled = ".se." in conv.layer or conv.layer in ("conv_head", "classifier")
            stride = self.stem_stride if conv.layer == "conv_stem" else strides.get(conv.layer, (1, 1))
            size = _strided(size, stride)
            h, w = (1, 1) if pooled else size
            rows.append((conv.layer, math.prod(conv.shape) * h * w, (conv.shape[0], h, w)))
        return rows

    def macs(self, height: int = 224, width: int = 224) -> int:
        """Multiply-adds of convs and linears for one image (squeeze-and-excite and head included)."""
        return sum(macs for _, macs, _ in self.conv_costs(height, width))

    def activations(self, height: int = 224, width: int = 224) -> int:
        """Number of conv and linear output elements for one image (timm's "activations")."""
        return sum(c * h * w for _, _, (c, h, w) in self.conv_costs(height, width))


def _strided(size: tuple[int, int], stride: Stride) -> tuple[int, int]:
    return conv_size(size[0], stride[0]), conv_size(size[1], stride[1])


def _learnable(shapes: dict[str, tuple[int, ...]]) -> int:
    return sum(math.prod(shape) for key, shape in shapes.items() if not key.endswith(BN_KEYS[2:]))


def _either(names: Iterable[str]) -> str:
    return " or ".join(map(repr, names))


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, (list, tuple)) else value


def _is_stride(value: object) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and all(type(n) is int and n in STRIDES for n in value)


def _require(good: bool, name: str, found: object, expected: str) -> None:
    if not good:
        raise ValueError(f"{name} is {found!r:.200}, expected {expected}")
