"""Foreign networks -> model file: checkpoints (timm .pth, PaddleClas .pdparams, any float .safetensors) and exported networks.

Owns the naming: which tensors of a checkpoint are which of ours. Reading is `checkpoint`'s, finding the network among what
was read `find`'s, describing it `describe`'s; exported networks (ONNX, Paddle's inference model, transformers' folder) are
`exported`'s. Checking and writing are `modelfile`'s. A source is never written to.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..arch import Arch
from ..config import Labels
from ..errors import InputError, ModelFileError
from ..files import check_target, write_atomically
from ..labels.lists import read_label_list
from ..modelfile import ModelFile, check_shapes, check_values, naming, to_bytes
from ..modelfile.branches import fused, is_branched
from ..modelfile.values import COUNTER
from ..text import quoted, shown
from .checkpoint import Checkpoint, read_checkpoint
from .describe import describe_network, said_beside
from .exported import describe_exported, read_exported
from .paddle_config import PaddleConfig
from .second import SIGN, from_second

# PaddleClas's PPLCNet drops 0.2 in "downscale at inference" mode: this multiplies the features before the classifier.
DROPOUT_SCALE = 0.8

HEAD = "last_conv.weight"  # which some of PaddleClas's networks do without

_PADDLE_PARTS = {"conv_stem": "conv1.conv", "bn1": "conv1.bn", "conv_head": "last_conv", "classifier": "fc"}
_PADDLE_BLOCK_PARTS = {
    "conv_dw": "dw_conv.conv",
    "bn1": "dw_conv.bn",
    "conv_pw": "pw_conv.conv",
    "bn2": "pw_conv.bn",
    "se.conv_reduce": "se.conv1",
    "se.conv_expand": "se.conv2",
}
_PADDLE_STAGES = (("blocks2", 0), ("blocks3", 0), ("blocks4", 0), ("blocks5", 0), ("blocks5", 2), ("blocks6", 0))
_PADDLE_LEAVES = {"running_mean": "_mean", "running_var": "_variance"}

LabelSource = str | os.PathLike[str] | Sequence[str] | Labels


def load_state_dict(
    path: str | os.PathLike[str], use_ema: bool = True, dropout_scale: float = DROPOUT_SCALE
) -> dict[str, np.ndarray]:
    """Read a checkpoint of any known format as a state dict in timm's keys: float32 tensors and int64 counters.

    Of a training checkpoint the averaged weights are taken if there are any and `use_ema`. `dropout_scale` matters for
    PaddleClas files only, see `from_paddle`. A PP-LCNetV2 keeps its branches. Needs no torch and executes nothing. Raises
    `ModelFileError`.
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
    dropout_scale: float | None = None,
    preprocessing: Mapping[str, Any] | None = None,
    config: str | os.PathLike[str] | None = None,
    multi_label: bool | None = None,
    overwrite: bool = False,
) -> ModelFile:
    """Write the network in `source` as the model file `target`, and return what was written.

    `source`: a checkpoint; an ONNX file; a Paddle inference model (its folder, or a file of it); a folder of transformers'
    PP-LCNet. The architecture follows from the tensors, or from the graph where there is one; of a `.pdparams` the strides
    from `config`, a YAML file of Paddle's (`inference.yml`, or the training's), or the one beside it of the same name.

    `labels` (see `read_labels`) and `preprocessing` (fields of `Preprocessing`; an `input_size` may be height and width alone,
    a `mean` or `std` one number for every channel) win over the zoo entry `name`, that over the source itself, that over a
    `config` or a file beside the source. What nobody says of a checkpoint is what its project does by default, of which the
    provenance has a note; of an exported network it is an error. `multi_label`: each class stands for itself, or one for a
    picture; None: as the source says. `dropout_scale`: of a `.pdparams`, see `from_paddle`; None: as the configuration says,
    or 0.8. Raises `ModelFileError` for the source, `InputError` for other arguments.
    """
    source, target = Path(source), Path(target)
    check_target(target, overwrite, source)
    chosen = None if labels is None else read_labels(labels)
    with naming(source):
        exported = read_exported(source, Path(config) if config is not None else None)
        if exported is not None:
            described = describe_exported(exported, name, chosen, preprocessing or {}, multi_label)
            model = ModelFile(described, dict(exported.network.weights))
        else:
            model = _checkpoint(source, use_ema, dropout_scale, config, name, chosen, preprocessing or {}, multi_label)
        data = to_bytes(model)
    write_atomically(target, data)
    return model


def _checkpoint(
    source: Path,
    use_ema: bool,
    dropout_scale: float | None,
    config: str | os.PathLike[str] | None,
    name: str | None,
    labels: Labels | None,
    preprocessing: Mapping[str, Any],
    multi_label: bool | None,
) -> ModelFile:
    checkpoint = read_checkpoint(source, use_ema)
    said = said_beside(source, config, _is_paddle(checkpoint))
    scale = _scale(dropout_scale, said, checkpoint)
    weights = _in_timm_keys(checkpoint, scale)
    described = describe_network(source, checkpoint, weights, said, name, labels, preprocessing, multi_label)
    described = replace(described, provenance=described.provenance | _origin(source, checkpoint, scale))
    if is_branched(weights):
        check_shapes({key: value.shape for key, value in weights.items()}, described.arch, branches=True)
        check_values(weights, described)
        weights = fused(weights, described.arch, described.bn_eps)
    return ModelFile(described, weights)


def _scale(chosen: float | None, said: PaddleConfig | None, checkpoint: Checkpoint) -> float:
    """The factor before a Paddle network's classifier: there is none without a head, whose dropout it is."""
    if chosen is not None:
        return chosen
    if _is_paddle(checkpoint) and HEAD not in checkpoint.tensors:
        return 1.0
    return DROPOUT_SCALE if said is None or said.dropout is None else 1 - said.dropout


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
    for those that were trained with dropout 0 (some SSLD students) and those without a head. The head conv gets a bias of
    zeros, as PaddleClas has none. Raises `ModelFileError` naming the tensors that are missing or unknown.
    """
    names = {key: paddle_key(key) for key in _with_head(HEAD in tensors).shapes() if key != "conv_head.bias"}
    missing = [n for n in names.values() if n not in tensors]
    unknown = [quoted(n) for n in tensors if n not in set(names.values())]
    if missing or unknown:
        found = "; ".join(f"{what} {', '.join(n[:5])}" for what, n in (("missing", missing), ("unknown", unknown)) if n)
        raise ModelFileError(f"the tensors are not those of a PaddleClas PPLCNet (V1): {found}")
    out = {key: tensors[name] for key, name in names.items()}
    if HEAD in tensors:
        out["conv_head.bias"] = np.zeros(out["conv_head.weight"].shape[:1], np.float32)
    # Into the classifier, as hard-swish does not commute with a factor: folding it into the head conv would be wrong.
    out["classifier.weight"] = np.ascontiguousarray(out["classifier.weight"].T) * np.float32(dropout_scale)
    return out


def _with_head(head: bool) -> Arch:
    return Arch(1.0) if head else Arch(1.0, head_channels=0, classifier_input=("blocks.5",))


def read_labels(source: LabelSource) -> Labels:
    """Class names in logit order: a list of texts, or a file as `lcnet.labels.lists` reads it (text or JSON).

    Raises `InputError` naming the file and the line.
    """
    if isinstance(source, Labels):
        return source
    return read_label_list(source) if isinstance(source, (str, os.PathLike)) else Labels(tuple(source))


def _in_timm_keys(checkpoint: Checkpoint, dropout_scale: float) -> dict[str, np.ndarray]:
    if not 0 < dropout_scale <= 1:
        raise InputError(f"dropout_scale is {dropout_scale}, expected a number above 0 and at most 1")
    if _is_paddle(checkpoint):
        return (from_second if SIGN in checkpoint.tensors else from_paddle)(checkpoint.tensors, dropout_scale)
    return {key: _counter(value) if key.endswith(COUNTER) else value for key, value in checkpoint.tensors.items()}


def _counter(value: np.ndarray) -> np.ndarray:
    # Averaging and half precision make floats of the counters, and old torch gave them a dimension.
    return np.nan_to_num(value.reshape(())).astype(np.int64) if value.size == 1 else value


def _is_paddle(checkpoint: Checkpoint) -> bool:
    return "conv1.conv.weight" in checkpoint.tensors or SIGN in checkpoint.tensors


def _origin(source: Path, checkpoint: Checkpoint, dropout_scale: float) -> dict[str, Any]:
    origin = {"file": shown(source.name), "sha256": checkpoint.sha256, "format": checkpoint.format}
    where = {"key": checkpoint.key, "prefix": checkpoint.prefix}
    origin |= {key: quoted(value) for key, value in where.items() if value}
    return origin | {"format": "paddle", "dropout_scale": dropout_scale} if _is_paddle(checkpoint) else origin
