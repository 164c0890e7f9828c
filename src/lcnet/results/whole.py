"""Files of results that are written whole, of what FILE had and of what a journal has: memory stays bounded.

FILE comes first, less the rows that do not stay, then the journal in the order of its records.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..errors import MissingExtraError
from ..files import replacing
from ..formats import csv_text
from . import journal
from .journal import Record
from .rows import Classes, Rows
from .stored import Array, Keep, Npz, Parquet, Stored, Text

_GROUP = 256  # pictures that are turned into Parquet at once


class Answers:
    """The records of a journal, from byte `start`; `since` says of a name from which of them on they count."""

    def __init__(self, file: BinaryIO, start: int, since: Callable[[str], int]) -> None:
        self.file, self.start, self.since = file, start, since

    def __iter__(self) -> Iterator[Record]:
        for number, record in enumerate(journal.records(self.file, self.start, payloads=False)):
            if number >= self.since(record.name):
                yield record

    def payload(self, record: Record, start: int = 0, size: int | None = None) -> bytes:
        """The bytes of a record's result, or some of them."""
        self.file.seek(record.start + start)
        return self.file.read(record.end - record.start if size is None else size)


def publish(
    path: Path,
    rows: Rows,
    answers: Answers,
    before: Stored | None = None,
    keep: Keep | None = None,
    about: Mapping[str, str] | None = None,
) -> None:
    """Put FILE in its place, whole or not at all, with the permissions that it had. Raises `InputError`.

    before: what FILE had; keep: which of that stays, None for all. about: what Parquet's metadata says of the whole.
    """
    with replacing(path) as target:
        if path.exists():
            os.fchmod(target.fileno(), stat.S_IMODE(path.stat().st_mode))
        ending = path.suffix.lower()
        if ending == ".npz":
            _write_npz(target, rows, answers, before, keep)
        elif ending == ".parquet":
            _write_parquet(target, rows, answers, before, keep, about)
        elif ending == ".json":
            _write_json(target, answers, before, keep)
        else:
            _write_text(target, rows, ending, answers, before, keep)


def _write_text(target: BinaryIO, rows: Rows, ending: str, answers: Answers, before: Any, keep: Keep | None) -> None:
    target.write(csv_text([rows.header]).encode() if ending == ".csv" else b"")
    if before is not None:
        before.copy(target, keep)
    for record in answers:
        target.write(answers.payload(record))


def _write_json(target: BinaryIO, answers: Answers, before: Any, keep: Keep | None) -> None:
    target.write(b"[")
    count = before.copy(target, keep) if before is not None else 0
    for number, record in enumerate(answers, count):
        target.write((b",\n  " if number else b"\n  ") + answers.payload(record))
    target.write(b"\n]\n")


def _sizes(rows: Rows) -> list[int]:
    return [rows.dtypes[name].itemsize * int(np.prod(shape)) for name, shape in rows.shapes.items()]


def payload(rows: Rows, value: Any) -> bytes:
    """The arrays of a result as a journal has them for .npz and .parquet."""
    return b"".join(np.asarray(a, d).tobytes() for a, d in zip(rows.arrays(value), rows.dtypes.values(), strict=True))


def _parts(answers: Answers, rows: Rows, column: int, found: Iterable[Record]) -> Iterator[bytes]:
    """The bytes of one array of each picture that has a result."""
    sizes = _sizes(rows)
    for record in found:
        if not record.error:
            yield answers.payload(record, sum(sizes[:column]), sizes[column])


def _write_npz(target: BinaryIO, rows: Rows, answers: Answers, before: Any, keep: Keep | None) -> None:
    """Write `paths` [N], the arrays [N,...], `milliseconds` [N], and `error_paths` and `errors` [E], as `numpy.savez` would."""
    import zipfile

    def both(member: str, by: str, new: Iterable[Any]) -> Iterator[Any]:
        return chain(before.kept(member, keep, by) if before is not None else (), new)

    def texts(member: str, by: str, failed: bool, new: Any) -> tuple[tuple[int, int], Iterator[str]]:
        def all_of() -> Iterator[str]:
            return both(member, by, (new(r) for r in answers if bool(r.error) is failed))

        return _widest(all_of()), all_of()

    with zipfile.ZipFile(target, "w") as archive:
        extent, names = texts("paths", "paths", False, lambda r: r.name)
        _texts(archive, "paths", extent, names)
        for column, (name, shape) in enumerate(rows.shapes.items()):
            parts = both(name, "paths", _parts(answers, rows, column, answers))
            _member(archive, name, rows.dtypes[name], (extent[0], *shape), parts)
        spent = both("milliseconds", "paths", (np.float32(r.milliseconds).tobytes() for r in answers if not r.error))
        _member(archive, "milliseconds", np.dtype("<f4"), (extent[0],), spent)
        for name, fixed in rows.extras.items():
            _texts(archive, name, _widest(fixed), fixed)
        _texts(archive, "error_paths", *texts("error_paths", "error_paths", True, lambda r: r.name))
        _texts(archive, "errors", *texts("errors", "error_paths", True, lambda r: r.error))


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


def _write_parquet(
    target: BinaryIO, rows: Rows, answers: Answers, before: Any, keep: Keep | None, about: Mapping[str, str] | None
) -> None:
    """Write the columns `file`, `top` or one fixed-size list of float32 an array, null with an error, `error`, `milliseconds`.

    The shape of an array is in its field's metadata.
    """
    pa = pyarrow()
    names = schema(rows).with_metadata(about)
    build = _class_columns if isinstance(rows, Classes) else _array_columns
    with pa.parquet.ParquetWriter(target, names) as writer:
        for table in before.kept(keep) if before is not None else ():
            writer.write_table(table)
        found = iter(answers)
        while group := list(islice(found, _GROUP)):
            columns = {"file": [r.name for r in group], "error": [r.error or None for r in group]}
            columns.update(build(pa, answers, rows, group), milliseconds=[r.milliseconds for r in group])
            writer.write_table(pa.table([columns[field.name] for field in names], schema=names))


def schema(rows: Rows) -> Any:
    """The columns of a .parquet."""
    pa = pyarrow()
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
    last = [pa.field("error", pa.string()), pa.field("milliseconds", pa.float32())]
    return pa.schema([pa.field("file", pa.string()), *middle, *last])


def _stacked(answers: Answers, rows: Rows, column: int, group: Sequence[Record]) -> np.ndarray:
    """One array of all pictures of a group, zeros where there is an error: [len(group), size]."""
    name = list(rows.shapes)[column]
    stack = np.zeros((len(group), int(np.prod(rows.shapes[name]))), rows.dtypes[name])
    good = [i for i, record in enumerate(group) if not record.error]
    for i, part in zip(good, _parts(answers, rows, column, group), strict=True):
        stack[i] = np.frombuffer(part, stack.dtype)
    return stack


def _class_columns(pa: Any, answers: Answers, rows: Any, group: list[Record]) -> dict[str, Any]:
    top = rows.columns([_stacked(answers, rows, column, group) for column in range(len(rows.shapes))])["top"]
    return {"top": [None if record.error else best for record, best in zip(group, top, strict=True)]}


def _array_columns(pa: Any, answers: Answers, rows: Rows, group: list[Record]) -> dict[str, Any]:
    bad = pa.array([bool(record.error) for record in group])
    columns = {}
    for column, name in enumerate(rows.shapes):
        stack = _stacked(answers, rows, column, group)
        columns[name] = pa.FixedSizeListArray.from_arrays(pa.array(stack.ravel()), stack.shape[1], mask=bad)
    return columns


def stored(path: Path, rows: Rows, safe: bool = False, cut: bool = False) -> Stored:
    """What stands at `path`, to be read. cut: it is of a run that did not end, and its last row may be cut short."""
    ending = path.suffix.lower()
    if ending == ".npz":
        return Npz(path, rows)
    if ending == ".parquet":
        return Parquet(path, rows, schema(rows))
    return Array(path, rows) if ending == ".json" else Text(path, rows, safe, cut)
