"""The pictures that a probe learns from: opened, looked over before any work, and told by their bytes and labels."""

from __future__ import annotations

import os
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, NamedTuple

import numpy as np

from ..config import Labels
from ..dataset import open_dataset
from ..dataset.sketch import Sketch, sketch
from ..errors import InputError
from ..evaluate.run import Joined, LabeledPictures
from ..sources.passed import Passed
from ..text import plain, short
from .features import Table

LEAST = 2  # different pictures of a class: one to learn from while the other is measured


class Opened(NamedTuple):
    """A data set: what is learned from, which is train and val, and what is only measured, which is test."""

    learned: LabeledPictures
    test: LabeledPictures | None
    name: str


@dataclass(frozen=True, eq=False)
class Learned:
    """What is learned from: features, and what they should give."""

    table: Table
    targets: np.ndarray  # int64 [N], or uint8 [N,K]
    labels: Labels
    crops: np.ndarray  # float32 [V,N,D]: of each picture so many more, to learn from only
    alike: int = 0  # pictures that look nearly alike and yet count as different

    @property
    def multi_label(self) -> bool:
        """Whether a picture has any number of labels."""
        return self.targets.ndim == 2


def opened(data: str | os.PathLike[str], passed: Passed | None = None, **reading: Any) -> Opened:
    """Open a data set of any layout that `lcnet.dataset` knows. Raises `InputError`."""
    splits = open_dataset(data, passed=passed, **reading)
    learned: LabeledPictures = splits.train
    if splits.val is not None and len(splits.val):
        learned = Joined([splits.train, splits.val])
    if not len(learned):
        raise InputError(f"{plain(data)} has no pictures to learn from")
    test = splits.test if splits.test is not None and len(splits.test) else None
    return Opened(learned, test, os.path.basename(os.path.normpath(os.fspath(data))))  # noqa: PTH119


def labels_of(classes: tuple[str, ...]) -> Labels:
    """The names as a model file has them. Raises `InputError` for one that it cannot have."""
    for name in classes:
        if not name or "\0" in name or any("\ud800" <= c <= "\udfff" for c in name):
            raise InputError(f"{short(repr(name))} cannot be a label, which is text that is not empty: rename the class")
    return Labels(tuple(classes))


def check(targets: np.ndarray, groups: np.ndarray, classes: tuple[str, ...]) -> None:
    """Refuse classes of too few different pictures to learn from and to measure. Raises `InputError`."""
    if len(classes) < 2 and targets.ndim == 1:
        raise InputError(f"there is one class only, {classes[0]!r}: a classifier needs two or more")
    few = [(name, n) for name, n in zip(classes, _distinct(targets, groups, len(classes)), strict=True) if n < LEAST]
    if few:
        listed = ", ".join(f"{name!r} has {n or 'none'}" for name, n in few[:3])
        more = f" and {len(few) - 3} more classes too" if len(few) > 3 else ""
        raise InputError(
            f"{LEAST} different pictures of each class are needed, to learn from one while the other is measured: {listed}"
            f"{more}, copies counted once; add pictures, or leave the class out"
        )
    if targets.ndim == 2 and (always := np.flatnonzero(targets.all(axis=0))).size:
        raise InputError(f"every picture has the label {classes[always[0]]!r}: add pictures without it, or leave it out")


def _distinct(targets: np.ndarray, groups: np.ndarray, classes: int) -> list[int]:
    """How many groups each class has pictures in."""
    columns = targets.T > 0 if targets.ndim == 2 else targets == np.arange(classes)[:, None]
    return [len(np.unique(groups[column])) for column in columns]


def fingerprint(table: Table, targets: np.ndarray) -> str:
    """The sha256 of pictures and their targets, in whatever order they were found."""
    rows = (digest.tobytes() + np.atleast_1d(t).tobytes() for digest, t in zip(table.digests, targets, strict=True))
    return sha256(b"".join(sorted(rows))).hexdigest()


class _Rows:
    """Some of the pictures, with their sizes, as a sketch takes them."""

    def __init__(self, pictures: LabeledPictures, rows: np.ndarray) -> None:
        self.pictures, self.rows = pictures, rows

    def __len__(self) -> int:
        return len(self.rows)

    def size(self, index: int) -> int:
        return len(self.read(index))

    def read(self, index: int) -> bytes:
        return self.pictures.read(int(self.rows[index]))


def sketch_of(pictures: LabeledPictures, rows: np.ndarray) -> Sketch | None:
    """What a model file says of the pictures that it was made from, so that `evaluate` knows them again."""
    return sketch(_Rows(pictures, rows))  # type: ignore[arg-type]
