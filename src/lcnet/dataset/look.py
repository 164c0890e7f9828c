"""What is special about one encoded picture: whether it can be read, traits that training has a rule for, two hashes.

A picture counts as unreadable where `lcnet.image.pixels` refuses it, so here and in training the same ones do.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..config import Preprocessing
from ..errors import LcnetError
from ..image import resize
from ..image.pixels import ORIENTATION, TURNS, decode, quiet_and_strict
from ..image.reading import opened
from ..sources.formats import MAX_PIXELS
from .arrays import array_of, is_array

if TYPE_CHECKING:
    from PIL import Image

TINY = 32  # pixels of the shorter side
DEEP, CMYK, ROTATED, TRANSPARENT, FRAMES, SMALL, PLAIN = (1 << i for i in range(7))  # PLAIN: too few shades for a hash

CODE = 16  # bytes of a difference hash
_GRAY = Preprocessing(input_size=(1, 224, 224), mean=(0.5,), std=(0.5,))
_ENOUGH = 72  # pixels a side to compute a difference hash from
_SHADES = 16  # between the darkest and the brightest of 9 x 9 means


class Look(NamedTuple):
    """What was seen. `error` says why a picture cannot be read, else it is empty."""

    digest: bytes  # half of the SHA-256
    traits: int = 0  # DEEP | CMYK | ...
    code: bytes = bytes(CODE)
    error: str = ""


def look(data: bytes, max_pixels: int = MAX_PIXELS) -> Look:
    """Look at the bytes of a picture or of a .npy file."""
    digest = sha256(data).digest()[:16]
    try:
        if is_array(data):
            pixels = array_of(data)
            traits, gray = _small(*pixels.shape[:2]), pixels.mean(2, keepdims=True).astype(np.uint8)
        else:
            gray = decode(data, _GRAY, max_pixels, needed=lambda height, width: (_ENOUGH, _ENOUGH))
            traits = _traits(data)
        code, plain = difference_hash(gray)
    except LcnetError as error:
        return Look(digest, error=str(error).removeprefix("image bytes: ").removeprefix("array: "))
    return Look(digest, traits | PLAIN * plain, code)


def difference_hash(gray: np.ndarray) -> tuple[bytes, bool]:
    """Hash how the brightness of uint8 [H,W,1] grows: 64 bits to the right, 64 downwards; and whether it hardly does.

    The dHash of N. Krawetz (Kind of Like That, 2013) in both directions. Pictures scaled or compressed again differ in
    few bits, others in half of them. The means are Pillow's, over a grid of 9 x 9.
    """
    means = resize(gray, (9, 9), "bilinear")[:, :, 0].astype(np.int16)
    rows, columns = np.diff(means, axis=1)[:8] > 0, np.diff(means, axis=0)[:, :8] > 0
    return np.packbits([rows, columns]).tobytes(), bool(np.ptp(means) < _SHADES)


def _traits(data: bytes) -> int:
    """The traits that the header of a readable picture shows."""
    with quiet_and_strict(), opened(data) as image:
        return (
            DEEP * (image.mode[0] in "IF" or ";16" in str(getattr(image, "tile", "")))
            | CMYK * (image.mode == "CMYK")
            | ROTATED * _is_rotated(image)
            | TRANSPARENT * image.has_transparency_data
            | FRAMES * _has_frames(image)
            | _small(*image.size)
        )


def _is_rotated(image: Image.Image) -> bool:
    return bool(_of_damaged(lambda: image.getexif().get(ORIENTATION, 1) in TURNS))


def _has_frames(image: Image.Image) -> bool:
    return bool(_of_damaged(lambda: getattr(image, "is_animated", False)))


def _of_damaged(ask: Any) -> Any:
    """An answer, or None where what was asked for is damaged; the picture itself is whole."""
    try:
        return ask()
    except Exception:  # whatever a damaged block makes of Pillow
        return None


def _small(*sides: int) -> int:
    return SMALL * (min(sides) < TINY)
