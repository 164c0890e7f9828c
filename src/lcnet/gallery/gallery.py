"""A gallery: pictures by their embeddings, to be added to, searched and exported. What the command line and Python share."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from fnmatch import translate
from functools import cached_property
from hashlib import sha256
from itertools import islice
from pathlib import Path
from re import compile as regex
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import GalleryError, InputError, LcnetError
from ..results.job import settle
from ..text import plain, shown
from .about import About
from .database import VERSION
from .matrix import ENDING, Matrix, matrix_of
from .places import Key, as_text, file_of
from .store import Store

if TYPE_CHECKING:
    from ..runtime import Classifier
    from .adding import Outcome


class Match(NamedTuple):
    """A picture that was found."""

    path: str  # from where the gallery was named
    similarity: float  # cosine, -1 to 1


class Query(NamedTuple):
    """A picture to search by: what it is called, what to decode, its sha256; and its embedding, or why there is none."""

    name: str
    source: Any
    sha256: bytes
    vector: Any  # float32 [D]
    error: LcnetError | None


class Gallery:
    """An open gallery; `open` and `create` make one. Safe to use from many threads at once; close it, or use it with `with`.

    `path`: of its file. `about`: the model and the arithmetic that its embeddings are of.
    """

    def __init__(self, store: Store, model: str | None = None, **options: Any) -> None:
        """model: where that of the gallery is now, if not where it was. options: `threads`, `isa`, `max_pixels` of `load`."""
        self.store, self._named, self._options = store, model, options
        self._matrix: Matrix | None = None

    @property
    def path(self) -> Path:
        """The path of the gallery's file."""
        return self.store.path

    @property
    def about(self) -> About:
        """What the gallery says of its model and its vectors."""
        return self.store.about

    def __len__(self) -> int:
        """How many pictures there are."""
        return self.store.counts()[0]

    def __enter__(self) -> Gallery:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self.store.close()

    @cached_property
    def model(self) -> Classifier:
        """The model of the gallery, loaded. Raises what `lcnet.load` raises, and `GalleryError` if it is another one now."""
        from ..runtime import load

        name, precision = self._named or self.about.model, "bf16" if self.about.precision == "bf16" else "fp32"
        model = load(name, precision=precision, **self._options)
        self.about.refuse_other(About.of(name, model, self.about.coding), self.path)
        return model

    def add(self, images: Any, recursive: bool = False) -> Iterator[Outcome]:
        """Put pictures in that are new or have changed; yield `Outcome(path, what, error)` of each that was looked at.

        images: paths of files, folders (`recursive`: with those below), globs or archives, one or an iterable. `what` is
        `new`, `changed` or `failed`; a picture that cannot be read has its error, and is not in the gallery. Nothing is done
        before the first is asked for. Raises `GalleryError`.
        """
        from ..sources import find
        from .adding import Adding

        yield from Adding(self.store, self.model).run(find(images, recursive))

    def remove(self, keys: Iterable[Key]) -> int:
        """Take out pictures by what the gallery calls them (`matching`, `missing`); how many were in. Raises `GalleryError`."""
        return self.store.remove(keys)

    def matching(self, patterns: Sequence[str]) -> list[Key]:
        """The pictures that one of these names or patterns means, by path: see `pattern`.

        Raises `InputError` for one that means none.
        """
        tests = [pattern(text, self.store) for text in patterns]
        used, found = [False] * len(tests), []
        for key, _ in self.store.entries():
            good = [test(key) for test in tests]
            used = [before or now for before, now in zip(used, good, strict=True)]
            if any(good):
                found.append(key)
        if not all(used):
            raise InputError(f"{plain(patterns[used.index(False)])}: the gallery {plain(self.path)} has no such picture")
        return found

    def listed(self, where: str, most: int | None = None) -> list[Match]:
        """The pictures that a name, folder or pattern means, by path; their similarity is 1."""
        test = pattern(where, self.store)
        return [Match(self.store.place.path(key), 1.0) for key in islice((k for k, _ in self.store.entries() if test(k)), most)]

    def facts(self) -> dict[str, Any]:
        """What there is to know of the gallery, as plain values."""
        pictures, contents = self.store.counts()
        about, matrix = self.about, self.path.with_name(self.path.name + ENDING)
        return {
            "path": shown(self.path),
            "pictures": pictures,
            "different_pictures": contents,
            "model": shown(about.model),
            "model_sha256": about.model_sha256,
            "precision": about.precision,
            "values": about.dimension,
            "coding": about.coding,
            "bytes": self.path.stat().st_size,
            "search_bytes": matrix.stat().st_size if matrix.is_file() else 0,
            "version": VERSION,
        }

    def missing(self) -> list[Key]:
        """The pictures whose files are not there any more, by path. Raises `GalleryError` if that are all."""
        found, count = [], 0
        for key, _ in self.store.entries():
            count += 1
            if not os.path.lexists(file_of(self.store.place.path(key))):
                found.append(key)
        if found and len(found) == count:
            raise GalleryError(
                f"{plain(self.path)}: none of its {count:,} pictures is there: is the disk? Nothing is taken out"
            )
        return found

    def search(
        self,
        queries: Any,
        k: int = 10,
        *,
        where: str | None = None,
        min_similarity: float = -1.0,
        exclude_self: bool = False,
        exact: bool = False,
    ) -> list[list[Match]]:
        """Return the `k` pictures nearest to each query, nearest first: always a list of lists of `Match(path, similarity)`.

        queries: embeddings, float [D] or [N,D], in any scale; or pictures as `Classifier` takes them, one or a list. where:
        only pictures whose path this name, folder or pattern means. min_similarity: leave out what is less alike.
        exclude_self: leave out pictures of the same bytes as the query, which must be a path or bytes. exact: compare with
        every vector, without the first pass over bits. Of equally near pictures the first by path comes first. Raises
        `InputError`, `ImageError`, `GalleryError`.
        """
        _check(k, min_similarity)
        vectors, digests = self._vectors(queries, exclude_self)
        return self.nearest(vectors, k, where, min_similarity, digests, exact)

    def nearest(
        self,
        vectors: Sequence[np.ndarray] | np.ndarray,
        k: int = 10,
        where: str | None = None,
        min_similarity: float = -1.0,
        without: Sequence[bytes | None] = (),
        exact: bool = False,
    ) -> list[list[Match]]:
        """Do what `search` does, of embeddings, float [N,D]. without: of each query a sha256 whose pictures are left out."""
        without = without or [None] * len(vectors)
        with self.store.view():
            matrix = self._current()
            paths = self._paths(where)
            allowed = None if paths is None else np.isin(matrix.contents, list(paths))
            found = []
            for vector, digest in zip(vectors, without, strict=True):
                hidden = self.store.content_of(digest) if digest else None
                near = matrix.nearest(vector, k + (hidden is not None), allowed, exact)
                found.append(self._matches(near, k, paths, min_similarity, hidden))
            return found

    def embedded(self, sources: Iterable[Any]) -> Iterator[Query]:
        """Embed pictures that are to be searched by, in order, as `lcnet.sources.find` yields them."""
        from ..runtime.stream import stream
        from .candidate import Candidate

        def prepare(candidates: list[Any]) -> np.ndarray:
            return candidates[0].prepared(candidates[0].read(), self.model)

        answer, workers = self.model.answer("embeddings"), self.model.threads
        some = settle(map(Candidate, sources), 2)
        with closing(stream(some, prepare, answer, errors="yield", workers=workers)) as items:
            for item in items:
                one = item.source
                yield Query(one.name, one.source, one.sha256, item.value, item.error)

    def refresh(self) -> None:
        """Write the file that searches read, if it is stale; the next search would. Raises `GalleryError`."""
        with self.store.view():
            self._current()

    def _current(self) -> Matrix:
        """The vectors as they are now. To be called within `Store.view`, which lets one thread in."""
        if self._matrix is None or self._matrix.state != self.store.state():
            self._matrix = matrix_of(self.store)
        return self._matrix

    def _paths(self, where: str | None) -> dict[int, list[Key]] | None:
        """The pictures that `where` means, by their content."""
        if where is None:
            return None
        test = pattern(where, self.store)
        found: dict[int, list[Key]] = {}
        for key, content in self.store.entries():
            if test(key):
                found.setdefault(content, []).append(key)
        return found

    def _matches(self, near: Any, k: int, paths: dict[int, list[Key]] | None, least: float, hidden: int | None) -> list[Match]:
        """The first `k`; pictures of other bytes may be equally near too, and come by path among each other."""
        matches: list[Match] = []
        for content, similarity in zip(near.contents.tolist(), near.similarities.tolist(), strict=True):
            if similarity < least:
                break
            if content != hidden:
                keys = self.store.keys_of(content, k) if paths is None else paths[content]
                matches += [Match(self.store.place.path(key), similarity) for key in keys]
        return sorted(matches, key=lambda match: (-match.similarity, match.path))[:k]

    def _vectors(self, queries: Any, hashed: bool) -> tuple[np.ndarray, list[bytes | None]]:
        """Embeddings [N,D] of queries, and the sha256 of each where it is asked for."""
        if isinstance(queries, np.ndarray) and queries.dtype.kind == "f" and queries.ndim in (1, 2):
            if hashed:
                raise InputError("exclude_self is about pictures, and these queries are vectors: leave it out")
            return np.atleast_2d(queries), []
        from ..image import as_list

        pictures = as_list(queries)
        return self.model.embeddings(pictures), [_digest(picture) for picture in pictures] if hashed else []


def in_common(vectors: Sequence[np.ndarray]) -> np.ndarray:
    """The mean of the directions of some embeddings, float32 [D]."""
    return np.mean([vector / np.linalg.norm(vector) for vector in vectors], axis=0)


def _check(k: int, least: float) -> None:
    if not isinstance(k, int) or isinstance(k, bool) or k < 1:
        raise InputError(f"k is {k!r}, expected a whole number of at least 1")
    if not -1 <= least <= 1:
        raise InputError(f"min_similarity is {least!r}, expected a cosine from -1 to 1")


def _digest(picture: Any) -> bytes:
    if isinstance(picture, (bytes, bytearray, memoryview)):
        return sha256(picture).digest()
    if isinstance(picture, (str, os.PathLike)):
        return sha256(Path(picture).read_bytes()).digest()
    raise InputError(f"exclude_self is about files, and a query is {type(picture).__name__}: give its path or its bytes")


def pattern(text: str, store: Store) -> Any:
    """Whether a key is one of the pictures that a text means: a name, a folder, an archive, or a pattern with `*`, `?`, `[`.

    A path is meant from where the command runs, or from the gallery's folder. `*` goes over `/` too.
    """
    stem = text.rstrip("/") or text
    ways = {stem, os.fsdecode(store.place.key(stem))}
    inside = tuple(end for way in ways for end in (f"{way}/", f"{way}!/"))
    tests = [regex(translate(way)).match for way in ways] if any(c in text for c in "*?[") else []

    def means(key: Key) -> bool:
        name = as_text(key)
        return name in ways or name.startswith(inside) or any(test(name) for test in tests)

    return means
