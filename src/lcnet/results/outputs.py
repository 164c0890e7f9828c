"""Files of results that survive an interruption: .csv, .jsonl, .npz, .parquet.

While a run is on, `FILE.resume` says with what it was begun, and is locked against a second process; CSV and JSONL grow
in place, a picture at a time, the others in the journal `FILE.partial`. Stopped, a run leaves a valid FILE of what was
done, and both companions; killed, it loses at most the picture that it was writing. Refuses to continue with another
model, other options, or pictures other than those that are done.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NoReturn

from ..errors import InputError
from ..files import check_target, exists, writing
from ..formats import csv_text
from ..text import one_line, plain, shown
from . import journal, resumed
from .rows import Rows, csv_rows, json_line

FORMATS = (".csv", ".jsonl", ".npz", ".parquet")


class Output:
    """One file of results. A context manager: leaving it through an exception keeps what was done, to be resumed."""

    def __init__(
        self,
        path: Path,
        rows: Rows,
        begun_with: Mapping[str, Any],
        resume: bool = False,
        overwrite: bool = False,
        safe: bool = False,
    ) -> None:
        """Lock the file and decide whether to begin or to go on. Raises `InputError`, `MissingExtraError`.

        begun_with: what must be the same to `resume`, as JSON values by the name that a message calls them. safe: text in
        CSV is `formats.guarded`.
        """
        self.path, self.rows, self.format, self.safe = path, rows, path.suffix.lower(), safe
        check(path, resume, overwrite, safe)
        if self.format == ".parquet":
            journal.pyarrow()
        self.head = csv_text([rows.header]).encode() if self.format == ".csv" else b""
        self.working = path if self.format in (".csv", ".jsonl") else _beside(path, ".partial")
        self.done = self.failed = 0
        self.ahead: list[Any] = []  # sources that `skip_done` took off the list although they are not done
        self.complete: int | None = None  # bytes of whole pictures in the working file, None until that is known
        with writing(path):
            self.lock = _locked(path)
            try:
                self.file = self._begin(dict(begun_with), resume, overwrite)
            except BaseException:
                self.lock.close()
                raise

    def _begin(self, begun_with: dict[str, Any], resume: bool, overwrite: bool) -> BinaryIO:
        before = self.lock.read()
        if before and not (resume or overwrite):
            raise InputError(f"{self.path} is of a run that did not end: continue it with --resume, or --overwrite it")
        if before and resume:
            _refuse_another(self.path, before, begun_with)
            return self._continue()
        if resume and self.working != self.path and self.working.exists():
            raise _damaged(self.path)
        if self.path.exists() and not overwrite:  # another run has just ended
            _beside(self.path, ".resume").unlink()
            raise exists(self.path)
        _replace(self.lock, json.dumps(begun_with, indent=1).encode())
        file = _open(self.working, new=True)
        _replace(file, self.head)
        self.complete = len(self.head)
        return file

    def _continue(self) -> BinaryIO:
        file = _open(self.working, new=False)
        start = file.read(len(self.head))
        if start != self.head:
            if not self.head.startswith(start):
                raise InputError(f"{self.path} does not begin as it did: something else has written it")
            _replace(file, self.head)
        return file

    def skip_done(self, sources: Iterator[Any]) -> int:
        """Take the sources that are done off the front and return their number; a picture cut short at the end is removed.

        One more may be in `ahead` then. Raises `InputError`, and leaves the file as it is, if the sources are not those
        that are done, or if it cannot be read.
        """
        whole = len(self.head)
        with open(self.working, "rb") as reader:
            try:
                for name, failed, end in resumed.done(self.format, reader, self.rows, whole, self.safe):
                    self._compare(name, next(sources, None))
                    whole = end
                    self.done += 1
                    self.failed += failed
            except resumed.Unreadable:
                self._refuse(whole, next(sources, None))
            self._check_rest(whole, reader, sources)
        with writing(self.path):
            self.file.truncate(whole)
        self.complete = whole
        return self.done

    def _compare(self, name: str, source: Any) -> None:
        if source is None or shown(source) != name:
            found = "ends before it" if source is None else f"has {plain(source)} there"
            raise InputError(
                f"{self.path}: picture {self.done + 1} was {one_line(name)}, now the list {found}:"
                " name the same pictures, or begin again with --overwrite"
            )

    def _check_rest(self, whole: int, reader: BinaryIO, sources: Iterator[Any]) -> None:
        """What is behind the whole pictures goes only if it is a part of the next one."""
        size = os.fstat(reader.fileno()).st_size - whole
        if not size:
            return
        self.ahead = list(islice(sources, 1))
        reader.seek(whole)
        rest, name = reader.read(resumed.LONGEST), shown(self.ahead[0]) if self.ahead else None
        if name is None or not resumed.cut_short(self.format, self.rows, name, rest, size, self.safe):
            self._refuse(whole, *self.ahead)

    def _refuse(self, whole: int, source: Any = None) -> NoReturn:
        name = "after the last of the list" if source is None else plain(source)
        raise InputError(resumed.refusal(self.working, self.done + 1, whole, name))

    def write(self, source: Any, value: Any, error: Exception | None) -> None:
        """Append one picture: its value, or its error. Raises `InputError` if it cannot be written."""
        if self.complete is None:
            raise InputError("a file that is resumed needs skip_done() first")
        reason = None
        if error is not None:
            reason = one_line(str(error).removeprefix(f"{source}: "))[: journal.LONGEST_ERROR] or type(error).__name__
        data = self._encoded(shown(source), value, reason)
        with writing(self.path):
            self.file.seek(self.complete)
            _write_all(self.file, data)
        self.complete += len(data)
        self.done += 1
        self.failed += error is not None

    def _encoded(self, name: str, value: Any, reason: str | None) -> bytes:
        if self.working != self.path:
            return journal.encode(self.rows, name, value, reason)
        if self.head:
            return csv_rows(self.rows, name, value, reason, self.safe).encode()
        return json_line(self.rows, name, value, reason).encode()

    def __enter__(self) -> Output:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            with writing(self.path):
                self._end(whole=kind is None, stopped=isinstance(error, KeyboardInterrupt))
        finally:
            self.file.close()
            self.lock.close()

    def _end(self, whole: bool, stopped: bool) -> None:
        """Leave a valid file; the companions go only after everything else is on the disk."""
        if self.complete is not None:
            self.file.truncate(self.complete)
        os.fsync(self.file.fileno())
        if self.working != self.path and (whole or (stopped and self.complete is not None)):
            with open(self.working, "rb") as reader:
                journal.publish(reader, self.rows, self.path)
        if whole:
            if self.working != self.path:
                self.working.unlink()
            _beside(self.path, ".resume").unlink()


def check(path: Path, resume: bool = False, overwrite: bool = False, safe: bool = False) -> None:
    """Refuse, before any work, a file that cannot or must not be written. Raises `InputError`."""
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"{path}: results go to a file that ends in {', '.join(FORMATS[:-1])} or {FORMATS[-1]}")
    if safe and path.suffix.lower() != ".csv":
        raise InputError(f"{path}: --csv-safe is about files that end in .csv: leave it out")
    check_target(path, overwrite=True)
    if resume and overwrite:
        raise InputError("--resume continues a file and --overwrite replaces it: choose one")
    if path.exists() and not overwrite and not _beside(path, ".resume").exists():
        raise InputError(f"{path} is complete, so there is nothing to --resume") if resume else exists(path)


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _locked(path: Path) -> BinaryIO:
    """Open the companion of `path` for this process alone; a killed process leaves no lock behind."""
    import fcntl

    companion = _beside(path, ".resume")
    while True:
        file = _open(companion, new=False)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise InputError(f"{path} is being written by another process: wait, or choose another --output") from None
        if companion.exists() and os.path.samestat(os.fstat(file.fileno()), companion.stat()):
            return file
        file.close()  # the run that had it ended, and removed it, between the two steps


def _refuse_another(path: Path, before: bytes, now: dict[str, Any]) -> None:
    try:
        then = dict(json.loads(before).items())
        names = [*then, *(name for name in now if name not in then)]
    except (AttributeError, RecursionError, ValueError):
        raise _damaged(path) from None
    for name in names:
        if then.get(name) != json.loads(json.dumps(now.get(name))):
            raise InputError(
                f"{path} was begun with {name} {_text(then.get(name))}, now it is {_text(now.get(name))}:"
                " use the same again, or begin again with --overwrite"
            )


def _damaged(path: Path) -> InputError:
    return InputError(
        f"{_beside(path, '.resume')} is damaged, so that nobody knows with what {path} was begun: begin again with --overwrite"
    )


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _open(path: Path, new: bool) -> BinaryIO:
    """Open to read and write, without a buffer, creating it if need be."""
    flags = os.O_RDWR | os.O_CREAT | (os.O_TRUNC if new else 0)
    return os.fdopen(os.open(path, flags, 0o666), "r+b", buffering=0)


def _replace(file: BinaryIO, data: bytes) -> None:
    file.seek(0)
    file.truncate()
    _write_all(file, data)
    os.fsync(file.fileno())


def _write_all(file: BinaryIO, data: bytes) -> None:
    """Write to an unbuffered file, which may take less than all at once."""
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]
