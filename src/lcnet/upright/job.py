"""The job: any number of files read, asked how their pages stand, and turned, in threads and in memory that does not grow.

A worker takes a few files at once: their pages are put to the network together, and each file is turned and put where it goes
before the next. What became of every page is yielded in the order of the files. Whoever stops taking stops the job: workers end
after the file that they are at.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..changes.journal import CannotGoOnError, ChangedError, Stamp, stamp
from ..errors import ImageError, InputError, LcnetError
from ..image.pixels import explained
from ..sources.formats import MAX_PIXELS
from ..text import shown
from .pages import read
from .refused import Refused
from .turning import turned

if TYPE_CHECKING:
    from .orientation import Orientation
    from .places import Place

    Decide = Callable[[Sequence[np.ndarray]], list[Orientation]]

UPRIGHT, TURNED, WOULD_TURN, UNSURE, ERROR, REFUSED = "upright", "turned", "would turn", "unsure", "error", "refused"
FILES = 4  # that a worker takes at once
PAGES = 8  # that are put to the network at once
WINDOW = 3  # batches a worker: one at work, one waiting, one done but behind a slower one


class Source(NamedTuple):
    """A file, and the folder that was named in which it was found; or why there is none."""

    path: Path
    root: Path | None = None
    error: LcnetError | None = None


class Row(NamedTuple):
    """What became of one page, from 1; without a number what became of a file. Angles are clockwise."""

    path: str
    page: int | None
    angle: int | None
    confidence: float | None
    action: str
    how: str | None = None
    error: str | None = None

    def to_json(self) -> dict[str, Any]:
        """By the names of the columns."""
        return self._asdict()


class Rules(NamedTuple):
    """What is asked of a page before it is turned, and how it is."""

    min_confidence: float = 0.9
    tag_only: bool = False
    max_pixels: int = MAX_PIXELS


class Answered(NamedTuple):
    """A file whose pages have been read: by their numbers how they stand, or why they cannot be read; why reading ended."""

    source: Source
    seen: Stamp | None
    pages: dict[int, Orientation | LcnetError]
    error: LcnetError | None


class Job:
    """One run. `counts` are its pages so far by what became of them."""

    def __init__(self, decide: Decide, short_side: int, place: Place, rules: Rules = Rules(), threads: int = 1) -> None:  # noqa: B008
        """decide: as `PageOrientation` does, with pages whose shorter side has at least `short_side` pixels."""
        self.decide, self.short_side, self.place, self.rules, self.threads = decide, short_side, place, rules, threads
        self.counts: Counter[str] = Counter()
        self.stopped = threading.Event()

    def rows(self, sources: Iterable[Source]) -> Generator[Row, None, None]:
        """Do the work, and yield the rows of each file in their order. Raises `CannotGoOnError`."""
        pool = ThreadPoolExecutor(self.threads, "lcnet upright")
        waiting: deque[Future[list[Row]]] = deque()
        try:
            for batch in _batches(iter(sources)):
                waiting.append(pool.submit(self._batch, batch))
                while len(waiting) >= WINDOW * self.threads:
                    yield from self._counted(waiting.popleft().result())
            while waiting:
                yield from self._counted(waiting.popleft().result())
        finally:
            self.stopped.set()
            pool.shutdown(wait=True, cancel_futures=True)

    def _counted(self, rows: list[Row]) -> Iterator[Row]:
        for row in rows:
            self.counts[row.action] += 1
            yield row

    def _batch(self, sources: Sequence[Source]) -> list[Row]:
        rows: list[Row] = []
        for answered in self._answers(sources):
            if self.stopped.is_set():
                break
            try:
                rows += self._settled(answered)
            except ChangedError:  # named twice, or by another run: it is looked at once more
                for again in self._answers([answered.source]):
                    rows += self._settled(again, last=True)
        return rows

    def _answers(self, sources: Sequence[Source]) -> list[Answered]:
        """Read files, and put their pages to the network together."""
        files: list[Answered] = []
        pending: list[tuple[Answered, int, np.ndarray]] = []
        for source in sources:
            if self.stopped.is_set():
                break
            answered = self._begun(source)
            files.append(answered)
            if answered.error is None:
                files[-1] = self._read(answered, pending)
        self._decided(pending)
        return files

    def _begun(self, source: Source) -> Answered:
        if source.error is not None:
            return Answered(source, None, {}, source.error)
        try:
            if source.path.exists() and not source.path.is_file():
                return Answered(source, None, {}, Refused("it is no file: a pipe, a device or a folder is not turned"))
            return Answered(source, stamp(source.path), {}, None)
        except (OSError, ValueError) as error:
            return Answered(source, None, {}, ImageError(explained(error)))

    def _read(self, file: Answered, pending: list[tuple[Answered, int, np.ndarray]]) -> Answered:
        try:
            for page in read(file.source.path, self.short_side, self.rules.max_pixels):
                if page.pixels is None:
                    file.pages[page.number] = page.error or ImageError("it has no pixels")
                    continue
                pending.append((file, page.number, page.pixels))
                if len(pending) >= PAGES:
                    self._decided(pending)
        except LcnetError as error:
            return file._replace(error=error)
        return file

    def _decided(self, pending: list[tuple[Answered, int, np.ndarray]]) -> None:
        """Ask the network about pages, and where one of them is at fault about each by itself, to find out which."""
        if not pending:
            return
        try:
            answers: Sequence[Orientation | LcnetError] = self.decide([pixels for _, _, pixels in pending])
        except ImageError as error:  # too narrow to be scaled
            if len(pending) > 1:
                for one in pending:
                    self._decided([one])
                pending.clear()
                return
            answers = [error]
        for (file, number, _), answer in zip(pending, answers, strict=True):
            file.pages[number] = answer
        pending.clear()

    def _settled(self, file: Answered, last: bool = False) -> list[Row]:
        """Turn what is to be turned, put the file where it goes, and write its rows into the report.

        Raises `ChangedError` unless it is the last time.
        """
        name = shown(file.source.path)
        rows = [self._row(name, number, answer) for number, answer in sorted(file.pages.items())]
        if file.error is not None:
            rows.append(
                Row(name, None, None, None, REFUSED if isinstance(file.error, Refused) else ERROR, None, str(file.error))
            )
        if file.seen is not None:
            rows = self._placed(file, file.seen, rows, last)
        for row in rows:
            self.place.tell(row.to_json())
        return rows

    def _row(self, name: str, number: int, answer: Orientation | LcnetError) -> Row:
        if isinstance(answer, LcnetError):
            return Row(name, number, None, None, ERROR, None, str(answer))
        sure = answer.confidence >= self.rules.min_confidence
        action = (TURNED if answer.angle else UPRIGHT) if sure else UNSURE
        return Row(name, number, answer.angle, answer.confidence, action)

    def _placed(self, file: Answered, seen: Stamp, rows: list[Row], last: bool) -> list[Row]:
        data, done = self._turned(file.source, rows)
        try:
            self.place.put(file.source, data, seen)
        except CannotGoOnError:
            raise
        except (InputError, OSError) as error:
            if isinstance(error, ChangedError) and not last:
                raise
            said = str(error) if isinstance(error, InputError) else explained(error)
            return [row._replace(action=ERROR, how=None, error=row.error or said) for row in done]
        return done

    def _turned(self, source: Source, rows: list[Row]) -> tuple[bytes | None, list[Row]]:
        """The file with its pages turned, None if none is, and what to say of them if it gets where it goes."""
        angles = {row.page: row.angle for row in rows if row.page and row.angle and row.action == TURNED}
        if not angles:
            return None, rows
        try:
            self.place.check(source)
            data, how = turned(source.path, angles, self.rules.tag_only)
        except (LcnetError, OSError) as error:
            action = REFUSED if isinstance(error, Refused) else ERROR
            said = str(error) if isinstance(error, LcnetError) else explained(error)
            return None, [r._replace(action=action, error=said) if r.action == TURNED else r for r in rows]
        return data, [r._replace(action=self.place.word, how=how.get(r.page or 0)) if r.action == TURNED else r for r in rows]


def _batches(sources: Iterator[Source]) -> Iterator[list[Source]]:
    while batch := list(islice(sources, FILES)):
        yield batch
