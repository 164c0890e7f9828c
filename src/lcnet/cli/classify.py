"""`lcnet classify`."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .options import Inputs, csv_text, format_option, load_model, model_options

if TYPE_CHECKING:
    from ..runtime import Result


@click.command()
@model_options
@click.option("--top", "-k", default=5, show_default=True, type=click.IntRange(1), help="Classes to print an image.")
@format_option
@click.option("--timing", is_flag=True, help="Print the milliseconds from file to classes.")
@click.pass_context
def classify(
    ctx: click.Context, images: tuple[Path, ...], model: str, threads: int | None, isa: str | None, top: int,
    style: str, timing: bool,
) -> None:  # fmt: skip
    """Print the best classes of each image (files, or folders of them)."""
    inputs = Inputs(load_model(model, threads, isa), images)
    printer = PRINTERS[style](inputs)
    started = time.perf_counter()
    for path, x in inputs:
        result = inputs.model.classify(x, top_k=top)[0]
        milliseconds = (time.perf_counter() - started) * 1e3
        printer.image(path, result, milliseconds if timing else None)
        started = time.perf_counter()
    printer.end()
    inputs.finish(ctx)


class TablePrinter:
    """A line an image: file, classes with percent."""

    def __init__(self, inputs: Inputs) -> None:
        self.width = min(40, max(len(str(path)) for path in inputs.paths))

    def image(self, path: Path, result: Result, milliseconds: float | None) -> None:
        """Print one line; of a class with several names the first."""
        classes = "   ".join(f"{p.label.split(',')[0]} {100 * p.probability:.1f}%" for p in result.top)
        time_text = "" if milliseconds is None else f"{milliseconds:7.2f} ms  "
        click.echo(f"{path!s:<{self.width}}  {time_text}{classes}")

    def end(self) -> None:
        """Nothing closes a table."""


class JsonPrinter:
    """An array with an object an image, printed as the images are done."""

    def __init__(self, inputs: Inputs) -> None:
        self.separator = "["

    def image(self, path: Path, result: Result, milliseconds: float | None) -> None:
        """Print one element."""
        row = {"file": str(path), "top": [p._asdict() for p in result.top]}
        if milliseconds is not None:
            row["milliseconds"] = round(milliseconds, 3)
        click.echo(f"{self.separator}\n  {json.dumps(row, ensure_ascii=False)}", nl=False)
        self.separator = ","

    def end(self) -> None:
        """Close the array."""
        click.echo("[]" if self.separator == "[" else "\n]")


class CsvPrinter:
    """A row a class: file, rank, index, id, label, probability."""

    def __init__(self, inputs: Inputs) -> None:
        click.echo("file,rank,index,id,label,probability,milliseconds")

    def image(self, path: Path, result: Result, milliseconds: float | None) -> None:
        """Print the rows of one image."""
        spent = "" if milliseconds is None else f"{milliseconds:.3f}"
        rows = ([path, r, p.index, p.id, p.label, f"{p.probability:.6f}", spent] for r, p in enumerate(result.top, 1))
        click.echo(csv_text(rows))

    def end(self) -> None:
        """Nothing closes a CSV file."""


PRINTERS = {"table": TablePrinter, "json": JsonPrinter, "csv": CsvPrinter}
