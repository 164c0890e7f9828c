"""What the network said about pictures it has seen before: one SQLite file in the user's cache, bounded, and never in the way.

A row is found by the sha256 of what made it (network, preprocessing, arithmetic) and that of the picture's bytes, and carries
a checksum. A damaged row counts as absent and is written again; a damaged file is begun anew; a cache that cannot be used, as
on a full or read-only disk, leaves the work to be done as without it. Any number of processes may use it at once.
"""

from __future__ import annotations

import os
import sqlite3
import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
NAME = "features.sqlite"
MOST = 1 << 30  # bytes of all rows; the networks used longest ago are forgotten first
WAIT = 20.0  # seconds for another process that is writing
AT_ONCE = 500  # rows a statement or a transaction
_TABLES = """
create table if not exists networks (id integer primary key, made_by blob unique not null, used real not null);
create table if not exists features (network integer, picture blob, value blob, primary key (network, picture));
"""


def default_folder() -> Path | None:
    """Where a user's programs keep what they could make again: XDG_CACHE_HOME, usually ~/.cache, and there `lcnet`.

    None where there is no home. A XDG_CACHE_HOME that is not absolute counts as none, as its specification has it.
    """
    given = os.environ.get("XDG_CACHE_HOME", "")
    base = given if os.path.isabs(given) else os.path.expanduser("~/.cache")  # noqa: PTH111, PTH117  pathlib's raises
    return Path(base, "lcnet") if os.path.isabs(base) else None  # noqa: PTH117


class Cache:
    """The rows of one network. `made_by`: the sha256 of everything that a row depends on besides the picture."""

    def __init__(self, folder: Path | None, made_by: bytes, most: int = MOST) -> None:
        """folder: None keeps nothing."""
        self.path, self.made_by, self.most = folder and folder / NAME, made_by, most

    def get(self, pictures: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return the values that there are of pictures, by their sha256."""
        return self._tried(lambda base: self._read(base, pictures)) or {}

    def put(self, values: Iterable[tuple[bytes, bytes]]) -> None:
        """Keep (sha256 of the picture, value)s."""
        rows = [(picture, zlib.crc32(value).to_bytes(4, "little") + value) for picture, value in values]
        if rows:
            self._tried(lambda base: self._write(base, rows))

    def _tried(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        """Do it, on a file begun anew if this one is no database; None if that cannot be."""
        for _ in range(2):
            if self.path is None:
                return None
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with closing(sqlite3.connect(self.path, timeout=WAIT, isolation_level=None)) as base:
                    base.executescript(_TABLES)
                    return work(base)
            except (sqlite3.OperationalError, OSError):  # locked for long, full, read-only: no reason to stop
                return None
            except sqlite3.DatabaseError:
                _discard(self.path)
        return None

    def _network(self, base: sqlite3.Connection) -> int:
        base.execute(
            "insert into networks (made_by, used) values (?1, ?2) on conflict (made_by) do update set used = ?2",
            (self.made_by, time.time()),
        )
        return int(base.execute("select id from networks where made_by = ?", (self.made_by,)).fetchone()[0])

    def _read(self, base: sqlite3.Connection, pictures: Sequence[bytes]) -> dict[bytes, bytes]:
        number, found = self._network(base), {}
        for start in range(0, len(pictures), AT_ONCE):
            some = pictures[start : start + AT_ONCE]
            marks = ",".join("?" * len(some))
            query = f"select picture, value from features where network = ? and picture in ({marks})"
            for picture, stored in base.execute(query, (number, *some)):
                if _is_whole(stored):
                    found[picture] = stored[4:]
        return found

    def _write(self, base: sqlite3.Connection, rows: Sequence[tuple[bytes, bytes]]) -> None:
        for start in range(0, len(rows), AT_ONCE):
            base.execute("begin immediate")
            number = self._network(base)
            query = "insert or replace into features values (?, ?, ?)"
            base.executemany(query, ((number, *row) for row in rows[start : start + AT_ONCE]))
            base.execute("commit")
        self._forget(base)

    def _forget(self, base: sqlite3.Connection) -> None:
        """Make room down to three quarters of the bound, by the networks that were used longest ago."""
        count, size = base.execute("select count(*), coalesce(sum(length(value)), 0) from features").fetchone()
        if size <= self.most:
            return
        drop = int(count * (1 - 0.75 * self.most / size)) + 1
        query = "select features.rowid from features join networks on network = id order by used, features.rowid limit ?"
        base.execute(f"delete from features where rowid in ({query})", (drop,))
        base.execute("delete from networks where id not in (select network from features)")


def _is_whole(stored: object) -> bool:
    return isinstance(stored, bytes) and len(stored) > 4 and zlib.crc32(stored[4:]) == int.from_bytes(stored[:4], "little")


def _discard(path: Path) -> None:
    for name in (path, path.with_name(f"{path.name}-journal")):
        with suppress(OSError):
            name.unlink()
