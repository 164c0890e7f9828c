"""Results on the way to a file that can only be written whole: .npz and .parquet.

A journal is a file of records, one a picture, each written at once: the lengths of its name and its error, both, and if
there is no error the arrays of the result, in the order of `Rows.shapes`. A record that was cut short can only be the
last. Turning a journal into its file takes bounded memory: the arrays go through a few at a time.
"""

from __future__ import annotations

import codecs
import os
import struct
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from ..errors import MissingExtraError
from ..files import replacing
from .rows import Classes, Rows

_LENGTHS = struct.Struct("<II")
LONGEST_ERROR = 4096  # characters that are kept of why a picture could not be read
_GROUP = 256  # pictures that are turned into Parquet at once


class Record(NamedTuple):
    """One picture of a journal."""

    name: str
    error: str
    start: int  # where in the file its arrays are
    end: int


def encode(rows: Rows, name: str, value: Any, error: str | None) -> bytes:
    """The bytes of one record."""
    texts = name.encode(), (error or "").encode()
    arrays = [] if error else [np.asarray(a, d) for a, d in zip(rows.arrays(value), rows.dtypes.values(), strict=True)]
    return b"".join([_LENGTHS.pack(*map(len, texts)), *texts, *(a.tobytes() for a in arrays)])


def records(file: BinaryIO, rows: Rows) -> Iterator[Record]:
    """Yield the whole records of a journal, from its start; `file` may be moved in between. Raises `UnicodeDecodeError`."""
    at, size = 0, os.fstat(file.fileno()).st_size
    while at + _LENGTHS.size <= size:
        file.seek(at)
        lengths = _LENGTHS.unpack(file.read(_LENGTHS.size))
        start = at + _LENGTHS.size + sum(lengths)
        end = start if lengths[1] else start + sum(_sizes(rows))
        if end > size:
            return
        yield Record(file.read(lengths[0]).decode(), file.read(lengths[1]).decode(), start, end)
        at = end


def cut_short(rows: Rows, name: str, rest: bytes, size: int) -> bool:
    """Whether `size` bytes behind the last whole record, of which `rest` are the first, can begin that of `name`."""
    text, start = name.encode(), _LENGTHS.size + len(name.encode())
    begin = len(text).to_bytes(4, "little")
    if len(rest) < _LENGTHS.size:
        return len(rest) < len(begin) or rest.startswith(begin)
    error = _LENGTHS.unpack_from(rest)[1]
    known = rest.startswith(begin) and text.startswith(rest[_LENGTHS.size : start])
    if not error:
        return known and size < start + sum(_sizes(rows))
    return known and error <= 4 * LONGEST_ERROR and size < start + error and _printable(rest[start:])


def _printable(data: bytes) -> bool:
    """Whether these bytes are how an error begins, which is cut anywhere."""
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(data).isprintable()
    except UnicodeDecodeError:
        return False


def _sizes(rows: Rows) -> list[int]:
    return [rows.dtypes[name].itemsize * int(np.prod(shape)) for name, shape in rows.shapes.items()]


def _parts(file: BinaryIO, rows: Rows, column: int, found: Iterable[Record]) -> Iterator[bytes]:
    """The bytes of one array of each picture that has a result."""
    sizes = _sizes(rows)
    for record in found:
        if not record.error:
            file.seek(record.start + sum(sizes[:column]))
            yield file.read(sizes[column])


def write_npz(journal: BinaryIO, rows: Rows, target: BinaryIO) -> None:
    """Write `paths` [N], the arrays [N,...], and `error_paths` and `errors` [E], as `numpy.savez` would."""
    import zipfile

    done = _widest(r.name for r in records(journal, rows) if not r.error)
    bad = _widest(r.name for r in records(journal, rows) if r.error)
    why = _widest(r.error for r in records(journal, rows) if r.error)
    with zipfile.ZipFile(target, "w") as archive:
        _texts(archive, "paths", done, (r.name for r in records(journal, rows) if not r.error))
        for column, (name, shape) in enumerate(rows.shapes.items()):
            parts = _parts(journal, rows, column, records(journal, rows))
            _member(archive, name, rows.dtypes[name], (done[0], *shape), parts)
        for name, texts in rows.extras.items():
            _texts(archive, name, _widest(texts), texts)
        _texts(archive, "error_paths", bad, (r.name for r in records(journal, rows) if r.error))
        _texts(archive, "errors", why, (r.error for r in records(journal, rows) if r.error))


def _widest(texts: Iterable[str]) -> tuple[int, int]:
    """How many texts, and the characters of the longest, at least 1 as numpy has it."""
    number, width = 0, 1
    for text in texts:
        number, width = number + 1, max(width, len(text))
    return number, width


def _texts(archive: Any, name: str, extent: tuple[int, int], texts: Iterable[str]) -> None:
    number, width = extent
    parts = (text.encode("utf-32-le").ljust(4 * width, b"\0") for text in texts)
    _member(archive, name, np.dtype(f"<U{width}"), (number,), parts)


def _member(archive: Any, name: str, dtype: np.dtype, shape: tuple[int, ...], parts: Iterable[bytes]) -> None:
    import zipfile

    info = zipfile.ZipInfo(f"{name}.npy")  # with a date that is always the same, and so equal files for equal results
    with archive.open(info, "w", force_zip64=True) as file:
        header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for part in parts:
            file.write(part)


def pyarrow() -> Any:
    """Import pyarrow. Raises `MissingExtraError`."""
    try:
        import pyarrow.parquet
    except ImportError:
        raise MissingExtraError(
            "Parquet files need pyarrow: pip install 'lcnet[parquet]', or choose .npz, .csv or .jsonl"
        ) from None
    return pyarrow


def write_parquet(journal: BinaryIO, rows: Rows, target: BinaryIO) -> None:
    """Write the columns `file`, `error`, and `top` or one fixed-size list of float32 an array, null with an error.

    The shape of an array is in its field's metadata.
    """
    pa = pyarrow()
    schema = _schema(pa, rows)
    build = _class_columns if isinstance(rows, Classes) else _array_columns
    with pa.parquet.ParquetWriter(target, schema) as writer:
        found = records(journal, rows)
        while group := list(islice(found, _GROUP)):
            columns = {"file": [r.name for r in group], "error": [r.error or None for r in group]}
            columns.update(build(pa, journal, rows, group))
            writer.write_table(pa.table([columns[field.name] for field in schema], schema=schema))


def _schema(pa: Any, rows: Rows) -> Any:
    if isinstance(rows, Classes):
        best = {
            "index": pa.int32(),
            "label": pa.string(),
            "id": pa.string(),
            "probability": pa.float32(),
            "accepted": pa.bool_(),
        }
        middle = [pa.field("top", pa.list_(pa.struct(best)))]
    else:
        middle = [
            pa.field(name, pa.list_(pa.float32(), int(np.prod(shape))), metadata={"shape": str(list(shape))})
            for name, shape in rows.shapes.items()
        ]
    return pa.schema([pa.field("file", pa.string()), *middle, pa.field("error", pa.string())])


def _stacked(journal: BinaryIO, rows: Rows, column: int, group: list[Record]) -> np.ndarray:
    """One array of all pictures of a group, zeros where there is an error: [len(group), size]."""
    name = list(rows.shapes)[column]
    stack = np.zeros((len(group), int(np.prod(rows.shapes[name]))), rows.dtypes[name])
    good = [i for i, record in enumerate(group) if not record.error]
    for i, part in zip(good, _parts(journal, rows, column, group), strict=True):
        stack[i] = np.frombuffer(part, stack.dtype)
    return stack


def _class_columns(pa: Any, journal: BinaryIO, rows: Any, group: list[Record]) -> dict[str, Any]:
    top = rows.columns([_stacked(journal, rows, column, group) for column in range(len(rows.shapes))])["top"]
    return {"top": [None if record.error else best for record, best in zip(group, top, strict=True)]}


def _array_columns(pa: Any, journal: BinaryIO, rows: Rows, group: list[Record]) -> dict[str, Any]:
    bad = pa.array([bool(record.error) for record in group])
    columns = {}
    for column, name in enumerate(rows.shapes):
        stack = _stacked(journal, rows, column, group)
        columns[name] = pa.FixedSizeListArray.from_arrays(pa.array(stack.ravel()), stack.shape[1], mask=bad)
    return columns


Writer = Callable[[BinaryIO, Rows, BinaryIO], None]
WRITERS: dict[str, Writer] = {".npz": write_npz, ".parquet": write_parquet}


def publish(journal: BinaryIO, rows: Rows, path: Path) -> None:
    """Make the file `path` of a journal, whole or not at all. Raises `InputError`."""
    with replacing(path) as target:
        WRITERS[path.suffix.lower()](journal, rows, target)
