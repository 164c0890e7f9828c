"""Files of results that survive an interruption: .csv, .json, .jsonl, .npz, .parquet.

While a run is on, `FILE.resume` says with what it was begun, and is locked against a second process; CSV and JSONL grow
in place, a picture at a time, the others in the journal `FILE.partial`. Stopped, a run leaves a valid FILE of what was
done, and both companions; killed, it loses at most the picture that it was writing. Refuses to continue with another
model, other options, or pictures other than those that are done.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NoReturn

from ..errors import InputError
from ..files import check_target, exists, writing
from ..formats import csv_text
from ..text import one_line, plain, shown
from . import begun, journal, resumed, state, whole
from .begun import Tick, beside
from .part import Part
from .resumed import Row
from .rows import Rows, csv_rows, json_row, why_not

FORMATS = (".csv", ".json", ".jsonl", ".npz", ".parquet")
GROWING = (".csv", ".jsonl")  # in place; all others can only be written whole


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
        tick: Tick | None = None,
        part: Part | None = None,
    ) -> None:
        """Lock the file and decide whether to begin or to go on. Raises `InputError`, `MissingExtraError`.

        begun_with: what must be the same to `resume`, as JSON values by the name that a message calls them. safe: text in
        CSV is `formats.guarded`. tick: called often with what is being done, while the file is read or written whole.
        part: what the file says that it is a part of.
        """
        self.tick, self.part = tick or begun.quietly, part
        self.path, self.rows, self.format, self.safe = path, rows, path.suffix.lower(), safe
        if resume and overwrite:
            raise InputError("to resume a file and to overwrite it are two things: choose one")
        check(path, resume, overwrite)
        if self.format == ".parquet":
            whole.pyarrow()
        self.working = path if self.format in GROWING else beside(path, ".partial")
        self.begun = begun.described(begun.WRITE, begun_with)
        self.head = _head(self.format, rows, self.begun)
        self.done = self.failed = 0
        self.ahead: list[Any] = []  # sources that `left` took off the list although they are not done
        self.complete: int | None = None  # bytes of whole pictures in the working file, None until that is known
        with writing(path):
            self.lock = begun.locked(path)
            try:
                self.file = self._begin(begun_with, resume, overwrite)
            except BaseException:
                self.lock.close()
                raise

    def _begin(self, begun_with: Mapping[str, Any], resume: bool, overwrite: bool) -> BinaryIO:
        before = begun.before(self.lock, begun_with)
        if before and not overwrite:
            run, then = begun.read(self.path, before)
            option = "--update" if run == begun.UPDATE else "--resume"
            if not resume or run == begun.UPDATE:
                name = plain(self.path)
                raise InputError(f"{name} is of a run that did not end: continue it with {option}, or --overwrite it")
            begun.refuse_another(self.path, then, begun_with)
            return self._continue()
        if resume and self.working != self.path and self.working.exists():
            raise begun.damaged(self.path)
        if self.path.exists() and not overwrite:  # another run has just ended
            beside(self.path, ".resume").unlink()
            raise exists(self.path)
        return self._anew()

    def _anew(self) -> BinaryIO:
        for ending in (".state", ".partial"):  # of what was there before
            beside(self.path, ending).unlink(missing_ok=True)
        begun.replace(self.lock, self.begun)
        file = begun.opened(self.working, new=True)
        begun.replace(file, self.head)
        self.complete = len(self.head)
        return file

    def _continue(self) -> BinaryIO:
        file = begun.opened(self.working, new=False)
        start = file.read(len(self.head))
        if start != self.head:
            if not self.head.startswith(start):
                raise InputError(f"{plain(self.path)} does not begin as it did: something else has written it")
            begun.replace(file, self.head)
        return file

    def left(self, sources: Iterator[Any]) -> Iterator[Any]:
        """Pass over what is done; return the sources that are not."""
        self.skip_done(sources)
        return chain(self.ahead, sources)

    def skip_done(self, sources: Iterator[Any]) -> int:
        """Take the sources that are done off the front and return their number; a picture cut short at the end is removed.

        One more may be in `ahead` then. Raises `InputError`, and leaves the file as it is, if the sources are not those
        that are done, or if it cannot be read.
        """
        whole = len(self.head)
        with open(self.working, "rb") as reader:
            try:
                for row in self._rows(reader):
                    self.tick(f"reading {plain(self.path.name)}")
                    self._compare(row.name, next(sources, None))
                    whole = row.end + (self.format == ".jsonl")
                    self.done += 1
                    self.failed += row.failed
            except resumed.Unreadable:
                self._refuse(whole, next(sources, None))
            self._check_rest(whole, reader, sources)
        with writing(self.path):
            self.file.truncate(whole)
        self.complete = whole
        return self.done

    def _rows(self, reader: BinaryIO) -> Iterator[Row]:
        if self.working == self.path:
            yield from resumed.rows_of(self.format, reader, self.rows, len(self.head), self.safe)
            return
        for record in journal.records(reader, len(self.head)):
            yield Row(record.name, bool(record.error), record.start, record.end)

    def _compare(self, name: str, source: Any) -> None:
        if source is None or shown(source) != name:
            found = "ends before it" if source is None else f"has {plain(source)} there"
            raise InputError(
                f"{plain(self.path)}: picture {self.done + 1} was {one_line(name)}, now the list {found}:"
                " name the same pictures, go on with --update, which takes them in any order, or begin again with --overwrite"
            )

    def _check_rest(self, whole: int, reader: BinaryIO, sources: Iterator[Any]) -> None:
        """What is behind the whole pictures goes only if it is a part of the next one."""
        size = os.fstat(reader.fileno()).st_size - whole
        if not size or self.working != self.path:  # a journal's record says itself that it is cut short
            return
        self.ahead = list(islice(sources, 1))
        reader.seek(whole)
        rest, name = reader.read(resumed.LONGEST), shown(self.ahead[0]) if self.ahead else None
        if name is None or not resumed.cut_short(self.format, self.rows, name, rest, size, self.safe):
            self._refuse(whole, *self.ahead)

    def _refuse(self, whole: int, source: Any = None) -> NoReturn:
        name = "after the last of the list" if source is None else plain(source)
        raise InputError(resumed.refusal(plain(self.working), self.done + 1, whole, name))

    def write(self, source: Any, value: Any, error: Exception | None, seconds: float = 0.0) -> None:
        """Append one picture: its value, or its error. Raises `InputError` if it cannot be written."""
        if self.complete is None:
            raise InputError("a file that is resumed needs skip_done() first")
        name, why = shown(source), why_not(source, error)
        data = encoded(self.format, self.rows, name, value, why, 1e3 * seconds, self.safe)
        if self.working != self.path:
            data = journal.encode(name, why, data, 1e3 * seconds)
        elif self.format == ".jsonl":
            data += b"\n"
        with writing(self.path):
            self.file.seek(self.complete)
            begun.write_all(self.file, data)
        self.complete += len(data)
        self.done += 1
        self.failed += error is not None

    def _since(self, _: str) -> int:
        self.tick(f"writing {plain(self.path.name)}")
        return 0

    def __enter__(self) -> Output:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            with writing(self.path):
                self._end(complete=kind is None, stopped=isinstance(error, KeyboardInterrupt))
        finally:
            self.file.close()
            self.lock.close()

    def _end(self, complete: bool, stopped: bool) -> None:
        """Leave a valid file; the companions go only after everything else is on the disk."""
        if self.complete is not None:
            self.file.truncate(self.complete)
        os.fsync(self.file.fileno())
        if self.working != self.path and (complete or (stopped and self.complete is not None)):
            with open(self.working, "rb") as reader:
                answers = whole.Answers(reader, len(self.head), self._since)
                whole.publish(self.path, self.rows, answers, about=self.part.about if self.part else None)
        if complete:
            if self.working != self.path:
                self.working.unlink()
            elif self.part:
                state.write(self.path, self.part.of_file(self.path), ())
            beside(self.path, ".resume").unlink()


def encoded(ending: str, rows: Rows, name: str, value: Any, error: str | None, milliseconds: float, safe: bool) -> bytes:
    """One picture as a file of this ending has it."""
    if ending == ".csv":
        return csv_rows(rows, name, value, error, milliseconds, safe).encode()
    if ending in (".json", ".jsonl"):
        return json_row(rows, name, value, error, milliseconds).encode()
    return b"" if error is not None else whole.payload(rows, value)


def check(path: Path, resume: bool = False, overwrite: bool = False, update: bool = False) -> None:
    """Refuse, before any work, a file that cannot or must not be written. Raises `InputError`."""
    name = plain(path)
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"{name}: results go to a file that ends in {', '.join(FORMATS[:-1])} or {FORMATS[-1]}")
    check_target(path, overwrite=True)
    if path.exists() and not (overwrite or update) and not beside(path, ".resume").exists():
        if resume:
            raise InputError(f"{name} is complete, so there is nothing to --resume; --update takes what it has not")
        raise exists(path)


def _head(ending: str, rows: Rows, begun_with: bytes) -> bytes:
    """How a working file begins."""
    if ending in GROWING:
        return csv_text([rows.header]).encode() if ending == ".csv" else b""
    return journal.head(begun_with)
