"""Putting pictures into a gallery: only what is new or has changed is read, and only what is of new bytes is embedded.

A picture is the one that it was if its file has the size and time that it had; else its sha256 tells. Pictures go through
`runtime.stream`, which decodes and runs them in threads; each second what is done is kept, in one transaction.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..dataset.look import codes_of, pixel_hash
from ..errors import ImageError, LcnetError
from ..image import decode
from ..image.reading import file_of
from ..sources.formats import KNOWN, START, format_of
from ..sources.found import Found
from ..sources.stamp import stamp_of
from ..text import reason, shown
from .places import Key
from .store import AT_ONCE, Content, Row, Store

if TYPE_CHECKING:
    from ..runtime import Classifier
    from ..runtime.stream import Streamed

NEW, CHANGED, SAME, FAILED = "new", "changed", "same", "failed"
MOST = 1 << 30  # bytes of one file
KEPT = 256  # pictures in a transaction at most
PAUSE = 1.0  # seconds between two of them at most, while pictures are answered


class Outcome(NamedTuple):
    """What became of one picture that was looked at."""

    path: str  # as it was found
    what: str  # NEW, CHANGED or FAILED
    error: LcnetError | None = None


class _KnownError(LcnetError):
    """No error: a picture of these bytes is in the gallery already, and the network need not see it."""


class _Candidate:
    """A picture that may have to be embedded. For `runtime.stream` it is a file of that name, and weighs what it holds."""

    __slots__ = ("content", "key", "name", "nbytes", "sha256", "source", "stamp", "what")

    def __init__(self, source: Any, key: Key) -> None:
        self.source, self.key, self.name = source, key, shown(source)
        self.stamp = stamp_of(source)
        self.what = NEW
        self.sha256, self.content = b"", Content(b"", b"", b"", False)
        self.nbytes = source.weight if isinstance(source, Found) else 0

    def read(self) -> bytes:
        """The bytes of the picture, if they begin as a picture does. Raises `ImageError`."""
        try:
            with file_of(self.source.open() if isinstance(self.source, Found) else self.source) as file:
                start = file.read(START)
                if start and format_of(start) is None:
                    raise ImageError(f"it is not a picture of a known format ({KNOWN}): it starts with {start[:16]!r}")
                data = start + file.read(MOST)
        except (OSError, ValueError) as error:
            raise ImageError(f"{self.name}: {reason(error)}") from None
        except ImageError as error:
            raise ImageError(f"{self.name}: {str(error).removeprefix(f'{self.name}: ')}") from None
        if len(data) >= MOST:
            raise ImageError(f"{self.name}: it has {MOST >> 30} GiB or more, which no picture has")
        return data


class Adding:
    """One run over sources. `counts` says how many were of which kind, `copies` how many of the new have bytes known already."""

    def __init__(self, store: Store, model: Classifier) -> None:
        self.store, self.model = store, model
        self.counts: Counter[str] = Counter()
        self.copies = 0
        self.rows: list[Row] = []
        self.gone: list[Key] = []  # pictures that were in, and that cannot be read any more
        self.fresh: set[bytes] = set()  # sha256 of what is in `rows`
        self.kept = time.monotonic()

    def run(self, sources: Iterable[Any]) -> Iterator[Outcome]:
        """Yield what became of each picture that is new, has changed, or cannot be read; each is kept soon after.

        What was answered is kept also if the iterator is closed, or Ctrl-C ends it. Raises `GalleryError`.
        """
        answer = self.model.answer("embeddings")
        workers = self.model.threads
        try:
            with closing(self._streamed(self._candidates(sources), answer, workers)) as items:
                for item in items:
                    yield self._take(item)
                    if len(self.rows) >= KEPT or time.monotonic() - self.kept > PAUSE:
                        yield from self._keep()
        finally:
            left = list(self._keep())
        yield from left

    def _streamed(self, candidates: Iterator[_Candidate], answer: Any, workers: int) -> Any:
        from ..runtime.stream import stream

        return stream(candidates, self._prepare, answer, errors="yield", workers=workers)

    def _candidates(self, sources: Iterable[Any]) -> Iterator[_Candidate]:
        """What is new or has changed by size and time. Called in the thread that reads sources."""
        rest = iter(sources)
        while some := [(self.store.place.key(source), source) for source in islice(rest, AT_ONCE)]:
            known = self.store.stamps(key for key, _ in some)
            for key, source in some:
                if key in known and known[key] == stamp_of(source):
                    self.counts[SAME] += 1
                    continue
                if isinstance(source, Found):
                    source.prepare()
                candidate = _Candidate(source, key)
                candidate.what = CHANGED if key in known else NEW
                yield candidate

    def _prepare(self, candidates: list[Any]) -> np.ndarray:
        """The network's input of one candidate, float32 [1,C,H,W]. Called in several threads."""
        from hashlib import sha256

        candidate = candidates[0]
        data = candidate.read()
        candidate.sha256 = sha256(data).digest()
        if candidate.sha256 in self.fresh or self.store.has(candidate.sha256):
            raise _KnownError
        try:
            pixels = decode(data, self.model.preprocessing, self.model.max_pixels)
            x: np.ndarray = self.model.preprocess([pixels])
        except LcnetError as error:
            raise ImageError(f"{candidate.name}: {_bare(error)}") from None
        code, _, plain = codes_of(pixels)
        candidate.content = Content(candidate.sha256, pixel_hash(pixels), code, plain)
        return x

    def _take(self, item: Streamed) -> Outcome:
        candidate: _Candidate = item.source
        if item.error is not None and not isinstance(item.error, _KnownError):
            self.counts[FAILED] += 1
            if candidate.what == CHANGED:
                self.gone.append(candidate.key)
            return Outcome(candidate.name, FAILED, item.error)
        self.counts[candidate.what] += 1
        if item.error is not None:
            self.copies += 1
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


def _bare(error: LcnetError) -> str:
    """What is wrong, without what was read being called bytes or an array."""
    return str(error).removeprefix("image bytes: ").removeprefix("image array: ")
