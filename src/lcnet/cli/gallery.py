"""`lcnet gallery`: a group of commands about one file, which each names first."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import InputError
from ..sources import count
from ..sources.passed import Passed, counted
from ..stop import code
from ..text import one_line, plain, shown, suggest
from .advice import advised
from .bulk import TOLD, found_in, untaken
from .codes import INCOMPLETE, Misuse
from .complete import ModelName
from .options import (
    columns,
    csv_safe_option,
    csv_text,
    format_option,
    html_option,
    json_text,
    list_option,
    machine_options,
    member_option,
    model_option,
    overwrite_option,
    pixels_option,
    precision_option,
    recursive_option,
    say,
)
from .progress import Progress

if TYPE_CHECKING:
    from ..gallery import Gallery
    from ..gallery.adding import Adding


class Group(click.Group):
    """Commands in the order in which they are defined; one that is mistyped is guessed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name all commands, in the order of use."""
        return list(self.commands)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Find the command, and say which a mistyped one may be."""
        name = args[0]
        if name not in self.commands and not name.startswith("-") and not ctx.resilient_parsing:
            raise click.UsageError(f"no such command {name!r}{suggest(name, list(self.commands))}", ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=Group)
def gallery() -> None:
    """Keep the embeddings of pictures in one file, and find the pictures that look like one.

    GALLERY is that file. `lcnet gallery COMMAND --help` says what each command takes.
    """


def _gallery_argument(command: Any) -> Any:
    return click.argument("gallery", type=click.Path(path_type=Path))(command)


def _images_argument(command: Any) -> Any:
    return click.argument("images", nargs=-1, type=click.Path())(command)


def _own_model_options(command: Any) -> Any:
    """Add --model, --threads, --isa and --max-pixels of what goes by the gallery's model."""
    command = machine_options(pixels_option(command))
    text = "Where the gallery's own model is now: a name (`lcnet models`) or a file.  [default: where it was]"
    return click.option("--model", "-m", metavar="MODEL", type=ModelName(), help=text)(command)


@gallery.command()
@_gallery_argument
@_images_argument
@recursive_option
@list_option
@member_option
@model_option
@machine_options
@precision_option
@pixels_option
@click.option(
    "--coding",
    type=click.Choice(["int8", "fp16"]),
    default="int8",
    show_default=True,
    help="How embeddings are kept: int8 takes 1.3 KB of 1280 values, fp16 2.6 KB.",
)
@overwrite_option
@click.pass_context
def build(ctx: click.Context, **given: Any) -> None:
    """Make a GALLERY of the pictures in IMAGES.

    IMAGES are files, folders, patterns in quotes, and zip or tar archives. What is done when the command is stopped stays, and
    `lcnet gallery add` goes on.
    """
    from ..gallery import create
    from ..gallery.store import check_target

    check_target(given["gallery"], given["overwrite"])
    sources, passed = _sources(given)
    options = {name: given[name] for name in ("precision", "coding", "overwrite", "threads", "isa", "max_pixels")}
    with create(given["gallery"], given["model"], **options) as opened:
        _add(ctx, opened, sources, passed)


@gallery.command()
@_gallery_argument
@_images_argument
@recursive_option
@list_option
@member_option
@_own_model_options
@click.pass_context
def add(ctx: click.Context, **given: Any) -> None:
    """Put those pictures of IMAGES into a GALLERY that are new or have changed.

    A picture whose file has the size and the time that it had is not looked at.
    """
    with _opened(given) as opened:
        sources, passed = _sources(given)
        _add(ctx, opened, sources, passed)


def _opened(given: dict[str, Any]) -> Gallery:
    from ..gallery import open as opened

    options = {name: given[name] for name in ("model", "threads", "isa", "max_pixels") if name in given}
    return opened(given["gallery"], **options)


def _sources(given: dict[str, Any]) -> tuple[Iterator[Any], Passed]:
    """What is found, and what is not taken. Raises `InputError` if there is no picture."""
    if not given["images"] and given["files_from"] is None:
        raise Misuse("name IMAGES (files, folders, patterns, archives), or a list of them with --files-from")
    passed = Passed()
    found = found_in(given, given["images"], passed)
    if found is None:
        raise InputError("; ".join(["no images: nothing with a known image suffix is there", *untaken(passed)]))
    return found, passed


def _add(ctx: click.Context, opened: Gallery, sources: Iterator[Any], passed: Passed) -> None:
    from ..gallery.adding import FAILED, Adding

    progress = Progress(sys.stderr, lambda: _count(ctx.params))
    adding = Adding(opened.store, opened.model)
    try:
        with closing(adding.run(sources)) as outcomes:
            for outcome in outcomes:
                if outcome.error is not None and adding.counts[FAILED] <= TOLD:
                    progress.say(advised(outcome.error))
                progress.done = adding.counts.total() - 1
                progress.advance()
        progress.show(f"writing what searches read of {opened.path.name}")
        opened.refresh()
    except KeyboardInterrupt as stopped:
        done = counted(adding.counts.total() - adding.counts[FAILED], "picture")
        progress.say(f"stopped after {done}; {plain(opened.path)} holds them, and `lcnet gallery add` goes on")
        ctx.exit(code(stopped))
    progress.clear()
    say(f"{plain(opened.path)}: {_summary(adding)}")
    for text in untaken(passed):
        progress.say(text)
    if adding.counts[FAILED]:
        progress.say(f"{adding.counts[FAILED]:,} of {counted(adding.counts.total(), 'image')} could not be read")
        ctx.exit(INCOMPLETE)


def _count(given: dict[str, Any]) -> int | None:
    return count(given["images"], given["recursive"]) if given["files_from"] is None else None


def _summary(adding: Adding) -> str:
    from ..gallery.adding import CHANGED, NEW, SAME

    words = {NEW: "new", CHANGED: "changed", SAME: "as they were"}
    what = [f"{adding.counts[kind]:,} {text}" for kind, text in words.items() if adding.counts[kind]]
    what += [f"{adding.copies:,} of these with known bytes"] if adding.copies else []
    what += [f"{adding.taken_out:,} taken out, which cannot be read any more"] if adding.taken_out else []
    return ", ".join(what) or "nothing new"


@gallery.command()
@_gallery_argument
@click.argument("paths", nargs=-1, type=click.Path())
@click.option("--missing", is_flag=True, help="Take out the pictures whose files are not there any more.")
@click.option("--dry-run", is_flag=True, help="Change nothing, and say what would be done.")
def remove(gallery: Path, paths: tuple[str, ...], missing: bool, dry_run: bool) -> None:
    """Take pictures out of a GALLERY; the files stay.

    PATHS are pictures, folders or archives with all in them, and patterns in quotes, where * goes over / too.
    """
    if bool(paths) == missing:
        raise Misuse("name PATHS to take out, or give --missing, one of both")
    with _opened({"gallery": gallery}) as opened:
        keys = opened.missing() if missing else opened.matching(paths)
        number = len(keys) if dry_run else opened.remove(keys)
        if dry_run:
            for key in keys:
                say(plain(opened.store.place.path(key)))
        else:
            opened.refresh()
        would = "would be " if dry_run else ""
        say(f"lcnet: {plain(gallery)}: {counted(number, 'picture')} {would}taken out, {len(opened):,} in it", err=True)


@gallery.command()
@_gallery_argument
@_images_argument
@recursive_option
@list_option
@member_option
@click.option("--top", "-k", type=click.IntRange(1), help="Pictures to find for each image.  [default: 10]")
@click.option("--min-similarity", type=click.FloatRange(-1, 1), default=-1.0, help="Leave out what is less alike, -1 to 1.")
@click.option("--where", metavar="PATTERN", help="Only pictures of this name or folder, or that match this; * goes over / too.")
@click.option("--exclude-self", is_flag=True, help="Leave out pictures that have the very bytes of the image.")
@click.option("--together", is_flag=True, help="One search for what all the images have in common.")
@click.option("--exact", is_flag=True, help="Compare with every embedding, not only with those that are near by their bits.")
@html_option
@overwrite_option
@format_option
@csv_safe_option
@_own_model_options
@click.pass_context
def search(ctx: click.Context, **_: Any) -> None:
    """Find the pictures of a GALLERY that look most like each of IMAGES.

    Their similarity is the cosine of the embeddings, -1 to 1. Without IMAGES, list the pictures that --where means.
    """
    from .gallery_search import run

    run(ctx, _opened, _sources)


@gallery.command()
@_gallery_argument
@format_option
@csv_safe_option
def info(gallery: Path, style: str, csv_safe: bool) -> None:
    """Show what a GALLERY holds, and by which model its embeddings were made."""
    with _opened({"gallery": gallery}) as opened:
        facts = opened.facts()
    if style == "json":
        click.echo(json_text(facts))
    elif style == "csv":
        click.echo(csv_text([facts.keys(), facts.values()], csv_safe))
    else:
        say(columns([[key.replace("_", " "), _fact(value)] for key, value in facts.items()]))


def _fact(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else one_line(shown(value))


@gallery.command()
@_gallery_argument
@click.option(
    "--output",
    "-o",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="A file that ends in .npy, .parquet or .csv; beside an .npy the paths go to a .paths.json.",
)
@overwrite_option
@csv_safe_option
def export(gallery: Path, output: Path, overwrite: bool, csv_safe: bool) -> None:
    """Write the embeddings of a GALLERY for other programs, float32, one row a picture, in the order of the paths."""
    from ..gallery.exporting import check, write

    check(output, overwrite, gallery, csv_safe)
    with _opened({"gallery": gallery}) as opened:
        number = write(opened.store, output, csv_safe)
    say(f"{plain(output)}: {counted(number, 'picture')}")
