"""timm's `config.json`, the description beside a plain weights file: read into a `ModelConfig`, and written from one.

What changes the result is taken, what says what the runtime does anyway is harmless, and all else is refused by its name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..arch import BN_EPS, FAMILIES, SIZES, Arch
from ..config import Labels, ModelConfig, Preprocessing
from ..errors import ModelFileError
from ..labels import load_labels
from ..text import suggest
from .assumed import FIELDS, noted
from .description import longest

# model_args of any value: they are taken, change nothing in a finished LCNet, or are held against the weights.
HARMLESS_ARGS = (
    "num_classes",
    "in_chans",
    "bn_eps",
    "bn_momentum",
    "drop_rate",
    "drop_path_rate",
    "se_from_exp",
    "layer_scale_init_value",
    "feature_cfg",
    "device",
)
SECOND_HARMLESS_ARGS = ("num_classes", "in_chans", "drop_rate", "inference_mode", "feature_cfg", "device")


def _average(value: Any, arch: Arch) -> bool:
    return value is None or str(value).lower() in ("avg", "fast", "fastavg", "fast_avg")


def _hard_swish(value: Any, arch: Arch) -> bool:  # null is not the default here: timm makes ReLU of it
    return str(value).lower() in ("hard_swish", "hardswish")


def _symmetric(value: Any, arch: Arch) -> bool:
    return value is None or (isinstance(value, str) and value.lower() not in ("same", "valid"))


def _off(value: Any, arch: Arch) -> bool:
    return not value


def _relu(value: Any, arch: Arch) -> bool:
    return str(value).lower() == "relu"


Options = dict[str, tuple[str, Callable[[Any, Arch], bool]]]

# The other model_args: what to expect, and whether a value says the same of the network as the runtime does.
OPTIONS: Options = {
    "global_pool": ("'avg'", _average),
    "act_layer": ("'hard_swish'", _hard_swish),
    "pad_type": ("''", _symmetric),
    "head_bias": ("true", lambda value, arch: bool(value)),
    "head_norm": ("false", _off),
    "aa_layer": ("null", lambda value, arch: value is None),  # of '' timm makes a network without strides
    "features_only": ("false", _off),
    "pruned": ("false", _off),
    "fix_stem": ("false", lambda value, arch: not value or arch.stem_channels == FAMILIES["lcnet"].stem_channels),
}
# Those of PP-LCNetV2.
SECOND_OPTIONS: Options = {
    "global_pool": OPTIONS["global_pool"],
    "act_layer": ("'relu'", _relu),
    "scale": ("that of its name", lambda value, arch: value == arch.width),
    "depths": ("those of its name", lambda value, arch: isinstance(value, (list, tuple)) and tuple(value) == arch.depths),
    "head_hidden_size": ("1280", lambda value, arch: value == arch.head_channels),
    "features_only": OPTIONS["features_only"],
    "pruned": OPTIONS["pruned"],
}
_OF_FAMILY = {"lcnet": (OPTIONS, HARMLESS_ARGS), "lcnetv2": (SECOND_OPTIONS, SECOND_HARMLESS_ARGS)}


def read_config_json(path: Path, classes: int) -> dict[str, Any]:
    """Read timm's `config.json` and refuse other networks than plain LCNets. Raises `ModelFileError` naming what is other.

    The weights need not be known yet: of many options they show an effect, but not the name. classes: of the weights, which
    bounds the file's length as it does a description's.
    """
    most = longest(classes)
    try:
        with open(path, "rb") as file:
            text = file.read(most + 1)
        if len(text) > most:
            raise ValueError(f"it has more than {most} bytes, too many for {classes} classes")
        data = json.loads(text.decode())
    except (OSError, ValueError, RecursionError) as error:
        raise ModelFileError(f"{path}: cannot be read as JSON: {error}") from None
    with _naming(path):
        if not isinstance(data, dict):
            raise ModelFileError(f"expected a JSON object, found {type(data).__name__}")
        _check_plain(data)
    return data


def from_config_json(path: Path, data: dict[str, Any], found: Arch) -> ModelConfig:
    """Describe weights of architecture `found` by what `read_config_json` read at `path`. Raises `ModelFileError`."""
    with _naming(path):
        cfg, args = _parts(data)
        arch = _arch(data, found)
        name, _, tag = data["architecture"].partition(".")
        tag = cfg.get("tag") or tag
        provenance = {"source": f"{name}.{tag}" if tag else name}
        bn_eps = BN_EPS if args.get("bn_eps") is None else args["bn_eps"]
        pre, labels = _preprocessing(cfg, arch), _labels(data, cfg, arch)
        config = ModelConfig(arch, pre, labels, bn_eps=bn_eps, provenance=provenance)
        return noted(config, [key for key in FIELDS if not cfg.get(key)])


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from None
    except (ArithmeticError, AttributeError, LookupError, TypeError) as error:
        raise ModelFileError(f"{path}: not of the form that timm writes ({error})") from None


def _parts(data: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """`pretrained_cfg`, which in timm's older form is the whole file, and `model_args`."""
    return data.get("pretrained_cfg", data), data.get("model_args") or {}


def _check_plain(data: dict[str, Any]) -> None:
    cfg, args = _parts(data)
    arch = Arch.of(_known(data.get("architecture")))
    _check_option("it", "global_pool", data.get("global_pool"), arch)
    check_options("model_args", args, arch)
    if cfg.get("label_offset"):  # timm cuts that many classes off the weights
        raise _other("pretrained_cfg", "label_offset", cfg["label_offset"], "null")


def check_options(where: str, options: Mapping[str, Any], arch: Arch) -> None:
    """Raise `ModelFileError` naming the first of timm's options, found at `where`, that makes another network than ours."""
    for key, value in options.items():
        _check_option(where, key, value, arch)


def _known(name: Any) -> str:
    """The registered name in one that may have a tag too, as timm takes it."""
    arch = name.partition(".")[0] if isinstance(name, str) else name
    if arch not in SIZES:
        raise ModelFileError(f"architecture {name!r} is not an LCNet{suggest(str(arch), list(SIZES))}")
    return str(arch)


def _check_option(where: str, key: str, value: Any, arch: Arch) -> None:
    options, harmless = _OF_FAMILY[arch.family]
    expected, same = options.get(key, ("no such option", lambda value, arch: key in harmless))
    if not same(value, arch):
        raise _other(where, key, value, expected)


def _other(where: str, key: str, value: Any, expected: str) -> ModelFileError:
    return ModelFileError(
        f"{where} has {key}={value!r:.60}, expected {expected}: the runtime has only plain LCNets, run this one with timm"
    )


def _arch(data: dict[str, Any], found: Arch) -> Arch:
    cfg, args = _parts(data)
    stated = (part.get("num_classes") for part in (data, cfg, args))
    classes = next((n for n in stated if n is not None), found.num_classes)
    if type(classes) is not int:
        raise ModelFileError(f"num_classes is {classes!r}, expected a whole number")
    for key, value in (("num_classes", found.num_classes), ("in_chans", found.in_chans)):
        if args.get(key) not in (None, value):
            raise ModelFileError(
                f"model_args has {key}={args[key]!r:.60}, expected {value} as the weights have: save the model again"
            )
    return Arch.of(_known(data["architecture"]), found.in_chans, classes)


def _preprocessing(cfg: dict[str, Any], arch: Arch) -> Preprocessing:
    size = [arch.in_chans, *(cfg.get("input_size") or (3, 224, 224))[1:]]
    stats = {key: _per_channel(cfg[key], arch.in_chans) for key in ("mean", "std") if cfg.get(key)}
    unknown = Preprocessing().with_channels(arch.in_chans)
    return Preprocessing.from_timm({**cfg, "input_size": size, "mean": unknown.mean, "std": unknown.std, **stats})


def _per_channel(value: Any, channels: int) -> list[Any]:
    """One number stands for every channel; of those for other channels timm takes the mean, as an adapted stem needs it."""
    numbers = value if isinstance(value, (list, tuple)) else [value]
    return list(numbers) if len(numbers) == channels else [sum(numbers) / len(numbers)] * channels


def _labels(data: dict[str, Any], cfg: dict[str, Any], arch: Arch) -> Labels | None:
    names = data.get("label_names") or data.get("labels") or cfg.get("label_names") or data.get("id2label")
    texts = data.get("label_descriptions") or cfg.get("label_descriptions")
    if names:
        names = _in_order(names, arch.num_classes)
        if isinstance(texts, dict) and all(n in texts for n in names):
            return Labels(tuple(texts[n] for n in names), names)
        return Labels(names)
    if arch.num_classes == 1000:  # timm stores no labels for ImageNet-1k
        return load_labels("imagenet1k")
    return None


def _in_order(names: Any, classes: int) -> tuple[str, ...]:
    """The names of a list, or of an object from the class's number to its name, which timm has for classes with gaps."""
    if isinstance(names, (list, tuple)):
        return tuple(names)
    if not isinstance(names, dict):
        raise ModelFileError(f"label_names is {names!r:.60}, expected a list of texts")
    gap = next((i for i in range(classes) if str(i) not in names), None)
    if gap is not None or len(names) != classes:
        missing = "more" if gap is None else f"none for class {gap}"
        raise ModelFileError(f"label_names has {missing}, expected a name for each of {classes} classes")
    return tuple(names[str(i)] for i in range(classes))


def pretrained_cfg(arch: Arch, pre: Preprocessing) -> dict[str, Any]:
    """timm's dict of what a network's pretrained weights expect."""
    return {
        "custom_load": False,
        "fixed_input_size": False,
        **{k: getattr(pre, k) for k in ("input_size", "interpolation", "crop_pct", "crop_mode", "mean", "std")},
        "num_classes": arch.num_classes,
        "pool_size": arch.feature_shapes(*pre.input_size[1:])[-1][1:],
        "first_conv": arch.table.stem[0],
        "classifier": "classifier",
    }


def to_config_json(config: ModelConfig, fused: bool = False) -> str:
    """Return the `config.json` that timm would write beside a model's weights, and that `from_config_json` reads back.

    fused: the weights have no branches where timm expects some.
    """
    arch, source = config.arch, str(config.provenance.get("source", ""))
    tag = source.removeprefix(f"{arch.name}.") if source.startswith(f"{arch.name}.") else ""
    top = {"architecture": arch.name, "num_classes": arch.num_classes, "num_features": arch.num_features}
    odd = (("bn_eps", config.bn_eps, BN_EPS), ("in_chans", arch.in_chans, 3))
    args = {
        "model_args": {key: value for key, value, usual in odd if value != usual} | ({"inference_mode": True} if fused else {})
    }
    cfg = {"tag": tag, **pretrained_cfg(arch, config.preprocessing)}
    return json.dumps({**top, **_label_keys(config.labels), **args, "pretrained_cfg": cfg}, indent=2) + "\n"


def _label_keys(labels: Labels | None) -> dict[str, Any]:
    if labels is None or labels == load_labels("imagenet1k"):  # timm stores none for ImageNet-1k
        return {}
    if labels.ids is None:
        return {"label_names": labels.names}
    return {"label_names": labels.ids, "label_descriptions": dict(zip(labels.ids, labels.names, strict=True))}
