"""Options and arguments that several commands share, and how text is laid out."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .. import formats
from ..errors import InputError
from ..sources.formats import MAX_PIXELS
from ..sources.found import MAX_MEMBER
from ..text import lines, one_line, plain
from .codes import Misuse
from .complete import ModelName
from .streams import on_terminal

if TYPE_CHECKING:
    from ..runtime import Classifier

F = TypeVar("F", bound=Callable[..., Any])
DEFAULT_MODEL = "lcnet_050"
MODEL_HELP = "A name (`lcnet models`) or a file."


class Frames(click.ParamType):
    """Which frames of a file: first, all, or a number of them."""

    name = "frames"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str | int:
        """Read a number as such."""
        if value in ("first", "all"):
            return str(value)
        if not re.fullmatch("0*[1-9][0-9]{0,17}", str(value)):
            self.fail(f"{value!r} is neither 'first', 'all', nor a whole number of at least 1", param, ctx)
        return int(value)


def pixels_option(command: F) -> F:
    """Add --max-pixels."""
    return click.option(
        "--max-pixels",
        default=MAX_PIXELS,
        show_default=True,
        type=click.IntRange(1),
        help="Refuse larger pictures, by their header.",
    )(command)


def engine_options(command: F) -> F:
    """Add --threads, --isa, --precision, --decode and --max-pixels."""
    command = pixels_option(command)
    command = click.option(
        "--decode",
        type=click.Choice(["exact", "fast"]),
        default="exact",
        show_default=True,
        help="fast: JPEG files far larger than the input are decoded at a fraction of their size.",
    )(command)
    return machine_options(precision_option(command))


def precision_option(command: F) -> F:
    """Add --precision."""
    kinds = click.Choice(["fp32", "bf16"])
    return click.option("--precision", type=kinds, default="fp32", show_default=True, help="bf16 where the CPU has it.")(
        command
    )


def machine_options(command: F) -> F:
    """Add --threads and --isa."""
    command = click.option("--isa", help="Kernels to use; `lcnet info --cpu` lists them.")(command)
    return threads_option(command)


def threads_option(command: F) -> F:
    """Add --threads."""
    kind = click.IntRange(1)
    return click.option("--threads", type=kind, help="Processors to use.  [default: all that may be used]")(command)


def skip_option(command: F) -> F:
    """Add --skip-unreadable."""
    text = "Leave out pictures that cannot be read, and list them; the exit code is 1 then."
    return click.option("--skip-unreadable", is_flag=True, help=text)(command)


def overwrite_option(command: F) -> F:
    """Add --overwrite."""
    return click.option("--overwrite", is_flag=True, help="Replace what stands where the output goes.")(command)


def model_options(command: F) -> F:
    """Add --model and the engine's options."""
    return model_option(engine_options(command))


def model_option(command: F) -> F:
    """Add --model."""
    named: dict[str, Any] = {"metavar": "MODEL", "type": ModelName(), "help": MODEL_HELP}
    return click.option("--model", "-m", default=DEFAULT_MODEL, show_default=True, **named)(command)


def recursive_option(command: F) -> F:
    """Add --recursive."""
    return click.option("--recursive", "-r", is_flag=True, help="Take the folders in folders too.")(command)


def list_option(command: F) -> F:
    """Add --files-from."""
    text = "Read paths from a file, or with - from standard input: one a line, or with NULs between."
    return click.option("--files-from", metavar="LIST", type=click.Path(allow_dash=True), help=text)(command)


def member_option(command: F) -> F:
    """Add --max-member."""
    return click.option(
        "--max-member",
        default=MAX_MEMBER >> 20,
        show_default=True,
        type=click.IntRange(1),
        metavar="MIB",
        help="The largest picture in an archive that is read.",
    )(command)


def search_options(command: F) -> F:
    """Add IMAGES, --recursive, --frames, --files-from and --max-member."""
    command = list_option(member_option(command))
    command = click.option(
        "--frames",
        default="first",
        show_default=True,
        type=Frames(),
        metavar="first|all|N",
        help="Of files with several: all, or at most N, evenly spaced; each is named FILE/#1, FILE/#2, ...",
    )(command)
    command = recursive_option(command)
    return click.argument("images", nargs=-1, type=click.Path())(command)


def reading_options(command: F) -> F:
    """Add --labels-from-names, --label-separator and --columns: `reading_of` of what is given goes to `open_dataset`."""
    command = click.option(
        "--columns",
        metavar="ROLE=NAME,...",
        help="Columns of a table, such as 'path=img,label=kind,split=fold'; usual names are known without.",
    )(command)
    command = click.option(
        "--label-separator",
        default="|",
        show_default=True,
        metavar="TEXT",
        help="Between several labels of a picture, in tables and shards.",
    )(command)
    return click.option(
        "--labels-from-names",
        metavar="RULE",
        help="Find the class in a picture's name: 'auto' takes cat from cat.0.jpg; or a regular expression with one group.",
    )(command)


def format_option(command: F) -> F:
    """Add --format."""
    kinds = click.Choice(["table", "json", "csv"])
    return click.option("--format", "-f", "style", type=kinds, default="table", show_default=True)(command)


def rows_option(*kinds: str) -> Callable[[F], F]:
    """Add --format of what goes to standard output, the first by default; `given_output` holds it against --output."""
    return click.option(
        "--format",
        "-f",
        "style",
        type=click.Choice(kinds),
        help=f"What is printed; a file's ending says what it is.  [default: {kinds[0]}]",
    )


class ShardName(click.ParamType):
    """Which rows of a list: I/N."""

    name = "shard"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read I/N."""
        from ..results.part import Shard

        try:
            return Shard.parse(value) if isinstance(value, str) else value
        except InputError as error:
            self.fail(str(error), param, ctx)


def shard_option(command: F) -> F:
    """Add --shard."""
    text = (
        "Take the rows I, I + N, ... of the list, from 0, and write a part of its results, which `lcnet merge` puts together."
    )
    return click.option("--shard", type=ShardName(), metavar="I/N", help=text)(command)


def output_options(default: str | None) -> Callable[[F], F]:
    """Add --output, --resume, --update, --prune and --overwrite."""

    def add(command: F) -> F:
        command = click.option("--overwrite", is_flag=True, help="Replace the output file if it exists.")(command)
        command = click.option("--prune", is_flag=True, help="With --update: drop the rows of pictures that are gone.")(command)
        command = click.option(
            "--update",
            is_flag=True,
            help="Take what the output file has not: new and changed pictures, and those that could not be read.",
        )(command)
        command = click.option("--resume", is_flag=True, help="Go on with a file whose run was stopped.")(command)
        path = click.Path(path_type=Path, allow_dash=True)
        return click.option(
            "--output",
            "-o",
            type=path,
            default=default,
            show_default=default is not None,
            help="A file that ends in .csv, .json, .jsonl, .npz or .parquet, or - for standard output.",
        )(command)

    return add


def given_output(given: dict[str, Any], default: str) -> Path | None:
    """The file that --output names, None for standard output; then `style` is what to print. Raises `InputError`.

    default: the format of standard output.
    """
    path, safe, wide = given["output"], given.get("csv_safe", False), given.get("wide", False)
    if given["shard"]:
        _check_shard(path, given)
    if given["prune"] and not given["update"]:
        raise Misuse("--prune is about --update, which finds out what is gone: give both, or neither")
    if path is not None and str(path) != "-":
        _check_file(path, given, safe, wide)
        return Path(path)
    for name in ("resume", "update", "overwrite"):
        if given[name]:
            raise Misuse(f"--{name} is about an --output file: name it")
    given["style"] = given["style"] or default
    for name, asked in (("--csv-safe", safe), ("--wide", wide)):
        if asked and given["style"] != "csv":
            raise Misuse(f"{name} is about CSV, and --format is {given['style']}: leave it out, or give --format csv")
    return None


def _check_file(path: Path, given: dict[str, Any], safe: bool, wide: bool) -> None:
    from ..results.outputs import check

    style, ending = given["style"], path.suffix.lower()
    if given["resume"] + given["overwrite"] + given["update"] > 1:
        raise Misuse("--resume continues a file, --update takes what it has not, and --overwrite replaces it: choose one")
    if wide and ending != ".csv":
        raise Misuse(f"{plain(path)}: there is one row a picture already: --wide is about files that end in .csv: leave it out")
    if safe and ending != ".csv":
        raise Misuse(f"{plain(path)}: --csv-safe is about files that end in .csv: leave it out")
    if style is not None and f".{style}" != ending:
        raise Misuse(
            f"--format {style} is about what is printed, and {plain(path)} is written as its ending says: leave --format out"
        )
    if not (given["shard"] and given["resume"]):  # a part that is complete is no mistake: the job is done
        check(path, given["resume"], given["overwrite"], given["update"])


def _check_shard(path: Path | None, given: dict[str, Any]) -> None:
    """What a part of a list needs. Raises `InputError`."""
    from ..results.part import check

    if path is None or str(path) == "-":
        raise Misuse("--shard writes a part of the results: name its file with --output")
    check(path)
    if given["update"]:
        raise Misuse("--update goes by names and --shard by rows: --resume goes on with a part")
    if given["frames"] != "first":
        raise Misuse("--shard takes one frame of a file, so that its rows are those of the list: leave --frames out")
    if "-" in (*given["images"], given["files_from"]):
        raise Misuse("--shard needs a list that every shard can read again: name a file instead of -")
    if given["images"] and given["files_from"] is not None:
        raise Misuse("--shard takes rows of one list: name IMAGES, or a list with --files-from")


def csv_safe_option(command: F) -> F:
    """Add --csv-safe."""
    return click.option(
        "--csv-safe",
        is_flag=True,
        help="In CSV put ' before text that a spreadsheet would take for a formula, and before text that begins with '.",
    )(command)


def html_option(command: F) -> F:
    """Add --html."""
    path = click.Path(path_type=Path, dir_okay=False)
    return click.option("--html", metavar="FILE", type=path, help="Write a page of thumbnails, in one file.")(command)


def check_apart(path: Path, output: Path, recursive: bool, option: str) -> None:
    """Refuse a folder for output that lies in one that is read. Raises `Misuse`."""
    top, target = path.resolve(), output.resolve()
    if path.is_dir() and (target.is_relative_to(top) if recursive else target == top):
        raise Misuse(f"{option} {plain(output)} lies in {plain(path)}, which is read: name a folder outside of it")


def root_of(path: str) -> Path | None:
    """The folder that is named, or of a pattern the one before its first star; None of a file."""
    if os.path.isdir(path):  # noqa: PTH112
        return Path(path)
    if os.path.lexists(path):
        return None
    parts = Path(path).parts
    plain_parts = next((parts[:i] for i, part in enumerate(parts) if set(part) & set("*?[")), parts[:-1])
    return Path(*plain_parts)


def free_report(job: str) -> Path:
    """A name for the report of a job that changes files, with the time, that is not there yet."""
    name = f"{job}-{datetime.now():%Y%m%d-%H%M%S}"
    numbers = ("", *(f"-{number}" for number in range(2, 1000)))
    paths = (Path(f"{name}{number}.jsonl") for number in numbers)
    return next((path for path in paths if not os.path.lexists(path)), Path(f"{name}.jsonl"))


def load_model(given: dict[str, Any]) -> Classifier:
    """Load the model that the options name."""
    from ..runtime import load

    return load(given["model"], **{key: given[key] for key in ("threads", "isa", "precision", "decode", "max_pixels")})


def say(text: object, err: bool = False) -> None:
    """Print prose, of which nothing moves a terminal's cursor whatever names and labels it quotes."""
    click.echo(lines(str(text)), err=err)


def columns(rows: list[list[str]], right: Iterable[int] = ()) -> str:
    """Align rows of text in columns; those whose number is in `right` to the right."""
    rows = [[one_line(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    right = set(right)
    aligned = (
        "  ".join(c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    )
    return "\n".join(line.rstrip() for line in aligned)


def csv_text(rows: Iterable[Iterable[Any]], safe: bool = False) -> str:
    """Format rows as CSV to be printed: exact, but on a terminal what is not printable is escaped."""
    exact = not on_terminal(sys.stdout)

    def cell(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        text = formats.guarded(value) if safe else value
        return text if exact else one_line(text)

    return formats.csv_text([cell(value) for value in row] for row in rows).removesuffix("\n")


def json_text(value: Any) -> str:
    """Format a value as indented JSON."""
    return formats.json_text(value, indent=2)
