"""Which column of a table is what: by the caller's word, by the header, or by its place where there is no header.

Headers are called by many names; a name counts where no other of its rank does. Refuses what could be meant in two ways.
"""

from __future__ import annotations

import csv
import re
from typing import NamedTuple

from ..errors import InputError
from ..text import one_line, suggest
from .samples import is_sample

ROLES = ("path", "label", "split")
# The usual names, by rank: one of a later rank counts where there is none of an earlier.
_USUAL = {
    "path": (
        "path",
        "file filename file_name filepath file_path fname image image_name image_path image_file image_filename img img_name"
        " img_path picture photo",
        "image_id img_id picture_id photo_id",
        "id name",
    ),
    "label": ("label", "labels class class_name label_name category category_name target breed species tag tags"),
    "split": ("split", "subset", "is_valid"),
}
_RANKS = {role: [rank.split() for rank in ranks] for role, ranks in _USUAL.items()}
_HEADERS = {"label", *(name for rank in _RANKS["path"] for name in rank)}
HINT = "name its columns by --columns path=NAME,label=NAME"


class Columns(NamedTuple):
    """The numbers of the columns. Without one of labels, `flags` are of 0 and 1, a class each."""

    names: tuple[str, ...]
    path: int
    label: int | None
    split: int | None
    flags: tuple[int, ...] = ()

    @property
    def others(self) -> dict[int, str]:
        """Those that say nothing that is taken."""
        taken = {self.path, self.label, self.split, *self.flags}
        return {i: name for i, name in enumerate(self.names) if i not in taken}


def wanted(text: str | None) -> dict[str, str]:
    """Read path=NAME,label=NAME,split=NAME, any of these; "" is no column. Raises `InputError`."""
    found: dict[str, str] = {}
    for item in [] if text is None else next(csv.reader([" ".join(text.split())])) or [""]:
        role, equals, name = item.partition("=")
        if not equals or role.strip() not in ROLES or role.strip() in found or (role.strip() != "split" and not name.strip()):
            raise InputError(
                f"columns is {text!r}: expected path=NAME,label=NAME,split=NAME with names of the table's columns, any of "
                "them, each once"
            )
        found[role.strip()] = name.strip()
    return found


def columns_of(cells: list[str], asked: dict[str, str]) -> tuple[Columns, bool]:
    """The columns by the first row, and whether that is a header. Raises `InputError` without the table's name."""
    names = tuple(cell.strip() for cell in cells)
    if not asked and not is_header(cells):
        if len(names) not in (2, 3):
            raise InputError(f"row 1: it has {len(names)} columns, expected path,label[,split] (if this is a header, {HINT})")
        return Columns(("path", "label", "split")[: len(names)], 0, 1, 2 if len(names) == 3 else None), False
    return _by_header(names, asked), True


def is_header(cells: list[str]) -> bool:
    """Whether a cell is what columns are called, and none is a picture, whose class may be called `photo`."""
    return any(_key(cell) in _HEADERS for cell in cells) and not any(map(is_sample, cells))


def _by_header(names: tuple[str, ...], asked: dict[str, str]) -> Columns:
    path, label, split = (_column(names, role, asked) for role in ROLES)
    chosen = [i for i in (path, label, split) if i is not None]
    if len({*chosen}) < len(chosen):
        raise InputError(f"{_has(names)}: expected path, label and split, each once: {HINT}")
    rest = tuple(i for i, name in enumerate(names) if name and i not in chosen)
    if len(rest) == 1 and (path is None) != (label is None):  # the only one that is left
        path, label = (rest[0] if path is None else path), (rest[0] if label is None else label)
    if path is None:
        raise InputError(f"{_has(names)}, none of which is known as the pictures' path: {HINT}")
    if label is not None:
        return Columns(names, path, label, split)
    flags = [names[i] for i in rest]
    if len({*flags}) < max(2, len(flags)):
        raise InputError(f"{_has(names)}: expected one called label, or different classes with 0 and 1, each once: {HINT}")
    return Columns(names, path, None, split, rest)


def _column(names: tuple[str, ...], role: str, asked: dict[str, str]) -> int | None:
    if role in asked:
        return _asked(names, role, asked[role]) if asked[role] else None
    free = [i for i, name in enumerate(names) if name not in asked.values()]
    ranked = ([i for i in free if _key(names[i]) in rank] for rank in _RANKS[role])
    found = next(filter(None, ranked), [])
    if len(found) > 1:
        several = " and ".join(repr(names[i]) for i in found)
        raise InputError(f"{several} may each be the column of the {role}, expected it once: name it by --columns {role}=NAME")
    return found[0] if found else None


def _asked(names: tuple[str, ...], role: str, name: str) -> int:
    exact = [i for i, other in enumerate(names) if other == name]
    found = exact or [i for i, other in enumerate(names) if _key(other) == _key(name)]
    if len(found) != 1:
        raise InputError(f"{_has(names)}: expected {name!r}, of --columns {role}={name}, once{suggest(name, names)}")
    return found[0]


def _key(name: str) -> str:
    return re.sub(r"[\s_-]+", "_", name.strip().lower())


def _has(names: tuple[str, ...]) -> str:
    listed = ",".join(names[:20]) + (",..." if len(names) > 20 else "")
    return one_line(f"it has the columns {listed}")
