"""Which part of a picture is seen: a random part to be scaled, or the whole picture moved a little.

Owns the choice and the moving, not the scaling. Trusts its ranges: a recipe has checked them.
"""

from __future__ import annotations

import math
from random import Random

import numpy as np

ATTEMPTS = 10


def random_resized_crop(
    rng: Random, height: int, width: int, scale: tuple[float, float], ratio: tuple[float, float]
) -> tuple[int, int, int, int]:
    """Choose a part of a picture: its top, left, height and width in pixels.

    `scale`: of the part's share of the area, uniform. `ratio`: of its width over its height, log-uniform. Where ten
    attempts do not fit, the largest central part within `ratio`. Draw for draw timm 1.0.31's
    `RandomResizedCropAndInterpolation`, except that a part has at least one pixel a side.
    """
    log_ratio = math.log(ratio[0]), math.log(ratio[1])
    for _ in range(ATTEMPTS):
        area = rng.uniform(*scale) * (height * width)
        aspect = math.exp(rng.uniform(*log_ratio))
        part_width = max(round(math.sqrt(area * aspect)), 1)
        part_height = max(round(math.sqrt(area / aspect)), 1)
        if part_width <= width and part_height <= height:
            top = rng.randint(0, height - part_height)
            return top, rng.randint(0, width - part_width), part_height, part_width
    return _central(height, width, ratio)


def _central(height: int, width: int, ratio: tuple[float, float]) -> tuple[int, int, int, int]:
    """Top, left, height and width of the largest part within `ratio`."""
    part_height, part_width = height, width
    if width / height < ratio[0]:
        part_height = max(round(width / ratio[0]), 1)
    elif width / height > ratio[1]:
        part_width = max(round(height * ratio[1]), 1)
    return (height - part_height) // 2, (width - part_width) // 2, part_height, part_width


def shifted_crop(rng: Random, size: tuple[int, int], shift: float) -> tuple[int, int]:
    """Choose by how many pixels to move a picture of `size` (height, width), down and to the right: up to `shift` of it."""
    down, right = (int(side * shift) for side in size)
    return rng.randint(-down, down), rng.randint(-right, right)


def shifted(image: np.ndarray, dy: int, dx: int) -> np.ndarray:
    """Move a picture down by `dy` and right by `dx` pixels, mirrored at its edge pixels: [H,W,C] to the same shape."""
    rows, columns = _mirrored(image.shape[0], dy), _mirrored(image.shape[1], dx)
    return image.take(rows, axis=0).take(columns, axis=1)


def _mirrored(size: int, move: int) -> np.ndarray:
    """Where along an axis each of `size` pixels comes from."""
    period = max(2 * (size - 1), 1)
    index = (np.arange(size) - move) % period
    return np.minimum(index, period - index)
