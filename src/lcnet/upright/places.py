"""Where files go: nowhere (to see what would be done), into a folder beside, or into their own places."""

from __future__ import annotations

import os
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

from ..changes.journal import ChangedError, Journal, Stamp, stamp
from ..errors import InputError
from ..files import exists
from ..text import plain
from .job import TURNED, WOULD_TURN, Source
from .refused import Refused


class Place(Protocol):
    """What a job does with files. `word` says what a page is that was to be turned. Called by several threads."""

    word: str

    def check(self, source: Source) -> None:
        """Raise `Refused` for a file that must not be changed, before it is turned."""

    def put(self, source: Source, data: bytes | None, seen: Stamp) -> None:
        """Put a file, still the one that was `seen`, where it goes: `data`, or None as it is. Raises `InputError`."""

    def tell(self, row: dict[str, Any]) -> None:
        """Put a row into the report."""


class Nowhere:
    """A dry run: all is done but the writing."""

    word = WOULD_TURN

    def check(self, source: Source) -> None:
        """Everything may be looked at."""

    def put(self, source: Source, data: bytes | None, seen: Stamp) -> None:
        """Write nothing."""

    def tell(self, row: dict[str, Any]) -> None:
        """Write no report."""


class InPlace:
    """Files are replaced, and their originals kept beside the report."""

    word = TURNED

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.tell = journal.row

    def check(self, source: Source) -> None:
        """Links are not followed out of what was named, and what has other names or is read-only is left alone."""
        path = source.path
        if path.is_symlink():
            raise Refused(f"it is a link to {plain(os.path.realpath(path))}: name that, or use --output")
        if source.root is not None and not path.resolve().is_relative_to(source.root.resolve()):
            raise Refused(f"a link leads to it, out of {plain(source.root)}: name its own folder, or use --output")
        status = path.stat()
        if not status.st_mode & 0o222 or not os.access(path, os.W_OK):
            raise Refused("it is read-only: allow writing, or use --output")
        if status.st_nlink > 1 and self.journal.links(path) > 1:
            raise Refused(f"it has {status.st_nlink} names (hard links), and only this one would be turned: use --output")

    def put(self, source: Source, data: bytes | None, seen: Stamp) -> None:
        """Replace a file that was turned."""
        if data is not None:
            self.journal.replace(Path(os.path.abspath(source.path)), data, seen)  # noqa: PTH100


class Folder:
    """All files go into a folder, with the folders that they were found in: turned, or as they are."""

    word = TURNED

    def __init__(self, journal: Journal, folder: Path, overwrite: bool = False) -> None:
        self.journal, self.folder, self.overwrite = journal, Path(os.path.abspath(folder)), overwrite  # noqa: PTH100
        self.tell = journal.row
        self.lock, self.taken = Lock(), dict[str, Lock]()

    def check(self, source: Source) -> None:
        """Nothing that is there is changed."""

    def put(self, source: Source, data: bytes | None, seen: Stamp) -> None:
        """Write a file; one that is there already and is the same stays."""
        _check_same(source, seen)
        target = self.folder / inside(source)
        with self.lock:
            twice = str(target) in self.taken
            writing = self.taken.setdefault(str(target), Lock())
        with writing:  # whoever names a file twice finds it whole
            self._put(target, source, data, twice)
        _check_same(source, seen)

    def _put(self, target: Path, source: Source, data: bytes | None, twice: bool) -> None:
        if not os.path.lexists(target):
            self.journal.make(target, data, source.path)
        elif not self._same(target, source.path, data):
            if twice:
                raise InputError(f"{plain(target)} is already another page of this run: take them in two runs")
            self._over(target, source, data)

    def _over(self, target: Path, source: Source, data: bytes | None) -> None:
        if target.is_dir() or target.is_symlink() or target.samefile(source.path):
            raise InputError(f"{plain(target)} is in the way: name another folder")
        if not self.overwrite:
            raise exists(target)
        self.journal.replace(target, source.path.read_bytes() if data is None else data, stamp(target))

    def _same(self, target: Path, path: Path, data: bytes | None) -> bool:
        with suppress(OSError):
            wanted = path.read_bytes() if data is None else data
            return target.stat().st_size == len(wanted) and sha256(target.read_bytes()).digest() == sha256(wanted).digest()
        return False


def _check_same(source: Source, seen: Stamp) -> None:
    if stamp(source.path) != seen:
        raise ChangedError("it has changed since it was looked at: run again")


def inside(source: Source) -> Path:
    """The place of a file within the folder that was named, without a way out of it."""
    if source.root is not None:
        relative = os.path.relpath(source.path, source.root)
        if not relative.startswith(os.pardir):
            return Path(relative)
    return Path(source.path.name)
