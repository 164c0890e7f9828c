"""From a name to a network to train, and from the trained network to a model file.

`lcnet_050` starts from random weights; `lcnet_050.ra2_in1k`, a file or a hub id from trained ones: size, crop and colours are
theirs where the recipe says nothing else, and so are the classifier's rows of the classes that they know.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from .. import zoo
from ..arch import SIZES
from ..config import Decision, Labels, ModelConfig, Preprocessing
from ..dataset import Dataset
from ..errors import InputError, ModelFileError
from ..hub import FOLDER_PREFIX, locate
from ..modelfile import ModelFile, read_config, write
from ..nn import LCNet, create_model, model_config, to_weights
from ..text import plain, short
from .loader import for_training
from .recipe import Recipe, size_of

TRAINED = "lcnet_050.ra2_in1k"  # for an architecture without weights of its own


@dataclass(frozen=True)
class Start:
    """A network to train, the preprocessing of the model that it will become, and the recipe with nothing left open.

    complete: it knows every class already, so that it can be measured before it is trained. notes: what to tell of it.
    """

    model: LCNet
    preprocessing: Preprocessing
    recipe: Recipe
    pretrained: bool = False
    complete: bool = False
    notes: tuple[str, ...] = ()


def start(name: str, dataset: Dataset, recipe: Recipe, in_chans: int | None) -> Start:
    """Create the network for a dataset's classes. Raises as `lcnet.create_model` does."""
    pretrained = not is_random(name)
    if pretrained and name in {entry.name for entry in zoo.ENTRIES if not entry.pretrained}:
        raise InputError(f"{name} has no weights to start from: --model {name.partition('.')[0]} starts from random ones")
    classes = None if pretrained else len(dataset.classes)
    model = create_model(name, pretrained, num_classes=classes, in_chans=in_chans, drop_rate=recipe.dropout)
    assert isinstance(model, LCNet)
    own = model_config(model).preprocessing
    known = carry_over(model, _labels(name), dataset.classes) if pretrained else []
    preprocessing = for_training(own, recipe)
    try:
        describe(model, dataset, preprocessing, {})
    except ModelFileError as error:
        raise InputError(f"no model file can hold the result: {error}; rename the class, or change the recipe") from None
    notes = (*_differences(own, preprocessing), _carried(dataset.classes, known)) if pretrained else ()
    return Start(model, preprocessing, _settled(recipe, own), pretrained, pretrained and all(known), notes)


FEW = 5000  # training pictures, below which random weights are the worse start by far
MEASURED = ": of 2,000 they had 33% right, trained ones 85%"  # results/finetune.json


def begins(name: str, data: str, output: Path, pictures: int) -> str:
    """What to tell of a start from random weights: which command has trained ones."""
    same = [entry.name for entry in zoo.ENTRIES if entry.hub_id and entry.arch_name == name]
    command = f"lcnet train {plain(data)} -o {plain(output)} -m {same[0] if same else TRAINED}"
    few = f"; {pictures} pictures are few for random ones{MEASURED}" if pictures < FEW else ""
    return f"{name} begins from random weights; `{command}` begins from trained ones{few}"


def placed(name: str) -> str:
    """A model's name as it means the same from every folder: paths in full, all else as it is."""
    folder = name.removeprefix(FOLDER_PREFIX)
    if folder == name and not {"/", os.sep} & set(name):
        with suppress(InputError):
            zoo.find(name)
            return name
    return f"{FOLDER_PREFIX if folder != name else ''}{Path(folder).absolute()}" if Path(folder).exists() else name


def is_random(name: str) -> bool:
    """Whether a start of this name has random weights."""
    return name in SIZES


def _settled(recipe: Recipe, own: Preprocessing) -> Recipe:
    """The recipe with what the weights say in place of what it leaves to them."""
    size = recipe.input_size or size_of("input_size", own.input_size[1:])
    return recipe.change({"input_size": size, "crop_pct": recipe.crop_pct or own.crop_pct})


def _differences(own: Preprocessing, chosen: Preprocessing) -> list[str]:
    """A warning for what the recipe says otherwise than the weights, or nothing."""
    names = [name for name in ("input_size", "crop_pct", "crop_mode") if getattr(own, name) != getattr(chosen, name)]
    if not names:
        return []
    said, theirs = (", ".join(_value(name, getattr(p, name)) for name in names) for p in (chosen, own))
    ways = [f"--set {name}=0" for name in names if name != "crop_mode"]
    advice = f": {' '.join(ways)} takes theirs" if ways else ""
    return [f"warning: the recipe has {said}, the weights were trained for {theirs}{advice}"]


def _value(name: str, value: Any) -> str:
    shown = f"{value[1]}x{value[2]}" if name == "input_size" else f"{value:g}" if isinstance(value, float) else str(value)
    return f"{name} {shown}"


def _labels(name: str) -> Labels | None:
    entry = next((entry for entry in zoo.ENTRIES if entry.name == name), None)
    if entry:
        return entry.config().labels
    located = locate(name)
    return read_config(located.path, located.config).labels


def carry_over(model: LCNet, labels: Labels | None, classes: Sequence[str]) -> list[bool]:
    """Give the model a classifier of `classes`: its own rows where a label has the name or the id, else fresh ones.

    Returns which classes have rows of its own. A name that several labels have is none of them.
    """
    rows = _rows(labels)
    found = [rows.get(name) for name in classes]
    if found == list(range(model.num_classes)):
        return [True] * len(found)
    before = model.classifier.state_dict()
    model.reset_classifier(len(classes))
    for name, tensor in model.classifier.state_dict().items():
        for new, row in enumerate(found):
            if row is not None:
                tensor[new] = before[name][row]
    return [row is not None for row in found]


def _rows(labels: Labels | None) -> dict[str, int]:
    """The row of every name and id that stands for one class alone."""
    rows: dict[str, int] = {}
    for texts in (labels.names, labels.ids or ()) if labels else ():
        rows |= {text: row for row, text in enumerate(texts) if texts.count(text) == 1 and text not in rows}
    return rows


def _carried(classes: Sequence[str], known: list[bool]) -> str:
    old = [name for name, own in zip(classes, known, strict=True) if own]
    new = [name for name, own in zip(classes, known, strict=True) if not own]
    if not new:
        return f"classifier: the weights know all {len(classes)} classes, whose rows are carried over"
    if not old:
        return f"classifier: the weights know none of the {len(classes)} classes, which begin fresh"
    return (
        f"classifier: rows of {len(old)} classes are carried over ({short(', '.join(old))}), "
        f"{len(new)} begin fresh ({short(', '.join(new))})"
    )


def describe(like: LCNet, dataset: Dataset, preprocessing: Preprocessing, provenance: dict[str, Any]) -> ModelConfig:
    """What the model file says: of `like` the architecture, labels, preprocessing and where it came from."""
    config = model_config(like, preprocessing, Labels(dataset.classes))
    return replace(config, decision=Decision(multi_label=dataset.multi_label), provenance=provenance)


def write_model(path: Path, network: nn.Module, config: ModelConfig) -> None:
    """Write the model file: weights of `network`, description as `describe` gives it."""
    write(path, ModelFile(config, to_weights(network)))
