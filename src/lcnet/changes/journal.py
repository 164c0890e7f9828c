"""Making changes that can be taken back, whenever the process is killed: kept, written down, done, in this order.

A file is replaced whole. Before that its original has a second name (or, on another disk, a copy) beside the report, and the
report has a line that is on the disk. So at any moment either the original is in its place, or the new file is, with the
original kept and recorded. A report is held by the process that writes it.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from hashlib import file_digest, sha256
from io import BufferedReader
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO

from .. import system
from ..errors import InputError
from ..files import beside, check_target, exists, left_behind, replacing, taken, writing
from ..text import plain
from .report import FOLDER, KEPT, LINK, MAKE, MOVE, REPLACE, Change, head, line, originals_of

Stamp = tuple[int, int, int, int]  # device, inode, bytes, and when last changed in nanoseconds
PATIENCE = 10.0  # seconds that another run may take to replace a file
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


class CannotGoOnError(InputError):
    """A disk that is full, or a report that cannot be written: what follows would fail too."""


class ChangedError(InputError):
    """A file that is not the one that was looked at any more."""


def stamp(path: Path) -> Stamp:
    """What tells whether a file is still the one that it was. Raises `OSError`."""
    return _stamp(path.stat())


def _stamp(status: os.stat_result) -> Stamp:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


class Journal:
    """A report being written. Its methods may be called from several threads."""

    def __init__(self, path: Path, job: str) -> None:
        """Begin a report, which must not be there yet. Raises `InputError`."""
        check_target(path)
        self.path = Path(os.path.abspath(path))  # noqa: PTH100  # not resolve, which follows links
        self.originals = originals_of(self.path)
        if os.path.lexists(self.originals):
            raise exists(self.originals)
        self.lock, self.count = Lock(), 0
        self.seen: tuple[Path, Stamp] | None = None  # the file that was last made sure of
        self.left: dict[Path, set[str]] = {}  # of what a killed run has left temporary files, by folder
        with writing(path):
            self.file: BinaryIO = open(self.path, "xb", buffering=0)  # noqa: SIM115
            taken(self.file.fileno())
        self._write(head(job, datetime.now(UTC).isoformat(timespec="seconds")), safely=True)

    def close(self) -> None:
        """End the report."""
        with self.lock:
            with suppress(OSError):
                os.fsync(self.file.fileno())
            self.file.close()

    def row(self, value: dict[str, Any]) -> None:
        """Say what became of something."""
        self._write(line({"row": value}))

    def replace(self, path: Path, data: bytes, seen: Stamp) -> None:
        """Put `data` in the place of a file that is still the one that was `seen`. Raises `InputError`.

        Mode, owner, times and extended attributes are the old file's, as far as this process may set them.
        """
        with _held(path, seen) as old, self._replacing(path) as new, _full_stops(path):
            _fill(new, data)
            before = file_digest(old, "sha256").hexdigest()
            _make_like(new, path)
            kept = self._keep(path, old)
            self._write(Change(REPLACE, str(path), before, sha256(data).hexdigest(), kept).encoded(), safely=True)

    def make(self, path: Path, data: bytes | None, like: Path) -> None:
        """Make a file that is not there: of `data`, or a copy of the file `like`, whose mode and times it gets."""
        self._make_folder(path.parent)
        with self._replacing(path) as new, _full_stops(path):
            if data is None:
                with open(like, "rb") as old:
                    shutil.copyfileobj(old, new, 1 << 20)
                new.flush()
            else:
                _fill(new, data)
            _make_like(new, like)
            with open(new.name, "rb") as again:
                after = file_digest(again, "sha256").hexdigest()
            self._write(Change(MAKE, str(path), after=after).encoded())

    def link(self, path: Path, digest: str, keep: Path) -> None:
        """Make a file, of which `digest` is still the sha256, one more name of `keep`, another one with the same bytes.

        Raises `InputError`, and `OSError` where the disk has no hard links.
        """
        self.make_sure(keep, digest)
        with _unchanged(path, digest), writing(path):
            _check_like(path.stat(), keep)
            time = str(path.stat().st_mtime_ns)
            temporary = beside(path, self._is_left(path))
            os.link(keep, temporary)
            try:
                if self.seen != (keep, stamp(temporary)):  # replaced, or written to, between the two
                    raise ChangedError(f"{plain(keep)} has changed since it was looked at: run again")
                self._write(Change(LINK, str(path), digest, to=str(keep), time=time).encoded(), safely=True)
                system.replace(temporary, path)
            finally:
                with suppress(OSError):
                    temporary.unlink(missing_ok=True)

    def make_sure(self, keep: Path, digest: str) -> None:
        """Make sure that a file which is kept has this sha256; it is read once, as long as it stays as it is."""
        with writing(keep):
            seen = keep, stamp(keep)
        if seen != self.seen:
            self.seen = None
            with _unchanged(keep, digest):
                self.seen = seen

    def move(self, path: Path, digest: str, target: Path) -> None:
        """Move a file, of which `digest` is still the sha256, to where nothing is; onto another disk by a copy.

        The copy is whole and on its disk before the file goes. Raises `InputError`.
        """
        self._make_folder(target.parent)
        with _unchanged(path, digest):
            if os.path.lexists(target):
                raise exists(target)
            self._write(Change(MOVE, str(path), digest, to=str(target)).encoded(), safely=True)
            with writing(path), _full_stops(target):
                carry(path, target)

    def _replacing(self, path: Path) -> AbstractContextManager[BinaryIO]:
        return replacing(path, tidy=self._is_left(path))

    def _is_left(self, path: Path) -> bool:
        """Whether a killed run has left a temporary file of this one."""
        with self.lock:
            if path.parent not in self.left:
                self.left[path.parent] = left_behind(path.parent)
            return path.name in self.left[path.parent]

    def _make_folder(self, folder: Path) -> None:
        with self.lock:
            missing = []
            while not folder.is_dir():
                missing.append(folder)
                folder = folder.parent
            for each in reversed(missing):
                self._put(Change(FOLDER, str(each)).encoded())
                with writing(each):
                    each.mkdir(exist_ok=True)

    def _keep(self, path: Path, old: BinaryIO) -> str:
        """Give the original a second name beside the report; returns that."""
        with self.lock:
            self.originals.mkdir(exist_ok=True)
            self.count += 1
            name = f"{self.count:06}{path.suffix}"
        name = name if KEPT.fullmatch(name) else name[:6]
        kept = self.originals / name
        try:
            os.link(path, kept)
        except FileExistsError:
            raise
        except OSError:  # another disk, or one that knows no links
            _copy(old, path, kept)
        _flush_folder(self.originals)
        return name

    def _write(self, data: bytes, safely: bool = False) -> None:
        with self.lock:
            self._put(data, safely)

    def _put(self, data: bytes, safely: bool = False) -> None:
        with _full_stops(self.path, always=True):
            at = self.file.tell()
            try:
                _write_all(self.file, data)
            except OSError:
                with suppress(OSError):
                    self.file.truncate(at)  # half a line would spoil the next
                    self.file.seek(at)
                raise
            if safely:
                os.fsync(self.file.fileno())

    def links(self, path: Path) -> int:
        """How many names a file has that are not in folders of originals beside this report, which killed runs may leave."""
        status = path.stat()
        others = sum(_same(entry, status) for entry in self.path.parent.glob(".*.originals/*"))
        return status.st_nlink - others


def _same(path: Path, status: os.stat_result) -> bool:
    with suppress(OSError):
        return os.path.samestat(path.lstat(), status)
    return False


def carry(path: Path, target: Path) -> None:
    """Move a file to where nothing is. Killed at any moment it is at one place, whole, or at both. Raises `OSError`."""
    try:
        os.link(path, target)
    except FileExistsError:
        raise
    except OSError:  # another disk, or one that knows no links
        with replacing(target) as new, open(path, "rb") as old:
            shutil.copyfileobj(old, new, 1 << 20)
            new.flush()
            _make_like(new, path)
    try:
        _flush_folder(target.parent)
        path.unlink()
    except BaseException:
        if os.path.lexists(path):
            target.unlink(missing_ok=True)
        raise


def _check_like(status: os.stat_result, keep: Path) -> None:
    other = keep.stat()
    if (status.st_mode, status.st_uid, status.st_gid) != (other.st_mode, other.st_uid, other.st_gid):
        raise InputError(f"its owner or its permissions are not those of {plain(keep)}")


@contextmanager
def _unchanged(path: Path, digest: str) -> Iterator[None]:
    """Keep other runs away from a file that still has this sha256, meanwhile. Raises `ChangedError`."""
    with writing(path):
        seen = stamp(path)
    with _held(path, seen) as file:
        if file_digest(file, "sha256").hexdigest() != digest or stamp(path) != seen:
            raise ChangedError("it has changed since it was looked at: run again")
        yield


@contextmanager
def _held(path: Path, seen: Stamp) -> Iterator[BufferedReader]:
    """Open a file that is the one that was seen, and keep other runs away from it meanwhile."""
    with writing(path):
        file = open(path, "rb")  # noqa: SIM115
    with file:
        if not _free(file.fileno()):
            raise InputError("another run is at it: run again after that")
        with writing(path):
            if _stamp(os.fstat(file.fileno())) != seen or stamp(path) != seen or path.is_symlink():
                raise ChangedError("it has changed since it was looked at: run again")
        yield file


def _free(descriptor: int) -> bool:
    """Lock a file, which another thread or run may have for as long as it takes to replace it."""
    end = time.monotonic() + PATIENCE
    while taken(descriptor):
        if time.monotonic() >= end:
            return False
        time.sleep(0.01)
    return True


@contextmanager
def _full_stops(path: Path, always: bool = False) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if always or error.errno in _FULL:
            raise CannotGoOnError(f"{plain(path)} cannot be written: {error.strerror}") from None
        raise


def _fill(file: BinaryIO, data: bytes) -> None:
    _write_all(file, data)
    file.flush()


def _write_all(file: BinaryIO, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def _make_like(new: BinaryIO, old: Path) -> None:
    """Owner first, since setting it takes bits of the mode away; then mode, times and extended attributes."""
    status = old.stat()
    if hasattr(os, "fchown"):
        with suppress(OSError):
            os.fchown(new.fileno(), status.st_uid, status.st_gid)
    try:
        shutil.copystat(old, new.name)
    except OSError:
        with suppress(OSError):
            os.chmod(new.fileno(), stat.S_IMODE(status.st_mode))  # noqa: PTH101


def _copy(old: BinaryIO, path: Path, kept: Path) -> None:
    old.seek(0)
    with open(kept, "xb") as new:
        shutil.copyfileobj(old, new, 1 << 20)
        new.flush()
        _make_like(new, path)
        os.fsync(new.fileno())


def _flush_folder(folder: Path) -> None:
    with suppress(OSError):  # not every system flushes folders
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
