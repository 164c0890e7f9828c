"""`inference.pdiparams`: Paddle's tensors one behind the other, without names, which the graph must bring.

The order is that of the names, sorted bytewise ("bn_10" before "bn_2"). Many tensors have the same shape, so that an order
by anything else would load without an error and compute nonsense: every tensor's shape and type is held against the graph's.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ..errors import ModelFileError
from ..text import quoted
from .tensors import bfloat16
from .wire import INT, Field, read

MAX_TENSORS = 1 << 14  # the largest network of the family has 146
MAX_DIMENSIONS = 8
BFLOAT16 = 22
# VarType.Type -> how the values are stored.
DTYPES = {0: "?", 1: "<i2", 2: "<i4", 3: "<i8", 4: "<f2", 5: "<f4", 6: "<f8", 20: "<u1", 21: "<i1", BFLOAT16: "<u2"}
TENSOR = {1: Field("data_type", INT), 2: Field("dims", INT, many=True)}
_START = struct.Struct("<IQ")  # version, levels
_DESCRIPTION = struct.Struct("<Ii")  # version of the tensor, bytes of its description


class Declared(NamedTuple):
    """What a graph says of one parameter."""

    shape: tuple[int, ...]
    dtype: int | None  # of `DTYPES`; None: it does not say


def read_pdiparams(data: bytes, declared: Mapping[str, Declared]) -> dict[str, np.ndarray]:
    """Read the tensors that a graph declares, as views of `data`. Raises `ModelFileError`."""
    if len(declared) > MAX_TENSORS:
        raise ModelFileError(f"the graph has {len(declared)} parameters: no LCNet has more than {MAX_TENSORS}")
    out: dict[str, np.ndarray] = {}
    at = 0
    for name in sorted(declared):  # by code points, which is the order of UTF-8's bytes
        if at == len(data):
            raise ModelFileError(f"it has {len(out)} tensors, and the graph {len(declared)} parameters: {_OTHER}")
        kind, value, at = _tensor(data, at)
        _check(name, declared[name], kind, value)
        out[name] = value
    if at != len(data):
        raise ModelFileError(f"it has {len(data) - at} bytes behind the graph's {len(declared)} parameters: {_OTHER}")
    return out


_OTHER = "they are those of another graph, or the file is damaged"


def _check(name: str, wanted: Declared, kind: int, value: np.ndarray) -> None:
    if wanted.shape != value.shape or wanted.dtype not in (None, kind):
        raise ModelFileError(
            f"{quoted(name)} is {list(wanted.shape)} in the graph and {list(value.shape)} here, where it must be by the order"
            f" of the names: {_OTHER}"
        )


def _tensor(data: bytes, at: int) -> tuple[int, np.ndarray, int]:
    """One tensor: its type, its values, and where it ends."""
    version, levels, at = *_unpack(_START, data, at), at + _START.size
    tensor_version, size, at = *_unpack(_DESCRIPTION, data, at), at + _DESCRIPTION.size
    if (version, levels, tensor_version) != (0, 0, 0) or not 0 <= size <= len(data) - at:
        raise ModelFileError("these are no Paddle parameters (.pdiparams), or they are damaged or cut short")
    said = read(memoryview(data)[at : at + size], TENSOR)
    kind, shape = said["data_type"], tuple(said["dims"])
    value = _values(data, at + size, kind, shape)
    return kind, bfloat16(value) if kind == BFLOAT16 else value, at + size + value.nbytes


def _unpack(form: struct.Struct, data: bytes, at: int) -> tuple[Any, ...]:
    if form.size > len(data) - at:
        raise ModelFileError("the parameters are cut short: get the file again")
    return form.unpack_from(data, at)


def _values(data: bytes, at: int, kind: Any, shape: tuple[int, ...]) -> np.ndarray:
    if kind not in DTYPES or len(shape) > MAX_DIMENSIONS or any(size < 0 for size in shape):
        raise ModelFileError(f"a tensor has the type {quoted(kind)} and the shape {list(shape)[:8]}: none that Paddle writes")
    dtype, count = np.dtype(DTYPES[kind]), 1
    for size in shape:
        count *= size
    if count * dtype.itemsize > len(data) - at:
        raise ModelFileError(f"a tensor of the shape {list(shape)} is cut short: get the file again")
    return np.frombuffer(data, dtype, count, at).reshape(shape)
