"""Lists of pictures as PaddleClas takes them, .txt: a path, a space and a class's number, or a path, a tab and 0,1,0.

The list that is named is train, and those beside it that differ by the part's word alone are the other parts. The names of
the classes are in a list of labels beside it, where there is one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from ..errors import InputError
from ..labels.lists import read_label_list
from ..text import plain, reason, short
from .flags import flagged
from .labels import MAX_CLASSES, targets_of
from .parts import parts_beside
from .rows import Part, Rows, splits_of
from .samples import Splits
from .whereabouts import Whereabouts

SUFFIX = ".txt"
EXPECTED = "a path, a space and a class's number; or a path, a tab and a 0 or 1 for each class, as 0,1,0"

_LABELS = re.compile(r"(.*[_-])?(label_list|labels|classes)\.(txt|json)", re.IGNORECASE)


def open_lists(path: str) -> Splits:
    """Open a list and those of the other parts. Raises `InputError`, naming the row."""
    folder, base = os.path.split(path)
    beside = _names(path, folder)
    lists = _Lists(path, folder, [name for name in beside if _LABELS.fullmatch(name)])
    named = {"train": base}
    for name, part in parts_beside(base, [name for name in beside if name.lower().endswith(SUFFIX)]).items():
        if named.setdefault(part, name) != name:
            raise InputError(f"{plain(path)}: {name!r} and {named[part]!r} beside it mean the same: remove or join one")
    parts = {part: lists.take(os.path.join(folder, name), part) for part, name in named.items()}  # noqa: PTH118
    return lists.splits(parts)


def _names(path: str, folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder or "."))  # noqa: PTH208
    except OSError as error:
        raise InputError(f"{plain(path)}: its folder cannot be listed: {reason(error)}") from None


class _Lists:
    """The labels of all lists, each distinct set of numbers held once."""

    def __init__(self, path: str, folder: str, named: list[str]) -> None:
        """named: the files that may have the names of the classes."""
        if len(named) > 1:
            raise InputError(f"{plain(path)}: {' and '.join(map(plain, named))} may each name its classes: keep one of them")
        self.path, self.where = path, Whereabouts(folder)
        self.classes = read_label_list(os.path.join(folder, named[0])).names if named else None  # noqa: PTH118
        self.source = plain(named[0]) if named else ""
        self.labels: dict[tuple[int, ...], int] = {}
        self.width: int | None = None  # of the labels that are 0 and 1 for each class; 0 where they are numbers

    def take(self, path: str, part: str) -> Part:
        """Read the list of a part."""
        rows = Rows(path, self.where)
        for number, line in _lines(path):
            text, gap, label = line.rpartition("\t" if "\t" in line else " ")
            try:
                values = self._values(label.strip() if gap else "")
            except ValueError as error:
                raise rows.wrong(number, str(error)) from None
            rows.add(number, text, "train", self.labels.setdefault(values, len(self.labels)), (part,))
        rows.check()
        return rows.parts["train"]

    def _values(self, text: str) -> tuple[int, ...]:
        """The numbers of the classes that a label says. Raises `ValueError`."""
        cells = text.split(",")
        width = len(cells) if len(cells) > 1 else 0
        self.width = width if self.width is None else self.width
        if width != self.width or not (width or (text.isascii() and text.isdigit())):
            raise ValueError(f"its label is {short(text)!r}, expected in every row {EXPECTED}")
        values = tuple(map(int, flagged([str(i) for i in range(width)], cells))) if width else (int(text[:10]),)
        limit = len(self.classes) if self.classes else MAX_CLASSES
        if max(width, *(value + 1 for value in values), 0) > limit or (width and self.classes and width < limit):
            known = f"{self.source} names {limit}" if self.classes else f"at most {limit} are expected"
            found = f"a 0 or 1 for {width}" if width else f"the number {text[:10]}"
            raise ValueError(f"its label has {found}, but {known} classes, counted from 0")
        return tuple(sorted(values))

    def splits(self, parts: dict[str, Part]) -> Splits:
        """Return the parts."""
        count = self.width or max((max(values, default=0) for values in self.labels), default=0) + 1
        classes = self.classes or tuple(map(str, range(count)))
        names = [tuple(classes[i] for i in values) for values in self.labels]
        return splits_of(self.path, parts, classes, targets_of(names, classes, any(len(v) != 1 for v in names)))


def _lines(path: str) -> Iterator[tuple[int, str]]:
    """Yield each line that is not blank with its number, from 1."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, line.strip()
    except UnicodeDecodeError:
        raise InputError(f"{plain(path)} is no UTF-8 text: save it as UTF-8") from None
    except OSError as error:
        raise InputError(f"{plain(path)} cannot be read: {reason(error)}") from None
