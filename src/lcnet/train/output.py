"""The output folder of a training run: what is in it, when it may be written, and the rows of its metrics.

Refuses a folder that holds something unless it is told to resume or to overwrite. Nothing is deleted or written before the
first thing that is worth keeping.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError, ModelFileError
from ..files import write_atomically
from ..text import reason, short

MODEL, LAST, CHECKPOINT = "model.safetensors", "last.safetensors", "last.ckpt"
METRICS, RECIPE, REPORT = "metrics.jsonl", "recipe.json", "report"

_AGAIN = "put the file of this run back, or begin anew with --overwrite"


@dataclass(frozen=True)
class Output:
    """The folder and the files in it."""

    folder: Path

    @property
    def model(self) -> Path:
        """The model file."""
        return self.folder / MODEL

    @property
    def last(self) -> Path:
        """The model file of the last epoch."""
        return self.folder / LAST

    @property
    def checkpoint(self) -> Path:
        """What `--resume` goes on from."""
        return self.folder / CHECKPOINT

    @property
    def report(self) -> Path:
        """The report's folder."""
        return self.folder / REPORT

    @contextmanager
    def prepared(self, resume: bool, overwrite: bool) -> Iterator[bool]:
        """Make the folder ready; yield whether there is a checkpoint to go on from. Raises `InputError`.

        Folders that were made for it go again if nothing came into them.
        """
        self._check(resume, overwrite)
        made = [folder for folder in (self.folder, *self.folder.parents) if not folder.exists()]
        try:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                self._probe()
            except OSError as error:
                raise InputError(f"{self.folder}: cannot write there: {reason(error)}") from None
            yield resume and self.checkpoint.exists()
        finally:
            for folder in made:
                with suppress(OSError):  # there is something in it
                    folder.rmdir()

    def _check(self, resume: bool, overwrite: bool) -> None:
        known = [name for name in (MODEL, LAST, CHECKPOINT, METRICS, RECIPE, REPORT) if (self.folder / name).exists()]
        if resume and not self.folder.is_dir():
            raise InputError(f"{self.folder}: there is no such folder, so nothing to resume: leave out --resume")
        if known and not (resume or overwrite):
            raise InputError(
                f"{self.folder}: it has {', '.join(known)} of an earlier run: --resume goes on with it, "
                "--overwrite begins anew, or name another folder"
            )

    def clear(self) -> None:
        """Remove what an earlier run left."""
        for name in (CHECKPOINT, METRICS, MODEL, LAST):
            (self.folder / name).unlink(missing_ok=True)

    def _probe(self) -> None:
        probe = self.folder / f".{os.urandom(4).hex()}.tmp"
        probe.write_bytes(b"")
        probe.unlink()

    def write_recipe(self, description: dict[str, Any]) -> None:
        """Write everything that is needed to repeat the run."""
        write_atomically(self.folder / RECIPE, (json.dumps(description, indent=2) + "\n").encode())

    def rows(self, epochs: range) -> list[dict[str, Any]]:
        """Read the rows of these epochs; those after them are of steps that are done again.

        Raises `ModelFileError` if there are fewer, or others.
        """
        path = self.folder / METRICS
        try:
            lines = path.read_text(encoding="utf-8").splitlines() if epochs else []
        except (OSError, ValueError) as error:
            raise ModelFileError(f"{path}: {reason(error)}; {_AGAIN}") from None
        if len(lines) < len(epochs):
            raise ModelFileError(f"{path}: it has {len(lines)} lines, expected one for each of {len(epochs)} epochs: {_AGAIN}")
        return [_row(path, number, line) for number, line in zip(epochs, lines, strict=False)]

    def write_rows(self, rows: list[dict[str, Any]]) -> None:
        """Write one JSON line an epoch."""
        write_atomically(self.folder / METRICS, "".join(json.dumps(row) + "\n" for row in rows).encode())


def _row(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        row = None
    plain = isinstance(row, dict) and all(isinstance(value, (int, float, type(None))) for value in row.values())
    if not plain or row.get("epoch") != number or not {"lr", "train_loss"} <= set(row):
        raise ModelFileError(f"{path}: line {number} is {short(repr(line))}, expected the metrics of epoch {number}: {_AGAIN}")
    return dict(row)
