"""What the model file will say of a checkpoint's network, from all who say something, and a note of what nobody says.

In this order, the first that says it: what the caller chooses, the zoo's entry that he names, the checkpoint itself, a
`config.json` beside it, what its project does by default. Only the last is assumed, and is told by name and value.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import zoo
from ..arch import HEAD_CHANNELS, Arch
from ..config import Decision, Labels, ModelConfig, Preprocessing, from_json
from ..errors import InputError, ModelFileError
from ..labels import load_labels
from ..modelfile import infer_arch, parse_config, plain_config
from ..modelfile.assumed import FIELDS, LABELS, assumptions, noted
from ..modelfile.description import classes_of
from ..text import plain, quoted
from .checkpoint import Checkpoint, read_bytes
from .paddle import CONFIGS
from .paddle_config import PaddleConfig, read_paddle_config
from .says import Said, what_it_says
from .second import SIGN, second_arch

TOLD = 5  # names in a note
_UNSAID = "a .pdparams says neither strides nor the factor before the classifier: the usual ones (--config FILE)"


def describe_network(
    source: Path,
    checkpoint: Checkpoint,
    weights: Mapping[str, np.ndarray],
    beside: PaddleConfig | None,
    name: str | None,
    labels: Labels | None,
    preprocessing: Mapping[str, Any],
    multi_label: bool | None,
) -> ModelConfig:
    """Describe the network. Raises `ModelFileError` for what is said but cannot be."""
    shapes = {key: value.shape for key, value in weights.items()}
    own = name is None and checkpoint.description is None
    config = _base(source, checkpoint, shapes, beside, name)
    if beside is not None:
        beside.check_classes(config.arch.num_classes)
    said = what_it_says(source, checkpoint.root, config.arch, preprocessing) if own else Said()
    if own and beside is not None:
        said = replace(said, preprocessing=beside.preprocessing, labels=beside.labels)
    chosen = {**said.preprocessing, **preprocessing}
    labels = labels or said.labels
    known = {*chosen, *([LABELS] if labels else [])}
    values = asdict(config.preprocessing) | fitted(chosen, config.arch.in_chans)
    bn_eps = config.bn_eps if said.bn_eps is None else said.bn_eps
    pre = from_json(Preprocessing, values, "preprocessing") if chosen else config.preprocessing
    left = [name for name in assumptions(config) if name not in known]
    labels = labels or config.labels
    decision = _decision(config.decision, beside if own else None, labels, multi_label)
    out = replace(config, preprocessing=pre, labels=labels, bn_eps=bn_eps, decision=decision)
    also = [*_left_out(checkpoint), *(_unsaid(beside) if own and beside else ())]
    return noted(out, left, also) if known or also or own else out


def said_beside(source: Path, config: str | os.PathLike[str] | None, paddle: bool) -> PaddleConfig | None:
    """What Paddle's YAML says of a checkpoint of Paddle's: the one that is named, or that of its name beside it.

    None: it is none of Paddle's. Raises `ModelFileError`.
    """
    if not paddle:
        if config is not None:
            raise InputError(f"config is {os.fspath(config)!r}, which only a network of Paddle's has")
        return None
    beside = [source.with_suffix(suffix) for suffix in CONFIGS]
    path = Path(config) if config is not None else next((path for path in beside if path.is_file()), None)
    return config_of(path)


def config_of(path: Path | None) -> PaddleConfig:
    """What a YAML file of Paddle's says; nothing if there is none. Raises `ModelFileError` naming the file."""
    if path is None:
        return PaddleConfig()
    try:
        data = read_bytes(path)
    except ModelFileError as error:
        raise ModelFileError(f"{plain(path.name)} {error}") from None
    return read_paddle_config(path, data)


def _decision(decision: Decision, beside: PaddleConfig | None, labels: Labels | None, several: bool | None) -> Decision:
    """What a configuration says, unless the caller wants the other of one class a picture and several."""
    said = (beside.decision(labels) if beside else None) or decision
    return said if several in (None, said.multi_label) else Decision(multi_label=bool(several))


def _base(
    source: Path, checkpoint: Checkpoint, shapes: dict[str, tuple[int, ...]], beside: PaddleConfig | None, name: str | None
) -> ModelConfig:
    if name is not None:
        return _named(name, _arch(checkpoint, shapes, beside))
    if checkpoint.description is not None:
        return _float_only(parse_config(checkpoint.description, classes_of(shapes)))
    return _paddle_config(_arch(checkpoint, shapes, beside)) if beside is not None else plain_config(source, shapes)


def _arch(checkpoint: Checkpoint, shapes: Mapping[str, tuple[int, ...]], beside: PaddleConfig | None) -> Arch:
    """The network that has these tensors, with the strides that a configuration says."""
    if beside is None:
        return infer_arch(shapes)
    try:
        return replace(
            _first_arch(shapes) if SIGN not in checkpoint.tensors else second_arch(checkpoint.tensors), **beside.arch
        )
    except ValueError as error:
        raise ModelFileError(f"its configuration says of the network: {error}") from None


def _first_arch(shapes: Mapping[str, tuple[int, ...]]) -> Arch:
    last = shapes.get("blocks.5.1.conv_pw.weight", (0,))[0]
    head = shapes.get("conv_head.weight", (HEAD_CHANNELS, last, 1, 1))
    arch = infer_arch({**shapes, "conv_head.weight": head})
    if "conv_head.weight" in shapes:
        return replace(arch, head_channels=head[0])
    return replace(arch, head_channels=0, classifier_input=("blocks.5",))


def fitted(values: dict[str, Any], channels: int) -> dict[str, Any]:
    """One number stands for every channel, and height and width for an input of the network's channels."""
    out = dict(values)
    lists = {key: list(value) for key, value in values.items() if isinstance(value, (list, tuple))}
    out |= {key: lists[key] * channels for key in ("mean", "std") if len(lists.get(key, ())) == 1}
    if len(lists.get("input_size", ())) == 2:
        out["input_size"] = [channels, *lists["input_size"]]
    return out


def _unsaid(beside: PaddleConfig) -> tuple[str, ...]:
    """What a .pdparams cannot say and no configuration of its training does, and what its configuration has to note."""
    return beside.notes if beside.trained else (_UNSAID, *beside.notes)


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
    if (entry.arch.family, entry.arch.width, entry.arch.depths) != (arch.family, arch.width, arch.depths):
        raise ModelFileError(f"the tensors are those of {arch.name}, not of {name}")
    config = entry.config()
    labels = config.labels if arch.num_classes == entry.num_classes else None
    return replace(config, arch=arch, labels=labels, preprocessing=config.preprocessing.with_channels(arch.in_chans))


def _paddle_config(arch: Arch) -> ModelConfig:
    labels = load_labels("imagenet1k") if arch.num_classes == 1000 else None
    config = ModelConfig(arch, Preprocessing(interpolation="bilinear").with_channels(arch.in_chans), labels)
    return noted(config, (*FIELDS, LABELS) if labels else FIELDS)
