"""Putting pictures into a gallery: only what is new or has changed is read, and only what is of new bytes is embedded.

A picture is the one that it was if its file has the size and time that it had; else its sha256 tells. Pictures go through
`runtime.stream`, which decodes and runs them in threads; each second what is done is kept, in one transaction.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import LcnetError
from ..sources.stamp import stamp_of
from ..text import shown
from .candidate import Candidate
from .places import Key
from .store import Row, Store

if TYPE_CHECKING:
    from ..runtime import Classifier
    from ..runtime.stream import Streamed

NEW, CHANGED, SAME, FAILED = "new", "changed", "same", "failed"
KEPT = 256  # pictures in a transaction at most
PAUSE = 1.0  # seconds between two of them at most, while pictures are answered


class Outcome(NamedTuple):
    """What became of one picture that was looked at."""

    path: str  # as it was found
    what: str  # NEW, CHANGED or FAILED
    error: LcnetError | None = None


class _KnownError(LcnetError):
    """No error: a picture of these bytes is in the gallery already, and the network need not see it."""


class Adding:
    """One run over sources. `counts` says how many were of which kind, `copies` how many of the new have bytes known already.

    Two runs at a time, also of two processes, do no harm: each puts in what it has found.
    """

    def __init__(self, store: Store, model: Classifier) -> None:
        self.store, self.model = store, model
        self.counts: Counter[str] = Counter()
        self.copies = 0
        self.rows: list[Row] = []
        self.gone: list[Key] = []  # pictures that were in, and that cannot be read any more
        self.taken_out = 0  # of these
        self.fresh: set[bytes] = set()  # sha256 of what is in `rows`
        self.kept = time.monotonic()

    def run(self, sources: Iterable[Any]) -> Generator[Outcome, None, None]:
        """Yield what became of each picture that is new, has changed, or cannot be read; each is kept soon after.

        What was answered is kept also if the iterator is closed, or Ctrl-C ends it. Raises `GalleryError`.
        """
        answer = self.model.answer("embeddings")
        try:
            with closing(self._streamed(self._candidates(sources), answer)) as items:
                for item in items:
                    yield self._take(item)
                    if len(self.rows) >= KEPT or time.monotonic() - self.kept > PAUSE:
                        yield from self._keep()
        finally:
            left = list(self._keep())
        yield from left

    def _streamed(self, candidates: Iterator[Candidate], answer: Any) -> Any:
        from ..runtime.stream import stream

        return stream(candidates, self._prepare, answer, errors="yield", workers=self.model.threads)

    def _candidates(self, sources: Iterable[Any]) -> Iterator[Candidate]:
        """What is new or has changed by size and time. Called in the thread that reads sources."""
        for source, key, stamp in self.store.looked_up(sources):
            if stamp is not None and stamp == stamp_of(source):
                self.counts[SAME] += 1
            else:
                yield Candidate(source, key, NEW if stamp is None else CHANGED)

    def _prepare(self, candidates: list[Any]) -> np.ndarray:
        """The network's input of one candidate, float32 [1,C,H,W]. Called in several threads."""
        candidate: Candidate = candidates[0]
        data = candidate.read()
        if candidate.sha256 in self.fresh or self.store.has(candidate.sha256):
            raise _KnownError
        return candidate.look(data, self.model)

    def _take(self, item: Streamed) -> Outcome:
        candidate: Candidate = item.source
        if item.error is not None and not isinstance(item.error, _KnownError):
            self.counts[FAILED] += 1
            if candidate.what == CHANGED:
                self.gone.append(candidate.key)
                self.taken_out += 1
            return Outcome(candidate.name, FAILED, item.error)
        self.counts[candidate.what] += 1
        self.copies += item.error is not None or candidate.sha256 in self.fresh
        if item.error is not None:
            self.rows.append(Row(candidate.key, candidate.stamp, candidate.sha256))
        else:
            self.rows.append(Row(candidate.key, candidate.stamp, candidate.sha256, candidate.content, item.value))
            self.fresh.add(candidate.sha256)
        return Outcome(candidate.name, candidate.what)

    def _keep(self) -> Iterator[Outcome]:
        """Put what was answered into the gallery. Yields what another process has made impossible."""
        rows, gone = self.rows, self.gone
        self.rows, self.gone = [], []
        if rows or gone:
            lost = set(self.store.put(rows, gone))
            for row in rows:
                if row.key in lost:
                    self.counts[FAILED] += 1
                    path = shown(self.store.place.path(row.key))
                    why = "another process has taken its copies out meanwhile: add it again"
                    yield Outcome(path, FAILED, LcnetError(f"{path}: {why}"))
        self.fresh, self.kept = set(), time.monotonic()
