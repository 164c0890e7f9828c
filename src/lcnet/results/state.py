"""`FILE.state`, which an update leaves beside FILE: with what it was made, and the size and time of each picture.

Lines of JSON: first {"lcnet", "with", "file"}, where "file" is the size and time of FILE itself; then [name, size, time] a
picture, times in nanoseconds since 1970. It is written whole, after FILE; without it an update goes by names alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..files import replacing
from ..formats import json_text
from ..sources.stamp import Stamp, stamp_of
from .begun import VERSION, beside

Stamps = Iterable[tuple[str, Stamp]]


class State(NamedTuple):
    """What `FILE.state` says; `as_left`: FILE is still as it was then."""

    begun_with: dict[str, Any]
    as_left: bool
    stamps: list[tuple[str, Stamp]]


def write(path: Path, begun_with: Mapping[str, Any], stamps: Stamps) -> None:
    """Write the state of a FILE that has just been put in its place. Raises `InputError`."""
    head = {"lcnet": VERSION, "with": dict(begun_with), "file": stamp_of(path)}
    with replacing(beside(path, ".state")) as file:
        file.write(json_text(head).encode() + b"\n")
        for name, (size, time) in stamps:
            file.write(f"[{json_text(name)}, {size}, {time}]\n".encode())


def read(path: Path) -> State | None:
    """Read the state of FILE; None if there is none that can be read to its end."""
    try:
        with open(beside(path, ".state"), "rb") as file:
            head = json.loads(next(file))
            if head["lcnet"] != VERSION:
                return None
            stamp = stamp_of(path)
            as_left = stamp is not None and list(stamp) == head["file"]
            return State(dict(head["with"].items()), as_left, list(_stamps(file)))
    except (OSError, StopIteration, AttributeError, LookupError, TypeError, ValueError, RecursionError):
        return None


def _stamps(lines: Iterable[bytes]) -> Iterator[tuple[str, Stamp]]:
    for line in lines:
        name, size, time = json.loads(line)
        if not (isinstance(name, str) and isinstance(size, int) and isinstance(time, int)):
            raise ValueError
        yield name, (size, time)
