"""Scaling by the native core against Pillow's own, bit for bit, for every ISA that this CPU has."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from lcnet import _native
from lcnet.config import INTERPOLATIONS, Preprocessing
from lcnet.errors import InputError
from lcnet.image import MAX_SIDE, normalize, prepare, resize, resize_crop

ISAS = [name for name, supported in _native.isas() if supported]
PICTURE = np.random.default_rng(0).integers(0, 256, (37, 53, 3), dtype=np.uint8)


def by_pillow(pixels, size, interpolation, box):
    """uint8 [H,W,C] by Pillow, each channel by itself unless there are three."""
    bands = [pixels] if pixels.shape[2] == 3 else [pixels[:, :, c] for c in range(pixels.shape[2])]
    filter_ = Image.Resampling[interpolation.upper()]
    scaled = [np.asarray(Image.fromarray(band).resize(size[::-1], filter_).crop(box)) for band in bands]
    return scaled[0] if pixels.shape[2] == 3 else np.stack(scaled, axis=2)


def by_native(pixels, size, interpolation, box, isa):
    left, top, right, bottom = box
    out = np.full((bottom - top, right - left, pixels.shape[2]), 77, np.uint8)
    _native.resize(pixels, size, box, interpolation, out, isa)
    return out


def random_case(rng):
    """Pixels of few or of many values, their new size and a part of it; up and down, flat, tall and unchanged."""
    height, width = (int(n) for n in rng.integers(1, rng.choice([4, 20, 100, 300], 2) + 1))
    new_height, new_width = (int(n) for n in rng.integers(1, rng.choice([4, 20, 100, 300], 2) + 1))
    size = (height if rng.random() < 0.1 else new_height, width if rng.random() < 0.1 else new_width)
    top, bottom = sorted(rng.choice(size[0] + 1, 2, replace=False).tolist())
    left, right = sorted(rng.choice(size[1] + 1, 2, replace=False).tolist())
    shape = (height, width, int(rng.choice([1, 3])))
    extremes = (rng.integers(0, 2, shape) * 255).astype(np.uint8)  # where overshoots are clamped
    pixels = extremes if rng.random() < 0.5 else rng.integers(0, 256, shape, dtype=np.uint8)
    return pixels, size, (0, 0, *size[::-1]) if rng.random() < 0.3 else (left, top, right, bottom)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_every_size_part_and_isa_is_pillows(interpolation):
    rng = np.random.default_rng(INTERPOLATIONS.index(interpolation))
    for _ in range(600):
        pixels, size, box = random_case(rng)
        expected = by_pillow(pixels, size, interpolation, box)
        for isa in ISAS:
            found = by_native(pixels, size, interpolation, box, isa)
            np.testing.assert_array_equal(found, expected, err_msg=f"{isa} {pixels.shape} to {size}, {box}")


def test_the_axis_that_goes_first_is_pillows():
    """Pillow 13 goes down first where that loses more than twice as many rows as the other axis loses columns."""
    rng = np.random.default_rng(0)
    for _ in range(400):
        width, height, new_width = (int(n) for n in rng.integers(2, 80, 3))
        new_height = max(1, height - 2 * (width - new_width) + int(rng.integers(-2, 3)))
        pixels, box = rng.integers(0, 256, (height, width, 3), dtype=np.uint8), (0, 0, new_width, new_height)
        expected = by_pillow(pixels, (new_height, new_width), "bicubic", box)
        np.testing.assert_array_equal(resize(pixels, (new_height, new_width)), expected)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize(
    ("shape", "size"),
    [((375, 500, 3), (256, 341)), ((1500, 2000, 3), (256, 341)), ((3000, 700, 1), (300, 70)), ((64, 64, 3), (900, 900))],
)
def test_pictures_of_everyday_size_are_pillows(interpolation, shape, size):
    pixels = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    box = (size[1] // 8, size[0] // 8, size[1] - size[1] // 8, size[0] - 1)
    expected = by_pillow(pixels, size, interpolation, box)
    for isa in ISAS:
        np.testing.assert_array_equal(by_native(pixels, size, interpolation, box, isa), expected)
    np.testing.assert_array_equal(resize(pixels, size, interpolation, box), expected)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 9])
@pytest.mark.parametrize("interpolation", ["nearest", "lanczos"])
def test_channels_are_scaled_each_by_itself(channels, interpolation):
    pixels = np.random.default_rng(channels).integers(0, 256, (30, 41, channels), dtype=np.uint8)
    for size in ((17, 23), (55, 60), (5, 41)):
        box = (1, 2, size[1], size[0])
        np.testing.assert_array_equal(resize(pixels, size, interpolation, box), by_pillow(pixels, size, interpolation, box))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_the_input_is_the_normalized_crop(channels, isa, monkeypatch):
    monkeypatch.setenv("LCNET_ISA", isa)
    rng = np.random.default_rng(channels)
    for crop_mode in ("center", "squash", "border"):
        for interpolation in INTERPOLATIONS:
            mean, std = (tuple(rng.uniform(0.1, 0.9, channels).tolist()) for _ in range(2))
            p = Preprocessing((channels, 33, 45), interpolation, rng.uniform(0.5, 1.5), crop_mode, mean, std)
            pixels = rng.integers(0, 256, (*rng.integers(20, 90, 2), channels), dtype=np.uint8)
            expected = normalize(resize_crop(pixels, p), p)
            np.testing.assert_array_equal(prepare(pixels, p).view(np.int32), expected.view(np.int32))


def test_views_are_scaled_as_their_copies():
    view = PICTURE[::-1, ::2, ::-1]
    np.testing.assert_array_equal(resize(view, (20, 20)), resize(view.copy(), (20, 20)))
    wide = PICTURE[:, 10:30]
    np.testing.assert_array_equal(resize(wide, (20, 20)), resize(wide.copy(), (20, 20)))


@pytest.mark.parametrize("shape", [(1, 10000), (10000, 1), (1, 1)])
def test_threads_of_pixels_are_scaled_as_by_pillow(shape):
    """One pixel made wider is copied, so the other axis by itself says what Pillow would make of the whole."""
    pixels = np.random.default_rng(2).integers(0, 256, (*shape, 3), dtype=np.uint8)
    longer = 256 * max(shape) // min(shape)
    start = round((longer - 224) / 2)
    size = (longer, 1) if shape[0] > shape[1] else (1, longer) if shape[1] > shape[0] else (256, 256)
    top, left = (start if n == longer else 0 for n in size)
    box = (left, top, min(left + 224, size[1]), min(top + 224, size[0]))
    expected = np.broadcast_to(by_pillow(pixels, size, "bicubic", box), (224, 224, 3))
    np.testing.assert_array_equal(resize_crop(pixels), expected)


def test_threads_of_pixels_need_little_memory():
    """Whole scaled pictures would take up to 12 GB: what is needed is the picture, the crop and its coefficients."""
    script = (
        "import resource, sys, numpy as np\n"
        "from lcnet.image import prepare\n"
        "pictures = [np.zeros(s, np.uint8) for s in ((1, 60000, 3), (60000, 1, 3), (1, 1, 3), (1, 10000, 3))]\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == 'darwin' else 2**10)\n"
        "prepare(pictures[2]); before = peak()\n"
        "for p in pictures: prepare(p)\n"
        "print(peak() - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 32  # MiB


def test_many_threads_get_the_same_pixels():
    sizes = [(h, w) for h in (9, 37, 60) for w in (11, 53, 200)]
    expected = [resize(PICTURE, size) for size in sizes]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            for found, alone in zip(pool.map(lambda size: resize(PICTURE, size), sizes * 4), expected * 4, strict=True):
                np.testing.assert_array_equal(found, alone)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": (0, 5)}, "cannot be scaled to 5 x 0"),
        ({"size": (5, -1)}, "cannot be scaled to -1 x 5"),
        ({"size": (5, MAX_SIDE + 1)}, "sides are 1 to 16777216"),
        ({"size": (2**80, 5)}, "sides are 1 to"),
        ({"size": 5}, "size is 5, expected 2 whole numbers"),
        ({"size": (5, 5.0)}, "expected 2 whole numbers"),
        ({"size": (5, 5, 5)}, "expected 2 whole numbers"),
        ({"size": "ab"}, "expected 2 whole numbers"),
        ({"box": (0, 0, 6, 5)}, "within the scaled picture of 5 x 5"),
        ({"box": (-1, 0, 5, 5)}, "expected left < right"),
        ({"box": (2, 0, 2, 5)}, "expected left < right"),
        ({"box": (0, 5, 5, 5)}, "expected left < right"),
        ({"box": (0, 0, 5)}, "expected 4 whole numbers"),
        ({"box": (0, 0, 5, None)}, "expected 4 whole numbers"),
        ({"interpolation": "cubic"}, "did you mean 'bicubic'"),
        ({"interpolation": None}, "expected one of nearest, box"),
        ({"image": PICTURE.astype(np.float32)}, "pixels are float32"),
        ({"image": PICTURE[:, :, 0]}, r"uint8 \[37, 53\]"),
        ({"image": PICTURE[:0]}, r"\[0, 53, 3\]"),
        ({"image": PICTURE[:, :, :0]}, r"\[37, 53, 0\]"),
        ({"image": [[1]]}, "pixels are list"),
        ({"image": None}, "pixels are NoneType"),
    ],
)
def test_arguments_that_cannot_be_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        resize(**{"image": PICTURE, "size": (5, 5), **arguments})


def test_an_isa_that_is_not_to_be_had_is_refused(monkeypatch):
    monkeypatch.setenv("LCNET_ISA", "mmx")
    for scale in (lambda: resize(PICTURE, (5, 5)), lambda: prepare(PICTURE)):
        with pytest.raises(InputError, match="unknown ISA 'mmx'"):
            scale()


@pytest.mark.parametrize(
    "change",
    [
        {"image": PICTURE[:, :, :1].repeat(5, 2)},
        {"image": PICTURE[:0]},
        {"scaled": (0, 8)},
        {"scaled": (8, MAX_SIDE + 1)},
        {"scaled": (-1, 8)},
        {"box": (0, 0, 9, 8)},
        {"box": (3, 0, 3, 8)},
        {"box": (5, 0, 3, 8)},
        {"filter": "cubic"},
        {"isa": "mmx"},
        {"out": np.empty((7, 8, 3), np.uint8)},
        {"out": np.empty((8, 8, 4), np.uint8)},
        {"out": np.empty((8, 8, 3), np.float32)},
        {"out": np.empty((8, 16, 3), np.uint8)[:, ::2]},
    ],
)
def test_the_core_refuses_what_would_crash_it(change):
    arguments = {
        "image": PICTURE,
        "scaled": (8, 8),
        "box": (0, 0, 8, 8),
        "filter": "box",
        "isa": "",
        "out": np.empty((8, 8, 3), np.uint8),
    }
    _native.resize(**arguments)
    with pytest.raises((ValueError, TypeError)):
        _native.resize(**{**arguments, **change})


@pytest.mark.parametrize(
    "change",
    [
        {"table": np.zeros((3, 255), np.float32)},
        {"table": np.zeros((1, 256), np.float32)},
        {"out": np.empty((8, 8, 3), np.float32)},
        {"out": np.empty((3, 8, 16), np.float32)[:, :, ::2]},
        {"out": np.empty((3, 8, 8), np.float64)},
    ],
)
def test_the_core_refuses_planes_that_do_not_fit(change):
    arguments = {
        "image": PICTURE,
        "scaled": (8, 8),
        "box": (0, 0, 8, 8),
        "filter": "box",
        "isa": "",
        "table": np.zeros((3, 256), np.float32),
        "out": np.empty((3, 8, 8), np.float32),
    }
    _native.prepare(**arguments)
    with pytest.raises((ValueError, TypeError)):
        _native.prepare(**{**arguments, **change})
