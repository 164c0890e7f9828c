"""A file or a folder appears whole or not at all, and what may be overwritten is asked before any work.

Everything that lcnet writes whole is written under a temporary name beside its target, flushed to the disk, and renamed.
On an error or Ctrl-C the target stays as it was, and the temporary one is gone.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from .errors import InputError
from .text import plain

Foreign = Callable[[Path], str]  # why the folder at a path is not one that may be replaced, or an empty string


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A binary file to write, which takes the place of `path` when the block ends well. Raises `InputError`."""
    target = Path(path)
    temporary = _beside(target)
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except OSError as error:
        raise _cannot(target, error) from None
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
    temporary = _beside(target)
    try:
        temporary.mkdir()
        yield temporary
        _swap(temporary, target)
    except OSError as error:
        raise _cannot(target, error) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _swap(new: Path, target: Path) -> None:
    if not os.path.lexists(target):
        new.rename(target)
        return
    old = new.with_suffix(".old")
    target.rename(old)
    try:
        new.rename(target)
    except OSError:
        old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def check_target(
    path: str | os.PathLike[str], overwrite: bool = False, source: str | os.PathLike[str] | None = None
) -> None:
    """Refuse, before any work, a file that cannot or must not be written. Raises `InputError`.

    source: what is read meanwhile, and so never written to, whatever `overwrite` says.
    """
    target = Path(path)
    _check_parent(target)
    if target.is_dir():
        raise InputError(f"{plain(target)} is a folder: name a file in it")
    if source is not None and target.exists() and Path(source).exists() and target.samefile(source):
        raise InputError(
            f"{plain(target)}: the target is the source itself, which is never written to: choose another name"
        )
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


def _beside(target: Path) -> Path:
    if not target.name or "\0" in str(target):
        raise InputError(f"{plain(target)!r} is no name of a file")
    return target.with_name(f".{target.name}.{os.urandom(4).hex()}.tmp")


def _cannot(target: Path, error: Exception) -> InputError:
    why = getattr(error, "strerror", None) or error  # not `reason`, which speaks of a file to read
    return InputError(f"{plain(target)} cannot be written: {why}")
