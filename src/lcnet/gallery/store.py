"""Pictures and their embeddings in a gallery's file: what is known of each, put in, taken out, asked for."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from threading import RLock
from typing import Any, NamedTuple

import numpy as np

from .. import files
from ..errors import GalleryError
from ..sources.stamp import Stamp
from ..text import plain as printable
from . import database
from .about import About
from .coding import Coding
from .places import Key, Place, stored

AT_ONCE = 500  # parameters of one statement; older SQLites take 999


class Content(NamedTuple):
    """One picture's bytes, whatever its files are called."""

    sha256: bytes  # 32, of the file
    pixels: bytes  # of the decoded RGB
    hash: bytes  # 16: the difference hash
    plain: bool  # too few shades for it


class Row(NamedTuple):
    """A picture to put in: its content, and its embedding, float32 [D]; both None if a picture of this sha256 is in already."""

    key: Key
    stamp: Stamp | None
    sha256: bytes
    content: Content | None = None
    vector: np.ndarray | None = None


class State(NamedTuple):
    """What tells one set of vectors from another: the gallery, and how often its vectors have changed."""

    identity: str
    generation: int


class Store:
    """A gallery's file, open. Every method may be called by any thread."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Open one that is there. Raises `GalleryError`."""
        self.path, self.place = Path(path), Place(path)
        self.lock = RLock()
        self.connection, self.writes = database.connect(self.path)
        try:
            database.check_schema(self.connection, self.path)
            self.about = About.read(self._about(), self.path)
        except BaseException:
            self.close()
            raise
        self.coding = Coding(self.about.coding, self.about.dimension)

    @staticmethod
    def create(path: str | os.PathLike[str], about: About, overwrite: bool = False) -> Store:
        """Make an empty gallery, or make one that is there empty. Raises `GalleryError`."""
        place = Path(path)
        check_target(place, overwrite)
        if place.exists() and place.stat().st_size:
            _clear_damaged(place)
        connection, _ = database.connect(place, new=True)
        with closing(connection), database.writing(connection, place):
            there = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if there and not overwrite:  # made by another process meanwhile
                raise _exists(place)
            if there:
                for table in ("picture", "content", "about"):
                    connection.execute(f"DELETE FROM {table}")
            else:
                database.create(connection, place)
            values = {**asdict(about), "model": stored(about.model), "identity": secrets.token_hex(16), "generation": 0}
            connection.executemany("INSERT INTO about VALUES (?, ?)", values.items())
        return Store(path)

    def close(self) -> None:
        """Close the file."""
        with self.lock, database.told(self.path):
            self.connection.close()

    @contextmanager
    def view(self) -> Iterator[None]:
        """Meanwhile everything is read as it is now."""
        with self.lock, database.reading(self.connection, self.path):
            yield

    @contextmanager
    def _writing(self) -> Iterator[None]:
        if not self.writes:
            raise GalleryError(f"{printable(self.path)} cannot be written to: it, or its folder, is read-only")
        with self.lock, database.writing(self.connection, self.path):
            yield

    def _all(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        with self.lock, database.told(self.path):
            return self.connection.execute(sql, values).fetchall()

    def _about(self) -> dict[str, Any]:
        return dict(self._all("SELECT name, value FROM about"))

    def state(self) -> State:
        """The state of the vectors now."""
        found = self._about()
        if not isinstance(found.get("generation"), int):
            raise database.damaged(self.path, "it does not say how often it has changed")
        return State(str(found.get("identity")), found["generation"])

    def counts(self) -> tuple[int, int]:
        """How many pictures there are, and how many different ones by their bytes."""
        return self._all("SELECT (SELECT count(*) FROM picture), (SELECT count(*) FROM content)")[0]

    def looked_up(self, sources: Iterable[Any]) -> Iterator[tuple[Any, Key, Stamp | None]]:
        """Each source, what it is called here, and the size and time that it had when it was put in, if it was."""
        rest = iter(sources)
        while some := [(source, self.place.key(source)) for source in islice(rest, AT_ONCE)]:
            known = self._stamps([key for _, key in some])
            yield from ((source, key, known.get(key)) for source, key in some)

    def _stamps(self, keys: Sequence[Key]) -> dict[Key, Stamp]:
        rows = self._all(f"SELECT path, size, mtime_ns FROM picture WHERE path IN ({','.join('?' * len(keys))})", keys)
        return {key: (size, time) for key, size, time in rows if size is not None}

    def has(self, sha256: bytes) -> bool:
        """Whether a picture of these bytes is in."""
        return bool(self._all("SELECT 1 FROM content WHERE sha256 = ?", [sha256]))

    def put(self, rows: Sequence[Row], gone: Iterable[Key] = ()) -> list[Key]:
        """Put pictures in and take others out, in one transaction.

        Returns those that are not in: their content was, and another process has taken it out.
        """
        new = [(row.content, row.vector) for row in rows if row.content is not None and row.vector is not None]
        codes = self.coding.encode(np.stack([vector for _, vector in new])) if new else ()
        added = [(*content, code.tobytes()) for (content, _), code in zip(new, codes, strict=True)]
        with self._writing():
            self.connection.executemany(
                "INSERT OR IGNORE INTO content (sha256, pixels, hash, plain, embedding) VALUES (?, ?, ?, ?, ?)", added
            )
            lost = [row.key for row in rows if not self._point(row)]
            self.connection.executemany("DELETE FROM picture WHERE path = ?", ((key,) for key in gone))
            return lost

    def _point(self, row: Row) -> bool:
        size, time = row.stamp or (None, None)
        done = self.connection.execute(
            "INSERT INTO picture (path, content, size, mtime_ns) SELECT ?, id, ?, ? FROM content WHERE sha256 = ? "
            "ON CONFLICT (path) DO UPDATE SET content = excluded.content, size = excluded.size, mtime_ns = excluded.mtime_ns",
            (row.key, size, time, row.sha256),
        )
        return done.rowcount == 1

    def remove(self, keys: Iterable[Key]) -> int:
        """Take pictures out, in one transaction; how many were in."""
        with self._writing():
            deleted = self.connection.executemany("DELETE FROM picture WHERE path = ?", ((key,) for key in keys))
            return max(0, deleted.rowcount)

    def entries(self) -> Iterator[tuple[Key, int]]:
        """Every picture and its content's id, by path."""
        yield from self._rows("SELECT path, content FROM picture ORDER BY path")

    def keys_of(self, content: int, most: int) -> list[Key]:
        """The first pictures of one content, by path."""
        rows = self._all("SELECT path FROM picture WHERE content = ? ORDER BY path LIMIT ?", (content, most))
        return [key for (key,) in rows]

    def content_of(self, sha256: bytes) -> int | None:
        """The id of a content."""
        rows = self._all("SELECT id FROM content WHERE sha256 = ?", [sha256])
        return rows[0][0] if rows else None

    def pictures(self) -> Iterator[tuple[Key, Stamp | None, Content]]:
        """Every picture and what is known of it, by path; without its embedding."""
        sql = "SELECT path, size, mtime_ns, sha256, pixels, hash, plain FROM picture JOIN content ON id = content ORDER BY path"
        for key, size, time, sha256, pixels, code, plain in self._rows(sql):
            if [len(value) if isinstance(value, bytes) else None for value in (sha256, pixels, code)] != [32, 32, 16]:
                raise database.damaged(self.path, "a hash has not the length that it should have")
            yield key, None if size is None else (size, time), Content(sha256, pixels, code, bool(plain))

    def vectors(self, of_pictures: bool = False) -> Iterator[tuple[list[int], np.ndarray]]:
        """All contents, or with `of_pictures` one a picture by path: ids, and codes uint8 [n,width], some hundreds at once."""
        by_path = "SELECT id, embedding FROM picture JOIN content ON id = content ORDER BY path"
        rows = self._rows(by_path if of_pictures else "SELECT id, embedding FROM content ORDER BY id")
        while some := list(islice(rows, AT_ONCE)):
            if any(not isinstance(code, bytes) or len(code) != self.coding.width for _, code in some):
                raise database.damaged(self.path, "a vector has not the length that it should have")
            codes = np.frombuffer(b"".join(code for _, code in some), np.uint8)
            yield [number for number, _ in some], codes.reshape(len(some), self.coding.width)

    def _rows(self, sql: str) -> Iterator[Any]:
        with self.lock, database.told(self.path):
            cursor = self.connection.execute(sql)
        while True:
            with self.lock, database.told(self.path):
                some = cursor.fetchmany(AT_ONCE)
            if not some:
                return
            yield from some


def check_target(path: Path, overwrite: bool) -> None:
    """Refuse, before any work, what is no place for a new gallery. Raises `GalleryError` and `InputError`."""
    files.check_target(path, overwrite=True)
    if not path.exists() or (path.is_file() and not path.stat().st_size):
        return
    if path.is_file() and not overwrite:
        raise _exists(path)
    database.check_header(path)


def _exists(path: Path) -> GalleryError:
    return GalleryError(f"{printable(path)} exists: `lcnet gallery add` adds to it, --overwrite begins it again")


def _clear_damaged(path: Path) -> None:
    """Before a gallery is made again: remove one that cannot be opened."""
    try:
        Store(path).close()
    except database.DamagedError:
        real = os.path.realpath(path)
        for end in ("", database.WAL, database.SHM):
            Path(real + end).unlink(missing_ok=True)
