"""Which epoch is kept: the metric where it says something, else the loss; and the start, unless training has bettered it."""

import numpy as np
import pytest

pytest.importorskip("torch")

from lcnet.train.best import better, bettered, keep_start
from lcnet.train.checkpoint import Place
from lcnet.train.validation import Measured, losses


def kept(metric, epochs, pictures, floor=None):
    """The epoch that is kept of (metric, loss) an epoch; `floor` is the metric of the start."""
    place = Place(floor=floor)
    for number, (value, loss) in enumerate(epochs, 1):
        better(place, number, metric, Measured({metric: value, "loss": loss}, np.zeros(pictures)))
    return place.best_epoch


@pytest.mark.parametrize(
    ("epochs", "pictures", "best"),
    [
        ([(0.70, 1.59), (47 / 48, 1.59), (46 / 48, 0.27)], 48, 3),  # one picture of 48 against a sixth of the loss
        ([(0.90, 0.5), (0.80, 0.1)], 48, 2),  # 0.78 is the lower end of 43 right of 48
        ([(0.90, 0.5), (0.75, 0.1)], 48, 1),
        ([(0.90, 0.5), (0.88, 0.1)], 5000, 1),  # of 5000 pictures two points are no chance
        ([(0.90, 0.5), (0.895, 0.4)], 5000, 2),
        ([(0.80, 0.1), (0.90, 0.3)], 5000, 2),  # a metric that is higher beyond its interval wins whatever the loss
        ([(0.80, 0.1), (0.805, 0.3)], 5000, 1),
        ([(0.90, 0.5), (0.895, 0.4), (0.885, 0.3)], 5000, 2),  # by small steps no run leaves the interval of its highest
        ([(0.90, float("nan")), (0.90, 0.5)], 48, 2),
        ([(0.90, 0.5), (0.90, float("nan"))], 48, 1),
        ([(float("nan"), 0.5), (0.3, 0.6)], 48, 2),
    ],
)
@pytest.mark.parametrize("metric", ["top1", "balanced_accuracy", "macro_f1", "mAP"])
def test_differences_within_the_interval_are_decided_by_the_loss(metric, epochs, pictures, best):
    assert kept(metric, epochs, pictures) == best


def test_the_loss_as_the_metric_is_the_smallest():
    assert kept("loss", [(0.5, 0.5), (0.4, 0.4), (0.45, 0.45)], 48) == 2


def test_without_validation_the_last_epoch_is_kept():
    place = Place()
    assert all(better(place, epoch, "top1", None) for epoch in (1, 2)) and place.best_epoch == 2


def test_epochs_with_a_lower_metric_than_the_start_come_last():
    assert kept("top1", [(0.80, 0.5), (0.85, 0.6), (0.82, 0.4)], 100, floor=0.84) == 2
    assert kept("top1", [(0.80, 0.5), (0.82, 0.4)], 100, floor=0.84) == 2


def test_the_start_stays_unless_training_has_bettered_it_bettered():
    rng = np.random.default_rng(1)
    start = rng.gamma(0.5, 1.0, 100)
    little, much = start - rng.normal(0.0, 0.3, 100), start - rng.normal(0.3, 0.3, 100)
    for metric, last, best, stays in (
        ("top1", much, 0.84, False),
        ("top1", little, 0.84, True),
        ("top1", start + 0.3, 0.9, True),
        ("top1", much, 0.79, True),  # however small its loss, it has a lower metric
        ("loss", much, 0.7, False),
        ("loss", much, 0.9, True),
    ):
        place = Place(floor=0.8, best=best, best_loss=0.3, best_epoch=3)
        assert keep_start(place, metric, start, last) == stays
        assert (place.best_epoch, place.best) == ((0, 0.8) if stays else (3, best))


def test_a_paired_test_finds_what_is_the_same_for_all_pictures():
    spread = np.random.default_rng(0).normal(3, 5, 50)
    assert bettered(spread, spread - 0.1 - np.linspace(0, 0.1, 50)) and not bettered(spread, spread[::-1])
    assert not bettered(spread, spread) and not bettered(spread[:1], spread[:1] - 1)


class Labelled:
    """Targets, as a dataset has them."""

    def __init__(self, targets, multi_label=False):
        self.targets, self.multi_label = targets, multi_label


def test_losses_do_not_tell_how_sure_a_network_is():
    rng = np.random.default_rng(2)
    targets, noise = rng.integers(0, 4, 200), rng.normal(size=(200, 4)).astype(np.float32)
    several = (rng.random((200, 4)) < 0.3).astype(np.uint8)
    for data, signs in ((Labelled(targets), np.eye(4)[targets]), (Labelled(several, multi_label=True), 2.0 * several - 1)):
        logits = (noise + signs).astype(np.float32)
        np.testing.assert_allclose(losses(logits, data), losses(logits * 4, data), rtol=1e-5)
        assert losses(logits, data).mean() < losses(noise, data).mean()
