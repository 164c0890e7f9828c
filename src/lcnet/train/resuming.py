"""What may differ between a run and what goes on with it: nothing that would have changed a number of the epochs done.

The number of epochs may, where no rate depends on it. What changes no number is free (patience, workers, how often a
checkpoint is written), and so is the machine, whose arithmetic nobody can hold on to.
"""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_type_hints

from ..errors import InputError, ModelFileError
from ..text import reason, short
from .checkpoint import Saved
from .options import TrainOptions
from .recipe import Recipe
from .schedule import OPEN_ENDED


class Stored(NamedTuple):
    """What a run's recipe.json says that it was begun with."""

    data: str
    recipe: Recipe
    options: dict[str, Any]


def stored(path: Path) -> Stored | None:
    """Read a run's recipe.json; None if there is none. Raises `InputError` for a damaged one."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(told, dict) or not isinstance(told.get("asked"), dict) or not isinstance(told.get("data"), str):
            raise ValueError("expected an object with asked and data")
        return Stored(told["data"], Recipe().change(told["asked"]), _options(told))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError, InputError) as error:
        raise InputError(f"{path}: it says not how the run was begun ({reason(error)}): --overwrite begins anew") from None


def _options(told: dict[str, Any]) -> dict[str, Any]:
    """The fields of `TrainOptions` that it has, each of its type."""
    kinds, options = get_type_hints(TrainOptions), {}
    for name in (field.name for field in fields(TrainOptions) if field.name in told):
        allowed = get_args(kinds[name]) or (kinds[name],)
        if type(told[name]) not in (*allowed, *((int,) if float in allowed else ())):
            raise ValueError(f"{name} is {short(repr(told[name]))}")
        options[name] = told[name]
    return options


def check(path: Path, saved: Saved, asked: dict[str, Any], model: Path) -> str:
    """Return what to tell of a run that goes on for another number of epochs, or nothing. Raises `ModelFileError`.

    asked: the identity of this run. model: the model file of the one that wrote the checkpoint `path`.
    """
    for key, value in asked.items():
        found = saved.identity.get(key)
        if found != value and not _only_epochs(key, found, value):
            raise ModelFileError(f"{path}: the run had {_differing(key, found, value)}: {_ways(model)}")
    before, now = saved.identity["recipe"]["epochs"], asked["recipe"]["epochs"]
    if before == now:
        return ""
    begun = saved.place.epoch + bool(saved.place.step)
    if now < begun:
        raise ModelFileError(f"{path}: the run is in epoch {begun} already, now epochs is {now}: --set epochs={begun} or more")
    schedule = asked["recipe"]["schedule"]
    return (
        f"the run had {before} epochs, now it has {now}: schedule {schedule!r} gives each epoch the same rate either way, "
        f"so this is the run that had {now} from its start"
    )


def complete(recipe: Recipe, done: int, model: Path) -> str:
    """What to tell of a run that has nothing left to do."""
    if done < recipe.epochs:
        return f"the run is complete: --patience ended it after {done} of {recipe.epochs} epochs"
    more = "--set epochs=N with more of them goes on" if recipe.schedule in OPEN_ENDED else _anew(model)
    return f"the run is complete, all {done} epochs are done: {more}"


def _only_epochs(key: str, found: Any, asked: Any) -> bool:
    if key != "recipe" or not isinstance(found, dict) or type(found.get("epochs")) is not int:
        return False
    return {**found, "epochs": asked["epochs"]} == asked and asked["schedule"] in OPEN_ENDED


def _differing(key: str, found: Any, asked: Any) -> str:
    if not (isinstance(found, dict) and isinstance(asked, dict)):
        return f"{key} {short(repr(found))}, now it is {short(repr(asked))}"
    name = next(k for k in {**found, **asked} if found.get(k) != asked.get(k))
    text = f"{key} {name}={short(repr(found.get(name)))}, now it is {short(repr(asked.get(name)))}"
    schedule = asked.get("schedule")
    return f"{text}, on which every rate of schedule {schedule!r} depends" if name == "epochs" else text


def _ways(model: Path) -> str:
    return f"resume with what it was started with; {_anew(model)}; --overwrite begins anew"


def _anew(model: Path) -> str:
    return f"--model {model} with another --output begins a new run from its weights"
