"""What may be done with a file that is a copy of another: it becomes one more name of that, or goes into a folder.

The one that is kept is never touched, and is made sure of right before: there, and with the bytes that it had. What is no
plain file that may be written is left alone, with the reason.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from ..errors import InputError
from ..text import plain
from .journal import Journal

LINKED, MOVED = "linked", "moved"


class Action(Protocol):
    """`word` says what a copy is after it."""

    word: str

    def __call__(self, path: str, digest: str, keep: str, keep_digest: str) -> str:
        """Do it to the file at `path`; returns where it is now. Raises `InputError`, and `OSError`."""


class Link:
    """Copies of the same bytes become hard links: the names stay, and the disk has the bytes once."""

    word = LINKED

    def __init__(self, journal: Journal) -> None:
        self.journal = journal

    def __call__(self, path: str, digest: str, keep: str, keep_digest: str) -> str:
        """Make a copy one more name of the file that is kept."""
        if digest != keep_digest:
            raise InputError(f"its bytes are not those of {plain(keep)}: as a link it would lose what is its own")
        copy, kept = _two_files(path, keep)
        if copy.stat().st_dev != kept.stat().st_dev:
            raise InputError(f"{plain(keep)} is on another disk, and a hard link cannot lead there")
        self.journal.link(copy, digest, kept)
        return path


class Move:
    """Copies go into a folder, below the names of those that they were found in."""

    word = MOVED

    def __init__(self, journal: Journal, folder: Path, tops: Sequence[Path]) -> None:
        """tops: the folders that were named, which tell what of a file's path is kept."""
        self.journal, self.folder = journal, _absolute(folder)
        self.tops = sorted(map(_absolute, tops), key=lambda top: -len(top.parts))

    def __call__(self, path: str, digest: str, keep: str, keep_digest: str) -> str:
        """Move a copy to a name that is free."""
        copy, kept = _two_files(path, keep)
        target = _free(self.folder / self._below(copy))
        self.journal.make_sure(kept, keep_digest)
        self.journal.move(copy, digest, target)
        return str(target)

    def _below(self, copy: Path) -> Path:
        top = next((top for top in self.tops if copy.is_relative_to(top)), copy.parent)
        return Path(top.name) / copy.relative_to(top) if top != copy.parent or top in self.tops else Path(copy.name)


def _two_files(path: str, keep: str) -> tuple[Path, Path]:
    """The absolute paths of a copy that may be changed and of another file, which is kept. Raises `InputError`."""
    copy, kept = _own_file(path), _own_file(keep, reading=True)
    if copy.samefile(kept):
        raise InputError("it is the same file already")
    return copy, kept


def _own_file(path: str, reading: bool = False) -> Path:
    """The absolute path of a file that may be changed, or only be kept. Raises `InputError`."""
    file = _absolute(Path(path))
    if file.is_symlink():
        raise InputError(f"{plain(path) + ' ' if reading else 'it '}is a link to {plain(os.path.realpath(file))}: name that")
    if not file.is_file():
        raise InputError(f"{plain(path)} is {'no file' if file.exists() else 'not there'} any more: run again")
    if not reading:
        for place, what in ((file, "it"), (file.parent, f"its folder, {plain(file.parent)},")):
            if not place.stat().st_mode & 0o222 or not os.access(place, os.W_OK):
                raise InputError(f"{what} is read-only: allow writing")
    return file


def _free(target: Path) -> Path:
    number = 1
    free = target
    while os.path.lexists(free):
        number += 1
        free = target.with_name(f"{target.stem}-{number}{target.suffix}")
    return free


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100  # not resolve, which follows links
