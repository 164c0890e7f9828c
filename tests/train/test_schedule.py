"""Learning rates against timm's schedulers, a closed form of PaddleClas', and published numbers."""

import importlib
import math

import pytest

from lcnet.errors import InputError
from lcnet.train.recipe import Recipe
from lcnet.train.schedule import Schedule

UPDATES = 7
BASE = Recipe(epochs=300, lr=0.064, schedule="step", decay_epochs=2.4, decay_rate=0.973, warmup_lr=1e-6)


def by_epoch(recipe):
    schedule = Schedule(recipe, UPDATES)
    rates = [[schedule.lr(epoch * UPDATES + i) for i in range(UPDATES)] for epoch in range(recipe.epochs)]
    assert recipe.per_update or all(len(set(rate)) == 1 for rate in rates)
    return [rate[0] for rate in rates]


def timms(torch, scheduler, recipe, unit, **options):
    """The rate of each epoch (or update), as timm's training loop sets it."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=recipe.lr)
    common = {"warmup_t": recipe.warmup_epochs * unit, "warmup_lr_init": recipe.warmup_lr}
    scheduler = scheduler(optimizer, warmup_prefix=recipe.warmup_prefix, t_in_epochs=unit == 1, **common, **options)
    rates = []
    for time in range(recipe.epochs * unit):
        (scheduler.step if unit == 1 else scheduler.step_update)(time)
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


@pytest.fixture(scope="module")
def peer(timm):
    """timm's own package of the same purpose."""
    return importlib.import_module("timm.scheduler")


STEPS = [
    {},
    {"warmup_epochs": 3.0},
    {"warmup_epochs": 5.0, "warmup_prefix": True},
    {"decay_epochs": 30.0},
    {"decay_rate": 0.97, "lr": 0.048, "epochs": 450, "warmup_epochs": 3.0},
]


@pytest.mark.parametrize("change", STEPS)
@pytest.mark.parametrize("per_update", [False, True])
def test_steps_equal_timm(torch, peer, change, per_update):
    recipe = BASE.change({**change, "per_update": per_update})
    unit = UPDATES if per_update else 1
    options = {"decay_t": recipe.decay_epochs * unit, "decay_rate": recipe.decay_rate}
    expected = timms(torch, peer.StepLRScheduler, recipe, unit, **options)
    schedule = Schedule(recipe, UPDATES)
    ours = [schedule.lr(u) for u in range(recipe.epochs * UPDATES)] if per_update else by_epoch(recipe)
    assert ours == pytest.approx(expected, rel=1e-12)
    assert len(set(ours)) > 5


COSINES = [
    {},
    {"warmup_epochs": 5.0},
    {"warmup_epochs": 5.0, "warmup_prefix": True},
    {"min_lr": 1e-3, "epochs": 17},
    {"epochs": 1},
    {"epochs": 3, "warmup_epochs": 2.0, "warmup_lr": 1.0},
]


@pytest.mark.parametrize("change", COSINES)
@pytest.mark.parametrize("per_update", [False, True])
def test_cosine_equals_timm(torch, peer, change, per_update):
    """timm's length leaves a warm-up prefix out; the recipe's `epochs` are all of it."""
    recipe = BASE.change({"schedule": "cosine", **change, "per_update": per_update})
    unit = UPDATES if per_update else 1
    length = (recipe.epochs - (recipe.warmup_epochs if recipe.warmup_prefix else 0)) * unit
    expected = timms(torch, peer.CosineLRScheduler, recipe, unit, t_initial=length, lr_min=recipe.min_lr)
    schedule = Schedule(recipe, UPDATES)
    ours = [schedule.lr(u) for u in range(recipe.epochs * UPDATES)] if per_update else by_epoch(recipe)
    assert ours == pytest.approx(expected, rel=1e-12)


def test_the_staircase_of_the_ra2_family():
    rates = by_epoch(BASE.change({"epochs": 600, "warmup_epochs": 3}))
    start = [1e-6, 0.021334, 0.042667, 0.062272, 0.062272, 0.060591]
    assert rates[:6] == pytest.approx(start, rel=1e-4)
    assert [rates[t] for t in (100, 300, 449, 599)] == pytest.approx([0.02084, 0.00209, 3.83e-4, 7.02e-5], rel=3e-3)
    cold = by_epoch(BASE.change({"warmup_epochs": 0}))
    drops = [t for t in range(1, 16) if cold[t] < cold[t - 1]]
    assert drops == [3, 5, 8, 10, 12, 15]


def test_paddles_cosine_after_a_linear_warm_up():
    """LinearWarmup from 0 over 5 epochs around CosineAnnealingDecay over the other 355, each step its own rate."""
    from lcnet.train.recipes import RECIPES

    schedule = Schedule(RECIPES["paddle"].recipe, 626)
    warmup, total = 5 * 626, 360 * 626
    for update in (0, 1, 1000, warmup - 1):
        assert schedule.lr(update) == pytest.approx(0.8 * update / warmup)
    for update in (warmup, warmup + 1, 100_000, total - 1):
        angle = math.pi * (update - warmup) / (total - warmup)
        assert schedule.lr(update) == pytest.approx(0.4 * (1 + math.cos(angle)))
    assert schedule.lr(warmup) == 0.8 and schedule.lr(total) == 0.0


def test_constant_after_the_warm_up():
    rates = by_epoch(Recipe(epochs=6, lr=0.5, schedule="constant", warmup_epochs=2, warmup_lr=0.1))
    assert rates == pytest.approx([0.1, 0.3, 0.5, 0.5, 0.5, 0.5])


@pytest.mark.parametrize("prefix", [False, True])
def test_a_warm_up_longer_than_the_training_and_what_comes_after_the_end(prefix):
    recipe = Recipe(epochs=4, lr=1.0, warmup_epochs=8, warmup_prefix=prefix, min_lr=0.25)
    assert by_epoch(recipe) == [0.0, 0.125, 0.25, 0.375]
    assert Schedule(recipe, UPDATES).lr(1000 * UPDATES) == 0.25


def test_an_epoch_without_updates_is_refused():
    with pytest.raises(InputError, match="updates_per_epoch"):
        Schedule(BASE, 0)
