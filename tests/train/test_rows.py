"""Every name that a recipe accepts has a row in the table of the code that it chooses, and no row is out of reach."""

import pytest

from lcnet.errors import InputError
from lcnet.train.recipe import CHOICES, Recipe


def tables():
    pytest.importorskip("torch")
    from lcnet.train import distributed, ema, loader, loop, losses, optim, sampler, schedule
    from lcnet.train.augment import erasing, randaugment

    return [
        ("optimizer", optim.OPTIMIZERS),
        ("schedule", schedule.SCHEDULES),
        ("crop", loader.CROPS),
        ("interpolation", loader.FILTERS),
        ("interpolation", randaugment.FILTERS),
        ("erasing_mode", erasing.FILLINGS),
        ("sampler", sampler.SAMPLERS),
        ("loss", losses.LOSSES),
        ("class_weights", losses.CLASS_WEIGHTS),
        ("freeze", loop.FREEZES),
        ("ema_version", ema.VERSIONS),
        ("dist_bn", distributed.DIST_BN),
    ]


def test_every_name_of_a_recipe_has_a_row_and_every_row_a_name():
    rows = tables()
    assert {key for key, _ in rows} == set(CHOICES)
    for key, table in rows:
        assert set(table) == set(CHOICES[key]), key


def test_rows_that_say_more_of_a_name_are_of_known_names():
    pytest.importorskip("torch")
    from lcnet.train import losses, sampler

    assert set(losses.MULTI_LABEL) < set(CHOICES["loss"]) and set(sampler.ONE_LABEL) < set(CHOICES["sampler"])


@pytest.mark.parametrize("key", CHOICES)
def test_a_recipe_takes_these_names_and_tells_them_for_any_other(key):
    for name in CHOICES[key]:
        assert getattr(Recipe(**{key: name}), key) == name
    with pytest.raises(InputError, match=f"recipe: {key} is 'other', expected " + " or ".join(map(str, CHOICES[key]))):
        Recipe(**{key: "other"})
