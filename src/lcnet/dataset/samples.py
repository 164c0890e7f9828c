"""What a data set is in memory: names in one buffer, targets in one array, and a store that knows how to read.

No object is kept for a picture, so a million of them are held in tens of megabytes and cost nothing to hand to a worker
process that is forked. No file is kept open, so that any number of threads and processes read at once.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..errors import ImageError, InputError
from ..sources.found import is_picture
from ..text import plain, reason

ARRAY = ".npy"
_TEXT = ("utf-8", "surrogatepass")  # keeps every name that a file system has


class Store(Protocol):
    """Where the bytes are. `row` counts the pictures as they were found, `name` is what `Names` calls that one."""

    def read(self, row: int, name: str) -> bytes:
        """Return all bytes."""

    def size(self, row: int, name: str) -> int:
        """Return the number of bytes without reading them."""

    def mark(self, row: int, name: str) -> bytes:
        """Return what pictures of equal bytes share, got without reading all of them."""


class Names:
    """Paths as a sequence of text, packed: UTF-8 of the last parts, and the number of the folder before it."""

    def __init__(self, text: bytes, ends: np.ndarray, folders: tuple[str, ...], folder: np.ndarray, rows: np.ndarray):
        """ends: int64 [M+1], offsets into `text`. folder: int32 [M]. rows: int64 [N], which of the M these are."""
        self._text, self._ends, self._folders, self._folder, self.rows = text, ends, folders, folder, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> str:
        row = self.rows[index]
        base = self._text[self._ends[row] : self._ends[row + 1]].decode(*_TEXT)
        return self._folders[self._folder[row]] + base

    def __iter__(self) -> Iterator[str]:
        return (self[i] for i in range(len(self)))

    def take(self, indices: np.ndarray) -> Names:
        """Some of them, in the order given; the text is shared."""
        return Names(self._text, self._ends, self._folders, self._folder, self.rows[indices])


class NamesBuilder:
    """Packs names one at a time."""

    def __init__(self) -> None:
        self.text, self.ends, self.folder = bytearray(), array("q", [0]), array("i")
        self.folders: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self.folder)

    def add(self, folder: str, base: str) -> None:
        """Append `folder` + `base`; a folder that ends in "/" is held once for all its pictures."""
        self.text += base.encode(*_TEXT)
        self.ends.append(len(self.text))
        self.folder.append(self.folders.setdefault(folder, len(self.folders)))

    def build(self) -> Names:
        """Return what was added."""
        ends, folder = np.array(self.ends, np.int64), np.array(self.folder, np.int32)
        return Names(bytes(self.text), ends, tuple(self.folders), folder, np.arange(len(self)))


class Dataset:
    """Labelled pictures in a fixed order. Can be pickled; may be read by threads and processes at the same time.

    `classes`: their names; the index of a name is the class. `targets`: int64 [N], or uint8 [N,K] of 0 and 1 if
    `multi_label`. `names`: what messages call each picture: its path, or archive!/member.
    """

    def __init__(self, classes: tuple[str, ...], targets: np.ndarray, names: Names, store: Store) -> None:
        self.classes, self.targets, self._names, self._store = classes, targets, names, store
        self.multi_label = targets.ndim == 2

    @property
    def names(self) -> Sequence[str]:
        """The names, made when they are asked for."""
        return self._names  # type: ignore[return-value]  # a sequence but for `index` and the like

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f"<lcnet.dataset.Dataset of {len(self)} pictures, {len(self.classes)} classes>"

    def read(self, index: int) -> bytes:
        """Return the encoded picture, or the bytes of a .npy file. Raises `ImageError` naming it."""
        return self._ask(self._store.read, index)

    def size(self, index: int) -> int:
        """Return how many bytes `read` would give. Raises `ImageError`."""
        return self._ask(self._store.size, index)

    def mark(self, index: int) -> bytes:
        """Return what is equal for equal pictures, and costs less than reading them. Raises `ImageError`."""
        return self._ask(self._store.mark, index)

    def subset(self, indices: Any) -> Dataset:
        """Return the pictures of these indices, in that order; only the indices take memory."""
        indices = np.asarray(indices, np.int64).reshape(-1)
        return Dataset(self.classes, self.targets[indices], self._names.take(indices), self._store)

    def _ask(self, method: Any, index: int) -> Any:
        name = self._names[index]
        try:
            return method(int(self._names.rows[index]), name)
        except (OSError, ValueError) as error:
            raise ImageError(f"{plain(name)}: {reason(error)}") from None


class Splits(NamedTuple):
    """The parts of a data set; all have the same classes."""

    train: Dataset
    val: Dataset | None = None
    test: Dataset | None = None

    def parts(self) -> dict[str, Dataset]:
        """Those that there are, by name."""
        return {name: part for name, part in self._asdict().items() if part is not None}


def is_sample(name: str) -> bool:
    """Whether a file's name is that of a picture or of an array, and not hidden."""
    base = name.rpartition("/")[2]
    return is_picture(name) or (base.lower().endswith(ARRAY) and not base.startswith("."))


def check_classes(path: str, classes: Sequence[str]) -> None:
    """Raise `InputError` if there is nothing to tell apart."""
    if len(classes) == 1:
        raise InputError(
            f"{plain(path)} has one class only, {classes[0]!r}: a classifier needs two or more (if the "
            "classes are folders inside that one, name it)"
        )


def no_train_class(path: str, extra: Iterable[str], part: str) -> InputError:
    """The error for classes that only `part` has."""
    names = sorted(extra)
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    listed = ", ".join(map(repr, names[:3])) + more
    return InputError(f"{plain(path)}: {listed} in {part} only: every class needs pictures in train (is it misspelt?)")


def check_parts(path: str, parts: dict[str, Dataset]) -> None:
    """Raise `InputError` if a part has classes that train has not."""
    used = {name: class_counts(part) > 0 for name, part in parts.items()}
    for name, part in parts.items():
        extra = np.flatnonzero(used[name] & ~used["train"])
        if len(extra):
            raise no_train_class(plain(path), [part.classes[i] for i in extra], name)


def class_counts(part: Dataset) -> np.ndarray:
    """How many pictures each class has: int64 [K]."""
    return part.targets.sum(0, np.int64) if part.multi_label else np.bincount(part.targets, minlength=len(part.classes))
