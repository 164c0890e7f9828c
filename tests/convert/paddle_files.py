"""Paddle's files, made by hand: parameters one behind the other, and where the samples of real ones lie."""

import struct

import numpy as np
import pytest
from conftest import SHARED_DATA

CODES = {"f4": 5, "f2": 4, "f8": 6, "i4": 2, "i8": 3, "u1": 20, "i1": 21, "b1": 0}


def tensor(array: np.ndarray, code: int | None = None, dims=None) -> bytes:
    """One tensor as Paddle serialises it."""
    code = CODES[array.dtype.str[1:]] if code is None else code
    described = b"\x08" + bytes([code]) + b"".join(b"\x10" + _varint(n) for n in (array.shape if dims is None else dims))
    return struct.pack("<IQIi", 0, 0, 0, len(described)) + described + array.tobytes()


def _varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def pdiparams(arrays: dict[str, np.ndarray], order=sorted) -> bytes:
    """A whole file; Paddle sorts the names by their bytes."""
    return b"".join(tensor(arrays[name]) for name in order(arrays))


def sample(*parts: str):
    """A file or folder of the samples that some machines have beside the checkout."""
    path = SHARED_DATA.joinpath("paddle", *parts)
    if not path.exists():
        pytest.skip(f"the sample {'/'.join(parts)} is not beside the checkout")
    return path
