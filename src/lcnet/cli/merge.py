"""`lcnet merge`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ..sources.passed import counted
from ..text import plain
from .options import overwrite_option, say
from .progress import Progress


@click.command()
@click.argument("parts", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--output",
    "-o",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="A file that ends as the parts do: in .parquet, .jsonl or .csv.",
)
@overwrite_option
def merge(parts: tuple[Path, ...], output: Path, overwrite: bool) -> None:
    """Put the parts that --shard has written together, in the order of their list.

    PARTS are all files of one list, in any order. Missing, doubled and foreign ones are refused, and nothing is written then.
    """
    from ..results.merge import merge as put_together

    progress = Progress(sys.stderr, lambda: None)
    try:
        done = put_together(parts, output, overwrite, progress.show)
    finally:
        progress.clear()
    say(f"{plain(output)}: {counted(done.rows, 'image')} of {counted(done.parts, 'part')}")
