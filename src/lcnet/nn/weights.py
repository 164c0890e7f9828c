"""Weights into a module and out of it: pretrained tensors adapted, checkpoints loaded as they are, float32 copies.

Never loads partly: what does not fit raises `ModelFileError` naming the tensors, before anything is changed.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..config import Labels, ModelConfig, Preprocessing
from ..convert import load_state_dict
from ..errors import InputError, ModelFileError
from ..modelfile.branches import fused
from ..modelfile.values import COUNTER
from .model import LCNet, LCNetFeatures, Trunk

CLASSIFIER = "classifier."
HEAD = ("conv_head.", CLASSIFIER)
FILED: dict[type[nn.Module], str] = {nn.Hardswish: "hard_swish", nn.ReLU: "relu"}  # activations that a model file can hold


def load_pretrained(model: Trunk, weights: Mapping[str, Any]) -> None:
    """Load pretrained tensors (timm's keys), adapted to the model as timm does it.

    A stem for other input channels is summed (to 1 channel) or repeated and scaled. A classifier of another size is
    left out, so that the fresh one stays, if the model was asked for other classes than its `pretrained_cfg` has. A
    feature extractor takes no head. Raises `ModelFileError`.
    """
    state = {key: _tensor(value) for key, value in weights.items()}
    if isinstance(model, LCNetFeatures):
        state = {key: value for key, value in state.items() if not key.startswith(HEAD)}
    elif model.arch.num_classes != model.pretrained_cfg.get("num_classes"):
        _keep_own_classifier(model, state)
    stem = f"{model.arch.table.stem[0]}.weight"
    if stem in state:
        state[stem] = adapt_stem(state[stem], model.in_chans)
    _load(model, state, "the pretrained weights")


def _keep_own_classifier(model: Trunk, state: dict[str, Tensor]) -> None:
    """Put the model's classifier in place of the one in `state`, unless that one happens to fit."""
    own = {key: value for key, value in model.state_dict().items() if key.startswith(CLASSIFIER)}
    found = {key: value for key, value in state.items() if key.startswith(CLASSIFIER)}
    if {k: v.shape for k, v in own.items()} != {k: v.shape for k, v in found.items()}:
        for key in found:
            del state[key]
        state.update(own)


def adapt_stem(weight: Tensor, in_chans: int) -> Tensor:
    """Fit conv weights O,I,k,k to other input channels: for 1 the sum, else repeated, cut and scaled by I/in_chans."""
    channels = weight.shape[1] if weight.ndim == 4 else in_chans
    if channels == in_chans:
        return weight
    if in_chans == 1:
        return weight.float().sum(1, keepdim=True).to(weight.dtype)
    repeated = weight.float().repeat(1, math.ceil(in_chans / channels), 1, 1)[:, :in_chans]
    return (repeated * (channels / in_chans)).to(weight.dtype)


def load_checkpoint(model: nn.Module, path: str | os.PathLike[str], use_ema: bool = True) -> None:
    """Load a checkpoint that fits exactly: a safetensors file, or one that torch or PaddlePaddle saved.

    Of a training checkpoint the averaged weights are taken, unless `use_ema` is false. Raises `ModelFileError`.
    """
    state = {key: _tensor(value) for key, value in load_state_dict(path, use_ema=use_ema).items()}
    _load(model, state, os.fspath(path))


def to_weights(model: nn.Module) -> dict[str, np.ndarray]:
    """Copy the state dict to numpy for `modelfile.write`: float32, branches fused, and batch-norm's int64 counters."""
    weights = {key: _array(value) for key, value in model.state_dict().items()}
    return fused(weights, model.arch, model.bn_eps) if isinstance(model, Trunk) else weights


def model_config(model: LCNet, preprocessing: Preprocessing | None = None, labels: Labels | None = None) -> ModelConfig:
    """Describe a model for `modelfile.write`; `preprocessing` comes from its `pretrained_cfg` unless it is given.

    Raises `InputError` for what the runtime does not have: other activations, another pooling or head conv.
    """
    _check_plain(model)
    arch = replace(model.arch, activation=FILED[type(model.style.act())])
    if model.conv_head is not None:
        arch = replace(arch, head_bias=model.conv_head.bias is not None)
    if preprocessing is None:
        preprocessing = Preprocessing.from_timm(model.pretrained_cfg).with_channels(model.in_chans)
    return ModelConfig(arch, preprocessing, labels, bn_eps=model.bn_eps)


def _check_plain(model: nn.Module) -> None:
    if not isinstance(model, LCNet):
        raise InputError(f"a model file holds a whole LCNet, not a {type(model).__name__}")
    odd = []
    if model.global_pool.pool_type != "avg":
        odd.append(f"global_pool={model.global_pool.pool_type!r}")
    act, inner = (type(make()) for make in (model.style.act_layer, model.style.se_layer))
    if act not in FILED or inner is not nn.ReLU:
        odd.append(f"act_layer={act.__name__}")
    if model.conv_head is not None and model.conv_head.bias is None and model.arch.head_bias:
        odd.append("head_bias=False")
    if odd:
        raise InputError(f"a model file cannot hold {', '.join(odd)}: the runtime has only plain LCNets")


def _load(model: nn.Module, state: Mapping[str, Tensor], name: str) -> None:
    expected = model.state_dict()
    problems = [f"{key} is missing" for key in expected if key not in state and not key.endswith(COUNTER)]
    problems += [f"{key} does not belong to the model" for key in state if key not in expected]
    for key in state.keys() & expected.keys():
        found, wanted = list(state[key].shape), list(expected[key].shape)
        if found != wanted:
            problems.append(f"{key} has shape {found}, expected {wanted}")
    if problems:
        more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise ModelFileError(f"{name}: the tensors do not fit the model: {'; '.join(sorted(problems)[:5])}{more}")
    counters = {key: value for key, value in expected.items() if key.endswith(COUNTER)}
    model.load_state_dict(counters | dict(state))


def _tensor(value: Any) -> Tensor:
    return value if isinstance(value, Tensor) else torch.tensor(value)


def _array(value: Tensor) -> np.ndarray:
    value = value.detach().cpu()
    return (value.float() if value.is_floating_point() else value).numpy().copy()
