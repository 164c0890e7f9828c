"""Small pictures for tests, and their bytes in any format."""

import io
import struct
import zlib

import numpy as np
from PIL import Image


def picture(channels=3, height=24, width=36, seed=0):
    """uint8 [H,W,C] in blocks of 12 x 12 pixels of one colour, which JPEG nearly keeps."""
    blocks = np.random.default_rng(seed).integers(0, 256, (height // 12, width // 12, channels), dtype=np.uint8)
    return np.ascontiguousarray(blocks.repeat(12, 0).repeat(12, 1))


def encoded(image, format, **options):
    file = io.BytesIO()
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(file, format, **options)
    return file.getvalue()


def png(pixels, depth, colour_type, **chunks):
    """PNG bytes of big-endian samples [H,W] or [H,W,C], for the kinds that Pillow does not write."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], depth, colour_type, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(f">u{depth // 8}").tobytes() for row in pixels)
    extra = b"".join(chunk(kind.encode(), data) for kind, data in chunks.items())
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
