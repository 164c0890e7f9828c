"""One picture made as small as training needs it, as the JPEG file that a shard holds.

Turned upright, laid on white if transparent, in RGB. Never made larger; what already is as it should be keeps its bytes.
Arrays (.npy) of any number of channels are scaled alike and stay arrays.
"""

from __future__ import annotations

import io

import numpy as np

from ..errors import ImageError, LcnetError
from ..image import resize
from ..image.pixels import ORIENTATION, decode, quiet_and_strict
from ..image.reading import opened
from ..sources.formats import MAX_PIXELS
from .arrays import array_of, is_array

MAX_SIDE = 65500  # of a JPEG file, by libjpeg


def shrink(data: bytes, shorter: int, quality: int, max_pixels: int = MAX_PIXELS) -> tuple[str, bytes]:
    """Return the suffix and the bytes of a picture whose shorter side has at most `shorter` pixels. Raises `ImageError`.

    quality: of JPEG, 1 to 100; its colours have half the resolution (4:2:0). Scaled by Pillow's bicubic filter.
    """
    try:
        if is_array(data):
            return ".npy", _npy(_scaled(array_of(data), shorter))
        if _is_small_jpeg(data, shorter):
            decode(data, max_pixels=max_pixels, needed=lambda height, width: (1, 1))  # as little as tells whether it is whole
            return ".jpg", data
        return ".jpg", _jpeg(_scaled(decode(data, max_pixels=max_pixels), shorter), quality)
    except LcnetError as error:
        raise ImageError(str(error).removeprefix("image bytes: ").removeprefix("array: ")) from None


def _is_small_jpeg(data: bytes, shorter: int) -> bool:
    """Whether this is a baseline RGB JPEG file, upright and small enough."""
    try:
        with quiet_and_strict(), opened(data) as image:
            plain = image.format == "JPEG" and image.mode == "RGB" and not image.info.get("progressive")
            return plain and min(image.size) <= shorter and image.getexif().get(ORIENTATION, 1) == 1
    except Exception:  # damaged: decoding tells how, or that only its EXIF block is
        return False


def _scaled(pixels: np.ndarray, shorter: int) -> np.ndarray:
    height, width = pixels.shape[:2]
    short = min(height, width)
    if short <= shorter:
        return pixels
    return resize(pixels, (round(height * shorter / short), round(width * shorter / short)), "bicubic")


def _jpeg(pixels: np.ndarray, quality: int) -> bytes:
    from PIL import Image

    if max(pixels.shape) > MAX_SIDE:
        raise ImageError(f"it would have {pixels.shape[1]} x {pixels.shape[0]} pixels, JPEG has at most {MAX_SIDE} a side")
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return file.getvalue()


def _npy(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, pixels)
    return file.getvalue()
