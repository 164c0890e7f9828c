"""Taking back what a report says was changed: exactly, newest first, and never over what somebody else has changed since.

It may be run twice, and after a run that was killed: what is as it was stays so. `forget` gives up the originals instead.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import file_digest
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ..errors import InputError
from ..files import replacing, taken
from ..text import plain, reason
from .journal import carry
from .report import FOLDER, KEPT, LINK, MAKE, MOVE, Change, change_at, changes, check_head, originals_of

RESTORED, REMOVED, UNCHANGED, REFUSED, FORGOTTEN = "restored", "removed", "as it was", "refused", "forgotten"


class Outcome(NamedTuple):
    """What became of one path; `error` says why it was refused."""

    path: str
    action: str
    error: str | None = None


def undo(report: Path, dry_run: bool = False) -> Iterator[Outcome]:
    """Take everything back, newest first, and say of each path what was done. Raises `InputError` before anything is.

    dry_run: only say what would be done.
    """
    with _opened(report) as (file, places, originals):
        for at in reversed(places):
            yield _taken_back(change_at(file, at), originals, dry_run)
        if not dry_run:
            _remove(originals)


def forget(report: Path, dry_run: bool = False) -> Iterator[Outcome]:
    """Delete the originals that are kept, and say of each path whether its original was. Raises `InputError`."""
    with _opened(report) as (file, places, originals):
        named = set()
        for at in places:
            change = change_at(file, at)
            if change.kept and os.path.lexists(originals / change.kept):
                named.add(change.kept)
                yield _forgotten(change, originals / change.kept, dry_run)
        if not dry_run:
            _sweep(originals, named)
            _remove(originals)


@contextmanager
def _opened(report: Path) -> Iterator[tuple[BinaryIO, list[int], Path]]:
    """The file, where its changes are, all of which are good, and where originals are."""
    try:
        file = open(report, "rb")  # noqa: SIM115
    except OSError as error:
        raise InputError(f"{plain(report)}: {reason(error)}") from None
    with file:
        if report.is_dir():
            raise InputError(f"{plain(report)} is a folder: name the report")
        check_head(file, report)
        if taken(file.fileno()):
            raise InputError(f"{plain(report)}: its job is still running: stop it first, or wait")
        yield file, [at for at, _ in changes(file, report)], originals_of(Path(os.path.abspath(report)))  # noqa: PTH100


def _taken_back(change: Change, originals: Path, dry_run: bool) -> Outcome:
    path = Path(change.path)
    try:
        if change.change == FOLDER:
            return Outcome(change.path, _without_folder(path, dry_run))
        if change.change == MAKE:
            return _unmade(change, path, dry_run)
        if change.change == LINK:
            return Outcome(change.path, *_unlinked(change, path, dry_run))
        if change.change == MOVE:
            return Outcome(change.path, *_moved_back(change, path, dry_run))
        return _restored(change, path, originals / change.kept, dry_run)
    except (OSError, InputError) as error:
        return Outcome(change.path, REFUSED, reason(error))


def _unlinked(change: Change, path: Path, dry_run: bool) -> tuple[str, str | None]:
    """Make a file of its own again of what became one more name of another."""
    if not os.path.lexists(path):
        return REFUSED, f"it is not there any more; its bytes were those of {plain(change.to)}"
    if _digest(path) != change.before:
        return REFUSED, "it has changed since"
    if not os.path.lexists(change.to) or not os.path.samestat(path.lstat(), os.lstat(change.to)):
        return UNCHANGED, None
    if not dry_run:
        with replacing(path) as new, open(path, "rb") as old:
            shutil.copyfileobj(old, new, 1 << 20)
            new.flush()
            shutil.copystat(path, new.name)
            os.utime(new.name, ns=(path.stat().st_atime_ns, int(change.time)))
    return RESTORED, None


def _moved_back(change: Change, path: Path, dry_run: bool) -> tuple[str, str | None]:
    target = Path(change.to)
    if not os.path.lexists(target):
        return (UNCHANGED, None) if os.path.lexists(path) else (REFUSED, f"it is neither there nor in {plain(target)}")
    if _digest(target) != change.before:
        return REFUSED, f"it was moved to {plain(target)}, and has changed since"
    if os.path.lexists(path):
        if _digest(path) != change.before:
            return REFUSED, f"something else is there; it was moved to {plain(target)}"
        if not dry_run:
            target.unlink()  # of a run that was killed between the two
        return UNCHANGED, None
    if not dry_run:
        carry(target, path)
    return RESTORED, None


def _without_folder(path: Path, dry_run: bool) -> str:
    if not path.is_dir():
        return UNCHANGED
    try:
        if not dry_run:
            path.rmdir()
        return REMOVED
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return UNCHANGED  # others have put something there: the folder is not ours alone
        raise


def _unmade(change: Change, path: Path, dry_run: bool) -> Outcome:
    if not os.path.lexists(path):
        return Outcome(change.path, UNCHANGED)
    if _digest(path) != change.after:
        return Outcome(change.path, REFUSED, "it has changed since the job made it")
    if not dry_run:
        path.unlink()
    return Outcome(change.path, REMOVED)


def _restored(change: Change, path: Path, kept: Path, dry_run: bool) -> Outcome:
    if not os.path.lexists(path):
        return Outcome(change.path, REFUSED, f"it is not there any more; its original is {plain(kept)}")
    now = _digest(path)
    if now == change.before:
        if not dry_run:
            _drop_link(path, kept)
        return Outcome(change.path, UNCHANGED)
    if now != change.after:
        return Outcome(change.path, REFUSED, f"it has changed since; its original is {plain(kept)}")
    if not os.path.lexists(kept):
        return Outcome(change.path, REFUSED, "its original is not kept any more")
    if _digest(kept) != change.before:
        return Outcome(change.path, REFUSED, f"its kept original, {plain(kept)}, has changed")
    if not dry_run:
        _put_back(kept, path)
    return Outcome(change.path, RESTORED)


def _drop_link(path: Path, kept: Path) -> None:
    """Of a run that was killed before it replaced the file."""
    if os.path.lexists(kept) and (_digest(kept) == _digest(path)):
        kept.unlink()


def _put_back(kept: Path, path: Path) -> None:
    try:
        kept.replace(path)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        with replacing(path) as new, open(kept, "rb") as old:  # another disk
            shutil.copyfileobj(old, new, 1 << 20)
            new.flush()
            shutil.copystat(kept, new.name)
        kept.unlink()


def _forgotten(change: Change, kept: Path, dry_run: bool) -> Outcome:
    try:
        if not os.path.lexists(change.path):
            return Outcome(change.path, REFUSED, f"it is not there any more; all that is left of it is {plain(kept)}")
        if _digest(kept) != change.before:
            return Outcome(change.path, REFUSED, f"{plain(kept)} is not what the job has kept")
        if not dry_run:
            kept.unlink()
        return Outcome(change.path, FORGOTTEN)
    except OSError as error:
        return Outcome(change.path, REFUSED, reason(error))


def _sweep(originals: Path, named: set[str]) -> None:
    """Remove what a killed run kept and did not come to replace: the report does not name it."""
    with suppress(OSError):
        for path in originals.iterdir():
            if KEPT.fullmatch(path.name) and path.name not in named and not path.is_symlink():
                path.unlink()


def _remove(folder: Path) -> None:
    with suppress(OSError):  # something is still in it, or it was never made
        folder.rmdir()


def _digest(path: Path) -> str:
    """The sha256 of a file; of what is no file, or a link, nothing that any file has."""
    if path.is_symlink() or not path.is_file():
        return ""
    with open(path, "rb") as file:
        return file_digest(file, "sha256").hexdigest()
