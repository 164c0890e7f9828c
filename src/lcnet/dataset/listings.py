"""A `_classes.csv` in each part, which Roboflow exports: a column of names of files, then one of 0 and 1 for each class.

Refuses parts that list different classes, other cells, and files that are not there. A row may have no 1; if all have
exactly one, pictures have one label each.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator

from ..errors import InputError
from ..text import plain
from .flags import flagged
from .gathered import Gathered
from .samples import Splits
from .trees import LISTING, Tree, join, shown_folder


def open_listed(tree: Tree, parts: dict[str, str]) -> Splits:
    """Open the pictures that the parts list. Raises `InputError`."""
    gathered, classes = Gathered(tree), list[str]()
    for part, folder in parts.items():
        columns = _gather(gathered, part, folder)
        classes = classes or columns
        if sorted(columns) != sorted(classes):
            odd = sorted({*columns} ^ {*classes})[0]
            raise InputError(
                f"{_place(tree, folder)}: the class {odd!r} is not in the {LISTING} of every part: expected "
                "the same columns in all"
            )
    return gathered.splits(tree.prefix("").rstrip("/"), tuple(sorted(classes)))


def _gather(gathered: Gathered, part: str, folder: str) -> list[str]:
    """Take a part's pictures; return its classes."""
    tree = gathered.tree
    rows = _rows(tree, folder)
    place, columns = _place(tree, folder), [cell.strip() for cell in next(rows, (0, []))[1]]
    if len(columns) < 2 or not all(columns[1:]) or len(set(columns[1:])) < len(columns) - 1:
        raise InputError(f"{place}: row 1: expected filename and the names of the classes, each once")
    waiting = {*tree.entries(folder)[0]}
    seen = set[str]()
    for number, cells in rows:
        if len(cells) != len(columns):
            raise InputError(f"{place}: row {number}: expected a file's name and {len(columns) - 1} cells of 0 or 1")
        name = cells[0].strip()
        if name not in waiting or name in seen:
            found = "is listed twice" if name in seen else "is no picture in this folder"
            raise InputError(f"{place}: row {number}: {plain(name)} {found}: correct or remove the row")
        seen.add(name)
        try:
            gathered.add(part, tree.prefix(folder), name, flagged(columns[1:], cells[1:]))
        except ValueError as error:
            raise InputError(f"{place}: row {number}: {error}") from None
    if not seen:
        raise InputError(f"{place} lists no pictures: expected a row for each, or remove the part's folder")
    return columns[1:]


def _rows(tree: Tree, folder: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each row that is not blank with its number, from 1."""
    place, data = _place(tree, folder), tree.listing(folder)
    if data is None:
        raise InputError(f"{place}: there is no such file, but train has one: expected one in each part")
    try:
        lines = data.decode("utf-8-sig").splitlines(keepends=True)
        for number, cells in enumerate(csv.reader(lines, strict=True), 1):
            if any(cell.strip() for cell in cells):
                yield number, cells
    except UnicodeDecodeError:
        raise InputError(f"{place} is no UTF-8 text: save it as UTF-8") from None
    except csv.Error as error:
        raise InputError(f"{place} is damaged: {error}") from None


def _place(tree: Tree, folder: str) -> str:
    return shown_folder(tree, join(folder, LISTING))
