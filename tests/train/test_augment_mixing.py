"""Mixup and CutMix: timm's batches and targets given timm's draws, and draws as they should be distributed."""

import random

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch (extra: train) is not installed")
from lcnet.train.augment.mixing import Mix, Mixing, mix

CLASSES = 7


class Fed:
    """Gives the same numbers to ours and, through numpy's names, to timm's."""

    def __init__(self, uniforms, beta, centre):
        self.uniforms, self.beta, self.centre, self.alphas = list(uniforms), beta, list(centre), []

    def random(self):
        return self.uniforms.pop(0)

    def betavariate(self, a, b):
        self.alphas.append((a, b))
        return self.beta

    def randrange(self, stop):
        return int(self.centre.pop(0) * stop)

    def randint(self, low, high, size=None):
        return low + self.randrange(high - low)


CASES = [  # mixup, cutmix, uniform draws, beta, centre
    (0.2, 0.0, (0.3,), 0.83, ()),
    (0.0, 1.0, (0.3,), 0.4, (0.5, 0.5)),
    (0.1, 1.0, (0.3, 0.6), 0.07, ()),
    (0.1, 1.0, (0.3, 0.4), 0.61, (0.0, 0.99)),
    (0.1, 1.0, (0.3, 0.4), 0.999, (0.9, 0.0)),
    (0.1, 1.0, (0.3, 0.4), 0.0, (0.2, 0.7)),
    (0.1, 1.0, (0.95,), 0.5, ()),
    (0.2, 0.0, (0.3,), 1.0, ()),
]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize(("mixup", "cutmix", "uniforms", "beta", "centre"), CASES)
def test_given_the_draws_the_batch_is_timms(timm, torch, monkeypatch, mixup, cutmix, uniforms, beta, centre, smoothing):
    from timm.data import Mixup

    x, labels = torch.randn(6, 3, 18, 25), torch.tensor([0, 3, 6, 6, 1, 2])
    fed = Fed(uniforms, beta, centre)
    for name, function in (("rand", fed.random), ("beta", fed.betavariate), ("randint", fed.randint)):
        monkeypatch.setattr(np.random, name, function)
    theirs = Mixup(mixup, cutmix, prob=0.9, mode="batch", label_smoothing=smoothing, num_classes=CLASSES)
    expected_x, expected_targets = theirs(x.clone(), labels)
    assert (fed.uniforms, fed.centre) == ([], [])
    ours = Fed(uniforms, beta, centre)
    dense = torch.nn.functional.one_hot(labels, CLASSES) * (1 - smoothing) + smoothing / CLASSES
    found_x, targets = Mixing(mixup, cutmix, prob=0.9)(x, dense, ours)
    assert found_x is x
    assert torch.equal(found_x, expected_x)
    torch.testing.assert_close(targets, expected_targets, rtol=0, atol=1e-7)
    assert (ours.uniforms, ours.centre, ours.alphas) == ([], [], fed.alphas)


def test_smoothing_after_mixing_is_smoothing_before(torch):
    labels = torch.nn.functional.one_hot(torch.tensor([0, 3, 6, 1]), CLASSES).float()
    before = mix(torch.zeros(4, 1, 2, 2), labels * 0.9 + 0.1 / CLASSES, Mix(0.3))[1]
    after = mix(torch.zeros(4, 1, 2, 2), labels, Mix(0.3))[1] * 0.9 + 0.1 / CLASSES
    torch.testing.assert_close(before, after)


@pytest.mark.parametrize("size", [1, 5])
@pytest.mark.parametrize("mixing", [Mixing(mixup=1.0), Mixing(cutmix=1.0)])
def test_the_middle_picture_of_an_odd_batch_stays(torch, size, mixing):
    x, targets = torch.randn(size, 3, 8, 8), torch.eye(size)
    found, mixed = mixing(x.clone(), targets.clone(), random.Random(1))
    middle = size // 2
    torch.testing.assert_close(found[middle], x[middle])
    torch.testing.assert_close(mixed[middle], targets[middle])
    torch.testing.assert_close(mixed.sum(1), torch.ones(size))
    assert size == 1 or not torch.equal(found[0], x[0])


def test_cutmix_targets_tell_the_share_of_pixels(torch):
    rng, mixing = random.Random(8), Mixing(cutmix=1.0)
    for _ in range(200):
        x, targets = mixing(torch.arange(2.0).view(2, 1, 1, 1).expand(2, 1, 9, 13).clone(), torch.eye(2), rng)
        torch.testing.assert_close(x.mean(dim=(1, 2, 3)), targets[:, 1])


@pytest.mark.parametrize("alpha", [0.1, 0.2, 1.0, 4.0])
def test_shares_follow_the_beta_distribution(alpha):
    rng = random.Random(2)
    shares = np.array([Mixing(mixup=alpha).draw(rng, 8, 8).share for _ in range(8000)])
    assert shares.mean() == pytest.approx(0.5, abs=0.02)
    assert shares.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.05)


def test_probabilities_and_the_switch():
    rng = random.Random(2)
    drawn = [Mixing(0.2, 1.0, prob=0.6, switch_prob=0.25).draw(rng, 32, 32) for _ in range(10_000)]
    mixed = [d for d in drawn if d]
    assert abs(len(mixed) - 6000) < 200
    assert abs(sum(d.box is not None for d in mixed) / len(mixed) - 0.25) < 0.025
    assert all(Mixing(*on, prob=1.0).draw(rng, 8, 8) for on in ((0.2, 0), (0, 1.0), (0.2, 1.0)))
    assert not any(Mixing(0.2, 1.0, prob=0.0).draw(rng, 8, 8) for _ in range(100))


def test_without_mixing_nothing_changes_and_nothing_is_drawn(torch):
    x, targets, rng = torch.randn(4, 3, 8, 8), torch.eye(4), random.Random(0)
    found = Mixing()(x, targets, rng)
    assert found[0] is x
    assert found[1] is targets
    assert rng.getstate() == random.Random(0).getstate()


def test_one_generator_gives_one_batch(torch):
    x, targets = torch.randn(4, 3, 8, 8), torch.eye(4)
    draws = [Mixing(0.2, 1.0)(x.clone(), targets, random.Random(seed)) for seed in (*range(6), *range(6))]
    for (a, b), (c, d) in zip(draws[:6], draws[6:], strict=True):
        assert torch.equal(a, c)
        assert torch.equal(b, d)
