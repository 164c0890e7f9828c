"""The recipes that have a name, as data, and how a recipe is had from a name or from a file.

Owns which values are published and which are inferred: LCNet's own command lines in timm never were. Stochastic depth,
which some sources set, is left out: LCNet has no residual paths that it could drop. Nothing here needs torch.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..arch import SIZES
from ..errors import InputError
from ..text import suggest
from .recipe import Recipe, parse_settings


@dataclass(frozen=True)
class Published:
    """A recipe, what it is for, where its values come from, and the keys whose values the source does not give."""

    recipe: Recipe
    about: str
    source: str
    inferred: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values; a file of them is a recipe that `recipe` reads."""
        return {"about": self.about, "source": self.source, "inferred": list(self.inferred), "recipe": self.recipe.to_json()}


_RA2 = Recipe(
    epochs=600,
    batch_size=1024,
    input_size=224,
    crop_pct=0.875,
    optimizer="rmsprop_tf",
    lr=0.064,
    momentum=0.9,
    alpha=0.9,
    eps=1e-3,
    weight_decay=1e-5,
    schedule="step",
    decay_epochs=2.4,
    decay_rate=0.973,
    warmup_epochs=3,
    warmup_lr=1e-6,
    randaugment="rand-m9-mstd0.5",
    erasing=0.2,
    label_smoothing=0.1,
    dropout=0.2,
    ema=0.9999,
    ema_version=2,
)
_A1 = Recipe(
    epochs=600,
    batch_size=2048,
    input_size=224,
    crop_pct=0.95,
    optimizer="lamb",
    lr=5e-3,
    eps=1e-6,
    weight_decay=0.01,
    schedule="cosine",
    warmup_epochs=5,
    warmup_lr=1e-4,
    min_lr=1e-6,
    randaugment="rand-m7-mstd0.5-inc1",
    repeats=3,
    loss="bce",
    bce_threshold=0.2,
    label_smoothing=0.1,
    mixup=0.2,
    cutmix=1.0,
)
_A2 = replace(_A1, epochs=300, weight_decay=0.02, label_smoothing=0.0, mixup=0.1)
_A3 = replace(_A2, epochs=100, input_size=160, test_size=224, lr=8e-3, repeats=1, randaugment="rand-m6-mstd0.5-inc1")
_PADDLE = Recipe(
    epochs=360,
    batch_size=2048,
    input_size=224,
    crop_pct=0.875,
    optimizer="sgd",
    lr=0.8,
    momentum=0.9,
    weight_decay=3e-5,
    decay_biases=True,
    schedule="cosine",
    warmup_epochs=5,
    warmup_prefix=True,
    per_update=True,
    interpolation="bilinear",
    label_smoothing=0.1,
    dropout=0.2,
)
_FINETUNE = Recipe(
    epochs=12,
    batch_size=64,
    optimizer="adamw",
    lr=1e-3,
    weight_decay=0.05,
    layer_decay=0.8,
    clip_grad=1.0,
    schedule="cosine",
    warmup_epochs=1,
    warmup_lr=1e-4,  # of few pictures the first step is an epoch, which is to learn something
    per_update=True,
    scale=(0.35, 1.0),
    randaugment="rand-m6-mstd0.5-inc1",
    label_smoothing=0.1,
    dropout=0.2,
    freeze="trunk",
    freeze_epochs=2,
)
_QUICK = Recipe(
    epochs=30,
    batch_size=128,
    input_size=64,
    crop_pct=1.0,
    optimizer="sgd",
    lr=0.1,
    nesterov=True,
    weight_decay=5e-4,
    schedule="cosine",
    warmup_epochs=2,
    warmup_lr=0.01,
    per_update=True,
    scale=(0.35, 1.0),
    label_smoothing=0.1,
)

_RSB = (
    "ResNet strikes back (arXiv 2110.00476), written for ResNet-50; its values as the rsb configs of open-mmlab/mmpretrain "
    "have them. Inferred: the ends of the schedule (timm's defaults of that time) and the threshold that makes each class "
    "of a mixed picture a target of 1. For another batch_size timm scales LAMB's lr by the root of the factor. Left out: "
    "stochastic depth"
)
_RSB_INFERRED = ("warmup_lr", "min_lr", "bce_threshold", "eps", "interpolation")
_OWN = "this project: no published recipe"

RECIPES: dict[str, Published] = {
    "ra2": Published(
        _RA2,
        "ImageNet from scratch, the family of timm's lcnet_*.ra2_in1k",
        "The cards of lcnet_050, 075 and 100.ra2_in1k (huggingface.co/timm) name RMSprop as in TensorFlow 1, RandAugment, "
        "averaged weights, and a learning rate that falls in steps after a warm-up, but no numbers. Those here are of the "
        "nearest model with a published command line, mobilenetv3_large_100 (timm.fast.ai/training_hparam_examples), and "
        "timm's defaults of January 2022. lr is 6.25e-5 x batch_size in all command lines of the family: change both. "
        "Left out: noise on the learning rate from 42% to 90% of the epochs, stochastic depth 0.2",
        (
            "epochs",
            "batch_size",
            "lr",
            "momentum",
            "alpha",
            "eps",
            "weight_decay",
            "warmup_epochs",
            "warmup_lr",
            "decay_epochs",
            "decay_rate",
            "randaugment",
            "erasing",
            "label_smoothing",
            "dropout",
            "ema",
            "ema_version",
        ),
    ),
    "a1": Published(_A1, "ImageNet from scratch, the longest", _RSB, _RSB_INFERRED),
    "a2": Published(_A2, "ImageNet from scratch, 300 epochs", _RSB, _RSB_INFERRED),
    "a3": Published(_A3, "ImageNet from scratch, 100 epochs of small pictures", _RSB, _RSB_INFERRED),
    "paddle": Published(
        _PADDLE,
        "ImageNet from scratch, as PP-LCNet was published",
        "PP-LCNet (arXiv 2109.15099) and ppcls/configs/ImageNet/PPLCNet/PPLCNet_x*.yaml of PaddlePaddle/PaddleClas, 4 x 512 "
        "pictures a step. weight_decay is that of widths up to 1.0; 1.5 and more have 4e-5, and 2.5 has AutoAugment too. "
        "Parts are cut out by timm's rule, which tries sizes that PaddleClas does not",
        ("ratio",),
    ),
    "finetune": Published(_FINETUNE, "your own pictures, from published weights", _OWN),
    "quick": Published(_QUICK, "small pictures from scratch, minutes on a laptop", _OWN),
}


def default_for(model: str) -> str:
    """The recipe for a start of this name: trained weights are tuned, random ones are trained."""
    return "quick" if model in SIZES else "finetune"


def recipe(name_or_path: str | Path, settings: Iterable[str] = ()) -> Recipe:
    """Return the recipe of a name, or of a JSON file that training or `lcnet recipes` wrote, changed by `key=value`s.

    The file holds the keys themselves or has them under "recipe"; those it lacks have `Recipe`'s defaults. Raises
    `InputError` for an unknown name, a file that cannot be read, and keys or values that are not a recipe's.
    """
    return _find(name_or_path).change(parse_settings(settings))


def _find(name_or_path: str | Path) -> Recipe:
    name = str(name_or_path)
    if name in RECIPES:
        return RECIPES[name].recipe
    path = Path(name_or_path)
    if path.suffix == ".json" or path.is_file():
        return _read(path)
    raise unknown(name)


def unknown(name: str) -> InputError:
    """The error for a name that no recipe has."""
    known = tuple(RECIPES)
    return InputError(f"no recipe is called {name!r}{suggest(name, known)} (known: {', '.join(known)}, or a .json file)")


def _read(path: Path) -> Recipe:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read as a recipe in JSON: {error}") from None
    values = data.get("recipe", data) if isinstance(data, dict) else data
    if not isinstance(values, dict):
        raise InputError(f"{path}: expected a JSON object of a recipe's keys, found {type(values).__name__}")
    try:
        return Recipe().change(values)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
