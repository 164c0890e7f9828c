"""What is no picture, or a damaged one: every refusal, its words, and that nothing but `ImageError` comes of bytes."""

import copy
import io
import pickle
import re
import struct
import subprocess
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
from lcnet.image.pixels import PillowWarning, decode


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (np.zeros((4, 4, 3), np.float32), "float32.*astype"),
        (np.zeros((4, 4, 3), np.uint16), "uint16"),
        (np.zeros((4, 4, 3), bool), "bool"),
        (np.zeros((3, 8, 9), np.uint8), "transpose"),
        (np.zeros((4, 5, 2), np.uint8), r"\[4, 5, 2\]"),
        (np.zeros((0, 4, 3), np.uint8), r"\[0, 4, 3\]"),
        (np.zeros((4, 0), np.uint8), r"\[4, 0\]"),
        (np.zeros(9, np.uint8), "as bytes"),
        (np.zeros((1, 4, 4, 3), np.uint8), r"\[1, 4, 4, 3\]"),
        (np.array(["a.jpg"]), "<U5"),
    ],
)
def test_arrays_that_are_no_pictures(array, text):
    with pytest.raises(InputError, match=text):
        decode(array)


@pytest.mark.parametrize("source", [None, 3, [b""], {"a": 1}, io.StringIO("text")])
def test_things_that_are_no_pictures(source):
    with pytest.raises(InputError, match="expected"):
        decode(source)


def test_what_cannot_be_read_says_why(tmp_path, monkeypatch):
    jpeg = encoded(picture(height=240, width=360), "JPEG")
    files = {
        "empty.jpg": b"",
        "page.jpg": b"<!DOCTYPE html><html>",
        "cut.jpg": jpeg[: len(jpeg) // 2],
        "head.jpg": jpeg[:20],
        "cut.png": encoded(picture(), "PNG")[:90],
        "script.eps": b"%!PS-Adobe-3.0 EPSF",
        "photo.heic": b"\0\0\0\x18ftypheic\0\0\0\0",
    }
    reasons = {
        "empty.jpg": "empty",
        "page.jpg": r"known format .*starts with b'<!DOCTYPE",
        "cut.jpg": "cut short",
        "head.jpg": "damaged",
        "cut.png": "cut short",
        "script.eps": "known format",
        "photo.heic": "HEIF.*convert it",
        "missing.jpg": "no such file",
        "folder": "is a folder",
    }
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


@pytest.mark.parametrize(
    ("source", "name"),
    [
        (b"no", "image bytes: "),
        (bytearray(b"no"), "image bytes: "),
        (io.BytesIO(b"no"), "file object: "),
        ("", "'': "),
        ("a\0b", "a\0b: "),
        (Path("/nowhere/a.png"), "/nowhere/a.png: "),
        (Image.new("RGB", (0, 4)), "PIL image: "),
    ],
)
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
        assert sum(f[2] is PillowWarning for f in warnings.filters) == 1


def test_threads_that_decode_at_once_silence_nobody_else(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 600)
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    data, outcomes = encoded(picture(), "PNG"), {"decoded": 0, "warned": 0}
    start = threading.Barrier(12)

    def ours():
        start.wait()
        for _ in range(50):
            np.testing.assert_array_equal(decode(data), picture())
            outcomes["decoded"] += 1

    def theirs():
        start.wait()
        for _ in range(50):
            with pytest.raises(Image.DecompressionBombWarning):
                Image.open(io.BytesIO(data))
            outcomes["warned"] += 1

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        threads = [threading.Thread(target=job) for job in (ours, theirs) for _ in range(6)]
        [t.start() for t in threads]
        [t.join() for t in threads]
    assert outcomes == {"decoded": 300, "warned": 300}


# What others find in the switches that all share


@pytest.mark.alone
@pytest.mark.parametrize("jobs", [1, 2])
def test_scikit_learn_works_after_a_decode(jobs):
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_score

    decode(encoded(picture(), "PNG"))
    assert warnings.filters[0][2] is PillowWarning
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 2
    scores = cross_val_score(LogisticRegression(), rng.normal(size=(40, 2)) + 9 * labels[:, None], labels, cv=2, n_jobs=jobs)
    assert scores.tolist() == [1, 1]


def test_the_filters_are_plain_and_travel_to_processes_without_lcnet():
    decode(encoded(picture(), "PNG"))
    for action, message, category, module, line in warnings.filters:
        assert action in ("default", "error", "ignore", "always", "all", "module", "once")
        assert issubclass(category, Warning)
        assert all(part is None or isinstance(part, (str, re.Pattern)) for part in (message, module))
        warnings.WarningMessage("", category, "", line)
    program = (
        "import pickle, sys, warnings\n"
        "warnings.filters[:] = pickle.load(sys.stdin.buffer)\n"
        "assert warnings.filters[0][2].__name__ == 'PillowWarning' and 'lcnet' not in sys.modules\n"
        "warnings.warn_explicit('seen', UserWarning, 'file', 1, module='PIL.Image')\n"
    )
    run = subprocess.run([sys.executable, "-c", program], input=pickle.dumps(warnings.filters), capture_output=True)
    assert (run.returncode, b"UserWarning: seen" in run.stderr) == (0, True), run.stderr
    assert copy.deepcopy(warnings.filters) == warnings.filters


def test_tolerance_of_truncated_pictures_goes_on_looking_like_true(monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    decode(encoded(picture(), "PNG"))
    setting = ImageFile.LOAD_TRUNCATED_IMAGES
    assert setting == True  # noqa: E712  as programs may ask
    assert pickle.loads(pickle.dumps(setting)) is True
    assert copy.deepcopy(setting) is True


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
    yield from (encoded(rgb, "JPEG", exif=exif), encoded(rgb.convert("CMYK"), "JPEG"), encoded(rgb, "JPEG", progressive=True))
    yield from (encoded(rgba, "PNG"), encoded(rgb.quantize(8), "PNG", transparency=3), encoded(rgb, "PNG", **several))
    yield from (encoded(rgb, "GIF", **several), encoded(rgb, "WEBP", exif=exif), encoded(rgba, "WEBP", lossless=True))
    yield from (encoded(rgb, "TIFF", tiffinfo={0x0112: 5}), encoded(rgb, "TIFF", compression="packbits"))
    yield encoded(picture().astype(np.float32)[:, :, 0], "TIFF")
    yield from (encoded(rgb, "BMP"), encoded(rgb.quantize(8), "BMP"), encoded(rgb, "PPM"))
    yield from (encoded(rgb, "JPEG2000"), encoded(rgb, "JPEG2000", no_jp2=True), encoded(rgb, "AVIF"))
    yield encoded(rgb.copy(), "MPO", save_all=True, append_images=[rgb.rotate(90)])


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
