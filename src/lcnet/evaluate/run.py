"""What a network says about a data set: every picture through the engine that will serve it, once, the logits kept.

Owns the way from a data set to `Answers`: which class is which column, which pictures are left out, and why. A picture that
cannot be read is never replaced by another: it stops the run, or is left out and named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, Protocol

import numpy as np

from ..config import ModelConfig
from ..dataset import array_of
from ..dataset.arrays import is_array
from ..dataset.sketch import Sketch
from ..errors import ImageError, InputError
from ..image.pixels import quiet_and_strict
from ..image.reading import opened
from ..sources.found import Found
from ..text import one_line, plain
from .align import align, read_real
from .trained import sketch_of

if TYPE_CHECKING:
    from ..runtime import Classifier


class LabeledPictures(Protocol):
    """What evaluation needs of an `lcnet.dataset.Dataset`."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""

    @property
    def multi_label(self) -> bool:
        """Whether a picture has any number of labels."""

    @property
    def targets(self) -> np.ndarray:
        """The right class of each picture, int64 [N], or uint8 [N,K]."""

    @property
    def names(self) -> Sequence[str]:
        """What messages call each picture."""

    def __len__(self) -> int: ...

    def read(self, index: int) -> bytes:
        """Return the encoded picture. Raises `ImageError`."""


class Skipped(NamedTuple):
    """A picture that could not be read."""

    name: str
    reason: str


class Seen(NamedTuple):
    """How many of the pictures the model was trained on, of those that could be compared with what it was trained on."""

    pictures: int
    compared: int


@dataclass(frozen=True, eq=False)
class Answers:
    """The logits of N pictures and what they should have been. C columns: the model's classes, or the data's if restricted.

    `targets`: int64 [N], or uint8 [N,C], 1 for each right class, if `multi_label` or `real`.
    """

    config: ModelConfig
    dataset: LabeledPictures
    logits: np.ndarray  # float32 [N,C]
    targets: np.ndarray
    columns: np.ndarray  # int64 [C]: the model's class of each column
    present: np.ndarray  # bool [C]: the classes that the data set has
    indices: np.ndarray  # int64 [N]: which picture of the data set
    sides: np.ndarray  # int64 [N]: pixels of its shorter side, 0 where unknown
    skipped: tuple[Skipped, ...] = ()
    unlabeled: int = 0  # pictures without ReaL labels, which are left out
    restricted: bool = False
    real: bool = False
    seen: Seen | None = None  # None: the model does not say what it was trained on

    @property
    def names(self) -> tuple[str, ...]:
        """The name of each column."""
        labels = self.config.labels
        return tuple(labels.names[c] if labels else str(c) for c in self.columns.tolist())

    @property
    def ids(self) -> tuple[str | None, ...]:
        """The id of each column."""
        ids = self.config.labels.ids if self.config.labels else None
        return tuple(ids[c] if ids else None for c in self.columns.tolist())


def answer(
    model: Classifier,
    dataset: LabeledPictures,
    *,
    restrict: bool = False,
    real: Path | None = None,
    skip_unreadable: bool = False,
    workers: int | None = None,
    progress: Callable[[], None] | None = None,
) -> Answers:
    """Run the model on all pictures of a data set; see `lcnet.evaluate.evaluate` for the options.

    The logits of all pictures are kept: 4 bytes a class and picture. The pictures themselves are read as they are needed.
    """
    if real and restrict:
        raise InputError("ReaL labels are of all classes: restrict and real exclude each other")
    plan = _plan_real(model, dataset, real) if real else _plan(model, dataset, restrict)
    if not len(plan.indices):
        raise InputError("the data set has no pictures")
    seen = _run(model, plan, skip_unreadable, workers, progress or (lambda: None))
    if not len(seen.indices):
        raise InputError(f"none of the {len(plan.indices)} pictures can be read: {seen.skipped[0].reason}")
    return seen


def _plan(model: Classifier, dataset: LabeledPictures, restrict: bool) -> Answers:
    """All that is known before the network runs."""
    config, total = model.config, model.config.arch.num_classes
    _check_task(config, dataset)
    index = align(dataset.classes, config.labels, total)
    columns = np.sort(index) if restrict else np.arange(total)
    place = np.full(total, -1, np.int64)
    place[columns] = np.arange(len(columns))
    present = np.zeros(len(columns), bool)
    present[place[index]] = True
    targets = np.asarray(dataset.targets)
    if dataset.multi_label:
        wide = np.zeros((len(targets), len(columns)), np.uint8)
        wide[:, place[index]] = targets
        targets = wide
    else:
        targets = place[index][targets]
        if config.decision.multi_label:
            targets = (targets[:, None] == np.arange(len(columns))).astype(np.uint8)
    every = np.arange(len(dataset))
    return Answers(config, dataset, _none(len(columns)), targets, columns, present, every, every, restricted=restrict)


def _plan_real(model: Classifier, dataset: LabeledPictures, path: Path) -> Answers:
    config, total = model.config, model.config.arch.num_classes
    if config.decision.multi_label or dataset.multi_label:
        raise InputError("ReaL labels are for ImageNet's single-label models and pictures")
    kept, labels = read_real(path, dataset.names, total)
    targets = np.zeros((len(kept), total), np.uint8)
    for row, right in zip(targets, labels, strict=True):
        row[right] = 1
    missing = len(dataset) - len(kept)
    return Answers(
        config, dataset, _none(total), targets, np.arange(total), np.ones(total, bool), kept, kept, unlabeled=missing, real=True
    )


def _check_task(config: ModelConfig, dataset: LabeledPictures) -> None:
    if not config.arch.num_classes:
        raise InputError("this model has no classifier: there is nothing to evaluate")
    if dataset.multi_label and not config.decision.multi_label:
        raise InputError("the data has several labels a picture, the model gives one: evaluate a multi-label model on it")


def _none(columns: int) -> np.ndarray:
    return np.empty((0, columns), np.float32)


def _run(model: Classifier, plan: Answers, skip: bool, workers: int | None, advance: Callable[[], None]) -> Answers:
    """Fill in the logits and the sizes; leave out what cannot be read, or raise at the first."""
    count = len(plan.indices)
    logits = np.empty((count, len(plan.columns)), np.float32)
    sides, good = np.zeros(count, np.int64), np.ones(count, bool)
    sketch, seen = sketch_of(plan.config), []
    skipped = []
    with closing(model.stream(_samples(plan, sketch), "logits", errors="yield", workers=workers)) as items:
        for row, item in enumerate(items):
            sides[row] = item.source.side
            if item.source.known is not None:
                seen.append(item.source.known)
            if item.error is None:
                logits[row] = item.value[plan.columns]
            else:
                good[row] = False
                bad = Skipped(plain(item.source), one_line(str(item.error).removeprefix(f"{item.source}: ")))
                if not skip:
                    raise ImageError(f"{bad.name}: {bad.reason}; mend it, or leave such pictures out (skip_unreadable)")
                skipped.append(bad)
            advance()
    rows = slice(None) if good.all() else good  # a view, where nothing is left out
    return replace(
        plan,
        logits=logits[rows],
        targets=plan.targets[rows],
        indices=plan.indices[rows],
        sides=sides[rows],
        skipped=tuple(skipped),
        seen=Seen(sum(seen), len(seen)) if sketch else None,
    )


def _samples(plan: Answers, sketch: Sketch | None) -> Iterator[Sample]:
    return (Sample(plan.dataset, int(index), sketch) for index in plan.indices)


class Sample(Found):
    """One picture of a data set. Once it has been opened, its `side` is known, and whether the sketch has it: `known`."""

    __slots__ = ("known", "side", "sketch")

    def __init__(self, dataset: LabeledPictures, index: int, sketch: Sketch | None = None) -> None:
        super().__init__(dataset.names[index], partial(dataset.read, index))
        self.side, self.sketch = 0, sketch
        self.known: bool | None = None

    def open(self) -> Any:
        """Return the encoded picture as a binary file with a name, or what a .npy file holds. Raises `ImageError`."""
        file = super().open()
        data = file.read()
        file.seek(0)
        if self.sketch:
            self.known = self.sketch.knows(data)
        if is_array(data):
            pixels = array_of(data, self.name)
            self.side = min(pixels.shape[:2])
            return pixels
        self.side = _short_side(file)
        return file


def _short_side(file: BinaryIO) -> int:
    """By the header; 0 for what is no picture, which decoding will tell."""
    side = 0
    with suppress(Exception), quiet_and_strict(), opened(file) as image:
        side = min(image.size)
    file.seek(0)
    return side


class Joined:
    """Several data sets of the same classes as one."""

    def __init__(self, parts: Sequence[LabeledPictures]) -> None:
        self.parts, self.classes, self.multi_label = parts, parts[0].classes, parts[0].multi_label
        self.targets = np.concatenate([part.targets for part in parts])
        self.names = [name for part in parts for name in part.names]
        self.starts = np.cumsum([0, *map(len, parts)])

    def __len__(self) -> int:
        return len(self.names)

    def read(self, index: int) -> bytes:
        """Return the encoded picture. Raises `ImageError`."""
        part = int(np.searchsorted(self.starts, index, side="right")) - 1
        return self.parts[part].read(index - int(self.starts[part]))
