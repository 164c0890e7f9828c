"""Dense targets and losses against timm's."""

import importlib

import pytest

from lcnet.errors import InputError
from lcnet.train.recipe import Recipe

N, K = 9, 5
CE, BCE = Recipe(loss="ce"), Recipe(loss="bce")


@pytest.fixture(scope="module")
def peer(timm):
    """timm's own package of the same purpose."""
    return importlib.import_module("timm.loss")


@pytest.fixture(scope="module")
def losses(torch):
    from lcnet.train import losses

    return losses


@pytest.fixture
def logits(torch):
    return torch.randn(N, K, generator=torch.Generator().manual_seed(0)) * 4


@pytest.fixture
def classes(torch):
    return torch.tensor([0, 1, 2, 3, 3, 3, 1, 1, 0])


def test_one_hot_and_smoothing_by_hand(torch, losses):
    targets = torch.tensor([1, 0])
    assert losses.dense_targets(targets, 2).tolist() == [[0, 1], [1, 0]]
    smooth = losses.dense_targets(targets, 4, 0.2)
    torch.testing.assert_close(smooth, torch.tensor([[0.05, 0.85, 0.05, 0.05], [0.85, 0.05, 0.05, 0.05]]))


def test_smoothing_of_several_labels_by_hand(torch, losses):
    targets = torch.tensor([[1, 0, 1], [0, 0, 0]], dtype=torch.uint8)
    dense = losses.dense_targets(targets, 3, 0.2, multi_label=True)
    torch.testing.assert_close(dense, torch.tensor([[0.9, 0.1, 0.9], [0.1, 0.1, 0.1]]))
    assert losses.dense_targets(targets, 3, multi_label=True).tolist() == targets.tolist()


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_equals_timm(torch, peer, losses, logits, classes, smoothing):
    ours = losses.make_loss(CE)(logits, losses.dense_targets(classes, K, smoothing))
    torch.testing.assert_close(ours, peer.LabelSmoothingCrossEntropy(smoothing)(logits, classes))


def test_soft_targets_equal_timm(torch, peer, losses, logits, classes):
    dense = losses.dense_targets(classes, K, 0.1)
    mixed = 0.3 * dense + 0.7 * dense.flip(0)
    torch.testing.assert_close(losses.make_loss(CE)(logits, mixed), peer.SoftTargetCrossEntropy()(logits, mixed))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("threshold", [-1.0, 0.0, 0.2])
@pytest.mark.parametrize("sum_classes", [False, True])
def test_binary_cross_entropy_equals_timm(torch, peer, losses, logits, classes, smoothing, threshold, sum_classes):
    recipe = BCE.change({"bce_threshold": threshold, "bce_sum": sum_classes})
    limit = None if threshold < 0 else threshold
    theirs = peer.BinaryCrossEntropy(smoothing, limit, sum_classes=sum_classes)
    dense = losses.dense_targets(classes, K, smoothing)
    torch.testing.assert_close(losses.make_loss(recipe)(logits, dense), theirs(logits, classes))
    mixed = 0.3 * dense + 0.7 * dense.flip(0)
    torch.testing.assert_close(losses.make_loss(recipe)(logits, mixed), theirs(logits, mixed))


def test_several_labels_equal_timm(torch, peer, losses, logits):
    targets = (torch.rand(N, K, generator=torch.Generator().manual_seed(1)) < 0.4).to(torch.uint8)
    weights = losses.inverse_frequency(targets, K)
    ours = losses.make_loss(BCE, weights, multi_label=True)
    theirs = peer.BinaryCrossEntropy(0.1, pos_weight=weights, smooth_dense=True)
    dense = losses.dense_targets(targets, K, 0.1, multi_label=True)
    torch.testing.assert_close(ours(logits, dense), theirs(logits, targets.float()))


def test_cross_entropy_refuses_several_labels(losses):
    with pytest.raises(InputError, match="loss=bce"):
        losses.make_loss(CE, multi_label=True)


@pytest.mark.parametrize("as_array", [False, True])
def test_class_weights_are_inverse_frequencies_with_mean_1(torch, losses, classes, as_array):
    weights = losses.inverse_frequency(classes.numpy() if as_array else classes, K)
    assert weights.dtype == torch.float32 and weights[4] == 1  # never seen
    counts = torch.bincount(classes, minlength=K)[:4]
    torch.testing.assert_close(weights[:4] * counts, torch.full((4,), N / 4))
    assert float(weights[classes].mean()) == pytest.approx(1)


def test_class_weights_of_several_labels(torch, losses):
    targets = torch.tensor([[1, 0, 1], [1, 0, 0], [1, 0, 0]], dtype=torch.uint8)
    torch.testing.assert_close(losses.inverse_frequency(targets, 3), torch.tensor([4 / 6, 1.0, 2.0]))
    assert losses.inverse_frequency(torch.zeros(2, 3), 3).tolist() == [1, 1, 1]


def test_weighted_cross_entropy_is_each_pictures_loss_times_its_weight(torch, losses, logits, classes):
    weights = losses.inverse_frequency(classes, K)
    ours = losses.make_loss(CE, weights)(logits, losses.dense_targets(classes, K))
    single = torch.nn.functional.cross_entropy(logits, classes, reduction="none")
    torch.testing.assert_close(ours, (single * weights[classes]).mean())


@pytest.mark.parametrize("recipe", [CE, BCE], ids=["ce", "bce"])
def test_half_precision_logits_are_taken_in_float32(torch, losses, logits, classes, recipe):
    dense = losses.dense_targets(classes, K, 0.1)
    loss = losses.make_loss(recipe)(logits.bfloat16(), dense)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, losses.make_loss(recipe)(logits.bfloat16().float(), dense))
