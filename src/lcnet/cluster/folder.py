"""The folder of a run: answers in Parquet files, and while it goes on what it began with, its list, and Ray's checkpoint.

`_lcnet.json` is written once the list is: without it nothing was begun. Names that begin with `_` are no data for those who
read a folder of Parquet files.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

from ..errors import ImageError, InputError
from ..files import check_folder, write_atomically
from ..results import begun
from ..results.whole import pyarrow
from ..sources.found import Found
from ..sources.remote import Remote
from ..text import plain
from .answers import ID, PATH, PROBLEM

STATE, LIST, CHECKPOINT = "_lcnet.json", "_list", "_checkpoint"
MEMBER = "it is in an archive, which is not sent to other machines: extract it, or run one shard an archive"


class Folder:
    """The output of one run."""

    def __init__(self, path: Path, resume: bool = False, overwrite: bool = False) -> None:
        """Look at what is there. Raises `InputError`."""
        self.path, self.state = path.absolute(), _state(path)
        if resume and overwrite:
            raise InputError("to resume a folder and to overwrite it are two things: choose one")
        if not (resume and self.state is not None):
            check_folder(path, overwrite or resume, _foreign)
            self.state = None

    @property
    def done(self) -> bool:
        """Whether all was answered."""
        return self.state is not None and bool(self.state["done"])

    @property
    def list(self) -> Path:
        """Where the numbers and paths are."""
        return self.path / LIST

    @property
    def checkpoint(self) -> Path:
        """Where Ray notes what is done."""
        return self.path / CHECKPOINT

    def begin(self, sources: Iterable[Any], begun_with: Mapping[str, Any], block: int) -> int:
        """Write the list, or go on with the one that is there. Return its rows. Raises `InputError` if a run was another."""
        if self.state is not None:
            total, digest = _measured(sources)
            begun.refuse_another(self.path, self.state["with"], _with(begun_with, total, digest))
            return total
        shutil.rmtree(self.path, ignore_errors=True)
        self.list.mkdir(parents=True)
        total, digest = _written(sources, self.list, block)
        self._write(_with(begun_with, total, digest), done=False)
        return total

    def end(self) -> None:
        """All is answered: only the answers stay, and what they were made with."""
        assert self.state is not None
        self._write(self.state["with"], done=True)
        for path in (self.list, self.checkpoint):
            shutil.rmtree(path, ignore_errors=True)

    def counted(self) -> tuple[int, int]:
        """How many answers there are, and how many of them are errors, by what the files say of themselves."""
        parquet, rows, failed = pyarrow().parquet, 0, 0
        for path in sorted(self.path.glob("*.parquet")):
            found = parquet.read_metadata(path)
            rows += found.num_rows
            column = next(i for i in range(found.num_columns) if found.schema.column(i).path == "error")
            failed += sum(_not_null(found.row_group(i).column(column)) for i in range(found.num_row_groups))
        return rows, failed

    def _write(self, begun_with: Mapping[str, Any], done: bool) -> None:
        self.state = {"lcnet": begun.VERSION, "done": done, "with": dict(begun_with)}
        write_atomically(self.path / STATE, json.dumps(self.state, indent=1).encode())


def _not_null(column: Any) -> int:
    return int(column.num_values - column.statistics.null_count)


def _with(begun_with: Mapping[str, Any], total: int, digest: str) -> dict[str, Any]:
    return {"list": f"sha256 {digest}", "rows of the list": total, **begun_with}


def _state(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads((path / STATE).read_bytes())
        if found["lcnet"] != begun.VERSION:
            raise InputError(f"{plain(path)} was begun by another version of lcnet: finish it with that one, or --overwrite it")
        return {"done": bool(found["done"]), "with": dict(found["with"].items())}
    except OSError:
        return None
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{plain(path / STATE)} is damaged: begin again with --overwrite") from None


def _foreign(path: Path) -> str:
    """Why a folder is none that a run has left."""
    ours = {STATE, LIST, CHECKPOINT}
    other = next((p.name for p in sorted(path.iterdir()) if p.name not in ours and p.suffix != ".parquet"), None)
    left = other is None and ((path / STATE).exists() or (path / LIST).exists() or not any(path.iterdir()))
    return "" if left else f"it has {plain(other)}" if other else "it is no folder of a run"


Row = tuple[bytes, str | None]  # a path, or its name and why it cannot be sent


def _row(source: Any) -> Row:
    if not isinstance(source, Found):
        return os.fsencode(source), None
    if isinstance(source, Remote):
        return os.fsencode(source.name), None
    try:
        source.open()
    except ImageError as error:
        return os.fsencode(source.name), str(error).removeprefix(f"{source.name}: ")
    return os.fsencode(source.name), MEMBER


def _rows(sources: Iterable[Any], digest: Any) -> Iterator[Row]:
    for source in sources:
        row = _row(source)
        digest.update(row[0] + b"\0")
        yield row


def _measured(sources: Iterable[Any]) -> tuple[int, str]:
    digest = sha256()
    return sum(1 for _ in _rows(sources, digest)), digest.hexdigest()


def _written(sources: Iterable[Any], folder: Path, block: int) -> tuple[int, str]:
    """Write the rows, some a file, numbered from 0; return how many there are, and the sha256 of their names."""
    pa, digest, total = pyarrow(), sha256(), 0
    rows = _rows(sources, digest)
    names = pa.schema([(ID, pa.int64()), (PATH, pa.binary()), (PROBLEM, pa.string())])
    while some := list(islice(rows, block)):
        numbers = pa.array(range(total, total + len(some)), pa.int64())
        table = pa.table([numbers, [path for path, _ in some], [why for _, why in some]], schema=names)
        pa.parquet.write_table(table, folder / f"{total // block:08}.parquet")
        total += len(some)
    return total, digest.hexdigest()
