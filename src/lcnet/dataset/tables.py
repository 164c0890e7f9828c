"""A table of pictures, .csv or .tsv: path,label[,split], with a header or without, paths from the table's own folder.

Several labels joined by "|" in any row make all rows sets of labels. Refuses a row that leaves its label uncertain, and a
file that is not there, all before the first picture is read.
"""

from __future__ import annotations

import csv
import os
from array import array
from collections.abc import Iterator

import numpy as np

from ..errors import InputError
from ..text import plain, reason, suggest
from .labels import SEPARATOR, targets_of
from .parts import settle, split_of
from .samples import Dataset, NamesBuilder, Splits, check_classes, check_parts
from .stores import Files

COLUMNS = ("path", "label", "split")

Row = tuple[int, dict[str, str]]


def open_table(path: str) -> Splits:
    """Open a table. Raises `InputError`, naming the row."""
    table = _Table(path)
    for number, cells in _rows(path):
        table.add(number, cells)
    return table.splits()


class _Part:
    def __init__(self) -> None:
        self.names, self.labels = NamesBuilder(), array("i")


class _Table:
    """What the rows say, as it grows."""

    def __init__(self, path: str) -> None:
        self.path, self.folder = path, os.path.dirname(path)  # noqa: PTH120
        self.parts: dict[str, _Part] = {}
        self.labels: dict[tuple[str, ...], int] = {}
        self.several = False
        self.seen: dict[str, tuple[int, int]] = {}  # path: row, label
        self.missing: list[str] = []

    def add(self, number: int, cells: dict[str, str]) -> None:
        """Take one row."""
        label = self.labels.setdefault(self._label(number, cells["label"]), len(self.labels))
        split = cells.get("split", "train").strip()
        part = split_of(split)
        if part is None:
            raise self._wrong(number, f"its split is {split!r}, expected train, val or test")
        path = self._path(number, cells["path"])
        first, other = self.seen.setdefault(path, (number, label))
        if other != label:
            raise self._wrong(number, f"{plain(path)} has other labels than in row {first}: remove one, or join them by |")
        folder, slash, base = path.rpartition("/")
        rows = self.parts.setdefault(part, _Part())
        rows.names.add(folder + slash, base)
        rows.labels.append(label)

    def _label(self, number: int, text: str) -> tuple[str, ...]:
        labels = [label.strip() for label in text.split(SEPARATOR)]
        if not all(labels):
            raise self._wrong(number, f"its label is empty: {text!r}" if len(labels) > 1 else "its label is empty")
        self.several |= len(labels) > 1
        return tuple(sorted(set(labels)))

    def _path(self, number: int, text: str) -> str:
        if not text:
            raise self._wrong(number, "its path is empty")
        path = os.path.normpath(os.path.join(self.folder, text))  # noqa: PTH118
        if path not in self.seen and not os.path.isfile(path):  # noqa: PTH113
            hint = f" (if this is a header, name its columns {','.join(COLUMNS)})" if number == 1 else ""
            self.missing.append(f"row {number}: there is no file {plain(path)}{hint}")
        return path

    def splits(self) -> Splits:
        """Return the parts. Raises `InputError` for what only the whole table shows."""
        if self.missing:
            more = f"; {len(self.missing) - 1} more are missing" if len(self.missing) > 1 else ""
            raise InputError(f"{plain(self.path)}: {self.missing[0]}{more}")
        if "train" not in self.parts:
            found = f"no rows of train, only of {', '.join(self.parts)}" if self.parts else "no rows"
            raise InputError(f"{plain(self.path)} has {found}: expected path,label[,split]")
        classes = tuple(sorted({name for label in self.labels for name in label}))
        check_classes(self.path, classes)
        table = targets_of(list(self.labels), classes, self.several)
        settled = settle(plain(self.path), self.parts)
        parts = {name: self._dataset(part, classes, table) for name, part in settled.items()}
        check_parts(self.path, parts)
        return Splits(**parts)

    def _dataset(self, part: _Part, classes: tuple[str, ...], table: np.ndarray) -> Dataset:
        return Dataset(classes, table[np.array(part.labels, np.int64)], part.names.build(), Files())

    def _wrong(self, number: int, problem: str) -> InputError:
        return InputError(f"{plain(self.path)}: row {number}: {problem}")


def _rows(path: str) -> Iterator[Row]:
    """Yield each row that is not blank with its number, from 1, its cells by the names of their columns."""
    delimiter = "\t" if path.lower().endswith(".tsv") else ","
    number, columns = 0, None
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            for number, cells in enumerate(csv.reader(file, delimiter=delimiter, strict=True), 1):
                if not any(cell.strip() for cell in cells):
                    continue
                if columns is None:
                    columns, is_header = _columns(path, cells)
                    if is_header:
                        continue
                if len(cells) != len(columns):
                    raise InputError(f"{plain(path)}: row {number}: it has {len(cells)} columns, expected {','.join(columns)}")
                yield number, dict(zip(columns, cells, strict=True))
    except UnicodeDecodeError:
        raise InputError(f"{plain(path)} is no UTF-8 text: save it as UTF-8") from None
    except csv.Error as error:
        raise InputError(f"{plain(path)}: row {number + 1}: {error}") from None
    except OSError as error:
        raise InputError(f"{plain(path)} cannot be read: {reason(error)}") from None


def _columns(path: str, cells: list[str]) -> tuple[tuple[str, ...], bool]:
    """The names of the columns, and whether these cells are a header: one of them is "path" or "label"."""
    names = tuple(cell.strip().lower() for cell in cells)
    if not {"path", "label"} & set(names):
        if len(names) not in (2, 3):
            raise InputError(f"{plain(path)}: row 1: it has {len(names)} columns, expected path,label[,split]")
        return COLUMNS[: len(names)], False
    for name in names:
        if name not in COLUMNS:
            raise InputError(
                f"{plain(path)} has an unknown column {name!r}{suggest(name, COLUMNS)}: expected path,label[,split]"
            )
    if len(set(names)) < len(names) or not {"path", "label"} <= set(names):
        raise InputError(f"{plain(path)} has the columns {','.join(names)}: expected path,label[,split], each once")
    return names, True
