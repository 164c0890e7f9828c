"""A shard of a list, and the part of the results that it makes: which rows it has, and how its file says what it is a part of.

Row k of the list belongs to shard k mod N. Parquet carries the description in its metadata, text in `FILE.state` beside it; the
other formats have no place for it, or do not keep the order of the rows, and cannot be parts.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import file_digest, sha256
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeVar

from ..errors import InputError
from ..text import plain
from . import state
from .begun import beside

FORMATS = (".parquet", ".jsonl", ".csv")
KEY = "lcnet.part"  # of Parquet's metadata
MOST = 1_000_000  # shards

T = TypeVar("T")


class Shard(NamedTuple):
    """Every `of`-th row, from row `number` on."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read `I/N`. Raises `InputError`."""
        match = re.fullmatch("([0-9]{1,7})/([0-9]{1,7})", text)
        if match is None or not int(match[1]) < int(match[2]) <= MOST:
            raise InputError(f"{plain(text)!r} is no shard: expected I/N with I from 0 to N - 1, and N at most {MOST}")
        return cls(int(match[1]), int(match[2]))

    def pick(self, rows: Iterable[T]) -> Iterator[T]:
        """Its rows of all rows."""
        return islice(rows, self.number, None, self.of)

    def rows(self, total: int) -> int:
        """How many these are."""
        return len(range(self.number, total, self.of))


@dataclass(frozen=True)
class Part:
    """What a file of results is a part of. `total`: rows of the whole list; `lines`: rows of CSV a picture.

    `made_with`: the sha256 of list and model, the arithmetic and the options, which are the same of all parts.
    """

    shard: Shard
    total: int
    lines: int
    made_with: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """The description as JSON values."""
        return {"shard": str(self.shard), "total": self.total, "lines": self.lines, "with": dict(self.made_with)}

    @classmethod
    def from_json(cls, found: Any) -> Part:
        """Read a description. Raises `ValueError`, `TypeError`, `LookupError` and `AttributeError` for anything else."""
        total, lines = int(found["total"]), int(found["lines"])
        if total < 0 or lines < 1:
            raise ValueError
        return cls(Shard.parse(found["shard"]), total, lines, dict(found["with"].items()))

    def of_file(self, path: Path) -> dict[str, Any]:
        """The description with the sha256 of a file of text that has just been written, which is beside that file only."""
        return {**self.to_json(), "content": _sha256(path)}

    @property
    def begun_with(self) -> dict[str, Any]:
        """What must be the same to go on with it, by the names that a message calls them."""
        return {"--shard": str(self.shard), "rows of the list": self.total, **self.made_with}

    @property
    def about(self) -> dict[str, str]:
        """What Parquet carries of it."""
        return {KEY: json.dumps(self.to_json())}


class Listing(NamedTuple):
    """What is known of a list before its rows are worked on."""

    total: int
    sha256: str


def of_names(names: Iterable[Any]) -> Listing:
    """Count and hash what was found: the sha256 of all names in their order, each followed by a NUL."""
    seen = Names()
    total = sum(1 for _ in seen.passing(names))
    return Listing(total, seen.digest.hexdigest())


class Names:
    """The sha256 of names that pass."""

    def __init__(self) -> None:
        self.digest = sha256()

    def passing(self, names: Iterable[T]) -> Iterator[T]:
        """Yield them as they come."""
        for name in names:
            self.digest.update(os.fsencode(str(name)) + b"\0")
            yield name


class Hashed:
    """A list as `sources.read_list` reads it, and the sha256 of its bytes."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.digest = file, sha256()

    def read(self, size: int) -> bytes:
        """Read some more."""
        data = self.file.read(size)
        self.digest.update(data)
        return data


def check(path: Path) -> None:
    """Refuse a name that no part can have. Raises `InputError`."""
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"{plain(path)}: a part goes to a file that ends in {', '.join(FORMATS[:-1])} or {FORMATS[-1]}")


def read(path: Path) -> Part:
    """Read what a file is a part of. Raises `InputError` if it does not say, or did not end."""
    check(path)
    if not path.is_file():
        raise InputError(f"{plain(path)}: there is no such file")
    if beside(path, ".resume").exists():
        raise InputError(f"{plain(path)} is of a run that is going on or did not end: end it with --resume")
    text = path.suffix.lower() != ".parquet"
    try:
        found = _text(path) if text else _parquet(path)
        one, content = Part.from_json(found), found["content"] if text else None
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        raise InputError(f"{plain(path)} does not say what it is a part of{_where(path)}: make it with --shard") from None
    if text and content != _sha256(path):
        raise wrong(path)
    return one


def _where(path: Path) -> str:
    missing = path.suffix.lower() != ".parquet" and not beside(path, ".state").exists()
    return f", for there is no {plain(beside(path, '.state').name)} beside it" if missing else ""


def _parquet(path: Path) -> Any:
    from .whole import pyarrow

    pa = pyarrow()
    try:
        return json.loads((pa.parquet.read_schema(path).metadata or {})[KEY.encode()])
    except (pa.ArrowException, OSError) as error:
        raise ValueError from error


def _text(path: Path) -> Any:
    found = state.read(path)
    return found.begun_with if found is not None else None


def wrong(path: Path) -> InputError:
    """What is told of a part that is not as its shard has left it."""
    return InputError(f"{plain(path)} is damaged, or has other rows than its shard: make it again with --overwrite")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
