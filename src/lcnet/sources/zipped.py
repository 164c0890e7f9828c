"""What a zip archive may ask for, held before anything is inflated: no bytes used twice, no growth without a bound.

Members that share bytes make 3 MB into terabytes (D. Fifield, A better zip bomb, WOOT 2019). Deflate grows up to 1032 times;
pictures hardly do.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Sequence
from itertools import pairwise

from .formats import START, format_of
from .found import MAX_MEMBER

MAX_RATIO = 200  # an archive that grows beyond this, and beyond MAX_MEMBER, is not read any further
SMALL = 1 << 20  # bytes that may be inflated before anything is known of them
OVERLAPS = "it reaches into the next member: the archive is damaged or hostile"
GROWS = f"it grows to more than {MAX_RATIO} times its size"

_HEADER = 30  # bytes before a member's name, at least (PKWARE's APPNOTE 4.3.7)


def overlapping(members: Sequence[zipfile.ZipInfo]) -> set[int]:
    """The indices of members that reach into the next one; the others share no bytes."""
    order = sorted(range(len(members)), key=lambda i: members[i].header_offset)
    return {
        one
        for one, following in pairwise(order)
        if members[one].header_offset + _HEADER + members[one].compress_size > members[following].header_offset
    }


def grows(sizes: Iterable[int], archive: int) -> bool:
    """Whether members of these sizes, expanded, are too much for an archive of so many bytes."""
    return sum(sizes) > max(MAX_MEMBER, MAX_RATIO * archive)


def check_start(start: bytes, size: int, *others: bytes) -> None:
    """Raise `ValueError` if a large member begins neither as a picture nor with one of `others`; of others decoding tells."""
    if size > SMALL and not start.startswith(others) and format_of(start[:START]) is None:
        raise ValueError(f"it is not a picture of a known format: it starts with {start[:16]!r}")
