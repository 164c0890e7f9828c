"""Mixup (arXiv 1710.09412) and CutMix (arXiv 1905.04899): each picture of a batch and its target mixed with another one's.

The batch is mixed with itself in reverse, at one share for all, as timm 1.0.31's `Mixup` does in mode "batch". Takes dense
targets, smoothed or not. A batch of odd size keeps its middle picture; timm refuses it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from torch import Tensor


class Mix(NamedTuple):
    """One draw."""

    share: float  # of the picture itself; the rest is the other's
    box: tuple[slice, slice] | None = None  # rows and columns that are the other's alone; None: all are mixed


@dataclass(frozen=True)
class Mixing:
    """Mixes batches: `Mixing(mixup=0.2, cutmix=1.0)(x, targets, rng)`."""

    mixup: float = 0.0  # alpha: the share is Beta(alpha, alpha); 0: none
    cutmix: float = 0.0
    prob: float = 1.0  # that a batch is mixed
    switch_prob: float = 0.5  # of cutmix, where both are on

    def __call__(self, x: Tensor, targets: Tensor, rng: Random) -> tuple[Tensor, Tensor]:
        """Mix `x`, float [N,C,H,W], in place, and `targets`, float [N,K]; returns both."""
        drawn = self.draw(rng, x.shape[-2], x.shape[-1])
        return mix(x, targets, drawn) if drawn else (x, targets)

    def draw(self, rng: Random, height: int, width: int) -> Mix | None:
        """Choose how to mix a batch of pictures of `height` x `width` pixels; None: not at all."""
        if not (self.mixup or self.cutmix) or rng.random() >= self.prob:
            return None
        cut = self.cutmix > 0 and (self.mixup == 0 or rng.random() < self.switch_prob)
        alpha = self.cutmix if cut else self.mixup
        share = rng.betavariate(alpha, alpha)
        return _cut(rng, share, height, width) if cut else Mix(share)


def mix(x: Tensor, targets: Tensor, drawn: Mix) -> tuple[Tensor, Tensor]:
    """Mix `x`, float [N,C,H,W], in place, and `targets`, float [N,K], as drawn; returns both."""
    share, box = drawn
    if box:
        part = x[:, :, box[0], box[1]]
        part.copy_(part.flip(0))
    else:
        others = x.flip(0).mul_(1 - share)
        x.mul_(share).add_(others)
    return x, targets * share + targets.flip(0) * (1 - share)


def _cut(rng: Random, share: float, height: int, width: int) -> Mix:
    """A box around any pixel, cut at the border; the share is what it leaves of the area."""
    side = math.sqrt(1 - share)
    rows, columns = _span(rng, height, side), _span(rng, width, side)
    area = (rows.stop - rows.start) * (columns.stop - columns.start)
    return Mix(1 - area / (height * width), (rows, columns))


def _span(rng: Random, size: int, side: float) -> slice:
    length = int(size * side)
    center = rng.randrange(size)
    return slice(max(center - length // 2, 0), min(center + (length + 1) // 2, size))
