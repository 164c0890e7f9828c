"""From pixels to the network's input: resize, crop and normalise as timm 1.0.31 or PaddleClas do for evaluation, to the bit.

`Preprocessing.resize` says as which of the two. Sources of any kind become pixels in `lcnet.image.pixels`, whose `decode` is
offered here too. Only what is in the crop is computed, by the native core with Pillow's or OpenCV's arithmetic. Refuses
arrays of another dtype or shape, and pictures so narrow that scaling them would leave no pixels or an absurd number.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import _native
from ..config import INTERPOLATIONS, RESIZES, Preprocessing
from ..errors import ImageError, InputError, LcnetError, TooLargeError
from ..sources.formats import MAX_PIXELS
from ..text import suggest
from .limits import MAX_SIDE
from .pixels import DEFAULT, decode, name_of

if TYPE_CHECKING:
    from PIL import Image

    from .pixels import Check, ImageSource

__all__ = ["MAX_PIXELS", "MAX_SIDE", "as_list", "batch", "decode", "normalize", "prepare", "resize", "resize_crop"]

NATIVE_CHANNELS = 4  # as many at once as the native core takes


def batch(
    sources: Any,
    preprocessing: Preprocessing = DEFAULT,
    max_pixels: int = MAX_PIXELS,
    first: int = 0,
    fast: bool = False,
    seen: Check | None = None,
    check: Check | None = None,
) -> np.ndarray:
    """Decode and prepare one picture or several: float32 [N,C,H,W] in the order given.

    `sources`: as `as_list` takes them. Raises as `decode` and `prepare` do; the message names the source and, among
    several, its index, counted from `first` where `sources` is a part of more. `fast`: JPEG files at least twice as
    large as needed are decoded at a fraction of their size, so that their pixels are no longer timm's to the bit. `seen`:
    called with each file, as a Pillow image, once it is decoded; `check` before it is, with what its header says.
    """
    images = as_list(sources)
    inputs = np.empty((len(images), *preprocessing.input_size), np.float32)
    for i, source in enumerate(images):
        try:
            _input(source, preprocessing, max_pixels, fast, seen, check, inputs[i])
        except LcnetError as error:
            place = f"image {first + i}: " if first or len(images) > 1 else ""
            raise type(error)(f"{place}{error}") from error
    return inputs


def as_list(images: Any) -> list[ImageSource]:
    """Return the pictures in `images` as a list: what a list, tuple or iterator yields, or the N of an array [N,H,W,C].

    Anything else is one picture: text and paths, bytes, an open file, a PIL image, an array of fewer dimensions.
    """
    several = isinstance(images, (list, tuple, Iterator)) and not hasattr(images, "read")
    if several or (isinstance(images, np.ndarray) and images.ndim == 4):
        return list(images)
    return [images]


def prepare(image: np.ndarray, preprocessing: Preprocessing = DEFAULT) -> np.ndarray:
    """Make the network's input of one decoded picture: uint8 [H,W,C] to float32 [C,height,width], normalised.

    The same as `normalize(resize_crop(...))`, to the bit and in one go; raises as they do.
    """
    _check(image, preprocessing)
    x = np.empty(preprocessing.input_size, np.float32)
    _prepare(image, preprocessing, x)
    return x


def resize_crop(image: np.ndarray, preprocessing: Preprocessing = DEFAULT) -> np.ndarray:
    """Scale and crop one picture as timm 1.0.31's evaluation transform does: uint8 [H,W,C] to uint8 [height,width,C].

    With `resize` "opencv" as PaddleClas does. Each channel is scaled by itself; their order stays, whatever `channel_order`
    says. Raises `InputError` for another dtype or shape, `ImageError` if the scaled picture would have no pixels (timm fails
    there too) or a side of more than `MAX_SIDE`.
    """
    _check(image, preprocessing)
    crop = _crop(image, preprocessing)
    pixels = resize(image, crop.scaled, preprocessing.interpolation, crop.box, preprocessing.resize)
    if not crop.surrounded(preprocessing):
        return pixels
    canvas = np.empty((*preprocessing.input_size[1:], image.shape[2]), np.uint8)
    canvas[:] = _fill(preprocessing)[preprocessing.order]
    canvas[crop.rows, crop.columns] = pixels
    return canvas


def resize(
    image: np.ndarray,
    size: tuple[int, int],
    interpolation: str = "bicubic",
    box: tuple[int, int, int, int] | None = None,
    library: str = "pillow",
) -> np.ndarray:
    """Scale one picture as Pillow 13's `Image.resize` does, to the bit: uint8 [H,W,C] to uint8 [h,w,C].

    `size`: height and width of the whole scaled picture. `box`: left, top, right and bottom of the part of it that is
    computed and returned; all of it if left out. Each channel is scaled by itself, alpha too. `library`: "opencv", with
    "bilinear" only, for the bits of OpenCV's `resize` with INTER_LINEAR, which does not antialias. Raises `InputError`.
    """
    _check_pixels(image)
    height, width = _whole("size", size, 2)
    left, top, right, bottom = _whole("box", box, 4) if box is not None else (0, 0, width, height)
    filter_ = _filter(interpolation, library)
    sides = (*image.shape[:2], height, width)
    if not 0 < min(sides) <= max(sides) <= MAX_SIDE:
        raise InputError(
            f"a picture of {sides[1]} x {sides[0]} pixels cannot be scaled to {width} x {height}: sides are 1 to {MAX_SIDE}"
        )
    if not (0 <= left < right <= width and 0 <= top < bottom <= height):
        raise InputError(
            f"box is {(left, top, right, bottom)}, expected left < right and top < bottom within the "
            f"scaled picture of {width} x {height} pixels"
        )
    out = np.empty((bottom - top, right - left, image.shape[2]), np.uint8)
    for part, pixels in _parts(image):
        scaled = np.ascontiguousarray(out[:, :, part])  # `out` itself, or a copy of some of its channels
        _call(_native.resize, pixels, (height, width), (left, top, right, bottom), filter_, scaled)
        out[:, :, part] = scaled
    return out


def _filter(interpolation: str, library: str) -> str:
    """What the native core calls it. Raises `InputError`."""
    if interpolation not in INTERPOLATIONS:
        near = suggest(str(interpolation), INTERPOLATIONS)
        raise InputError(f"interpolation is {interpolation!r}{near}: expected one of {', '.join(INTERPOLATIONS)}")
    if library not in RESIZES:
        raise InputError(f"library is {library!r}{suggest(str(library), RESIZES)}: expected one of {', '.join(RESIZES)}")
    if library == "opencv" and interpolation != "bilinear":
        raise InputError(
            f"interpolation is {interpolation!r}, expected 'bilinear', which is all that there is of OpenCV's here"
        )
    return interpolation if library == "pillow" else f"opencv_{interpolation}"


def normalize(pixels: np.ndarray, preprocessing: Preprocessing = DEFAULT) -> np.ndarray:
    """Map uint8 [H,W,C] to float32 [C,H,W]: (x / 255 - mean) / std, in float32 after each step as torch computes it.

    The channels change from RGB to the network's `channel_order`, in which `mean` and `std` are.
    """
    _check(pixels, preprocessing)
    planes = pixels.transpose(2, 0, 1)[preprocessing.order]
    return _normalize(planes, preprocessing.mean, preprocessing.std)


def _normalize(pixels: np.ndarray, mean: tuple[float, ...], std: tuple[float, ...]) -> np.ndarray:
    """uint8 [C,H,W] to float32 [C,H,W]."""
    x = pixels.astype(np.float32, order="C")
    x /= np.float32(255)
    x -= np.array(mean, np.float32)[:, None, None]
    x /= np.array(std, np.float32)[:, None, None]
    return x


@lru_cache(maxsize=64)
def _table(mean: tuple[float, ...], std: tuple[float, ...]) -> np.ndarray:
    """float32 [C,256]: every byte of every channel, normalised."""
    every = np.broadcast_to(np.arange(256, dtype=np.uint8), (len(mean), 1, 256))
    return _normalize(every, mean, std)[:, 0]


class _Crop(NamedTuple):
    """Which part of the scaled picture is kept, and which rows and columns of the network's input it fills."""

    scaled: tuple[int, int]  # height, width
    box: tuple[int, int, int, int]  # left, top, right, bottom
    rows: slice
    columns: slice

    def surrounded(self, preprocessing: Preprocessing) -> bool:
        """Whether some of the input is left to fill."""
        left, top, right, bottom = self.box
        return (bottom - top, right - left) != tuple(preprocessing.input_size[1:])


def _crop(image: np.ndarray, preprocessing: Preprocessing) -> _Crop:
    _, height, width = preprocessing.input_size
    scaled = _scaled_size(image.shape[0], image.shape[1], preprocessing)
    (top, rows, y), (left, columns, x) = _native.kept(scaled, (height, width), preprocessing.resize)
    return _Crop(scaled, (left, top, left + columns, top + rows), slice(y, y + rows), slice(x, x + columns))


def _prepare(image: np.ndarray, preprocessing: Preprocessing, out: np.ndarray) -> None:
    """`prepare`, into `out` float32 [C,height,width]."""
    crop, filter_ = _crop(image, preprocessing), _filter(preprocessing.interpolation, preprocessing.resize)
    table = _table(tuple(preprocessing.mean), tuple(preprocessing.std))
    if crop.surrounded(preprocessing):
        for plane, values, fill in zip(out, table, _fill(preprocessing), strict=True):
            plane[:] = values[fill]
    table, window = table[preprocessing.order], out[preprocessing.order, crop.rows, crop.columns]
    for part, pixels in _parts(image):
        _call(_native.prepare, pixels, crop.scaled, crop.box, filter_, np.ascontiguousarray(table[part]), window[part])


def _parts(image: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Cut the channels into as few parts as the native core takes, each contiguous."""
    for first in range(0, image.shape[2], NATIVE_CHANNELS):
        part = slice(first, first + NATIVE_CHANNELS)
        yield part, np.ascontiguousarray(image[:, :, part])


def _call(native: Any, *arguments: Any) -> None:
    try:
        native(*arguments, isa="")
    except ValueError as error:  # of an ISA in the environment that is not to be had
        raise InputError(str(error)) from None


def _input(
    source: ImageSource,
    preprocessing: Preprocessing,
    max_pixels: int,
    fast: bool,
    seen: Check | None,
    check: Check | None,
    out: np.ndarray,
) -> None:
    def needed(height: int, width: int) -> tuple[int, int]:
        return _scaled_size(height, width, preprocessing)

    def fits(image: Image.Image) -> None:
        _check_fits(image, preprocessing)
        if check:
            check(image)

    padded = preprocessing.input_size[0] == 3 and not isinstance(source, np.ndarray)
    passing = seen is None  # who is shown the picture may decode others before this one is used up
    pixels = decode(source, preprocessing, max_pixels, needed if fast else None, padded, fits, seen, passing)
    if not padded:
        _check(pixels, preprocessing)
    try:
        _prepare(pixels, preprocessing, out)
    except ImageError as error:
        raise type(error)(f"{name_of(source)}: {error}") from None


def _check_fits(image: Image.Image, preprocessing: Preprocessing) -> None:
    """Refuse a picture that cannot be scaled, before it is decoded, if it cannot whichever way it will be turned."""
    try:
        _scaled_size(image.height, image.width, preprocessing)
    except ImageError:
        with suppress(ImageError):
            _scaled_size(image.width, image.height, preprocessing)
            return
        raise


def _check(image: np.ndarray, preprocessing: Preprocessing) -> None:
    _check_pixels(image, preprocessing.input_size[0])


def _check_pixels(image: Any, channels: int | None = None) -> None:
    good = isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 3 and image.size > 0
    if not good or image.shape[2] != (channels or image.shape[2]):
        found = f"{image.dtype} {list(image.shape)}" if isinstance(image, np.ndarray) else type(image).__name__
        raise InputError(f"pixels are {found}, expected uint8 [H,W,{channels or 'C'}]: lcnet.image.decode makes them")


def _whole(name: str, values: Any, count: int) -> tuple[int, ...]:
    try:
        numbers = tuple(operator.index(value) for value in values)
    except TypeError:
        numbers = ()
    if len(numbers) != count:
        raise InputError(f"{name} is {values!r}, expected {count} whole numbers")
    return numbers


def _scaled_size(height: int, width: int, preprocessing: Preprocessing) -> tuple[int, int]:
    """Height and width after scaling and before the crop: timm's rules, rounded as there, or PaddleClas's."""
    _, *target = preprocessing.input_size
    rule = preprocessing.crop_pct, preprocessing.crop_mode, preprocessing.resize
    scaled = _native.scaled_size((height, width), (target[0], target[1]), *rule)
    if scaled == (0, 0):
        raise InputError(
            f"crop_pct {preprocessing.crop_pct} is too large for input_size {preprocessing.input_size}: "
            "pictures would be scaled to 0 pixels"
        )
    if not (min(scaled) > 0 and max(height, width, *scaled) <= MAX_SIDE):
        raise TooLargeError(
            f"a picture of {width} x {height} pixels would be scaled to {scaled[1]} x {scaled[0]}, "
            f"expected sides of 1 to {MAX_SIDE} pixels: crop it, or use crop_mode 'squash'"
        )
    return scaled


def _fill(preprocessing: Preprocessing) -> list[int]:
    """What surrounds a picture smaller than the crop, as the network orders channels: black, but in mode "border" the mean."""
    return [_native.fill(m, preprocessing.crop_mode) for m in preprocessing.mean]
