"""A file with some of its pages turned, by whichever way its format has. No file is written here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..errors import ImageError, LcnetError
from ..image.pixels import explained
from ..sources.formats import START, format_of
from . import jpeg, pdf, png, rasters, tiff
from .refused import Refused
from .turns import BACK

MOST = 1 << 30  # bytes of a file that is turned, in memory


def turned(path: Path, angles: Mapping[int, int], tag_only: bool = False) -> tuple[bytes, dict[int, str]]:
    """The file with pages, numbered from 1, turned back by angles in degrees clockwise, and how each page was.

    How: "dct" and "exact" lose nothing, "reencoded" is encoded again, "tag" and "rotate" change what viewers are told.
    tag_only: in pictures change the orientation tag and no pixels. Raises `Refused` for what is not turned, `ImageError`
    for what is damaged.
    """
    if path.stat().st_size > MOST:
        raise Refused(f"it has more than {MOST >> 30} GiB: take it apart first")
    try:
        if pdf.is_pdf(path):
            data, how = pdf.turn(path, {page - 1: angle for page, angle in angles.items()})
            return data, dict.fromkeys(angles, how)
        return _picture(path.read_bytes(), {page: BACK[angle] for page, angle in angles.items()}, tag_only)
    except ImageError as error:
        raise Refused(str(error)) from None
    except LcnetError:
        raise
    except Exception as error:  # whatever damage makes of Pillow
        raise ImageError(explained(error)) from error


def _picture(data: bytes, operations: Mapping[int, int], tag_only: bool) -> tuple[bytes, dict[int, str]]:
    row = format_of(data[:START])
    kind = row.name if row else ""
    if kind == "TIFF":
        turned_data, hows = tiff.turn(data, {page - 1: operation for page, operation in operations.items()}, tag_only)
        return turned_data, {number + 1: how for number, how in hows.items()}
    one, how = _one(data, kind, operations[1], tag_only)
    return one, {1: how}


def _one(data: bytes, kind: str, operation: int, tag_only: bool) -> tuple[bytes, str]:
    if kind == "JPEG":
        return jpeg.turn(data, operation, tag_only)
    if tag_only:
        raise ImageError(f"--exif-tag changes JPEG and TIFF files, and this is {kind or 'of another kind'}")
    return png.turn(data, operation) if kind == "PNG" else rasters.turn(data, operation)
