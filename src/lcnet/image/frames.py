"""The frames of one file (GIF, APNG, WebP, AVIF, MPO), its pages (TIFF) or its pictures (HEIF), in their order.

Decoded one at a time and forwards, for most are drawn over the one before. Their number and their pixels have bounds.
"""

from __future__ import annotations

from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from ..config import Preprocessing
from ..errors import ImageError, InputError
from .limits import check_layout, check_size
from .pixels import explained, pixels_of, quiet_and_strict
from .reading import opened

if TYPE_CHECKING:
    from PIL import Image

FIRST, ALL = "first", "all"
MAX_FRAMES = 10_000  # of a file
MAX_TIMES = 16  # as many pixels as one picture may have, in all the frames that have to be decoded

_DRAWN_OVER = ("GIF", "PNG", "WEBP", "AVIF")  # a frame needs all before it


def check_frames(frames: Any) -> None:
    """Raise `InputError` unless this is "first", "all" or a number."""
    number = isinstance(frames, int) and not isinstance(frames, bool) and frames >= 1
    if not number and frames not in (FIRST, ALL):
        raise InputError(f"frames is {frames!r}, expected 'first', 'all', or a whole number of at least 1")


def has_several(image: Image.Image) -> bool:
    """Whether there are more frames than one, as far as a damaged file lets that be seen. May move to another frame."""
    with suppress(Exception), quiet_and_strict(image.width * image.height):
        return bool(getattr(image, "is_animated", False))
    return False


def chosen(count: int, frames: str | int) -> list[int]:
    """The numbers, from 0, of the frames that are taken: of N evenly spaced ones the first and the last are two."""
    if frames == ALL or int(frames) >= count:
        return list(range(count))
    gaps = int(frames) - 1
    return [(2 * i * (count - 1) + gaps) // (2 * gaps) for i in range(gaps + 1)] if gaps else [0]


class Film:
    """A file with several frames, open and read forwards."""

    def __init__(self, file: BinaryIO, preprocessing: Preprocessing, max_pixels: int) -> None:
        """Read the headers of all frames; `count` is 1 for a file of one picture. Raises whatever Pillow does."""
        self.file, self.preprocessing, self.max_pixels, self.pixels = file, preprocessing, max_pixels, 0
        self.stack, self.image, self.last = ExitStack(), None, -1
        with quiet_and_strict(max_pixels), opened(file) as image:
            check_size(image, max_pixels)
            self.count = _count(image)
            self.drawn_over = image.format in _DRAWN_OVER

    def frame(self, index: int) -> np.ndarray:
        """Decode one frame, which must come after those before: uint8 [H,W,C]. Raises `ImageError`."""
        try:
            with quiet_and_strict(self.max_pixels):
                return self._frame(index)
        except Exception as error:
            raise ImageError(explained(error)) from error

    def _frame(self, index: int) -> np.ndarray:
        image: Any = self.image or self.stack.enter_context(opened(self.file))
        self._spend((index - self.last if self.drawn_over else 1) * image.width * image.height)
        self.image, self.last = image, index
        if index != image.tell():
            image.seek(index)
        check_size(image, self.max_pixels)
        check_layout(image, self.file)
        return pixels_of(image, self.preprocessing)

    def _spend(self, pixels: int) -> None:
        self.pixels += pixels
        if self.pixels > MAX_TIMES * self.max_pixels:
            raise ImageError(
                f"its frames up to here have more than {MAX_TIMES} times max_pixels = {self.max_pixels} pixels: "
                "take fewer, or allow more if it can be trusted"
            )

    def close(self) -> None:
        """Close the file."""
        self.stack.close()
        self.file.close()


def _count(image: Any) -> int:
    """How many frames there are, of more than `MAX_FRAMES` one more; a damaged one ends them and counts, to be told."""
    if not has_several(image):
        return 1
    if image.format not in ("GIF", "TIFF"):  # whose headers say it
        return min(int(image.n_frames), MAX_FRAMES + 1)
    image.seek(0)
    count, further = 1, (False,) if image.format == "GIF" else ()  # False: without drawing it
    try:
        while count <= MAX_FRAMES:  # Pillow's own count has no bound
            image._seek(count, *further)
            count += 1
    except EOFError:
        return count
    except Exception:  # whatever damage makes of Pillow
        return count + 1
    return count
