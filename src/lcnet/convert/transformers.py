"""A folder of Hugging Face transformers' PP-LCNet: `config.json` and `model.safetensors`, and the weights' names in both forms.

Owns these names and what the configuration says: strides, head, the factor before the classifier, labels, preprocessing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..arch import FAMILIES, WIDTHS, Arch
from ..config import Labels, crop_pct_for
from ..errors import ModelFileError
from ..modelfile.values import COUNTER
from ..text import plain, quoted, reason
from .paddle_config import PaddleConfig

MODEL_TYPE = "pp_lcnet"
MAX_BYTES = 4 << 20
WEIGHTS, CONFIG, PREPROCESSOR = "model.safetensors", "config.json", "preprocessor_config.json"
_FORM = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError)
# A part's name, in both forms -> timm's.
_PARTS = (
    (re.compile(r"(?:encoder|embedder)\.convolution\.convolution"), "conv_stem"),
    (re.compile(r"(?:encoder|embedder)\.convolution\.normalization"), "bn1"),
    (re.compile(r"last_convolution"), "conv_head"),
    (re.compile(r"(?:head|fc)"), "classifier"),
)
_BLOCK = re.compile(r"encoder\.blocks\.(\d)\.layers\.(\d)\.(.+)")
_BLOCK_PARTS = {
    "depthwise_convolution.convolution": "conv_dw",
    "depthwise_convolution.normalization": "bn1",
    "pointwise_convolution.convolution": "conv_pw",
    "pointwise_convolution.normalization": "bn2",
    "squeeze_excitation_module.convolutions.0": "se.conv_reduce",
    "squeeze_excitation_module.convolutions.2": "se.conv_expand",
    "squeeze_excitation_module.convolution1": "se.conv_reduce",
    "squeeze_excitation_module.convolution2": "se.conv_expand",
}
# Its five stages -> timm's, of which the fourth is two: (stage, blocks before it in theirs).
_STAGES = (((0, 0),), ((1, 0),), ((2, 0),), ((3, 0), (4, 2)), ((5, 0),))
_ACTIVATIONS = {"hardswish": "hard_swish", "hard_swish": "hard_swish", "relu": "relu"}


def is_transformers(folder: Path) -> bool:
    """Whether a folder is one of these."""
    try:
        return (folder / WEIGHTS).is_file() and _read(folder / CONFIG).get("model_type") == MODEL_TYPE
    except ModelFileError:
        return False


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"it has more than {MAX_BYTES} bytes")
        data = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ModelFileError(f"{plain(path.name)} beside it cannot be read: {quoted(reason(error))}") from None
    if not isinstance(data, dict):
        raise ModelFileError(f"{plain(path.name)} is no JSON object")
    return data


def read_config(folder: Path) -> tuple[dict[str, Any], PaddleConfig]:
    """`config.json` as it is, and what it and the preprocessor's say. Raises `ModelFileError`."""
    config = _read(folder / CONFIG)
    beside = folder / PREPROCESSOR
    try:
        preprocessing = _preprocessing(_read(beside)) if beside.is_file() else {}
        return config, PaddleConfig(
            preprocessing, _labels(config), _multi_label(config), notes=(_COLOURS,) if preprocessing else ()
        )
    except _FORM as error:
        raise ModelFileError(f"{CONFIG} or {PREPROCESSOR} is not as transformers writes it: {quoted(error)}") from None


_COLOURS = (
    "colours are fed in the order RGB, in which Paddle trained; transformers feeds BGR to the same weights"
    " (--channel-order bgr does)"
)


def _labels(config: dict[str, Any]) -> Labels | None:
    found = config.get("id2label")
    if not found:
        return None
    return Labels(tuple(found[str(i)] for i in range(len(found))))


def _multi_label(config: dict[str, Any]) -> bool | None:
    return True if config.get("problem_type") == "multi_label_classification" else None


def _preprocessing(said: dict[str, Any]) -> dict[str, Any]:
    """Its mean and deviation are stated blue first."""
    out: dict[str, Any] = {"interpolation": "bilinear", "resize": "opencv", "alpha": "drop", "channel_order": "rgb"}
    if said.get("resample", 2) != 2 or abs(said.get("rescale_factor", 1 / 255) * 255 - 1) > 1e-5:
        raise ValueError("another resampling or scale than bilinear and 1/255")
    out |= {key: tuple(reversed(said[f"image_{key}"])) for key in ("mean", "std")}
    short, crop, size = said.get("resize_short"), said.get("crop_size"), said.get("size")
    if short is not None and said.get("do_center_crop", True):
        height, width = _size(crop)
        return out | {
            "input_size": (3, height, width),
            "crop_mode": "center",
            "crop_pct": crop_pct_for(min(height, width), int(short)),
        }
    height, width = _size(size)
    return out | {"input_size": (3, height, width), "crop_mode": "squash", "crop_pct": 1.0}


def _size(value: Any) -> tuple[int, int]:
    sides = (value["height"], value["width"]) if isinstance(value, dict) else (value, value)
    if not all(type(side) is int and 0 < side < 1 << 16 for side in sides):
        raise ValueError(f"the size {value!r:.40}")
    return sides


def architecture(config: dict[str, Any], classes: int) -> tuple[Arch, float]:
    """The network that `config.json` describes, and the factor before its classifier. Raises `ModelFileError`."""
    try:
        return _architecture(config, classes)
    except _FORM as error:
        raise ModelFileError(f"{CONFIG} describes no LCNet of the family: {quoted(error)}") from None


def _architecture(config: dict[str, Any], classes: int) -> tuple[Arch, float]:
    scale, factor = config.get("scale", 1.0), 1 - config.get("hidden_dropout_prob", 0.2)
    odd = {"reduction": 4, "divisor": 8, "stem_channels": FAMILIES["lcnet"].stem_channels}
    different = next((key for key, value in odd.items() if config.get(key, value) != value), None)
    if different or scale not in WIDTHS.values() or not 0 < factor <= 1:
        raise ValueError(f"{different or 'scale or hidden_dropout_prob'} is another")
    strides = _strides(config.get("block_configs") or _usual())
    activation = _ACTIVATIONS[config.get("hidden_act", "hardswish")]
    stem = _pair(config.get("stem_stride", 2))
    head = int(config.get("class_expand", 1280))
    return Arch(
        float(scale), 3, classes, stem_stride=stem, stage_strides=strides, head_channels=head, activation=activation
    ), float(factor)


def _usual() -> list[Any]:
    """The blocks when the configuration says none: kernel, channels, channels, stride, squeeze-and-excite."""
    stages = [
        [[b.kernel, b.in_channels, b.out_channels, list(b.strides), bool(b.se_channels)] for b in stage]
        for stage in Arch(1.0).stages
    ]
    return [[block for s, _ in parts for block in stages[s]] for parts in _STAGES]


def _strides(blocks: list[Any]) -> tuple[tuple[int, int], ...]:
    """The strides of timm's stages, when all else is as in the family."""
    usual, out = _usual(), []
    for stage, (found, expected) in enumerate(zip(blocks, usual, strict=True)):
        for at, (block, known) in enumerate(zip(found, expected, strict=True)):
            if [*block[:3], bool(block[4])] != [*known[:3], known[4]]:
                raise ValueError(f"block {at} of stage {stage} is {block!r:.60}")
            first = any(at == before for _, before in _STAGES[stage])
            out += [_pair(block[3])] if first else []
            if not first and _pair(block[3]) != (1, 1):
                raise ValueError(f"block {at} of stage {stage} has a stride")
    return tuple(out)


def _pair(value: Any) -> tuple[int, int]:
    sides = value if isinstance(value, list) else [value, value]
    if len(sides) != 2 or not all(type(side) is int for side in sides):
        raise ValueError(f"the stride {value!r:.40}")
    return sides[0], sides[1]


def from_transformers(tensors: Mapping[str, np.ndarray], factor: float) -> dict[str, np.ndarray]:
    """Tensors by timm's names; the classifier takes `factor`. Raises `ModelFileError` naming one that is not known."""
    out = {timm_key(name): value for name, value in tensors.items() if not name.endswith(COUNTER)}
    if len(out) < sum(not name.endswith(COUNTER) for name in tensors):
        raise ModelFileError("it has a tensor twice, by both names that transformers gave it")
    if "conv_head.weight" in out:
        out.setdefault("conv_head.bias", np.zeros(len(out["conv_head.weight"]), np.float32))
    if "classifier.weight" in out:
        out["classifier.weight"] = out["classifier.weight"] * np.float32(factor)
    return out


def timm_key(name: str) -> str:
    """timm's name of one of transformers' tensors. Raises `ModelFileError`."""
    part, _, leaf = name.removeprefix("model.").rpartition(".")
    if (block := _BLOCK.fullmatch(part)) and block[3] in _BLOCK_PARTS and int(block[1]) < len(_STAGES):
        stage, before = next((s, b) for s, b in reversed(_STAGES[int(block[1])]) if int(block[2]) >= b)
        return f"blocks.{stage}.{int(block[2]) - before}.{_BLOCK_PARTS[block[3]]}.{leaf}"
    found = next((ours for pattern, ours in _PARTS if pattern.fullmatch(part)), None)
    if found is None:
        raise ModelFileError(f"{quoted(name)} is none of the tensors of transformers' PP-LCNet")
    return f"{found}.{leaf}"
