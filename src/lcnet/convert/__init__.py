"""Foreign checkpoints (timm .pth, PaddleClas .pdparams, any float .safetensors) -> model file.

Owns the naming: which tensors of a foreign file are which of ours, and what is known about a network whose file says
nothing. Reading is `checkpoint`'s, checking and writing `modelfile`'s. A source is never written to.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import zoo
from ..arch import WIDTHS, Arch
from ..config import Labels, ModelConfig, Preprocessing, from_json
from ..errors import InputError, ModelFileError
from ..files import check_target, write_atomically
from ..labels import load_labels
from ..modelfile import COUNTER, ModelFile, infer_arch, naming, parse_config, plain_config, to_bytes
from ..modelfile.description import classes_of
from ..text import plain, quoted, reason, shown
from .checkpoint import Checkpoint, read_checkpoint

# PaddleClas's PPLCNet drops 0.2 in "downscale at inference" mode: this multiplies the features before the classifier.
DROPOUT_SCALE = 0.8

_PADDLE_PARTS = {
    "conv_stem": "conv1.conv", "bn1": "conv1.bn", "conv_head": "last_conv", "classifier": "fc",
}  # fmt: skip
_PADDLE_BLOCK_PARTS = {
    "conv_dw": "dw_conv.conv", "bn1": "dw_conv.bn", "conv_pw": "pw_conv.conv", "bn2": "pw_conv.bn",
    "se.conv_reduce": "se.conv1", "se.conv_expand": "se.conv2",
}  # fmt: skip
_PADDLE_STAGES = (("blocks2", 0), ("blocks3", 0), ("blocks4", 0), ("blocks5", 0), ("blocks5", 2), ("blocks6", 0))
_PADDLE_LEAVES = {"running_mean": "_mean", "running_var": "_variance"}

LabelSource = str | os.PathLike[str] | Sequence[str] | Labels


def load_state_dict(
    path: str | os.PathLike[str], use_ema: bool = True, dropout_scale: float = DROPOUT_SCALE
) -> dict[str, np.ndarray]:
    """Read a checkpoint of any known format as a state dict in timm's keys: float32 tensors and int64 counters.

    Of a training checkpoint the averaged weights are taken if there are any and `use_ema`. `dropout_scale` matters for
    PaddleClas files only, see `from_paddle`. Needs no torch and executes nothing. Raises `ModelFileError`.
    """
    with naming(path):
        return _in_timm_keys(read_checkpoint(path, use_ema), dropout_scale)


def convert(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    name: str | None = None,
    labels: LabelSource | None = None,
    use_ema: bool = True,
    dropout_scale: float = DROPOUT_SCALE,
    preprocessing: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> ModelFile:
    """Write the checkpoint `source` as the model file `target`, and return what was written.

    The architecture follows from the tensors. The description comes from the zoo entry `name`, else from the source
    itself, a `config.json` beside it, or what its project does by default; `labels` (see `read_labels`) and
    `preprocessing` (fields of `Preprocessing`) replace parts of it. Raises `ModelFileError` for the source,
    `InputError` for the other arguments.
    """
    source, target = Path(source), Path(target)
    check_target(target, overwrite, source)
    chosen = None if labels is None else read_labels(labels)
    with naming(source):
        checkpoint = read_checkpoint(source, use_ema)
        weights = _in_timm_keys(checkpoint, dropout_scale)
        config = _overridden(_describe(source, checkpoint, weights, name), chosen, preprocessing)
        config = replace(config, provenance=config.provenance | _origin(source, checkpoint, dropout_scale))
        model = ModelFile(config, weights)
        data = to_bytes(model)
    write_atomically(target, data)
    return model


def paddle_key(key: str) -> str:
    """PaddleClas's name of timm's tensor `key`: `blocks.4.1.conv_dw.weight` is `blocks5.3.dw_conv.conv.weight`."""
    part, _, leaf = key.rpartition(".")
    leaf = _PADDLE_LEAVES.get(leaf, leaf)
    if not part.startswith("blocks."):
        return f"{_PADDLE_PARTS[part]}.{leaf}"
    _, stage, block, rest = part.split(".", 3)
    blocks, first = _PADDLE_STAGES[int(stage)]
    return f"{blocks}.{int(block) + first}.{_PADDLE_BLOCK_PARTS[rest]}.{leaf}"


def from_paddle(tensors: Mapping[str, np.ndarray], dropout_scale: float = DROPOUT_SCALE) -> dict[str, np.ndarray]:
    """Rename a PaddleClas PPLCNet (V1) state dict to timm's keys, for any width and number of classes.

    `fc.weight` is transposed and multiplied by `dropout_scale`: 0.8 for networks with PaddleClas's default dropout, 1
    for those that were trained with dropout 0 (some SSLD students). The head conv gets a bias of zeros, as PaddleClas
    has none. Raises `ModelFileError` naming the tensors that are missing or unknown.
    """
    names = {key: paddle_key(key) for key in Arch(1.0).shapes() if key != "conv_head.bias"}
    missing = [n for n in names.values() if n not in tensors]
    unknown = [quoted(n) for n in tensors if n not in set(names.values())]
    if missing or unknown:
        found = "; ".join(f"{what} {', '.join(n[:5])}" for what, n in (("missing", missing), ("unknown", unknown)) if n)
        raise ModelFileError(f"the tensors are not those of a PaddleClas PPLCNet (V1): {found}")
    out = {key: tensors[name] for key, name in names.items()}
    out["conv_head.bias"] = np.zeros(out["conv_head.weight"].shape[:1], np.float32)
    # Into the classifier, as hard-swish does not commute with a factor: folding it into the head conv would be wrong.
    out["classifier.weight"] = np.ascontiguousarray(out["classifier.weight"].T) * np.float32(dropout_scale)
    return out


def read_labels(source: LabelSource) -> Labels:
    """Class names in logit order: a list of texts, a text file with a name (or id, tab, name) a line, or a JSON file.

    The JSON is a list of names, or an object with `names` and perhaps `ids`. Raises `InputError` naming the file.
    """
    if isinstance(source, Labels):
        return source
    if not isinstance(source, (str, os.PathLike)):
        return Labels(tuple(source))
    try:
        text = Path(source).read_text(encoding="utf-8-sig")
        return _labels_from_json(json.loads(text)) if text.lstrip()[:1] in ("[", "{") else _labels_from_lines(text)
    except (OSError, ValueError, RecursionError, ModelFileError) as error:
        raise InputError(f"{plain(source)}: no list of labels: {reason(error)}") from None


def _labels_from_json(data: Any) -> Labels:
    return from_json(Labels, {"names": data} if isinstance(data, list) else data, "labels")


def _labels_from_lines(text: str) -> Labels:
    # Not splitlines(), which also splits at characters that a name may contain.
    rows = [line.rstrip("\r").split("\t") for line in text.rstrip("\r\n").split("\n")]
    columns = {len(row) for row in rows}
    if columns not in ({1}, {2}) or not all(row[-1].strip() for row in rows):
        raise ValueError("expected a name, or an id, a tab and a name, on every line")
    return Labels(tuple(row[-1] for row in rows), tuple(row[0] for row in rows) if columns == {2} else None)


def _in_timm_keys(checkpoint: Checkpoint, dropout_scale: float) -> dict[str, np.ndarray]:
    if not 0 < dropout_scale <= 1:
        raise InputError(f"dropout_scale is {dropout_scale}, expected a number above 0 and at most 1")
    if _is_paddle(checkpoint):
        return from_paddle(checkpoint.tensors, dropout_scale)
    return {key: _counter(value) if key.endswith(COUNTER) else value for key, value in checkpoint.tensors.items()}


def _counter(value: np.ndarray) -> np.ndarray:
    # Averaging and half precision make floats of the counters, and old torch gave them a dimension.
    return np.nan_to_num(value.reshape(())).astype(np.int64) if value.size == 1 else value


def _is_paddle(checkpoint: Checkpoint) -> bool:
    return "conv1.conv.weight" in checkpoint.tensors


def _describe(source: Path, checkpoint: Checkpoint, weights: dict[str, np.ndarray], name: str | None) -> ModelConfig:
    shapes = {key: value.shape for key, value in weights.items()}
    if name is not None:
        return _named(name, infer_arch(shapes))
    if checkpoint.description is not None:
        return _float_only(parse_config(checkpoint.description, classes_of(shapes)))
    return _paddle_config(infer_arch(shapes)) if _is_paddle(checkpoint) else plain_config(source, shapes)


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
    return ModelConfig(arch, Preprocessing(interpolation="bilinear").with_channels(arch.in_chans), labels)


def _overridden(config: ModelConfig, labels: Labels | None, preprocessing: Mapping[str, Any] | None) -> ModelConfig:
    if labels is None and preprocessing is None:
        return config
    values = asdict(config.preprocessing) | dict(preprocessing or {})
    # A note says what was assumed for want of better knowledge.
    provenance = {key: value for key, value in config.provenance.items() if key != "note"}
    return replace(config, labels=labels or config.labels, provenance=provenance,
                   preprocessing=from_json(Preprocessing, values, "preprocessing"))  # fmt: skip


def _origin(source: Path, checkpoint: Checkpoint, dropout_scale: float) -> dict[str, Any]:
    origin: dict[str, Any] = {"file": shown(source.name), "sha256": checkpoint.sha256, "format": checkpoint.format}
    if checkpoint.key is not None:
        origin["key"] = checkpoint.key
    return origin | {"format": "paddle", "dropout_scale": dropout_scale} if _is_paddle(checkpoint) else origin
