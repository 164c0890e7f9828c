"""The families of networks as plain data: stage tables, sizes, and what timm calls the tensors.

PP-LCNet (arXiv 2109.15099, table 1) and PP-LCNetV2 (PaddleClas's page of it). `arch` makes networks of the rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Stride = tuple[int, int]  # vertical, horizontal
Names = Mapping[str, tuple[str, str | None]]  # layer -> its convolution, and the batch norm behind it or None


class Stage(NamedTuple):
    """A row of a stage table, of channels at width 1. Its first block alone has the stride."""

    channels: int  # of its output; those of its input are the stage's before it
    kernels: tuple[int, int]  # of the first block's depthwise conv, and of the others'
    stride: int
    depth: int | None  # blocks; None: as many as the network's `depths` says
    squeeze_excite: bool = False
    split: bool = False  # two pointwise layers, by way of half the channels
    branched: bool = False  # depthwise convs of every smaller kernel beside the largest while training
    shortcut: bool = False  # in blocks that leave the shape as it is


@dataclass(frozen=True)
class Family:
    """A family: its tables, and the names of its tensors in a model file, which are timm's."""

    title: str
    stem_channels: int
    stages: tuple[Stage, ...]
    stage_names: tuple[str, ...]
    sizes: Mapping[str, tuple[float, tuple[int, ...]]]  # registered name -> width, depths
    first_map: int  # the first stage whose output may be a feature map
    stem: tuple[str, str]  # convolution, batch norm
    parts: Names  # of a block
    branched_parts: Names = field(default_factory=dict)  # what is other in one whose branches are fused
    split_parts: Names = field(default_factory=dict)  # in one of two pointwise layers
    drops_embeddings: bool = True  # whether what timm gives before the classifier has the dropout of training
    lone_block: int = 0  # the number in its stage's name of the first stage's block
    usual: Mapping[str, Any] = field(default_factory=dict)  # fields of `Arch` that are other than in the first family


LCNET = Family(
    title="LCNet",
    stem_channels=16,
    stages=(
        Stage(32, (3, 3), 1, 1),
        Stage(64, (3, 3), 2, 2),
        Stage(128, (3, 3), 2, 2),
        Stage(256, (3, 5), 2, 2),
        Stage(256, (5, 5), 1, 4),
        Stage(512, (5, 5), 2, 2, squeeze_excite=True),
    ),
    stage_names=tuple(f"blocks.{s}" for s in range(6)),
    sizes={
        "lcnet_025": (0.25, ()),
        "lcnet_035": (0.35, ()),
        "lcnet_050": (0.5, ()),
        "lcnet_075": (0.75, ()),
        "lcnet_100": (1.0, ()),
        "lcnet_150": (1.5, ()),
        "lcnet_200": (2.0, ()),
        "lcnet_250": (2.5, ()),
    },
    first_map=0,
    stem=("conv_stem", "bn1"),
    parts={
        "conv_dw": ("conv_dw", "bn1"),
        "se.conv_reduce": ("se.conv_reduce", None),
        "se.conv_expand": ("se.conv_expand", None),
        "conv_pw": ("conv_pw", "bn2"),
    },
)

LCNETV2 = Family(
    title="PP-LCNetV2",
    stem_channels=32,
    stages=(
        Stage(64, (3, 3), 1, 1),
        Stage(128, (3, 3), 2, None),
        Stage(256, (3, 3), 2, None),
        Stage(512, (5, 5), 2, None, squeeze_excite=True, split=True, branched=True),
        Stage(1024, (5, 5), 2, None, branched=True, shortcut=True),
    ),
    stage_names=("stem", "stages.0", "stages.1", "stages.2", "stages.3"),
    sizes={"lcnetv2_small": (0.75, (2, 2, 4, 2)), "lcnetv2_base": (1.0, (2, 2, 6, 2)), "lcnetv2_large": (1.25, (2, 2, 8, 2))},
    first_map=1,
    stem=("stem.0.conv", "stem.0.bn"),
    parts={
        "conv_dw": ("dw_conv.conv", "dw_conv.bn"),
        "se.conv_reduce": ("se.fc1", None),
        "se.conv_expand": ("se.fc2", None),
        "conv_pw": ("pw_conv.conv", "pw_conv.bn"),
    },
    branched_parts={"conv_dw": ("dw_conv", None)},
    split_parts={"conv_pw": ("pw_conv.0.conv", "pw_conv.0.bn"), "conv_pw2": ("pw_conv.1.conv", "pw_conv.1.bn")},
    drops_embeddings=False,
    lone_block=1,
    usual={"activation": "relu", "gate": "sigmoid", "head_bias": False},
)

FAMILIES: Mapping[str, Family] = {"lcnet": LCNET, "lcnetv2": LCNETV2}
SIZES = {name: (family, *size) for family, table in FAMILIES.items() for name, size in table.sizes.items()}
WIDTHS = {name: width for name, (width, _) in LCNET.sizes.items()}
