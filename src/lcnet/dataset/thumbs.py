"""How alike two pictures are by their pixels, made small: what confirms that two with nearly equal hashes are copies.

A thumbnail is 32 x 32 levels of brightness and 8 x 8 colours, whatever the shape of the picture. The similarity is the
correlation of the brightness, -1 to 1, so that brighter and darker copies are copies; pictures of the same shapes in other
colours are none, grey copies are. Of two that do not lie on each other, each is tried as a part that was cut out of the other.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..image import resize

SIDE, COLORS = 32, 8
THUMB = SIDE * SIDE + 2 * COLORS * COLORS  # bytes

ENOUGH = 72  # pixels a side of what is left of a large picture before anything is computed
_GRAY = 8.0  # root mean square of colour below which a picture has none
_SAME_COLORS = 0.8  # cosine
_WEIGHTS = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
_CHUNK = 4096  # pairs at a time
_HOPE = 0.85  # correlation at a quarter of the pixels


def reduced(pixels: np.ndarray) -> np.ndarray:
    """A large picture, uint8 [H,W,C], at 72 x 72; a small one as it is."""
    return resize(pixels, (ENOUGH, ENOUGH), "bilinear") if min(pixels.shape[:2]) >= 2 * ENOUGH else pixels


def gray(pixels: np.ndarray) -> np.ndarray:
    """Brightness: float32 [H,W]; of other than three channels the mean."""
    return pixels @ _WEIGHTS if pixels.shape[2] == 3 else pixels.mean(2, dtype=np.float32)


def thumb(pixels: np.ndarray) -> bytes:
    """The thumbnail of uint8 [H,W,C]: `THUMB` bytes."""
    levels = np.rint(gray(resize(pixels, (SIDE, SIDE), "bilinear"))).astype(np.uint8)
    if pixels.shape[2] != 3:
        return levels.tobytes() + bytes([128]) * (2 * COLORS * COLORS)
    few = resize(pixels, (COLORS, COLORS), "bilinear").astype(np.float32)
    colors = few[:, :, ::2] - gray(few)[:, :, None]  # red and blue
    return levels.tobytes() + np.clip(np.rint(128 + colors.transpose(2, 0, 1) / 2), 0, 255).astype(np.uint8).tobytes()


def similarities(left: np.ndarray, right: np.ndarray, mirrored: bool = False) -> np.ndarray:
    """How alike pairs of thumbnails are that lie on each other: uint8 [N,THUMB] twice to float32 [N]; 0 for other colours.

    mirrored: the right ones from right to left.
    """
    found = [_similar(left[i : i + _CHUNK], right[i : i + _CHUNK], mirrored) for i in range(0, len(left), _CHUNK)]
    return np.concatenate(found) if found else np.zeros(0, np.float32)


def _similar(left: np.ndarray, right: np.ndarray, mirrored: bool) -> np.ndarray:
    a, b = _levels(left), _levels(right)
    c, d = _colors(left), _colors(right)
    if mirrored:
        b, d = b[:, :, ::-1], d[:, :, :, ::-1]
    same = _cosines(c, d, _GRAY * c[0].size ** 0.5 / 2, 1)
    return np.where(same < _SAME_COLORS, 0, _cosines(_centered(a), _centered(b), 1e-3, 0))


def _cosines(a: np.ndarray, b: np.ndarray, least: float, short: float) -> np.ndarray:
    """Of pairs of rows; `short` where either is shorter than `least`."""
    a, b = a.reshape(len(a), -1), b.reshape(len(b), -1)
    lengths = np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1)
    flat = (lengths[0] < least) | (lengths[1] < least)
    return np.where(flat, short, np.einsum("ij,ij->i", a, b) / np.maximum(lengths[0] * lengths[1], 1e-9))


def _levels(rows: np.ndarray) -> np.ndarray:
    return rows[:, : SIDE * SIDE].astype(np.float32).reshape(-1, SIDE, SIDE)


def _colors(rows: np.ndarray) -> np.ndarray:
    return rows[:, SIDE * SIDE :].astype(np.float32).reshape(-1, 2, COLORS, COLORS) - 128


def _centered(levels: np.ndarray) -> np.ndarray:
    return levels - levels.mean((1, 2), keepdims=True)


def as_part(left: np.ndarray, right: np.ndarray, outer: np.ndarray, inner: np.ndarray) -> float:
    """How alike two are where one was cut out of the other: uint8 [THUMB] twice, and height and width of their pictures.

    First at a quarter of the pixels, and then only if that leaves hope.
    """
    a, b = _levels(left[None])[0], _levels(right[None])[0]
    for side in (SIDE // 2, SIDE):
        c, d = _pooled(a, side), _pooled(b, side)
        found = max(_inside(c, d, outer, inner), _inside(d, c, inner, outer))
        if found < _HOPE:
            break
    return found


def _pooled(levels: np.ndarray, side: int) -> np.ndarray:
    return levels.reshape(side, SIDE // side, side, SIDE // side).mean((1, 3))


def _inside(whole: np.ndarray, part: np.ndarray, outer: np.ndarray, inner: np.ndarray) -> float:
    """The best correlation of a part, wherever it lies and however much of the whole it is; the shapes tell its sides."""
    ratio, side, best = float(inner[0] * outer[1]) / float(inner[1] * outer[0]), len(whole), 0.0
    for width in range(side, side // 2 - 1, -1):
        height = round(width * ratio)
        if side // 2 <= height <= side:
            best = max(best, _slid(whole, _scaled(part, height, width)))
    return best


def _scaled(levels: np.ndarray, height: int, width: int) -> np.ndarray:
    return resize(levels[:, :, None].astype(np.uint8), (height, width), "bilinear")[:, :, 0].astype(np.float32)


def _slid(whole: np.ndarray, part: np.ndarray) -> float:
    part = part - part.mean()
    windows = sliding_window_view(whole, part.shape).reshape(-1, part.size)
    spread = np.sqrt(np.maximum(np.square(windows).sum(1) - windows.sum(1) ** 2 / part.size, 0))
    lengths = spread * np.linalg.norm(part)
    return float(np.max(windows @ part.reshape(-1) / np.maximum(lengths, part.size)))
