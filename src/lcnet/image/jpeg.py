"""JPEG files by our own decoder: the pixels that Pillow gives, to the bit and sooner, or none.

It takes what most files are: one scan of 8 bits with Huffman codes, grey or YCbCr, from the first byte to the end without a
fault. Whatever else there is, damage above all, is left to Pillow: what is refused, and in which words, is decided there.
"""

from __future__ import annotations

import io
import math
import os
import threading
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _native
from ..errors import InputError
from ..text import quoted

if TYPE_CHECKING:
    from PIL import Image

OWN, PILLOW = "own", "pillow"  # what LCNET_JPEG may say: take ours even where it is slow; never take it

_FAST = "avx"  # the ISAs that it has kernels for: libjpeg-turbo's own are faster than its plain loops
_OLDEST = (2, 1)  # libjpeg-turbo; what older ones make of 4:4:0 has not been compared
_MOST = 16 << 20  # bytes of a file besides four for each pixel: more is not read for us
_KEPT = 4 << 20  # bytes of pixels for which a thread keeps the memory


class _Kept(threading.local):
    """Memory of this thread, which is not given back to the system and taken anew, page by page, for every picture."""

    memory = np.empty(0, np.uint8)


_kept = _Kept()


def decoded(image: Image.Image, channels: int, passing: bool = False) -> np.ndarray | None:
    """Decode a file that Pillow has opened and not read: uint8 [H,W,3], or [H,W,1] if it is grey and `channels` is 1.

    None if it is for Pillow to decode, which then finds the file as it was. passing: the pixels are used up before this
    thread decodes the next ones, which may be put into the same memory.
    """
    if not (_is_plain(image) and wanted()):
        return None
    width, height = image.size
    pixels = _memory((height, width, channels if image.mode == "L" else 3), passing)
    return pixels if _native.decode_jpeg(_bytes(image), pixels, isa="") else None


def _memory(shape: tuple[int, int, int], passing: bool) -> np.ndarray:
    size = math.prod(shape)
    if not passing or size > _KEPT:
        return np.empty(shape, np.uint8)
    if _kept.memory.size < size:
        _kept.memory = np.empty(size, np.uint8)
    return _kept.memory[:size].reshape(shape)


@cache
def wanted() -> bool:
    """Whether our decoder is to be tried: where it is the faster one, and Pillow's is libjpeg-turbo, whose pixels it gives.

    Raises `InputError` for an environment that says neither.
    """
    said = os.environ.get("LCNET_JPEG", "")
    if said not in ("", OWN, PILLOW):
        raise InputError(
            f"LCNET_JPEG is '{quoted(said)}', expected {OWN} or {PILLOW}: correct or unset the environment variable"
        )
    if said == PILLOW:
        return False
    try:
        fast = _native.selected_isa().startswith(_FAST)
    except ValueError:  # of an ISA in the environment that is not to be had; who computes with it says so
        return False
    return (fast or said == OWN) and _pillow_is_turbo()


def _pillow_is_turbo() -> bool:
    from PIL import Image

    core: Any = vars(Image)["core"]  # not PIL.features, which says the same but takes longer to import than a picture to decode
    version = str(getattr(core, "libjpeg_turbo_version", None) or "0")
    numbers = tuple(int(n) for n in version.split(".")[:2] if n.isdecimal())
    return bool(getattr(core, "HAVE_LIBJPEGTURBO", False)) and numbers >= _OLDEST


def _is_plain(image: Any) -> bool:
    """Whether `load` would decode the whole of a JPEG file at its full size."""
    tile = [("jpeg", (0, 0, *image.size), 0, (image.mode, ""))]
    at_full_size = getattr(image, "decoderconfig", None) in ((), (1, 0))
    return image.format == "JPEG" and image.mode in ("L", "RGB") and at_full_size and list(image.tile) == tile


def _bytes(image: Any) -> bytes:
    if isinstance(image.fp, io.BytesIO):
        return image.fp.getvalue()
    image.fp.seek(0)
    data: bytes = image.fp.read(_MOST + 4 * image.width * image.height)
    return data
