"""What a picture's header may ask for: bounds on memory and time, held before anything is decoded.

Memory and time follow the number of pixels where a file is sound. Here is what makes them otherwise: tiles larger than the
picture, coding blocks of a few pixels, thousands of scans, and run lengths that one byte multiplies. Texts, profiles and
directories are bounded by Pillow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from ..errors import ImageError, TooLargeError
from .scans import has_one_scan, scans

if TYPE_CHECKING:
    from PIL import Image

MAX_SIDE = 1 << 24  # of a picture, before and after scaling: Pillow counts pixels in float32, exact up to here
MAX_TILE = 1 << 24  # pixels of a TIFF tile, unless the picture is larger
MAX_BLOCKS = 1 << 20  # coding blocks of a JPEG 2000 picture: some hundred bytes each
MAX_TILES = 1 << 14  # of a JPEG 2000 picture: some kilobytes each
MAX_SCANS = 100  # of a JPEG file: each goes over all pixels; encoders write about 10
MAX_RUNS = 1 << 24  # pixels of a BMP file in run lengths, which Pillow expands one by one
MAX_RUN_WIDTH = 1 << 16  # of the same: one code skips 255 rows
PILLOW_PIXELS = 1024 * 1024 * 1024 // 4 // 3  # PIL.Image.MAX_IMAGE_PIXELS where nobody has set it

_NEW_SUBFILE, _TILE_WIDTH, _TILE_HEIGHT, _SUB_IFDS, _DNG = 254, 322, 323, 330, 50706  # TIFF 6.0 and DNG 1.7


def check_file(kind: str, file: BinaryIO) -> None:
    """Refuse what Pillow's reader would pay for when it opens or decodes the file; `file` is left anywhere."""
    if kind != "JPEG2000":
        return
    from .codestream import cut

    file.seek(0)
    parts = cut(file.read())
    if parts.tiles > MAX_TILES or parts.blocks > MAX_BLOCKS:
        raise ImageError(
            f"it is cut into {parts.tiles} tiles and {parts.blocks} coding blocks, read up to {MAX_TILES} and "
            f"{MAX_BLOCKS}: save it again with larger ones"
        )


def check_size(image: Image.Image, max_pixels: int) -> None:
    """Refuse too many pixels or none, by the header."""
    from PIL import Image

    width, height = image.size
    if width * height > max_pixels:
        raise TooLargeError(
            f"it has {width} x {height} pixels, more than max_pixels = {max_pixels}: make it smaller, "
            "or allow more if it can be trusted"
        )
    own = Image.MAX_IMAGE_PIXELS
    if own and own != PILLOW_PIXELS and width * height > 2 * own:  # somebody has set it
        raise TooLargeError(
            f"it has {width} x {height} pixels: Pillow's own limit, PIL.Image.MAX_IMAGE_PIXELS, holds too, doubled as there"
        )
    if max(width, height) > MAX_SIDE:
        raise TooLargeError(f"it has {width} x {height} pixels, expected sides of at most {MAX_SIDE}: crop it")
    if not width * height:
        raise ImageError(f"it has no pixels: its size is {width} x {height}")


def check_layout(image: Image.Image, file: BinaryIO) -> None:
    """Refuse what takes far more memory or time than its pixels; `file` is left where it is."""
    if image.format == "TIFF":
        _check_pages(image)
    elif image.format == "BMP":
        _check_runs(image)
    elif image.format in ("JPEG", "MPO"):
        _check_scans(image, file)


def _check_pages(image: Image.Image) -> None:
    tags = getattr(image, "tag_v2", {})
    if _DNG in tags or (_SUB_IFDS in tags and _number(tags.get(_NEW_SUBFILE)) & 1):
        raise ImageError("it is a camera's raw file, of which Pillow would read the thumbnail: develop it to JPEG or TIFF")
    tile = _number(tags.get(_TILE_WIDTH)) * _number(tags.get(_TILE_HEIGHT))
    if tile > max(MAX_TILE, 4 * image.width * image.height):
        raise ImageError(f"it has {image.width} x {image.height} pixels in tiles of {tile}: save it again without tiles")


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _check_runs(image: Image.Image) -> None:
    coded = any("rle" in str(tile[0]) for tile in getattr(image, "tile", ()))
    if coded and (image.width > MAX_RUN_WIDTH or image.width * image.height > MAX_RUNS):
        raise ImageError(
            f"it has {image.width} x {image.height} pixels in run lengths, read up to {MAX_RUNS} in all and "
            f"{MAX_RUN_WIDTH} a row: save it as PNG"
        )


def _check_scans(image: Image.Image, file: BinaryIO) -> None:
    at, start = file.tell(), getattr(image, "offset", 0)  # in an MPO file there is a picture after another
    first = image.format == "JPEG" and not image.info.get("progressive")
    one = first and has_one_scan(file, getattr(image, "layers", 0))
    if not one and scans(file, start, MAX_SCANS) > MAX_SCANS:
        raise ImageError(f"it has more than {MAX_SCANS} scans, each of which goes over all pixels: save it again")
    file.seek(at)
