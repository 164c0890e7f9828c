"""`lcnet classify`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..formats import json_text
from ..text import one_line, plain, shown
from .bulk import Bulk
from .codes import Misuse
from .options import csv_safe_option, csv_text, format_option, model_options, output_options, search_options

if TYPE_CHECKING:
    from ..runtime import Prediction, Result
    from ..runtime.stream import Streamed


@click.command()
@search_options
@model_options
@click.option("--top", "-k", default=5, show_default=True, type=click.IntRange(1), help="Classes to print an image.")
@format_option
@click.option("--timing", is_flag=True, help="Print the milliseconds from file to classes.")
@output_options(None)
@csv_safe_option
@click.pass_context
def classify(
    ctx: click.Context,
    top: int,
    style: str,
    timing: bool,
    output: Path | None,
    resume: bool,
    overwrite: bool,
    csv_safe: bool,
    **_: Any,
) -> None:
    """Print the best classes of each image, or write them to a file.

    IMAGES are files, folders, patterns in quotes, and zip or tar archives.
    """
    if output is None:
        if resume or overwrite:
            raise Misuse("--resume and --overwrite are about an --output file: name it")
        if csv_safe and style != "csv":
            raise Misuse(f"--csv-safe is about CSV, and --format is {style}: leave it out, or give --format csv")
        bulk = Bulk(ctx, "classify", top_k=top)
        printer = _printer(style, timing, bulk.model.config.decision.multi_label, csv_safe)
        bulk.show(printer.image, printer.end)
        return
    from ..results.outputs import check
    from ..results.rows import Classes

    if timing or style != "table":
        raise Misuse("--format and --timing are about what is printed: the ending of --output says what is written")
    check(output, resume, overwrite, csv_safe)
    bulk = Bulk(ctx, "classify", top_k=top)
    bulk.write(output, Classes(bulk.model.labels, bulk.model.arch.num_classes, top), resume, overwrite)


def _percents(classes: Iterable[Prediction]) -> str:
    return "   ".join(f"{one_line(p.label.split(',')[0])} {100 * p.probability:.1f}%" for p in classes)


def _printer(style: str, timing: bool, multi_label: bool, safe: bool) -> Any:
    if style == "csv":
        return CsvPrinter(timing, safe)
    return JsonPrinter(timing) if style == "json" else TablePrinter(timing, multi_label)


class TablePrinter:
    """A line an image: file, classes with percent; in brackets after the answer those that are not accepted."""

    def __init__(self, timing: bool, multi_label: bool) -> None:
        self.timing, self.multi_label, self.width = timing, multi_label, 0

    def image(self, item: Streamed) -> None:
        """Print one line; of a class with several names the first."""
        classes = self._classes(item.value)
        time_text = f"{item.seconds * 1e3:7.2f} ms  " if self.timing else ""
        name = plain(item.source)
        self.width = min(40, max(self.width, len(name)))  # of the names so far: the others are not known yet
        click.echo(f"{name:<{self.width}}  {time_text}{classes}")

    def _classes(self, result: Result) -> str:
        if result.known and not self.multi_label:
            return _percents(result.top)
        others = _percents(p for p in result.top if p not in result.accepted)
        return f"{_percents(result.accepted) or 'unknown'}{others and f' ({others})'}"

    def end(self) -> None:
        """Nothing closes a table."""


class JsonPrinter:
    """An array with an object an image, printed as the images are done."""

    def __init__(self, timing: bool) -> None:
        self.timing, self.separator = timing, ""
        click.echo("[", nl=False)

    def image(self, item: Streamed) -> None:
        """Print one element."""
        row = {"file": shown(item.source), **item.value.to_dict()}
        if self.timing:
            row["milliseconds"] = round(1e3 * item.seconds, 3)
        click.echo(f"{self.separator}\n  {json_text(row)}", nl=False)
        self.separator = ","

    def end(self) -> None:
        """Close the array, which may have been interrupted after any element."""
        click.echo("\n]")


class CsvPrinter:
    """A row a class: file, rank, index, id, label, probability, whether it is accepted."""

    def __init__(self, timing: bool, safe: bool) -> None:
        self.timing, self.safe = timing, safe
        click.echo("file,rank,index,id,label,probability,accepted,milliseconds")

    def image(self, item: Streamed) -> None:
        """Print the rows of one image."""
        name, spent = shown(item.source), f"{item.seconds * 1e3:.3f}" if self.timing else ""
        good = item.value.accepted
        click.echo(
            csv_text(
                (
                    [name, rank, p.index, p.id, p.label, f"{p.probability:.6f}", str(p in good).lower(), spent]
                    for rank, p in enumerate(item.value.top, 1)
                ),
                self.safe,
            )
        )

    def end(self) -> None:
        """Nothing closes a CSV file."""
