"""A JPEG file as its segments (ITU-T T.81, annex B): what stands before the first scan, and the rest from there on."""

from __future__ import annotations

import re
from typing import NamedTuple

from ..errors import ImageError
from . import metadata
from .turns import LYING, UPRIGHT

APP0, APP1, APP2, APP13, APP14, APP15, COM, SOS, EOI = 0xE0, 0xE1, 0xE2, 0xED, 0xEE, 0xEF, 0xFE, 0xDA, 0xD9
EXIF, XMP, MPF = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"MPF\0"
_WITHOUT_LENGTH = (0x01, *range(0xD0, 0xD8))
# In coded bytes 0 is stuffed behind 255; TEM and restarts have no length.
_MARKER = re.compile(rb"\xff+([^\x00\x01\xff\xd0-\xd7])")
_MOST = 0xFFFF - 2  # bytes of one segment


class Segment(NamedTuple):
    """One segment: its marker's second byte, and what follows its length."""

    marker: int
    payload: bytes

    def encoded(self) -> bytes:
        """Its bytes in the file."""
        return bytes((0xFF, self.marker)) + (len(self.payload) + 2).to_bytes(2, "big") + self.payload


def parted(data: bytes) -> tuple[list[Segment], bytes]:
    """The segments before the first scan, and everything from that scan's marker on. Raises `ImageError`."""
    found: list[Segment] = []
    at = 2
    while True:
        while data[at : at + 2] == b"\xff\xff":
            at += 1
        if data[at : at + 1] != b"\xff" or at + 4 > len(data):
            raise ImageError("its segments are damaged: get it again")
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == SOS:
            return found, data[at:]
        if marker in _WITHOUT_LENGTH:
            at += 2
            continue
        found.append(Segment(marker, data[at + 4 : at + 2 + length]))
        at += 2 + max(length, 2)


def joined(segments: list[Segment], rest: bytes) -> bytes:
    """A file of segments and what follows them."""
    return b"\xff\xd8" + b"".join(segment.encoded() for segment in segments) + rest


def trailer(scans: bytes) -> bytes:
    """What stands behind the end of the picture, such as films of phones, which are found from the end of the file."""
    at = 0
    while (marker := _MARKER.search(scans, at)) and marker[1][0] != EOI:
        at = marker.end() + max(int.from_bytes(scans[marker.end() : marker.end() + 2], "big"), 2)
    return scans[marker.end() :] if marker else b""


def is_said(segment: Segment) -> bool:
    """Whether a segment says something about the picture, instead of how to decode it."""
    return APP0 <= segment.marker <= APP15 or segment.marker == COM


def exif_of(segments: list[Segment]) -> bytes:
    """The EXIF block from its TIFF header on; empty where there is none."""
    return next((s.payload[len(EXIF) :] for s in segments if s.marker == APP1 and s.payload.startswith(EXIF)), b"")


def has_more_pictures(segments: list[Segment]) -> bool:
    """Whether the file says that other pictures follow (CIPA DC-007), by their places in the file."""
    return any(s.marker == APP2 and s.payload.startswith(MPF) for s in segments)


def turned(segments: list[Segment], operation: int) -> list[Segment]:
    """What the segments say of a picture, after an operation on its pixels."""
    lying = operation in LYING
    kept = (_turned(segment, lying) for segment in segments if is_said(segment) and not _is_jfxx(segment))
    return [segment for segment in kept if len(segment.payload) <= _MOST]


def _is_jfxx(segment: Segment) -> bool:
    """An extension of JFIF, which is a thumbnail."""
    return segment.marker == APP0 and segment.payload.startswith(b"JFXX\0")


def _turned(segment: Segment, lying: bool) -> Segment:
    marker, payload = segment
    if marker == APP0 and payload.startswith(b"JFIF\0"):
        return Segment(marker, metadata.jfif(payload, lying))
    if marker == APP1 and payload.startswith(EXIF):
        return Segment(marker, EXIF + metadata.exif(payload[len(EXIF) :], lying))
    if marker == APP1 and payload.startswith(XMP):
        return Segment(marker, metadata.xmp(payload))
    if marker == APP13:
        return Segment(marker, metadata.photoshop(payload, lying))
    return segment


def tagged(segments: list[Segment], orientation: int) -> list[Segment]:
    """The segments with another orientation in EXIF, which is put in where there is none, and in XMP. Raises `Damaged`."""
    block = Segment(APP1, EXIF + metadata.tagged(exif_of(segments), orientation))
    out = [_tagged(segment, block, orientation) for segment in segments]
    if block not in out:
        first = 1 if out and out[0].marker == APP0 else 0
        out.insert(first, block)
    return out


def _tagged(segment: Segment, block: Segment, orientation: int) -> Segment:
    if segment.marker == APP1 and segment.payload.startswith(EXIF):
        return block
    if segment.marker == APP1 and segment.payload.startswith(XMP):
        return Segment(APP1, metadata.xmp(segment.payload, orientation, thumbnails=orientation == UPRIGHT))
    return segment
