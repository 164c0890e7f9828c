"""How finely a JPEG 2000 picture is cut, by its markers (ISO/IEC 15444-1, annexes A and I), before it is decoded."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

_SOC_SIZ = b"\xff\x4f\xff\x51"
_SIZ, _COD, _COC, _SOT, _SOD, _EOC = 0xFF51, 0xFF52, 0xFF53, 0xFF90, 0xFF93, 0xFFD9
_BLOCK = 1 << 12  # pixels of the largest coding block


class Cut(NamedTuple):
    """How many parts there are."""

    tiles: int
    blocks: int  # coding blocks or precincts, of all components, at most


def cut(data: bytes) -> Cut:
    """Read the markers of a codestream or a JP2 file; what is damaged counts as nothing, for no decoder takes it."""
    size, tiles, area = 0, 0, _BLOCK
    wide = False  # whether components are counted in two bytes
    try:
        for marker, segment in _markers(data, _start(data)):
            if marker == _SIZ:
                _, x1, y1, x0, y0, width, height, _, _, count = struct.unpack_from(">H8IH", segment)
                size, wide = max(x1 - x0, 0) * max(y1 - y0, 0) * count, count > 256
                tiles = -(-x1 // width) * -(-y1 // height)
            elif marker == _COD:
                area = min(area, _area(segment[0], segment[5:]))
            elif marker == _COC:
                area = min(area, _area(segment[1 + wide], segment[2 + wide :]))
    except (struct.error, IndexError, ValueError, ZeroDivisionError):
        pass
    return Cut(tiles, size // area)


def _start(data: bytes) -> int:
    """Where the codestream is: in the first box jp2c, or at once."""
    at = 0
    while not data.startswith(_SOC_SIZ, at):
        length, kind = struct.unpack_from(">I4s", data, at)
        head = 16 if length == 1 else 8
        if kind == b"jp2c":
            return at + head
        if length == 1:
            (length,) = struct.unpack_from(">Q", data, at + 8)
        if length < head:  # 0: to the end of the file
            raise IndexError
        at += length
    return at


def _markers(data: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    """Yield the marker segments of the main header and of the headers of all tile parts."""
    at, part = at + 2, 0  # behind SOC; where the tile part that is being read ends
    while at + 2 <= len(data):
        (marker,) = struct.unpack_from(">H", data, at)
        if marker == _EOC or (marker == _SOD and part <= at):
            return
        if marker == _SOD:
            at = part
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        segment = data[at + 4 : at + 2 + length]
        if marker == _SOT:
            (size,) = struct.unpack_from(">I", segment, 2)
            part = at + size if size >= 14 else len(data)  # 0: the last one
        yield marker, segment
        at += 2 + max(length, 2)


def _area(style: int, parameters: bytes) -> int:
    """Pixels of the picture for each coding block, or precinct if that is smaller, where they are the fewest.

    Each of the levels halves both sides; the precincts of all but the smallest are cut once more, into three bands.
    """
    levels, across, down = parameters[:3]
    block = 1 << ((across & 15) + (down & 15) + 4)
    if not style & 1:
        return block
    areas = [block]
    for level, size in enumerate(parameters[5 : 6 + levels]):
        precinct = 1 << max((size & 15) + (size >> 4) - (2 if level else 0), 0)
        areas.append(min(block, precinct) << 2 * (levels - level))
    return min(areas)
