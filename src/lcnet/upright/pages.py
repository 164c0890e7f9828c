"""The pages of files, as viewers show them and no larger than it takes to tell how they stand.

A JPEG is decoded at a fraction of its size, in its DCT; of other pictures blocks of pixels are averaged; of PDF files pages are
rendered small. What is found out here is also whether a file can be turned at all: animations and films cannot.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import ImageError, LcnetError
from ..image.frames import MAX_FRAMES, has_several
from ..image.limits import check_layout, check_size
from ..image.pixels import DEFAULT, decode, explained, pixels_of, quiet_and_strict
from ..image.reading import opened
from ..sources.formats import MAX_PIXELS
from . import pdf
from .refused import Refused

AT_ONCE = 8  # pages of a PDF file that are rendered while it is open


class Page(NamedTuple):
    """One page of a file, from 1, and its pixels uint8 [H,W,3] RGB, or why there are none."""

    number: int
    pixels: np.ndarray | None
    error: LcnetError | None = None


def read(path: Path, short_side: int, max_pixels: int = MAX_PIXELS) -> Iterator[Page]:
    """Yield the pages of a file. Raises `ImageError` for one of which there are none, `Refused` for what is not turned.

    short_side: how many pixels the shorter side of a page has at least, if it has them.
    """
    try:
        if pdf.is_pdf(path):
            yield from _of_pdf(path, short_side)
        else:
            yield from _of_picture(path, short_side, max_pixels)
    except LcnetError:
        raise
    except Exception as error:
        raise ImageError(explained(error)) from error


def _of_pdf(path: Path, short_side: int) -> Iterator[Page]:
    for first in range(0, pdf.count(path), AT_ONCE):
        for number, page in enumerate(pdf.render(path, first, AT_ONCE, short_side), first + 1):
            yield Page(number, None, page) if isinstance(page, ImageError) else Page(number, page)


def _of_picture(path: Path, short_side: int, max_pixels: int) -> Iterator[Page]:
    with quiet_and_strict(max_pixels), opened(path) as image:
        check_size(image, max_pixels)
        kind, several = str(image.format), has_several(image)
    if several and kind != "TIFF":
        raise Refused(f"it holds several pictures ({kind}), as films do: it is left as it is")
    if several:
        yield from _of_tiff(path, short_side, max_pixels)
        return
    yield Page(1, _decoded(path, kind, short_side, max_pixels))


def _decoded(path: Path, kind: str, short_side: int, max_pixels: int) -> np.ndarray:
    def needed(height: int, width: int) -> tuple[int, int]:
        part = min(1.0, short_side / min(height, width))
        return math.ceil(height * part), math.ceil(width * part)

    if kind == "JPEG":
        return decode(path, max_pixels=max_pixels, needed=needed)
    with quiet_and_strict(max_pixels), opened(path) as image:
        return pixels_of(image, DEFAULT, short_side=short_side)


def _of_tiff(path: Path, short_side: int, max_pixels: int) -> Iterator[Page]:
    """Pages one after another: one that is damaged does not keep the next from being read."""
    with quiet_and_strict(max_pixels), opened(path) as image:
        number = 0
        while number < MAX_FRAMES:
            try:
                image.seek(number)
            except EOFError:
                return
            number += 1
            yield _page(path, image, number, short_side, max_pixels)
    raise ImageError(f"it has more than {MAX_FRAMES:,} pages: take it apart first")


def _page(path: Path, image: Any, number: int, short_side: int, max_pixels: int) -> Page:
    try:
        with quiet_and_strict(max_pixels):
            check_size(image, max_pixels)
            check_layout(image, image.fp)
            return Page(number, pixels_of(image, DEFAULT, short_side=short_side))
    except Exception as error:  # whatever damage makes of Pillow
        return Page(number, None, ImageError(explained(error)))
