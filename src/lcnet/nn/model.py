"""The classifier and the feature extractor, NCHW float tensors in and out, with timm's state-dict keys and order.

Owns the forward passes, the head, and how a family names its modules. Weights and the names of models come from elsewhere: see
`factory` and `weights`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..arch import Arch, Block, Stride
from ..errors import InputError
from .branched import BranchedSeparable, ConvNorm
from .features import FeatureInfo, Indices, take_indices
from .layers import DepthwiseSeparable, GlobalPool, Style, initialize


@dataclass(frozen=True)
class Placed:
    """A block where it stands: the strides and dilation it is built with, and input pixels per pixel after it."""

    block: Block
    strides: Stride
    dilation: Stride
    reduction: Stride


def place(arch: Arch, output_stride: int | None = None) -> list[list[Placed]]:
    """Turn the strides beyond `output_stride` into dilation of the blocks after them, axis by axis (timm's rule)."""
    reduction, dilation, stages = arch.stem_stride, (1, 1), []
    for stage in arch.stages:
        placed = []
        for block in stage:
            kept = _kept(block.strides, reduction, output_stride)
            reduction = reduction[0] * kept[0], reduction[1] * kept[1]
            placed.append(Placed(block, kept, dilation, reduction))
            dilation = dilation[0] * block.strides[0] // kept[0], dilation[1] * block.strides[1] // kept[1]
        stages.append(placed)
    return stages


def _kept(strides: Stride, reduction: Stride, most: int | None) -> Stride:
    down, across = (s if most is None or r * s <= most else 1 for s, r in zip(strides, reduction, strict=True))
    return down, across


def _reduction(pair: Stride) -> int | Stride:
    """As timm has it, one number, unless the axes differ."""
    return pair[0] if pair[0] == pair[1] else pair


Modules = dict[str, nn.Module]
Plan = list[list[Placed]]


class _First:
    """How timm names the modules of the first family."""

    @staticmethod
    def modules(arch: Arch, plan: Plan, style: Style, branches: bool) -> Modules:
        stem = nn.Conv2d(arch.in_chans, arch.stem_channels, 3, arch.stem_stride, padding=1, bias=False)
        stages = (nn.Sequential(*(DepthwiseSeparable(p.block, p.strides, p.dilation, style) for p in stage)) for stage in plan)
        return {"conv_stem": stem, "bn1": style.bn(arch.stem_channels), "act1": style.act(), "blocks": nn.Sequential(*stages)}

    @staticmethod
    def stem(x: Tensor, trunk: Any) -> Tensor:
        return trunk.act1(trunk.bn1(trunk.conv_stem(x)))

    @staticmethod
    def stages(trunk: Any) -> list[nn.Module]:
        return list(trunk.blocks)


class _Second:
    """How timm names those of PP-LCNetV2, whose first block is part of the stem."""

    @staticmethod
    def modules(arch: Arch, plan: Plan, style: Style, branches: bool) -> Modules:
        (first,), *stages = ([BranchedSeparable(p.block, style, branches) for p in stage] for stage in plan)
        stem = ConvNorm(arch.in_chans, arch.stem_channels, 3, style, arch.stem_stride)
        return {"stem": nn.Sequential(stem, first), "stages": nn.Sequential(*(nn.Sequential(*stage) for stage in stages))}

    @staticmethod
    def stem(x: Tensor, trunk: Any) -> Tensor:
        return trunk.stem[0](x)

    @staticmethod
    def stages(trunk: Any) -> list[nn.Module]:
        return [trunk.stem[1], *trunk.stages]


TREES: dict[str, type[_First] | type[_Second]] = {"lcnet": _First, "lcnetv2": _Second}


class Trunk(nn.Module):
    """Stem and stages: what the classifier and the feature extractor share.

    branches: build the parallel depthwise convolutions of training, where the family has them; `fuse` makes one of them.
    Without, the state dict has the tensors of `arch.shapes()`. Raises `InputError` for a family whose strides cannot be kept.
    """

    def __init__(self, arch: Arch, style: Style, output_stride: int | None = None, branches: bool = False) -> None:
        super().__init__()
        if output_stride is not None and arch.family != "lcnet":
            raise InputError(f"output_stride is {output_stride}, expected none: {arch.name} has no dilated form")
        self.arch, self.style = arch, style
        self.pretrained_cfg: dict[str, Any] = {}
        self.default_cfg: dict[str, Any] = {}
        plan = place(arch, output_stride)
        for name, module in TREES[arch.family].modules(arch, plan, style, branches).items():
            self.add_module(name, module)
        where = [(s, _reduction(plan[s][-1].reduction)) for s in arch.feature_stages]
        self.feature_info = FeatureInfo(
            [
                {"index": i, "stage": s + 1, "reduction": r, "module": arch.table.stage_names[s], "num_chs": c}
                for i, ((s, r), c) in enumerate(zip(where, arch.feature_channels, strict=True))
            ]
        )

    @property
    def stem_conv(self) -> nn.Conv2d:
        """The first convolution."""
        return cast(nn.Conv2d, self.get_submodule(self.arch.table.stem[0]))

    @property
    def bn_eps(self) -> float:
        """The epsilon of the batch norms."""
        return cast(nn.BatchNorm2d, self.get_submodule(self.arch.table.stem[1])).eps

    def fuse(self) -> Self:
        """Make one convolution of the branches in every block, in place: the form of model files, with the same answers."""
        for module in self.modules():
            if isinstance(module, BranchedSeparable):
                module.reparameterize()
        return self

    def _stem(self, x: Tensor) -> Tensor:
        return TREES[self.arch.family].stem(x, self)

    def _stages(self) -> list[nn.Module]:
        return TREES[self.arch.family].stages(self)

    @property
    def in_chans(self) -> int:
        """Input channels."""
        return self.arch.in_chans

    def forward_features(self, x: Tensor) -> Tensor:
        """N,in_chans,H,W -> the last feature map: N,num_features and, with the usual strides, ceil(H/32),ceil(W/32)."""
        x = self._stem(x)
        for stage in self._stages():
            x = stage(x)
        return x

    def _collect(self, x: Tensor, taps: Sequence[int], stop_early: bool) -> tuple[Tensor, list[Tensor]]:
        """Run the trunk and keep the outputs of `taps` (0 the stem, s + 1 stage s), in the order of `taps`."""
        x = self._stem(x)
        kept = {0: x}
        for number, stage in enumerate(self._stages(), 1):
            if stop_early and number > max(taps):
                break
            x = stage(x)
            if number in taps:
                kept[number] = x
        return x, [kept[tap] for tap in taps]


class LCNetFeatures(Trunk):
    """The trunk as a backbone for detection and segmentation: no head; the output is a list of feature maps."""

    def __init__(
        self, arch: Arch, style: Style, out_indices: Indices = None, output_stride: int | None = None, branches: bool = False
    ) -> None:
        super().__init__(replace(arch, num_classes=0), style, output_stride, branches)
        self.feature_info = FeatureInfo(self.feature_info.info, out_indices)
        self.taps = self.feature_info.get("stage")
        initialize(self, arch.family)

    def forward(self, x: Tensor) -> list[Tensor]:
        """N,in_chans,H,W -> maps N,C,ceil(H/reduction),ceil(W/reduction), as many as `out_indices` asks for.

        They come in the order of `out_indices` (by default the finest first), which is also that of `feature_info`.
        """
        return self._collect(x, self.taps, stop_early=True)[1]


class LCNet(Trunk):
    """The classifier (PP-LCNet, arXiv 2109.15099, and PP-LCNetV2): trunk, pooling, 1x1 conv, activation, dropout, linear.

    Without a head (`arch.head_channels` 0) the pooled maps that `arch.classifier_input` names are the embeddings. `drop_rate`
    is their dropout; `head_bias`: None: as `arch` says. Raises `InputError` if there are classes but no pooling.
    """

    def __init__(
        self,
        arch: Arch,
        style: Style,
        global_pool: str = "avg",
        drop_rate: float = 0.0,
        head_bias: bool | None = None,
        branches: bool = False,
    ) -> None:
        super().__init__(arch, style, branches=branches)
        self.drop_rate = drop_rate
        self.global_pool = GlobalPool(global_pool)
        self._last_pooling = global_pool or "avg"
        if arch.head_channels:
            pooled = self.num_features * self.global_pool.multiplier
            bias = arch.head_bias if head_bias is None else head_bias
            self.conv_head: nn.Conv2d | None = nn.Conv2d(pooled, arch.head_channels, 1, bias=bias)
            self.act2 = style.act() if arch.head_activation == "same" else nn.Identity()
        else:
            self.conv_head = None
        self.flatten: nn.Module = nn.Flatten(1)
        self.classifier: nn.Module = nn.Identity()
        self.reset_classifier(arch.num_classes, global_pool)
        initialize(self, arch.family)

    @property
    def num_classes(self) -> int:
        """Number of logits; 0 if there is no classifier."""
        return self.arch.num_classes

    @property
    def num_features(self) -> int:
        """Channels of the last feature map."""
        return self.arch.num_features

    @property
    def head_hidden_size(self) -> int:
        """Size of the embeddings: 1280 with the usual head."""
        return self.arch.head_hidden_size

    def get_classifier(self) -> nn.Module:
        """The linear layer, or an identity if there are no classes."""
        return self.classifier

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Replace the classifier by a fresh `torch.nn.Linear` (0 classes: by nothing), and the pooling if one is given.

        The pooling stays as it is by default; where it had been switched off and classes are added, the last one used
        (or 'avg') comes back. Raises `InputError` for classes without pooling, and for a pooling of another width than
        the head conv was made for ('catavgmax' is twice as wide as the others).
        """
        if not isinstance(num_classes, int) or num_classes < 0:
            raise InputError(f"num_classes is {num_classes!r}, expected a whole number, 0 or more")
        pool = self.global_pool.pool_type if global_pool is None else global_pool
        if num_classes and not pool:
            if global_pool is not None:
                raise InputError(f"global_pool='' leaves no vector for {num_classes} classes: use num_classes=0")
            pool = self._last_pooling
        pooling = GlobalPool(pool)
        self._check_pooling(pooling)
        self._last_pooling = pool or self._last_pooling
        self.arch = replace(self.arch, num_classes=num_classes)
        self.global_pool = pooling.train(self.training)
        self.flatten = nn.Flatten(1) if pool else nn.Identity()
        self.classifier = self._linear(num_classes).train(self.training)

    def _check_pooling(self, pooling: GlobalPool) -> None:
        if self.conv_head is None:
            if pooling.multiplier > 1 or (not pooling.pool_type and len(self.arch.pooled_stages) > 1):
                raise InputError(f"global_pool={pooling.pool_type!r} needs a head, and this network has none")
        elif self.num_features * pooling.multiplier != self.conv_head.in_channels:
            width = self.conv_head.in_channels
            raise InputError(
                f"global_pool={pooling.pool_type!r} does not fit the head conv, which reads {width} channels: "
                "create the model with this pooling instead"
            )

    def _linear(self, num_classes: int) -> nn.Module:
        if not num_classes:
            return nn.Identity()
        like = self.stem_conv.weight
        return nn.Linear(self.head_hidden_size, num_classes, device=like.device, dtype=like.dtype)

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """N,num_features,H,W -> logits N,num_classes, or with `pre_logits` embeddings N,head_hidden_size.

        Embeddings are taken after dropout, as timm does for the first family, and before it in `lcnetv2`. Without pooling they
        are N,head_hidden_size,H,W.
        Raises `InputError` if the classifier reads other maps too.
        """
        if len(self.arch.pooled_stages) > 1:
            raise InputError(f"the classifier reads {', '.join(self.arch.classifier_input)}: run the whole network")
        return self._head([x], pre_logits)

    def _head(self, maps: Sequence[Tensor], pre_logits: bool = False) -> Tensor:
        x = torch.cat([self.global_pool(x) for x in maps], 1) if len(maps) > 1 else self.global_pool(maps[0])
        if self.conv_head is not None:
            x = self.act2(self.conv_head(x))
        x = self.flatten(x)
        if pre_logits and not self.arch.table.drops_embeddings:
            return x
        x = functional.dropout(x, self.drop_rate, self.training)
        return x if pre_logits else self.classifier(x)

    def forward(self, x: Tensor) -> Tensor:
        """N,in_chans,H,W -> logits N,num_classes (embeddings N,head_hidden_size without a classifier)."""
        if len(self.arch.pooled_stages) == 1:
            return self._head([self.forward_features(x)])
        return self._head(self._collect(x, [s + 1 for s in self.arch.pooled_stages], stop_early=False)[1])

    def forward_intermediates(
        self,
        x: Tensor,
        indices: Indices = None,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
        extra_blocks: bool = False,
    ) -> list[Tensor] | tuple[Tensor, list[Tensor]]:
        """Run the trunk and return (last map, maps), or the maps alone with `intermediates_only`.

        Maps come in the order of `indices` (None: all, an int: the last n); with `extra_blocks` these count the stem
        and all stages instead of the feature maps. `stop_early` skips the stages after the last map asked for.
        `norm` has no effect: there is no final norm. Raises `InputError`.
        """
        if output_fmt != "NCHW":
            raise InputError(f"output_fmt is {output_fmt!r}, expected 'NCHW': this network has no other layout")
        if stop_early and not intermediates_only:
            raise InputError("stop_early leaves no last map to return: use it with intermediates_only=True")
        every = range(len(self.arch.stages) + 1) if extra_blocks else [row["stage"] for row in self.feature_info.info]
        x, maps = self._collect(x, [every[i] for i in take_indices(len(every), indices)], stop_early)
        return maps if intermediates_only else (x, maps)
