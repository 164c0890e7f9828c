"""Answers on the way to a file that can only be written whole: a record a picture, each written at once.

A journal begins with what its run was begun with. A record has the lengths of its parts, the time it took, the size and time
of the picture's file, and checksums of all these; then its name, its error, and its payload: text for a file of text, else
the arrays of the result in the order of `Rows.shapes`. Only the last record can be cut short: its lengths, which can be
trusted, reach over the end.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple
from zlib import crc32

from ..sources.stamp import Stamp
from .resumed import Unreadable

MAGIC = b"lcnet results\n"

_LENGTH = struct.Struct("<II")  # of what the run was begun with, and its checksum
# Lengths of name, error and payload; milliseconds; whether it takes the place of what there was of this name; size and time
# of the picture's file, a size of -1 if it has none; checksums of name and error and of the payload. Behind it its own.
_RECORD = struct.Struct("<IIQdBqqII")
_SUM = struct.Struct("<I")
_SIZE = _RECORD.size + _SUM.size


class Record(NamedTuple):
    """One picture of a journal."""

    name: str
    error: str
    milliseconds: float
    again: bool  # whether it takes the place of all that there was of this name
    stamp: Stamp | None
    start: int  # where in the file its payload is
    end: int


def head(begun_with: bytes) -> bytes:
    """How a journal begins."""
    return MAGIC + _LENGTH.pack(len(begun_with), crc32(begun_with)) + begun_with


def begun_with(file: BinaryIO) -> bytes:
    """What the run of a journal was begun with, b"" if it was killed before it had written that. Raises `Unreadable`."""
    file.seek(0)
    start = file.read(len(MAGIC) + _LENGTH.size)
    if not start.startswith(MAGIC[: len(start)]):
        raise Unreadable
    if len(start) < len(MAGIC) + _LENGTH.size:
        return b""
    length, checksum = _LENGTH.unpack_from(start, len(MAGIC))
    text = file.read(length)
    if len(text) == length and crc32(text) != checksum:
        raise Unreadable
    return text if len(text) == length else b""


def encode(
    name: str, error: str | None, payload: bytes, milliseconds: float, again: bool = False, stamp: Stamp | None = None
) -> bytes:
    """The bytes of one record."""
    texts = name.encode(), (error or "").encode()
    size, time = stamp or (-1, 0)
    summed = crc32(texts[1], crc32(texts[0]))
    fixed = _RECORD.pack(*map(len, texts), len(payload), milliseconds, again, size, time, summed, crc32(payload))
    return b"".join([fixed, _SUM.pack(crc32(fixed)), *texts, payload])


def records(file: BinaryIO, at: int, payloads: bool = True) -> Iterator[Record]:
    """Yield the whole records of a journal from `at`; `file` may be moved in between. Raises `Unreadable`.

    payloads: read and check them as well.
    """
    size = os.fstat(file.fileno()).st_size
    while at + _SIZE <= size:
        file.seek(at)
        fixed = file.read(_SIZE)
        if crc32(fixed[: _RECORD.size]) != _SUM.unpack_from(fixed, _RECORD.size)[0]:
            raise Unreadable
        name, error, payload, spent, again, length, time, summed, checked = _RECORD.unpack_from(fixed)
        start = at + _SIZE + name + error
        if start + payload > size:
            return
        texts = file.read(name + error)
        if crc32(texts) != summed or (payloads and crc32(file.read(payload)) != checked):
            raise Unreadable
        stamp = None if length < 0 else (length, time)
        at = start + payload
        yield Record(texts[:name].decode(), texts[name:].decode(), spent, bool(again), stamp, start, at)
