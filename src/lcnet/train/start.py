"""From a name to a network to train, and from the trained network to a model file.

`lcnet_050` starts from random weights; `lcnet_050.ra2_in1k`, a file or a hub id from trained ones, whose classifier is kept
only if its labels are the data's classes in the same order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from .. import zoo
from ..arch import WIDTHS
from ..config import Decision, Labels, ModelConfig, Preprocessing
from ..dataset import Dataset
from ..errors import InputError, ModelFileError
from ..modelfile import ModelFile, write
from ..nn import LCNet, create_model, model_config, to_weights
from .loader import for_training
from .recipe import Recipe


@dataclass(frozen=True)
class Start:
    """A fresh network and the preprocessing of the model that it will become."""

    model: LCNet
    preprocessing: Preprocessing
    pretrained: bool


def start(name: str, dataset: Dataset, recipe: Recipe, in_chans: int | None) -> Start:
    """Create the network for a dataset's classes. Raises as `lcnet.create_model` does."""
    pretrained = name not in WIDTHS
    if pretrained and name in {entry.name for entry in zoo.ENTRIES if not entry.pretrained}:
        raise InputError(f"{name} has no weights to start from: --model {name.partition('.')[0]} starts from random ones")
    classes = len(dataset.classes)
    model = create_model(name, pretrained, num_classes=classes, in_chans=in_chans, drop_rate=recipe.dropout)
    assert isinstance(model, LCNet)
    if pretrained and _labels(name, model.pretrained_cfg) != dataset.classes:
        model.reset_classifier(classes)
    preprocessing = for_training(model_config(model).preprocessing, recipe)
    try:
        describe(model, dataset, preprocessing, {})
    except ModelFileError as error:
        raise InputError(f"no model file can hold the result: {error}; rename the class, or change the recipe") from None
    return Start(model, preprocessing, pretrained)


def _labels(name: str, cfg: dict[str, Any]) -> tuple[str, ...]:
    if cfg.get("label_names"):
        return tuple(cfg["label_names"])
    labels = next((entry.config().labels for entry in zoo.ENTRIES if entry.name == name), None)
    return labels.names if labels else ()


def describe(like: LCNet, dataset: Dataset, preprocessing: Preprocessing, provenance: dict[str, Any]) -> ModelConfig:
    """What the model file says: of `like` the architecture, labels, preprocessing and where it came from."""
    config = model_config(like, preprocessing, Labels(dataset.classes))
    return replace(config, decision=Decision(multi_label=dataset.multi_label), provenance=provenance)


def write_model(path: Path, network: nn.Module, config: ModelConfig) -> None:
    """Write the model file: weights of `network`, description as `describe` gives it."""
    write(path, ModelFile(config, to_weights(network)))
