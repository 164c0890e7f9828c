"""`create_model`: a name and options to a module, as timm 1.0.31 does it for LCNet; unknown options are refused.

Owns the options. Names are resolved in `source`, tensors loaded in `weights`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, overload

from torch import nn

from ..arch import REDUCTIONS
from ..errors import InputError
from ..modelfile.branches import is_branched
from ..text import suggest
from .features import Indices
from .layers import Style, activation
from .model import LCNet, LCNetFeatures, Trunk
from .source import Description, Fields, ModelSource, Name, read_weights, resolve
from .weights import load_checkpoint, load_pretrained


class OptionError(InputError, TypeError):
    """An option that `create_model` does not have: a `TypeError` too, as for any unknown keyword."""


@dataclass(frozen=True)
class ModelOptions:
    """The keywords of `create_model` that shape the network; None stands for the model's own value."""

    num_classes: int | None = None  # 0: no classifier, the output is the embeddings
    in_chans: int | None = None
    drop_rate: float = 0.0  # dropout of the embeddings while training
    drop_path_rate: float = 0.0  # accepted for timm's sake: without residuals there is no path to drop
    global_pool: str = "avg"  # 'avg', 'max', 'avgmax', 'catavgmax', or '' with num_classes=0
    features_only: bool = False
    out_indices: Indices = None  # features_only
    output_stride: int | None = None  # features_only
    bn_eps: float | None = None
    bn_momentum: float = 0.1
    act_layer: str | Callable[..., nn.Module] | None = None
    head_bias: bool | None = None  # None: as the family has it
    inference_mode: bool = False  # lcnetv2: with one convolution in the place of each block's branches

    def __post_init__(self) -> None:
        self._check("in_chans", lambda n: isinstance(n, int) and n > 0, "a whole number above 0")
        for name in ("drop_rate", "drop_path_rate", "bn_momentum"):
            self._check(name, lambda p: isinstance(p, (int, float)) and 0 <= p <= 1, "a number from 0 to 1")
        self._check("bn_eps", lambda e: isinstance(e, (int, float)) and 0 < e < 1, "a number between 0 and 1")
        self._check("output_stride", lambda s: s in REDUCTIONS, f"one of {REDUCTIONS}")
        for name in ("out_indices", "output_stride"):
            if getattr(self, name) is not None and not self.features_only:
                raise OptionError(f"{name} needs features_only=True: the classifier has one output, at stride 32")

    def _check(self, name: str, good: Callable[[Any], bool], expected: str) -> None:
        value = getattr(self, name)
        if value is not None and not good(value):
            raise InputError(f"{name} is {value!r}, expected {expected}")

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> ModelOptions:
        """Check keywords; those with the value None count as not given. Raises `OptionError` naming the near ones."""
        known = tuple(field.name for field in fields(cls))
        chosen = {name: value for name, value in given.items() if value is not None}
        for name in chosen:
            if name not in known:
                near = suggest(name, known)
                raise OptionError(f"create_model has no option {name!r}{near} (options: {', '.join(known)})")
        return cls(**chosen)


@overload
def create_model(
    model_name: Name,
    pretrained: bool = ...,
    pretrained_cfg: Description = ...,
    pretrained_cfg_overlay: Fields = ...,
    checkpoint_path: Name | None = ...,
    cache_dir: Name | None = ...,
    *,
    features_only: Literal[True],
    **options: Any,
) -> LCNetFeatures: ...
@overload
def create_model(
    model_name: Name,
    pretrained: bool = ...,
    pretrained_cfg: Description = ...,
    pretrained_cfg_overlay: Fields = ...,
    checkpoint_path: Name | None = ...,
    cache_dir: Name | None = ...,
    **options: Any,
) -> LCNet: ...
def create_model(
    model_name: Name,
    pretrained: bool = False,
    pretrained_cfg: Description = None,
    pretrained_cfg_overlay: Fields = None,
    checkpoint_path: Name | None = None,
    cache_dir: Name | None = None,
    **options: Any,
) -> Trunk:
    """Create an LCNet in training mode: a classifier, or with `features_only` a feature extractor.

    `model_name` is a name of the zoo (`lcnet_050`, `lcnet_050.ra2_in1k`), `hf-hub:owner/repo`, `local-dir:folder`, or
    the path of a model file. `pretrained_cfg` (a dict in timm's fields, or a tag) replaces the name's description,
    `pretrained_cfg_overlay` single fields of it. With `pretrained` the weights are adapted to `in_chans` and
    `num_classes`; `checkpoint_path` is loaded afterwards and must fit exactly. For the other keywords see `ModelOptions`.

    Raises `InputError` (unknown names, options and values), `WeightsError` (no such weights, or not reachable) and
    `ModelFileError` (weights that do not fit). The rules are timm 1.0.31's.
    """
    chosen = ModelOptions.of(options)
    source = resolve(model_name, pretrained_cfg, pretrained_cfg_overlay, cache_dir)
    weights, bn_eps = read_weights(source, cache_dir) if pretrained else (None, source.bn_eps)
    model = _build(source, chosen, bn_eps, branches=weights is None or is_branched(weights))
    if weights is not None:
        load_pretrained(model, weights)
    if chosen.inference_mode:
        model.fuse()
    if checkpoint_path:
        load_checkpoint(model, checkpoint_path)
    return model


def _build(source: ModelSource, chosen: ModelOptions, bn_eps: float, branches: bool) -> Trunk:
    cfg = source.public_cfg
    classes = cfg["num_classes"] if chosen.num_classes is None else chosen.num_classes
    arch = replace(source.arch, in_chans=chosen.in_chans or cfg["input_size"][0], num_classes=classes)
    act_layer = activation(arch.activation if chosen.act_layer is None else chosen.act_layer)
    style = replace(Style.of(arch, chosen.bn_eps or bn_eps), act_layer=act_layer, bn_momentum=chosen.bn_momentum)
    if chosen.act_layer is not None and arch.family != "lcnet":
        style = replace(style, se_layer=act_layer)  # as timm has it
    model: Trunk
    if chosen.features_only:
        model = LCNetFeatures(arch, style, chosen.out_indices, chosen.output_stride, branches)
        dropped = ("num_classes", "classifier", "global_pool")
        model.default_cfg = {key: value for key, value in cfg.items() if key not in dropped}
    else:
        model = LCNet(arch, style, chosen.global_pool, chosen.drop_rate, chosen.head_bias, branches)
        model.default_cfg = cfg
    model.pretrained_cfg = cfg
    return model
