"""The headers of an uncompressed tar archive, scanned without reading what is between them.

For shards of a million members, where `tarfile` would take minutes. Reads POSIX ustar and pax, GNU long names and large
sizes, and V7. Refuses, with a `ValueError`, what is damaged, cut short, sparse, or claims more than `MAX_HEADER` for the
name of a member.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from ..sources.archives import MAX_HEADER

BLOCK = 512
_WINDOW = 4096  # bytes read at once: the header of a small member, it, and the next header
_REGULAR, _DATALESS = (b"0", b"\0", b"7"), (b"1", b"2", b"3", b"4", b"5", b"6")


class Member(NamedTuple):
    """One member that is a file, or something that only looks like one: then `size` is -1."""

    name: str
    offset: int
    size: int


class Reader:
    """A file that is read in small pieces, mostly forwards."""

    def __init__(self, file: BinaryIO) -> None:
        """file: unbuffered."""
        self.file, self.length = file, os.fstat(file.fileno()).st_size
        self.start, self.data = 0, b""

    def at(self, offset: int, size: int) -> bytes:
        """Return exactly these bytes. Raises `ValueError` if the file is shorter."""
        begin = offset - self.start
        if not 0 <= begin <= begin + size <= len(self.data):
            if offset + size > self.length:
                raise ValueError("it is cut short")
            self.file.seek(offset)
            self.start, self.data, begin = offset, self.file.read(max(size, _WINDOW)), 0
            if len(self.data) < size:
                raise ValueError("it is cut short")
        return self.data[begin : begin + size]


def scan(reader: Reader) -> Iterator[Member]:
    """Yield the members of an archive in its order, folders left out. Raises `ValueError`."""
    offset, extra = 0, dict[str, str]()
    while offset < reader.length:
        header = reader.at(offset, BLOCK)
        if header == bytes(BLOCK):
            return
        _check(header, offset)
        kind, offset = header[156:157], offset + BLOCK
        size = _number(header[124:136])
        if kind in (b"x", b"L"):
            extra.update(_extra(reader, kind, offset, size))
        elif kind not in (b"g", b"K"):
            size = 0 if kind in _DATALESS else _size(extra, size)
            name = extra.get("path") or _name(header)
            if offset + size > reader.length:
                raise ValueError(f"it is cut short: it ends within {name!r}")
            if kind != b"5" and not name.endswith("/"):
                yield Member(name, offset, size if kind in _REGULAR else -1)
            extra = {}
        offset += -(-size // BLOCK) * BLOCK
    if extra:
        raise ValueError("it is cut short")


def _check(header: bytes, offset: int) -> None:
    field = header[148:156]
    if field[:6].strip(b" 01234567\0") or _number(field[:7]) != sum(header[:148]) + 8 * 32 + sum(header[156:]):
        raise ValueError(f"it is damaged, or no tar archive: there is no header at byte {offset}")


def _number(field: bytes) -> int:
    """Octal digits, or GNU's binary number, marked by its first bit."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b" \0")
    if digits.strip(b"01234567"):
        raise ValueError("it is damaged: a number in a header is none")
    return int(digits or b"0", 8)


def _name(header: bytes) -> str:
    name = header[:100].split(b"\0", 1)[0]
    prefix = header[345:500].split(b"\0", 1)[0] if header[257:263] == b"ustar\0" else b""
    return _text(prefix + b"/" + name if prefix else name)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _extra(reader: Reader, kind: bytes, offset: int, size: int) -> dict[str, str]:
    """What a pax header or a GNU long name says of the next member."""
    if size > MAX_HEADER:
        raise ValueError("what it says of a member is too long")
    data = reader.at(offset, size)
    return {"path": _text(data.rstrip(b"\0"))} if kind == b"L" else _pax(data)


def _pax(data: bytes) -> dict[str, str]:
    """Records of POSIX pax: a length, a space, key=value and a newline, all counted by the length."""
    records, start = {}, 0
    while start < len(data):
        digits, space, _ = data[start : start + 20].partition(b" ")
        end = start + int(digits) if digits.isdigit() else 0
        key, equals, value = data[start + len(digits) + 1 : max(end - 1, 0)].partition(b"=")
        if not (space and equals and end <= len(data) and data[end - 1 : end] == b"\n"):
            raise ValueError("it is damaged: an extended header is none")
        records[_text(key)] = _text(value)
        start = end
    return records


def _size(extra: dict[str, str], size: int) -> int:
    if any(key.startswith("GNU.sparse") for key in extra):
        raise ValueError("it has a sparse file: pack it again without")
    text = extra.get("size")
    if text is None:
        return size
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise ValueError("it is damaged: a size in an extended header is none")
    return int(text)
