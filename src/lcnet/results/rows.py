"""How one picture's result is written: as a JSON object, as lines of CSV, and as arrays of a fixed shape.

Numbers keep what float32 holds: nine digits in text. Owns the columns of each command; files are `outputs`' and `journal`'s.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

import numpy as np

from ..config import Labels
from ..errors import InputError

if TYPE_CHECKING:
    from ..runtime import Result


class Classes:
    """Rows of `classify`: the `top` best classes of a picture, one CSV line each, and which of them are accepted."""

    header: tuple[str, ...] = ("file", "rank", "index", "id", "label", "probability", "accepted", "error")

    def __init__(self, labels: Labels | None, num_classes: int, top: int) -> None:
        self.names = labels.names if labels else tuple(map(str, range(num_classes)))
        self.ids = (labels.ids if labels else None) or (None,) * num_classes
        self.lines = min(top, num_classes)  # of CSV for a picture that could be read
        self.dtypes = {"indices": np.dtype("<i4"), "probabilities": np.dtype("<f4"), "accepted": np.dtype("?")}
        self.shapes: dict[str, tuple[int, ...]] = dict.fromkeys(self.dtypes, (self.lines,))
        self.extras = {"labels": self.names}  # stored once a file, where a file can

    def arrays(self, value: Result) -> list[np.ndarray]:
        """The arrays of `shapes` and `dtypes`."""
        indices = np.array([p.index for p in value.top], "<i4")
        return [indices, np.array([p.probability for p in value.top], "<f4"), np.array(self.accepted(value), "?")]

    def accepted(self, value: Result) -> list[bool]:
        """Which of the best classes are accepted."""
        return [p in value.accepted for p in value.top]

    def json(self, value: Result) -> dict[str, Any]:
        """The members of a JSON object."""
        return value.to_dict()

    def csv(self, value: Result) -> list[list[Any]]:
        """The lines of a CSV file, without file and error."""
        best = enumerate(zip(value.top, self.accepted(value), strict=True), 1)
        return [[r, p.index, p.id, p.label, f"{p.probability:.9g}", str(a).lower()] for r, (p, a) in best]

    def columns(self, arrays: Sequence[np.ndarray]) -> dict[str, list[Any]]:
        """Python values for Parquet: `top`, a list of structures a picture."""
        rows = zip(*(a.tolist() for a in arrays), strict=True)
        return {"top": [[{"index": i, "label": self.names[i], "id": self.ids[i], "probability": p, "accepted": a}
                         for i, p, a in zip(*row, strict=True)] for row in rows]}  # fmt: skip


class Arrays:
    """Rows of `embed` and `features`: named float32 arrays of a fixed shape."""

    def __init__(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self.shapes = dict(shapes)
        self.dtypes = dict.fromkeys(shapes, np.dtype("<f4"))
        self.extras: dict[str, Sequence[str]] = {}
        self.lines = 1

    @property
    def header(self) -> tuple[str, ...]:
        """The columns of a CSV file. Raises `InputError` for arrays that have more than one dimension."""
        if any(len(shape) > 1 for shape in self.shapes.values()):
            raise InputError("feature maps do not fit into a CSV file: choose .npz, .parquet or .jsonl")
        return ("file", *(f"{name}_{i}" for name, shape in self.shapes.items() for i in range(shape[0])), "error")

    def arrays(self, value: Any) -> list[np.ndarray]:
        """The arrays of `shapes` and `dtypes`."""
        return list(value) if isinstance(value, list) else [value]

    def json(self, value: Any) -> dict[str, Any]:
        """The members of a JSON object: nested lists."""
        return {name: _nested(array) for name, array in zip(self.shapes, self.arrays(value), strict=True)}

    def csv(self, value: Any) -> list[list[Any]]:
        """The line of a CSV file, without file and error."""
        return [[f"{v:.9g}" for array in self.arrays(value) for v in array.tolist()]]


Rows: TypeAlias = Classes | Arrays


def json_line(rows: Rows, name: str, value: Any, error: str | None) -> str:
    """One line of a JSONL file; `value` is None with an error."""
    members = rows.json(value) if error is None else {}
    return json.dumps({"file": name, **members, "error": error}, ensure_ascii=False) + "\n"


def csv_lines(lines: Iterable[Iterable[Any]]) -> str:
    """CSV by RFC 4180, but lines end in LF."""
    import csv
    import io

    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue()


def csv_rows(rows: Rows, name: str, value: Any, error: str | None) -> str:
    """All lines of one picture."""
    if error is None:
        return csv_lines([[name, *line, ""] for line in rows.csv(value)])
    return csv_lines([[name, *[""] * (len(rows.header) - 2), error]])


def csv_done(file: BinaryIO, rows: Rows, start: int) -> Iterator[tuple[str, bool, int]]:
    """Yield name, whether it failed, and where it ends, of each whole picture in a CSV file whose header is before `start`."""
    import csv

    lines, whole = _Lines(file, start), 0
    with suppress(csv.Error, UnicodeDecodeError):
        for line in csv.reader(lines):
            if len(line) != len(rows.header):  # cut short within a name of several lines
                return
            whole = 0 if line[-1] else (whole + 1) % rows.lines
            if not whole:
                yield line[0], bool(line[-1]), lines.end


def json_done(file: BinaryIO) -> Iterator[tuple[str, bool, int]]:
    """Yield the same of a JSONL file."""
    lines = _Lines(file, 0)
    with suppress(ValueError):
        for line in lines:
            members = json.loads(line)
            yield members["file"], members["error"] is not None, lines.end


class _Lines:
    """The lines of a file that end as lines do, and where the last one given did."""

    def __init__(self, file: BinaryIO, start: int) -> None:
        self.file, self.end = file, start

    def __iter__(self) -> Iterator[str]:
        self.file.seek(self.end)
        for line in self.file:
            if not line.endswith(b"\n"):
                return
            self.end += len(line)
            yield line.decode()


def _nested(array: np.ndarray) -> list[Any]:
    short = [float(f"{v:.9g}") for v in array.ravel().tolist()]  # the shortest text that is the same float32
    return np.array(short).reshape(array.shape).tolist()
