"""What was found and is not taken, to be told at the end: files by their suffix, and folders that were not entered."""

from __future__ import annotations

import re
from collections import Counter
from itertools import starmap

from .formats import advice
from .found import suffix_of

_SUFFIX = re.compile(r"\.[a-z0-9_+~-]{1,10}")
_KINDS = 256  # suffixes that are kept apart
_FOLDERS = 100  # that are remembered
_TOLD = 8  # of them, by name
_OTHERS, _NONE, SPECIAL = "of other kinds", "without a suffix", "pipe or device"


class Passed:
    """Counts what is passed over. Hidden files do not count: who hides them does not expect them to be taken."""

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()
        self.unopened: list[str] = []  # folders whose own folders were left out
        self.stray = 0  # pictures that are in no class's folder
        self.remarks: dict[str, tuple[str, list[str]]] = {}  # by kind: what is told of the names that follow it

    def add(self, name: str, special: bool = False) -> None:
        """Count one file by its name."""
        base = name.rpartition("/")[2]
        if base.startswith("."):
            return
        suffix = suffix_of(base)
        kind = SPECIAL if special else suffix if _SUFFIX.fullmatch(suffix) else _OTHERS if suffix else _NONE
        self.kinds[kind if kind in self.kinds or len(self.kinds) < _KINDS else _OTHERS] += 1

    def leave(self, folder: str) -> None:
        """Remember a folder whose own folders are left out."""
        if len(self.unopened) < _FOLDERS:
            self.unopened.append(folder)

    def total(self) -> int:
        """How many files were passed over."""
        return self.kinds.total()

    def rows(self) -> list[tuple[str, int, str]]:
        """Kind, number and what to do of each kind: pictures first, then by number."""
        rows = [(kind, count, advice(kind)) for kind, count in self.kinds.items()]
        return sorted(rows, key=lambda row: (not row[2], -row[1], row[0]))

    def text(self) -> str:
        """One line that says it all, "" if nothing was passed over."""
        stray = f"{counted(self.stray, 'picture')} in no class's folder not taken" if self.stray else ""
        return "; ".join(filter(None, [self._kinds_text(), stray, *starmap(_told, self.remarks.values())]))

    def _kinds_text(self) -> str:
        if not self.kinds:
            return ""
        rows = self.rows()
        parts = [f"{count:,} {kind}" + (f" ({what})" if what else "") for kind, count, what in rows[:_TOLD]]
        rest = sum(count for _, count, _ in rows[_TOLD:])
        return f"{counted(self.total(), 'file')} not taken: {', '.join(parts)}" + (f", {rest:,} of other kinds" if rest else "")


def _told(text: str, names: list[str]) -> str:
    more = f" and {len(names) - _TOLD:,} more" if len(names) > _TOLD else ""
    return f"{text}: {', '.join(map(repr, names[:_TOLD]))}{more}"


def counted(number: int, what: str) -> str:
    """A number and what it counts: 1 file, 2 files."""
    return f"{number:,} {what}" + ("" if number == 1 else "s")
