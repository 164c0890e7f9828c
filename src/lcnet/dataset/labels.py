"""The labels of shards: what .cls, .json and .txt members say, and which classes that makes.

A label is a number of a class or a name of one, or several of them. Without a classes.txt all must be numbers, which are
then the names too, or all names.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import InputError
from ..text import plain, reason, suggest
from .joined import SEPARATOR, labels_in
from .parts import split_of
from .samples import check_classes

CLASSES = "classes.txt"
MAX_LABEL = 1 << 16  # bytes of one label's member
MAX_CLASSES = 1 << 16  # where only the largest number tells how many there are

_TEXT = ("utf-8", "surrogateescape")


class Label(NamedTuple):
    """The classes of one picture, by number or by name; `several` if it may have any number of them."""

    values: tuple[int | str, ...]
    several: bool
    numeral: bool = False  # one text of digits, which is a number unless a class is called so


def label_of(kind: str, data: bytes, separator: str = SEPARATOR) -> Label | None:
    """Read a member .cls, .json or .txt; None for a .json that says nothing of a label. Raises `ValueError`."""
    text = data.decode(*_TEXT).removeprefix("\ufeff").strip()
    if kind == ".json":
        return _of_json(text)
    values = labels_in(text, separator)
    if len(values) > 1:
        return Label(tuple(sorted(set(values))), True)
    text = values[0]
    digits = text.isascii() and text.isdigit()
    return Label((_number(text) if digits and kind == ".cls" else text,), False, digits and kind == ".txt")


def _number(digits: str) -> int:
    return int(digits.lstrip("0")[:20] or 0)  # no longer: what is larger than any number of classes may stay so


def _of_json(text: str) -> Label | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is no valid JSON ({error})") from None
    if isinstance(value, dict):
        value = value.get("label", value.get("labels"))
    if value is None:
        return None
    several = isinstance(value, list)
    values = value if several else [value]
    if not all((type(v) is int and v >= 0) or (type(v) is str and v) for v in values):
        raise ValueError(f"its label is {str(value)[:100]}, expected a class's number or name, or a list of them")
    return Label(tuple(sorted(set(values), key=str)), several)


def read_classes(shards: list[str]) -> tuple[str, ...] | None:
    """Read the classes.txt beside the shards, or above where they are in folders train, val and test; None without one."""
    folders = {Path(shard).parent: None for shard in shards}
    above = {folder.parent: None for folder in folders if split_of(folder.name)}
    found = [path for folder in {**folders, **above} if (path := folder / CLASSES).is_file()]
    lists = {path: _lines(path) for path in found}
    if len(set(lists.values())) > 1:
        raise InputError(f"{' and '.join(plain(path) for path in found)} differ: expected one list of classes")
    return next(iter(lists.values()), None)


def _lines(path: Path) -> tuple[str, ...]:
    try:
        text = path.read_bytes().decode(*_TEXT).removeprefix("\ufeff")
    except OSError as error:
        raise InputError(f"{plain(path)}: {reason(error)}") from None
    names = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]
    for number, name in enumerate(names, 1):
        if not name:
            raise InputError(f"{plain(path)}: line {number} is empty: expected the name of class {number - 1}")
    if len(set(names)) < len(names):
        twice = Counter(names).most_common(1)[0][0]
        raise InputError(f"{plain(path)} names {twice!r} twice")
    return tuple(names)


class Labels:
    """Collects the labels of all shards, each distinct one once."""

    def __init__(self, place: str, listed: tuple[str, ...] | None, separator: str = SEPARATOR) -> None:
        """listed: the names in classes.txt. separator: between several labels in a text."""
        self.place, self.listed, self.separator = plain(place), listed, separator
        self.known = {name: i for i, name in enumerate(listed or ())}
        self.found: dict[tuple[Any, ...], int] = {}
        self.several = False
        self.classes: tuple[str, ...] = ()

    def number(self, label: Label) -> int:
        """Return the number of a label. Raises `ValueError` if there is no such class."""
        values, self.several = label.values, self.several | label.several
        if label.numeral and values[0] not in self.known:
            values = (_number(str(values[0])),)
        if values not in self.found:
            for value in values:
                self._check(value)
        return self.found.setdefault(values, len(self.found))

    def _check(self, value: int | str) -> None:
        limit = len(self.listed) if self.listed else MAX_CLASSES
        if isinstance(value, int) and value >= limit:
            known = f"{CLASSES} names {limit}" if self.listed else f"at most {limit} are expected"
            raise ValueError(f"there is a label {value}, but {known} classes, counted from 0")
        if isinstance(value, str) and self.listed and value not in self.known:
            near = suggest(value, list(self.listed))
            raise ValueError(f"there is a label {value!r}, which {CLASSES} does not name{near}")

    def table(self) -> np.ndarray:
        """Decide the classes and return the target of each label: int64 [labels], or uint8 [labels, classes]."""
        used = {value for values in self.found for value in values}
        numbers = sorted(value for value in used if isinstance(value, int))
        texts = sorted(value for value in used if isinstance(value, str))
        if self.listed:
            self.classes = self.listed
        elif numbers and texts:
            found = f"labels are numbers, {numbers[0]}, and names, {texts[0]!r}"
            raise InputError(f"{self.place}: {found}: expected one kind, or a {CLASSES} beside the shards")
        else:
            self.classes = tuple(map(str, range(numbers[-1] + 1))) if numbers else tuple(texts)
        check_classes(self.place, self.classes)
        names = [tuple(self.classes[v] if isinstance(v, int) else v for v in values) for values in self.found]
        return targets_of(names, self.classes, self.several)


def targets_of(labels: list[tuple[str, ...]], classes: tuple[str, ...], several: bool) -> np.ndarray:
    """The target of each label, names of classes: int64 [labels], or if `several` uint8 [labels, classes] of 0 and 1."""
    index = {name: i for i, name in enumerate(classes)}
    if not several:
        return np.array([index[name] for (name,) in labels], np.int64)
    table = np.zeros((len(labels), len(classes)), np.uint8)
    for row, names in zip(table, labels, strict=True):
        row[[index[name] for name in names]] = 1
    return table
