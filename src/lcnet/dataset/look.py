"""What is special about one encoded picture: whether it can be read, traits that training has a rule for, two hashes.

A picture counts as unreadable where `lcnet.image.pixels` refuses it, so here and in training the same ones do.
"""

from __future__ import annotations

from hashlib import file_digest, sha256
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np

from ..errors import LcnetError
from ..image import resize
from ..image.pixels import ORIENTATION, TURNS, decode, quiet_and_strict
from ..image.reading import opened
from ..sources.formats import MAX_PIXELS
from .arrays import array_of, is_array
from .thumbs import ENOUGH, THUMB, gray, reduced, thumb

if TYPE_CHECKING:
    from PIL import Image

TINY = 32  # pixels of the shorter side
DEEP, CMYK, ROTATED, TRANSPARENT, FRAMES, SMALL, PLAIN = (1 << i for i in range(7))  # PLAIN: too few shades for a hash
UNREADABLE = 1 << 15

CODE = 16  # bytes of a difference hash
_SHADES = 16  # between the darkest and the brightest of 9 x 9 means


class Look(NamedTuple):
    """What was seen. `error` says why a picture cannot be read, else it is empty."""

    digest: bytes  # SHA-256 of the bytes
    traits: int = 0  # DEEP | CMYK | ...
    code: bytes = bytes(CODE)
    error: str = ""
    mirrored: bytes = bytes(CODE)  # the code of the picture from right to left
    thumb: bytes = bytes(THUMB)
    shape: tuple[int, int] = (0, 0)  # height and width, upright
    pixels: bytes = b""  # SHA-256 of the decoded pixels, where they were asked for and are all that there is to see
    small: np.ndarray | None = None  # the picture made small for a network, where that was asked for


def look(data: bytes, max_pixels: int = MAX_PIXELS) -> Look:
    """Look at the bytes of a picture or of a .npy file, a large JPEG at a fraction of its size."""
    digest, sides = sha256(data).digest(), [(0, 0)]
    try:
        if is_array(data):
            pixels = array_of(data)
            return _seen(digest, pixels, _small(*pixels.shape[:2]), pixels.shape[:2])
        pixels = decode(data, max_pixels=max_pixels, needed=lambda *_: (ENOUGH, ENOUGH), check=lambda i: sides.append(i.size))
        traits = _traits(data)
    except LcnetError as error:
        return Look(digest, error=str(error).removeprefix("image bytes: ").removeprefix("array: "))
    height, width = sides[-1][::-1]
    upright = (height, width) if (height > width) == (pixels.shape[0] > pixels.shape[1]) else (width, height)
    return _seen(digest, pixels, traits, upright)


def look_whole(file: BinaryIO, max_pixels: int = MAX_PIXELS, short_side: int = 0) -> Look:
    """Look at an open picture, of which every pixel is decoded. short_side: return it, so small, for a network."""
    digest = file_digest(file, "sha256").digest()  # type: ignore[arg-type]  # what typeshed wants more is asked of files only
    try:
        pixels = decode(file, max_pixels=max_pixels)
        traits = _traits(file)
        compared = _compared(pixels, traits, file)
    except LcnetError as error:
        return Look(digest, error=str(error))
    seen = _seen(digest, pixels, traits, pixels.shape[:2])
    return seen._replace(pixels=compared, small=_shortened(pixels, short_side) if short_side else None)


def pixel_hash(pixels: np.ndarray, alpha: bytes = b"") -> bytes:
    """The SHA-256 of decoded pixels, uint8 [H,W,C], and of their shape; and of how transparent they were."""
    digest = sha256(b"%d %d %d " % pixels.shape)
    digest.update(np.ascontiguousarray(pixels).data)
    digest.update(alpha)
    return digest.digest()


def _compared(pixels: np.ndarray, traits: int, file: BinaryIO) -> bytes:
    """The hash of all that a picture shows; empty where decoding to RGB of 8 bits has hidden more than transparency."""
    if traits & (DEEP | FRAMES):
        return b""
    if not traits & TRANSPARENT:
        return pixel_hash(pixels)
    with quiet_and_strict(), opened(file) as image:
        return pixel_hash(pixels, image.convert("RGBA").getchannel("A").tobytes())


def codes_of(pixels: np.ndarray) -> tuple[bytes, bytes, bool]:
    """The difference hash of a picture, uint8 [H,W,C], that of its mirror image, and whether its shades are too few."""
    means = np.rint(gray(resize(reduced(pixels), (9, 9), "bilinear"))).astype(np.uint8)[:, :, None]
    code, plain = difference_hash(means)
    return code, difference_hash(means[:, ::-1])[0], plain


def _seen(digest: bytes, pixels: np.ndarray, traits: int, shape: tuple[int, ...]) -> Look:
    small = reduced(pixels)
    code, mirrored, plain = codes_of(small)
    return Look(digest, traits | PLAIN * plain, code, "", mirrored, thumb(small), (shape[0], shape[1]))


def _shortened(pixels: np.ndarray, short_side: int) -> np.ndarray:
    scale = short_side / min(pixels.shape[:2])
    if scale >= 1:
        return pixels
    return resize(pixels, (round(pixels.shape[0] * scale), round(pixels.shape[1] * scale)), "bilinear")


def difference_hash(gray: np.ndarray) -> tuple[bytes, bool]:
    """Hash how the brightness of uint8 [H,W,1] grows: 64 bits to the right, 64 downwards; and whether it hardly does.

    The dHash of N. Krawetz (Kind of Like That, 2013) in both directions. Pictures scaled or compressed again differ in
    few bits, others in half of them. The means are Pillow's, over a grid of 9 x 9.
    """
    means = resize(gray, (9, 9), "bilinear")[:, :, 0].astype(np.int16)
    rows, columns = np.diff(means, axis=1)[:8] > 0, np.diff(means, axis=0)[:, :8] > 0
    return np.packbits([rows, columns]).tobytes(), bool(np.ptp(means) < _SHADES)


def _traits(data: bytes | BinaryIO) -> int:
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
