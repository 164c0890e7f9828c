"""The crop's geometry, which the native core computes for Python and for other languages: against timm's and PaddleClas's rules
in Python, whose `round` is half to even, and against rows that every language has to give (tests/golden/crop.json)."""

import json
import math
import random
from pathlib import Path

import pytest

from lcnet import _native
from lcnet.config import CROP_MODES, RESIZES

GOLDEN = Path(__file__).parents[1] / "golden" / "crop.json"


def scaled_size(size, target, crop_pct, mode, library):
    (height, width), (target_h, target_w) = size, (math.floor(n / crop_pct) for n in target)
    if not (target_h and target_w):
        return 0, 0
    if mode == "squash":
        return target_h, target_w
    if library == "opencv":
        scale = (min if mode == "border" else max)(target_h / height, target_w / width)
        return round(height * scale), round(width * scale)
    if mode == "center" and target_h == target_w:
        longer = int(target_h * max(height, width) / min(height, width))
        return (longer, target_h) if width <= height else (target_h, longer)
    ratio = (max if mode == "border" else min)(height / target_h, width / target_w)
    return round(height / ratio), round(width / ratio)


def kept(size, target, library):
    if size < target:
        return 0, size, (target - size) // 2
    return (round((size - target) / 2) if library == "pillow" else (size - target) // 2), target, 0


def drawn(seed):
    """A picture's size, the input's, and a rule."""
    rng = random.Random(seed)
    size = rng.choice([(rng.randint(1, 60), rng.randint(1, 60)), (rng.randint(1, 1 << 24), rng.randint(1, 9000))])
    target = rng.choice([(224, 224), (48, 160), (rng.randint(1, 500), rng.randint(1, 500)), (rng.randint(1, 40),) * 2])
    crop_pct = rng.choice([0.875, 1.0, 0.95, rng.uniform(0.01, 8)])
    return size, target, crop_pct, rng.choice(CROP_MODES), rng.choice(RESIZES)


def geometry(size_of, kept_of, size, target, crop_pct, mode, library):
    scaled = size_of(size, target, crop_pct, mode, library)
    return [*scaled, *(list(kept_of(*axis, library)) for axis in zip(scaled, target, strict=True))]


def native(*rule):
    return geometry(_native.scaled_size, lambda s, t, library: _native.kept((s, s), (t, t), library)[0], *rule)


def test_it_is_that_of_the_rules_in_python():
    for seed in range(20000):
        rule = drawn(seed)
        assert native(*rule) == geometry(scaled_size, kept, *rule), rule


def test_golden_rows():
    rows = json.loads(GOLDEN.read_text())
    assert len(rows) == 60
    for row in rows:
        rule = [tuple(row["size"]), tuple(row["input"]), row["crop_pct"], row["mode"], row["library"]]
        assert native(*rule) == [*row["scaled"], *row["kept"]], row
    assert any(row["kept"][0][0] % 2 == 0 and (row["scaled"][0] - row["input"][0]) % 4 == 1 for row in rows), "no half to even"


@pytest.mark.parametrize(("mean", "expected"), [(0.5 / 255, 0), (1.5 / 255, 2), (0.5, 128), (-1, 0), (2, 255), (0.485, 124)])
def test_what_surrounds_a_small_picture(mean, expected):
    assert _native.fill(mean, "border") == expected == min(max(round(255 * mean), 0), 255)
    assert _native.fill(mean, "center") == 0
