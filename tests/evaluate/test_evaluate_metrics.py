"""Every metric against its definition, computed by hand or by a loop that has nothing in common with the code."""

import math

import numpy as np
import pytest

from lcnet.evaluate import metrics


def test_wilson_interval_of_8_in_10():
    """The textbook example; and it stays within 0 and 1 where the normal approximation does not."""
    found = metrics.share(8, 10)
    assert found == pytest.approx((0.8, 0.4901625, 0.9433178), abs=1e-6)
    assert metrics.share(0, 10) == pytest.approx((0, 0, 0.2775328), abs=1e-6)
    assert metrics.share(10, 10)[2] == 1
    assert all(math.isnan(v) for v in metrics.share(0, 0))


def test_wilson_interval_solves_its_equation():
    """Its ends are where the proportion is 1.96 standard deviations of the end from the one that was seen."""
    for right, total in ((1, 7), (83, 100), (4168, 5000)):
        p, low, high = metrics.share(right, total)
        for end in (low, high):
            assert abs(p - end) == pytest.approx(metrics.Z95 * math.sqrt(end * (1 - end) / total), rel=1e-9)


def test_ranks_count_as_sorting_does(rng):
    scores = rng.integers(0, 4, (200, 6)).astype(np.float32)  # many ties
    targets = rng.integers(0, 6, 200)
    for row, target, rank in zip(scores, targets, metrics.ranks(scores, targets), strict=True):
        order = sorted(range(6), key=lambda k: (-row[k], k))
        assert order.index(target) == rank
    assert ((metrics.ranks(scores, targets) == 0) == (scores.argmax(axis=1) == targets)).all()


def test_classes_by_hand():
    """Class 2 is never answered, class 3 has no pictures."""
    targets, predicted = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 3, 0])
    counts = metrics.class_counts(targets, predicted, 4)
    table = metrics.per_class(*counts)
    assert table.support.tolist() == [3, 2, 1, 0] and table.predicted.tolist() == [3, 2, 0, 1]
    assert table.right.tolist() == [2, 1, 0, 0]
    nan = float("nan")
    np.testing.assert_allclose(table.precision, [2 / 3, 1 / 2, nan, 0])
    np.testing.assert_allclose(table.recall, [2 / 3, 1 / 2, 0, nan])
    np.testing.assert_allclose(table.f1, [2 / 3, 1 / 2, 0, nan])
    precision, recall, f1 = metrics.macro(*counts)
    assert (precision, recall, f1) == pytest.approx(((2 / 3 + 1 / 2) / 3,) * 3)
    assert metrics.confusions(targets, predicted, 4).tolist() == [[0, 0, 2], [0, 1, 1], [1, 1, 1], [1, 3, 1], [2, 0, 1]]


def test_confusions_are_the_whole_matrix(rng):
    targets, predicted = rng.integers(0, 5, (2, 300))
    matrix = np.zeros((5, 5), int)
    for t, p in zip(targets, predicted, strict=True):
        matrix[t, p] += 1
    found = metrics.confusions(targets, predicted, 5)
    again = np.zeros((5, 5), int)
    again[found[:, 0], found[:, 1]] = found[:, 2]
    assert (again == matrix).all() and (np.diff(found[:, 2]) <= 0).all()


def test_calibration_by_hand():
    confidence = np.array([0.0, 1 / 15, 0.9, 0.91, 1.0])
    right = np.array([False, False, True, False, True])
    error, bins = metrics.calibration(confidence, right)
    assert [b.pictures for b in bins] == [2] + [0] * 11 + [0, 2, 1]
    assert bins[13].confidence == pytest.approx(0.905) and bins[13].accuracy == 0.5
    assert math.isnan(bins[5].accuracy)
    assert error == pytest.approx((2 * (1 / 30 - 0) + 2 * (0.905 - 0.5) + 0) / 5)


def test_calibration_against_a_loop(rng):
    confidence, right = rng.random(1000).astype(np.float32), rng.random(1000) < 0.7
    expected = 0.0
    for k in range(15):
        inside = [i for i in range(1000) if k / 15 < float(confidence[i]) <= (k + 1) / 15]
        if inside:
            expected += abs(right[inside].mean() - confidence[inside].mean()) * len(inside) / 1000
    assert metrics.calibration(confidence, right)[0] == pytest.approx(expected, abs=1e-6)


def brute_average_precision(scores, positive):
    """Sum over all thresholds of precision times the recall that it adds."""
    area, before = 0.0, 0.0
    for cut in sorted(set(scores), reverse=True):
        taken = scores >= cut
        recall = positive[taken].sum() / positive.sum()
        area += (recall - before) * positive[taken].mean()
        before = recall
    return area


def test_average_precision(rng):
    assert metrics.average_precision(np.array([0.9, 0.8, 0.7, 0.6]), np.array([1, 0, 1, 0])) == pytest.approx(5 / 6)
    assert metrics.average_precision(np.ones(8), np.array([1, 1, 0, 0, 0, 0, 0, 0])) == pytest.approx(1 / 4)
    assert math.isnan(metrics.average_precision(np.ones(3), np.zeros(3)))
    for levels in (3, 10_000):
        scores, positive = rng.integers(0, levels, 300) / levels, rng.random(300) < 0.3
        assert metrics.average_precision(scores, positive) == pytest.approx(brute_average_precision(scores, positive))


def test_weights_are_repetitions(rng):
    scores, positive = rng.integers(0, 9, 60) / 9, rng.random(60) < 0.4
    times = rng.integers(0, 4, 60)
    repeated = metrics.average_precision(scores.repeat(times), positive.repeat(times))
    assert metrics.average_precision(scores, positive, times) == pytest.approx(repeated)


def test_average_precision_is_scikit_learn_s(rng):
    peer = pytest.importorskip("sklearn.metrics", reason="scikit-learn, a test-only peer, is not installed")
    scores, positive = rng.integers(0, 30, (200, 5)) / 30, rng.random((200, 5)) < 0.3
    _, each = metrics.mean_average_precision(scores, positive)
    np.testing.assert_allclose(each, peer.average_precision_score(positive, scores, average=None))
    targets, predicted = rng.integers(0, 5, (2, 200))
    counts = metrics.class_counts(targets, predicted, 5)
    assert metrics.macro(*counts)[1] == pytest.approx(peer.balanced_accuracy_score(targets, predicted))
    assert metrics.macro(*counts)[2] == pytest.approx(peer.f1_score(targets, predicted, average="macro"))


def test_mean_average_precision_leaves_out_classes_without_positives(rng):
    scores, positive = rng.random((80, 3)), rng.random((80, 3)) < 0.4
    positive[:, 1] = False
    found, each = metrics.mean_average_precision(scores, positive, repeats=200)
    assert math.isnan(each[1]) and found.value == pytest.approx((each[0] + each[2]) / 2)
    assert found.low < found.value < found.high
    assert math.isnan(metrics.mean_average_precision(scores, positive)[0].low)


def test_bootstrap_of_a_mean_is_the_normal_interval(rng):
    values = rng.random(400)

    def mean(rows):
        return (values[rows].mean(),)

    (found,) = metrics.bootstrap(mean, 400)
    half = metrics.Z95 * values.std() / math.sqrt(400)
    assert found == pytest.approx((values.mean(), values.mean() - half, values.mean() + half), abs=0.1 * half)
    assert metrics.bootstrap(mean, 400) == [found]
    assert math.isnan(metrics.bootstrap(mean, 400, repeats=0)[0].low)
