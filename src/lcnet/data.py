"""The names that users of timm's data API look for: which preprocessing a model wants, and a transform that does it.

For evaluation, with timm's results to the bit; transforms that augment are refused. Works without torch if told
`output="numpy"`.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from .config import IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from .errors import InputError, MissingExtraError, ModelFileError
from .image import batch
from .text import suggest

if TYPE_CHECKING:
    from .image.pixels import ImageSource

_log = logging.getLogger(__name__)

KEYS = ("input_size", "interpolation", "mean", "std", "crop_pct", "crop_mode")


def resolve_model_data_config(
    model: Any,
    args: Mapping[str, Any] | None = None,
    pretrained_cfg: Mapping[str, Any] | None = None,
    use_test_size: bool = False,
    verbose: bool = False,
) -> dict[str, Any]:
    """Do what `resolve_data_config` does, with the model first."""
    return resolve_data_config(args, pretrained_cfg, model, use_test_size, verbose)


def resolve_data_config(
    args: Mapping[str, Any] | None = None,
    pretrained_cfg: Mapping[str, Any] | None = None,
    model: Any = None,
    use_test_size: bool = False,
    verbose: bool = False,
) -> dict[str, Any]:
    """Return the preprocessing as a dict of input_size, interpolation, mean, std, crop_pct and crop_mode, as timm does.

    Each comes from `args`, else from `pretrained_cfg`, else from the model (its `pretrained_cfg`, or an lcnet runtime
    model's `preprocessing`), else from timm's defaults. `args` may have timm's `in_chans` or `chans`, and `img_size`,
    too; its other keys are ignored, as a program's whole argument list may be given. `use_test_size` prefers the cfg's
    `test_input_size` and `test_crop_pct`. A model's other fields (`exif`, `resize`, ...) are added where they are not as
    usual, so that `create_transform` makes the same pixels as the model.
    """
    if not (args or pretrained_cfg or model is not None):
        raise InputError("resolve_data_config needs args, pretrained_cfg or model: nothing was given")
    args = dict(args or {})
    cfg = dict(pretrained_cfg or getattr(model, "pretrained_cfg", None) or _own_preprocessing(model))
    if use_test_size:
        cfg |= {key: cfg[f"test_{key}"] for key in ("input_size", "crop_pct") if cfg.get(f"test_{key}")}
    config = {**asdict(Preprocessing()), **_given(cfg), "input_size": _input_size(args, cfg), **_given(args, "input_size")}
    for key in ("mean", "std"):
        if args.get(key) is not None:
            config[key] = _per_channel(key, args[key], config["input_size"][0])
    config = {key: config[key] for key in KEYS} | _departures(cfg)
    if verbose:
        _log.info("data configuration: %s", config)
    return config


def create_transform(
    input_size: int | tuple[int, ...] = 224,
    is_training: bool = False,
    *,
    interpolation: str = "bilinear",
    mean: tuple[float, ...] = IMAGENET_MEAN,
    std: tuple[float, ...] = IMAGENET_STD,
    crop_pct: float | None = None,
    crop_mode: str | None = None,
    exif: bool = True,
    background: tuple[int, int, int] = (255, 255, 255),
    resize: str = "pillow",
    alpha: str = "composite",
    channel_order: str = "rgb",
    output: str = "torch",
    **unknown: Any,
) -> EvalTransform:
    """Return a function from one picture (path, bytes, PIL image, array) to the network's input, float32 [C,H,W].

    The arguments and their defaults are timm's: `input_size` is a side, (H, W) or (C, H, W); a None is timm's default.
    timm's pixels need `exif=False` where a picture has an orientation: by default it is turned upright. `exif` to
    `channel_order`: as in `Preprocessing`. `output`:
    "torch" for a tensor, "numpy" for an array. Raises `InputError` for what cannot be, also `is_training=True`: this is
    for evaluation only; `MissingExtraError` for "torch" without torch.
    """
    if unknown:
        name = next(iter(unknown))
        known = [n for n, p in inspect.signature(create_transform).parameters.items() if p.kind != p.VAR_KEYWORD]
        raise InputError(f"create_transform has no argument {name!r}{suggest(name, known)} (known: {', '.join(known)})")
    if is_training:
        raise InputError("create_transform makes evaluation transforms only, found is_training=True: leave it out")
    if output not in ("torch", "numpy"):
        raise InputError(f"output is {output!r}, expected 'torch' or 'numpy'")
    if output == "torch":
        _torch()
    values = {
        "interpolation": interpolation,
        "mean": mean,
        "std": std,
        "exif": exif,
        "background": background,
        "resize": resize,
        "alpha": alpha,
        "channel_order": channel_order,
        "crop_pct": crop_pct or 0.875,
        "crop_mode": crop_mode or "center",
    }
    return EvalTransform(_preprocessing(input_size, values), output)


@dataclass(frozen=True)
class EvalTransform:
    """One picture to the network's input, float32 [C,H,W]. Plain data, so that worker processes can be given it."""

    preprocessing: Preprocessing
    output: str = "torch"

    def __call__(self, image: ImageSource) -> Any:
        """Decode and prepare one picture; raises as `lcnet.image.decode` and `prepare` do."""
        array = batch([image], self.preprocessing)[0]
        return _torch().from_numpy(array) if self.output == "torch" else array


def _torch() -> Any:
    try:
        import torch
    except ImportError:
        raise MissingExtraError(
            "a torch tensor needs torch, which is not installed: pass output='numpy', or install"
            " the extra: pip install 'lcnet[train]'"
        ) from None
    return torch


def _preprocessing(input_size: Any, values: dict[str, Any]) -> Preprocessing:
    try:
        size = tuple(input_size) if isinstance(input_size, (tuple, list)) else (input_size, input_size)
        size = size if len(size) == 3 else (len(values["mean"]), *size)
        values = {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}
        return Preprocessing(input_size=size, **values)
    except (ModelFileError, TypeError) as error:
        raise InputError(f"create_transform: {error}") from None


def _own_preprocessing(model: Any) -> dict[str, Any]:
    own = getattr(model, "preprocessing", None)
    return asdict(own) if isinstance(own, Preprocessing) else {}


def _departures(cfg: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that timm does not have, where they are not as usual."""
    usual = asdict(Preprocessing())
    return {key: cfg[key] for key in usual if key not in KEYS and cfg.get(key, usual[key]) != usual[key]}


def _given(values: Mapping[str, Any], *without: str) -> dict[str, Any]:
    return {key: values[key] for key in KEYS if values.get(key) and key not in without}


def _input_size(args: Mapping[str, Any], cfg: Mapping[str, Any]) -> tuple[int, ...]:
    """timm's order: args.input_size, args.img_size with args.in_chans, the cfg's, and 224 with args.in_chans."""
    chans = next((args[key] for key in ("in_chans", "chans") if args.get(key) is not None), 3)
    side = args.get("img_size")
    if args.get("input_size") is not None:
        size = args["input_size"]
    elif side is not None:
        size = (chans, side, side)
    else:
        size = cfg.get("input_size") or (chans, 224, 224)
    if not isinstance(size, (tuple, list)) or len(size) != 3 or not all(isinstance(n, int) for n in size):
        raise InputError(f"input_size is {size!r}, expected three whole numbers: channels, height, width")
    return tuple(size)


def _per_channel(key: str, values: Any, channels: int) -> tuple[float, ...]:
    found: tuple[float, ...] = tuple(values)
    if len(found) not in (1, channels):
        raise InputError(f"{key} has {len(found)} numbers, expected 1 or {channels}: one a channel")
    return found * channels if len(found) == 1 else found
