"""RandAugment: its notation, its draws, and the same pictures as timm once the operations are chosen."""

import pickle
import random
from collections import Counter
from statistics import fmean, pstdev

import numpy as np
import pytest

pytest.importorskip("PIL")
from PIL import Image

from lcnet import InputError
from lcnet.train.augment import ops
from lcnet.train.augment.randaugment import RandAugment, Spec, parse

FILL = (124, 116, 104)
SPECS = (
    "rand",
    "rand-m9-mstd0.5",
    "rand-m9-mstd0.5-inc1",
    "rand-m7-mstd101-inc1-n3",
    "rand-m15-mmax20-p0.8-inc0",
    "rand-n1-p1-m6-mstd1.0",
    "rand-m9-tweights",
    "rand-m9-mstd0.5-n3-t3aw",
    "rand-m8-t3a",
)


def test_the_notation_says_what_timm_reads():
    assert parse("rand") == Spec(magnitude=10, count=2, probability=0.5, deviation=0, largest=10, increasing=False)
    assert parse("rand-m9-mstd0.5-inc1") == Spec(magnitude=9, deviation=0.5, increasing=True)
    assert parse("rand-inc0-n3-p0.25-mmax20-m15") == Spec(15, 3, 0.25, 0, 20, False)
    assert parse("rand-m8-inc1-mstd101-n1").deviation == 101
    assert parse("rand-tweights").operations[0] == "Rotate"
    assert parse("rand-t3a-n5").weights is None


@pytest.mark.parametrize("spec", SPECS)
def test_the_notation_reads_as_in_timm(timm, spec):
    from timm.data.auto_augment import rand_augment_transform

    theirs, ours = rand_augment_transform(spec, {"img_mean": FILL}), parse(spec)
    op = theirs.ops[0]
    assert tuple(op.name for op in theirs.ops) == ours.operations
    assert (theirs.num_layers, op.prob, op.magnitude) == (ours.count, ours.probability, ours.magnitude)
    assert (op.magnitude_max or 10) == ours.largest
    assert op.magnitude_std == (float("inf") if ours.deviation > 100 else ours.deviation)
    if theirs.choice_weights is None:
        assert ours.weights is None
    else:
        np.testing.assert_allclose(theirs.choice_weights, np.array(ours.weights) / sum(ours.weights))


@pytest.mark.parametrize(
    ("spec", "named"),
    [
        ("", "expected rand"),
        ("augmix-m5", "expected rand"),
        ("rand-w0", "unknown key 'w'.*m, n, p, mstd, mmax, inc, t"),
        ("rand-msdt0.5", "unknown key 'msdt'.*did you mean 'mstd'"),
        ("rand-m9-", "unknown key ''"),
        ("rand-m", "m is '', expected a whole number"),
        ("rand-m9.5", "m is '9.5'"),
        ("rand-n0", "n is '0'"),
        ("rand-p1.5", "p is '1.5', expected a number from 0 to 1"),
        ("rand-mstd0.5x", "mstd is '0.5x'"),
        ("rand-inc2", "inc is '2', expected 0 or 1"),
        ("rand-inc", "inc is '', expected 0 or 1"),
        ("rand-mmax0", "mmax is '0'"),
        ("rand-tall", "t is 'all', expected weights or 3a or 3aw"),
        ("rand-m9-m8", "'m8' repeats"),
        ("rand-n15-t3aw", "n is 15, expected at most the 14"),
    ],
)
def test_what_timm_ignores_or_falls_over_is_refused(spec, named):
    with pytest.raises(InputError, match=named):
        RandAugment(spec, FILL)


@pytest.mark.parametrize("interpolation", ["random", "bicubic", "bilinear"])
@pytest.mark.parametrize("spec", SPECS)
def test_given_the_operations_the_rest_is_draw_for_draw_timm(timm, monkeypatch, rng, spec, interpolation):
    from timm.data import auto_augment

    hparams = {"img_mean": FILL}
    if interpolation != "random":
        hparams["interpolation"] = Image.Resampling[interpolation.upper()]
    theirs, ours = auto_augment.rand_augment_transform(spec, hparams), RandAugment(spec, FILL, interpolation)
    by_name = {op.name: op for op in theirs.ops}
    picture = Image.fromarray(rng.integers(30, 200, (24, 31, 3), dtype=np.uint8))
    state, choices, same = random.getstate(), random.Random(2), 0
    for seed in range(60):
        names = choices.choices(ours.spec.operations, k=ours.spec.count)
        monkeypatch.setattr(ours, "_choose", lambda _, names=names: names)
        monkeypatch.setattr(np.random, "choice", lambda *_, names=names, **__: [by_name[name] for name in names])
        random.seed(seed)
        expected = theirs(picture)
        found = ours(picture, random.Random(seed))
        np.testing.assert_array_equal(np.asarray(found), np.asarray(expected), f"{seed}: {names}")
        same += np.array_equal(np.asarray(found), np.asarray(picture))
    random.setstate(state)
    assert same < 50


@pytest.fixture
def applied(monkeypatch):
    """Every operation that was applied, as (name, level, surround)."""
    calls = []

    def record(name, image, level, surround):
        calls.append((name, level, surround))
        return image

    monkeypatch.setattr(ops, "apply", record)
    return calls


def _run(spec, times, interpolation="random"):
    augment, rng, picture = RandAugment(spec, FILL, interpolation), random.Random(11), Image.new("RGB", (1, 1))
    for _ in range(times):
        augment(picture, rng)


def _unlikely(counts, expected):
    return sum((counts[name] - expected[name]) ** 2 / expected[name] for name in expected)


def test_operations_are_equally_likely_and_half_of_them_are_applied(applied):
    _run("rand-m9-mstd0.5", 15_000)
    assert abs(len(applied) - 15_000) < 400
    counts = Counter(name for name, _, _ in applied)
    assert _unlikely(counts, dict.fromkeys(ops.PLAIN, len(applied) / 15)) < 45  # 14 degrees of freedom


def test_an_operation_is_drawn_again_as_often_as_chance_has_it():
    augment, rng = RandAugment("rand", FILL), random.Random(4)
    pairs = [augment._choose(rng) for _ in range(9000)]
    assert abs(sum(a == b for a, b in pairs) - 600) < 100


def test_weighted_operations_follow_their_weights_and_are_not_drawn_again(timm):
    augment, rng = RandAugment("rand-tweights-n2", FILL), random.Random(4)
    pairs = [augment._choose(rng) for _ in range(10_000)]
    assert all(a != b for a, b in pairs)
    names, weights = augment.spec.operations, np.array(augment.spec.weights) / sum(augment.spec.weights)
    first = dict(zip(names, 10_000 * weights, strict=True))
    assert _unlikely(Counter(a for a, _ in pairs), first) < 45
    peer = np.random.RandomState(0)
    theirs = Counter(b for _, b in (peer.choice(names, 2, replace=False, p=weights) for _ in range(10_000)))
    ours = Counter(b for _, b in pairs)
    assert sum((ours[n] - theirs[n]) ** 2 / (ours[n] + theirs[n]) for n in theirs) < 45


def test_magnitudes_vary_around_m_and_stop_at_the_largest(applied):
    _run("rand-m9-mstd0.5-n1-p1", 12_000)
    magnitudes = [abs(level) * 10 for _, level, _ in applied]
    assert max(magnitudes) == 10
    assert abs(sum(m == 10 for m in magnitudes) / len(magnitudes) - 0.02275) < 0.005  # Gauss beyond two deviations
    assert fmean(magnitudes) == pytest.approx(9, abs=0.02)
    assert pstdev(magnitudes) == pytest.approx(0.5, abs=0.02)


def test_a_great_deviation_is_uniform_and_none_is_exact(applied):
    _run("rand-m8-mstd101-n1-p1", 10_000)
    counts = np.histogram([abs(level) * 10 for _, level, _ in applied], bins=10, range=(0, 8))[0]
    assert (np.square(counts - 1000) / 1000).sum() < 40
    applied.clear()
    _run("rand-m8-n1-p1", 100)
    assert {abs(level) for _, level, _ in applied} == {0.8}


def test_signs_and_filters_are_drawn_each_time(applied):
    _run("rand-m9-n1-p1-inc1", 15_000)
    signed = [level for name, level, _ in applied if ops.OPS[name].signed]
    assert abs(sum(level < 0 for level in signed) / len(signed) - 0.5) < 0.02
    assert all(level > 0 for name, level, _ in applied if not ops.OPS[name].signed)
    filters = [surround.resample for name, _, surround in applied if ops.OPS[name].resamples]
    assert abs(sum(f == Image.Resampling.BICUBIC for f in filters) / len(filters) - 0.5) < 0.03
    applied.clear()
    _run("rand-m9-n1-p1", 200, "bilinear")
    assert {surround.resample for _, _, surround in applied} == {Image.Resampling.BILINEAR}


def test_one_generator_gives_one_picture_and_nothing_global_is_read(rng):
    picture = Image.fromarray(rng.integers(0, 256, (20, 20, 3), dtype=np.uint8))
    augment = pickle.loads(pickle.dumps(RandAugment("rand-m9-mstd0.5-inc1", FILL)))
    state = random.getstate()
    found = [augment(picture, random.Random(seed)).tobytes() for seed in (*range(20), *range(20))]
    assert found[:20] == found[20:]
    assert len(set(found)) > 10
    assert random.getstate() == state


def test_grey_pictures_stay_grey(rng):
    picture = Image.fromarray(rng.integers(0, 256, (20, 20), dtype=np.uint8))
    augment = RandAugment("rand-m9-mstd0.5-n4-p1", (77,))
    assert all(augment(picture, random.Random(seed)).mode == "L" for seed in range(40))


@pytest.mark.parametrize(("mode", "fill"), [("RGBA", (0, 0, 0, 0)), ("L", FILL), ("RGB", (1,)), ("P", (1,))])
def test_pictures_of_other_modes_are_refused(mode, fill):
    with pytest.raises(InputError, match=f"of mode {mode}, expected L or RGB"):
        RandAugment("rand", fill)(Image.new(mode, (4, 4)), random.Random(0))
