"""How one picture's result is written: as a JSON object, as lines of CSV, and as arrays of a fixed shape.

Numbers keep what float32 holds: nine digits in text. Owns the columns of each command, on the screen and in files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ..config import Labels
from ..errors import InputError
from ..formats import csv_text, guarded, json_text, nine
from ..text import one_line

if TYPE_CHECKING:
    from ..runtime import Result

LONGEST_ERROR = 4096  # characters that are kept of why a picture could not be read
LAST = ("error", "milliseconds")  # columns of every picture, at the end
NUMBERS = {"rank", "index", "probability", "accepted", "known", "milliseconds"}  # columns of CSV that nobody else writes


class Classes:
    """Rows of `classify`: the `top` best classes of a picture, one CSV line each, and which of them are accepted."""

    header: tuple[str, ...] = ("file", "rank", "index", "id", "label", "probability", "accepted", *LAST)
    members: tuple[str, ...] = ("known", "labels", "top")

    def __init__(self, labels: Labels | None, num_classes: int, top: int) -> None:
        self.names = labels.names if labels else tuple(map(str, range(num_classes)))
        self.ids = (labels.ids if labels else None) or (None,) * num_classes
        self.lines = min(top, num_classes)  # rows of CSV for a picture that could be read
        self.counts = {"top": self.lines}  # elements of members of a JSON object
        self.dtypes = {"indices": np.dtype("<i4"), "probabilities": np.dtype("<f4"), "accepted": np.dtype("?")}
        self.shapes: dict[str, tuple[int, ...]] = dict.fromkeys(self.dtypes, (self.lines,))
        # The most LF that the texts of a row can have, but for the name.
        self.breaks = sum(max((t or "").count("\n") for t in column) if column else 0 for column in (self.names, self.ids))
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
        """The lines of a CSV file, without file, error and milliseconds."""
        best = enumerate(zip(value.top, self.accepted(value), strict=True), 1)
        return [[r, p.index, p.id, p.label, f"{p.probability:.9g}", str(a).lower()] for r, (p, a) in best]

    def columns(self, arrays: Sequence[np.ndarray]) -> dict[str, list[Any]]:
        """Python values for Parquet: `top`, a list of structures a picture."""
        rows = zip(*(a.tolist() for a in arrays), strict=True)
        return {
            "top": [
                [
                    {"index": i, "label": self.names[i], "id": self.ids[i], "probability": p, "accepted": a}
                    for i, p, a in zip(*row, strict=True)
                ]
                for row in rows
            ]
        }


class Wide(Classes):
    """Rows of `classify` as CSV with one line a picture: the answer, then the best classes beside each other."""

    def __init__(self, labels: Labels | None, num_classes: int, top: int) -> None:
        super().__init__(labels, num_classes, top)
        best = (name for i in range(1, self.lines + 1) for name in (f"label_{i}", f"probability_{i}"))
        self.header = ("file", "label", "known", *best, *LAST)
        # All accepted classes can stand in one cell, and those of the best beside it.
        self.breaks = 2 * sum(name.count("\n") for name in self.names)
        self.lines = 1

    def csv(self, value: Result) -> list[list[Any]]:
        """The line of a CSV file, without file, error and milliseconds."""
        best = (cell for p in value.top for cell in (p.label, f"{p.probability:.9g}"))
        return [["|".join(value.labels) or value.label, str(value.known).lower(), *best]]


class Arrays:
    """Rows of `embed` and `features`: named float32 arrays of a fixed shape."""

    def __init__(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self.shapes = dict(shapes)
        self.dtypes = dict.fromkeys(shapes, np.dtype("<f4"))
        self.extras: dict[str, Sequence[str]] = {}
        self.lines, self.breaks = 1, 0
        self.counts = {name: shape[0] for name, shape in self.shapes.items()}

    @property
    def header(self) -> tuple[str, ...]:
        """The columns of a CSV file. Raises `InputError` for arrays that have more than one dimension."""
        if any(len(shape) > 1 for shape in self.shapes.values()):
            raise InputError("feature maps do not fit into a CSV file: choose .npz, .parquet or .jsonl")
        return ("file", *(f"{name}_{i}" for name, shape in self.shapes.items() for i in range(shape[0])), *LAST)

    @property
    def members(self) -> tuple[str, ...]:
        """The members of a JSON object, but for those of every picture."""
        return tuple(self.shapes)

    def arrays(self, value: Any) -> list[np.ndarray]:
        """The arrays of `shapes` and `dtypes`."""
        return list(value) if isinstance(value, list) else [value]

    def json(self, value: Any) -> dict[str, Any]:
        """The members of a JSON object: nested lists."""
        return {name: _nested(array) for name, array in zip(self.shapes, self.arrays(value), strict=True)}

    def csv(self, value: Any) -> list[list[Any]]:
        """The line of a CSV file, without file, error and milliseconds."""
        return [[f"{v:.9g}" for array in self.arrays(value) for v in array.tolist()]]


Rows: TypeAlias = Classes | Arrays


def json_row(rows: Rows, name: str, value: Any, error: str | None, milliseconds: float) -> str:
    """One picture as a JSON object in one line; `value` is None with an error."""
    members = rows.json(value) if error is None else {}
    return json_text({"file": name, **members, "error": error, "milliseconds": round(milliseconds, 3)})


def csv_cells(rows: Rows, name: str, value: Any, error: str | None, milliseconds: float, safe: bool = False) -> list[list[Any]]:
    """All lines of one picture. `safe`: in cells of text nothing that a spreadsheet takes for a formula."""
    spent = str(round(milliseconds, 3))
    empty = [""] * (len(rows.header) - 1 - len(LAST))
    lines = [[name, *empty, error, spent]] if error is not None else [[name, *line, "", spent] for line in rows.csv(value)]
    if safe:
        texts = [i for i, column in enumerate(rows.header) if _is_text(rows, column)]
        for line in lines:
            line[:] = [guarded(cell or "") if i in texts else cell for i, cell in enumerate(line)]
    return lines


def csv_rows(rows: Rows, name: str, value: Any, error: str | None, milliseconds: float, safe: bool = False) -> str:
    """The same as text."""
    return csv_text(csv_cells(rows, name, value, error, milliseconds, safe))


def why_not(source: Any, error: Exception | None) -> str | None:
    """Why a picture could not be read, in one line, without its name."""
    if error is None:
        return None
    return one_line(str(error).removeprefix(f"{source}: "))[:LONGEST_ERROR] or type(error).__name__


def _is_text(rows: Rows, column: str) -> bool:
    """Whether a column of CSV holds what somebody else has written."""
    if isinstance(rows, Arrays):
        return column in ("file", "error")
    return column not in NUMBERS and not column.startswith("probability_")


def _nested(array: np.ndarray) -> list[Any]:
    nested: list[Any] = np.array([nine(v) for v in array.ravel().tolist()]).reshape(array.shape).tolist()
    return nested
