"""Random erasing (arXiv 1708.04896): boxes of a normalised batch replaced by noise or by the mean colour, as timm 1.0.31 does.

Owns the choice of boxes and what fills them. Trusts its settings: a recipe has checked them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

import torch
from torch import Tensor

AREA = (0.02, 1 / 3)  # of all boxes of a picture together, as a share of it
LOG_ASPECT = (math.log(0.3), math.log(1 / 0.3))  # height over width
ATTEMPTS = 10

# How many numbers a box of C channels, height and width draws; none: it is filled with zeros.
FILLINGS: dict[str, Callable[[int, int, int], tuple[int, ...]]] = {
    "pixel": lambda c, h, w: (c, h, w),
    "rand": lambda c, h, w: (c, 1, 1),
    "const": lambda c, h, w: (),
}

Box = tuple[int, int, int, int]  # top, left, height, width


def erase(x: Tensor, rng: Random, probability: float, mode: str = "pixel", count: int = 1) -> Tensor:
    """Erase boxes in `x`, float [N,C,H,W], normalised, in place; returns it.

    `probability`: that a picture loses any. `mode`: what comes in, of mean 0 and deviation 1: "pixel" a number for each
    value, "rand" one for each channel of a box, "const" zeros. `count`: the most boxes a picture loses, from 1 on. Boxes
    come from `rng`, draw for draw as in timm, the noise from a generator on the device of `x` that `rng` seeds.
    """
    height, width = x.shape[-2:]
    boxes = [boxes_of(rng, height, width, probability, count) for _ in range(len(x))]
    noise = torch.Generator(x.device).manual_seed(rng.getrandbits(63))
    for image, its in zip(x, boxes, strict=True):
        for top, left, h, w in its:
            image[:, top : top + h, left : left + w] = _filling(mode, (len(image), h, w), noise)
    return x


def boxes_of(rng: Random, height: int, width: int, probability: float, count: int = 1) -> list[Box]:
    """Choose the boxes of one picture, from none to `count`: each strictly smaller than it."""
    if rng.random() >= probability:
        return []
    chosen = rng.randint(1, count) if count > 1 else 1
    boxes = (_box(rng, height, width, height * width / chosen) for _ in range(chosen))
    return [box for box in boxes if box]


def _box(rng: Random, height: int, width: int, area: float) -> Box | None:
    for _ in range(ATTEMPTS):
        erased = rng.uniform(*AREA) * area
        aspect = math.exp(rng.uniform(*LOG_ASPECT))
        h, w = round(math.sqrt(erased * aspect)), round(math.sqrt(erased / aspect))
        if h < height and w < width:
            return rng.randint(0, height - h), rng.randint(0, width - w), h, w
    return None


def _filling(mode: str, shape: tuple[int, int, int], noise: torch.Generator) -> Tensor | float:
    """Drawn in float32 for every dtype of the batch and apart from it, so that its layout in memory does not matter."""
    drawn = FILLINGS[mode](*shape)
    return torch.randn(drawn, generator=noise, device=noise.device) if drawn else 0.0
