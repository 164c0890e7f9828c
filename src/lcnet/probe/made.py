"""A probe as a model file: the base's layers as far as they are read, the new classifier, and where all of it came from."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import version
from typing import Any

import numpy as np

from ..config import Decision, Labels, ModelConfig
from ..modelfile import ModelFile
from . import trunk
from .linear import Linear


def model_of(
    base: ModelFile, linear: Linear, read: trunk.Stages, labels: Labels, decision: Decision, provenance: dict[str, Any]
) -> ModelFile:
    """The model whose classifier reads these stages; those behind the last one are left away."""
    arch = trunk.architecture(base.config.arch, read, len(labels.names))
    cut = trunk.cut(base, arch)
    weight, bias = linear.weight.astype(np.float32), linear.bias.astype(np.float32)
    weights = {**cut.weights, "classifier.weight": weight, "classifier.bias": bias}
    config = replace(cut.config, labels=labels, decision=decision, provenance=provenance)
    return ModelFile(config, weights)


def description(base: ModelConfig, read: trunk.Stages, labels: Labels, multi_label: bool) -> ModelConfig:
    """What the model will say of itself, before there are a temperature and a provenance."""
    arch = trunk.architecture(base.arch, read, len(labels.names))
    return replace(base, arch=arch, labels=labels, decision=Decision(multi_label=multi_label), provenance={})


def origin(base: ModelFile, name: str, sha256: str) -> dict[str, Any]:
    """Where the network is from."""
    return {"source": "lcnet probe", "lcnet": version("lcnet"), "base": {"model": name, "sha256": sha256, **_source(base)}}


def _source(base: ModelFile) -> dict[str, Any]:
    source = base.config.provenance.get("source")
    return {"source": source} if isinstance(source, str) else {}
