"""The LCNet family as data: one stage table widened into typed layers, shapes, parameters and multiply-adds.

Owns the numbers of the architecture (PP-LCNet, arXiv 2109.15099, table 1; widths as in timm and PaddleClas). It builds
no tensors and imports nothing of ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Stride = tuple[int, int]  # vertical, horizontal

# (in, out, kernels of the stage's blocks, squeeze-and-excite) at width 1.0.
STAGES = (
    (16, 32, (3,), False),
    (32, 64, (3, 3), False),
    (64, 128, (3, 3), False),
    (128, 256, (3, 5), False),
    (256, 256, (5, 5, 5, 5), False),
    (256, 512, (5, 5), True),
)
STEM_CHANNELS = 16
HEAD_CHANNELS = 1280  # not scaled by the width
BN_EPS = 1e-5
# Of the stem and of the first block of each stage, whose depthwise conv has it; the other blocks have 1.
STEM_STRIDE: Stride = (2, 2)
STAGE_STRIDES: tuple[Stride, ...] = ((1, 1), (2, 2), (2, 2), (2, 2), (1, 1), (2, 2))
STRIDES = (1, 2)  # that an axis can have
ACTIVATIONS = ("hard_swish", "relu")
HARD_SIGMOID_SLOPE = 1 / 6
EMBEDDINGS = "embeddings"  # what the head conv makes; the other inputs of a classifier are pooled maps, `blocks.S`

WIDTHS = {
    "lcnet_025": 0.25,
    "lcnet_035": 0.35,
    "lcnet_050": 0.5,
    "lcnet_075": 0.75,
    "lcnet_100": 1.0,
    "lcnet_150": 1.5,
    "lcnet_200": 2.0,
    "lcnet_250": 2.5,
}
# How much smaller than the input the feature maps of a network with the usual strides are, on both axes.
REDUCTIONS = (2, 4, 8, 16, 32)

MAX_HEAD = 1 << 16  # channels
_STAGE_NAMES = tuple(f"blocks.{s}" for s in range(len(STAGES)))
_STRIDE_PAIR = "1 or 2 down and 1 or 2 across"
BN_KEYS = ("weight", "bias", "running_mean", "running_var")


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


@dataclass(frozen=True)
class Block:
    """Depthwise k x k -> BN -> activation -> [SE] -> pointwise -> BN -> activation, without a residual."""

    in_channels: int
    out_channels: int
    kernel: int
    strides: Stride
    se_channels: int  # 0: no squeeze-and-excite

    @property
    def stride(self) -> int:
        """The stride of both axes. Raises `ValueError` if they differ."""
        if self.strides[0] != self.strides[1]:
            raise ValueError(f"the strides of this block differ by axis, {self.strides}: take `strides`")
        return self.strides[0]

    @property
    def parameters(self) -> int:
        """Learnable values: convs, two batch norms, squeeze-and-excite."""
        c, r = self.in_channels, self.se_channels
        se = 2 * c * r + r + c if r else 0
        return c * self.kernel**2 + 2 * c + se + c * self.out_channels + 2 * self.out_channels

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Tensor name inside the block -> shape, in timm's order."""
        c, n, r = self.in_channels, self.out_channels, self.se_channels
        out: dict[str, tuple[int, ...]] = {"conv_dw.weight": (c, 1, self.kernel, self.kernel), **_bn("bn1", c)}
        if r:
            out |= {"se.conv_reduce.weight": (r, c, 1, 1), "se.conv_reduce.bias": (r,)}
            out |= {"se.conv_expand.weight": (c, r, 1, 1), "se.conv_expand.bias": (c,)}
        return out | {"conv_pw.weight": (n, c, 1, 1), **_bn("bn2", n)}


@dataclass(frozen=True)
class Arch:
    """One network of the family: width, interface sizes and what differs from timm's, from which every layer follows.

    Strides are (vertical, horizontal), 1 or 2, of the stem and of the first block of each stage. `head_channels`: of the conv
    between pooling and classifier, which reads `("embeddings",)` then; 0: there is none, and the classifier reads pooled maps,
    the outputs of stages in their order, side by side: `("blocks.5",)` is the last stage, `("blocks.2", "blocks.4")` two.
    Stages behind the last one read do not exist, and their strides are dropped. `hard_sigmoid_slope`: of squeeze-and-excite,
    min(max(slope * x + 0.5, 0), 1). Raises `ValueError` naming the field.
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

    def __post_init__(self) -> None:
        for name in ("stem_stride", "stage_strides", "classifier_input"):  # as JSON has them
            object.__setattr__(self, name, _tuples(getattr(self, name)))
        whole = type(self.head_channels) is int and 0 <= self.head_channels <= MAX_HEAD
        _require(whole, "head_channels", self.head_channels, f"a whole number from 0 to {MAX_HEAD}")
        self._check_classifier_input()
        self._check_strides()
        slope = self.hard_sigmoid_slope
        good = type(slope) in (int, float) and 0 < slope <= 1
        _require(good, "hard_sigmoid_slope", slope, "a number above 0, at most 1")
        _require(self.activation in ACTIVATIONS, "activation", self.activation, " or ".join(map(repr, ACTIVATIONS)))

    def _check_classifier_input(self) -> None:
        read = self.classifier_input
        expected = f"[{EMBEDDINGS!r}], as there is a head"
        good = read == (EMBEDDINGS,)
        if not self.head_channels:
            expected = f"stages in their order, {_STAGE_NAMES[0]!r} to {_STAGE_NAMES[-1]!r}, as head_channels is 0"
            good = bool(read) and read == tuple(name for name in _STAGE_NAMES if name in read)
        _require(good, "classifier_input", read, expected)

    def _check_strides(self) -> None:
        _require(_is_stride(self.stem_stride), "stem_stride", self.stem_stride, _STRIDE_PAIR)
        count, strides = self.pooled_stages[-1] + 1, self.stage_strides
        good = isinstance(strides, tuple) and count <= len(strides) <= len(STAGES) and all(map(_is_stride, strides))
        _require(good, "stage_strides", strides, f"{count} pairs, each {_STRIDE_PAIR}")
        object.__setattr__(self, "stage_strides", strides[:count])

    @property
    def name(self) -> str:
        """The registered name (`lcnet_050`), or `lcnet` with the width for one that has none."""
        return next((n for n, w in WIDTHS.items() if w == self.width), f"lcnet (width {self.width:g})")

    @property
    def usual(self) -> bool:
        """Whether it is timm's network of its width, but for input channels and classes."""
        return self == Arch(self.width, self.in_chans, self.num_classes)

    @property
    def stem_channels(self) -> int:
        """Channels after the stem conv."""
        return round_channels(STEM_CHANNELS * self.width)

    @property
    def stages(self) -> tuple[tuple[Block, ...], ...]:
        """The stages of blocks: six, unless the classifier reads none as late as the last."""
        return tuple(self._stage(*row, stride) for row, stride in zip(STAGES, self.stage_strides, strict=False))

    def _stage(self, cin: int, cout: int, kernels: tuple[int, ...], se: bool, stride: Stride) -> tuple[Block, ...]:
        c, n = round_channels(cin * self.width), round_channels(cout * self.width)
        rest = len(kernels) - 1
        ins, strides = (c,) + (n,) * rest, (stride,) + ((1, 1),) * rest
        return tuple(Block(i, n, k, s, i // 4 if se else 0) for i, k, s in zip(ins, kernels, strides, strict=True))

    def blocks(self) -> Iterator[tuple[str, Block]]:
        """Yield (`blocks.S.B`, block) in network order."""
        for s, stage in enumerate(self.stages):
            for b, block in enumerate(stage):
                yield f"blocks.{s}.{b}", block

    @property
    def num_features(self) -> int:
        """Channels of the last stage: the depth of the last feature map."""
        return self.stages[-1][-1].out_channels

    @property
    def pooled_stages(self) -> tuple[int, ...]:
        """The stages whose pooled outputs the head conv, or without one the classifier reads."""
        return tuple(map(_STAGE_NAMES.index, self.classifier_input)) if not self.head_channels else (len(STAGES) - 1,)

    @property
    def pooled_channels(self) -> tuple[int, ...]:
        """Channels of the pooled maps."""
        return tuple(self.stages[s][-1].out_channels for s in self.pooled_stages)

    @property
    def pooled_blocks(self) -> tuple[str, ...]:
        """The blocks whose outputs those are: the last ones of their stages."""
        return tuple(f"blocks.{s}.{len(self.stages[s]) - 1}" for s in self.pooled_stages)

    def blocks_before(self, stage: int) -> int:
        """How many blocks there are up to the end of a stage."""
        return sum(len(blocks) for blocks in self.stages[: stage + 1])

    @property
    def reductions(self) -> tuple[Stride, ...]:
        """How many pixels of the input there are for one of each feature map, (vertical, horizontal): ascending."""
        return tuple(self._features())

    def _features(self) -> dict[Stride, int]:
        """The last stage of each reduction (timm's rule): 0, 1, 2, 4 and 5 with the usual strides."""
        found, (height, width) = {}, self.stem_stride
        for s, (down, right) in enumerate(self.stage_strides):
            height, width = height * down, width * right
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

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Every tensor of the state dict (timm's keys) except `num_batches_tracked` -> shape."""
        stem, head, read = self.stem_channels, self.head_channels, self.head_hidden_size
        out: dict[str, tuple[int, ...]] = {"conv_stem.weight": (stem, self.in_chans, 3, 3), **_bn("bn1", stem)}
        for name, block in self.blocks():
            out |= {f"{name}.{k}": v for k, v in block.shapes().items()}
        if head:
            out |= {"conv_head.weight": (head, self.num_features, 1, 1), "conv_head.bias": (head,)}
        if self.num_classes:
            out |= {"classifier.weight": (self.num_classes, read), "classifier.bias": (self.num_classes,)}
        return out

    @property
    def parameters(self) -> int:
        """Learnable values (batch-norm running statistics are not counted, as in timm)."""
        stem = self.stem_channels * (9 * self.in_chans + 2)
        head = self.head_channels * (self.num_features + 1)
        return stem + sum(b.parameters for _, b in self.blocks()) + head + self.num_classes * (self.head_hidden_size + 1)

    def conv_costs(self, height: int, width: int) -> list[tuple[str, int, tuple[int, int, int]]]:
        """(layer, multiply-adds, output (C, H, W)) of every conv and linear layer for one image of that size."""
        (h, w), c = _strided((height, width), self.stem_stride), self.stem_channels
        rows = [("conv_stem", 9 * self.in_chans * c * h * w, (c, h, w))]
        for name, b in self.blocks():
            h, w = _strided((h, w), b.strides)
            cin, cout, r = b.in_channels, b.out_channels, b.se_channels
            rows.append((f"{name}.conv_dw", b.kernel**2 * cin * h * w, (cin, h, w)))
            if r:
                rows.append((f"{name}.se.conv_reduce", cin * r, (r, 1, 1)))
                rows.append((f"{name}.se.conv_expand", cin * r, (cin, 1, 1)))
            rows.append((f"{name}.conv_pw", cin * cout * h * w, (cout, h, w)))
        if self.head_channels:
            rows.append(("conv_head", self.num_features * self.head_channels, (self.head_channels, 1, 1)))
        if self.num_classes:
            rows.append(("classifier", self.head_hidden_size * self.num_classes, (self.num_classes, 1, 1)))
        return rows

    def macs(self, height: int = 224, width: int = 224) -> int:
        """Multiply-adds of convs and linears for one image (squeeze-and-excite and head included)."""
        return sum(macs for _, macs, _ in self.conv_costs(height, width))

    def activations(self, height: int = 224, width: int = 224) -> int:
        """Number of conv and linear output elements for one image (timm's "activations")."""
        return sum(c * h * w for _, _, (c, h, w) in self.conv_costs(height, width))


def _strided(size: tuple[int, int], stride: Stride) -> tuple[int, int]:
    return conv_size(size[0], stride[0]), conv_size(size[1], stride[1])


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, (list, tuple)) else value


def _is_stride(value: object) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and all(type(n) is int and n in STRIDES for n in value)


def _require(good: bool, name: str, found: object, expected: str) -> None:
    if not good:
        raise ValueError(f"{name} is {found!r:.200}, expected {expected}")


def _bn(name: str, channels: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.{key}": (channels,) for key in BN_KEYS}
