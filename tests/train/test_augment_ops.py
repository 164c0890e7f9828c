"""RandAugment's operations: pixel for pixel timm's, at every magnitude, sign, filter and mode."""

import numpy as np
import pytest

pytest.importorskip("PIL")
from PIL import Image, ImageOps

from lcnet.train.augment import ops

FILLS = {"RGB": (124, 116, 104), "L": (77,)}
RESAMPLING = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC)
MAGNITUDES = (0, 0.3, 1, 2.5, 4.999, 5, 7.7, 9, 10, 17)


@pytest.fixture(params=["RGB", "L"])
def picture(request, rng):
    """Noise over a slope, within part of the range so that stretching it matters."""
    noise = rng.integers(0, 60, (41, 57, 3)) + np.arange(57)[:, None] * 3 + 10
    return Image.fromarray(noise.astype(np.uint8)).convert(request.param)


def _posterize(image, bits, pillow=ImageOps.posterize):
    """As Pillow did it before it refused less than one bit, where timm falls over."""
    return pillow(image, bits) if bits >= 1 else Image.new(image.mode, image.size)


def _timm_op(timm, monkeypatch, name, picture, magnitude, sign, resample):
    from timm.data import auto_augment

    monkeypatch.setattr(auto_augment, "_randomly_negate", lambda value: sign * value)
    monkeypatch.setattr(auto_augment.ImageOps, "posterize", _posterize)
    fill = FILLS[picture.mode]
    hparams = {"img_mean": fill if len(fill) > 1 else fill[0], "interpolation": resample, "magnitude_max": 20}
    return auto_augment.AugmentOp(name, prob=1.0, magnitude=magnitude, hparams=hparams)(picture)


@pytest.mark.parametrize("name", ops.OPS)
def test_pixels_are_timms(timm, monkeypatch, picture, name):
    op, changed = ops.OPS[name], 0
    for magnitude in MAGNITUDES:
        for sign in (1, -1) if op.signed else (1,):
            for resample in RESAMPLING if op.resamples else RESAMPLING[:1]:
                expected = _timm_op(timm, monkeypatch, name, picture, magnitude, sign, resample)
                surround = ops.Surround(FILLS[picture.mode], resample)
                found = ops.apply(name, picture, sign * magnitude / 10, surround)
                assert (found.mode, found.size) == (picture.mode, picture.size)
                np.testing.assert_array_equal(np.asarray(found), np.asarray(expected), f"{magnitude} {sign}")
                changed += not np.array_equal(np.asarray(found), np.asarray(picture))
    assert changed or (picture.mode == "L" and name in ("Color", "ColorIncreasing", "Desaturate"))


def test_signed_operations_and_those_that_resample_are_timms(timm, monkeypatch):
    from timm.data import auto_augment

    assert set(ops.OPS) <= set(auto_augment.NAME_TO_OP)
    for name, op in ops.OPS.items():
        signs = []
        monkeypatch.setattr(auto_augment, "_randomly_negate", lambda value, signs=signs: signs.append(1) or value)
        filters = []
        monkeypatch.setattr(auto_augment, "_interpolation", lambda _, filters=filters: filters.append(1) or RESAMPLING[0])
        auto_augment.AugmentOp(name, prob=1.0, magnitude=3)(Image.new("RGB", (8, 8)))
        assert (bool(signs), bool(filters)) == (op.signed, op.resamples), name


def test_the_sets_are_timms(timm):
    from timm.data import auto_augment

    assert list(ops.PLAIN) == auto_augment._RAND_TRANSFORMS
    assert list(ops.INCREASING) == auto_augment._RAND_INCREASING_TRANSFORMS
    for name, chosen in ops.SETS.items():
        expected = auto_augment.rand_augment_choices(name)
        assert chosen == (tuple(expected) if isinstance(expected, list) else expected)


def test_levels_grow_as_the_table_of_the_recipe_says():
    values = {name: tuple(op.value(level) for level in (0.0, 0.5, 1.0)) for name, op in ops.OPS.items()}
    assert values["Rotate"] == (0, 15, 30)
    assert values["Posterize"] == (0, 2, 4)
    assert values["PosterizeIncreasing"] == (4, 2, 0)
    assert values["Solarize"] == (0, 128, 256)
    assert values["SolarizeIncreasing"] == (256, 128, 0)
    assert values["SolarizeAdd"] == (0, 55, 110)
    assert values["Color"] == pytest.approx((0.1, 1.0, 1.9))
    assert values["ColorIncreasing"] == pytest.approx((1.0, 1.45, 1.9))
    assert values["ShearX"] == pytest.approx((0, 0.15, 0.3))
    assert values["TranslateXRel"] == pytest.approx((0, 0.225, 0.45))
