"""What a run that did not end has left: the pictures that are whole, and whether the rest is one that was cut short.

Only the last record may be incomplete, as a killed run or a full disk leaves it. Everything else that is not as it was
written raises `Unreadable`: nobody's work is thrown away because it cannot be read.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from typing import Any, BinaryIO

from ..formats import csv_text, guarded, unguarded
from . import journal
from .rows import Rows

Done = Iterator[tuple[str, bool, int]]  # name, whether it failed, and where it ends, of each whole picture
ANY_CELL = (1 << 31) - 1  # characters: Python's csv refuses more than 131072 if it is not told
LONGEST = 64 << 20  # bytes of a record of CSV, and of what is looked at behind the last whole one


class Unreadable(Exception):
    """A record that is not as it was written."""


def done(ending: str, file: BinaryIO, rows: Rows, start: int, safe: bool = False) -> Done:
    """Yield what is whole, from `start`. Raises `Unreadable`."""
    if ending == ".csv":
        return _csv_done(file, rows, start, safe)
    return _json_done(file) if ending == ".jsonl" else _journal_done(file, rows)


def cut_short(ending: str, rows: Rows, name: str, rest: bytes, size: int, safe: bool = False) -> bool:
    """Whether `size` bytes behind the last whole picture, of which `rest` are the first, can begin the one called `name`."""
    if ending == ".csv":
        return size == len(rest) and _csv_cut_short(rows, guarded(name) if safe else name, rest)
    if ending == ".jsonl":
        return b"\n" not in rest
    return journal.cut_short(rows, name, rest, size)


def _journal_done(file: BinaryIO, rows: Rows) -> Done:
    try:
        for record in journal.records(file, rows):
            yield record.name, bool(record.error), record.end
    except UnicodeDecodeError as error:
        raise Unreadable from error


def _json_done(file: BinaryIO) -> Done:
    at = 0
    file.seek(0)
    for line in file:
        if not line.endswith(b"\n"):
            return
        at += len(line)
        try:
            members = json.loads(line)
            name, error = members["file"], members["error"]
        except (ValueError, TypeError, LookupError, RecursionError) as caught:
            raise Unreadable from caught
        if not isinstance(name, str):
            raise Unreadable
        yield name, error is not None, at


def _csv_done(file: BinaryIO, rows: Rows, start: int, safe: bool) -> Done:
    before, at = csv.field_size_limit(ANY_CELL), start
    try:
        whole: list[list[str]] = []  # rows of the picture that is being read
        for record in _records(file, start):
            at += len(record)
            whole.append(_cells(record, len(rows.header)))
            if whole[-1][0] != whole[0][0] or (whole[-1][-1] and len(whole) > 1):
                raise Unreadable
            if whole[-1][-1] or len(whole) == rows.lines:
                yield unguarded(whole[0][0]) if safe else whole[0][0], bool(whole[0][-1]), at
                whole = []
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
