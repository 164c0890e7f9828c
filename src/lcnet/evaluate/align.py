"""Which class of the model each class of a data set is, and what ImageNet's reassessed labels say of each picture.

Refuses names that are no class of the model, that could be several, or that are the same one twice: nothing is guessed.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from ..config import Labels
from ..errors import InputError
from ..text import plain, reason, shown, suggest

REAL_NAME = re.compile(r"ILSVRC2012_val_(\d{8})")
TOLD = 5  # names in a message


def align(classes: Sequence[str], labels: Labels | None, num_classes: int) -> np.ndarray:
    """Return the model's index of each class of a data set, int64 [len(classes)].

    By the first of these that says something about a name: ids (WordNet ids), names as they are, names without regard to
    case and to `_`, `-` and spaces, the first of several names ("tench" of "tench, Tinca tinca"), any of them. If all
    classes are numbers below `num_classes` and none is a name, they are indices. Raises `InputError`.
    """
    names = labels.names if labels else ()
    rules = _rules(labels)
    found = [_found(name, rules) for name in classes]
    if not any(found) and all(_is_index(name, num_classes) for name in classes):
        return np.array([int(name) for name in classes], np.int64)
    if not names:
        raise InputError(
            f"the model has no labels, so classes must be indices, 0 to {num_classes - 1}: {_listed(classes)} are none"
        )
    if missing := [name for name, indices in zip(classes, found, strict=True) if not indices]:
        near = suggest(missing[0], names) if len(names) <= 5000 else ""
        raise InputError(
            f"{len(missing)} of {len(classes)} classes of the data are no classes of the model: "
            f"{_listed(missing)}{near}; the model knows {_listed(names)}"
        )
    if several := [name for name, indices in zip(classes, found, strict=True) if len(indices) > 1]:
        raise InputError(f"the model has several classes that the data's {_listed(several)} could be: use their ids")
    taken: dict[int, str] = {}
    for name, (index,) in zip(classes, found, strict=True):
        if index in taken:
            raise InputError(f"the data's classes {taken[index]!r} and {name!r} are both the model's {names[index]!r}")
        taken[index] = name
    return np.array(list(taken), np.int64)


Rule = tuple[Callable[[str], str], dict[str, list[int]]]  # how a name is read, and the indices by what it then is


def _rules(labels: Labels | None) -> list[Rule]:
    """All rules, the strictest first."""
    if labels is None:
        return []
    parts = [[_loose(part) for part in name.split(",")] for name in labels.names]
    return [
        (str, _index([i] for i in labels.ids or ())),
        (str, _index([n] for n in labels.names)),
        (_loose, _index([_loose(n)] for n in labels.names)),
        (_loose, _index(p[:1] for p in parts)),
        (_loose, _index(set(p) for p in parts)),
    ]


def _found(name: str, rules: list[Rule]) -> list[int]:
    """The indices that the first rule with an answer gives."""
    return next((table[read(name)] for read, table in rules if read(name) in table), [])


def _index(names: Iterable[Iterable[str]]) -> dict[str, list[int]]:
    table: dict[str, list[int]] = defaultdict(list)
    for index, several in enumerate(names):
        for name in several:
            table[name].append(index)
    return dict(table)


def _loose(name: str) -> str:
    return " ".join(re.sub(r"[_\-\s]+", " ", name).casefold().split())


def _is_index(name: str, count: int) -> bool:
    return name.isascii() and name.isdecimal() and int(name) < count


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - TOLD} more" if len(names) > TOLD else ""
    return ", ".join(repr(name) for name in names[:TOLD]) + more


def read_real(path: Path, names: Iterable[str], num_classes: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Read ReaL labels (Beyer et al. 2020): which of the pictures have any, int64 [M], and the classes of each of those.

    path: the published `real.json`, a list of lists of class indices in the order of ILSVRC2012_val_00000001 and so on;
    a picture's number is taken from its name. Raises `InputError`.
    """
    lists = _real_lists(path, num_classes)
    kept, labels = [], []
    for index, name in enumerate(names):
        match = REAL_NAME.search(shown(name).rpartition("/")[2])
        number = int(match[1]) if match else 0
        if not 1 <= number <= len(lists):
            raise InputError(
                f"{plain(name)}: ReaL labels are for pictures named ILSVRC2012_val_00000001 to ILSVRC2012_val_{len(lists):08}"
            )
        if lists[number - 1]:
            kept.append(index)
            labels.append(np.unique(np.array(lists[number - 1], np.int64)))
    if not kept:
        raise InputError(f"{path}: none of the pictures has a ReaL label")
    return np.array(kept, np.int64), labels


def _real_lists(path: Path, num_classes: int) -> list[list[int]]:
    try:
        lists = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: it cannot be read as JSON: {reason(error)}") from None
    if not isinstance(lists, list) or not lists:
        raise InputError(f"{path}: expected a list of lists of class indices, as the published real.json is")
    for row, labels in enumerate(lists, 1):
        good = isinstance(labels, list) and all(type(n) is int and 0 <= n < num_classes for n in labels)
        if not good:
            raise InputError(
                f"{path}: the entry of picture {row} is {labels!r:.60}, expected class indices from 0 to {num_classes - 1}"
            )
    return lists
