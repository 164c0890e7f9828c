"""Pictures that a file lists, row by row, each with the number of its label: what tables and lists have in common.

Refuses a row that leaves its label uncertain, and a file that is not there, all before the first picture is read.
"""

from __future__ import annotations

from array import array

import numpy as np

from ..errors import InputError
from ..text import plain
from .parts import settle
from .samples import Dataset, NamesBuilder, Splits, check_classes, check_parts, is_sample
from .stores import Files
from .whereabouts import Whereabouts


class Part:
    """The pictures of one part, as they are found."""

    def __init__(self) -> None:
        self.names, self.labels = NamesBuilder(), array("i")


class Rows:
    """What the rows say, as it grows."""

    def __init__(self, place: str, where: Whereabouts, hint: str = "") -> None:
        """place: the listing file. hint: what else a first row without a file may be."""
        self.place, self.where, self.hint = place, where, hint
        self.parts: dict[str, Part] = {}
        self.seen: dict[str, tuple[int, int]] = {}  # path: row, label
        self.missing: list[str] = []

    def add(self, number: int, text: str, part: str, label: int, beside: tuple[str, ...]) -> None:
        """Take one row; beside: the parts whose folders a name alone is looked for in, as `Whereabouts.find` takes them."""
        path = self._path(number, text, beside)
        first, other = self.seen.setdefault(path, (number, label))
        if other != label:
            raise self.wrong(number, f"{plain(path)} has other labels than in row {first}: remove one, or join them")
        folder, slash, base = path.rpartition("/")
        rows = self.parts.setdefault(part, Part())
        rows.names.add(folder + slash, base)
        rows.labels.append(label)

    def _path(self, number: int, text: str, beside: tuple[str, ...]) -> str:
        if not text.strip():
            raise self.wrong(number, "its path is empty")
        try:
            found = self.where.find(text, beside)
        except ValueError as error:
            raise self.wrong(number, str(error)) from None
        path = found or self.where.path(text)
        if found is None:
            suffix = "" if is_sample(text) else ", with a picture's suffix or without"
            looked = self.where.looked(beside)
            also = f", nor in {looked}" if looked else ""
            hint = f" (if this is a header, {self.hint})" if self.hint and number == 1 else ""
            self.missing.append(f"row {number}: there is no file {plain(path)}{suffix}{also}{hint}")
        return path

    def check(self) -> None:
        """Raise `InputError` if files are missing, or there are no rows."""
        if self.missing:
            more = f"; {len(self.missing) - 1} more are missing" if len(self.missing) > 1 else ""
            raise InputError(f"{plain(self.place)}: {self.missing[0]}{more}")
        if "train" not in self.parts:
            found = f"no rows of train, only of {', '.join(self.parts)}" if self.parts else "no rows"
            raise InputError(f"{plain(self.place)} has {found}: expected pictures with their labels")

    def wrong(self, number: int, problem: str) -> InputError:
        """The error for a row."""
        return InputError(f"{plain(self.place)}: row {number}: {problem}")


def splits_of(place: str, parts: dict[str, Part], classes: tuple[str, ...], table: np.ndarray) -> Splits:
    """Return the parts; table: the target of each label. Raises `InputError` for what only the whole shows."""
    check_classes(place, classes)
    settled = settle(plain(place), parts)
    found = {
        name: Dataset(classes, table[np.array(part.labels, np.int64)], part.names.build(), Files())
        for name, part in settled.items()
    }
    check_parts(place, found)
    return Splits(**found)
