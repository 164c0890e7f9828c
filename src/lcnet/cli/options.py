"""Options and arguments that several commands share, and the way from arguments to inputs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..errors import ImageError, InputError

if TYPE_CHECKING:
    import numpy as np

    from ..runtime import Classifier

F = TypeVar("F", bound=Callable[..., Any])
DEFAULT_MODEL = "lcnet_050"
SUFFIXES = frozenset(".avif .bmp .gif .jfif .jpe .jpeg .jpg .pbm .pgm .png .pnm .ppm .tif .tiff .webp".split())


def model_options(command: F) -> F:
    """Add IMAGES, --model, --threads and --isa."""
    command = click.option("--isa", help="Kernels to use; `lcnet info --cpu` lists them.")(command)
    command = click.option("--threads", type=int, help="Processors to use.  [default: all that may be used]")(command)
    command = click.option("--model", "-m", default=DEFAULT_MODEL, show_default=True, help="A name or a file.")(command)
    return click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))(command)


def format_option(command: F) -> F:
    """Add --format."""
    kinds = click.Choice(["table", "json", "csv"])
    return click.option("--format", "-f", "style", type=kinds, default="table", show_default=True)(command)


def output_options(default: str) -> Callable[[F], F]:
    """Add --output and --overwrite."""

    def add(command: F) -> F:
        command = click.option("--overwrite", is_flag=True, help="Replace the output file if it exists.")(command)
        path = click.Path(path_type=Path, dir_okay=False)
        return click.option("--output", "-o", type=path, default=default, show_default=True)(command)

    return add


def load_model(name: str, threads: int | None, isa: str | None) -> Classifier:
    """Load the model that the options name."""
    from ..runtime import load

    return load(name, threads=threads, isa=isa)


def expand(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield each file, and for a folder the image files in it, sorted."""
    for path in paths:
        if path.is_dir():
            yield from sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())
        else:
            yield path


class Inputs:
    """The inputs of many images, one at a time; an unreadable one is reported on stderr and the rest goes on."""

    def __init__(self, model: Classifier, paths: Iterable[Path]) -> None:
        self.model = model
        self.paths = list(expand(paths))
        self.failed = 0
        if not self.paths:
            raise InputError("no images: the folders given hold no file with a known image suffix")

    def __iter__(self) -> Iterator[tuple[Path, np.ndarray]]:
        for path in self.paths:
            try:
                yield path, self.model.preprocess(path)
            except ImageError as error:
                self.failed += 1
                click.echo(f"lcnet: {error}", err=True)

    def finish(self, ctx: click.Context) -> None:
        """Sum the failures up and leave with exit code 1 if there were any."""
        if self.failed:
            click.echo(f"lcnet: {self.failed} of {len(self.paths)} images could not be read", err=True)
            ctx.exit(1)


def refuse_existing(output: Path, overwrite: bool) -> None:
    """Raise `InputError` before the work starts if the result would replace a file or has no folder to go to."""
    if output.exists() and not overwrite:
        raise InputError(f"{output} exists: choose another --output, or replace it with --overwrite")
    if not output.parent.is_dir():
        raise InputError(f"{output}: the folder {output.parent} does not exist")


def write_npz(output: Path, **arrays: Any) -> None:
    """Write arrays as a .npz file, whole or not at all."""
    import io

    import numpy as np

    from ..modelfile import write_atomically

    data = io.BytesIO()
    np.savez(data, **arrays)
    write_atomically(output, data.getvalue())


def columns(rows: list[list[str]], right: Iterable[int] = ()) -> str:
    """Align rows of text in columns; those whose number is in `right` to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    right = set(right)
    lines = (
        "  ".join(c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def csv_text(rows: Iterable[Iterable[Any]]) -> str:
    """Format rows as CSV (RFC 4180, but with the system's line ends left to the terminal)."""
    import csv
    import io

    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().rstrip("\n")


def json_text(value: Any) -> str:
    """Format a value as indented JSON."""
    return json.dumps(value, ensure_ascii=False, indent=2)
