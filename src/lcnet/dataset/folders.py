"""A folder a class, perhaps in folders train, val and test, on disk or in an archive that has folders.

The rules are here once, for anything that can list a folder. A class is all pictures below its folder, however deep;
hidden files and folders, and pictures outside of class folders, are left out. Refuses what leaves a label uncertain.
"""

from __future__ import annotations

import os
import re
from collections.abc import Hashable

import numpy as np

from ..errors import InputError
from ..sources import is_broken
from ..sources.passed import Passed
from ..text import plain, reason
from .layout import class_parts, from_names_hint, labeled_parts, listed_parts
from .listings import open_listed
from .named import open_named
from .samples import Dataset, Names, NamesBuilder, Splits, Store, check_classes, is_sample, no_train_class
from .stores import Files
from .trees import LISTING, Entries, Tree, join, shown_folder, walk


def open_folders(path: str, rule: re.Pattern[str] | None = None, passed: Passed | None = None) -> Splits:
    """Open a folder on disk; `passed` is told of what is not taken. Raises `InputError`."""
    passed = Passed() if passed is None else passed
    return open_tree(Disk(path, passed), rule, passed)


def open_tree(tree: Tree, rule: re.Pattern[str] | None = None, passed: Passed | None = None) -> Splits:
    """Apply the rules of the module to a tree; `rule`, as `rule_of` reads it, says labels by names. Raises `InputError`."""
    if rule:
        return open_named(tree, labeled_parts(tree), rule)
    if listed := listed_parts(tree):
        return open_listed(tree, listed)
    found = class_parts(tree)
    classes = _classes(tree, found["train"])
    parts = {part: _collect(tree, folder, classes, part) for part, folder in found.items()}
    if passed is not None:
        passed.stray += sum(len(tree.entries(folder)[0]) for folder in found.values())
    check_classes(shown_folder(tree, ""), classes)
    return Splits(**parts)


class Disk:
    """Folders on disk."""

    def __init__(self, path: str, passed: Passed) -> None:
        self.passed, self.listed = passed, set[str]()
        self.path = path if path.endswith("/") else f"{path}/"

    def entries(self, folder: str) -> Entries:
        """List a folder; links are followed, broken ones are listed so that reading tells."""
        names, below, others = [], [], []
        try:
            with os.scandir(self.path + folder) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir():
                        below.append(entry.name)
                    elif is_sample(entry.name) and (entry.is_file() or is_broken(entry)):
                        names.append(entry.name)
                    elif entry.name != LISTING:
                        others.append((entry.name, not (entry.is_file() or is_broken(entry))))
        except OSError as error:
            raise InputError(f"{plain(self.path + folder)} cannot be listed: {reason(error)}") from None
        if folder not in self.listed:  # the rules look at some folders more than once
            self.listed.add(folder)
            for name, special in others:
                self.passed.add(name, special)
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

    def listing(self, folder: str) -> bytes | None:
        """Read the file, if there is one."""
        path = self.prefix(folder) + LISTING
        if not os.path.isfile(path):  # noqa: PTH113
            return None
        try:
            with open(path, "rb") as file:
                return file.read()
        except OSError as error:
            raise InputError(f"{plain(path)} cannot be read: {reason(error)}") from None


def _classes(tree: Tree, folder: str) -> tuple[str, ...]:
    samples, folders = tree.entries(folder)
    if not folders:
        found = "pictures but no class folders" if samples else "no pictures"
        hint = f"; {from_names_hint(tree, [folder])}" if samples else ""
        raise InputError(f"{shown_folder(tree, folder)} holds {found}: expected {_expected(tree, folder)}{hint}")
    return tuple(folders)


def _expected(tree: Tree, folder: str) -> str:
    return f"{shown_folder(tree, folder).rstrip('/')}/<class>/<picture>, a folder a class"


def _collect(tree: Tree, folder: str, classes: tuple[str, ...], part: str) -> Dataset:
    names, counts = NamesBuilder(), dict[str, int]()
    above = {tree.identity(""), tree.identity(folder)}
    for name in _classes(tree, folder):
        before = len(names)
        for inner, samples in walk(tree, join(folder, name), set(above)):
            prefix = tree.prefix(inner)
            for sample in samples:
                names.add(prefix, sample)
        counts[name] = len(names) - before
    _check_counts(tree, folder, counts, classes, part)
    packed, index = names.build(), {name: i for i, name in enumerate(classes)}
    known = [name for name in counts if name in index]
    targets = np.repeat(np.array([index[name] for name in known], np.int64), [counts[name] for name in known])
    return Dataset(classes, targets, packed, tree.store(packed))


def _check_counts(tree: Tree, folder: str, counts: dict[str, int], classes: tuple[str, ...], part: str) -> None:
    place = shown_folder(tree, folder)
    if not any(counts.values()):
        raise InputError(f"{place} holds no pictures: expected {_expected(tree, folder)}")
    extra = [name for name, count in counts.items() if count and name not in classes]
    if extra:
        raise no_train_class(shown_folder(tree, ""), extra, part)
    empty = [name for name, count in counts.items() if not count]
    if part == "train" and empty:
        more = f", nor have {len(empty) - 1} more" if len(empty) > 1 else ""
        raise InputError(f"{place}: the class {empty[0]!r} has no pictures{more}: add some, or remove its folder")
