"""The learning rate as a pure function of how many steps were taken: steps, cosine or constant, with a warm-up.

Owns the rate of the last layer; a group's own factor is `lr_scale` in `optim`. Keeps no state, so that a resumed run goes
on exactly. Knows neither restarts nor noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import InputError
from .recipe import Recipe


@dataclass(frozen=True)
class Schedule:
    """A recipe's learning rates. By default one holds for an epoch; with `per_update` each step has its own.

    The warm-up climbs linearly from `warmup_lr` to `lr`, which it reaches at its end. By default the schedule runs under
    it from the first epoch, unseen until then; with `warmup_prefix` it begins at its end. `epochs` is the length of
    everything, so that with a prefix the cosine spans what the warm-up leaves: 360 epochs with 5 of warm-up are
    PaddleClas' 5 + 355, and timm's `--epochs 355 --warmup-prefix`.
    """

    recipe: Recipe
    updates_per_epoch: int

    def __post_init__(self) -> None:
        if self.updates_per_epoch < 1:
            raise InputError(f"updates_per_epoch is {self.updates_per_epoch}, expected at least 1: too few pictures?")

    def lr(self, update: int) -> float:
        """The rate of the step that comes after `update` finished ones."""
        recipe = self.recipe
        unit = self.updates_per_epoch if recipe.per_update else 1
        time = update if recipe.per_update else update // self.updates_per_epoch
        warmup = recipe.warmup_epochs * unit
        if time < warmup:
            return recipe.warmup_lr + time * ((recipe.lr - recipe.warmup_lr) / warmup)
        skipped = warmup if recipe.warmup_prefix else 0
        return SCHEDULES[recipe.schedule](recipe, time - skipped, skipped, unit)


def staircase(recipe: Recipe, time: float, every: float) -> float:
    """`lr` times `decay_rate` for each `every` (any real number) that `time` holds in full; `min_lr` is no bound."""
    return recipe.lr * recipe.decay_rate ** (time // every)


def cosine(recipe: Recipe, time: float, total: float) -> float:
    """Half a cosine (arXiv 1608.03983) from `lr` at 0 to `min_lr` at `total`, and `min_lr` from then on."""
    if time >= total:
        return recipe.min_lr
    return recipe.min_lr + 0.5 * (recipe.lr - recipe.min_lr) * (1 + math.cos(math.pi * time / total))


# The rate at a time behind what was skipped for the warm-up; an epoch has `unit` of that time.
SCHEDULES: dict[str, Callable[[Recipe, float, float, int], float]] = {
    "step": lambda recipe, time, _, unit: staircase(recipe, time, recipe.decay_epochs * unit),
    "cosine": lambda recipe, time, skipped, unit: cosine(recipe, time, recipe.epochs * unit - skipped),
    "constant": lambda recipe, *_: recipe.lr,
}
OPEN_ENDED = ("step", "constant")  # those that give an epoch the same rate however many come after it
