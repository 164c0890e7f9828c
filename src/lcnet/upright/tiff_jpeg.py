"""Pages of TIFF files that are compressed by JPEG (TIFF Technical Note 2), turned as JPEG files are.

A page of one strip is turned in the DCT where that is possible; any other is decoded, turned, and encoded in one strip with the
quantization tables that it had. The tables, which the old page may have had in a field of their own, are in the strip then.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import ImageError
from ..image.pixels import quiet_and_strict
from ..image.reading import opened
from . import jpeg
from .ifd import Directories, Entry
from .segments import is_said, joined, parted

JPEG, TABLES, SUBSAMPLING = 7, 347, 530
PHOTOMETRIC, STRIPS, STRIP_BYTES, TILES, TILE_BYTES = 262, 273, 279, 324, 325
GREY, RGB, YCBCR = (0, 1), 2, 6


def turned(
    file: Directories, fields: Mapping[int, Entry], alone: bytes, operation: int
) -> tuple[bytes, tuple[int, int], tuple[int, int], str]:
    """The one strip of a page after an operation, its size, its subsampling, and how it was turned. Raises `ImageError`.

    alone: a file with nothing but this page, for Pillow to decode.
    """
    kind = file.numbers(fields.get(PHOTOMETRIC), (YCBCR,))[0]
    if kind not in (*GREY, RGB, YCBCR):
        raise ImageError("it is compressed by JPEG, and neither grey, RGB nor YCbCr: such a page is left as it is")
    strips = _strips(file, fields)
    done = jpeg.by_dct(strips[0], operation) if len(strips) == 1 else None
    how = "dct" if done else "reencoded"
    if done is None:
        done = _encoded(strips[0], alone, kind, operation)
    with quiet_and_strict(1 << 62), opened(done) as image:
        (_, across, down, _), *_ = image.layer  # type: ignore[attr-defined]
        size = image.size
    segments, scans = parted(done)
    return joined([segment for segment in segments if not is_said(segment)], scans), size, (across, down), how


def _strips(file: Directories, fields: Mapping[int, Entry]) -> list[bytes]:
    """The strips or tiles as JPEG files; of several only the first."""
    places = file.numbers(fields.get(STRIPS) or fields.get(TILES))
    sizes = file.numbers(fields.get(STRIP_BYTES) or fields.get(TILE_BYTES))
    strip = bytes(file.data[places[0] : places[0] + sizes[0]])
    tables = file.raw(fields[TABLES]) if TABLES in fields else b""
    whole = tables.removesuffix(b"\xff\xd9") + strip[2:] if tables else strip
    tiled = STRIPS not in fields
    return [whole] * min(len(places) + tiled, 2)  # a tile is padded


def _encoded(strip: bytes, alone: bytes, kind: int, operation: int) -> bytes:
    with quiet_and_strict(1 << 62), opened(strip) as image:
        options = jpeg.options(image, operation)
    with quiet_and_strict(1 << 62), opened(alone) as image:
        if kind == RGB:
            options.update(keep_rgb=True, subsampling=0)
        return jpeg.encoded(image.convert("L" if kind in GREY else "RGB"), operation, options)
