"""`lcnet classify`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from ..text import one_line, plain
from . import on_ray
from .bulk import Bulk
from .options import csv_safe_option, given_output, model_options, output_options, rows_option, search_options, shard_option

if TYPE_CHECKING:
    from ..runtime import Prediction, Result
    from ..runtime.decision import Answer
    from ..runtime.stream import Streamed


@click.command()
@search_options
@model_options
@click.option("--top", "-k", default=5, show_default=True, type=click.IntRange(1), help="Classes to print an image.")
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    metavar="X",
    help="Answer `unknown` below this probability, whatever thresholds the model has.",
)
@rows_option("table", "csv", "json", "jsonl")
@click.option("--wide", is_flag=True, help="CSV with one line an image instead of one a class.")
@click.option("--timing", is_flag=True, help="Print the milliseconds of an image in the table too.")
@shard_option
@on_ray.ray_options
@output_options(None)
@csv_safe_option
@click.pass_context
def classify(ctx: click.Context, top: int, threshold: float | None, timing: bool, csv_safe: bool, **_: Any) -> None:
    """Print the best classes of each image, or write them to a file.

    IMAGES are files, folders, patterns in quotes, and zip or tar archives.
    """
    if on_ray.wanted(ctx.params):
        on_ray.run(ctx, "classify", top_k=top, threshold=threshold)
        return
    path = given_output(ctx.params, "table")
    bulk = Bulk(ctx, "classify", lambda _: {"top_k": top, "threshold": threshold})
    if path is not None:
        bulk.write(path)
    elif ctx.params["style"] == "table":
        bulk.show(TablePrinter(timing, bulk.model.config.decision.multi_label).image)
    else:
        bulk.print_rows(ctx.params["style"], csv_safe)


def _percents(classes: Iterable[Prediction]) -> str:
    return "   ".join(f"{one_line(p.label.split(',')[0])} {100 * p.probability:.1f}%" for p in classes)


def _answer(group: tuple[str, Answer]) -> str:
    name, answer = group
    texts = (answer,) if isinstance(answer, str) else answer or ("-",)
    return one_line(f"{name}: {', '.join(texts)}")


class TablePrinter:
    """A line an image: file, answers of groups, classes with percent; in brackets those that are not accepted."""

    def __init__(self, timing: bool, multi_label: bool) -> None:
        self.timing, self.multi_label, self.width = timing, multi_label, 0

    def image(self, item: Streamed) -> None:
        """Print one line; of a class with several names the first. What could not be read is told as a message."""
        if item.error is not None:
            return
        classes = self._classes(item.value)
        time_text = f"{item.seconds * 1e3:7.2f} ms  " if self.timing else ""
        name = plain(item.source)
        self.width = min(40, max(self.width, len(name)))  # of the names so far: the others are not known yet
        click.echo(f"{name:<{self.width}}  {time_text}{classes}")

    def _classes(self, result: Result) -> str:
        if result.accepted == result.top[:1] and not self.multi_label:
            return _percents(result.top)
        others = _percents(p for p in result.top if p not in result.accepted)
        taken = [*map(_answer, result.answers.items()), _percents(result.accepted) or "unknown" * (not result.known)]
        return f"{'   '.join(filter(None, taken))}{others and f' ({others})'}"
