"""The eight ways in which a picture can lie, numbered as EXIF's orientation tag does (EXIF 2.32, tag 0x0112): 1 is upright.

The number of a way is also that of the operation which turns it upright: every operation is mirroring along the main
diagonal or not, then left to right or not, then top to bottom or not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..image.pixels import TURNS

if TYPE_CHECKING:
    from PIL import Image

UPRIGHT = 1
BACK = {0: 1, 90: 8, 180: 3, 270: 6}  # degrees clockwise -> what turns that back
LYING = (5, 6, 7, 8)  # operations after which width and height are the other way round

_PARTS = {
    1: (False, False, False),
    2: (False, True, False),
    3: (False, True, True),
    4: (False, False, True),
    5: (True, False, False),
    6: (True, True, False),
    7: (True, True, True),
    8: (True, False, True),
}
_NUMBERS = {parts: number for number, parts in _PARTS.items()}


def both(first: int, then: int) -> int:
    """The one operation that does two, one after the other."""
    diagonal, across, down = _PARTS[first]
    again, *flips = _PARTS[then]
    if again:
        across, down = down, across
    return _NUMBERS[diagonal != again, across != flips[0], down != flips[1]]


def applied(pixels: np.ndarray, operation: int) -> np.ndarray:
    """An array [H,W] or [H,W,C] turned, in memory of its own order."""
    diagonal, across, down = _PARTS[operation]
    turned = pixels.swapaxes(0, 1) if diagonal else pixels
    return np.ascontiguousarray(turned[:: -1 if down else 1, :: -1 if across else 1])


def transposed(image: Image.Image, operation: int) -> Image.Image:
    """A picture turned; a copy where there is nothing to turn."""
    from PIL import Image

    return image.transpose(Image.Transpose[TURNS[operation]]) if operation != UPRIGHT else image.copy()
