"""The SQLite file: opening it, what it must be, and transactions that wait for each other. Nothing here knows of pictures.

WAL with full synchronisation: a killed process or a power cut takes at most the transaction that was open. Where nothing may
be written the file is read as it lies.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .. import system
from ..errors import GalleryError
from ..text import one_line, plain, reason

APPLICATION = 0x6C635F67  # "lc_g": SQLite's application_id
VERSION = 1  # SQLite's user_version
PAGE = 16384  # bytes
PATIENCE = 30.0  # seconds for which another writer is waited for
WAL, SHM = "-wal", "-shm"

# Pictures point at contents, which are there once each. What nobody points at goes; `generation` counts changes of vectors.
SCHEMA = (
    "CREATE TABLE about (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID",
    "CREATE TABLE content (id INTEGER PRIMARY KEY, sha256 BLOB NOT NULL UNIQUE, pixels BLOB NOT NULL, hash BLOB NOT NULL, "
    "plain INTEGER NOT NULL, embedding BLOB NOT NULL)",
    "CREATE TABLE picture (path PRIMARY KEY NOT NULL, content INTEGER NOT NULL REFERENCES content, size INTEGER, "
    "mtime_ns INTEGER) WITHOUT ROWID",
    "CREATE INDEX picture_content ON picture (content)",
    "CREATE TRIGGER added AFTER INSERT ON content BEGIN UPDATE about SET value = value + 1 WHERE name = 'generation'; END",
    "CREATE TRIGGER gone AFTER DELETE ON content BEGIN UPDATE about SET value = value + 1 WHERE name = 'generation'; END",
    "CREATE TRIGGER removed AFTER DELETE ON picture WHEN NOT EXISTS (SELECT 1 FROM picture WHERE content = OLD.content) "
    "BEGIN DELETE FROM content WHERE id = OLD.content; END",
    "CREATE TRIGGER changed AFTER UPDATE OF content ON picture WHEN NOT EXISTS "
    "(SELECT 1 FROM picture WHERE content = OLD.content) BEGIN DELETE FROM content WHERE id = OLD.content; END",
)
_MAGIC = b"SQLite format 3\0"
_HEADER = 100


class DamagedError(GalleryError):
    """A file that cannot be read as it was written."""


def connect(path: Path, new: bool = False) -> tuple[sqlite3.Connection, bool]:
    """Open a gallery's file: the connection, and whether it may be written to. Raises `GalleryError`.

    new: create it if there is none, or an empty file as a killed process may leave.
    """
    with told(path):
        if not new:
            check_header(path)
        real = Path(os.path.realpath(path))  # beside which SQLite has its other files
        writes = os.access(real.parent, os.W_OK) and (new or os.access(real, os.W_OK))
        mode = "rwc" if new else "rw" if writes else "ro" if _pending(real) else "ro&immutable=1"
        uri = f"{real.as_uri()}?mode={mode}"
        # Several threads share it, each under the caller's lock.
        connection = sqlite3.connect(uri, timeout=0.1, isolation_level=None, check_same_thread=False, uri=True)
        if new:  # of SQLite's own pages only a part would be used: two embeddings fit, and a half
            connection.execute(f"PRAGMA page_size = {PAGE}")
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA synchronous = FULL")
        if writes and not new:
            connection.execute("PRAGMA journal_mode = WAL")
        return connection, writes


def _pending(path: Path) -> bool:
    """Whether another process has left, or is writing, what is not in the file itself yet."""
    with suppress(OSError):
        return path.with_name(path.name + WAL).stat().st_size > 0
    return False


def check_header(path: Path) -> None:
    """Refuse what is no gallery, or one of a version to come, by its first bytes. Raises `GalleryError`."""
    name = plain(path)
    try:
        with open(path, "rb", opener=system.at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise GalleryError(f"{name} is no file: expected one that `lcnet gallery build` has made")
            start = file.read(_HEADER)
    except (OSError, ValueError) as error:
        raise GalleryError(f"{name}: {reason(error)}") from None
    if not start:
        raise GalleryError(f"{name} is empty: `lcnet gallery build` makes a gallery of it")
    if not start.startswith(_MAGIC):
        raise GalleryError(f"{name} is no gallery: expected a file that `lcnet gallery build` has made")
    application, version = (int.from_bytes(start[at : at + 4], "big") for at in (68, 60))
    if application != APPLICATION:
        raise GalleryError(f"{name} is an SQLite database, but no gallery: name one that `lcnet gallery build` has made")
    if version > VERSION:
        raise GalleryError(f"{name} is a gallery of version {version}, this lcnet reads {VERSION}: update lcnet")


def check_schema(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse tables, views and triggers that are not ours: nothing of a file by another hand is run. Raises `GalleryError`."""
    with told(path):
        found = {sql for (sql,) in connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")}
    if found != set(SCHEMA):
        raise damaged(path, "its tables are not those of a gallery")


def create(connection: sqlite3.Connection, path: Path) -> None:
    """Make the tables, in the transaction that is open."""
    connection.execute(f"PRAGMA application_id = {APPLICATION}")
    connection.execute(f"PRAGMA user_version = {VERSION}")
    for statement in SCHEMA:
        connection.execute(statement)


@contextmanager
def writing(connection: sqlite3.Connection, path: Path) -> Iterator[None]:
    """A transaction, kept if the block ends well; other writers are waited for. Raises `GalleryError`."""
    with told(path):
        _begin(connection, path)
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def _begin(connection: sqlite3.Connection, path: Path) -> None:
    """In short steps, so that Ctrl-C is heard between them."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
        else:
            return


@contextmanager
def reading(connection: sqlite3.Connection, path: Path) -> Iterator[None]:
    """A view of the gallery as it is now, whatever is written meanwhile. Raises `GalleryError`."""
    with told(path):
        connection.execute("BEGIN")
        try:
            yield
        finally:
            if connection.in_transaction:  # SQLite ends it itself where a disk fails
                connection.execute("ROLLBACK")


def damaged(path: Path, why: object) -> DamagedError:
    """What is raised for a file that cannot be read as SQLite or lcnet wrote it."""
    return DamagedError(
        f"{plain(path)} is damaged ({one_line(str(why))}): bring back a copy of it, or make it again from the pictures with "
        "`lcnet gallery build --overwrite`"
    )


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Make a `GalleryError` that names the file of what SQLite says meanwhile."""
    try:
        yield
    except sqlite3.Error as error:
        raise _explained(path, error) from None
    except UnicodeDecodeError as error:  # of what SQLite says of a schema, with the damage in it
        raise damaged(path, error) from None


def _explained(path: Path, error: sqlite3.Error) -> GalleryError:
    name, code = plain(path), getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return GalleryError(f"{name} is being written by another process: try again when that has ended")
    if code == sqlite3.SQLITE_FULL:
        return GalleryError(f"{name} cannot be written: the disk is full; what was in it before is kept")
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_PERM):
        return GalleryError(f"{name} cannot be read or written here: {one_line(str(error))}")
    return damaged(path, error)
