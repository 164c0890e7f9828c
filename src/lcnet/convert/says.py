"""What a training checkpoint says of the network besides its weights: timm's `args`, and the recipe of a run of ours.

`args` is an argparse.Namespace or a dictionary, read as plain data; what it leaves open (None) it does not say. A `last.ckpt`
describes itself, but for old ones, whose recipe has the size and the crop and whose folder (`recipe.json`) the classes.
"""

from __future__ import annotations

import json
from collections.abc import Container
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..arch import Arch
from ..config import Labels
from ..errors import ModelFileError
from ..modelfile.timm_config import check_options
from ..text import plain, quoted, reason
from .unpickle import Namespace, describe

TEXTS = ("interpolation", "crop_mode")
MAX_NUMBERS = 1024  # of one value: as many as a network can have channels
RECIPE = "recipe.json"


@dataclass(frozen=True)
class Said:
    """Fields of `Preprocessing` (not checked yet), labels, and the batch norms' epsilon, each where it is said."""

    preprocessing: dict[str, Any] = field(default_factory=dict)
    labels: Labels | None = None
    bn_eps: float | None = None


def what_it_says(source: Path, root: Any, arch: Arch, chosen: Container[str]) -> Said:
    """Look through a checkpoint. `chosen`: fields that are decided already. Raises `ModelFileError`."""
    if not isinstance(root, dict):
        return Said()
    args = _fields(root.get("args"))
    if args:
        return _of_timm(args, arch, chosen)
    return _of_run(source, root["identity"], arch) if is_run(root) else Said()


def is_run(root: Any) -> bool:
    """Whether it is a `last.ckpt` of `lcnet train`."""
    return isinstance(root, dict) and type(root.get("lcnet")) is int and isinstance(root.get("identity"), dict)


def _fields(value: Any) -> dict[Any, Any]:
    found = value.state if isinstance(value, Namespace) else value
    return found if isinstance(found, dict) else {}


def _of_timm(args: dict[Any, Any], arch: Arch, chosen: Container[str]) -> Said:
    """Read what timm's `resolve_data_config` and `create_model` take from the arguments, by its rules."""
    options = {"global_pool": args.get("gp"), **_fields(args.get("model_kwargs"))}
    check_options("args", {str(k): _scalar(k, v) for k, v in options.items() if v is not None}, arch)
    out: dict[str, Any] = {}
    for key in ("mean", "std"):
        if args.get(key) is not None and key not in chosen:
            out[key] = _numbers(key, args[key])
    for key in (*TEXTS, "crop_pct"):
        if args.get(key) and key not in chosen:
            out[key] = _scalar(key, args[key])
    if "input_size" not in chosen:
        out |= _size(args, arch)
    eps = args.get("bn_eps")
    return Said(out, bn_eps=None if eps is None else _scalar("bn_eps", eps))


def _size(args: dict[Any, Any], arch: Arch) -> dict[str, Any]:
    """The input as channels, height and width; other projects say it as a side, or as height and width."""
    key = next((key for key in ("input_size", "img_size") if args.get(key) is not None), None)
    if key is None:
        return {}
    sides = _numbers(key, args[key])
    return {"input_size": [arch.in_chans, sides[0], sides[-1]] if len(sides) in (1, 2) else sides}


def _scalar(key: Any, value: Any) -> Any:
    """A text or a number of ordinary size: what is nested or huge is not walked through, printed or kept."""
    short_text = isinstance(value, str) and len(value) <= 200
    short_number = isinstance(value, (bool, float)) or (isinstance(value, int) and value.bit_length() < 64)
    if not (short_text or short_number):
        raise ModelFileError(f"args.{quoted(key)} is {describe(value)}, expected a number or a short text")
    return value


def _numbers(key: str, value: Any) -> list[Any]:
    if isinstance(value, (int, float)):
        return [_scalar(key, value)]
    if not isinstance(value, (list, tuple)) or len(value) > MAX_NUMBERS:
        raise ModelFileError(f"args.{key} is {describe(value)}, expected numbers: {_say_so(key)}")
    return [_scalar(key, number) for number in value]


def _say_so(key: str) -> str:
    option = "input-size" if key == "img_size" else key.replace("_", "-")
    return f"say it with --{option} (`preprocessing`)"


def _of_run(source: Path, identity: dict[Any, Any], arch: Arch) -> Said:
    recipe = _fields(identity.get("recipe"))
    size = recipe.get("test_size") or recipe.get("input_size")
    out = {"crop_pct": _scalar("crop_pct", recipe["crop_pct"])} if recipe.get("crop_pct") else {}
    if size:
        out["input_size"] = [arch.in_chans, _scalar("input_size", size), _scalar("input_size", size)]
    if recipe.get("crop") == "shifted":
        out["crop_mode"] = "squash"  # such a run was trained on whole pictures
    return Said(out, _classes(source.with_name(RECIPE), identity.get("data")))


def _classes(path: Path, fingerprint: Any) -> Labels | None:
    """The classes of the run that the folder's recipe describes, if it is this one."""
    try:
        run = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise ModelFileError(f"{plain(path)} beside it cannot be read: {reason(error)}") from None
    same = isinstance(run, dict) and run.get("data_fingerprint") == fingerprint and isinstance(run.get("classes"), list)
    return Labels(tuple(run["classes"])) if same else None
