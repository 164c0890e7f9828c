"""How often a JPEG file goes over all of its pixels: its scans, counted by its markers (ITU-T T.81, annex B)."""

from __future__ import annotations

import re
from typing import BinaryIO

_MOST = 256 << 20  # bytes that are looked at
# In coded bytes 0 is stuffed behind 255; TEM and restarts have no length and mean nothing.
_MARKER = re.compile(rb"\xff+([^\x00\x01\xff\xd0-\xd7])")
_SOS, _EOI = 0xDA, 0xD9


def has_one_scan(file: BinaryIO, components: int) -> bool:
    """Whether the scan whose header was just read is of all components: then it is the only one, unless progressive."""
    at = file.tell()
    return [n for n in range(1, components + 1) if _ends_at(file, at, n)] == [components]


def _ends_at(file: BinaryIO, at: int, components: int) -> bool:
    """Whether what looks like the header of a scan of so many components ends here."""
    length = 6 + 2 * components
    file.seek(max(at - length - 2, 0))
    return file.read(5) == bytes([0xFF, _SOS, 0, length, components])


def scans(file: BinaryIO, start: int, most: int) -> int:
    """Count the scans from the start of a picture to its end, but no further than one more than `most`."""
    file.seek(start)
    data, at, found = file.read(_MOST), 2, 0
    while found <= most and (marker := _MARKER.search(data, at)):
        at = marker.end()
        if marker[1][0] == _EOI:
            break
        found += marker[1][0] == _SOS
        at += max(int.from_bytes(data[at : at + 2], "big"), 2)
    return found
