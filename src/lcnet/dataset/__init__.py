"""Labelled pictures to train and to measure on: folders, tables, zip archives and tar shards, all as one `Dataset`.

Nothing is decoded and no torch is needed here. What would make labels uncertain is refused with an `InputError` when the
data is opened; a picture that cannot be read is told of when it is read.
"""

from __future__ import annotations

import os

from ..errors import InputError
from ..sources import ARCHIVES
from ..sources.passed import Passed
from ..text import plain, reason
from .arrays import array_of
from .joined import SEPARATOR
from .named import rule_of
from .parts import part_in
from .reading import Reading, check_reading, check_taken
from .samples import Dataset, Splits
from .split import duplicate_groups, split

__all__ = ["Dataset", "Splits", "array_of", "duplicate_groups", "open_dataset", "split"]

KINDS = (
    "a folder with a folder a class, a .csv or .tsv table of path,label[,split], a .txt list of paths and numbers, "
    ".tar shards, or a .zip of folders"
)


def open_dataset(
    path: str | os.PathLike[str],
    labels_from_names: str | None = None,
    passed: Passed | None = None,
    label_separator: str = SEPARATOR,
    columns: str | None = None,
) -> Splits:
    """Find labelled pictures; without parts named train, val or test all are in `train`. docs/data.md has the rules.

    path: a folder with a folder a class, perhaps within folders train, val and test; a table (.csv, .tsv); a list (.txt);
    a folder of tar shards, one, or a pattern of them; a zip archive of folders. labels_from_names: "auto", or a regular
    expression with one group, finds the class in a picture's name instead, in folders and zip archives. passed: a
    `lcnet.sources.passed.Passed`, told of what is not taken. label_separator: between the labels of one picture, in tables
    and shards. columns: "path=NAME,label=NAME,split=NAME", any of them, names a table's columns. Raises `InputError`.
    """
    name, passed = os.fspath(path), Passed() if passed is None else passed
    reading = {"labels_from_names": labels_from_names, "label_separator": label_separator, "columns": columns}
    check_reading(reading)
    try:
        return _open(name, reading, passed)
    except InputError as error:
        if not passed.total():
            raise
        raise InputError(f"{error}; {passed.text()}") from None


def _open(name: str, reading: Reading, passed: Passed) -> Splits:
    kind = _kind(name)
    check_taken(name, kind, reading)
    return _OPENERS[kind](name, reading, passed)


def _kind(name: str) -> str:
    """Which of `_OPENERS` a path is for. Raises `InputError` if it is for none."""
    if os.path.isdir(name):  # noqa: PTH112
        return "shards" if _shards_in(name) else "folder"
    if not os.path.lexists(name):
        if not any(c in name for c in "*?[{"):
            raise InputError(f"{plain(name)}: there is no such file or folder: check the path")
        return "pattern"
    if not os.path.isfile(name):  # noqa: PTH113  # a pipe would be waited for
        raise InputError(f"{plain(name)} is no file or folder: expected {KINDS}")
    kind = _suffixed(name)
    if kind is None:
        raise InputError(f"{plain(name)} is no data to train on: expected {KINDS}")
    return kind


def _suffixed(name: str) -> str | None:
    return next((kind for suffixes, kind in _BY_SUFFIX if name.lower().endswith(suffixes)), None)


def _shards_in(name: str) -> list[str]:
    from .shards import shards_in

    try:
        return shards_in(name)
    except OSError as error:
        raise InputError(f"{plain(name)} cannot be listed: {reason(error)}") from None


def _open_folder(name: str, reading: Reading, passed: Passed) -> Splits:
    from .folders import open_folders

    try:
        return open_folders(name, rule_of(reading["labels_from_names"]), passed)
    except InputError as error:
        raise InputError(f"{error}{_tables_hint(name)}") from None


def _tables_hint(folder: str) -> str:
    """What to name instead, where a folder that is refused has tables or lists in it."""
    with os.scandir(folder) as entries:
        files = sorted(entry.name for entry in entries if entry.is_file() and not entry.name.startswith("."))
    found = [name for name in files if _suffixed(name) == "table" or (_suffixed(name) == "list" and part_in(name))]
    return f"; to take the labels from {' or '.join(map(plain, found[:3]))} in it, name that file" if found else ""


def _open_zip(name: str, reading: Reading, passed: Passed) -> Splits:
    from .zips import open_zip

    return open_zip(name, rule_of(reading["labels_from_names"]), passed)


def _open_table(name: str, reading: Reading, passed: Passed) -> Splits:
    from .tables import open_table

    return open_table(name, reading, passed)


def _open_list(name: str, reading: Reading, passed: Passed) -> Splits:
    from .pathlists import open_lists

    return open_lists(name)


def _open_shards(name: str, reading: Reading, passed: Passed) -> Splits:
    from .shards import open_shards

    return open_shards(_shards_in(name) if os.path.isdir(name) else [name], str(reading["label_separator"]), passed)  # noqa: PTH112


def _open_pattern(name: str, reading: Reading, passed: Passed) -> Splits:
    from .shards import open_pattern

    return open_pattern(name, str(reading["label_separator"]), passed)


_OPENERS = {
    "folder": _open_folder,
    "zip": _open_zip,
    "table": _open_table,
    "list": _open_list,
    "shards": _open_shards,
    "pattern": _open_pattern,
}
_BY_SUFFIX = (((".zip",), "zip"), ((".csv", ".tsv"), "table"), ((".txt",), "list"), (ARCHIVES, "shards"))
