"""Directories of TIFF (6.0, and BigTIFF), of which EXIF is made too: read where they lie, changed in place, or put at the end.

Nothing that is already there moves, so that whatever points somewhere still points there. Whatever is damaged is refused with
`Damaged`, and no loop or offset of a hostile file is followed beyond its end.
"""

from __future__ import annotations

import struct
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import NamedTuple

BYTE, SHORT, LONG, LONG8 = 1, 3, 4, 16
WIDTHS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
MAX_DIRECTORIES = 10_000
MAX_ENTRIES = 4096
_CODES = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}

Field = tuple[int, int, int, bytes]  # tag, type, count and the bytes of the values


class Damaged(ValueError):
    """A directory that is not what TIFF says; the message names what is wrong."""


class Entry(NamedTuple):
    """One field: its tag, type, how many values, and where in the file its value or the offset of its values is."""

    tag: int
    kind: int
    values: int
    at: int


class Directories:
    """The directories of a file or of an EXIF block, over bytes that may be changed."""

    def __init__(self, data: bytes | bytearray) -> None:
        self.data = data if isinstance(data, bytearray) else bytearray(data)
        self.order = {b"II": "<", b"MM": ">"}.get(bytes(self.data[:2]), "")
        version = self.number("H", 2) if self.order else 0
        if version not in (42, 43):
            raise Damaged("it is no TIFF structure")
        self.big = version == 43
        self.first = 8 if self.big else 4  # where the offset of the first directory is
        self.offset = "Q" if self.big else "I"
        self.inline = 8 if self.big else 4  # bytes that a field holds itself

    def number(self, code: str, at: int) -> int:
        """One unsigned number."""
        try:
            return int(struct.unpack_from(self.order + code, self.data, at)[0])
        except struct.error:
            raise Damaged("it points beyond its end") from None

    def put(self, code: str, at: int, value: int) -> None:
        """Replace one unsigned number."""
        try:
            struct.pack_into(self.order + code, self.data, at, value)
        except struct.error:
            raise Damaged(f"{value} does not fit, or is beyond its end") from None

    def chain(self) -> Iterator[int]:
        """Where the directories of the file are, in their order."""
        seen: set[int] = set()
        at = self.number(self.offset, self.first)
        while at:
            if at in seen or len(seen) >= MAX_DIRECTORIES:
                raise Damaged("its directories lead in a circle")
            seen.add(at)
            yield at
            at = self.number(self.offset, self.after(at))

    def entries(self, at: int) -> dict[int, Entry]:
        """The fields of a directory by their tags."""
        count, start, size = self._head(at)
        return {e.tag: e for i in range(count) if (e := self._entry(start + i * size))}

    def after(self, at: int) -> int:
        """Where a directory says where the next one is."""
        count, start, size = self._head(at)
        return start + count * size

    def _head(self, at: int) -> tuple[int, int, int]:
        count = self.number("Q" if self.big else "H", at)
        if not 0 < count <= MAX_ENTRIES:
            raise Damaged(f"a directory has {count} fields")
        return count, at + (8 if self.big else 2), 20 if self.big else 12

    def _entry(self, at: int) -> Entry:
        tag, kind, count = self.number("H", at), self.number("H", at + 2), self.number(self.offset, at + 4)
        return Entry(tag, kind, count, at + (12 if self.big else 8))

    def raw(self, entry: Entry) -> bytes:
        """The bytes of a field's values, in the order of the file."""
        size = WIDTHS.get(entry.kind, 1) * entry.values
        at = entry.at if size <= self.inline else self.number(self.offset, entry.at)
        if at + size > len(self.data):
            raise Damaged("a field points beyond its end")
        return bytes(self.data[at : at + size])

    def numbers(self, entry: Entry | None, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """The values of a field of whole numbers."""
        if entry is None:
            return default
        code = _CODES.get(entry.kind)
        if code is None or not entry.values:
            raise Damaged(f"field {entry.tag} has type {entry.kind}, expected whole numbers")
        return struct.unpack(f"{self.order}{entry.values}{code}", self.raw(entry))

    def copied(self, entries: Mapping[int, Entry], without: Container[int] = ()) -> list[Field]:
        """The fields of a directory as `add_directory` takes them, but for some tags."""
        return [(e.tag, e.kind, e.values, self.raw(e)) for e in entries.values() if e.tag not in without]

    def add(self, data: bytes) -> int:
        """Put bytes at the end, at an even place as TIFF asks; returns where."""
        if len(self.data) % 2:
            self.data += b"\0"
        at = len(self.data)
        if not self.big and at + len(data) >= 1 << 32:
            raise Damaged("it would have more than 4 GiB")
        self.data += data
        return at

    def add_directory(self, fields: Iterable[Field], following: int) -> int:
        """Put a directory at the end: returns where."""
        rows = sorted(fields)
        body = b"".join(self._field(*row) for row in rows)
        head = struct.pack(self.order + ("Q" if self.big else "H"), len(rows))
        return self.add(head + body + struct.pack(self.order + self.offset, following))

    def _field(self, tag: int, kind: int, count: int, values: bytes) -> bytes:
        head = struct.pack(f"{self.order}HH{self.offset}", tag, kind, count)
        if len(values) <= self.inline:
            return head + values.ljust(self.inline, b"\0")
        return head + struct.pack(self.order + self.offset, self.add(values))

    def field(self, tag: int, *values: int) -> Field:
        """A field of whole numbers, as `add_directory` takes it."""
        most = max(values)
        kind, code = (SHORT, "H") if most < 1 << 16 else (LONG, "I") if most < 1 << 32 else (LONG8, "Q")
        return tag, kind, len(values), struct.pack(f"{self.order}{len(values)}{code}", *values)
