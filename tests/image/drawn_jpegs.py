"""JPEG files of every sampling, and what Pillow makes of them, for `test_jpeg`."""

import io

import numpy as np
from pictures import encoded
from PIL import Image


def drawn(width, height, seed=0, noise=20):
    """uint8 [H,W,3]: soft colours and noise."""
    rng = np.random.default_rng(seed)
    few = rng.integers(0, 256, (height // 8 + 2, width // 8 + 2, 3), dtype=np.uint8)
    soft = np.asarray(Image.fromarray(few).resize((width, height), Image.Resampling.BICUBIC)).astype(np.int16)
    return np.clip(soft + rng.integers(-noise, noise + 1, soft.shape), 0, 255).astype(np.uint8)


def saved(image, sampling, **options):
    """JPEG bytes. 4:4:0 is not Pillow's to write: units of 4:2:2 are called such, one block wide and two high."""
    if sampling == "grey":
        return encoded(image[:, :, 0], "JPEG", **options)
    data = encoded(image, "JPEG", subsampling=sampling if sampling != "4:4:0" else "4:2:2", **options)
    return with_frame(data, -(-image.shape[1] // 16) * 8, -(-image.shape[0] // 8) * 16, 0x12) if sampling == "4:4:0" else data


def with_frame(data, width, height, factors):
    at = data.index(b"\xff\xc0")
    return (
        data[: at + 5]
        + height.to_bytes(2, "big")
        + width.to_bytes(2, "big")
        + data[at + 9 : at + 11]
        + bytes([factors])
        + data[at + 12 :]
    )


def by_pillow(data):
    image = np.asarray(Image.open(io.BytesIO(data)))
    return image if image.ndim == 3 else image[:, :, None]
