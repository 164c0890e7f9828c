"""Pixels to the network's input, against timm's own transform, bit for bit."""

import io

import numpy as np
import pytest
from pictures import encoded, picture
from PIL import Image

from lcnet.config import CROP_MODES, INTERPOLATIONS, Preprocessing
from lcnet.errors import ImageError, InputError
from lcnet.image import MAX_SIDE, as_list, batch, decode, normalize, prepare, resize_crop

AS_TIMM = Preprocessing(exif=False)
SMALL = Preprocessing((3, 32, 32))


@pytest.fixture(scope="module")
def peer(timm):
    """Preprocessing -> timm's evaluation transform, from a uint8 array [H,W,3] or [H,W] to float32 [C,H,W]."""
    from timm.data import create_transform

    def build(p):
        transform = create_transform(
            p.input_size, interpolation=p.interpolation, mean=p.mean, std=p.std, crop_pct=p.crop_pct, crop_mode=p.crop_mode
        )
        return lambda pixels: transform(Image.fromarray(pixels)).numpy()

    return build


def assert_same_bits(ours, theirs):
    assert (ours.dtype, ours.shape) == (np.float32, theirs.shape)
    np.testing.assert_array_equal(ours.view(np.int32), theirs.view(np.int32))


def test_photos_are_prepared_as_by_timm(peer, photos):
    expected = peer(AS_TIMM)
    inputs = batch(photos, AS_TIMM)
    assert inputs.shape == (60, 3, 224, 224)
    for path, ours in zip(photos, inputs, strict=True):
        with Image.open(path) as image:
            assert_same_bits(ours, expected(np.asarray(image.convert("RGB"))))


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("crop_mode", CROP_MODES)
def test_every_mode_filter_and_size_is_timms(peer, interpolation, crop_mode):
    rng = np.random.default_rng([INTERPOLATIONS.index(interpolation), CROP_MODES.index(crop_mode)])
    for crop_pct in (0.875, 0.95, 1.0, 1.25, 0.5, 0.875):
        for square in (True, False):
            height, width = rng.integers(8, 128, 2)
            size = (3, int(height), int(height if square else width))
            mean, std = rng.uniform(-0.2, 1.2, 3), rng.uniform(0.1, 2, 3)
            p = Preprocessing(size, interpolation, crop_pct, crop_mode, tuple(mean.tolist()), tuple(std.tolist()))
            expected = peer(p)
            for limit in (40, 400):  # up and down
                shape = (*rng.integers(limit // 5, limit, 2), 3)
                pixels = rng.integers(0, 256, shape, dtype=np.uint8)
                assert_same_bits(prepare(pixels, p), expected(pixels))


@pytest.mark.parametrize("crop_mode", CROP_MODES)
@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1), (1, 3000), (3000, 1), (2, 1999), (224, 224), (256, 256)])
@pytest.mark.parametrize("size", [(3, 32, 32), (3, 48, 31)])
def test_extreme_shapes_do_what_they_do_in_timm(peer, crop_mode, shape, size):
    p = Preprocessing(size, crop_mode=crop_mode)
    pixels = np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8)
    try:
        expected = peer(p)(pixels)
    except ValueError:  # no pixels left along an axis
        with pytest.raises(ImageError, match="would be scaled to"):
            prepare(pixels, p)
    else:
        assert_same_bits(prepare(pixels, p), expected)


def test_a_thread_like_picture_is_refused_before_its_memory_is_needed():
    with pytest.raises(ImageError, match=rf"1 x 66000 .* 256 x 16896000, expected sides of 1 to {MAX_SIDE}"):
        prepare(np.zeros((66000, 1, 3), np.uint8))
    assert prepare(np.zeros((66000, 1, 3), np.uint8), Preprocessing(crop_mode="squash")).shape == (3, 224, 224)
    assert prepare(np.zeros((10000, 1, 3), np.uint8)).shape == (3, 224, 224)


def test_a_crop_that_leaves_nothing_is_an_input_error():
    with pytest.raises(InputError, match="crop_pct 8 is too large"):
        resize_crop(picture(), Preprocessing((3, 4, 4), crop_pct=8))


@pytest.mark.parametrize("channels", [1, 2, 4, 5])
@pytest.mark.parametrize("crop_mode", CROP_MODES)
def test_channels_are_scaled_each_by_itself(peer, channels, crop_mode):
    rng = np.random.default_rng(channels)
    pixels = rng.integers(0, 256, (50, 71, channels), dtype=np.uint8)
    mean, std = (tuple(rng.uniform(0.1, 0.9, channels).tolist()) for _ in range(2))
    ours = prepare(pixels, Preprocessing((channels, 40, 40), "bicubic", 0.9, crop_mode, mean, std))
    for c in range(channels):
        alone = Preprocessing((1, 40, 40), "bicubic", 0.9, crop_mode, mean[c : c + 1], std[c : c + 1])
        assert_same_bits(ours[c : c + 1], peer(alone)(pixels[:, :, c]))


@pytest.mark.parametrize(
    ("mean", "std"),
    [
        ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
        ((0, 0, 0), (1, 1, 1)),
        ((124 / 255, 117 / 255, 104 / 255), (1 / (0.0167 * 255),) * 3),
        ((0.48145466, 0.4578275, 0.40821073), (1e-3, 7, 1 / 3)),
    ],
)
def test_every_value_is_normalized_to_timms_bits(peer, mean, std):
    p = Preprocessing((3, 16, 16), crop_pct=1.0, mean=mean, std=std)
    pixels = np.stack([np.arange(256, dtype=np.uint8).reshape(16, 16)] * 3, axis=2)
    assert_same_bits(normalize(pixels, p), peer(p)(pixels))


def test_views_and_read_only_arrays_give_the_same_input():
    pixels = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    pixels.flags.writeable = False
    view = pixels[::-1, ::2, ::-1]
    assert_same_bits(prepare(view, SMALL), prepare(np.ascontiguousarray(view), SMALL))


def test_the_result_is_the_callers_own():
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    before = pixels.copy()
    x = prepare(pixels, Preprocessing((3, 32, 32), crop_pct=1.0))
    assert x.flags.c_contiguous
    x[:] = 7
    np.testing.assert_array_equal(pixels, before)


@pytest.mark.parametrize("function", [resize_crop, normalize, prepare])
@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 1), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 0, 3), np.uint8),
        np.zeros((1, 4, 4, 3), np.uint8),
        [[[1, 2, 3]]],
    ],
)
def test_pixels_of_another_shape_or_dtype_are_refused(function, pixels):
    with pytest.raises(InputError, match=r"expected uint8 \[H,W,3\]"):
        function(pixels)


def test_one_or_several(tmp_path):
    data, array = encoded(picture(), "PNG"), picture()
    file, image = io.BytesIO(data), Image.open(io.BytesIO(data))
    for one in ("a.jpg", tmp_path, data, bytearray(data), memoryview(data), file, image, array, array[:, :, 0], None):
        listed = as_list(one)
        assert len(listed) == 1
        assert listed[0] is one
    assert as_list(["a", data]) == as_list(("a", data)) == as_list(x for x in ["a", data]) == ["a", data]
    four = np.stack([array, array[::-1]])
    assert [x.tolist() for x in as_list(four)] == four.tolist()
    assert as_list([]) == as_list(np.zeros((0, 4, 4, 3), np.uint8)) == []


def test_a_batch_keeps_the_order_and_takes_any_mix(tmp_path):
    arrays = [picture(seed=s, height=24 * s, width=36) for s in (1, 2, 3)]
    (tmp_path / "1.png").write_bytes(encoded(arrays[0], "PNG"))
    mixed = [tmp_path / "1.png", encoded(arrays[1], "PNG"), arrays[2]]
    x = batch(iter(mixed), SMALL)
    assert (x.dtype, x.shape) == (np.float32, (3, 3, 32, 32))
    for i, array in enumerate(arrays):
        np.testing.assert_array_equal(x[i], prepare(decode(array), SMALL))
        np.testing.assert_array_equal(batch(mixed[i], SMALL), x[i : i + 1])
    assert batch([], SMALL).shape == (0, 3, 32, 32)


@pytest.mark.parametrize(
    ("sources", "first", "error", "start"),
    [
        (b"bad", 0, ImageError, "image bytes: it is not"),
        (["/no.jpg"], 0, ImageError, "/no.jpg: there is no"),
        ([picture(), b"bad"], 0, ImageError, "image 1: image bytes: it is not"),
        ([b"bad"], 32, ImageError, "image 32: image bytes: it is not"),
        ([picture(), None], 0, InputError, "image 1: an image is given as NoneType"),
        ([picture(), picture(2)], 4, InputError, "image 5: an image array is uint8 [24, 36, 2]"),
        ([picture(), np.zeros((1, 66000, 3), np.uint8)], 0, ImageError, "image 1: image array: a picture of 66000 x 1 "),
    ],
)
def test_a_batch_says_which_picture_is_at_fault(sources, first, error, start):
    with pytest.raises(error) as caught:
        batch(sources, Preprocessing(), first=first)
    assert str(caught.value).startswith(start)


def test_a_batch_passes_the_pixel_limit_on():
    assert batch(encoded(picture(), "PNG"), SMALL, max_pixels=24 * 36).shape == (1, 3, 32, 32)
    with pytest.raises(ImageError, match="max_pixels = 863"):
        batch(encoded(picture(), "PNG"), SMALL, max_pixels=24 * 36 - 1)
