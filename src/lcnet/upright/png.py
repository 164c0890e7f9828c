"""PNG files turned exactly (ISO/IEC 15948): samples of any depth and kind, and every chunk that says something of them.

Pillow takes off compression, filters and interlacing; where its own pixels would be less than those of the file (16 bits of
several channels), it is shown the same bytes as another kind of pixels. What is written is not interlaced.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ..errors import ImageError
from ..image.pixels import quiet_and_strict
from ..image.reading import opened
from . import metadata
from .turns import LYING, UPRIGHT, applied, both

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
BAND = 1 << 24  # bytes that are filtered at once


class Chunk(NamedTuple):
    """One chunk: its name, and its data."""

    name: bytes
    data: bytes

    def encoded(self) -> bytes:
        """Its bytes in the file."""
        crc = zlib.crc32(self.name + self.data)
        return struct.pack(">I", len(self.data)) + self.name + self.data + struct.pack(">I", crc)


def turn(data: bytes, back: int) -> tuple[bytes, str]:
    """Turn a file, seen as its EXIF says, by an operation; returns it and how that was done. Raises `ImageError`."""
    chunks = list(_chunks(data))
    names = [chunk.name for chunk in chunks]
    if names[0] != b"IHDR" or b"IDAT" not in names:
        raise ImageError("its chunks are damaged: get it again")
    operation = both(_orientation(data), back)
    depth, colour = chunks[0].data[8:10]
    samples = applied(_samples(data, depth, colour), operation)
    header = struct.pack(">IIBBBBB", samples.shape[1], samples.shape[0], depth, colour, 0, 0, 0)
    pixels = Chunk(b"IDAT", _compressed(_rows(samples, depth), depth * CHANNELS[colour]))
    out = [Chunk(b"IHDR", header)]
    for name, body in chunks[1:]:
        if name != b"IDAT":
            out.append(_turned(Chunk(name, body), operation in LYING))
        elif pixels not in out:
            out.append(pixels)
    return SIGNATURE + b"".join(chunk.encoded() for chunk in out), "exact"


def _chunks(data: bytes) -> Iterator[Chunk]:
    at = len(SIGNATURE)
    while at + 12 <= len(data):
        (size,) = struct.unpack_from(">I", data, at)
        chunk = Chunk(data[at + 4 : at + 8], data[at + 8 : at + 8 + size])
        yield chunk
        if chunk.name == b"IEND":
            return
        at += 12 + size
    raise ImageError("it is cut short: get it again")


def _orientation(data: bytes) -> int:
    from .jpeg import orientation_of

    return orientation_of(data)


def _turned(chunk: Chunk, lying: bool) -> Chunk:
    name, body = chunk
    if name == b"eXIf":
        return Chunk(name, metadata.exif(body, lying, UPRIGHT))
    if name == b"pHYs" and len(body) == 9 and lying:
        return Chunk(name, body[4:8] + body[:4] + body[8:])
    if name == b"iTXt" and body.startswith(b"XML:com.adobe.xmp\0\0"):  # not compressed
        return Chunk(name, metadata.xmp(body))
    return chunk


def _samples(data: bytes, depth: int, colour: int) -> np.ndarray:
    """What the file has of each pixel: uint8 [H,W] below 8 bits, otherwise its bytes, uint8 [H,W,bytes]."""
    if depth < 8:
        pixels = _decoded(data)
        mode = {"1": 255, "L": 255 // (2**depth - 1), "P": 1}  # what Pillow makes of a sample of 1
        kind = "P" if colour == 3 else "1" if depth == 1 else "L"
        return pixels // np.uint8(mode[kind]) if kind != "1" else pixels.astype(np.uint8) // 255
    if depth == 8:
        pixels = _decoded(data)
        return pixels.reshape(*pixels.shape[:2], -1)
    if colour in (2, 6):
        high, low = (_decoded(data, f"{'RGB' if colour == 2 else 'RGBA'};16{end}") for end in "BL")
        return np.stack([high, low], axis=3).reshape(*high.shape[:2], -1)
    return _decoded(_as(data, {0: 4, 4: 6}[colour]))  # two channels of 8 bits, and four, have as many bytes


def _as(data: bytes, colour: int) -> bytes:
    """The file with its header saying 8 bits of another colour type."""
    header = Chunk(b"IHDR", data[16:24] + bytes((8, colour)) + data[26:29])
    kept = b"".join(chunk.encoded() for chunk in _chunks(data) if chunk.name in (b"IDAT", b"IEND"))
    return SIGNATURE + header.encoded() + kept


def _decoded(data: bytes, rawmode: str | None = None) -> np.ndarray:
    """Pillow's pixels. rawmode: how it takes the bytes of a pixel."""
    with quiet_and_strict(1 << 62), opened(data) as image:
        if rawmode is not None:
            image.tile = [tile._replace(args=rawmode) for tile in image.tile]  # type: ignore[attr-defined]
        image.load()
        if image.mode == "1":
            return np.asarray(image.convert("L"))
        return np.asarray(image)


def _rows(samples: np.ndarray, depth: int) -> np.ndarray:
    """The bytes of each row, uint8 [H,bytes]."""
    return packed(samples, depth) if depth < 8 else samples.reshape(len(samples), -1)


def packed(samples: np.ndarray, depth: int) -> np.ndarray:
    """Samples below 8 bits, uint8 [H,W], put into bytes with the first in the highest bits: uint8 [H,bytes]."""
    each = 8 // depth
    padded = np.pad(samples, ((0, 0), (0, -samples.shape[1] % each))).reshape(len(samples), -1, each)
    shifts = np.arange(8 - depth, -1, -depth, dtype=np.uint8)
    return np.asarray(np.bitwise_or.reduce(padded << shifts, axis=2), np.uint8)


def unpacked(rows: np.ndarray, depth: int, width: int) -> np.ndarray:
    """The samples of rows of bytes, uint8 [H,width]."""
    shifts = np.arange(8 - depth, -1, -depth, dtype=np.uint8)
    samples: np.ndarray = rows[:, :, None] >> shifts & np.uint8(2**depth - 1)
    return samples.reshape(len(rows), -1)[:, :width]


def _compressed(rows: np.ndarray, bits: int) -> bytes:
    """Rows filtered and deflated, a band of them at a time."""
    squeeze, out = zlib.compressobj(6), io.BytesIO()
    step = max(1, BAND // max(rows.shape[1], 1))
    for first in range(0, len(rows), step):
        above = rows[first - 1] if first else np.zeros_like(rows[0])
        out.write(squeeze.compress(_filtered(rows[first : first + step], above, max(bits // 8, 1), bits < 8)))
    out.write(squeeze.flush())
    return out.getvalue()


def _filtered(rows: np.ndarray, above: np.ndarray, distance: int, plain: bool) -> bytes:
    """Each row by the filter whose differences are smallest (ISO/IEC 15948, 12.8), behind its number."""
    up = np.concatenate([above[None], rows[:-1]])
    left, corner = (np.pad(part, ((0, 0), (distance, 0)))[:, : rows.shape[1]] for part in (rows, up))
    choices = [rows] if plain else [rows, rows - left, rows - up, rows - _mean(left, up), rows - _paeth(left, up, corner)]
    costs = np.stack([np.abs(choice.view(np.int8).astype(np.int16)).sum(axis=1) for choice in choices])
    best = costs.argmin(axis=0).astype(np.uint8)
    chosen = np.choose(best[:, None], choices)
    done: bytes = np.concatenate([best[:, None], chosen], axis=1).tobytes()
    return done


def _mean(left: np.ndarray, up: np.ndarray) -> np.ndarray:
    return np.asarray((left.astype(np.uint16) + up) >> 1, np.uint8)


def _paeth(left: np.ndarray, up: np.ndarray, corner: np.ndarray) -> np.ndarray:
    a, b, c = (part.astype(np.int16) for part in (left, up, corner))
    to_a, to_b, to_c = np.abs(b - c), np.abs(a - c), np.abs(a + b - 2 * c)
    return np.asarray(np.where((to_a <= to_b) & (to_a <= to_c), left, np.where(to_b <= to_c, up, corner)))
