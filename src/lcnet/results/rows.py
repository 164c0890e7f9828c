"""How one picture's result is written: as a JSON object, as lines of CSV, and as arrays of a fixed shape.

Numbers keep what float32 holds: nine digits in text. Owns the columns of each command; files are `outputs`' and `journal`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ..config import Labels
from ..errors import InputError
from ..formats import csv_text, guarded, json_text

if TYPE_CHECKING:
    from ..runtime import Result

TEXTS = ("file", "id", "label", "error")  # columns of CSV that hold what somebody else has written


class Classes:
    """Rows of `classify`: the `top` best classes of a picture, one CSV line each, and which of them are accepted."""

    header: tuple[str, ...] = ("file", "rank", "index", "id", "label", "probability", "accepted", "error")

    def __init__(self, labels: Labels | None, num_classes: int, top: int) -> None:
        self.names = labels.names if labels else tuple(map(str, range(num_classes)))
        self.ids = (labels.ids if labels else None) or (None,) * num_classes
        self.lines = min(top, num_classes)  # rows of CSV for a picture that could be read
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
        """The lines of a CSV file, without file and error."""
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


class Arrays:
    """Rows of `embed` and `features`: named float32 arrays of a fixed shape."""

    def __init__(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self.shapes = dict(shapes)
        self.dtypes = dict.fromkeys(shapes, np.dtype("<f4"))
        self.extras: dict[str, Sequence[str]] = {}
        self.lines, self.breaks = 1, 0

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
    return json_text({"file": name, **members, "error": error}) + "\n"


def csv_rows(rows: Rows, name: str, value: Any, error: str | None, safe: bool = False) -> str:
    """All lines of one picture. `safe`: in cells of text nothing that a spreadsheet takes for a formula."""
    empty = [""] * (len(rows.header) - 2)
    lines = [[name, *empty, error]] if error is not None else [[name, *line, ""] for line in rows.csv(value)]
    if safe:
        texts = [i for i, column in enumerate(rows.header) if column in TEXTS]
        for line in lines:
            line[:] = [guarded(cell or "") if i in texts else cell for i, cell in enumerate(line)]
    return csv_text(lines)


def _nested(array: np.ndarray) -> list[Any]:
    short = [float(f"{v:.9g}") for v in array.ravel().tolist()]  # the shortest text that is the same float32
    nested: list[Any] = np.array(short).reshape(array.shape).tolist()
    return nested
