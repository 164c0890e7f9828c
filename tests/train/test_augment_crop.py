"""Crops: draw for draw timm's, and moves that mirror as numpy's padding does."""

import random

import numpy as np
import pytest

from lcnet.train.augment.crop import random_resized_crop, shifted, shifted_crop

SIZES = [(1, 1), (1, 900), (900, 1), (3, 2), (32, 32), (224, 300), (500, 333), (4000, 10), (7, 2500)]
RANGES = [((0.08, 1.0), (0.75, 4 / 3)), ((0.9, 1.0), (0.99, 1.01)), ((0.35, 1.0), (0.2, 5.0)), ((1.0, 1.0), (2.0, 3.0))]


def _timm_crop(timm, torch, height, width, scale, ratio):
    from timm.data.transforms import RandomResizedCropAndInterpolation

    picture = torch.empty(1).expand(1, height, width)
    return RandomResizedCropAndInterpolation.get_params(picture, scale, ratio)


@pytest.mark.parametrize(("scale", "ratio"), RANGES)
def test_random_resized_crop_draws_as_timm(timm, torch, scale, ratio):
    sizes = random.Random(1)
    some = SIZES * 30 + [(sizes.randint(2, 700), sizes.randint(2, 700)) for _ in range(1500)]
    ours, state = random.Random(7), random.getstate()
    random.seed(7)
    differing = 0
    try:
        for height, width in some:
            expected = _timm_crop(timm, torch, height, width, scale, ratio)
            if min(expected[2:]) > 0:
                assert random_resized_crop(ours, height, width, scale, ratio) == expected, (height, width)
                assert ours.getstate() == random.getstate()
            else:  # timm's crop has no pixels, ours has one
                differing += 1
                ours.setstate(random.getstate())
    finally:
        random.setstate(state)
    assert differing < 100


def test_a_picture_that_no_attempt_fits_gives_its_central_part():
    ratio = (0.75, 4 / 3)
    assert random_resized_crop(random.Random(0), 1000, 10, (0.9, 1.0), ratio) == (493, 0, 13, 10)
    assert random_resized_crop(random.Random(0), 10, 1000, (0.9, 1.0), ratio) == (0, 493, 10, 13)
    assert random_resized_crop(random.Random(0), 999, 999, (1.0, 1.0), (0.5, 2.0)) == (0, 0, 999, 999)


def test_every_crop_lies_in_the_picture_and_has_pixels():
    rng = random.Random(3)
    for _ in range(3000):
        size = rng.randint(1, 9), rng.randint(1, 9)
        top, left, height, width = random_resized_crop(rng, *size, (0.001, 1.0), (0.1, 10.0))
        assert 0 <= top <= top + height <= size[0]
        assert 0 <= left <= left + width <= size[1]
        assert height > 0 < width


@pytest.mark.parametrize(("dy", "dx"), [(0, 0), (4, -3), (-16, 5), (1, 16), (15, -15)])
@pytest.mark.parametrize("channels", [1, 3])
def test_shifted_mirrors_as_numpy_pads(rng, dy, dx, channels):
    image = rng.integers(0, 256, (33, 34, channels), dtype=np.uint8)
    padded = np.pad(image, ((16, 16), (16, 16), (0, 0)), mode="reflect")
    moved = shifted(image, dy, dx)
    np.testing.assert_array_equal(moved, padded[16 - dy : 49 - dy, 16 - dx : 50 - dx])
    assert moved.flags.c_contiguous
    assert moved.dtype == np.uint8


def test_shifted_takes_sides_of_one_and_two_pixels():
    image = np.array([[[1], [2]]], np.uint8)
    assert shifted(image, 5, 1).tolist() == [[[2], [1]]]


def test_shifts_are_uniform_and_reach_the_limit():
    rng = random.Random(5)
    draws = [shifted_crop(rng, (32, 32), 0.125) for _ in range(9000)]
    for axis in zip(*draws, strict=True):
        counts = np.bincount(np.array(axis) + 4, minlength=9)
        assert len(counts) == 9
        assert (np.square(counts - 1000) / 1000).sum() < 40
    assert shifted_crop(rng, (31, 31), 0.03) == (0, 0)
