"""A file of results that is whole: which pictures it has, and its rows on their way into the file that takes its place.

Every format is gone through from its beginning, a few rows at a time. What was not written with these columns, or cannot be
read, raises `Unreadable` or `InputError` before anything is changed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..errors import InputError, LcnetError
from ..formats import csv_text
from ..text import one_line, plain
from . import begun, resumed
from .resumed import Row, Unreadable
from .rows import Rows

Keep = Callable[[str], bool]  # of the pictures of one name: whether their rows stay
Pictures = Iterator[tuple[str, bool]]  # name, and whether there is an error instead of a result
_CHUNK = 1 << 22  # bytes of arrays that are held at once


class Text:
    """A .csv or a .jsonl. `cut`: what is behind the last whole picture may be the beginning of one."""

    def __init__(self, path: Path, rows: Rows, safe: bool = False, cut: bool = False) -> None:
        self.path, self.rows, self.safe, self.cut = path, rows, safe, cut
        self.ending = path.suffix.lower()
        self.head = csv_text([rows.header]).encode() if self.ending == ".csv" else b""
        self.end = len(self.head)  # of what is whole, once all was gone through

    def pictures(self) -> Pictures:
        """Yield what it has. Raises `Unreadable`, `InputError`."""
        for row in self._rows():
            yield row.name, row.failed

    def _rows(self) -> Iterator[Row]:
        with open(self.path, "rb") as file:
            start = file.read(len(self.head))
            if start != self.head and not (self.cut and self.head.startswith(start)):
                raise _other_columns(self.path, self.rows, start)
            self.end = len(start)
            for row in resumed.rows_of(self.ending, file, self.rows, self.end, self.safe, quick=True):
                yield row
                self.end = row.end + (self.ending == ".jsonl")
            self._check_rest(file)

    def _check_rest(self, file: BinaryIO) -> None:
        file.seek(self.end)
        rest, size = file.read(resumed.LONGEST), os.fstat(file.fileno()).st_size - self.end
        if rest and not (self.cut and resumed.ends_cut_short(self.ending, self.rows, rest, size)):
            raise Unreadable

    def copy(self, target: BinaryIO, keep: Keep | None) -> None:
        """Write the rows that stay. Everything must have been gone through."""
        with open(self.path, "rb") as file:
            if keep is None:
                _copy(file, target, len(self.head), self.end)
                return
            for row in self._rows():
                if keep(row.name):
                    _copy(file, target, row.start, row.end + (self.ending == ".jsonl"))


class Array:
    """A .json: an array with an object a line, as it is written."""

    head, _first, _tail = b"[", b"[\n", b"]\n"

    def __init__(self, path: Path, rows: Rows) -> None:
        self.path, self.rows, self.end = path, rows, 0

    def pictures(self) -> Pictures:
        """Yield what it has. Raises `Unreadable`."""
        for row in self._rows():
            yield row.name, row.failed

    def _rows(self) -> Iterator[Row]:
        with open(self.path, "rb") as file:
            if (line := file.readline()) != self._first:
                raise Unreadable
            self.end, last = len(self._first), b"[\n"
            for line in file:
                if line == self._tail:
                    break
                if not last.endswith((b"[\n", b",\n")):
                    raise Unreadable
                whole, last = line.rstrip(b",\n"), line
                quick = self.end > len(self._first)
                yield resumed.json_picture(whole, self.rows, self.end, self.end + len(whole), quick)
                self.end += len(line)
            if line != self._tail or last.endswith(b",\n") or file.read(1):
                raise Unreadable

    def copy(self, target: BinaryIO, keep: Keep | None) -> int:
        """Write the elements that stay, with a comma between two, and return their number."""
        count = 0
        with open(self.path, "rb") as file:
            for row in self._rows():
                if keep is None or keep(row.name):
                    target.write(b",\n" if count else b"\n")
                    _copy(file, target, row.start, row.end)
                    count += 1
        return count


class Npz:
    """An .npz: its members one after another, without ever having one in memory."""

    def __init__(self, path: Path, rows: Rows) -> None:
        self.path, self.rows = path, rows

    def pictures(self) -> Pictures:
        """Yield what it has, first what has a result. Raises `Unreadable`, `InputError`."""
        with _readable():
            self._check()
            yield from ((name, False) for name in self.texts("paths"))
            yield from ((name, True) for name in self.texts("error_paths"))

    def _check(self) -> None:
        with _Npy(self.path, "paths") as paths, _Npy(self.path, "error_paths") as bad, _Npy(self.path, "errors") as why:
            if len(why) != len(bad):
                raise Unreadable
            if "milliseconds.npy" not in paths.archive.namelist():
                raise begun.older(self.path)
            wanted = {**dict.fromkeys(self.rows.shapes), "milliseconds": None}
            if {*wanted, *self.rows.extras, "paths", "error_paths", "errors"} != paths.names():
                raise _other_columns(self.path, self.rows)
            count = len(paths)
        for name in wanted:
            with _Npy(self.path, name) as array:
                shape = self.rows.shapes.get(name, ())
                if array.shape != (count, *shape) or array.dtype != self.rows.dtypes.get(name, np.dtype("<f4")):
                    raise _other_columns(self.path, self.rows)
        for name, texts in self.rows.extras.items():
            if list(self.texts(name)) != list(texts):
                raise InputError(f"{plain(self.path)} is of another model, with other labels: choose another --output")

    def texts(self, member: str) -> Iterator[str]:
        """The texts of a member."""
        with _Npy(self.path, member) as array:
            if array.dtype.kind != "U" or len(array.shape) != 1:
                raise Unreadable
            for part in array.parts():
                yield from part.tolist()

    def kept(self, member: str, keep: Keep | None, by: str = "paths") -> Iterator[Any]:
        """The rows of a member that stay, as bytes, or of one of texts as such, by the name of their picture."""
        with _readable(), _Npy(self.path, member) as array:
            names = self.texts(by)
            for part in array.parts():
                rows = part if keep is None else part[np.fromiter(map(keep, islice(names, len(part))), bool, len(part))]
                yield from rows.tolist() if array.dtype.kind == "U" else [rows.tobytes()]


class _Npy:
    """One array of an .npz, read from its beginning."""

    def __init__(self, path: Path, member: str) -> None:
        import zipfile

        self.archive = zipfile.ZipFile(path)
        self.file = self.archive.open(f"{member}.npy")
        version = np.lib.format.read_magic(self.file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        self.shape, fortran, self.dtype = read(self.file)
        if fortran or self.dtype.hasobject:
            raise Unreadable

    def __enter__(self) -> _Npy:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self.archive.close()

    def __len__(self) -> int:
        return int(self.shape[0])

    def names(self) -> set[str]:
        """The names of all members."""
        return {name.removesuffix(".npy") for name in self.archive.namelist()}

    def parts(self) -> Iterator[np.ndarray]:
        """Some rows at a time."""
        size = max(1, self.dtype.itemsize * int(np.prod(self.shape[1:])))
        for start in range(0, len(self), step := max(1, _CHUNK // size)):
            count = min(step, len(self) - start)
            data = self.file.read(count * size)
            if len(data) != count * size:
                raise Unreadable
            yield np.frombuffer(data, self.dtype).reshape(count, *self.shape[1:])


class Parquet:
    """A .parquet: its batches one after another."""

    def __init__(self, path: Path, rows: Rows, schema: Any) -> None:
        self.path, self.rows, self.schema = path, rows, schema

    def pictures(self) -> Pictures:
        """Yield what it has. Raises `Unreadable`, `InputError`."""
        for batch in self._batches(["file", "error"]):
            for name, error in zip(*(batch.column(n).to_pylist() for n in ("file", "error")), strict=True):
                if name is None:
                    raise Unreadable
                yield name, error is not None

    def kept(self, keep: Keep | None) -> Iterator[Any]:
        """The rows that stay, in batches."""
        import pyarrow as pa

        for batch in self._batches(None):
            chosen = [keep is None or keep(name) for name in batch.column("file").to_pylist()]
            yield pa.Table.from_batches([batch.filter(pa.array(chosen, pa.bool_()))]).cast(self.schema)

    def _as_read(self) -> Any:
        """The schema as a file gives it back, which names the elements of lists otherwise."""
        import pyarrow as pa
        from pyarrow.parquet import ParquetWriter, read_schema

        sink = pa.BufferOutputStream()
        ParquetWriter(sink, self.schema).close()
        return read_schema(pa.BufferReader(sink.getvalue()))

    def _batches(self, columns: list[str] | None) -> Iterator[Any]:
        from pyarrow.parquet import ParquetFile

        with _readable(), ParquetFile(self.path) as file:
            if not file.schema_arrow.equals(self._as_read(), check_metadata=True):
                older = "milliseconds" not in file.schema_arrow.names and "error" in file.schema_arrow.names
                raise begun.older(self.path) if older else _other_columns(self.path, self.rows)
            yield from file.iter_batches(256, columns=columns)


@contextmanager
def _readable() -> Iterator[None]:
    """Make `Unreadable` of whatever a damaged file makes of those who read it."""
    try:
        yield
    except (LcnetError, Unreadable, MemoryError):
        raise
    except Exception as error:
        raise Unreadable from error


Stored = Text | Array | Npz | Parquet


def _other_columns(path: Path, rows: Rows, start: bytes = b"") -> InputError:
    older = csv_text([rows.header[:-1]]).encode() if start else b"\0"
    if start.startswith(older):
        return begun.older(path)
    found = one_line(start.split(b"\n")[0].decode("utf-8", "replace"))[:100]
    return InputError(
        f"{plain(path)} has other columns than this run writes{f', it begins with {found}' if found else ''}: "
        "choose another --output, or begin again with --overwrite"
    )


def _copy(file: BinaryIO, target: BinaryIO, start: int, end: int) -> None:
    file.seek(start)
    for at in range(start, end, _CHUNK):
        target.write(file.read(min(_CHUNK, end - at)))
