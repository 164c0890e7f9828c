"""The arithmetic of a probe against plain definitions: leaving one out for real, folds by their promises, known choices."""

import numpy as np
import pytest

from lcnet.arch import EMBEDDINGS
from lcnet.probe.choice import Scale, candidates, choose
from lcnet.probe.folds import FOLDS, apart, drawn, folds_of
from lcnet.probe.measure import Way
from lcnet.probe.ridge import STRENGTHS, left_out
from lcnet.probe.trunk import Columns


def ridge(x, y, weights, strength, total):
    """Weighted ridge regression with an intercept that is not held back, by its normal equations."""
    mean, target = weights @ x / weights.sum(), weights @ y / weights.sum()
    z = x - mean
    slope = np.linalg.solve(
        (z * weights[:, None]).T @ z + strength * total * np.eye(x.shape[1]), (z * weights[:, None]).T @ (y - target)
    )
    return lambda new: (new - mean) @ slope + target


@pytest.mark.parametrize("shape", [(25, 6), (9, 14)], ids=["tall", "wide"])
def test_leaving_one_out_in_closed_form_is_leaving_it_out(shape):
    rng = np.random.default_rng(0)
    x, y, weights = rng.normal(size=shape), rng.normal(size=(shape[0], 3)), rng.uniform(0.5, 2, shape[0])
    rows = left_out(x, y, weights)
    assert [row.strength for row in rows] == list(STRENGTHS)
    for strength, said in rows[::4]:
        for i in range(len(x)):
            others = np.arange(len(x)) != i
            expected = ridge(x[others], y[others], weights[others], strength, weights.sum())(x[i])
            np.testing.assert_allclose(said[i], expected, rtol=1e-6, atol=1e-8)


def columns(*sizes):
    names = (*(f"s{i}" for i in range(len(sizes) - 1)), EMBEDDINGS)
    return Columns(names, tuple(np.cumsum(sizes).tolist()))


def test_candidates_are_the_runs_of_stages_and_the_embeddings():
    found = candidates(columns(1, 1, 1, 5))
    assert set(found) == {("s0",), ("s1",), ("s2",), ("s0", "s1"), ("s1", "s2"), ("s0", "s1", "s2"), (EMBEDDINGS,)}
    assert columns(2, 3, 4, 5).of(("s1", "s2")).tolist() == [2, 3, 4, 5, 6, 7, 8]


def told_by(part, count=240, seed=0):
    """Features of which one part tells the class, and the others are noise; three classes."""
    rng, layout = np.random.default_rng(seed), columns(60, 8, 60, 16)
    targets = np.arange(count) % 3
    x = rng.normal(size=(count, layout.ends[-1]))
    x[:, layout.of(part)] += 2.5 * np.eye(3)[targets] @ rng.normal(size=(3, len(layout.of(part))))
    return x.astype(np.float32), targets, layout


@pytest.mark.parametrize("part", [("s1",), (EMBEDDINGS,)], ids=str)
def test_the_features_that_tell_are_taken_where_that_is_sure(part):
    x, targets, layout = told_by(part)
    choice = choose(x, targets, np.ones(len(x)), np.arange(len(x)), layout)
    assert choice.taken is choice.candidates[0] and choice.taken.read == part and "lower than" in choice.why


def test_all_stages_are_taken_where_few_pictures_cannot_tell():
    x, targets, layout = told_by(("s0", "s1", "s2"), 18)
    choice = choose(x, targets, np.ones(len(x)), np.arange(len(x)), layout)
    assert choice.taken.read == ("s0", "s1", "s2")


def test_copies_count_once_in_the_choice():
    x, targets, layout = told_by(("s1",), 60)
    once = choose(x, targets, np.ones(60), np.arange(60), layout)
    twice = np.tile(np.arange(60), 2)
    again = choose(x[twice], targets[twice], np.ones(120), twice, layout)
    assert [c.error for c in again.candidates] == [c.error for c in once.candidates]


def test_more_pictures_choose_a_weaker_strength_than_a_sample_of_them(monkeypatch):
    from lcnet.probe import choice

    monkeypatch.setattr(choice, "MOST", 60)
    x, targets, layout = told_by(("s1",), 1200, seed=3)
    x += np.random.default_rng(2).normal(size=x.shape).astype(np.float32) * 3
    sampled = choose(x, targets, np.ones(1200), np.arange(1200), layout)
    assert len(sampled.candidates[0].errors) == 60
    assert sampled.taken.strength <= next(c for c in sampled.candidates if c.read == sampled.taken.read).strength


def test_classes_weigh_the_same_unless_they_are_not_to():
    targets = np.array([0] * 6 + [1] * 2)
    weights = Way(columns(1, 1), balanced=True).weights(targets)
    assert weights[:6].sum() == pytest.approx(weights[6:].sum()) and weights.mean() == pytest.approx(1)
    assert (Way(columns(1, 1), balanced=False).weights(targets) == 1).all()


def test_a_feature_that_hardly_varies_is_not_blown_up():
    x = np.random.default_rng(0).normal(size=(50, 3)) * [1, 1, 1e-9]
    assert np.abs(Scale.of(x)(x)[:, 2]).max() < 1e-6
    assert np.isfinite(Scale.of(np.ones((4, 2)))(np.ones((4, 2)))).all()


def test_folds_keep_groups_together_and_have_every_class():
    rng = np.random.default_rng(0)
    targets = np.repeat(np.arange(4), [40, 20, 9, 2])
    groups = np.arange(len(targets))
    groups[:12:2] = groups[1:12:2]  # pairs
    fold = folds_of(targets, groups)
    for group in np.unique(groups):
        assert len(set(fold[groups == group])) == 1
    for k in range(4):
        assert len(set(fold[targets == k])) == min(FOLDS, (targets == k).sum())
    assert np.ptp(np.bincount(fold[targets == 0])) <= 2
    several = (rng.random((60, 3)) < [0.8, 0.4, 0.1]).astype(np.uint8)
    assert set(folds_of(several, np.arange(60))) == set(range(FOLDS))


def test_few_pictures_are_drawn_by_class_and_in_whole_groups():
    targets, groups = np.repeat(np.arange(3), 20), np.arange(60) // 2
    rows = drawn(targets, groups, 6, seed=1)
    assert np.bincount(targets[rows]).tolist() == [6, 6, 6]
    assert all((np.isin(np.flatnonzero(groups == g), rows)).all() for g in groups[rows])


def test_what_a_camera_sees_that_never_moves_is_no_copy():
    targets, copies = np.repeat([0, 1], 30), np.arange(60)
    copies[1] = 0  # equal bytes
    pairs = np.where(copies < 10, copies // 2, copies)
    assert apart(targets, copies, pairs)[0].tolist() == pairs.tolist() and apart(targets, copies, pairs)[1] == 0
    scene = np.zeros(60, np.int64)  # all nearly alike, of both classes
    groups, alike = apart(targets, copies, scene)
    assert alike == 60 and len(np.unique(groups)) == 59 and groups[0] == groups[1]
    burst = np.array([0, 0, 0, 1])
    assert apart(np.array([0, 0, 0, 0]), np.arange(4), burst)[1] == 0
