"""From any source to pixels: uint8 RGB (or grey) by the policy of docs/pixels.md, with Pillow and numpy alone.

Refuses what is missing, damaged, cut short, too large or no picture: whatever the bytes are, `ImageError` names the
source and nothing else is raised.
"""

from __future__ import annotations

import copyreg
import os
import re
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

import numpy as np

from ..config import Preprocessing
from ..errors import ImageError, InputError
from ..sources.formats import MAX_PIXELS
from . import jpeg, limits
from .limits import check_size
from .reading import opened

if TYPE_CHECKING:
    from PIL import Image

    ImageSource: TypeAlias = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | Image.Image | np.ndarray
    Needed: TypeAlias = Callable[[int, int], tuple[int, int]]
    Check: TypeAlias = Callable[[Image.Image], None]

DEFAULT = Preprocessing()

# EXIF orientation -> what turns the picture upright (EXIF 2.32, tag 0x0112), by Pillow's names.
ORIENTATION = 0x0112
TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
# Colours multiplied by their opacity, which not every conversion takes -> the same as they are.
STRAIGHT = {"La": "LA", "RGBa": "RGBA"}
LYING = ("TRANSPOSE", "ROTATE_270", "TRANSVERSE", "ROTATE_90")


def decode(
    source: ImageSource,
    preprocessing: Preprocessing = DEFAULT,
    max_pixels: int = MAX_PIXELS,
    needed: Needed | None = None,
    padded: bool = False,
    check: Check | None = None,
    seen: Check | None = None,
    passing: bool = False,
) -> np.ndarray:
    """Decode one picture to uint8 [H,W,3] RGB, or [H,W,1] grey for a network of one channel.

    `source`: a path; the bytes of an image file; a binary file object (read from its start, not closed); a PIL image
    (its current frame); a uint8 array [H,W,3] RGB, [H,W,4] RGBA, [H,W,1] or [H,W] grey. Networks of 2, 4 or more
    channels take arrays of exactly as many channels. The result may be read-only, or share an array source's memory.

    `needed`: for a JPEG file that may lose detail. Maps its height and width to those that it will be scaled to; a file
    that is at least twice as large is decoded at a half, quarter or eighth, in its DCT, but not smaller than needed.
    `padded`: an RGB picture may come as [H,W,4] with a meaningless fourth byte, which saves a copy. `check`: called
    before a file or PIL image is decoded, to refuse it by its header; `seen`: afterwards. `passing`: the pixels are used up
    before this thread decodes the next picture, which may come in the same memory.

    Raises `ImageError`, naming the source, for anything wrong with a picture, also for more than `max_pixels` pixels
    (by its header, before decoding); `InputError` for an argument that is no picture: another type, dtype or shape.
    """
    if isinstance(source, np.ndarray):
        return _from_array(source, preprocessing)
    name, channels = name_of(source), preprocessing.input_size[0]
    if channels not in (1, 3):
        raise InputError(f"{name}: a network of {channels} input channels takes uint8 arrays [H,W,{channels}] only")
    try:
        with quiet_and_strict(max_pixels), opened(source) as image:
            check_size(image, max_pixels)
            if check:
                check(image)
            if needed and image is not source and image.format == "JPEG":
                _draft(image, preprocessing, needed)
            pixels = pixels_of(image, preprocessing, padded, fresh=image is not source, passing=passing)
            if seen:
                seen(image)
            return pixels
    except InputError:
        raise
    except Exception as error:
        kind = type(error) if isinstance(error, ImageError) else ImageError
        raise kind(f"{name}: {explained(error)}") from error


def name_of(source: ImageSource) -> str:
    """What messages call `source`: its path or its kind. Raises `InputError` for a type that cannot be a picture."""
    if isinstance(source, (str, os.PathLike)):
        return os.fspath(source) or "''"
    if isinstance(source, (bytes, bytearray, memoryview)):
        return "image bytes"
    if isinstance(source, np.ndarray):
        return "image array"
    if hasattr(source, "read"):
        name = getattr(source, "name", None)
        return name if isinstance(name, str) and name else "file object"
    from PIL import Image

    if isinstance(source, Image.Image):
        return str(getattr(source, "filename", "") or "PIL image")
    raise InputError(
        f"an image is given as {type(source).__name__}, expected a path, bytes, a binary file object, "
        "a PIL image or a uint8 array [H,W,3]"
    )


def _from_array(array: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
    channels = preprocessing.input_size[0]
    pixels = array[:, :, None] if array.ndim == 2 else array
    found = pixels.shape[2] if pixels.ndim == 3 else 0
    allowed = (1, 3, 4) if channels in (1, 3) else (channels,)
    if pixels.dtype != np.uint8 or found not in allowed or not pixels.size:
        given = f"{array.dtype} {list(array.shape)}"
        raise InputError(f"an image array is {given}, expected uint8 [H,W,{channels}]{_hint(array)}")
    if found == channels:
        return pixels
    if found == 1:
        return np.repeat(pixels, channels, axis=2)
    from PIL import Image

    return _as_array(_to_channels(Image.fromarray(pixels), preprocessing))


def _hint(array: np.ndarray) -> str:
    if array.dtype.kind == "f":
        return ": turn 0..1 into 0..255, round, and use .astype(numpy.uint8)"
    if array.ndim == 3 and array.shape[0] in (1, 3, 4):
        return ": channels come last here, so .transpose(1, 2, 0) first"
    return ": pass bytes of an encoded picture as bytes" if array.ndim == 1 and array.dtype == np.uint8 else ""


def _draft(image: Image.Image, preprocessing: Preprocessing, needed: Needed) -> None:
    width, height = image.size
    lying = _turn(image, preprocessing) in LYING
    image.draft(None, needed(width, height) if lying else needed(height, width)[::-1])  # takes (width, height)


def pixels_of(
    image: Image.Image,
    preprocessing: Preprocessing,
    padded: bool = False,
    short_side: int = 0,
    fresh: bool = False,
    passing: bool = False,
) -> np.ndarray:
    """Decode what has been opened, its current frame, as `decode` says. Raises whatever Pillow does.

    short_side: average blocks of 2, 4 or 8 pixels squared, as long as so many are left of the shorter side. fresh: it was
    opened for this, and nobody minds if its pixels stay unread. passing: as in `decode`.
    """
    from PIL import Image

    channels = preprocessing.input_size[0]
    own = jpeg.decoded(image, channels, passing) if fresh else None
    if own is None:
        image.load()  # which for some formats changes the orientation, too
    turn = _turn(image, preprocessing)
    if own is not None:
        if not turn and own.shape[2] == channels:
            return own
        image = Image.fromarray(own if own.shape[2] == 3 else own[:, :, 0])
    upright = _to_channels(_averaged(image, short_side) if short_side else image, preprocessing)
    return _as_array(upright.transpose(Image.Transpose[turn]) if turn else upright, padded)


def _averaged(image: Image.Image, short_side: int) -> Image.Image:
    factor = next((n for n in (8, 4, 2) if min(image.size) >= n * short_side), 1)
    plain = image.mode in ("1", "L", "RGB", "CMYK") and "transparency" not in image.info
    if factor == 1 or not plain:
        return image
    return (image.convert("L") if image.mode == "1" else image).reduce(factor)


def _turn(image: Image.Image, preprocessing: Preprocessing) -> str | None:
    if not preprocessing.exif:
        return None
    try:
        exif = _exif_only(image) if preprocessing.resize == "opencv" else image.getexif()
        return TURNS.get(exif.get(ORIENTATION, 1))
    except Exception:  # whatever a damaged EXIF block raises: it says nothing about the picture, which is whole
        return None


def _exif_only(image: Image.Image) -> Image.Exif:
    """Without what XMP says, of which OpenCV knows nothing."""
    from PIL import Image

    exif = Image.Exif()
    exif.load(image.info.get("exif", b""))
    return exif


def _to_channels(image: Image.Image, preprocessing: Preprocessing) -> Image.Image:
    """Convert any mode of Pillow's to "RGB", or to "L" for a network of one channel."""
    like_opencv = preprocessing.resize == "opencv"
    if image.mode.startswith("I") or image.mode == "F":
        image = _to_8_bit(image, like_opencv)
    if image.mode in STRAIGHT:
        image = image.convert(STRAIGHT[image.mode])
    if preprocessing.alpha == "composite" and _is_transparent(image):
        image = _on_background(image, preprocessing.background)
    if like_opencv and image.mode == "CMYK" and image.format == "JPEG":
        image = _inks_by_opencv(image)
    mode = "L" if preprocessing.input_size[0] == 1 else "RGB"
    if image.mode not in (mode, "RGB"):
        image = image.convert("RGB")  # also on the way to "L", to which not every mode can go
    return image if image.mode == mode else image.convert(mode)


def _inks_by_opencv(image: Image.Image) -> Image.Image:
    """OpenCV's conversion of a CMYK JPEG file, whose inks Pillow has inverted: one less than Pillow's at most."""
    from PIL import Image

    inks = 255 - np.asarray(image)
    black = inks[:, :, 3:].astype(np.uint16)
    return Image.fromarray((black - ((255 - inks[:, :, :3]) * black >> 8)).astype(np.uint8))


def _to_8_bit(image: Image.Image, like_opencv: bool) -> Image.Image:
    """Scale the modes "I;16", "I" and "F" to "L", or to "LA" if one of their values means transparent.

    OpenCV takes the high byte of 16 bits.
    """
    from PIL import Image

    values = np.asarray(image)
    gray = _scale_float(values) if image.mode == "F" else _scale_16_bit(values, like_opencv)
    clear = image.info.get("transparency")
    if clear is None:
        return Image.fromarray(gray)
    alpha = np.where(values == clear, 0, 255).astype(np.uint8)
    return Image.fromarray(np.stack([gray, alpha], axis=2))


def _scale_16_bit(values: np.ndarray, like_opencv: bool) -> np.ndarray:
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 65535:
        raise ImageError(f"its pixels range from {low} to {high}, expected 16 bits (0 to 65535): scale them first")
    whole = values.astype(np.uint32)
    return (whole >> 8 if like_opencv else (whole + 128) // 257).astype(np.uint8)


def _scale_float(values: np.ndarray) -> np.ndarray:
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= 255):  # NaN fails too
        raise ImageError(f"its pixels range from {low:g} to {high:g}, expected 0 to 1 or 0 to 255: scale them first")
    return np.rint(values * np.float32(255 if high <= 1 else 1)).astype(np.uint8)


def _is_transparent(image: Image.Image) -> bool:
    clear = image.info.get("transparency")
    of_16_bits = isinstance(clear, tuple) and max(clear) > 255  # but Pillow kept 8 of the pixels, so none can be told
    return image.has_transparency_data and not of_16_bits


def _on_background(image: Image.Image, background: tuple[int, int, int]) -> Image.Image:
    from PIL import Image

    rgba = image.convert("RGBA")
    canvas = Image.new("RGB", image.size, background)
    canvas.paste(rgba, mask=rgba)
    return canvas


def _as_array(image: Image.Image, padded: bool = False) -> np.ndarray:
    view = _padded_view(image) if padded and image.mode == "RGB" else None
    if view is not None:
        return view
    pixels = np.asarray(image)
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


def _padded_view(image: Image.Image) -> np.ndarray | None:
    """Pillow's own memory of an RGB picture, uint8 [H,W,4], its fourth byte without a meaning; None if it is in pieces.

    The copy to three bytes a pixel takes as long as the resize.
    """
    from .. import _native

    try:
        array = image.__arrow_c_array__()[1]
    except (AttributeError, ValueError):  # a Pillow before 11.2; a picture of more than 16 MiB
        return None
    return _native.arrow_pixels(array, image.height, image.width)


def explained(error: Exception) -> str:
    """What is wrong and what to do, in words that follow a name and a colon."""
    from PIL import Image, UnidentifiedImageError

    reasons: dict[type[Exception], str] = {
        ImageError: str(error),
        FileNotFoundError: "there is no such file: check the path",
        IsADirectoryError: "this is a folder: name the pictures in it",
        PermissionError: "permission denied: check the access rights",
        MemoryError: "there is not enough memory to decode it: make it smaller",
        UnidentifiedImageError: "its header is damaged: get it again",
        Image.DecompressionBombError: f"{error} Pillow's own limit, PIL.Image.MAX_IMAGE_PIXELS, holds too",
    }
    for kind, reason in reasons.items():
        if isinstance(error, kind):
            return reason
    if isinstance(error, OSError) and error.strerror:
        return f"it cannot be read: {error.strerror}"
    return f"it is damaged or cut short ({error or type(error).__name__}): get it again"


class _Decoding(threading.local):
    """Whether this thread is decoding here, asked by Pillow and by `warnings` through switches that all threads share."""

    active = False
    most = 0  # pixels that it may decode


class _OnlyHere(type):
    decoding = _Decoding()  # not a global of the module: warnings come also when those are gone, at exit

    def __subclasscheck__(cls, other: type) -> bool:
        return cls.decoding.active


class PillowWarning(Warning, metaclass=_OnlyHere):
    """The category of every warning of this thread while it decodes here, and of none elsewhere.

    A filter of it is what others expect in `warnings.filters`: a category and a pattern, and it can be pickled.
    """


_decoding = PillowWarning.decoding


class _Tolerant(int):
    """`LOAD_TRUNCATED_IMAGES` that is set by others, and holds for them: true, but false while decoding here."""

    def __bool__(self) -> bool:
        return not _decoding.active

    def __reduce__(self) -> tuple[type, tuple[bool]]:
        return bool, (True,)


class _Limit(int):
    """`MAX_IMAGE_PIXELS` as Pillow has it, but twice it, beyond which Pillow gives up, is what may be decoded here."""

    def __rmul__(self, times: int) -> int:
        return max(int(self) * times, _decoding.most if _decoding.active else 0)

    def __reduce__(self) -> tuple[type, tuple[int]]:
        return int, (int(self),)


# Other processes get a category that no warning is of: they need not have lcnet, and put their own filter if they do.
copyreg.pickle(_OnlyHere, lambda cls: (type, (cls.__name__, (Warning,), {})))  # type: ignore[arg-type,return-value]
_SILENCE: Any = ("ignore", None, PillowWarning, re.compile(r"PIL\."), 0)


@contextmanager
def quiet_and_strict(max_pixels: int = 0) -> Iterator[None]:
    """Silence Pillow's warnings and have it refuse truncated files, in this thread and while decoding here only.

    Up to `max_pixels`, Pillow's default limit is lifted, but not one that somebody has set.
    `warnings.catch_warnings` is not for threads: it replaces the filters of all, and restores over what others changed.
    """
    from PIL import Image, ImageFile

    filters: Any = warnings.filters
    if not filters or filters[0] is not _SILENCE:
        with suppress(ValueError):
            filters.remove(_SILENCE)
        filters.insert(0, _SILENCE)
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        ImageFile.LOAD_TRUNCATED_IMAGES = _Tolerant(True)  # type: ignore[assignment]
    if max_pixels > 2 * limits.PILLOW_PIXELS and Image.MAX_IMAGE_PIXELS == limits.PILLOW_PIXELS:
        Image.MAX_IMAGE_PIXELS = _Limit(limits.PILLOW_PIXELS)
    before = _decoding.active, _decoding.most
    _decoding.active, _decoding.most = True, max_pixels
    try:
        yield
    finally:
        _decoding.active, _decoding.most = before
