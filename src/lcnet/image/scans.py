"""How often a JPEG file goes over all of its pixels: its scans, counted by its markers (ITU-T T.81, annex B)."""

from __future__ import annotations

import re
from typing import BinaryIO

_MOST = 256 << 20  # bytes that are looked at
_MARKER = re.compile(
    rb"\xff+([^\x00\xff\xd0-\xd7])"
)  # in coded bytes 0 is stuffed behind 255, and restarts mean nothing
_SOS, _EOI = 0xDA, 0xD9


def has_one_scan(file: BinaryIO, components: int) -> bool:
    """Whether the scan whose header was just read is of all components: then it is the only one, unless progressive."""
    at, length = file.tell(), 8 + 2 * components
    if at < length:
        return False
    file.seek(at - length)
    header = file.read(length)
    return header[:2] == b"\xff\xda" and header[4] == components


def scans(file: BinaryIO, most: int) -> int:
    """Count the scans before the end of the picture, but no further than one more than `most`."""
    file.seek(0)
    data, at, found = file.read(_MOST), 2, 0
    while found <= most and (marker := _MARKER.search(data, at)):
        at = marker.end()
        if marker[1][0] == _EOI:
            break
        found += marker[1][0] == _SOS
        at += max(int.from_bytes(data[at : at + 2], "big"), 2)
    return found
