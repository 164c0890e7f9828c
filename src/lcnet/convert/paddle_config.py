"""What Paddle's YAML says of a model: `inference.yml` of an exported one, the configuration of a training or of a deployment.

Owns Paddle's words for preprocessing, labels and decisions, and says them in ours. Every value is read as text, so that a
label `0` or `no` stays what is written. What would change the picture or the answer and is not ours is refused by its name.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import accumulate
from pathlib import Path
from typing import Any

from ..arch import Arch
from ..config import Decision, Labels, crop_pct_for
from ..errors import InputError, ModelFileError
from ..labels.lists import read_label_list
from ..text import plain, quoted
from .decisions import PROCESSES, decision_of, labels_of

MAX_BYTES = 1 << 17  # a label takes some 20 of them, and Python a second for 10,000 values
MAX_DEPTH = 64
_BRACKETS = {"[": 1, "{": 1, "]": -1, "}": -1}
_NOTHING = ("", "null", "Null", "NULL", "~", None)
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,3})?")
FEATURES = "NormalizeFeatures"  # the post-processing of networks for retrieval
_OF_ONE = ("Topk", "ThreshOutput")  # the post-processings that give one class a picture
_IGNORED = ("ToCHWImage", "KeepKeys", "Permute")  # what the runtime does anyway


@dataclass(frozen=True)
class PaddleConfig:
    """Fields of `Preprocessing` (not checked yet), labels, decision and architecture, each where it is said."""

    preprocessing: dict[str, Any] = field(default_factory=dict)
    labels: Labels | None = None
    multi_label: bool | None = None  # of a training
    process: tuple[str, Mapping[str, Any]] | None = None  # how answers are made of probabilities, see `decisions`
    name: str | None = None
    arch: Mapping[str, Any] = field(default_factory=dict)  # of a training: fields of `Arch`
    dropout: float | None = None  # of a training, before the classifier
    trained: bool = False  # it is the configuration of a training
    notes: tuple[str, ...] = ()
    features: bool = False  # its outputs are features

    def check_classes(self, classes: int) -> None:
        """Raise `ModelFileError` for a network of features that has classes."""
        if self.features and classes:
            raise ModelFileError(f"its outputs are features ({FEATURES}), not classes, and the network has {classes} of these")

    def decision(self, labels: Labels | None) -> Decision | None:
        """The decision layer for these labels; None if nothing is said of one. Raises `ModelFileError`."""
        if self.process is None:
            return Decision(multi_label=True) if self.multi_label else None
        name, params = self.process
        return decision_of(name, params, labels.names) if labels else Decision(multi_label=name not in _OF_ONE)


def read_paddle_config(path: Path, data: bytes) -> PaddleConfig:
    """Read a YAML file, or `config.json` with the same content. Raises `ModelFileError` naming the file."""
    try:
        root = _mapping(_parsed(path, data), "the file")
        return _config(root, path)
    except ModelFileError as error:
        raise ModelFileError(f"{plain(path.name)}: {error}") from None


def _parsed(path: Path, data: bytes) -> Any:
    if len(data) > MAX_BYTES:
        raise ModelFileError(f"has {len(data)} bytes: no such file has more than {MAX_BYTES}")
    try:
        text = data.decode("utf-8-sig")
        if _depth(text) > MAX_DEPTH:
            raise ModelFileError(f"has more than {MAX_DEPTH} brackets open at once")
        if path.suffix == ".json":
            return json.loads(text, parse_int=str, parse_float=str)
        import yaml  # type: ignore[import-untyped, unused-ignore]  # which huggingface_hub needs and brings

        # Only texts, lists and mappings: no tags, no merging of mappings, which could grow without bound.
        return yaml.load(text, yaml.BaseLoader)
    except ModelFileError:
        raise
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"cannot be read: {quoted(error)}") from None
    except Exception as error:  # yaml's own, whose class is not known before it is imported
        raise ModelFileError(f"is no YAML: {quoted(' '.join(str(error).split()))}") from None


def _depth(text: str) -> int:
    """How many brackets are open at most, as far as they are any: for each the parser looks a thousand characters ahead."""
    return max(accumulate((_BRACKETS.get(c, 0) for c in text), initial=0))


def _config(root: Mapping[str, Any], path: Path) -> PaddleConfig:
    infer, arch = _mapping(root.get("Infer"), "Infer"), _mapping(root.get("Arch"), "Arch")
    operations = _inner(root, "PreProcess", "transform_ops") or infer.get("transforms")
    operations = operations or _inner(root, "DataLoader", "Eval", "dataset", "transform_ops")
    post = _mapping(root.get("PostProcess") or infer.get("PostProcess"), "PostProcess")
    preprocessing = _preprocessing(_operations(operations)) if operations not in _NOTHING else {}
    name = _text(_inner(root, "Global", "model_name") or arch.get("name"), "the model's name")
    said = PaddleConfig(preprocessing, multi_label=_multi_label(root), name=name)
    kind, process = _process(post)
    labels = _labels(process, path) if process else None
    said = replace(said, labels=labels, process=process, features=kind == FEATURES)
    return replace(said, arch=_arch(arch), dropout=_dropout(arch), trained=bool(arch))


def _dropout(arch: Mapping[str, Any]) -> float | None:
    if arch.get("dropout_prob") in _NOTHING:
        return None
    dropout = _number(arch["dropout_prob"], "Arch.dropout_prob")
    if not 0 <= dropout < 1:
        raise ModelFileError(f"Arch.dropout_prob is {dropout:g}, expected a number from 0 to below 1")
    return dropout


def _arch(said: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of `Arch`: `stride_list` has the strides of the stem and of blocks3 to blocks6, each a number or two."""
    out: dict[str, Any] = {}
    if said.get("act") not in _NOTHING:
        out["activation"] = {"hardswish": "hard_swish"}.get(str(said["act"]), str(said["act"]))
    if said.get("stride_list") not in _NOTHING:
        strides = [_stride(value) for value in _list(said["stride_list"], "Arch.stride_list")]
        if len(strides) != 5:
            raise ModelFileError(f"Arch.stride_list has {len(strides)} entries, expected 5")
        stem, *rest = strides
        usual = Arch(1.0).stage_strides
        out |= {"stem_stride": stem, "stage_strides": (usual[0], *rest[:3], usual[4], rest[3])}
    return out


def _stride(value: Any) -> tuple[int, int]:
    sides = [_number(v, "Arch.stride_list") for v in (value if isinstance(value, list) else [value])]
    if len(sides) not in (1, 2) or any(side not in (1, 2) for side in sides):
        raise ModelFileError(f"Arch.stride_list has {quoted(value)}, expected 1 or 2, or two of them")
    return int(sides[0]), int(sides[-1])


def _multi_label(root: Mapping[str, Any]) -> bool | None:
    """Whether a training was one of several labels a picture; None where nothing says so."""
    flag = str(_inner(root, "Global", "use_multilabel") or "").lower()
    metric = [key for entry in _list(_inner(root, "Metric", "Eval") or [], "Metric") for key in _mapping(entry, "Metric")]
    return True if flag == "true" or "ATTRMetric" in metric else None


def _inner(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _mapping(value: Any, what: str) -> dict[str, Any]:
    if value in _NOTHING:
        return {}
    if not isinstance(value, dict):
        raise ModelFileError(f"{what} is {quoted(value)}, expected names with values")
    return value


def _list(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise ModelFileError(f"{what} is {quoted(value)}, expected a list")
    return value


def _text(value: Any, what: str) -> str | None:
    if value in _NOTHING:
        return None
    if not isinstance(value, str) or len(value) > 1000:
        raise ModelFileError(f"{what} is {quoted(value)}, expected a text")
    return value


def _number(value: Any, what: str) -> float:
    """A number, or two of them with a slash, as Paddle writes 1.0/255.0."""
    parts = value.replace(" ", "").split("/") if isinstance(value, str) and len(value) < 64 else []
    if len(parts) not in (1, 2) or not all(map(_NUMBER.fullmatch, parts)) or (len(parts) == 2 and not float(parts[1])):
        raise ModelFileError(f"{what} is {quoted(value)}, expected a number")
    number = float(parts[0]) / (float(parts[1]) if len(parts) == 2 else 1.0)
    if not math.isfinite(number):
        raise ModelFileError(f"{what} is {quoted(value)}, which is more than a number can be")
    return number


def _sides(value: Any, what: str) -> tuple[int, int]:
    """Width and height, in this order, or one number for both."""
    values = value if isinstance(value, list) else [value]
    sides = [_number(v, what) for v in values]
    if len(sides) not in (1, 2) or any(side != int(side) or not 1 <= side < 1 << 16 for side in sides):
        raise ModelFileError(f"{what} is {quoted(value)}, expected [width, height] in pixels")
    return int(sides[0]), int(sides[-1])


# Preprocessing


def _operations(value: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    for entry in _list(value, "transform_ops"):
        for name, options in _mapping(entry, "an entry of transform_ops").items():
            yield name, _mapping(options, name)


def _preprocessing(operations: Iterator[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    """Fields of `Preprocessing` as Paddle means them: OpenCV's resize, alpha dropped, RGB unless it says otherwise."""
    out: dict[str, Any] = {"resize": "opencv", "alpha": "drop", "channel_order": "rgb"}
    sizes: dict[str, tuple[int, int]] = {}
    for name, options in operations:
        if name in _STEPS:
            _STEPS[name](options, out, sizes)
        elif name not in _IGNORED:
            raise ModelFileError(f"transform_ops has {quoted(name)}, which lcnet does not do to a picture")
    return out | _geometry(sizes)


def _decode(options: dict[str, Any], out: dict[str, Any], _: dict[str, tuple[int, int]]) -> None:
    if str(options.get("to_rgb", "True")).lower() == "false" or str(options.get("img_mode", "RGB")).upper() == "BGR":
        out["channel_order"] = "bgr"


def _resize(options: dict[str, Any], out: dict[str, Any], sizes: dict[str, tuple[int, int]]) -> None:
    interpolation = str(options.get("interpolation") or "").lower()
    if interpolation not in (*_NOTHING, "linear", "bilinear"):
        raise ModelFileError(f"ResizeImage has the interpolation {quoted(interpolation)}, expected LINEAR (bilinear)")
    if str(options.get("backend") or "cv2").lower() == "pil":
        out["resize"] = "pillow"
    kinds = [kind for kind in ("resize_short", "size") if options.get(kind) not in _NOTHING]
    if len(kinds) != 1:
        raise ModelFileError(f"ResizeImage has {' and '.join(kinds) or 'neither resize_short nor size'}, expected one of them")
    sizes[kinds[0]] = _sides(options[kinds[0]], f"ResizeImage.{kinds[0]}")


def _crop(options: dict[str, Any], _: dict[str, Any], sizes: dict[str, tuple[int, int]]) -> None:
    sizes["crop"] = _sides(options.get("size"), "CropImage.size")


def _normalize(options: dict[str, Any], out: dict[str, Any], _: dict[str, tuple[int, int]]) -> None:
    """(pixel * scale - mean) / std, with pixels from 0 to 255; ours are from 0 to 1."""
    scale = _number(options.get("scale", "1/255"), "NormalizeImage.scale") * 255
    scale = 1.0 if abs(scale - 1) < 1e-5 else scale
    if not scale > 0:
        raise ModelFileError(f"NormalizeImage.scale is {quoted(options.get('scale'))}, expected a number above 0")
    for key in ("mean", "std"):
        values = [_number(v, f"NormalizeImage.{key}") for v in _list(options.get(key), f"NormalizeImage.{key}")]
        out[key] = tuple(value / scale for value in values)


_STEPS: Mapping[str, Callable[[dict[str, Any], dict[str, Any], dict[str, tuple[int, int]]], None]] = {
    "DecodeImage": _decode,
    "ResizeImage": _resize,
    "CropImage": _crop,
    "NormalizeImage": _normalize,
}


def _geometry(sizes: dict[str, tuple[int, int]]) -> dict[str, Any]:
    """Size and crop in our words, as far as these steps say them."""
    crop, size, short = sizes.get("crop"), sizes.get("size"), sizes.get("resize_short")
    target = crop or size
    if target is None:
        return {}
    out: dict[str, Any] = {"input_size": (3, target[1], target[0]), "interpolation": "bilinear"}
    if short is None:
        if crop not in (None, size):
            raise ModelFileError("it stretches the picture and crops it to another size, which lcnet does not do")
        return out | {"crop_mode": "squash", "crop_pct": 1.0}
    if crop is None or crop[0] != crop[1]:
        raise ModelFileError("it resizes by the short side and crops no square, which lcnet does not do")
    return out | {"crop_mode": "center", "crop_pct": crop_pct_for(crop[0], short[0])}


# Labels and decisions


def _process(post: dict[str, Any]) -> tuple[str | None, tuple[str, dict[str, Any]] | None]:
    """The post-processing's name, and with its parameters if it is one of classes.

    It is `{Topk: {...}}`, or `{name: Topk, ...}`, or has `main_indicator`.
    """
    named = _text(post.get("name") or post.get("main_indicator"), "PostProcess.name")
    kind = named or next((key for key in post if key in PROCESSES or key == FEATURES), None) or next(iter(post), None)
    if kind is None or kind == FEATURES:
        return kind, None
    if kind not in PROCESSES:
        raise ModelFileError(f"PostProcess is {quoted(kind)}, which is none of a classifier ({', '.join(PROCESSES)})")
    given = _mapping(post[kind], kind) if kind in post else post
    return kind, (kind, {key: value for key, value in given.items() if value not in _NOTHING})


def _labels(process: tuple[str, dict[str, Any]], path: Path) -> Labels | None:
    """The list in the file, or the file of it that is named, if it lies beside this one; or the task's own."""
    kind, options = process
    found = options.get("label_list")
    if found not in _NOTHING:
        return Labels(tuple(_label(label) for label in _list(found, "label_list")))
    named = _text(options.get("class_id_map_file"), "class_id_map_file")
    beside = path.with_name(Path(named.replace("\\", "/")).name) if named else None
    if beside is None or not beside.is_file():
        names = labels_of(kind, options)
        return Labels(names) if names else None
    try:
        return read_label_list(beside)
    except InputError as error:
        raise ModelFileError(str(error)) from None


def _label(value: Any) -> str:
    if not isinstance(value, str):
        raise ModelFileError(f"a label is {quoted(value)}, expected a text")
    return value
