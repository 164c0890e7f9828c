"""The network of a model up to the pooled outputs of all its stages: what a probe learns from, and what it is cut down to.

Refuses models on which no classifier can be put: quantised ones, whose weights can no more be cut.
"""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import NamedTuple

import numpy as np

from ..arch import EMBEDDINGS, Arch
from ..config import Decision
from ..errors import InputError
from ..modelfile import ModelFile, to_bytes
from ..modelfile.values import COUNTER

Stages = tuple[str, ...]  # names of stages in their order, or those of `Arch.classifier_input`: ("embeddings",)


class Columns(NamedTuple):
    """Which columns a picture's features have of what: one range a stage, in network order, then those of the embeddings."""

    stages: Stages
    ends: tuple[int, ...]  # where each stage's end

    def of(self, read: Stages) -> np.ndarray:
        """The columns that a classifier with this input reads, int64."""
        starts = dict(zip(self.stages, zip((0, *self.ends), self.ends, strict=False), strict=True))
        return np.concatenate([np.arange(*starts[name]) for name in read])


def check_base(model: ModelFile, name: str) -> None:
    """Raise `InputError` for a model that no probe can be made of."""
    if model.config.quantization:
        raise InputError(f"{name} is quantised: name the float model that it was made of, and quantise what comes of it")


def whole_trunk(model: ModelFile) -> ModelFile:
    """The network that ends with the pooled outputs of all stages, side by side, as its embeddings."""
    arch = model.config.arch
    stages = arch.table.stage_names[: len(arch.stages)]
    return cut(model, replace(arch, num_classes=0, head_channels=0, classifier_input=stages))


def cut(model: ModelFile, arch: Arch) -> ModelFile:
    """The layers of a model that another architecture has too, with no labels and no decision layer."""
    shapes = arch.shapes()
    weights = {key: value for key, value in model.weights.items() if _belongs(key, shapes)}
    config = replace(model.config, arch=arch, labels=None, decision=Decision(), provenance={})
    return ModelFile(config, weights)


def _belongs(key: str, shapes: dict[str, tuple[int, ...]]) -> bool:
    kept = key in shapes or (key.endswith(COUNTER) and f"{key[: -len(COUNTER)]}running_mean" in shapes)
    return kept and not key.startswith("classifier.")


def columns_of(arch: Arch) -> Columns:
    """Where the features of a base's architecture are: those of its stages, then its embeddings, if it has a head."""
    stages = arch.table.stage_names[: len(arch.stages)]
    sizes = [blocks[-1].out_channels for blocks in arch.stages]
    if arch.head_channels:
        stages, sizes = (*stages, EMBEDDINGS), [*sizes, arch.head_channels]
    return Columns(stages, tuple(np.cumsum(sizes).tolist()))


def architecture(base: Arch, read: Stages, classes: int) -> Arch:
    """The base's with a classifier of these classes that reads these stages; those behind the last one are dropped."""
    head = base.head_channels if read == (EMBEDDINGS,) else 0
    return replace(base, num_classes=classes, head_channels=head, classifier_input=read)


def made_by(trunk: ModelFile, arithmetic: tuple[str, ...]) -> bytes:
    """The sha256 of what a feature depends on besides the picture: weights, preprocessing, and who computes."""
    return sha256(to_bytes(trunk) + "\0".join(arithmetic).encode()).digest()
