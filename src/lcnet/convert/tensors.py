"""torch tensors and numpy arrays as pickles describe them, and the table of the only calls that a pickle may ask for.

A tensor stays a description until it is needed; then its type, shape, strides and offset are checked against the bytes
that are there, and it is copied out as float32 or int64. Objects, texts, complex and quantised values are refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ..errors import ModelFileError
from ..text import quoted
from .unpickle import Call, Global, Namespace, Placeholder, Record

BFLOAT16 = "bf16"  # numpy has no such type: read as the upper half of a float32
STORAGES = {
    "torch.FloatStorage": "f4",
    "torch.DoubleStorage": "f8",
    "torch.HalfStorage": "f2",
    "torch.BFloat16Storage": BFLOAT16,
    "torch.LongStorage": "i8",
    "torch.IntStorage": "i4",
    "torch.ShortStorage": "i2",
    "torch.CharStorage": "i1",
    "torch.ByteStorage": "u1",
    "torch.BoolStorage": "u1",
}
Order = Literal["<", ">"]

_NUMPY_CODES = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")
_MAX_DIMENSIONS = 8  # numpy's own limit is higher; a convolution has 4

# What the arguments of a training run hold besides plain values. They become placeholders.
_INERT = (
    "pathlib.PosixPath",
    "pathlib.PurePosixPath",
    "pathlib.WindowsPath",
    "pathlib.PureWindowsPath",
    "pathlib._local.PosixPath",
    "pathlib._local.PurePosixPath",
    "pathlib._local.WindowsPath",
    "collections.Counter",
    "collections.defaultdict",
    "torch.device",
    "builtins.complex",
    "__builtin__.complex",
)


@dataclass(frozen=True)
class Storage:
    """A run of `count` values of one type, found by `key`."""

    key: str
    kind: str  # key of STORAGES; any other is refused when its values are needed
    count: int

    @property
    def dtype(self) -> str:
        """numpy's code, or `BFLOAT16`."""
        if self.kind not in STORAGES:
            raise ModelFileError(f"has values of type {quoted(self.kind)}, expected floats or integers")
        return STORAGES[self.kind]

    @property
    def nbytes(self) -> int:
        """Size of the run in bytes."""
        return self.count * (2 if self.dtype == BFLOAT16 else np.dtype(self.dtype).itemsize)

    @classmethod
    def from_id(cls, pid: Any) -> Storage:
        """Read torch's persistent id: ('storage', type, key, device, count), and None after it in the older format."""
        parts = pid if isinstance(pid, tuple) else ()
        if len(parts) == 5 or (len(parts) == 6 and parts[5] is None):
            tag, kind, key, _, count = parts[:5]
            if tag == "storage" and isinstance(kind, Global) and isinstance(key, str) and _whole(count):
                return cls(key, kind.path, count)
        raise ModelFileError("the pickle has a persistent id that is no torch storage: refused")


class Storages:
    """The values of the storages, whose bytes `fetch` gets once each; `order` is their byte order, `<` or `>`."""

    def __init__(self, fetch: Callable[[Storage], bytes], order: Order = "<") -> None:
        self._fetch, self._order = fetch, order
        self._seen: dict[Storage, np.ndarray] = {}

    def values(self, storage: Storage) -> np.ndarray:
        """All values of the storage in one dimension."""
        if storage not in self._seen:
            raw = self._fetch(storage)
            if len(raw) != storage.nbytes:
                key = quoted(storage.key)
                raise ModelFileError(f"needs {storage.nbytes} bytes in storage {key}, which has {len(raw)}")
            self._seen[storage] = _decode(raw, storage.dtype, self._order)
        return self._seen[storage]


@dataclass(frozen=True)
class Tensor:
    """torch's view of a storage; offset and strides count values, not bytes."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    def __post_init__(self) -> None:
        good = isinstance(self.storage, Storage) and _whole(self.offset) and _sizes(self.shape) and _sizes(self.stride)
        if not good or len(self.shape) != len(self.stride):
            raise TypeError("a storage, an offset, sizes and as many strides are needed")

    def to_array(self, storages: Storages) -> np.ndarray:
        """Copy the view. One of more values than its storage has (an expanded one) is refused: it could be any size."""
        count = self.storage.count
        last = self.offset + sum((n - 1) * s for n, s in zip(self.shape, self.stride, strict=True))
        fits = self.offset <= count if 0 in self.shape else math.prod(self.shape) <= count and last < count
        if not fits:
            view = f"shape {list(self.shape)}, strides {list(self.stride)} and offset {self.offset}"
            raise ModelFileError(f"has {view}, which do not fit into {count} stored values")
        base = storages.values(self.storage)[self.offset :]
        steps = [s * base.itemsize for s in self.stride]
        return _widened(np.lib.stride_tricks.as_strided(base, self.shape, steps, writeable=False))


class Type(Record):
    """A numpy dtype as pickled: a code such as `f4`, then its byte order."""

    def __init__(self, code: Any, *_: Any) -> None:
        if not isinstance(code, str):
            raise TypeError("a type code is needed")
        self.code = code
        self.order: Order = "<"

    def build(self, state: Any) -> None:
        """State: (version, byte order, ...); `|` stands for types that have none."""
        self.order = ">" if state[1] == ">" else "<"


class Array(Record):
    """A numpy array as pickled: made empty, then given its shape, type, order and bytes."""

    def __init__(self, *_: Any) -> None:
        self.shape, self.dtype, self.fortran, self.raw = (0,), Type("f4"), False, b""

    def build(self, state: Any) -> None:
        """State: (version, shape, dtype, is Fortran order, bytes)."""
        _, self.shape, self.dtype, self.fortran, self.raw = state
        if not (_sizes(self.shape) and isinstance(self.dtype, Type)):
            raise TypeError("a shape and a dtype are needed")

    def to_array(self, _: Storages) -> np.ndarray:
        """Copy the array. Only numbers: objects, texts and records are refused."""
        code, raw = self.dtype.code, self.raw.encode() if isinstance(self.raw, Latin1) else self.raw
        if code not in _NUMPY_CODES or not isinstance(raw, (bytes, bytearray)):
            raise ModelFileError(f"is an array of numpy type {quoted(code)}, expected numbers: objects are refused")
        size = math.prod(self.shape) * np.dtype(code).itemsize
        if size != len(raw):
            raise ModelFileError(f"has shape {list(self.shape)}, which takes {size} bytes, but there are {len(raw)}")
        return _widened(_decode(raw, code, self.dtype.order).reshape(self.shape, order="F" if self.fortran else "C"))


@dataclass(frozen=True)
class Latin1:
    """Bytes that protocols before 3 store as text. Encoded when needed: a pickle can ask for the same ones often."""

    text: Any
    encoding: Any

    def encode(self) -> bytes | None:
        """Return the bytes, or None if this is no such text."""
        try:
            return self.text.encode("latin1") if isinstance(self.text, str) and self.encoding == "latin1" else None
        except UnicodeEncodeError:
            return None


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 48


def _sizes(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) <= _MAX_DIMENSIONS and all(map(_whole, value))


def _decode(raw: bytes | bytearray, dtype: str, order: Order) -> np.ndarray:
    if dtype == BFLOAT16:
        return bfloat16(np.frombuffer(raw, order + "u2"))
    return np.frombuffer(raw, np.dtype(dtype).newbyteorder(order))


def bfloat16(bits: np.ndarray) -> np.ndarray:
    """The numbers that 16 bits each stand for: the upper half of a float32."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def _widened(array: np.ndarray) -> np.ndarray:
    """Copy: floats as float32, integers as int64, row-major."""
    with np.errstate(over="ignore"):  # what does not fit becomes Inf, which the model file refuses by the tensor's name
        return array.astype(np.float32 if array.dtype.kind == "f" else np.int64, order="C")


def _tensor(storage: Any, offset: Any, shape: Any, stride: Any, _grad: Any, _hooks: Any, flags: Any = None) -> Tensor:
    if flags:
        raise TypeError("negated and conjugated views are not known")
    return Tensor(storage, offset, shape, stride)


def _from_buffer(raw: Any, dtype: Any, shape: Any, order: Any) -> Array:
    array = Array()
    array.build((1, shape, dtype, order == "F", raw))
    return array


def _unchanged(value: Any = (), *_: Any) -> Any:
    return value


def _inert(path: str) -> Call:
    return lambda *_: Placeholder(path)


def _calls() -> dict[str, Call]:
    # None copies its arguments: a pickle can make the same call on the same large value as often as it likes.
    table: dict[str, Call] = {
        "collections.OrderedDict": lambda: {},
        "torch._utils._rebuild_tensor_v2": _tensor,
        "torch._utils._rebuild_parameter": _unchanged,
        "torch._utils._rebuild_parameter_with_state": _unchanged,
        "torch.Size": _unchanged,
        "types.SimpleNamespace": Namespace,
        "numpy.dtype": Type,
        "_codecs.encode": Latin1,
    }
    for numpy in ("numpy.core", "numpy._core"):  # numpy 2 renamed it
        table[f"{numpy}.multiarray._reconstruct"] = Array
        table[f"{numpy}.multiarray.scalar"] = _inert("numpy.generic")
        table[f"{numpy}.numeric._frombuffer"] = _from_buffer
    for builtins in ("builtins", "__builtin__"):  # protocols before 3 use Python 2's name
        table |= {f"{builtins}.bytes": lambda: b"", f"{builtins}.set": _unchanged, f"{builtins}.frozenset": _unchanged}
    return table | {path: _inert(path) for path in _INERT}


CALLS = _calls()
