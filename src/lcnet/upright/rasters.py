"""Other formats that Pillow writes: WebP, and those of which it can be shown that what is written is what was turned."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ImageError
from ..image.pixels import ORIENTATION, TURNS, quiet_and_strict
from ..image.reading import opened
from . import metadata
from .turns import LYING, UPRIGHT, both, transposed

if TYPE_CHECKING:
    from PIL import Image

EXACT = ("BMP", "PPM", "GIF")  # written without loss, if at all
QUALITY = 90  # of a lossy WebP file that is encoded again: which it had is not in the file


def turn(data: bytes, back: int) -> tuple[bytes, str]:
    """Turn a file, seen as its EXIF says, by an operation; returns it and how that was done. Raises `ImageError`."""
    with quiet_and_strict(1 << 62), opened(data) as image:
        kind = str(image.format)
        if kind not in (*EXACT, "WEBP"):
            raise ImageError(f"{kind} files are not written here: convert it to PNG or TIFF first")
        operation = both(_orientation(image), back)
        image.load()
        return _webp(image, data, operation) if kind == "WEBP" else _proven(image, kind, operation)


def _orientation(image: Image.Image) -> int:
    try:
        tag = image.getexif().get(ORIENTATION, UPRIGHT)
    except Exception:  # whatever a damaged block raises
        return UPRIGHT
    return tag if tag in TURNS else UPRIGHT


def _webp(image: Image.Image, data: bytes, operation: int) -> tuple[bytes, str]:
    lossless = data[12:16] == b"VP8L" or (data[12:16] == b"VP8X" and b"VP8L" in data and b"VP8 " not in data)
    info, said = image.info, {}
    if info.get("exif"):
        block = info["exif"].removeprefix(b"Exif\0\0")
        said["exif"] = metadata.exif(block, operation in LYING)
    if info.get("xmp"):
        said["xmp"] = metadata.xmp(info["xmp"])
    if info.get("icc_profile"):
        said["icc_profile"] = info["icc_profile"]
    turned, out = transposed(image, operation), io.BytesIO()
    turned.info = {}
    how: dict[str, Any] = {"lossless": True, "exact": True} if lossless else {"quality": QUALITY}
    turned.save(out, "WEBP", method=4, **how, **said)
    if lossless and not _same(turned, out.getvalue()):
        raise ImageError("it would not be written exactly: it is left as it is")
    return out.getvalue(), "exact" if lossless else "reencoded"


def _proven(image: Image.Image, kind: str, operation: int) -> tuple[bytes, str]:
    turned, out = transposed(image, operation), io.BytesIO()
    if "dpi" in image.info:
        x, y = image.info["dpi"]
        turned.info["dpi"] = (y, x) if operation in LYING else (x, y)
    options = {"dpi": turned.info["dpi"]} if "dpi" in turned.info else {}
    try:
        turned.save(out, kind, **options)
        same = _same(turned, out.getvalue())
    except (OSError, ValueError):  # a mode that is not written
        same = False
    if not same:
        raise ImageError(f"{kind} of its kind is not written exactly: convert it to PNG or TIFF first")
    return out.getvalue(), "exact"


def _same(turned: Image.Image, data: bytes) -> bool:
    """Whether what was written is read as the same pixels, of the same kind, with the same colours."""
    with opened(data) as again:
        again.load()
        palettes = [image.getpalette("RGB") if image.mode == "P" else None for image in (turned, again)]
        clear = [image.info.get("transparency") for image in (turned, again)]
        alike = again.mode == turned.mode and again.size == turned.size and clear[0] == clear[1]
        return alike and _colours(*palettes) and bool(np.array_equal(np.asarray(turned), np.asarray(again)))


def _colours(one: list[int] | None, other: list[int] | None) -> bool:
    """Whether two palettes say the same, as far as both go."""
    if one is None or other is None:
        return one is other
    shared = min(len(one), len(other))
    return one[:shared] == other[:shared]
