"""The .npy files that stand for pictures of any number of channels: uint8 [H,W,C], read without trusting them."""

from __future__ import annotations

import io
import math

import numpy as np
from numpy.lib import format as npy

from ..errors import ImageError

MAGIC = b"\x93NUMPY"


def is_array(data: bytes) -> bool:
    """Whether these are the bytes of a .npy file."""
    return data[: len(MAGIC)] == MAGIC


def array_of(data: bytes, name: str = "array") -> np.ndarray:
    """Return the read-only uint8 [H,W,C] that the bytes of a .npy file hold; [H,W] becomes [H,W,1].

    No memory is taken for what a header merely claims. Raises `ImageError`, naming `name`.
    """
    file = io.BytesIO(data)
    try:
        version = npy.read_magic(file)
        header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran, dtype = header(file)
    except Exception as error:  # whatever a hostile header makes of numpy's parser
        raise ImageError(f"{name}: it is no valid .npy file ({error})") from None
    if dtype != np.uint8 or len(shape) not in (2, 3) or not math.prod(shape):
        raise ImageError(f"{name}: it is an array {dtype} {list(shape)}, expected uint8 [H,W,C]")
    start, size = file.tell(), math.prod(shape)
    if len(data) - start != size:
        raise ImageError(f"{name}: it is damaged: its {len(data) - start} bytes are no array {list(shape)}")
    pixels = np.frombuffer(data, np.uint8, size, start).reshape(shape, order="F" if fortran else "C")
    return pixels if pixels.ndim == 3 else pixels[:, :, None]
