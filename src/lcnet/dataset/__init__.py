"""Labelled pictures to train and to measure on: folders, tables, zip archives and tar shards, all as one `Dataset`.

Nothing is decoded and no torch is needed here. What would make labels uncertain is refused with an `InputError` when the
data is opened; a picture that cannot be read is told of when it is read.
"""

from __future__ import annotations

import os
import re

from ..errors import InputError
from ..sources import ARCHIVES
from ..sources.passed import Passed
from ..text import plain, reason
from .arrays import array_of
from .named import rule_of
from .samples import Dataset, Splits
from .split import duplicate_groups, split

__all__ = ["Dataset", "Splits", "array_of", "duplicate_groups", "open_dataset", "split"]

KINDS = "a folder with a folder a class, a .csv or .tsv table of path,label[,split], .tar shards, or a .zip of folders"


def open_dataset(path: str | os.PathLike[str], labels_from_names: str | None = None, passed: Passed | None = None) -> Splits:
    """Find labelled pictures; without parts named train, val or test all are in `train`. docs/data.md has the rules.

    path: a folder with a folder a class, perhaps within folders train, val and test; a table (.csv, .tsv); a folder of
    tar shards, one, or a pattern of them; a zip archive of folders. labels_from_names: "auto", or a regular expression
    with one group, finds the class in a picture's name instead, in folders and zip archives. passed: a
    `lcnet.sources.passed.Passed`, told of the files that are not taken. Raises `InputError`.
    """
    name, passed = os.fspath(path), Passed() if passed is None else passed
    rule = None if labels_from_names is None else rule_of(labels_from_names)
    try:
        return _open(name, rule, passed)
    except InputError as error:
        if not passed.total():
            raise
        raise InputError(f"{error}; {passed.text()}") from None


def _open(name: str, rule: re.Pattern[str] | None, passed: Passed) -> Splits:
    kind = name.lower()
    if os.path.isdir(name):  # noqa: PTH112
        return _open_folder(name, rule, passed)
    if not os.path.lexists(name):
        if not any(c in name for c in "*?[{"):
            raise InputError(f"{plain(name)}: there is no such file or folder: check the path")
        from .shards import open_pattern

        _check_unruled(name, rule)
        return open_pattern(name)
    if not os.path.isfile(name):  # noqa: PTH113  # a pipe would be waited for
        raise InputError(f"{plain(name)} is no file or folder: expected {KINDS}")
    if kind.endswith(".zip"):
        from .zips import open_zip

        return open_zip(name, rule, passed)
    if kind.endswith((".csv", ".tsv", *ARCHIVES)):
        _check_unruled(name, rule)
    if kind.endswith((".csv", ".tsv")):
        from .tables import open_table

        return open_table(name)
    if kind.endswith(ARCHIVES):
        from .shards import open_shards

        return open_shards([name])
    raise InputError(f"{plain(name)} is no data to train on: expected {KINDS}")


def _check_unruled(name: str, rule: re.Pattern[str] | None) -> None:
    if rule is not None:
        raise InputError(
            f"{plain(name)} says its labels itself, expected a folder or a zip archive: leave out --labels-from-names"
        )


def _open_folder(name: str, rule: re.Pattern[str] | None, passed: Passed | None) -> Splits:
    from .shards import open_shards, shards_in

    try:
        shards = shards_in(name)
    except OSError as error:
        raise InputError(f"{plain(name)} cannot be listed: {reason(error)}") from None
    if shards:
        _check_unruled(name, rule)
        return open_shards(shards)
    from .folders import open_folders

    return open_folders(name, rule, passed)
