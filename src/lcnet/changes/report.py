"""The report of a job as a file: JSON lines, the first of which says what it is. What it says of files is checked here.

After the head come, in the order in which they happened, changes, each written and flushed to the disk before it is made, and
rows, which say what became of each thing that the job looked at. A last line without its end is a killed process's: it says
nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import InputError
from ..text import plain, quoted

FORMAT = 1
REPLACE, MAKE, FOLDER, LINK, MOVE = "replace", "make", "folder", "link", "move"
KEPT = re.compile(r"[0-9]{6,12}(\.[A-Za-z0-9]{1,8})?")  # what an original is called
_SHA256 = re.compile("[0-9a-f]{64}")
_LINE = 1 << 20  # bytes of one


@dataclass(frozen=True)
class Change:
    """One change: of what is at `path`, absolute, from the sha256 `before` to `after`; `kept` is the original's name.

    Of a link and a move `to` is the other path, absolute; `time` is when a file that became a link was last changed.
    """

    change: str
    path: str
    before: str = ""
    after: str = ""
    kept: str = ""
    to: str = ""
    time: str = ""  # nanoseconds since 1970

    def encoded(self) -> bytes:
        """Its line."""
        return line({key: value for key, value in asdict(self).items() if value})


def line(value: dict[str, Any]) -> bytes:
    """A line of a report: ASCII, in which names of files have any bytes."""
    return json.dumps(value).encode() + b"\n"


def originals_of(report: Path) -> Path:
    """The folder beside a report in which originals are kept: hidden, so that no job takes them for more pages."""
    return report.with_name(f".{report.name}.originals")


def head(job: str, started: str) -> bytes:
    """The first line."""
    return line({"lcnet": "changes", "format": FORMAT, "job": job, "started": started})


def check_head(file: BinaryIO, path: Path) -> None:
    """Raise `InputError` unless a file begins as a report does."""
    first = _value(file.readline(_LINE))
    if not isinstance(first, dict) or first.get("lcnet") != "changes":
        raise InputError(f"{plain(path)} is no report of changes: name the one that the job has written")
    if first.get("format") != FORMAT:
        raise InputError(f"{plain(path)} is a report of format {quoted(first.get('format'))}, read is {FORMAT}: update lcnet")


def changes(file: BinaryIO, path: Path) -> Iterator[tuple[int, Change]]:
    """The changes that a report names, each with its place in the file. Raises `InputError` for what is none."""
    number = 1
    while True:
        at, text = file.tell(), file.readline(_LINE)
        number += 1
        if not text.endswith(b"\n"):
            if len(text) >= _LINE:
                raise InputError(f"{plain(path)}: line {number} is longer than {_LINE} bytes: it is damaged")
            return
        value = _value(text)
        if not isinstance(value, dict) or not ({"change", "row"} & value.keys()):
            raise InputError(f"{plain(path)}: line {number} is damaged: nothing was done")
        if "change" in value:
            yield at, _change(value, path, number)


def change_at(file: BinaryIO, at: int) -> Change:
    """The change at a place that `changes` gave."""
    file.seek(at)
    return Change(**json.loads(file.readline(_LINE)))


def _value(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


_FIELDS = {  # of each kind of change, besides its path
    REPLACE: {"before", "after", "kept"},
    MAKE: {"after"},
    FOLDER: set(),
    LINK: {"before", "to", "time"},
    MOVE: {"before", "to"},
}


def _is_path(text: str) -> bool:
    return Path(text).is_absolute() and "\0" not in text


_GOOD: dict[str, Callable[[str], Any]] = {
    "change": lambda _: True,
    "path": _is_path,
    "before": _SHA256.fullmatch,
    "after": _SHA256.fullmatch,
    "kept": KEPT.fullmatch,
    "to": _is_path,
    "time": re.compile("-?[0-9]{1,19}").fullmatch,
}


def _change(value: dict[str, Any], path: Path, number: int) -> Change:
    texts = all(isinstance(v, str) for v in value.values())
    wanted = _FIELDS.get(value["change"]) if texts else None
    if wanted is None or value.keys() != {"change", "path"} | wanted or not all(_GOOD[k](v) for k, v in value.items()):
        raise InputError(f"{plain(path)}: line {number} is no change that can be taken back: nothing was done")
    return Change(**value)
