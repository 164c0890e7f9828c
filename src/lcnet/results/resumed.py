"""What a file of results has: the pictures that are whole, and whether the rest is one that was cut short.

Only the last record may be incomplete, as a killed run or a full disk leaves it. Everything else that is not as it was
written raises `Unreadable`: nobody's work is thrown away because it cannot be read.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from json.decoder import scanstring  # type: ignore[attr-defined]  # which JSONDecoder itself uses
from typing import Any, BinaryIO, NamedTuple

from ..formats import csv_text, guarded, unguarded
from .rows import Rows

ANY_CELL = (1 << 31) - 1  # characters: Python's csv refuses more than 131072 if it is not told
LONGEST = 64 << 20  # bytes of a record of CSV, and of what is looked at behind the last whole one
LONGEST_NAME = 1 << 13  # bytes of a name that may be cut short, quotes and all; a path has at most 4096
_SMALL = 1 << 12  # bytes of a line of JSON that is always read in full


class Unreadable(Exception):
    """A record that is not as it was written."""


class Older(Unreadable):
    """A record as versions before wrote it."""


class Row(NamedTuple):
    """One picture of a file of text, and where it is, without what separates it from the next."""

    name: str
    failed: bool
    start: int
    end: int


def rows_of(ending: str, file: BinaryIO, rows: Rows, start: int, safe: bool = False, quick: bool = False) -> Iterator[Row]:
    """Yield what is whole in a .csv or .jsonl, from `start`. Raises `Unreadable`.

    quick: of a long line of JSON, but for the first, only name and error are read.
    """
    return _csv_rows(file, rows, start, safe) if ending == ".csv" else _json_rows(file, rows, start, quick)


def cut_short(ending: str, rows: Rows, name: str, rest: bytes, size: int, safe: bool = False) -> bool:
    """Whether `size` bytes behind the last whole picture, of which `rest` are the first, can begin the one called `name`."""
    if ending == ".csv":
        return size == len(rest) and _csv_cut_short(rows, guarded(name) if safe else name, rest)
    return b"\n" not in rest


def ends_cut_short(ending: str, rows: Rows, rest: bytes, size: int) -> bool:
    """The same of a picture whose name only `rest` can tell."""
    if ending != ".csv":
        return b"\n" not in rest
    name = _first_cell(rest)
    return len(rest) <= LONGEST_NAME if name is None else cut_short(ending, rows, name, rest, size)


def _first_cell(rest: bytes) -> str | None:
    """The first cell of CSV, None if it is not whole."""
    if not rest.startswith(b'"'):
        cell, comma, _ = rest.partition(b",")
        return cell.decode("utf-8", "replace") if comma or b"\n" in rest else None
    parts = rest[1:].replace(b'""', b"\0").split(b'"', 1)
    return parts[0].replace(b"\0", b'"').decode("utf-8", "replace") if len(parts) == 2 else None


def _json_rows(file: BinaryIO, rows: Rows, start: int, quick: bool) -> Iterator[Row]:
    at = start
    file.seek(start)
    for line in file:
        if not line.endswith(b"\n"):
            return
        yield json_picture(line, rows, at, at + len(line) - 1, quick and at > start)
        at += len(line)


def json_picture(line: bytes, rows: Rows, start: int, end: int, quick: bool) -> Row:
    """The picture of one line of JSON, which stands from `start` to `end`. Raises `Unreadable`."""
    try:
        name, error = _told(line) if quick and len(line) > _SMALL else _members(line, rows)
    except (ValueError, TypeError, LookupError, RecursionError) as caught:
        raise Unreadable from caught
    if not isinstance(name, str) or not isinstance(error, str | None):
        raise Unreadable
    return Row(name, error is not None, start, end)


def _members(line: bytes, rows: Rows) -> tuple[Any, Any]:
    found = json.loads(line)
    if "milliseconds" not in found and "error" in found:
        raise Older
    members = set(found) - {"answers"}  # which are those of a model that has groups
    if found["error"] is None and {*rows.members, "file", "error", "milliseconds"} != members:
        raise Unreadable
    if found["error"] is None and any(len(found[name]) != count for name, count in rows.counts.items()):
        raise Unreadable
    return found["file"], found["error"]


def _told(line: bytes) -> tuple[Any, Any]:
    """Name and error by themselves, which are at the beginning and at the end: what is between can be a million numbers."""
    text = line.decode().lstrip()
    begin, last = '{"file": "', text.rfind(', "error": ')
    if not text.startswith(begin) or last < 0:
        raise Unreadable
    end = json.loads("{" + text[last + 2 :])
    if set(end) == {"error"}:
        raise Older
    return scanstring(text, len(begin))[0], end["error"]


def _csv_rows(file: BinaryIO, rows: Rows, start: int, safe: bool) -> Iterator[Row]:
    before, at = csv.field_size_limit(ANY_CELL), start
    header, error = rows.header, rows.header.index("error")
    try:
        whole: list[list[str]] = []  # rows of the picture that is being read
        for record in _records(file, start):
            at += len(record)
            whole.append(_cells(record, len(header)))
            if whole[-1][0] != whole[0][0] or (whole[-1][error] and len(whole) > 1):
                raise Unreadable
            if whole[-1][error] or len(whole) == rows.lines:
                yield Row(unguarded(whole[0][0]) if safe else whole[0][0], bool(whole[0][error]), start, at)
                whole, start = [], at
    finally:
        csv.field_size_limit(before)


def _records(file: BinaryIO, start: int) -> Iterator[bytes]:
    """The records of a CSV file that have an end: a line feed with an even number of quotes before it."""
    file.seek(start)
    parts: list[bytes] = []
    size = quotes = 0
    for line in file:
        parts.append(line)
        size, quotes = size + len(line), quotes + line.count(b'"')
        if size > LONGEST:
            raise Unreadable
        if quotes % 2 == 0 and line.endswith(b"\n"):
            yield b"".join(parts)
            parts, size, quotes = [], 0, 0


def _cells(record: bytes, count: int) -> list[str]:
    try:
        found = list(csv.reader([record.decode()], strict=True))
    except (csv.Error, UnicodeDecodeError) as error:
        raise Unreadable from error
    if len(found) != 1 or len(found[0]) != count:
        raise Unreadable
    return found[0]


def _csv_cut_short(rows: Rows, name: str, rest: bytes) -> bool:
    """Rows of `name`, fewer than it would have, and a part of one, which goes over no more lines than it can have.

    So a quote that is missing or too many further up, behind which nothing can be told apart, is not taken for an end.
    """
    begin = csv_text([[name, ""]])[:-1].encode()
    *whole, part = [*_split(rest)]
    breaks = name.count("\n") + rows.breaks
    return all(row.startswith(begin) for row in whole) and part.count(b"\n") <= breaks


def _split(rest: bytes) -> Iterator[bytes]:
    """The records of `rest`, and at last what is behind them, which may be nothing."""
    from io import BytesIO

    whole = list(_records(BytesIO(rest), 0))
    yield from whole
    yield rest[sum(map(len, whole)) :]


def refusal(path: Any, number: int, at: int, name: str) -> str:
    """What to say of a file that is not resumed."""
    return (
        f"{path} cannot be read from byte {at} on: expected picture {number}, {name}, whole or cut short at the end of the "
        "file. Nothing is changed: bring the file back to what the run wrote, name the pictures that it had, or begin "
        "again with --overwrite"
    )
