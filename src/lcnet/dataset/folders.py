"""A folder a class, perhaps in folders train, val and test, on disk or in an archive that has folders.

The rules are here once, for anything that can list a folder. A class is all pictures below its folder, however deep;
hidden files and folders, and pictures outside of class folders, are left out. Refuses what leaves a label uncertain.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterator
from typing import Protocol

import numpy as np

from ..errors import InputError
from ..sources import reason
from .samples import (
    Dataset,
    Names,
    NamesBuilder,
    Splits,
    Store,
    check_classes,
    is_sample,
    no_train_class,
    plain,
    split_of,
)
from .stores import Files

Entries = tuple[list[str], list[str]]


class Tree(Protocol):
    """Folders with pictures in them. A folder is named from the root, "" itself, with "/" between."""

    def entries(self, folder: str) -> Entries:
        """Return the names of the pictures and of the folders in it, both sorted, without hidden ones."""

    def identity(self, folder: str) -> Hashable:
        """Return what is equal for folders that are the same by another way."""

    def prefix(self, folder: str) -> str:
        """Return what comes before a picture's name in messages."""

    def store(self, names: Names) -> Store:
        """Return what reads these pictures."""


def open_folders(path: str) -> Splits:
    """Open a folder on disk. Raises `InputError`."""
    return open_tree(Disk(path))


def open_tree(tree: Tree) -> Splits:
    """Apply the rules of the module to a tree. Raises `InputError`."""
    found = _parts(tree)
    classes = _classes(tree, found["train"])
    parts = {part: _collect(tree, folder, classes, part) for part, folder in found.items()}
    check_classes(_shown(tree, ""), classes)
    return Splits(**parts)


class Disk:
    """Folders on disk."""

    def __init__(self, path: str) -> None:
        self.path = path if path.endswith("/") else f"{path}/"

    def entries(self, folder: str) -> Entries:
        """List a folder; links are followed, broken ones are listed so that reading tells."""
        names, below = [], []
        try:
            with os.scandir(self.path + folder) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir():
                        below.append(entry.name)
                    elif is_sample(entry.name) and (entry.is_file() or _is_broken(entry)):
                        names.append(entry.name)
        except OSError as error:
            raise InputError(f"{plain(self.path + folder)} cannot be listed: {reason(error)}") from None
        return sorted(names), sorted(below)

    def identity(self, folder: str) -> Hashable:
        """The device's and the folder's numbers."""
        try:
            status = os.stat(self.path + folder)  # noqa: PTH116
        except OSError as error:
            raise InputError(f"{plain(self.path + folder)} cannot be read: {reason(error)}") from None
        return status.st_dev, status.st_ino

    def prefix(self, folder: str) -> str:
        """The folder's path."""
        return f"{self.path}{folder}/" if folder else self.path

    def store(self, names: Names) -> Store:
        """Files at their paths."""
        return Files()


def _is_broken(entry: os.DirEntry[str]) -> bool:
    return entry.is_symlink() and not os.path.exists(entry.path)  # noqa: PTH110


def _parts(tree: Tree) -> dict[str, str]:
    """The folder of each part: "" for train if there are no parts. A class called train holds pictures, not folders."""
    folders = tree.entries("")[1]
    named = [name for name in folders if split_of(name)]
    if not any(split_of(name) == "train" and tree.entries(name)[1] for name in named):
        if named and len(named) == len(folders) and all(tree.entries(name)[1] for name in named):
            raise InputError(
                f"{_shown(tree, '')} has {named[0]} but no train: name {_shown(tree, named[0])} to take it alone"
            )
        return {"train": ""}
    parts: dict[str, str] = {}
    for name in named:
        other = parts.setdefault(split_of(name) or "", name)
        if other != name:
            raise InputError(f"{_shown(tree, '')} has {other!r} and {name!r}, which mean the same: remove or join one")
    return {part: parts[part] for part in ("train", "val", "test") if part in parts}


def _classes(tree: Tree, folder: str) -> tuple[str, ...]:
    samples, folders = tree.entries(folder)
    if not folders:
        found = "pictures but no class folders" if samples else "no pictures"
        raise InputError(f"{_shown(tree, folder)} holds {found}: expected {_expected(tree, folder)}")
    return tuple(folders)


def _expected(tree: Tree, folder: str) -> str:
    return f"{_shown(tree, folder).rstrip('/')}/<class>/<picture>, a folder a class"


def _collect(tree: Tree, folder: str, classes: tuple[str, ...], part: str) -> Dataset:
    names, counts = NamesBuilder(), dict[str, int]()
    above = {tree.identity(""), tree.identity(folder)}
    for name in _classes(tree, folder):
        before = len(names)
        for below, samples in _walk(tree, f"{folder}/{name}" if folder else name, set(above)):
            prefix = tree.prefix(below)
            for sample in samples:
                names.add(prefix, sample)
        counts[name] = len(names) - before
    _check_counts(tree, folder, counts, classes, part)
    packed, index = names.build(), {name: i for i, name in enumerate(classes)}
    known = [name for name in counts if name in index]
    targets = np.repeat(np.array([index[name] for name in known], np.int64), [counts[name] for name in known])
    return Dataset(classes, targets, packed, tree.store(packed))


def _check_counts(tree: Tree, folder: str, counts: dict[str, int], classes: tuple[str, ...], part: str) -> None:
    place = _shown(tree, folder)
    if not any(counts.values()):
        raise InputError(f"{place} holds no pictures: expected {_expected(tree, folder)}")
    extra = [name for name, count in counts.items() if count and name not in classes]
    if extra:
        raise no_train_class(_shown(tree, ""), extra, part)
    empty = [name for name, count in counts.items() if not count]
    if part == "train" and empty:
        more = f", nor have {len(empty) - 1} more" if len(empty) > 1 else ""
        raise InputError(f"{place}: the class {empty[0]!r} has no pictures{more}: add some, or remove its folder")


def _walk(tree: Tree, folder: str, seen: set[Hashable]) -> Iterator[tuple[str, list[str]]]:
    """Yield a folder and those in it, each with its pictures; each real folder once, whatever links there are."""
    stack = [folder]
    while stack:
        folder = stack.pop()
        identity = tree.identity(folder)
        if identity in seen:
            continue
        seen.add(identity)
        samples, below = tree.entries(folder)
        yield folder, samples
        stack.extend(f"{folder}/{name}" for name in reversed(below))


def _shown(tree: Tree, folder: str) -> str:
    return plain(tree.prefix(folder).rstrip("/") or "/")
