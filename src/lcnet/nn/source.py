"""From a model's name to what is known about it: width, timm's `pretrained_cfg`, and where its weights are.

Names of the zoo are rows there; `hf-hub:`, `local-dir:` and paths go through `lcnet.hub`. Nothing is fetched for a name
of the zoo until its weights are read.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from .. import modelfile, zoo
from ..arch import BN_EPS, SIZES, Arch
from ..config import ModelConfig, Preprocessing
from ..convert import load_state_dict
from ..errors import InputError, ModelFileError, WeightsError
from ..modelfile.timm_config import pretrained_cfg
from ..text import suggest

Name = str | os.PathLike[str]
Fields = Mapping[str, Any] | None
Description = Fields | str

# Fields of timm's PretrainedCfg. Those that no LCNet needs are carried along unread.
CFG_FIELDS = (
    "url",
    "file",
    "state_dict",
    "hf_hub_id",
    "hf_hub_filename",
    "source",
    "architecture",
    "tag",
    "custom_load",
    "input_size",
    "test_input_size",
    "min_input_size",
    "fixed_input_size",
    "interpolation",
    "crop_pct",
    "test_crop_pct",
    "crop_mode",
    "mean",
    "std",
    "num_classes",
    "label_offset",
    "label_names",
    "label_descriptions",
    "pool_size",
    "test_pool_size",
    "first_conv",
    "classifier",
    "license",
    "description",
    "origin_url",
    "paper_name",
    "paper_ids",
    "notes",
)


@dataclass(frozen=True)
class ModelSource:
    """What a name stands for. `where` is the name under which `lcnet.hub` finds the weights."""

    arch: Arch
    cfg: dict[str, Any]
    bn_eps: float = BN_EPS
    where: Name | None = None

    @property
    def public_cfg(self) -> dict[str, Any]:
        """`pretrained_cfg` as a model carries it: without the weights themselves."""
        return {k: v for k, v in self.cfg.items() if k != "state_dict"}


def resolve(name: Name, description: Description, overlay: Fields, cache_dir: Name | None) -> ModelSource:
    """Find what `name` stands for; `description` replaces its own (a dict) or its tag (a text), `overlay` some fields.

    Raises `InputError` for unknown names, tags and fields, and what `lcnet.hub` raises for files.
    """
    arch = os.fspath(name).partition(".")[0]
    if isinstance(name, os.PathLike) or _is_elsewhere(name):
        source = _elsewhere(name, cache_dir)
        if description:
            raise InputError(f"pretrained_cfg does not go with {name!r}, which has its own: use pretrained_cfg_overlay")
    elif isinstance(description, str):
        source = _registered(f"{arch}.{description}")
    elif description:
        source = _overlaid(ModelSource(Arch.of(arch), _cfg(Arch.of(arch), Preprocessing())), description)
    else:
        source = _registered(name)
    return _overlaid(source, overlay or {})


def read_weights(source: ModelSource, cache_dir: Name | None) -> tuple[Mapping[str, Any], float]:
    """Read the pretrained tensors by timm key, and the batch-norm epsilon that they were trained with.

    They come from the description's `state_dict` or `file`, else from the hub. Raises `WeightsError` if there are none.
    """
    if source.cfg.get("state_dict"):
        return source.cfg["state_dict"], source.bn_eps
    if source.cfg.get("file"):
        return load_state_dict(source.cfg["file"]), source.bn_eps
    if source.where is None:
        raise WeightsError(
            f"the pretrained_cfg given for {source.cfg['architecture']} names no weights: expected "
            "file, state_dict or hf_hub_id in it, or pretrained=False for fresh ones"
        )
    model = modelfile.read(*_locate(source.where, cache_dir), branches=True)
    if model.config.quantization:
        raise ModelFileError(f"{source.where}: the model is quantised, expected float weights: take the file it was made from")
    return model.weights, model.config.bn_eps


def _is_elsewhere(name: str) -> bool:
    """Whether `name` is a hub id, a folder or a file; a name that nobody knows is also left to the hub to refuse."""
    known = name.partition(".")[0] in SIZES
    return not known or any(c in name for c in "/\\:") or name.endswith(".safetensors")


def _locate(name: Name, cache_dir: Name | None) -> tuple[os.PathLike[str], ModelConfig | None]:
    from ..hub import locate

    located = locate(name, cache_dir=cache_dir)
    return located.path, located.config


def _elsewhere(name: Name, cache_dir: Name | None) -> ModelSource:
    config = modelfile.read_config(*_locate(name, cache_dir))
    cfg = _cfg(config.arch, config.preprocessing)
    if config.labels:
        cfg["label_names"] = config.labels.names
    return ModelSource(config.arch, cfg, config.bn_eps, where=name)


def _registered(name: str) -> ModelSource:
    entry = zoo.find(name)
    found = {
        "tag": entry.name.partition(".")[2] or None,
        "hf_hub_id": entry.hub_id,
        "origin_url": entry.url,
        "license": entry.license,
    }
    cfg = _cfg(entry.arch, entry.preprocessing) | {k: v for k, v in found.items() if v is not None}
    return ModelSource(entry.arch, cfg, where=entry.name)


def _overlaid(source: ModelSource, given: Mapping[str, Any]) -> ModelSource:
    for key in given:
        if key not in CFG_FIELDS:
            raise InputError(f"pretrained_cfg has no field {key!r}{suggest(str(key), CFG_FIELDS)}")
    fields = {k: v for k, v in given.items() if v is not None}
    where = f"hf-hub:{fields['hf_hub_id']}" if fields.get("hf_hub_id") else source.where
    return replace(source, cfg=source.cfg | fields, where=where)


def _cfg(arch: Arch, pre: Preprocessing) -> dict[str, Any]:
    cfg = pretrained_cfg(arch, pre)
    return {"architecture": arch.name, **cfg, **pre.departures(*cfg)}  # ours behind timm's fields
