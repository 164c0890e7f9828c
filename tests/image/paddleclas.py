"""What PaddleClas and PaddleX do to a picture, written down from their code with OpenCV, or with numpy where there is none."""

import numpy as np

try:
    import cv2

    cv2.setNumThreads(1)
except ImportError:  # a test-only peer
    cv2 = None


def positions(there, here):
    """Along one axis: the first of two pixels, int [here], and how far it is to the next, float32 [here]."""
    scale = 1.0 / (here / there)
    at = ((np.arange(here) + 0.5) * scale - 0.5).astype(np.float32)
    first = np.floor(at)
    return first.astype(np.int64), at - first


def coefficients(rest):
    """Two of 11 bits, int [n]."""
    return tuple(np.rint(part * np.float32(2048)).astype(np.int64) for part in (np.float32(1) - rest, rest))


def by_numpy(pixels, width, height):
    """OpenCV's fixed-point INTER_LINEAR of whole pictures: uint8 [H,W,C] to uint8 [height,width,C]."""
    last_y, last_x = (n - 1 for n in pixels.shape[:2])
    first, rest = positions(last_x + 1, width)
    rest[(first < 0) | (first >= last_x)] = 0
    left, (k0, k1) = np.clip(first, 0, last_x), (k[:, None] for k in coefficients(rest))
    wide = pixels[:, left].astype(np.int64) * k0 + pixels[:, np.minimum(left + 1, last_x)].astype(np.int64) * k1
    first, rest = positions(last_y + 1, height)
    k0, k1 = (k[:, None, None] for k in coefficients(rest))
    upper, lower = (wide[np.clip(y, 0, last_y)] >> 4 for y in (first, first + 1))
    return ((((k0 * upper) >> 16) + ((k1 * lower) >> 16) + 2) >> 2).astype(np.uint8)


def by_cv2(pixels, width, height):
    """The same by OpenCV itself."""
    return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR).reshape(height, width, -1)


resized = by_cv2 if cv2 else by_numpy


def read(data):
    """The bytes of a file to uint8 [H,W,3] RGB, as `cv2.imread` and the change of colours that follow it."""
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def resize_short(pixels, size):
    """PaddleClas's ResizeImage(resize_short=...), PaddleX's ResizeByShort."""
    h, w = pixels.shape[:2]
    percent = float(size) / min(w, h)
    return resized(pixels, round(w * percent), round(h * percent))


def crop(pixels, size):
    """PaddleClas's CropImage."""
    w, h = (size, size) if isinstance(size, int) else size
    img_h, img_w = pixels.shape[:2]
    w_start, h_start = (img_w - w) // 2, (img_h - h) // 2
    out = pixels[h_start : h_start + h, w_start : w_start + w, :]
    if out.shape[:2] != (h, w):
        raise ValueError("the image is smaller than the crop")
    return out


def normalized(pixels, mean, std):
    """PaddleClas's NormalizeImage and ToCHWImage: float32 [C,H,W]."""
    mean, std = (np.array(values).reshape((1, 1, 3)).astype("float32") for values in (mean, std))
    return ((pixels.astype("float32") * np.float32(1.0 / 255.0) - mean) / std).transpose((2, 0, 1))
