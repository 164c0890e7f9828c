"""The models of a server by their names: loaded once, warmed up, and replaced by swapping one reference.

A request keeps the model that it began with. A reload reads the new one beside the old, runs it once, and only then swaps;
if anything is wrong with it, the old one stays.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import time
from typing import Any

import numpy as np

from .. import hub
from ..errors import InputError, LcnetError
from ..hub.store import sha256_of
from ..runtime import Classifier, load
from ..sources.formats import MAX_PIXELS
from ..text import plain, quoted
from .refusals import Refused

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
LISTED = 1000  # labels that a description of a model shows


@dataclass(frozen=True)
class Served:
    """A model at work, and what is said of it."""

    name: str
    model: Classifier
    sha256: str
    loaded: float = field(default_factory=time)

    def to_dict(self, default: bool) -> dict[str, Any]:
        """What `GET /v1/models` says."""
        model, config = self.model, self.model.config
        return {
            "name": self.name,
            "architecture": model.arch.name,
            "input_size": list(model.preprocessing.input_size),
            "num_classes": model.arch.num_classes,
            "embedding_size": model.arch.head_hidden_size,
            "labels": list(model.labels.names[:LISTED]) if model.labels else None,
            "multi_label": config.decision.multi_label,
            "precision": model.precision,
            "isa": model.isa,
            "sha256": self.sha256,
            "loaded": round(self.loaded, 3),
            "preprocessing": asdict(model.preprocessing),
            "decision": asdict(config.decision),
            "default": default,
        }


class Models:
    """Models by name, the first the default. `places`: a name or file for each, as `lcnet.load` takes it.

    options: `isa`, `precision` and `decode` of all. Raises as `lcnet.load` does.
    """

    def __init__(self, places: Mapping[str, str], max_pixels: int, options: Mapping[str, Any] | None = None) -> None:
        self.places = dict(places)
        self._options = {"threads": 1, "max_pixels": max(max_pixels, MAX_PIXELS), **(options or {})}
        self._served = {name: self.read(name) for name in self.places}
        self._reading = threading.Lock()

    @property
    def default(self) -> str:
        """The name of the model that answers where none is named."""
        return next(iter(self.places))

    def get(self, name: str | None = None) -> Served:
        """The model of that name, as it is now. Raises `Refused`."""
        found = self._served.get(self.default if name is None else name)
        if found is None:
            raise Refused("not_found", f"there is no model '{quoted(name)}': there is {', '.join(self.places)}")
        return found

    def all(self) -> list[Served]:
        """Every model."""
        return list(self._served.values())

    def describe(self, name: str | None = None) -> dict[str, Any]:
        """What is said of a model. Raises `Refused`."""
        served = self.get(name)
        return served.to_dict(served.name == self.default)

    def read(self, name: str) -> Served:
        """Load a model beside the one that serves, and run it once. Raises as `lcnet.load` does."""
        place = self.places[name]
        path = hub.locate(place).path
        before, sha256 = path.stat(), sha256_of(path)
        model = load(place, **self._options)
        model.embeddings(np.zeros((1, *model.preprocessing.input_size), np.float32))
        if model.arch.num_classes:
            model.logits(np.zeros((1, *model.preprocessing.input_size), np.float32))
        if _state(path.stat()) != _state(before):
            raise InputError(f"{plain(path)} changes while it is read: put a new file in its place by renaming")
        return Served(name, model, sha256)

    def replace(self, fresh: Sequence[Served]) -> None:
        """Let new models answer from now on: all at once."""
        self._served = {**self._served, **{served.name: served for served in fresh}}

    def read_again(self, names: Sequence[str]) -> list[Served]:
        """Read models again, one reload at a time. Raises `Refused`, and then nothing has changed."""
        for name in names:
            self.get(name)
        with self._reading:
            return [self._read_again(name) for name in names]

    def _read_again(self, name: str) -> Served:
        try:
            return self.read(name)
        except (LcnetError, OSError, MemoryError) as error:
            raise Refused("argument", f"{name} is not reloaded, and the old model goes on: {error}") from error


def _state(found: os.stat_result) -> tuple[int, ...]:
    return found.st_ino, found.st_size, found.st_mtime_ns


def named(models: Any) -> dict[str, str]:
    """The names of models that are given as one, a list of `NAME=MODEL` or `MODEL`, or a mapping. Raises `InputError`."""
    if isinstance(models, Mapping):
        pairs = [(str(name), os.fspath(place)) for name, place in models.items()]
    else:
        several = [models] if isinstance(models, (str, os.PathLike)) else list(models)
        pairs = [_pair(os.fspath(text)) for text in several]
    places: dict[str, str] = {}
    for name, place in pairs:
        if not NAME.fullmatch(name):
            raise InputError(f"a model is named '{quoted(name)}', expected letters, digits, '.', '_' and '-': write NAME=MODEL")
        if name in places:
            raise InputError(f"two models are named {name}: write NAME=MODEL for one of them")
        places[name] = place
    if not places:
        raise InputError("there is no model to serve: name one")
    return places


def _pair(text: str) -> tuple[str, str]:
    name, equals, place = text.partition("=")
    if equals and NAME.fullmatch(name) and place:
        return name, place
    last = Path(text.partition("@")[0].rpartition(":")[2] or text).name
    return last.removesuffix(".safetensors"), text
