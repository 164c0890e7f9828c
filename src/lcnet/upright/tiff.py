"""TIFF files turned exactly, page by page: of what is not turned pixels and fields keep every byte.

The pixels of a turned page and a new directory for it come behind everything else, and the chain of directories is led through
them; then what nothing points to any more is left out, where it is certain that nothing does. All fields of the page stay, but
those that say how its pixels are laid out, its orientation and its two resolutions. Pixels of whole bytes are taken as bytes,
whatever they mean, so that nothing is converted; 1 bit stays 1 bit, G4 stays G4.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from ..errors import ImageError
from ..image.pixels import TURNS, quiet_and_strict
from ..image.reading import opened
from . import tiff_jpeg, tiff_pack
from .ifd import Damaged, Directories, Entry, Field
from .metadata import ORIENTATION, X_RESOLUTION, Y_RESOLUTION, set_orientation
from .png import packed, unpacked
from .turns import LYING, UPRIGHT, applied, both

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER, SAMPLES, PLANAR, PREDICTOR = (
    256,
    257,
    258,
    259,
    262,
    266,
    277,
    284,
    317,
)
STRIPS, STRIP_ROWS, STRIP_BYTES = 273, 278, 279
TILE_WIDTH, TILE_HEIGHT, TILES, TILE_BYTES = 322, 323, 324, 325
FAX_OPTIONS = (292, 293)  # of T.4 and T.6
LAYOUT = (
    WIDTH,
    HEIGHT,
    COMPRESSION,
    FILL_ORDER,
    STRIPS,
    STRIP_ROWS,
    STRIP_BYTES,
    PREDICTOR,
    TILE_WIDTH,
    TILE_HEIGHT,
    TILES,
    TILE_BYTES,
    tiff_jpeg.TABLES,
    *FAX_OPTIONS,
)
PACKINGS = {1: "raw", 5: "tiff_lzw", 8: "tiff_adobe_deflate", 32773: "packbits", 32946: "tiff_deflate"}  # Pillow's names
MEANINGS = (320, 338, 339)  # of pixels: colour map, extra samples, sample format
FAXES = {2: "tiff_ccitt", 3: "group3", 4: "group4"}


class Page(NamedTuple):
    """How the pixels of a page are laid out."""

    width: int
    height: int
    bits: int  # of a pixel
    sample_bytes: int
    compression: int
    predictor: int


def turn(data: bytes, operations: Mapping[int, int], tag_only: bool = False) -> tuple[bytes, dict[int, str]]:
    """Turn some pages, numbered from 0, each by its operation; returns the file and how each was. Raises `ImageError`.

    Pages are seen as their orientation fields say. tag_only: change nothing but those.
    """
    try:
        file, how = Directories(data), dict.fromkeys(operations, "tag")
        link = file.first
        for number, at in enumerate(list(file.chain())):
            if number in operations and tag_only:
                link = _tag(file, link, at, operations[number])
            elif number in operations:
                link, how[number] = _page(file, link, at, operations[number])
            else:
                link = file.after(at)
        return bytes(file.data) if tag_only else tiff_pack.packed(file), how
    except Damaged as error:
        raise ImageError(f"its directories cannot be changed: {error}") from None


def _orientation(file: Directories, fields: Mapping[int, Entry]) -> int:
    tag = file.numbers(fields.get(ORIENTATION), (UPRIGHT,))[0]
    return tag if tag in TURNS else UPRIGHT


def _tag(file: Directories, link: int, at: int, back: int) -> int:
    """Change the orientation field, in a new directory if there is none. Returns where this page leads to the next."""
    fields = file.entries(at)
    operation = both(_orientation(file, fields), back)
    if ORIENTATION in fields:
        set_orientation(file, fields[ORIENTATION], operation)
        return file.after(at)
    return _lead(file, link, at, [*file.copied(fields), file.field(ORIENTATION, operation)])


def _lead(file: Directories, link: int, old: int, fields: list[Field]) -> int:
    """Put a new directory into the place of an old one."""
    new = file.add_directory(fields, file.number(file.offset, file.after(old)))
    file.put(file.offset, link, new)
    return file.after(new)


def _page(file: Directories, link: int, at: int, back: int) -> tuple[int, str]:
    fields = file.entries(at)
    operation = both(_orientation(file, fields), back)
    own = {field[0]: field for field in file.copied(fields, LAYOUT)}
    own[ORIENTATION] = file.field(ORIENTATION, UPRIGHT)
    if operation in LYING and {X_RESOLUTION, Y_RESOLUTION} <= own.keys():
        (_, *x), (_, *y) = own[X_RESOLUTION], own[Y_RESOLUTION]
        own[X_RESOLUTION], own[Y_RESOLUTION] = (X_RESOLUTION, *y), (Y_RESOLUTION, *x)  # type: ignore[assignment]
    layout, how = _laid_out(file, fields, operation)
    return _lead(file, link, at, [*{**own, **{field[0]: field for field in layout}}.values()]), how


def _laid_out(file: Directories, fields: Mapping[int, Entry], operation: int) -> tuple[list[Field], str]:
    """Turn the pixels of a page and put them behind the file; returns the fields that say where and how they are."""
    if file.numbers(fields.get(COMPRESSION), (1,))[0] == tiff_jpeg.JPEG:
        alone = _alone(file, file.copied(fields, (ORIENTATION,)))
        strip, size, sampling, how = tiff_jpeg.turned(file, fields, alone, operation)
        said = [file.field(STRIPS, file.add(strip)), file.field(STRIP_BYTES, len(strip)), file.field(STRIP_ROWS, size[1])]
        said += [file.field(COMPRESSION, tiff_jpeg.JPEG), file.field(tiff_jpeg.SUBSAMPLING, *sampling)]
    else:
        page = _layout(file, fields)
        turned, size = (_by_fax if page.compression in FAXES else _by_bytes)(file, fields, page, operation)
        said, how = _placed(file, turned), "exact"
    return [file.field(WIDTH, size[0]), file.field(HEIGHT, size[1]), *said], how


def _layout(file: Directories, fields: Mapping[int, Entry]) -> Page:
    """Raises `ImageError` for what would not come out exactly."""

    def one(tag: int, default: int) -> int:
        return file.numbers(fields.get(tag), (default,))[0]

    samples = one(SAMPLES, 1)
    bits = file.numbers(fields.get(BITS), (1,) * samples)
    page = Page(one(WIDTH, 0), one(HEIGHT, 0), sum(bits), max(bits[0] // 8, 1), one(COMPRESSION, 1), one(PREDICTOR, 1))
    whole = page.bits % 8 == 0 and len(set(bits)) == 1 and bits[0] % 8 == 0
    if not (whole or (samples == 1 and bits[0] in (1, 2, 4))):
        raise ImageError(f"its pixels have {'+'.join(map(str, bits))} bits: such a page is left as it is")
    if page.compression in FAXES and page.bits != 1:
        raise ImageError("it is a fax of more than 1 bit: such a page is left as it is")
    if samples > 1 and one(PLANAR, 1) != 1:
        raise ImageError("its colours are in planes of their own: such a page is left as it is")
    if page.compression not in (*PACKINGS, *FAXES):
        raise ImageError(f"it is compressed by method {page.compression} of TIFF: such a page is left as it is")
    if page.compression not in FAXES and (
        one(FILL_ORDER, 1) != 1 or page.predictor not in (1, 2) or (page.predictor == 2 and not whole)
    ):
        raise ImageError("its bits are in an unusual order: such a page is left as it is")
    return page


def _by_fax(file: Directories, fields: Mapping[int, Entry], page: Page, operation: int) -> tuple[Directories, tuple[int, int]]:
    """A page of 1 bit that Pillow takes apart, and puts together by the same method."""
    with quiet_and_strict(1 << 62), opened(_alone(file, file.copied(fields, (ORIENTATION,)))) as image:
        pixels = applied(np.asarray(image.convert("L")), operation)
    white_is_zero = file.numbers(fields.get(PHOTOMETRIC), (0,))[0] == 0
    return _saved(255 - pixels if white_is_zero else pixels, FAXES[page.compression], one_bit=True), pixels.shape[1::-1]


def _by_bytes(
    file: Directories, fields: Mapping[int, Entry], page: Page, operation: int
) -> tuple[Directories, tuple[int, int]]:
    """A page whose rows are taken as rows of bytes."""
    with quiet_and_strict(1 << 62), opened(_alone(file, _as_bytes(file, fields, page))) as image:
        rows = np.asarray(image)
    if page.predictor == 2:
        columns = file.numbers(fields[TILE_WIDTH])[0] if TILE_WIDTH in fields else page.width
        rows = _undone(file, rows, page, columns)
    if page.bits < 8:
        turned = applied(unpacked(rows, page.bits, page.width), operation)
        out = packed(turned, page.bits)
    else:
        turned = applied(rows.reshape(page.height, page.width, page.bits // 8), operation)
        out = turned.reshape(len(turned), -1)
    return _saved(out, PACKINGS[page.compression]), turned.shape[1::-1]


def _as_bytes(file: Directories, fields: Mapping[int, Entry], page: Page) -> list[Field]:
    """The fields of a page, saying that it is grey and as wide as its rows have bytes."""
    changed = [(WIDTH, -(-page.width * page.bits // 8)), (BITS, 8), (SAMPLES, 1), (PHOTOMETRIC, 1)]
    if TILE_WIDTH in fields:
        tile = file.numbers(fields[TILE_WIDTH])[0]
        if tile * page.bits % 8:
            raise ImageError("its tiles end within a byte: such a page is left as it is")
        changed.append((TILE_WIDTH, tile * page.bits // 8))
    dropped = {PREDICTOR, ORIENTATION, *MEANINGS, *(tag for tag, _ in changed)}
    return file.copied(fields, dropped) + [file.field(tag, value) for tag, value in changed]


def _undone(file: Directories, rows: np.ndarray, page: Page, columns: int) -> np.ndarray:
    """Rows of bytes without the differences of predictor 2 (TIFF 6.0, section 14), which begin anew in every tile."""
    kind = np.dtype(f"{file.order}u{page.sample_bytes}")
    samples = rows.view(kind).reshape(page.height, page.width, -1).astype(kind.newbyteorder("="))
    for first in range(0, page.width, columns):
        part = samples[:, first : first + columns]
        np.cumsum(part, axis=1, dtype=part.dtype, out=part)
    return samples.astype(kind).view(np.uint8).reshape(rows.shape)


def _alone(file: Directories, fields: list[Field]) -> bytes:
    """The file with one directory of these fields only, for Pillow to read."""
    copy = Directories(bytearray(file.data))
    copy.put(copy.offset, copy.first, copy.add_directory(fields, 0))
    return bytes(copy.data)


def _saved(pixels: np.ndarray, method: str, one_bit: bool = False) -> Directories:
    """A file of one page by Pillow, for its strips to be taken."""
    from PIL import Image

    image = Image.fromarray(pixels)
    out = io.BytesIO()
    with quiet_and_strict(1 << 62):
        (image.convert("1", dither=Image.Dither.NONE) if one_bit else image).save(out, "TIFF", compression=method)
    return Directories(out.getvalue())


def _placed(file: Directories, page: Directories) -> list[Field]:
    """Put the strips of a page behind the file; returns the fields that say where and how they are."""
    fields = page.entries(next(page.chain()))
    places, sizes = (page.numbers(fields[tag]) for tag in (STRIPS, STRIP_BYTES))
    new = [file.add(bytes(page.data[at : at + size])) for at, size in zip(places, sizes, strict=True)]
    rows = page.numbers(fields.get(STRIP_ROWS), page.numbers(fields[HEIGHT]))
    out = [file.field(STRIPS, *new), file.field(STRIP_BYTES, *sizes), file.field(STRIP_ROWS, *rows)]
    out.append(file.field(COMPRESSION, page.numbers(fields[COMPRESSION])[0]))
    return out + [file.field(tag, *page.numbers(fields[tag])) for tag in (FILL_ORDER, *FAX_OPTIONS) if tag in fields]
