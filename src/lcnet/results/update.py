"""A file of results that is kept up to date: a run takes what it has not, whatever the order, and rewrites what has changed.

FILE stays as it is until the end of the run, when a new one takes its place, whole or not at all. Until then answers are in the
journal `FILE.partial`: what a run was killed with, the next one goes on from. `FILE.resume` is the lock, as of every run;
`FILE.state`, which stays, has the sizes and times of the pictures. Goes on with a run of `outputs` that did not end, too.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from ..errors import InputError
from ..files import writing
from ..sources.found import Found
from ..sources.stamp import Stamp, is_gone, stamp_of
from ..text import plain, shown
from . import begun, journal, state, whole
from .begun import Tick, beside
from .known import Known
from .outputs import GROWING, check, encoded
from .resumed import Unreadable
from .rows import Rows, why_not
from .stored import Stored


class Update:
    """An update of one file of results. A context manager: leaving it through an exception keeps what was done."""

    def __init__(
        self,
        path: Path,
        rows: Rows,
        begun_with: Mapping[str, Any],
        prune: bool = False,
        safe: bool = False,
        tick: Tick | None = None,
    ) -> None:
        """Lock the file and read what it has. Raises `InputError`, `MissingExtraError`.

        begun_with: as of `Output`; what FILE was made with must be the same. prune: rows of pictures that are not among the
        sources go, unless some could not be looked for, or none was found. tick: called often with what is being done, while
        FILE is read or written.
        """
        self.path, self.rows, self.format, self.safe = path, rows, path.suffix.lower(), safe
        check(path, update=True)
        if self.format == ".parquet":
            whole.pyarrow()
        self.begun_with, self.tick, self.remarks = dict(begun_with), tick or begun.quietly, list[str]()
        self.known = Known(prune)
        self.done = self.failed = self.records = 0  # of this run; the last of the journal, with what it had
        self.stamps: deque[tuple[bool, Stamp | None]] = deque()  # of the sources that were given out, in their order
        self.exhausted = self.hidden = self.stale = self.closed = False
        with writing(path):
            self.lock = begun.locked(path)
            try:
                self._begin()
            except BaseException:
                self._leave()
                raise

    def _begin(self) -> None:
        before = begun.before(self.lock, self.begun_with)
        run = begun.UPDATE
        if before:
            run, then = begun.read(self.path, before)
            begun.refuse_another(self.path, then, self.begun_with)
        unfinished = run == begun.WRITE
        self.cut = unfinished and self.format in GROWING
        self.stood = stamp_of(self.path)
        self.journal = beside(self.path, ".partial")
        self.before = self._before(base=not unfinished or self.cut)
        text = begun.described(run, self.begun_with)
        self.fresh = self._read_journal(run)
        if not before:
            begun.replace(self.lock, text)
        if self.fresh:
            self.file, self.start = begun.opened(self.journal, new=True), len(journal.head(text))
            begun.replace(self.file, journal.head(text))
            self.end = self.start

    def _before(self, base: bool) -> Stored | None:
        """Read FILE and its state: what FILE had if it is of this run, or of one that ended."""
        if not base or not self.path.exists():
            return None
        found, old = whole.stored(self.path, self.rows, self.safe, self.cut), state.read(self.path)
        self.stale = old is None or not old.as_left
        if old is not None:
            begun.refuse_another(self.path, old.begun_with, self.begun_with)
        try:
            for name, failed in found.pictures():
                self.known.has(name, failed)
                self.tick(f"reading {plain(self.path.name)}")
        except Unreadable:
            raise self._unreadable(self.path) from None
        for name, stamp in old.stamps if old is not None else ():
            self.known.stamped(name, stamp)
        if old is None and not self.cut:
            self._remark(
                "there is no list of sizes and times beside it that can be read: by which model and options its rows "
                "are is not known, and they stay as they are where there is a picture of their name"
            )
        elif old is not None and not old.as_left and not self.journal.exists():  # or a run was killed right behind FILE
            self._remark("something else has changed it since: its rows stay as they stand")
        return found

    def _remark(self, text: str) -> None:
        self.remarks.append(f"{plain(self.path)}: {text}")

    def _read_journal(self, run: str) -> bool:
        """Read the journal of a run that was killed; whether there is none, and a new one is to be begun."""
        if not self.journal.exists():
            return True
        with open(self.journal, "rb") as reader:
            try:
                text = journal.begun_with(reader)
                if not text:
                    return True
                of, then = begun.read(self.path, text)
                if of != run and self.format not in GROWING:  # whether FILE counts is not known any more
                    raise begun.damaged(self.path)
                begun.refuse_another(self.path, then, self.begun_with)
                self.start = self.end = len(journal.head(text))
                for record in journal.records(reader, self.start):
                    self.known.answered(self.records, record.name, bool(record.error), record.again, record.stamp)
                    self.records, self.end = self.records + 1, record.end
            except Unreadable:
                raise self._unreadable(self.journal) from None
        self.file = begun.opened(self.journal, new=False)
        self.file.truncate(self.end)
        return False

    def _unreadable(self, path: Path) -> InputError:
        return InputError(
            f"{plain(path)} cannot be read as lcnet wrote it. Nothing is changed: bring it back to what it was, choose another "
            "--output, or begin again with --overwrite"
        )

    def left(self, sources: Iterable[Any]) -> Iterator[Any]:
        """The sources that are to be answered; `write` is then called once for each, in their order."""
        for source in sources:
            if self.closed:  # the thread that finds them may be behind the one that ends the run
                return
            self.hidden |= isinstance(source, Found) and source.hides
            stamp = stamp_of(source)
            again = self.known.wants(shown(source), stamp, stamp is None and is_gone(source))
            if again is not None:
                self.stamps.append((again, stamp))
                yield source
            self.tick("looking for what is new")
        self.exhausted = True

    def write(self, source: Any, value: Any, error: Exception | None, seconds: float = 0.0) -> None:
        """Add one picture: its value, or its error. Raises `InputError` if it cannot be written."""
        again, stamp = self.stamps.popleft()
        name, why = shown(source), why_not(source, error)
        payload = encoded(self.format, self.rows, name, value, why, 1e3 * seconds, self.safe)
        if self.format == ".jsonl":
            payload += b"\n"
        data = journal.encode(name, why, payload, 1e3 * seconds, again, stamp)
        with writing(self.path):
            self.file.seek(self.end)
            begun.write_all(self.file, data)
        self.known.answered(self.records, name, error is not None, again, stamp)
        self.end += len(data)
        self.records += 1
        self.done += 1
        self.failed += error is not None

    def __enter__(self) -> Update:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.closed = True
        try:
            with writing(self.path):
                self.file.truncate(self.end)
                os.fsync(self.file.fileno())
                if kind is None or isinstance(error, KeyboardInterrupt):
                    self._publish(complete=kind is None and self.exhausted)
        except Unreadable:
            raise self._unreadable(self.path) from None
        finally:
            self._leave()

    def _publish(self, complete: bool) -> None:
        """Put FILE and its state in their places; the companions go only after everything else is on the disk."""
        self.known.prune = self.known.prune and complete and self._may_prune()
        self.gone = self.known.unseen() if complete else 0
        drops = self.known.drops()
        if self.records or drops or self.cut or self.before is None:
            self._rewrite(drops)
        if self.records or drops or self.cut or self.stale or self.known.believed or not beside(self.path, ".state").exists():
            state.write(self.path, self.begun_with, self.known.stamps())
        self.journal.unlink()
        beside(self.path, ".resume").unlink()

    def _rewrite(self, drops: bool) -> None:
        if stamp_of(self.path) != self.stood:
            raise InputError(
                f"{plain(self.path)} was changed by something else meanwhile, and is left as it is now: "
                "the same command adds what was done"
            )
        with open(self.journal, "rb") as reader:
            answers = whole.Answers(reader, self.start, self._since)
            whole.publish(self.path, self.rows, answers, self.before, self._stays if drops else None)

    def _since(self, name: str) -> int:
        self.tick(f"writing {plain(self.path.name)}")
        return self.known.since(name)

    def _stays(self, name: str) -> bool:
        self.tick(f"writing {plain(self.path.name)}")
        return self.known.stays(name)

    def _may_prune(self) -> bool:
        """Not what could not be looked for: a disk that is not there empties no FILE."""
        if self.hidden or not (self.known.there or self.done > self.failed):
            why = "something could not be looked into" if self.hidden else "no picture was found"
            self._remark(f"{why}, so that nothing is known to be gone: no row is dropped")
            return False
        return True

    def _leave(self) -> None:
        """Let go of the lock; a run that has not begun anything leaves nothing behind."""
        with suppress(AttributeError):
            self.file.close()
        with suppress(OSError):
            if not os.fstat(self.lock.fileno()).st_size:
                beside(self.path, ".resume").unlink(missing_ok=True)
        self.lock.close()
