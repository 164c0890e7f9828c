"""Rows of a job that is no classification, printed as they come: as a table, CSV, JSON or JSON lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click

from .. import formats
from ..text import one_line
from .codes import Misuse
from .options import csv_text, say

STYLES = ("table", "csv", "json", "jsonl")


class Listing:
    """Prints one row after another, and what comes before and after all."""

    def __init__(self, style: str, columns: Sequence[str], line: Callable[[dict[str, Any]], str], safe: bool = False) -> None:
        """line: how a row looks in a table. safe: CSV without formulas. Raises `Misuse`."""
        if safe and style != "csv":
            raise Misuse(f"--csv-safe is about CSV, and --format is {style}: leave it out, or give --format csv")
        self.style, self.columns, self.line, self.safe = style, columns, line, safe
        self.begun, self.before = False, ""

    def row(self, value: dict[str, Any]) -> None:
        """Print one."""
        if not self.begun:
            self._begin()
        if self.style == "csv":
            click.echo(csv_text([[value[name] for name in self.columns]], self.safe))
        elif self.style == "table":
            say(one_line(self.line(value)))
        else:
            click.echo(self.before + formats.json_text(value), nl=self.style == "jsonl")
            self.before = ",\n  " if self.style == "json" else ""

    def _begin(self) -> None:
        self.begun, self.before = True, "\n  " if self.style == "json" else ""
        if self.style == "csv":
            click.echo(csv_text([self.columns]))
        elif self.style == "json":
            click.echo("[", nl=False)

    def end(self) -> None:
        """Close what is open; also after an interruption."""
        if not self.begun:
            self._begin()
        if self.style == "json":
            click.echo("\n]")
