"""The LCNet family as data: one stage table widened into typed layers, shapes, parameters and multiply-adds.

Owns the numbers of the architecture (PP-LCNet, arXiv 2109.15099, table 1; widths as in timm and PaddleClas). It builds
no tensors and imports nothing of ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from math import prod
from operator import mul

# (in, out, kernel, strides of the stage's blocks, squeeze-and-excite) at width 1.0. Strides sit in the depthwise conv.
STAGES = (
    (16, 32, (3,), (1,), False),
    (32, 64, (3, 3), (2, 1), False),
    (64, 128, (3, 3), (2, 1), False),
    (128, 256, (3, 5), (2, 1), False),
    (256, 256, (5, 5, 5, 5), (1, 1, 1, 1), False),
    (256, 512, (5, 5), (2, 1), True),
)
STEM_CHANNELS = 16
HEAD_CHANNELS = 1280  # not scaled by the width
BN_EPS = 1e-5

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

# How much smaller than the input the map after each stage is: the stem halves it.
_STAGE_REDUCTIONS = tuple(accumulate((prod(strides) for _, _, _, strides, _ in STAGES), mul, initial=2))[1:]
REDUCTIONS = tuple(dict.fromkeys(_STAGE_REDUCTIONS))
# Feature maps are the last stage of each reduction (timm's rule): 0, 1, 2, 4, 5.
FEATURE_STAGES = tuple(len(STAGES) - 1 - _STAGE_REDUCTIONS[::-1].index(r) for r in REDUCTIONS)

BN_KEYS = ("weight", "bias", "running_mean", "running_var")


def round_channels(channels: float, divisor: int = 8) -> int:
    """Round to a multiple of `divisor`, ties up, never more than 10% down (the rule that timm and PaddleClas share)."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


def conv_size(size: int, stride: int) -> int:
    """Output size of a conv with padding (k-1)//2 on both sides: the same for every odd kernel."""
    return (size - 1) // stride + 1


@dataclass(frozen=True)
class Block:
    """Depthwise k x k -> BN -> hard-swish -> [SE] -> pointwise -> BN -> hard-swish, without a residual."""

    in_channels: int
    out_channels: int
    kernel: int
    stride: int
    se_channels: int  # 0: no squeeze-and-excite

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
    """One network of the family: width and interface sizes, from which every layer follows."""

    width: float
    in_chans: int = 3
    num_classes: int = 1000  # 0: no classifier

    @property
    def name(self) -> str:
        """The registered name (`lcnet_050`), or `lcnet` with the width for one that has none."""
        return next((n for n, w in WIDTHS.items() if w == self.width), f"lcnet (width {self.width:g})")

    @property
    def stem_channels(self) -> int:
        """Channels after the stem conv."""
        return round_channels(STEM_CHANNELS * self.width)

    @property
    def stages(self) -> tuple[tuple[Block, ...], ...]:
        """The six stages of blocks."""
        return tuple(self._stage(*row) for row in STAGES)

    def _stage(self, cin: int, cout: int, kernels: tuple[int, ...], strides: tuple[int, ...], se: bool) -> tuple[Block, ...]:
        c, n = round_channels(cin * self.width), round_channels(cout * self.width)
        ins = (c,) + (n,) * (len(kernels) - 1)
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
    def feature_indices(self) -> tuple[int, ...]:
        """After how many blocks each feature map is: 1, 3, 5, 11, 13."""
        return tuple(sum(len(stage) for stage in self.stages[: s + 1]) for s in FEATURE_STAGES)

    @property
    def head_hidden_size(self) -> int:
        """Channels of the head conv: the size of the embeddings (timm's name for it)."""
        return HEAD_CHANNELS

    @property
    def feature_channels(self) -> tuple[int, ...]:
        """Channels of the five feature maps (strides 2, 4, 8, 16, 32)."""
        return tuple(self.stages[s][-1].out_channels for s in FEATURE_STAGES)

    def feature_shapes(self, height: int, width: int) -> tuple[tuple[int, int, int], ...]:
        """(channels, height, width) of the five feature maps for an input of that size."""
        sizes = []
        for _ in REDUCTIONS:
            height, width = conv_size(height, 2), conv_size(width, 2)
            sizes.append((height, width))
        return tuple((c, h, w) for c, (h, w) in zip(self.feature_channels, sizes, strict=True))

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Every tensor of the state dict (timm's keys) except `num_batches_tracked` -> shape."""
        stem = self.stem_channels
        out: dict[str, tuple[int, ...]] = {"conv_stem.weight": (stem, self.in_chans, 3, 3), **_bn("bn1", stem)}
        for name, block in self.blocks():
            out |= {f"{name}.{k}": v for k, v in block.shapes().items()}
        out |= {"conv_head.weight": (HEAD_CHANNELS, self.num_features, 1, 1), "conv_head.bias": (HEAD_CHANNELS,)}
        if self.num_classes:
            out |= {"classifier.weight": (self.num_classes, HEAD_CHANNELS), "classifier.bias": (self.num_classes,)}
        return out

    @property
    def parameters(self) -> int:
        """Learnable values (batch-norm running statistics are not counted, as in timm)."""
        stem = self.stem_channels * (9 * self.in_chans + 2)
        head = HEAD_CHANNELS * (self.num_features + 1)
        return stem + sum(b.parameters for _, b in self.blocks()) + head + self.num_classes * (HEAD_CHANNELS + 1)

    def conv_costs(self, height: int, width: int) -> list[tuple[str, int, tuple[int, int, int]]]:
        """(layer, multiply-adds, output (C, H, W)) of every conv and linear layer for one image of that size."""
        h, w, c = conv_size(height, 2), conv_size(width, 2), self.stem_channels
        rows = [("conv_stem", 9 * self.in_chans * c * h * w, (c, h, w))]
        for name, b in self.blocks():
            h, w = conv_size(h, b.stride), conv_size(w, b.stride)
            cin, cout, r = b.in_channels, b.out_channels, b.se_channels
            rows.append((f"{name}.conv_dw", b.kernel**2 * cin * h * w, (cin, h, w)))
            if r:
                rows.append((f"{name}.se.conv_reduce", cin * r, (r, 1, 1)))
                rows.append((f"{name}.se.conv_expand", cin * r, (cin, 1, 1)))
            rows.append((f"{name}.conv_pw", cin * cout * h * w, (cout, h, w)))
        rows.append(("conv_head", self.num_features * HEAD_CHANNELS, (HEAD_CHANNELS, 1, 1)))
        if self.num_classes:
            rows.append(("classifier", HEAD_CHANNELS * self.num_classes, (self.num_classes, 1, 1)))
        return rows

    def macs(self, height: int = 224, width: int = 224) -> int:
        """Multiply-adds of convs and linears for one image (squeeze-and-excite and head included)."""
        return sum(macs for _, macs, _ in self.conv_costs(height, width))

    def activations(self, height: int = 224, width: int = 224) -> int:
        """Number of conv and linear output elements for one image (timm's "activations")."""
        return sum(c * h * w for _, _, (c, h, w) in self.conv_costs(height, width))


def _bn(name: str, channels: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.{key}": (channels,) for key in BN_KEYS}
