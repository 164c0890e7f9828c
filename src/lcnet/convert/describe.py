"""What the model file will say of a checkpoint's network, from all who say something, and a note of what nobody says.

In this order, the first that says it: what the caller chooses, the zoo's entry that he names, the checkpoint itself, a
`config.json` beside it, what its project does by default. Only the last is assumed, and is told by name and value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import zoo
from ..arch import WIDTHS, Arch
from ..config import Labels, ModelConfig, Preprocessing, from_json
from ..errors import ModelFileError
from ..labels import load_labels
from ..modelfile import infer_arch, parse_config, plain_config
from ..modelfile.assumed import FIELDS, LABELS, assumptions, noted
from ..modelfile.description import classes_of
from ..text import quoted
from .checkpoint import Checkpoint
from .says import Said, what_it_says

TOLD = 5  # names in a note


def describe_network(
    source: Path,
    checkpoint: Checkpoint,
    weights: Mapping[str, np.ndarray],
    paddle: bool,
    name: str | None,
    labels: Labels | None,
    preprocessing: Mapping[str, Any],
) -> ModelConfig:
    """Describe the network. Raises `ModelFileError` for what is said but cannot be."""
    shapes = {key: value.shape for key, value in weights.items()}
    own = name is None and checkpoint.description is None
    config = _base(source, checkpoint, shapes, paddle, name)
    said = what_it_says(source, checkpoint.root, config.arch, preprocessing) if own else Said()
    chosen = {**said.preprocessing, **preprocessing}
    labels = labels or said.labels
    known = {*chosen, *([LABELS] if labels else [])}
    values = asdict(config.preprocessing) | fitted(chosen, config.arch.in_chans)
    bn_eps = config.bn_eps if said.bn_eps is None else said.bn_eps
    pre = from_json(Preprocessing, values, "preprocessing") if chosen else config.preprocessing
    left = [name for name in assumptions(config) if name not in known]
    out = replace(config, preprocessing=pre, labels=labels or config.labels, bn_eps=bn_eps)
    also = _left_out(checkpoint)
    return noted(out, left, also) if known or also or own else out


def _base(
    source: Path, checkpoint: Checkpoint, shapes: dict[str, tuple[int, ...]], paddle: bool, name: str | None
) -> ModelConfig:
    if name is not None:
        return _named(name, infer_arch(shapes))
    if checkpoint.description is not None:
        return _float_only(parse_config(checkpoint.description, classes_of(shapes)))
    return _paddle_config(infer_arch(shapes)) if paddle else plain_config(source, shapes)


def fitted(values: dict[str, Any], channels: int) -> dict[str, Any]:
    """One number stands for every channel, and height and width for an input of the network's channels."""
    out = dict(values)
    lists = {key: list(value) for key, value in values.items() if isinstance(value, (list, tuple))}
    out |= {key: lists[key] * channels for key in ("mean", "std") if len(lists.get(key, ())) == 1}
    if len(lists.get("input_size", ())) == 2:
        out["input_size"] = [channels, *lists["input_size"]]
    return out


def _left_out(checkpoint: Checkpoint) -> list[str]:
    names = [quoted(name) for name in checkpoint.left_out]
    if not names:
        return []
    more = f" and {len(names) - TOLD} more" if len(names) > TOLD else ""
    return [f"left out, as they do not stand under {quoted(checkpoint.prefix)!r}: {', '.join(names[:TOLD])}{more}"]


def _float_only(config: ModelConfig) -> ModelConfig:
    if config.quantization:
        raise ModelFileError("it is a model file already, in int8: convert the float model that it was made from")
    return config


def _named(name: str, arch: Arch) -> ModelConfig:
    entry = zoo.find(name)
    if WIDTHS[entry.arch_name] != arch.width:
        raise ModelFileError(f"the tensors are those of {arch.name}, not of {name}")
    config = entry.config()
    labels = config.labels if arch.num_classes == entry.num_classes else None
    return replace(config, arch=arch, labels=labels, preprocessing=config.preprocessing.with_channels(arch.in_chans))


def _paddle_config(arch: Arch) -> ModelConfig:
    labels = load_labels("imagenet1k") if arch.num_classes == 1000 else None
    config = ModelConfig(arch, Preprocessing(interpolation="bilinear").with_channels(arch.in_chans), labels)
    return noted(config, (*FIELDS, LABELS) if labels else FIELDS)
