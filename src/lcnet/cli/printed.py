"""Rows on standard output, the same that a file would have: CSV, JSON and JSONL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..results.rows import Rows, csv_cells, json_row, why_not
from ..text import shown
from .options import csv_text

if TYPE_CHECKING:
    from ..runtime.stream import Streamed


class LinePrinter:
    """An object a line."""

    def __init__(self, rows: Rows, safe: bool) -> None:
        self.rows, self.safe = rows, safe
        self.begin()

    def begin(self) -> None:
        """Print what comes before all rows."""

    def image(self, item: Streamed) -> None:
        """Print the row of one picture, or its rows."""
        self.line(shown(item.source), item.value, why_not(item.source, item.error), 1e3 * item.seconds)

    def line(self, name: str, value: Any, error: str | None, spent: float) -> None:
        """Print one picture; `spent` are milliseconds."""
        click.echo(json_row(self.rows, name, value, error, spent))

    def end(self) -> None:
        """Print what comes after all rows."""


class JsonPrinter(LinePrinter):
    """An array with an object an image, printed as the images are done."""

    separator = "\n"

    def begin(self) -> None:
        """Open the array."""
        click.echo("[", nl=False)

    def line(self, name: str, value: Any, error: str | None, spent: float) -> None:
        """Print one element."""
        click.echo(f"{self.separator}  {json_row(self.rows, name, value, error, spent)}", nl=False)
        self.separator = ",\n"

    def end(self) -> None:
        """Close the array, which may have been interrupted after any element."""
        click.echo("\n]")


class CsvPrinter(LinePrinter):
    """A row a class, or an image."""

    def begin(self) -> None:
        """Print the names of the columns."""
        click.echo(csv_text([self.rows.header]))

    def line(self, name: str, value: Any, error: str | None, spent: float) -> None:
        """Print the rows of one image."""
        click.echo(csv_text(csv_cells(self.rows, name, value, error, spent, self.safe)))


PRINTERS = {"csv": CsvPrinter, "json": JsonPrinter, "jsonl": LinePrinter}
