"""Random erasing: box for box timm's, and what fills the boxes."""

import random

import pytest

pytest.importorskip("torch", reason="torch (extra: train) is not installed")
from lcnet.train.augment.erasing import boxes_of, erase


@pytest.mark.parametrize(("probability", "count"), [(0.2, 1), (1.0, 1), (0.7, 3), (0.0, 1)])
@pytest.mark.parametrize("size", [(32, 32), (24, 96), (5, 4), (1, 1), (224, 3)])
def test_boxes_are_drawn_as_timm_does(timm, torch, probability, count, size):
    from timm.data.random_erasing import RandomErasing

    theirs = RandomErasing(probability, mode="const", max_count=count, device="cpu")
    state = random.getstate()
    random.seed(5)
    expected = theirs(torch.ones(200, 2, *size))
    random.setstate(state)
    found = torch.ones(200, 2, *size)
    assert erase(found, random.Random(5), probability, "const", count) is found
    assert torch.equal(found, expected)
    if size in ((32, 32), (24, 96)):
        assert bool((found == 0).any()) == (probability > 0)


class Fed:
    """A generator that gives what it is told, and wants to be asked for just that."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def random(self):
        return self.answers.pop(0)

    def uniform(self, low, high):
        return low + self.answers.pop(0) * (high - low)

    def randint(self, low, high):
        return low + round(self.answers.pop(0) * (high - low))


def test_the_rule_of_a_box():
    rng = Fed(0.1, 0.0, 0.5, 1.0, 1.0)  # erased at all; the least area, a square, the last place
    assert boxes_of(rng, 100, 200, probability=0.5) == [(80, 180, 20, 20)]  # sqrt(0.02 * 100 * 200)
    assert rng.answers == []


def test_a_box_that_does_not_fit_is_drawn_again_ten_times():
    rng = Fed(0.1, *(1.0, 1.0), *(0.0, 0.5), 0.0, 0.0)  # a third of the area, as tall as may be: 105 of 100 pixels
    assert boxes_of(rng, 100, 100, 0.5) == [(0, 0, 14, 14)]
    rng = Fed(0.1, *(0.0, 0.5), *(0.0, 0.0), 1.0, 0.0)  # as high as the picture, 20, then 11 x 37
    assert boxes_of(rng, 20, 1000, 0.5) == [(9, 0, 11, 37)]
    rng = Fed(0.1, *(1.0, 1.0) * 10)
    assert boxes_of(rng, 100, 100, 0.5) == []
    assert rng.answers == []


def test_boxes_share_the_area():
    rng = Fed(0.0, 1.0, *(0.0, 0.5, 0.0, 0.0) * 2)  # two boxes of the least area
    assert boxes_of(rng, 100, 100, 1.0, count=2) == [(0, 0, 10, 10)] * 2  # sqrt(0.02 * 100 * 100 / 2)
    assert rng.answers == []
    assert boxes_of(Fed(0.5), 100, 100, probability=0.5) == []


def test_pixels_are_noise_of_the_same_size_as_timms(timm, torch):
    from timm.data.random_erasing import RandomErasing

    found = erase(torch.full((300, 3, 32, 32), 50.0), random.Random(1), 0.5, "pixel")
    torch.manual_seed(0)
    peer = RandomErasing(0.5, mode="pixel", device="cpu")(torch.full((300, 3, 32, 32), 50.0))
    for x in (found, peer):
        noise = x[x != 50]
        assert abs(float(noise.mean())) < 0.02
        assert float(noise.std()) == pytest.approx(1, abs=0.02)
        assert float((x != 50).any(dim=(1)).float().mean()) == pytest.approx(0.5 * 0.17, abs=0.02)
        assert len(noise.unique()) > 0.9 * len(noise)


def test_a_color_is_drawn_for_each_channel_of_a_box(torch):
    x = erase(torch.full((50, 3, 16, 16), 50.0), random.Random(1), 1.0, "rand")
    values = [[plane[plane != 50].unique() for plane in image] for image in x]
    assert all(len(value) == 1 for image in values for value in image)
    colors = torch.cat([value for image in values for value in image])
    assert len(colors.unique()) == 150
    assert float(colors.std()) == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize("mode", ["pixel", "rand"])
def test_one_generator_gives_one_batch_whatever_its_layout_and_dtype(torch, mode):
    plain = erase(torch.zeros(8, 3, 16, 16), random.Random(3), 1.0, mode)
    last = torch.zeros(8, 3, 16, 16).to(memory_format=torch.channels_last)
    half = torch.zeros(8, 3, 16, 16, dtype=torch.bfloat16)
    state = torch.get_rng_state()
    assert torch.equal(erase(last, random.Random(3), 1.0, mode), plain)
    assert last.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(erase(half, random.Random(3), 1.0, mode), plain.bfloat16())
    other = erase(torch.zeros(8, 3, 16, 16), random.Random(4), 1.0, mode)
    assert not set(other[other != 0].tolist()) & set(plain[plain != 0].tolist())
    assert torch.equal(torch.get_rng_state(), state)


def test_noise_is_made_on_the_device_of_the_batch(torch):
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    x = erase(torch.zeros(8, 3, 16, 16, device="cuda"), random.Random(3), 1.0)
    again = erase(torch.zeros(8, 3, 16, 16, device="cuda"), random.Random(3), 1.0)
    assert torch.equal(x, again)
    plain = erase(torch.zeros(8, 3, 16, 16), random.Random(3), 1.0)
    assert torch.equal(x.cpu() != 0, plain != 0)
