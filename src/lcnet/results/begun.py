"""`FILE.resume`, beside a file of results while a run is on: a lock against other processes, and with what it was begun.

Also how the files beside FILE are opened and written: without a buffer, and on the disk before the next step.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from .. import system
from ..errors import InputError
from ..text import plain

VERSION = 2  # of the columns, and of what lies beside FILE
Tick = Callable[[str], None]  # told often what is being done
WRITE, UPDATE = "write", "update"  # what kind of run it was


def quietly(_: str) -> None:
    """Tell nobody."""


def beside(path: Path, ending: str) -> Path:
    """A companion of FILE."""
    return path.with_name(path.name + ending)


def locked(path: Path) -> BinaryIO:
    """Open `FILE.resume` for this process alone; a killed process leaves no lock behind. Raises `InputError`."""
    companion = beside(path, ".resume")
    while True:
        file = opened(companion, new=False)
        try:
            system.lock(file.fileno())
        except BlockingIOError:
            file.close()
            raise InputError(f"{plain(path)} is being written by another process: wait, or choose another --output") from None
        if companion.exists() and os.path.samestat(os.fstat(file.fileno()), companion.stat()):
            return file
        file.close()  # the run that had it ended, and removed it, between the two steps


def described(run: str, begun_with: Mapping[str, Any]) -> bytes:
    """What `FILE.resume` holds, and with what a journal begins."""
    return json.dumps({"lcnet": VERSION, "run": run, "with": dict(begun_with)}, indent=1).encode()


def before(lock: BinaryIO, begun_with: Mapping[str, Any]) -> bytes:
    """What `FILE.resume` holds of a run that did not end; b"" if that was killed while it wrote just this, before all else."""
    text = lock.read()
    torn = any(len(text) < len(d := described(run, begun_with)) and d.startswith(text) for run in (WRITE, UPDATE))
    return b"" if torn else text


def read(path: Path, text: bytes) -> tuple[str, dict[str, Any]]:
    """The kind of a run and what it was begun with. Raises `InputError` if that is of another version, or damaged."""
    try:
        found = dict(json.loads(text).items())
        if "lcnet" not in found and "command" in found:
            raise older(path)
        if found["lcnet"] != VERSION:
            raise InputError(f"{plain(path)} was begun by another version of lcnet: finish it with that one, or --overwrite it")
        return str(found["run"]), dict(found["with"].items())
    except (AttributeError, KeyError, RecursionError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise damaged(path) from None


def refuse_another(path: Path, then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise `InputError` if a run was begun with something else than this one. What is not there counts as not asked for."""
    for name in [*then, *(name for name in now if name not in then)]:
        before, after = then.get(name), json.loads(json.dumps(now.get(name)))
        if before != after and (before or None, after or None) != (None, None):
            raise InputError(
                f"{plain(path)} was begun with {name} {_text(before)}, now it is {_text(after)}:"
                " use the same again, or begin again with --overwrite"
            )


def older(path: Path) -> InputError:
    """What is raised for a file of the columns that versions before wrote."""
    return InputError(
        f"{plain(path)} is of an earlier version of lcnet, whose rows have no milliseconds: finish it with that version, "
        "choose another --output, or begin again with --overwrite"
    )


def damaged(path: Path) -> InputError:
    """What is raised if nobody knows what a run was."""
    name = plain(beside(path, ".resume"))
    return InputError(
        f"{name} is damaged, so that nobody knows with what {plain(path)} was begun: begin again with --overwrite"
    )


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def opened(path: Path, new: bool) -> BinaryIO:
    """Open to read and write, without a buffer, creating it if need be."""
    return os.fdopen(system.opened(path, new), "r+b", buffering=0)


def replace(file: BinaryIO, data: bytes) -> None:
    """Write `data` in place of what a file has."""
    file.seek(0)
    file.truncate()
    write_all(file, data)
    os.fsync(file.fileno())


def write_all(file: BinaryIO, data: bytes) -> None:
    """Write to an unbuffered file, which may take less than all at once."""
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]
