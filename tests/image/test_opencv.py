"""Pictures as PaddlePaddle's programs make them, against OpenCV: bit for bit, for every ISA that this CPU has.

Where there is no OpenCV, scaling is held against its arithmetic in numpy, which is held against OpenCV where there is one.
"""

import io
import math
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import paddleclas
import pytest
from pictures import encoded, picture, png
from PIL import Image

from lcnet import _native
from lcnet.config import Preprocessing, crop_pct_for
from lcnet.errors import InputError
from lcnet.image import batch, decode, normalize, prepare, resize, resize_crop

ISAS = [name for name, supported in _native.isas() if supported]
PADDLE = Preprocessing(interpolation="bilinear", resize="opencv", alpha="drop")
LINE = replace(PADDLE, input_size=(3, 80, 160), crop_pct=1.0, crop_mode="squash")
PHOTOS = Path(__file__).parents[3] / "shared" / "data" / "photos.zip"

needs_cv2 = pytest.mark.skipif(paddleclas.cv2 is None, reason="opencv-python-headless is not installed")


def by_native(pixels, size, box, isa):
    left, top, right, bottom = box
    out = np.full((bottom - top, right - left, pixels.shape[2]), 77, np.uint8)
    _native.resize(pixels, size, box, "opencv_bilinear", out, isa)
    return out


def random_case(rng):
    """Pixels of few or of many values, their new size and a part of it; up and down, halved, flat, tall and unchanged."""
    sides = [int(n) for n in rng.integers(1, rng.choice([2, 4, 20, 100, 400], 4) + 1)]
    (height, width), size = sides[:2], tuple(sides[2:])
    kind = rng.random()
    if kind < 0.1:
        height, width = 2 * size[0], 2 * size[1]
    elif kind < 0.2:
        size = (height if kind < 0.16 else size[0], width if kind > 0.14 else size[1])
    top, bottom = sorted(rng.choice(size[0] + 1, 2, replace=False).tolist())
    left, right = sorted(rng.choice(size[1] + 1, 2, replace=False).tolist())
    shape = (height, width, int(rng.choice([1, 3, 4])))
    extremes = (rng.integers(0, 2, shape) * 255).astype(np.uint8)
    pixels = extremes if rng.random() < 0.3 else rng.integers(0, 256, shape, dtype=np.uint8)
    return pixels, size, (0, 0, *size[::-1]) if rng.random() < 0.3 else (left, top, right, bottom)


@pytest.mark.parametrize("seed", range(4))
def test_every_size_part_and_isa_is_opencvs(seed):
    rng = np.random.default_rng(seed)
    for _ in range(750):
        pixels, size, (left, top, right, bottom) = random_case(rng)
        expected = paddleclas.resized(pixels, *size[::-1])[top:bottom, left:right]
        for isa in ISAS:
            found = by_native(pixels, size, (left, top, right, bottom), isa)
            np.testing.assert_array_equal(found, expected, err_msg=f"{isa} {pixels.shape} to {size}")


@needs_cv2
def test_the_arithmetic_is_opencvs():
    rng = np.random.default_rng(9)
    for _ in range(500):
        pixels, size, _ = random_case(rng)
        np.testing.assert_array_equal(paddleclas.by_numpy(pixels, *size[::-1]), paddleclas.by_cv2(pixels, *size[::-1]))


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((1, 1), (224, 224)),
        ((1, 60000), (3, 7)),
        ((60000, 1), (7, 3)),
        ((3, 2), (1, 40000)),
        ((2, 3), (40000, 1)),
        ((1, 7), (1, 50000)),
        ((4000, 3), (2, 5)),
        ((1500, 2000), (256, 341)),
        ((31, 900), (80, 160)),
        ((512, 512), (256, 256)),
        ((768, 1024), (256, 512)),
    ],
)
def test_threads_of_pixels_and_everyday_sizes_are_opencvs(shape, size):
    for channels in (1, 3, 4):
        pixels = np.random.default_rng(channels).integers(0, 256, (*shape, channels), dtype=np.uint8)
        expected = paddleclas.resized(pixels, *size[::-1])
        for isa in ISAS:
            np.testing.assert_array_equal(by_native(pixels, size, (0, 0, *size[::-1]), isa), expected)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 9])
def test_channels_are_scaled_each_by_itself(channels):
    """OpenCV alone would round the halves of two channels, and of five and more, another way."""
    pixels = np.random.default_rng(channels).integers(0, 256, (30, 40, channels), dtype=np.uint8)
    for size in ((15, 20), (55, 60), (5, 40)):
        expected = np.concatenate([paddleclas.resized(pixels[:, :, c : c + 1].copy(), *size[::-1]) for c in range(channels)], 2)
        np.testing.assert_array_equal(resize(pixels, size, "bilinear", library="opencv"), expected)


def test_a_view_is_scaled_as_its_copy():
    view = picture(seed=1)[::-1, ::2, ::-1]
    expected = paddleclas.resized(view.copy(), 20, 19)
    np.testing.assert_array_equal(resize(view, (19, 20), "bilinear", library="opencv"), expected)


def test_only_the_crop_takes_memory():
    script = (
        "import resource, sys, numpy as np\n"
        "from lcnet.config import Preprocessing\n"
        "from lcnet.image import prepare\n"
        "p = Preprocessing(interpolation='bilinear', resize='opencv')\n"
        "pictures = [np.zeros(s, np.uint8) for s in ((1, 60000, 3), (60000, 1, 3), (1, 1, 3), (1, 10000, 3))]\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == 'darwin' else 2**10)\n"
        "prepare(pictures[2], p); before = peak()\n"
        "for x in pictures: prepare(x, p)\n"
        "print(peak() - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 32  # MiB


@pytest.mark.parametrize(
    ("interpolation", "library", "text"),
    [("bicubic", "opencv", "'bicubic', expected 'bilinear'"), ("bilinear", "opencvs", "did you mean 'opencv'")],
)
def test_what_there_is_not_is_refused(interpolation, library, text):
    with pytest.raises(InputError, match=text):
        resize(picture(), (5, 5), interpolation, library=library)


# The whole way, against PaddleClas's


@pytest.mark.parametrize(("short", "side"), [(256, 224), (300, 224), (233, 224), (97, 80), (64, 64)])
def test_the_shorter_side_and_the_crop_are_paddles(short, side):
    p = replace(PADDLE, input_size=(3, side, side), crop_pct=crop_pct_for(side, short))
    rng = np.random.default_rng(short)
    for _ in range(60):
        pixels = rng.integers(0, 256, (*rng.integers(*rng.choice([(1, 20), (60, 500)]), 2), 3), dtype=np.uint8)
        expected = paddleclas.crop(paddleclas.resize_short(pixels, short), side)
        np.testing.assert_array_equal(resize_crop(pixels, p), expected, err_msg=str(pixels.shape))


@pytest.mark.parametrize(("width", "scaled"), [(66, 116), (70, 122), (74, 130), (78, 136)])
def test_halves_are_rounded_to_even_and_the_smaller_half_is_cut_off_first(width, scaled):
    """At 112 / 64 they are 115.5, 122.5, ... pixels; of an odd remainder timm cuts off the even half."""
    pixels = np.random.default_rng(0).integers(0, 256, (64, width, 3), dtype=np.uint8)
    whole = paddleclas.resized(pixels, scaled, 112)
    np.testing.assert_array_equal(paddleclas.resize_short(pixels, 112), whole)
    p = replace(PADDLE, input_size=(3, 101, 101), crop_pct=crop_pct_for(101, 112))
    left = (scaled - 101) // 2
    np.testing.assert_array_equal(resize_crop(pixels, p), whole[5:106, left : left + 101])


def test_the_stretch_is_paddles():
    rng = np.random.default_rng(0)
    for _ in range(100):
        pixels = rng.integers(0, 256, (*rng.integers(1, rng.choice([20, 300], 2)), 3), dtype=np.uint8)
        np.testing.assert_array_equal(resize_crop(pixels, LINE), paddleclas.resized(pixels, 160, 80))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_the_input_is_paddles(isa, order, monkeypatch):
    monkeypatch.setenv("LCNET_ISA", isa)
    p = replace(PADDLE, channel_order=order)
    pixels = np.random.default_rng(0).integers(0, 256, (333, 301, 3), dtype=np.uint8)
    crop = paddleclas.crop(paddleclas.resize_short(pixels, 256), 224)
    expected = paddleclas.normalized(crop if order == "rgb" else crop[:, :, ::-1], p.mean, p.std)
    found = prepare(pixels, p)
    np.testing.assert_allclose(found, expected, rtol=0, atol=7.2e-7)
    np.testing.assert_array_equal(found, normalize(resize_crop(pixels, p), p))
    padded = Image.fromarray(pixels)  # its memory has four bytes a pixel
    np.testing.assert_array_equal(batch([padded], p)[0], found)


@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_the_surround_is_the_mean_in_either_order(order):
    p = replace(PADDLE, crop_mode="border", crop_pct=1.0, channel_order=order, mean=(0.0, 0.5, 1.0))
    x = prepare(np.full((20, 60, 3), 9, np.uint8), p)
    expected = (np.array([0, 128, 255]) / 255 - p.mean) / p.std
    np.testing.assert_allclose(x[:, 0, 0], expected, atol=1e-6)
    rgb = resize_crop(np.full((20, 60, 3), 9, np.uint8), p)
    assert rgb[0, 0].tolist() == [0, 128, 255][:: 1 if order == "rgb" else -1]
    np.testing.assert_array_equal(normalize(rgb, p), x)


def test_a_share_is_found_for_every_size():
    for scaled in range(1, 1025, 3):
        for side in range(32, 513):
            assert math.floor(side / crop_pct_for(side, scaled)) == scaled
    assert crop_pct_for(224, 256) == 0.875


# Files, as OpenCV decodes them


def photograph(seed=0):
    """uint8 [40,52,3] without edges or flat parts."""
    small = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((52, 40)))


def files():
    """Name and bytes of pictures of every kind that OpenCV and lcnet read alike."""
    rng, soft = np.random.default_rng(1), photograph()
    rgba = rng.integers(0, 256, (40, 52, 4), dtype=np.uint8)
    deep = rng.integers(0, 65536, (40, 52, 4)).astype(np.uint16)
    palette = Image.fromarray(rgba[:, :, :3]).quantize(50)
    yield "jpeg", encoded(soft, "JPEG", quality=80)
    yield "jpeg 4:4:4", encoded(soft, "JPEG", quality=95, subsampling=0)
    yield "progressive jpeg", encoded(soft, "JPEG", progressive=True)
    yield "grey jpeg", encoded(soft[:, :, 0], "JPEG")
    yield "cmyk jpeg", encoded(Image.fromarray(soft).convert("CMYK"), "JPEG", quality=95)
    yield "png", encoded(soft, "PNG")
    yield "png with alpha", encoded(rgba, "PNG")
    yield "grey png with alpha", encoded(Image.fromarray(rgba[:, :, 2:], "LA"), "PNG")
    yield "palette", encoded(palette, "PNG")
    yield "palette with a clear colour", encoded(palette, "PNG", transparency=3)
    yield "a clear colour", encoded(Image.fromarray(rgba[:, :, :3]), "PNG", transparency=tuple(rgba[0, 0, :3].tolist()))
    yield "one bit", encoded(Image.fromarray(soft).convert("1"), "PNG")
    yield "16 bits grey", encoded(Image.fromarray(deep[:, :, 0]), "PNG")
    yield "16 bits grey tiff", encoded(Image.fromarray(deep[:, :, 0]), "TIFF")
    yield "16 bits a channel", png(deep[:, :, :3], 16, 2)
    yield "16 bits a channel with alpha", png(deep, 16, 6)
    yield "webp", encoded(soft, "WEBP", quality=80)
    yield "webp with alpha", encoded(rgba, "WEBP", lossless=True)
    yield "bmp", encoded(rgba[:, :, :3], "BMP")
    yield "cmyk tiff", encoded(Image.fromarray(soft).convert("CMYK"), "TIFF")
    yield "xmp", encoded(Image.fromarray(soft), "JPEG", xmp=b'<x tiff:Orientation="6"/>')


@needs_cv2
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", [name for name, _ in files()])
def test_every_kind_of_file_is_decoded_as_by_opencv(kind):
    data = dict(files())[kind]
    np.testing.assert_array_equal(decode(data, PADDLE), paddleclas.read(data))
    expected = paddleclas.normalized(
        paddleclas.crop(paddleclas.resize_short(paddleclas.read(data), 256), 224), PADDLE.mean, PADDLE.std
    )
    np.testing.assert_allclose(batch([data], PADDLE)[0], expected, rtol=0, atol=7.2e-7)


@needs_cv2
@pytest.mark.parametrize("format", ["JPEG", "PNG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_as_by_opencv(format, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(photograph(), format, exif=exif.tobytes())
    np.testing.assert_array_equal(decode(data, PADDLE), paddleclas.read(data))
    assert decode(data, replace(PADDLE, exif=False)).shape == (40, 52, 3)


@needs_cv2
@pytest.mark.skipif(not PHOTOS.exists(), reason="the sample photographs are not here")
def test_photographs_are_opencvs():
    """Pillow's libjpeg-turbo and OpenCV's decode the same."""
    with zipfile.ZipFile(PHOTOS) as photos:
        for name in photos.namelist()[:20]:
            data = photos.read(name)
            np.testing.assert_array_equal(decode(data, PADDLE), paddleclas.read(data), err_msg=name)


def test_alpha_is_dropped_where_the_model_file_says_so():
    rgba = np.random.default_rng(0).integers(0, 256, (20, 30, 4), dtype=np.uint8)
    for p in (PADDLE, replace(Preprocessing(), alpha="drop")):
        for source in (rgba, encoded(rgba, "PNG"), Image.fromarray(rgba)):
            np.testing.assert_array_equal(decode(source, p), rgba[:, :, :3])
    over_white = decode(rgba, replace(PADDLE, alpha="composite"))
    np.testing.assert_array_equal(over_white, decode(rgba, Preprocessing()))
    assert (over_white != rgba[:, :, :3]).any()
    clear = Image.fromarray(np.full((4, 4, 2), (77, 0), np.uint8), "LA")
    assert (decode(clear, PADDLE) == 77).all()
    assert (decode(Image.fromarray(rgba).convert("RGBa"), PADDLE).shape) == (20, 30, 3)


def test_sixteen_bits_are_scaled_by_pillow_and_cut_by_opencv():
    values = np.array([[0, 127, 128, 255, 256, 40000, 65535]], np.uint16)
    data = encoded(Image.fromarray(values), "PNG")
    assert decode(data, PADDLE)[0, :, 0].tolist() == [0, 0, 0, 0, 1, 156, 255]
    assert decode(data, Preprocessing())[0, :, 0].tolist() == [0, 0, 0, 1, 1, 156, 255]


def test_a_smaller_jpeg_is_decoded_for_opencv_too():
    data = encoded(Image.fromarray(photograph()).resize((1040, 800)), "JPEG")
    exact, fast = (batch([io.BytesIO(data)], PADDLE, fast=fast)[0] for fast in (False, True))
    assert 0 < np.abs(exact - fast).max() < 0.2
