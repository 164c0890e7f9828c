"""`lcnet check-data`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from ..files import check_target, write_atomically
from ..text import plain, shown
from .advice import advised
from .codes import DONE, INCOMPLETE, Misuse
from .options import columns, json_text, overwrite_option, pixels_option, reading_options, say
from .progress import Progress

if TYPE_CHECKING:
    from ..dataset.check import Finding, Report

TOLD = 5  # items of a finding in a table


@click.command(name="check-data")
@click.argument("data", type=click.Path())
@click.option("--format", "-f", "style", type=click.Choice(["table", "json"]), default="table", show_default=True)
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A file for the report: JSON where it ends in .json, the table where in .txt.",
)
@overwrite_option
@pixels_option
@reading_options
@click.pass_context
def check_data(
    ctx: click.Context, data: str, style: str, output: Path | None, overwrite: bool, max_pixels: int, **given: Any
) -> None:
    """Look at every picture and label of DATA: damaged files, copies, leaks between train and val, odd labels.

    DATA is what `lcnet train` takes. The exit code is 1 if training would stop, else 0, whatever else is found.
    """
    from ..dataset import open_dataset
    from ..dataset.check import check
    from ..dataset.reading import reading_of
    from ..sources.passed import Passed

    if output is not None:
        check_target(output, overwrite)
        style = _style(ctx, output)
    passed = Passed()
    splits = open_dataset(data, passed=passed, **reading_of(given))
    progress = Progress(sys.stderr, lambda: sum(map(len, splits.parts().values())))
    try:
        report = check(splits, progress.advance, max_pixels=max_pixels, passed=passed)
    finally:
        progress.clear()
    text = json_text(plain_names(report.to_json())) if style == "json" else table(report)
    if output is None:
        say(text)
    else:
        write_atomically(output, f"{text}\n".encode())
    ctx.exit(INCOMPLETE if report.stops_training else DONE)


def _style(ctx: click.Context, output: Path) -> str:
    """How a file is written: as its name ends, or, where that says nothing, as --format says."""
    asked = ctx.params["style"]
    by_name = {".json": "json", ".txt": "table"}.get(output.suffix, asked)
    if asked != by_name and ctx.get_parameter_source("style") is ParameterSource.COMMANDLINE:
        raise Misuse(f"--format {asked} is not what {plain(output)} ends in: leave one of them out")
    return by_name


def plain_names(value: Any) -> Any:
    """Make every text one that JSON can hold: names of files have any bytes."""
    if isinstance(value, dict):
        return {key: plain_names(child) for key, child in value.items()}
    if isinstance(value, list):
        return [plain_names(child) for child in value]
    return shown(value) if isinstance(value, str) else value


def table(report: Report) -> str:
    """Format a report for a terminal: numbers of pictures, then every finding with its first items."""
    sizes = [c["train"] for c in report.classes]
    rows = [[name, f"{count:,} pictures"] for name, count in report.pictures.items()]
    several = "; a picture may have several" if report.multi_label else ""
    rows.append(["classes", f"{len(sizes):,}, of {min(sizes):,} to {max(sizes):,} pictures in train{several}"])
    names = [repr(c["name"]) for c in report.classes[:TOLD]]
    rows.append(["", ", ".join(names + ["..."] * (len(sizes) > TOLD))])
    lines = [columns(rows), ""]
    for finding in report.findings:
        lines += [f"{finding.level}: {finding.text}: {len(finding.items):,}", *_items(finding)]
    return "\n".join(lines if report.findings else [*lines, "nothing was found"])


def _items(finding: Finding) -> list[str]:
    lines = [f"  {plain(advised(item_text(item)))}" for item in finding.items[:TOLD]]
    more = len(finding.items) - TOLD
    return [*lines, f"  ... and {more:,} more: --format json names all"] if more > 0 else lines


def item_text(item: dict[str, Any]) -> str:
    """Format one item of a finding, whatever it is about."""
    if "pictures" in item:
        return "  =  ".join(_picture(picture) for picture in item["pictures"][:TOLD])
    if "file" in item:
        return f"{item['file']}: {item['reason']}" if "reason" in item else item["file"]
    if "files" in item:
        what = f" ({item['advice']})" if item.get("advice") else ""
        return f"{item['files']:,} {item.get('kind', 'pictures')}{what}"
    if "names" in item:
        return ", ".join(map(repr, item["names"]))
    return f"{item['name']!r}: " + ", ".join(f"{count:,} in {part}" for part, count in item.items() if part != "name")


def _picture(picture: dict[str, Any]) -> str:
    return f"{picture['file']} ({' | '.join(picture['labels'])})"
