"""A table of pictures, .csv or .tsv: a column of paths, one of labels or one a class with 0 and 1, perhaps one of parts.

`columns` says which is which, `whereabouts` which file a path means. Several labels joined by a separator in any row make
all rows sets of labels. Refuses a row that leaves its label uncertain, all before the first picture is read.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from itertools import chain, islice

from ..errors import InputError
from ..sources.passed import Passed
from ..text import plain, reason
from .columns import HINT, Columns, columns_of, is_header, wanted
from .flags import flagged
from .joined import labels_in, remark
from .labels import targets_of
from .parts import part_in, split_of
from .reading import Reading
from .rows import Rows, splits_of
from .samples import Splits
from .whereabouts import Whereabouts

DELIMITERS = {".csv": ",", ".tsv": "\t"}
_KNOWN = (",", ";", "\t")  # a spreadsheet writes ; where the comma is in numbers
_IS_VALID = {"false": "train", "true": "val"}  # what fastai has in its column is_valid

Row = tuple[int, list[str]]


def open_table(path: str, reading: Reading, passed: Passed) -> Splits:
    """Open a table; reading: as `reading_of` gives it. `passed` is told of columns not taken. Raises `InputError`."""
    rows = _rows(path)
    first = next(rows, None)
    if first is None:
        raise InputError(f"{plain(path)} has no rows: expected path,label[,split]")
    try:
        asked = wanted(reading["columns"])
        columns, headed = columns_of(first[1], asked)
    except InputError as error:
        raise InputError(f"{plain(path)}: {error}") from None
    table = _Table(path, columns, str(reading["label_separator"]))
    for number, cells in rows if headed else chain([first], rows):
        table.add(number, cells)
    if "split" not in asked:
        table.check_split()
    return table.splits(passed)


class _Table:
    """What the rows say, as it grows."""

    def __init__(self, path: str, columns: Columns, separator: str) -> None:
        self.path, self.columns, self.separator = path, columns, separator
        self.rows = Rows(path, Whereabouts(os.path.dirname(path)), HINT)  # noqa: PTH120
        self.part = part_in(os.path.basename(path)) or "train"  # noqa: PTH119  # of a table that does not say it
        self.labels: dict[tuple[str, ...], int] = {}
        self.several = False
        self.parted = dict(columns.others)  # columns in which every row so far says a part

    def add(self, number: int, cells: list[str]) -> None:
        """Take one row."""
        columns = self.columns
        if len(cells) != len(columns.names):
            raise self.rows.wrong(number, f"it has {len(cells)} columns, expected {len(columns.names)}: {_names(columns)}")
        try:
            label = self.labels.setdefault(self._labels(cells), len(self.labels))
        except ValueError as error:
            raise self.rows.wrong(number, str(error)) from None
        split = "train" if columns.split is None else cells[columns.split].strip()
        part = _IS_VALID.get(split.lower()) or split_of(split)
        if part is None:
            raise self.rows.wrong(number, f"its split is {split!r}, expected train, val or test")
        self.parted = self.parted and {i: name for i, name in self.parted.items() if split_of(cells[i].strip())}
        self.rows.add(number, cells[columns.path], part, label, (self.part,) if columns.split is None else (part, "train"))

    def _labels(self, cells: list[str]) -> tuple[str, ...]:
        columns = self.columns
        if columns.label is not None:
            labels = labels_in(cells[columns.label], self.separator)
            self.several |= len(labels) > 1
            return tuple(sorted(set(labels)))
        try:
            return flagged([columns.names[i] for i in columns.flags], [cells[i] for i in columns.flags])
        except ValueError as error:
            raise ValueError(f"{error}, as no column is called label: {HINT}") from None

    def check_split(self) -> None:
        """Raise `InputError` if a column that is not taken says parts: val would be trained on."""
        if self.columns.split is None and self.parted:
            name = next(iter(self.parted.values()))
            raise InputError(
                f"{plain(self.path)}: its column {name!r} says train, val or test in every row: add --columns "
                f"'split={name}' to take it, or --columns split= to leave it"
            )

    def splits(self, passed: Passed) -> Splits:
        """Return the parts; `passed` is told of what is not taken. Raises `InputError`."""
        self.rows.check()
        flags = [self.columns.names[i] for i in self.columns.flags]
        classes = tuple(sorted(flags or {name for label in self.labels for name in label}))
        several = self.several or any(len(label) != 1 for label in self.labels)
        table = targets_of(list(self.labels), classes, several)
        found = splits_of(self.path, self.rows.parts, classes, table)
        if others := list(filter(None, self.columns.others.values())):
            passed.remarks["untaken-columns"] = ("columns that are not taken", others)
        remark(found.train, self.separator, passed)
        return found


def _names(columns: Columns) -> str:
    return ",".join(columns.names[:20])


def _rows(path: str) -> Iterator[Row]:
    """Yield each row that is not blank with its number, from 1."""
    number = 0
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            delimiter = _delimiter(path, list(islice((line for line in file if line.strip()), 1)))
            file.seek(0)
            for number, cells in enumerate(csv.reader(file, delimiter=delimiter, strict=True), 1):
                if any(cell.strip() for cell in cells):
                    yield number, cells
    except UnicodeDecodeError:
        raise InputError(f"{plain(path)} is no UTF-8 text: save it as UTF-8") from None
    except csv.Error as error:
        raise InputError(f"{plain(path)}: row {number + 1}: {error}") from None
    except OSError as error:
        raise InputError(f"{plain(path)} cannot be read: {reason(error)}") from None


def _delimiter(path: str, first: list[str]) -> str:
    """What separates the cells of the first line: the only one that does, or that makes a header; else what the suffix says."""
    usual = DELIMITERS[path[-4:].lower()]
    try:
        ways = {d: next(csv.reader(first, delimiter=d), []) for d in _KNOWN}
    except csv.Error:  # told of by its row
        return usual
    found = [d for d, cells in ways.items() if len(cells) > 1]
    headers = [d for d in found if is_header(ways[d])]
    return next((only[0] for only in (found, headers) if len(only) == 1), usual)
