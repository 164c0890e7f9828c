"""What a run needs to go on as if it had never stopped, in one file: `last.ckpt`.

Weights, averaged weights with their counter, optimizer, gradient scaler, place in the run and best result. Random numbers
need no state: they are functions of the seed and the place (sampler.py). Written under a temporary name and renamed;
read without unpickling anything but tensors and plain values. The identity has the start's name as it was given, which may be
a path: unlike the model file, a checkpoint stays with its run.
"""

from __future__ import annotations

import io
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from ..errors import ModelFileError
from ..files import write_atomically
from ..text import short

VERSION = 1


@dataclass
class Place:
    """How far a run is. `epoch` and `step` are the next to do; `updates` counts finished optimizer steps."""

    epoch: int = 0
    step: int = 0
    updates: int = 0
    loss_sum: float = 0.0  # of the epoch's finished steps
    best: float | None = None  # the chosen metric's best value
    best_epoch: int = -1


def save(path: Path, identity: dict[str, Any], place: Place, parts: dict[str, Any]) -> None:
    """Write a checkpoint. `identity`: plain values that a run must share to go on from it; `parts`: state dicts."""
    buffer = io.BytesIO()
    torch.save({"lcnet": VERSION, "identity": identity, "place": asdict(place), "parts": parts}, buffer)
    write_atomically(path, buffer.getvalue())


def load(path: Path, identity: dict[str, Any]) -> tuple[Place, dict[str, Any]]:
    """Read a checkpoint. Raises `ModelFileError` if it is damaged or of a run that differs in its identity."""
    try:
        data = torch.load(path, map_location="cpu", weights_only=True)
        version, found = data["lcnet"], data["identity"]
        place, parts = Place(**data["place"]), dict(data["parts"])
    except FileNotFoundError:
        raise ModelFileError(f"{path}: there is no checkpoint to resume from: leave out --resume") from None
    except Exception as error:  # whatever torch raises for a damaged or foreign file
        raise ModelFileError(f"{path}: it is no checkpoint of a training run ({type(error).__name__}): "
                             "--overwrite begins anew") from None  # fmt: skip
    if version != VERSION:
        raise ModelFileError(f"{path}: a checkpoint of version {version}, this lcnet reads {VERSION}")
    for key, value in identity.items():
        if found.get(key) != value:
            raise ModelFileError(f"{path}: the run had {_short(key, found.get(key), value)}: resume with what it was "
                                 "started with, or begin anew with --overwrite")  # fmt: skip
    return place, parts


def _short(key: str, found: Any, asked: Any) -> str:
    if isinstance(found, dict) and isinstance(asked, dict):
        name = next(k for k in {**found, **asked} if found.get(k) != asked.get(k))
        return f"{key} {name}={found.get(name)!r}, now it is {asked.get(name)!r}"
    texts = [short(repr(value)) for value in (found, asked)]
    return f"{key} {texts[0]}, now it is {texts[1]}"
