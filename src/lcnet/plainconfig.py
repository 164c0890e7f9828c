"""timm's `config.json`, the description beside a plain weights file: read into a `ModelConfig`, and written from one.

Only what changes the result is taken; options that the runtime does not have are refused rather than ignored.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .arch import BN_EPS, WIDTHS, Arch
from .config import Labels, ModelConfig, Preprocessing
from .errors import ModelFileError, suggest
from .labels import load_labels

# model_args that change nothing about the folded network, or that the weights themselves show.
HARMLESS_ARGS = ("num_classes", "in_chans", "drop_rate", "drop_path_rate", "bn_momentum", "bn_eps")


def from_config_json(path: Path, found: Arch) -> ModelConfig:
    """Describe weights of architecture `found` by the timm `config.json` at `path`. Raises `ModelFileError`."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelFileError(f"{path}: cannot be read as JSON: {error}") from None
    try:
        return _config(data, found)
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from None
    except (AttributeError, LookupError, TypeError) as error:
        raise ModelFileError(f"{path}: not of the form that timm writes ({error})") from None


def _config(data: Any, found: Arch) -> ModelConfig:
    if not isinstance(data, dict):
        raise ModelFileError(f"expected a JSON object, found {type(data).__name__}")
    cfg = data.get("pretrained_cfg", data)  # the legacy form is flat
    args = data.get("model_args") or {}
    arch = _arch(data, cfg, args, found)
    provenance = {"source": f"{data['architecture']}.{cfg['tag']}" if cfg.get("tag") else data["architecture"]}
    bn_eps = args.get("bn_eps") or BN_EPS
    return ModelConfig(arch, _preprocessing(cfg, arch), _labels(data, cfg, arch), bn_eps=bn_eps, provenance=provenance)


def _arch(data: dict[str, Any], cfg: dict[str, Any], args: dict[str, Any], found: Arch) -> Arch:
    name = data.get("architecture")
    if name not in WIDTHS:
        raise ModelFileError(f"architecture {name!r} is not an LCNet{suggest(str(name), list(WIDTHS))}")
    odd = [k for k, v in args.items() if k not in HARMLESS_ARGS and v is not None]
    if odd or data.get("global_pool", "avg") not in ("avg", None):
        raise ModelFileError(f"the runtime does not have {', '.join(odd) or 'this global_pool'}: only plain LCNets")
    classes = data.get("num_classes", cfg.get("num_classes", found.num_classes))
    if type(classes) is not int:
        raise ModelFileError(f"num_classes is {classes!r}, expected a whole number")
    return Arch(WIDTHS[name], found.in_chans, classes)


def _preprocessing(cfg: dict[str, Any], arch: Arch) -> Preprocessing:
    size = [arch.in_chans, *(cfg.get("input_size") or (3, 224, 224))[1:]]
    # Statistics for another number of channels belong to the weights before they were adapted.
    stats = {k: cfg[k] for k in ("mean", "std") if cfg.get(k) and len(cfg[k]) == arch.in_chans}
    unknown = Preprocessing().with_channels(arch.in_chans)
    return Preprocessing.from_timm({**cfg, "input_size": size, "mean": unknown.mean, "std": unknown.std, **stats})


def _labels(data: dict[str, Any], cfg: dict[str, Any], arch: Arch) -> Labels | None:
    names = data.get("label_names") or data.get("labels") or cfg.get("label_names")
    texts = data.get("label_descriptions") or cfg.get("label_descriptions")
    if isinstance(names, (list, tuple)):
        if isinstance(texts, dict) and all(n in texts for n in names):
            return Labels(tuple(texts[n] for n in names), tuple(names))
        return Labels(tuple(names))
    if arch.num_classes == 1000:  # timm stores no labels for ImageNet-1k
        return load_labels("imagenet1k")
    return None


def pretrained_cfg(arch: Arch, pre: Preprocessing) -> dict[str, Any]:
    """timm's dict of what a network's pretrained weights expect."""
    return {
        "custom_load": False,
        "fixed_input_size": False,
        **{k: getattr(pre, k) for k in ("input_size", "interpolation", "crop_pct", "crop_mode", "mean", "std")},
        "num_classes": arch.num_classes,
        "pool_size": arch.feature_shapes(*pre.input_size[1:])[-1][1:],
        "first_conv": "conv_stem",
        "classifier": "classifier",
    }


def to_config_json(config: ModelConfig) -> str:
    """Return the `config.json` that timm would write beside a model's weights, and that `from_config_json` reads back."""
    arch, source = config.arch, str(config.provenance.get("source", ""))
    tag = source.removeprefix(f"{arch.name}.") if source.startswith(f"{arch.name}.") else ""
    top = {"architecture": arch.name, "num_classes": arch.num_classes, "num_features": arch.num_features}
    odd = (("bn_eps", config.bn_eps, BN_EPS), ("in_chans", arch.in_chans, 3))
    args = {"model_args": {key: value for key, value, usual in odd if value != usual}}
    cfg = {"tag": tag, **pretrained_cfg(arch, config.preprocessing)}
    return json.dumps({**top, **_label_keys(config.labels), **args, "pretrained_cfg": cfg}, indent=2) + "\n"


def _label_keys(labels: Labels | None) -> dict[str, Any]:
    if labels is None or labels == load_labels("imagenet1k"):  # timm stores none for ImageNet-1k
        return {}
    if labels.ids is None:
        return {"label_names": labels.names}
    return {"label_names": labels.ids, "label_descriptions": dict(zip(labels.ids, labels.names, strict=True))}
