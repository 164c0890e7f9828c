"""What is no picture, or a damaged one: every refusal, its words, and that nothing but `ImageError` comes of bytes."""

import io
import struct
import sys
import threading
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from pictures import encoded, picture, png
from PIL import Image, ImageFile

from lcnet.errors import ImageError, InputError
from lcnet.pixels import decode


@pytest.mark.parametrize(("array", "text"), [
    (np.zeros((4, 4, 3), np.float32), "float32.*astype"), (np.zeros((4, 4, 3), np.uint16), "uint16"),
    (np.zeros((4, 4, 3), bool), "bool"), (np.zeros((3, 8, 9), np.uint8), "transpose"),
    (np.zeros((4, 5, 2), np.uint8), r"\[4, 5, 2\]"),
    (np.zeros((0, 4, 3), np.uint8), r"\[0, 4, 3\]"), (np.zeros((4, 0), np.uint8), r"\[4, 0\]"),
    (np.zeros(9, np.uint8), "as bytes"), (np.zeros((1, 4, 4, 3), np.uint8), r"\[1, 4, 4, 3\]"),
    (np.array(["a.jpg"]), "<U5"),
])  # fmt: skip
def test_arrays_that_are_no_pictures(array, text):
    with pytest.raises(InputError, match=text):
        decode(array)


@pytest.mark.parametrize("source", [None, 3, [b""], {"a": 1}, io.StringIO("text")])
def test_things_that_are_no_pictures(source):
    with pytest.raises(InputError, match="expected"):
        decode(source)


def test_what_cannot_be_read_says_why(tmp_path, monkeypatch):
    jpeg = encoded(picture(height=240, width=360), "JPEG")
    files = {"empty.jpg": b"", "page.jpg": b"<!DOCTYPE html><html>", "cut.jpg": jpeg[: len(jpeg) // 2],
             "head.jpg": jpeg[:20], "cut.png": encoded(picture(), "PNG")[:90], "script.eps": b"%!PS-Adobe-3.0 EPSF",
             "photo.heic": b"\0\0\0\x18ftypheic\0\0\0\0"}  # fmt: skip
    reasons = {"empty.jpg": "empty", "page.jpg": r"known format .*starts with b'<!DOCTYPE", "cut.jpg": "cut short",
               "head.jpg": "damaged", "cut.png": "cut short", "script.eps": "known format",
               "photo.heic": "HEIF.*convert it", "missing.jpg": "no such file", "folder": "is a folder"}  # fmt: skip
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.delitem(Image.OPEN, "HEIF", raising=False)
    (tmp_path / "folder").mkdir()
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    for name, reason in reasons.items():
        with pytest.raises(ImageError, match=reason) as caught:
            decode(tmp_path / name)
        assert str(caught.value).startswith(f"{tmp_path / name}: ")


def test_a_file_without_permission(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(ImageError, match=r"a\.jpg: permission denied"):
        decode(tmp_path / "a.jpg")


@pytest.mark.parametrize(("source", "name"), [
    (b"no", "image bytes: "), (bytearray(b"no"), "image bytes: "), (io.BytesIO(b"no"), "file object: "),
    ("", "'': "), ("a\0b", "a\0b: "), (Path("/nowhere/a.png"), "/nowhere/a.png: "),
    (Image.new("RGB", (0, 4)), "PIL image: "),
])  # fmt: skip
def test_errors_name_the_source(source, name):
    with pytest.raises(ImageError) as caught:
        decode(source)
    assert str(caught.value).startswith(name)


def test_a_file_object_that_fails():
    class Broken(io.BytesIO):
        def read(self, *args):
            raise OSError(5, "Input/output error")

    with pytest.raises(ImageError, match="file object: it cannot be read: Input/output error"):
        decode(Broken(b"\xff\xd8\xff"))


def test_a_closed_picture_or_file():
    file = io.BytesIO(encoded(picture(), "PNG"))
    image = Image.open(file)
    file.close()
    for source in (image, file):
        with pytest.raises(ImageError):
            decode(source)


def test_the_pixel_limit_is_checked_by_the_header():
    data = encoded(picture(), "PNG")
    np.testing.assert_array_equal(decode(data, max_pixels=24 * 36), picture())
    with pytest.raises(ImageError, match="36 x 24 pixels, more than max_pixels = 863"):
        decode(data, max_pixels=24 * 36 - 1)
    huge = png(np.zeros((1, 1), np.uint8), 8, 0)
    size = struct.pack(">II", 50000, 50000)
    bomb = huge[:16] + size + huge[24:29] + struct.pack(">I", zlib.crc32(b"IHDR" + size + huge[24:29])) + huge[33:]
    with pytest.raises(ImageError, match="50000 x 50000 pixels, more than"):
        decode(bomb)


def test_pillows_own_limit_holds_too(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 400)
    with pytest.raises(ImageError, match=r"PIL\.Image\.MAX_IMAGE_PIXELS"):
        decode(encoded(picture(), "PNG"))


def test_pillows_warnings_are_silenced_here_and_only_here(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 600)  # 864 pixels: Pillow warns and goes on
    data = encoded(picture(), "PNG")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        decode(data)
        warnings.simplefilter("error")  # in front of the filter that the first call left
        decode(data)
        with pytest.raises(Image.DecompressionBombWarning):
            Image.open(io.BytesIO(data))
        decode(data)
        assert sum(f[3] is not None and type(f[3]).__name__ == "_Decoding" for f in warnings.filters) == 1


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_truncated_pictures_are_refused_in_programs_that_tolerate_them(monkeypatch, format):
    whole = encoded(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8), format)
    cut = whole[: len(whole) // 2]
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    tolerated = []

    class WhileDecoding(io.BytesIO):
        """Has another thread read the same picture with Pillow alone at every read."""

        def read(self, *args):
            thread = threading.Thread(target=lambda: tolerated.append(Image.open(io.BytesIO(cut)).load() is not None))
            thread.start()
            thread.join()
            return super().read(*args)

    with pytest.raises(ImageError, match="damaged or cut short"):
        decode(WhileDecoding(cut))
    assert len(tolerated) > 2
    assert all(tolerated)
    assert Image.open(io.BytesIO(cut)).load() is not None
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", False)
    with pytest.raises((OSError, SyntaxError)):
        Image.open(io.BytesIO(cut)).load()


def seeds():
    rgb, rgba = Image.fromarray(picture()), Image.fromarray(picture(4))
    exif = Image.Exif()
    exif[0x0112] = 6
    several = {"save_all": True, "append_images": [rgb.rotate(90)]}
    yield from (
        encoded(rgb, "JPEG", exif=exif),
        encoded(rgb.convert("CMYK"), "JPEG"),
        encoded(rgb, "JPEG", progressive=True),
    )
    yield from (encoded(rgba, "PNG"), encoded(rgb.quantize(8), "PNG", transparency=3), encoded(rgb, "PNG", **several))
    yield from (encoded(rgb, "GIF", **several), encoded(rgb, "WEBP", exif=exif), encoded(rgba, "WEBP", lossless=True))
    yield from (encoded(rgb, "TIFF", tiffinfo={0x0112: 5}), encoded(rgb, "TIFF", compression="packbits"))
    yield encoded(picture().astype(np.float32)[:, :, 0], "TIFF")
    yield from (encoded(rgb, "BMP"), encoded(rgb.quantize(8), "BMP"), encoded(rgb, "PPM"))


def mutated(data, rng):
    damaged = bytearray(data)
    kind = rng.integers(4)
    if kind == 0:
        return bytes(damaged[: rng.integers(len(damaged))])
    if kind == 1:
        start, stop = sorted(rng.integers(0, len(damaged), 2))
        damaged[start:stop] = b""
        return bytes(damaged)
    for _ in range(rng.integers(1, 6)):
        at = rng.integers(min(len(damaged), 80) if kind == 2 else len(damaged))
        damaged[at] = rng.choice([0, 1, 127, 128, 255, rng.integers(256)])
    return bytes(damaged)


def test_hostile_bytes_raise_image_errors_or_give_pixels():
    rng = np.random.default_rng(20)
    results = {"pixels": 0, "refused": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for data in seeds():
            decode(data)
            for _ in range(100):
                try:
                    pixels = decode(mutated(data, rng), max_pixels=1 << 22)
                except ImageError as error:
                    assert str(error).startswith("image bytes: ")
                    results["refused"] += 1
                else:
                    assert (pixels.dtype, pixels.ndim, pixels.shape[2]) == (np.uint8, 3, 3)
                    results["pixels"] += 1
    assert min(results.values()) > 300
