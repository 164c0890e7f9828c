"""From pixels to the network's input: resize, crop and normalise as timm 1.0.31 does for evaluation, to the bit.

Sources of any kind become pixels in `lcnet.pixels`, whose `decode` is offered here too. Refuses arrays of another dtype
or shape, and pictures so narrow that scaling them would leave no pixels or an absurd number.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from .config import Preprocessing
from .errors import ImageError, InputError, LcnetError
from .pixels import DEFAULT, MAX_PIXELS, decode, name_of

if TYPE_CHECKING:
    from .pixels import Source

__all__ = ["MAX_PIXELS", "MAX_SCALED_PIXELS", "as_list", "batch", "decode", "normalize", "prepare", "resize_crop"]

MAX_SCALED_PIXELS = 1 << 26  # a whole scaled picture, before the crop: 256 MiB in Pillow


def batch(
    sources: Any, preprocessing: Preprocessing = DEFAULT, max_pixels: int = MAX_PIXELS, first: int = 0
) -> np.ndarray:
    """Decode and prepare one picture or several: float32 [N,C,H,W] in the order given.

    `sources`: as `as_list` takes them. Raises as `decode` and `prepare` do; the message names the source and, among
    several, its index, counted from `first` where `sources` is a part of more.
    """
    images = as_list(sources)
    inputs = np.empty((len(images), *preprocessing.input_size), np.float32)
    for i, source in enumerate(images):
        try:
            inputs[i] = _input(source, preprocessing, max_pixels)
        except LcnetError as error:
            place = f"image {first + i}: " if first or len(images) > 1 else ""
            raise type(error)(f"{place}{error}") from error
    return inputs


def as_list(images: Any) -> list[Source]:
    """Return the pictures in `images` as a list: what a list, tuple or iterator yields, or the N of an array [N,H,W,C].

    Anything else is one picture: text and paths, bytes, an open file, a PIL image, an array of fewer dimensions.
    """
    several = isinstance(images, (list, tuple, Iterator)) and not hasattr(images, "read")
    if several or (isinstance(images, np.ndarray) and images.ndim == 4):
        return list(images)
    return [images]


def prepare(image: np.ndarray, preprocessing: Preprocessing = DEFAULT) -> np.ndarray:
    """Make the network's input of one decoded picture: uint8 [H,W,C] to float32 [C,height,width], normalised."""
    return normalize(resize_crop(image, preprocessing), preprocessing)


def resize_crop(image: np.ndarray, preprocessing: Preprocessing = DEFAULT) -> np.ndarray:
    """Scale and crop one picture as timm 1.0.31's evaluation transform does: uint8 [H,W,C] to uint8 [height,width,C].

    The filters are Pillow's, on each channel by itself; the result may be read-only. Raises `InputError` for another
    dtype or shape, `ImageError` if the scaled picture would have no pixels (timm fails there too) or more than
    `MAX_SCALED_PIXELS`.
    """
    _check(image, preprocessing)
    _, height, width = preprocessing.input_size
    scaled = _scaled_size(image.shape[0], image.shape[1], preprocessing)
    rows, top = _centred(scaled[0], height)
    columns, left = _centred(scaled[1], width)
    pixels = _resize(image, scaled, preprocessing.interpolation, (columns.start, rows.start, columns.stop, rows.stop))
    if pixels.shape[:2] == (height, width):
        return pixels
    canvas = np.empty((height, width, pixels.shape[2]), np.uint8)
    canvas[:] = _fill(preprocessing)
    canvas[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
    return canvas


def normalize(pixels: np.ndarray, preprocessing: Preprocessing = DEFAULT) -> np.ndarray:
    """Map uint8 [H,W,C] to float32 [C,H,W]: (x / 255 - mean) / std, in float32 after each step as torch computes it."""
    _check(pixels, preprocessing)
    mean, std = (np.array(v, np.float32)[:, None, None] for v in (preprocessing.mean, preprocessing.std))
    x = pixels.transpose(2, 0, 1).astype(np.float32, order="C")
    x /= np.float32(255)
    x -= mean
    x /= std
    return x


def _input(source: Source, preprocessing: Preprocessing, max_pixels: int) -> np.ndarray:
    pixels = decode(source, preprocessing, max_pixels)
    try:
        return prepare(pixels, preprocessing)
    except ImageError as error:
        raise ImageError(f"{name_of(source)}: {error}") from None


def _check(image: np.ndarray, preprocessing: Preprocessing) -> None:
    channels = preprocessing.input_size[0]
    good = isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == channels
    if not good or not image.size:
        found = f"{image.dtype} {list(image.shape)}" if isinstance(image, np.ndarray) else type(image).__name__
        raise InputError(f"pixels are {found}, expected uint8 [H,W,{channels}]: lcnet.image.decode makes them")


def _scaled_size(height: int, width: int, preprocessing: Preprocessing) -> tuple[int, int]:
    """Height and width after scaling and before the crop: timm's rules, with its and torchvision's rounding."""
    target_h, target_w = (math.floor(n / preprocessing.crop_pct) for n in preprocessing.input_size[1:])
    mode = preprocessing.crop_mode
    if not (target_h and target_w):
        raise InputError(f"crop_pct {preprocessing.crop_pct} is too large for input_size {preprocessing.input_size}: "
                         "pictures would be scaled to 0 pixels")  # fmt: skip
    if mode == "squash":
        scaled = target_h, target_w
    elif mode == "center" and target_h == target_w:
        longer = int(target_h * max(height, width) / min(height, width))
        scaled = (longer, target_h) if width <= height else (target_h, longer)
    else:
        ratios = height / target_h, width / target_w
        ratio = max(ratios) if mode == "border" else min(ratios)
        scaled = round(height / ratio), round(width / ratio)
    if not 0 < scaled[0] * scaled[1] <= MAX_SCALED_PIXELS:
        raise ImageError(f"a picture of {width} x {height} pixels would be scaled to {scaled[1]} x {scaled[0]}, "
                         f"expected 1 to {MAX_SCALED_PIXELS} pixels: crop it, or use crop_mode 'squash'")  # fmt: skip
    return scaled


def _centred(size: int, target: int) -> tuple[slice, int]:
    """Along one axis: which of the `size` pixels are kept, and at which of the `target` pixels they begin."""
    if size < target:
        return slice(0, size), (target - size) // 2
    start = round((size - target) / 2)  # half to even
    return slice(start, start + target), 0


def _fill(preprocessing: Preprocessing) -> list[int]:
    """What surrounds a picture smaller than the crop: black, but the mean colour in mode "border"."""
    if preprocessing.crop_mode != "border":
        return [0] * len(preprocessing.mean)
    return [min(max(round(255 * m), 0), 255) for m in preprocessing.mean]


def _resize(image: np.ndarray, size: tuple[int, int], by: str, box: tuple[int, int, int, int]) -> np.ndarray:
    """The part `box` (left, top, right, bottom) of `image` [H,W,C] scaled to `size` (height, width)."""
    from PIL import Image

    bands = [image] if image.shape[2] == 3 else [image[:, :, c] for c in range(image.shape[2])]
    filter_ = Image.Resampling[by.upper()]
    scaled = [np.asarray(Image.fromarray(b).resize((size[1], size[0]), filter_).crop(box)) for b in bands]
    return scaled[0] if image.shape[2] == 3 else np.stack(scaled, axis=2)
