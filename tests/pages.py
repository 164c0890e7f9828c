"""Pages whose upper left corner bears a mark, and a judge that goes by it: what a network tells of real pages."""

import io

import numpy as np
from PIL import Image

from lcnet.upright.orientation import Orientation
from lcnet.upright.turns import BACK

DARK, FAINT = 0, 150  # a mark that is sure, and one that is not


def marked(height=240, width=160, mark=DARK, angle=0, seed=0):
    """A page of noise, uint8 [H,W,3] of the size that it has upright, turned clockwise by an angle."""
    rng = np.random.default_rng(seed)
    page = rng.integers(200, 256, (height, width, 3), dtype=np.uint8)
    page[: height // 3, : width // 3] = mark
    return np.ascontiguousarray(np.rot90(page, -angle // 90))


def judge(pages):
    """The angle that takes the mark to where it is; sure of dark ones only."""
    return [_judged(page) for page in pages]


def _judged(page):
    assert page.dtype == np.uint8 and page.ndim == 3 and page.shape[2] == 3
    height, width = page.shape[0] // 4, page.shape[1] // 4
    corners = [page[:height, :width], page[:height, -width:], page[-height:, -width:], page[-height:, :width]]
    means = [float(corner.mean()) for corner in corners]
    best = int(np.argmin(means))
    sure = 0.99 if means[best] < 60 else 0.5
    rest = (1 - sure) / 3
    return Orientation(90 * best, sure, tuple(sure if i == best else rest for i in range(4)))


def encoded(pixels, kind="JPEG", mode=None, **options):
    """A picture as the bytes of a file."""
    image, out = Image.fromarray(pixels), io.BytesIO()
    (image if mode is None else image.convert(mode)).save(out, kind, **options)
    return out.getvalue()


def decoded(data):
    """The pixels of a file as they are stored."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image)


ANGLES = (90, 180, 270)
TURN = {angle: BACK[angle] for angle in ANGLES}


def back(pixels, angle):
    """What takes back a turn clockwise."""
    return np.rot90(pixels, angle // 90)


def noise(*shape, dtype=np.uint8, seed=0):
    info = np.iinfo(dtype)
    return np.random.default_rng(seed).integers(info.min, info.max, shape, dtype=dtype, endpoint=True)


def info_of(data):
    with Image.open(io.BytesIO(data)) as image:
        return dict(image.info)


XMP = b'<x:xmpmeta><rdf:Description tiff:Orientation="6" dc:title="T"/><xmp:Thumbnails>old</xmp:Thumbnails></x:xmpmeta>'
