"""What a file says of its picture beside the pixels, put right after these have been turned: EXIF, JFIF, XMP, Photoshop's.

The orientation becomes "upright", or what it is asked to be; resolutions of the two axes change places with the axes; small
copies of the picture (thumbnails) are taken out, for they would lie the old way. All else stays where and what it is.
"""

from __future__ import annotations

import re
import struct
from contextlib import suppress

from .ifd import LONG, SHORT, Damaged, Directories, Entry
from .turns import UPRIGHT

ORIENTATION, X_RESOLUTION, Y_RESOLUTION, EXIF_IFD = 0x0112, 0x011A, 0x011B, 0x8769
PIXEL_X, PIXEL_Y, THUMBNAIL, THUMBNAIL_BYTES = 0xA002, 0xA003, 0x0201, 0x0202
_XMP_ORIENTATION = re.compile(rb"""(tiff:Orientation\s*(?:=\s*["']|>)\s*)([1-8])""")
_XMP_THUMBNAILS = re.compile(rb"<xmp:Thumbnails\b.*?</xmp:Thumbnails>", re.DOTALL)
_PHOTOSHOP = b"Photoshop 3.0\0"
_RESOLUTION_INFO, _THUMBNAILS = 1005, (1033, 1036)  # Photoshop's resources


def exif(block: bytes, lying: bool, orientation: int = UPRIGHT) -> bytes:
    """An EXIF block (from its TIFF header on) after the turn; one that is damaged stays as it is."""
    try:
        return _exif(Directories(block), lying, orientation)
    except Damaged:
        return block


def _exif(block: Directories, lying: bool, orientation: int) -> bytes:
    first = next(block.chain(), 0)
    fields = block.entries(first) if first else {}
    if ORIENTATION in fields:
        set_orientation(block, fields[ORIENTATION], orientation)
    elif orientation != UPRIGHT:
        _with_orientation(block, first, fields, orientation)
    if lying:
        swap(block, fields, X_RESOLUTION, Y_RESOLUTION)
        with suppress(Damaged):
            at = block.numbers(fields.get(EXIF_IFD), (0,))[0]
            swap(block, block.entries(at) if at else {}, PIXEL_X, PIXEL_Y)
    if first:
        _drop_thumbnail(block, first)
    return bytes(block.data)


def tagged(block: bytes, orientation: int) -> bytes:
    """An EXIF block that says another orientation and nothing else; made new where there is none. Raises `Damaged`."""
    if not block:
        return struct.pack(">2sHIHHHIHHI", b"MM", 42, 8, 1, ORIENTATION, SHORT, 1, orientation, 0, 0)
    directories = Directories(block)
    first = next(directories.chain(), 0)
    fields = directories.entries(first) if first else {}
    if ORIENTATION in fields:
        set_orientation(directories, fields[ORIENTATION], orientation)
    else:
        _with_orientation(directories, first, fields, orientation)
    return bytes(directories.data)


def set_orientation(block: Directories, field: Entry, orientation: int) -> None:
    """Change the value of an orientation field where it is."""
    block.put("I" if field.kind == LONG else "H", field.at, orientation)


def _with_orientation(block: Directories, first: int, fields: dict[int, Entry], orientation: int) -> None:
    """A first directory that has one field more, at the end; the old one is no longer pointed to."""
    rows = block.copied(fields)
    following = block.number(block.offset, block.after(first)) if first else 0
    at = block.add_directory([*rows, block.field(ORIENTATION, orientation)], following)
    block.put(block.offset, block.first, at)


def swap(block: Directories, fields: dict[int, Entry], one: int, other: int) -> None:
    """Let two fields change their values, with type and count."""
    if one not in fields or other not in fields:
        return
    a, b, size = fields[one].at - block.inline - 2, fields[other].at - block.inline - 2, 2 * block.inline + 2
    data = block.data
    data[a : a + size], data[b : b + size] = data[b : b + size], data[a : a + size]


def _drop_thumbnail(block: Directories, first: int) -> None:
    """The second directory is the thumbnail's (EXIF 2.32, 4.5.5): its picture is blanked, and nothing leads to it any more."""
    following = block.after(first)
    second = block.number(block.offset, following)
    if not second:
        return
    block.put(block.offset, following, 0)
    with suppress(Damaged):
        fields = block.entries(second)
        at = block.numbers(fields.get(THUMBNAIL), (0,))[0]
        size = block.numbers(fields.get(THUMBNAIL_BYTES), (0,))[0]
        if 0 < at < at + size <= len(block.data):
            block.data[at : at + size] = bytes(size)


def xmp(packet: bytes, orientation: int = UPRIGHT, thumbnails: bool = True) -> bytes:
    """An XMP packet after the turn, of the same length."""
    packet = _XMP_ORIENTATION.sub(lambda match: match[1] + str(orientation).encode(), packet)
    return _XMP_THUMBNAILS.sub(lambda match: b" " * len(match[0]), packet) if thumbnails else packet


def jfif(payload: bytes, lying: bool) -> bytes:
    """A JFIF segment after the turn: without thumbnail."""
    if len(payload) < 14:
        return payload
    head, x, y = payload[:8], payload[8:10], payload[10:12]
    return head + (y + x if lying else x + y) + b"\0\0"


def photoshop(payload: bytes, lying: bool) -> bytes:
    """Photoshop's resources (APP13) after the turn; what cannot be taken apart stays as it is."""
    if not payload.startswith(_PHOTOSHOP):
        return payload
    out, at = bytearray(_PHOTOSHOP), len(_PHOTOSHOP)
    while payload[at : at + 4] == b"8BIM" and len(payload) >= at + 12:
        name_end = at + 6 + (payload[at + 6] // 2 + 1) * 2
        kind, size = struct.unpack_from(">H", payload, at + 4)[0], payload[name_end : name_end + 4]
        start = name_end + 4
        length = int.from_bytes(size, "big") if len(size) == 4 else len(payload)
        if start + length > len(payload):
            return payload
        body, end = payload[start : start + length], start + length + length % 2
        if kind == _RESOLUTION_INFO and lying and length >= 16:
            body = body[8:16] + body[:8] + body[16:]
        if kind not in _THUMBNAILS:
            out += payload[at:start] + body + payload[start + length : end]
        at = end
    return bytes(out + payload[at:])
