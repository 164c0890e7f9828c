"""What a run needs to go on as if it had never stopped, in one file: `last.ckpt`.

Weights, averaged weights with their counter, optimizer, gradient scaler, place in the run and best result, and the
description that makes the weights a model file (`lcnet convert`). Random numbers
need no state: they are functions of the seed and the place (sampler.py). Written under a temporary name and renamed;
read without unpickling anything but tensors and plain values. The identity has the start's name as it was given, which may be
a path: unlike the model file, a checkpoint stays with its run.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch

from ..errors import LcnetError, ModelFileError
from ..files import write_atomically
from ..text import one_line, short

VERSION = 2


@dataclass
class Place:
    """How far a run is. `epoch` and `step` are the next to do; `updates` counts finished optimizer steps."""

    epoch: int = 0
    step: int = 0
    updates: int = 0
    loss_sum: float = 0.0  # of the epoch's finished steps
    best: float | None = None  # the chosen metric of the epoch that is kept
    best_loss: float | None = None  # its loss
    best_epoch: int = -1  # 0: the weights that it starts from
    top: float | None = None  # the best that any epoch had in the metric
    floor: float | None = None  # what the weights had that it starts from


_NUMBER, _COUNT = (int, float), (int,)
_PLACE = {
    "epoch": _COUNT,
    "step": _COUNT,
    "updates": _COUNT,
    "loss_sum": _NUMBER,
    "best_epoch": _COUNT,
    **dict.fromkeys(("best", "best_loss", "top", "floor"), (*_NUMBER, type(None))),
}


def save(path: Path, identity: dict[str, Any], place: Place, parts: dict[str, Any], description: str) -> None:
    """Write a checkpoint.

    identity: plain values that a run must share to go on from it. parts: state dicts. description: what a model file of
    these weights says, for `lcnet convert`.
    """
    buffer = io.BytesIO()
    told = {"lcnet": VERSION, "identity": identity, "description": description, "place": asdict(place), "parts": parts}
    torch.save(told, buffer)
    write_atomically(path, buffer.getvalue())


class Saved(NamedTuple):
    """What a checkpoint holds."""

    place: Place
    parts: dict[str, Any]
    identity: dict[str, Any]


def load(path: Path) -> Saved:
    """Read a checkpoint. Raises `ModelFileError` if it is damaged."""
    try:
        data = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ModelFileError(f"{path}: there is no checkpoint to resume from: leave out --resume") from None
    except Exception as error:  # whatever torch raises for a damaged or foreign file
        raise _no_checkpoint(path, type(error).__name__) from None
    with restoring(path):
        _check(data)
        place, parts = Place(**data["place"]), dict(data["parts"])
        for name, kinds in _PLACE.items():
            if type(getattr(place, name)) not in kinds:
                raise ValueError(f"place.{name} is {short(repr(getattr(place, name)))}")
    return Saved(place, parts, dict(data["identity"]))


@contextmanager
def restoring(path: Path) -> Iterator[None]:
    """Turn whatever a checkpoint's content makes torch or Python raise into one `ModelFileError` that names it."""
    try:
        yield
    except LcnetError:
        raise
    except Exception as error:
        said = one_line(" ".join(str(error).split())[:200])
        raise _no_checkpoint(path, said if isinstance(error, ValueError) else f"{type(error).__name__}: {said}") from None


def _check(data: Any) -> None:
    """Raise `ValueError` for anything but what `save` writes."""
    for key, kind in {"lcnet": int, "identity": dict, "place": dict, "parts": dict}.items():
        found = data.get(key) if isinstance(data, dict) else None
        if not isinstance(found, kind):
            raise ValueError(f"{key} is {type(found).__name__}, expected {kind.__name__}")
    if data["lcnet"] != VERSION:
        raise ValueError(f"it is of version {data['lcnet']}, this lcnet reads {VERSION}")


def _no_checkpoint(path: Path, why: str) -> ModelFileError:
    return ModelFileError(f"{path}: it is no checkpoint of this training run ({why}): --overwrite begins anew")
