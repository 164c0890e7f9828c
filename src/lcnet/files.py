"""A file or a folder appears whole or not at all, and what may be overwritten is asked before any work.

Everything that lcnet writes whole is written under a temporary name beside its target, flushed to the disk, and renamed.
On an error or Ctrl-C the target stays as it was, and the temporary one is gone. What a killed process leaves is removed by the
next one that writes the same target.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from . import system
from .errors import InputError
from .text import plain

LEFT_BEHIND = 60.0  # seconds since a change after which what nobody holds is of a killed process
_TEMPORARY = re.compile(r"\.(.+)\.[0-9a-f]{8}\.tmp", re.DOTALL)
Foreign = Callable[[Path], str]  # why the folder at a path is not one that may be replaced, or an empty string


@contextmanager
def replacing(path: str | os.PathLike[str], tidy: bool = True) -> Iterator[BinaryIO]:
    """A binary file to write, which takes the place of `path` when the block ends well. Raises `InputError`.

    tidy: look for what killed processes have left of it, which goes through the whole folder.
    """
    target = Path(path)
    temporary = beside(target, tidy)
    try:
        with writing(target):
            with open(temporary, "xb") as file:
                hold(file.fileno())
                yield file
                file.flush()
                os.fsync(file.fileno())
            system.replace(temporary, target)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Write `data` to `path`, whole or not at all. Raises `InputError` naming the file and the reason."""
    with replacing(path) as file:
        file.write(data)


@contextmanager
def replacing_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A new folder to fill, which takes the place of `path` when the block ends well. Raises `InputError`.

    What stood there is removed only after the new one is in its place.
    """
    target = Path(path)
    temporary = beside(target)
    try:
        with writing(target):
            temporary.mkdir()
            with held(temporary):
                yield temporary
                _swap(temporary, target)
    finally:
        _remove_tree(temporary)


def hold(descriptor: int) -> bool:
    """Lock an open file or folder for this process, so that `sweep` leaves it; false if another process has it.

    The system lets go when the descriptor is closed, however the process ends.
    """
    try:
        system.lock(descriptor)
    except OSError:  # held, or on a disk that knows no locks
        return False
    return True


def taken(descriptor: int) -> bool:
    """Whether another process has locked an open file; otherwise this one has now, on a disk that knows locks."""
    try:
        system.lock(descriptor)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


@contextmanager
def held(path: Path) -> Iterator[bool]:
    """Hold a file or a folder meanwhile, and say whether that was possible. Raises `OSError` if it cannot be opened."""
    descriptor = system.to_hold(path)
    try:
        yield descriptor is not None and hold(descriptor)
    finally:
        if descriptor is not None:
            os.close(descriptor)


def sweep(folder: Path, ours: re.Pattern[str]) -> None:
    """Remove the files and folders of these names that a killed process left in a folder: old ones that nobody holds."""
    with suppress(OSError):
        for path in [path for path in folder.iterdir() if ours.fullmatch(path.name)]:
            with suppress(OSError):
                _remove_left_behind(path)


def _remove_left_behind(path: Path) -> None:
    if path.is_symlink() or time.time() - path.stat().st_mtime < LEFT_BEHIND:
        return
    with held(path) as free:
        pass
    if free and path.is_dir():
        _remove_tree(path)
    elif free:
        path.unlink()


def _swap(new: Path, target: Path) -> None:
    if not os.path.lexists(target):
        new.rename(target)
        return
    old = new.with_suffix(".old")  # not swept: of a process that is killed right here it is all there is
    target.rename(old)
    try:
        new.rename(target)
    except OSError:
        old.rename(target)
        raise
    _remove_tree(old)


def _remove_tree(folder: Path) -> None:
    import shutil  # and with it every compression, which one picture does not need

    shutil.rmtree(folder, ignore_errors=True)


def check_target(path: str | os.PathLike[str], overwrite: bool = False, source: str | os.PathLike[str] | None = None) -> None:
    """Refuse, before any work, a file that cannot or must not be written. Raises `InputError`.

    source: what is read meanwhile, and so never written to, whatever `overwrite` says.
    """
    target = Path(path)
    _check_parent(target)
    if target.is_dir():
        raise InputError(f"{plain(target)} is a folder: name a file in it")
    if source is not None and target.exists() and Path(source).exists() and target.samefile(source):
        raise InputError(f"{plain(target)}: the target is the source itself, which is never written to: choose another name")
    if target.exists() and not overwrite:
        raise exists(target)


def check_folder(path: str | os.PathLike[str], overwrite: bool, foreign: Foreign) -> None:
    """Refuse, before any work, a folder that cannot or must not be written. Raises `InputError`.

    foreign: called with a real folder that stands there and would be overwritten.
    """
    target = Path(path)
    _check_parent(target)
    if not os.path.lexists(target):
        return
    if not overwrite:
        raise exists(target)
    real = target.is_dir() and not target.is_symlink()
    other = foreign(target) if real else "it is no folder"
    if other:
        raise InputError(f"{plain(target)} is not overwritten: {other}; name another folder")


def exists(path: Path) -> InputError:
    """What is raised for a target that stands already."""
    return InputError(f"{plain(path)} exists: choose another name, or replace it with --overwrite")


def _check_parent(target: Path) -> None:
    if not target.parent.is_dir():
        raise InputError(f"{plain(target)} cannot be written: there is no folder {plain(target.parent)}")
    if not os.access(target.parent, os.W_OK):
        raise InputError(f"{plain(target.parent)}: this folder cannot be written to: choose another one")


def left_behind(folder: Path) -> set[str]:
    """The names in a folder of which a process that writes or was killed has left a temporary file."""
    with suppress(OSError):
        return {match[1] for name in os.listdir(folder) if (match := _TEMPORARY.fullmatch(name))}  # noqa: PTH208
    return set()


def beside(target: Path, tidy: bool = True) -> Path:
    """A new name for a temporary file or folder beside a target. Raises `InputError` for what is no name."""
    if not target.name or "\0" in str(target):
        raise InputError(f"{plain(target)!r} is no name of a file")
    if tidy:
        sweep(target.parent, re.compile(rf"\.{re.escape(target.name)}\.[0-9a-f]{{8}}\.tmp"))
    return target.with_name(f".{target.name}.{os.urandom(4).hex()}.tmp")


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """Make an `InputError` that names the target of what the system says meanwhile."""
    try:
        yield
    except OSError as error:
        why = error.strerror or error  # not `reason`, which speaks of a file to read
        raise InputError(f"{plain(target)} cannot be written: {why}") from None
