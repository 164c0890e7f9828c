"""What an actor does: its model, loaded once, and tables of paths that become tables of answers.

Only names and answers pass between processes: each actor reads its pictures itself.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from hashlib import file_digest
from socket import gethostname
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import hub
from ..errors import ModelFileError
from ..results.job import rows_for
from ..results.rows import Classes, Rows, why_not
from ..results.whole import pyarrow, schema
from ..runtime import load
from ..runtime.stream import stream
from ..sources import picture
from ..sources.found import problem
from ..text import plain, shown

if TYPE_CHECKING:
    from ..runtime.stream import Streamed

ID, PATH, PROBLEM = "id", "path", "problem"  # columns of what an actor is given


def digest_of(model: str) -> str:
    """The sha256 of a model's file."""
    with hub.locate(model).path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def columns(rows: Rows) -> Any:
    """The columns of the answers: those of a .parquet, behind the number of the row."""
    return schema(rows).insert(0, pyarrow().field(ID, pyarrow().int64()))


class Answers:
    """One model in one process. Raises `ModelFileError` if its file is not the one that the run began with."""

    def __init__(self, model: str, sha256: str, kind: str, asked: Mapping[str, Any], engine: Mapping[str, Any]) -> None:
        """model: its name, on this machine too; asked: as `Classifier.answer` takes it; engine: as `lcnet.load`."""
        found = digest_of(model)
        if found != sha256:
            raise ModelFileError(
                f"{plain(model)} on {plain(gethostname())} is another file (sha256 {found[:12]}...) than the run began with "
                f"({sha256[:12]}...): put the same on every node"
            )
        self.model = load(model, **engine)
        self.answer = self.model.answer(kind, **asked)
        self.rows = rows_for(self.model, kind, asked.get("top_k", 5), asked.get("out_indices"))

    def __call__(self, table: Any) -> Any:
        """A table of numbers and paths to one of answers, in the same order; what cannot be read is a row with its error."""
        paths = table.column(PATH).to_pylist()
        problems = table.column(PROBLEM).to_pylist() if PROBLEM in table.column_names else [None] * len(paths)
        sources = [_source(path, why) for path, why in zip(paths, problems, strict=True)]
        found = list(stream(sources, self.model.preprocess, self.answer, errors="yield", workers=self.model.threads))
        return as_table(self.rows, table.column(ID), found)


def _source(path: bytes | str | None, why: str | None) -> Any:
    name = "" if path is None else os.fsdecode(path)
    if why or not name:
        return problem(name, why or "there is no path in this row")
    return picture(name)


def as_table(rows: Rows, ids: Any, found: Sequence[Streamed]) -> Any:
    """The answers as a table with these numbers."""
    pa, names = pyarrow(), columns(rows)
    errors = [why_not(item.source, item.error) for item in found]
    made = {ID: ids, "file": [shown(item.source) for item in found], "error": errors}
    made |= _classes(rows, found) if isinstance(rows, Classes) else _arrays(pa, rows, found)
    made["milliseconds"] = [1e3 * item.seconds for item in found]
    return pa.table([made[field.name] for field in names], schema=names)


def _classes(rows: Classes, found: Sequence[Streamed]) -> dict[str, Any]:
    good = [rows.arrays(item.value) for item in found if item.error is None]
    top = iter(rows.columns([np.stack(arrays) for arrays in zip(*good, strict=True)])["top"] if good else ())
    return {"top": [next(top) if item.error is None else None for item in found]}


def _arrays(pa: Any, rows: Rows, found: Sequence[Streamed]) -> dict[str, Any]:
    bad, made = pa.array([item.error is not None for item in found], pa.bool_()), {}
    values = [rows.arrays(item.value) if item.error is None else None for item in found]
    for column, (name, shape) in enumerate(rows.shapes.items()):
        stack = np.zeros((len(found), int(np.prod(shape))), np.float32)
        for row, arrays in zip(stack, values, strict=True):
            if arrays is not None:
                row[:] = arrays[column].ravel()
        made[name] = pa.FixedSizeListArray.from_arrays(pa.array(stack.ravel()), stack.shape[1], mask=bad)
    return made
