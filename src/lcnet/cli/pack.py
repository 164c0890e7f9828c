"""`lcnet pack`."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import click

from ..text import plain
from .codes import INCOMPLETE, Misuse
from .either import output_place
from .options import overwrite_option, pixels_option, reading_options, say, skip_option
from .progress import Progress

UNITS = {"": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


class Size(click.ParamType):
    """A number of bytes, such as 256MiB."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read the number and its unit."""
        found = re.fullmatch(r"(\d{1,15}(?:\.\d{1,9})?) ?(\w*)", str(value))
        if not found or found[2] not in UNITS:
            self.fail(f"{value!r} is no size: expected a number of bytes, or one with {', '.join(list(UNITS)[1:])}")
        return int(float(found[1]) * UNITS[found[2]])


@click.command()
@click.argument("data", type=click.Path())
@output_place("The folder to write.", dir_okay=True)
@click.option(
    "--shorter",
    default=288,
    show_default=True,
    type=click.IntRange(1, 65500),
    metavar="PIXELS",
    help="Of the shorter side, at most; nothing is enlarged.",
)
@click.option("--quality", default=95, show_default=True, type=click.IntRange(1, 100), help="Of JPEG.")
@click.option("--shard-size", default="256MiB", show_default=True, type=Size(), help="Of one archive, at most.")
@overwrite_option
@skip_option
@pixels_option
@reading_options
@click.pass_context
def pack(ctx: click.Context, data: str, output: Path, overwrite: bool, **options: Any) -> None:
    """Scale all pictures of DATA once and write them to tar shards in the folder OUTPUT, which train as DATA does.

    DATA is what `lcnet train` takes; so is OUTPUT then, with the same classes, splits and order.
    """
    from ..dataset import open_dataset
    from ..dataset.pack import Watcher, check_target
    from ..dataset.pack import pack as write
    from ..dataset.reading import reading_of
    from ..sources.passed import Passed

    check_target(output, overwrite)
    if Path(data).resolve() in output.resolve().parents:
        raise Misuse(f"{plain(output)} is inside {plain(data)}, where it would become a part of the data")
    passed = Passed()
    reading = reading_of(options)
    splits = open_dataset(data, passed=passed, **reading)
    options = {name: value for name, value in options.items() if name not in reading}
    progress = Progress(sys.stderr, lambda: sum(map(len, splits.parts().values())))
    if passed.text():
        progress.say(passed.text())
    try:
        packed = write(splits, output, overwrite=overwrite, watcher=Watcher(progress.advance, progress.say), **options)
    finally:
        progress.clear()
    parts = ", ".join(f"{count:,} of {part}" for part, count in packed.pictures.items())
    say(f"{plain(output)}: {parts} in {packed.shards} shards, {packed.bytes / 1e6:,.1f} MB")
    if packed.skipped:
        progress.say(f"{len(packed.skipped):,} pictures could not be read and were left out")
        ctx.exit(INCOMPLETE)
