"""How bytes are read: from files, and from known places in tar and zip archives. No file stays open.

An archive was trusted for where a picture is when it was opened; here it is trusted for nothing. What is longer than
`MAX_MEMBER` is refused before it is read, and what is shorter than it was is told.
"""

from __future__ import annotations

import os
import zlib
from typing import Any

import numpy as np

from ..sources.formats import START
from ..sources.found import MAX_MEMBER
from ..sources.zipped import OVERLAPS, check_start
from .arrays import MAGIC

MARK = 4096  # bytes from the middle of a file that tell nearly all pictures of the same size apart
# Methods of a zip; the last four: why there is nothing to read.
STORED, DEFLATED, OVERLAPPING, ENCRYPTED, LINK, UNKNOWN = 0, 8, 252, 253, 254, 255

_REFUSALS = {
    OVERLAPPING: OVERLAPS,
    ENCRYPTED: "it is encrypted: extract it with its password first",
    LINK: "a link or device in an archive is not read",
    UNKNOWN: "only deflated and stored pictures are read: pack it again",
}


class Files:
    """Pictures that are files of their own, at the path that is their name."""

    def read(self, row: int, name: str) -> bytes:
        """Return the file's bytes."""
        with open(name, "rb", buffering=0) as file:
            _check_size(os.fstat(file.fileno()).st_size)
            return file.readall()

    def size(self, row: int, name: str) -> int:
        """Return the file's size."""
        return os.stat(name).st_size  # noqa: PTH116

    def mark(self, row: int, name: str) -> bytes:
        """Return bytes from the middle."""
        with open(name, "rb", buffering=0) as file:
            return _middle(file, 0, os.fstat(file.fileno()).st_size)


class Tarred:
    """Pictures in uncompressed tar archives."""

    def __init__(self, paths: tuple[str, ...], shard: np.ndarray, offset: np.ndarray, size: np.ndarray) -> None:
        """shard: int32 [M], which of `paths`. offset, size: int64 [M], bytes; a size of -1 is a link's or a device's."""
        self.paths, self.shard, self.offset, self.bytes = paths, shard, offset, size

    def read(self, row: int, name: str) -> bytes:
        """Return the member's bytes."""
        size = _check_size(int(self.bytes[row]))
        if size < 0:
            raise ValueError(_REFUSALS[LINK])
        with open(self.paths[self.shard[row]], "rb", buffering=0) as file:
            return _part(file, int(self.offset[row]), size)

    def size(self, row: int, name: str) -> int:
        """Return the member's size."""
        return int(self.bytes[row])

    def mark(self, row: int, name: str) -> bytes:
        """Return bytes from the middle."""
        if self.bytes[row] < 0:
            raise ValueError(_REFUSALS[LINK])
        with open(self.paths[self.shard[row]], "rb", buffering=0) as file:
            return _middle(file, int(self.offset[row]), int(self.bytes[row]))


class Zipped:
    """Pictures in one zip archive."""

    def __init__(
        self, path: str, offset: np.ndarray, packed: np.ndarray, size: np.ndarray, crc: np.ndarray, method: np.ndarray
    ) -> None:
        """offset: int64 [M], of the local header. packed, size: int64 [M], bytes. crc: uint32 [M]. method: uint8 [M]."""
        self.path, self.offset, self.packed, self.bytes, self.crc, self.method = path, offset, packed, size, crc, method

    def read(self, row: int, name: str) -> bytes:
        """Return the member's bytes, expanded."""
        method, size = int(self.method[row]), _check_size(int(self.bytes[row]))
        if method in _REFUSALS:
            raise ValueError(_REFUSALS[method])
        data = self._packed(row)
        if method == DEFLATED:
            data = _inflated(data, size)
        if len(data) != size or zlib.crc32(data) != int(self.crc[row]):
            raise ValueError("it is damaged: its bytes are not those that the archive promises")
        return data

    def size(self, row: int, name: str) -> int:
        """Return the member's size, expanded."""
        return int(self.bytes[row])

    def mark(self, row: int, name: str) -> bytes:
        """Return the member's checksum."""
        return b"%d" % int(self.crc[row])

    def _packed(self, row: int) -> bytes:
        start, size = int(self.offset[row]), _check_size(int(self.packed[row]))
        with open(self.path, "rb", buffering=0) as file:
            header = _part(file, start, 30)  # PKWARE's APPNOTE 4.3.7: fixed part, then name and extra field
            if header[:4] != b"PK\3\4":
                raise ValueError("it is damaged: the archive has no such member where it says")
            skip = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
            return _part(file, start + 30 + skip, size)


def _inflated(data: bytes, size: int) -> bytes:
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        start = stream.decompress(data, START) if size > START else b""
        check_start(start, size, MAGIC)
        rest = stream.unconsumed_tail if start else data
        return start + stream.decompress(rest, size + 1 - len(start))  # one more shows that there is more
    except zlib.error as error:
        raise ValueError(f"it is damaged: {error}") from None


def _check_size(size: int) -> int:
    if size > MAX_MEMBER:
        raise ValueError(f"it has {size} bytes, the limit for a picture is {MAX_MEMBER}: make it smaller")
    return size


def _middle(file: Any, offset: int, size: int) -> bytes:
    return _part(file, offset + max(0, size - MARK) // 2, min(size, MARK))


def _part(file: Any, offset: int, size: int) -> bytes:
    file.seek(offset)
    data = file.read(size)
    if len(data) != size:
        raise ValueError("it is cut short: the file ends before it, or has changed since it was opened")
    return data
