"""`lcnet duplicates`."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import InputError, LcnetError
from ..sources import count
from ..sources.passed import Passed, counted
from ..stop import code
from ..text import plain, reason
from .advice import advised
from .bulk import TOLD, found_in, untaken
from .codes import DONE, INCOMPLETE, Misuse
from .duplicate_rows import Found, Printer, totals
from .options import (
    check_apart,
    csv_safe_option,
    free_report,
    html_option,
    list_option,
    member_option,
    model_option,
    overwrite_option,
    pixels_option,
    recursive_option,
    root_of,
    rows_option,
    threads_option,
)
from .progress import Progress
from .streams import on_terminal

if TYPE_CHECKING:
    import numpy as np

    from ..changes.copies import Action
    from ..changes.journal import Journal
    from ..dataset.scan import Scan
    from ..runtime import Classifier

KINDS = ("bytes", "pixels", "near")
MIN_SIMILARITY = 0.93
EMBEDDED = 64  # pictures that go through the network at once


@click.command()
@click.argument("paths", nargs=-1, type=click.Path())
@recursive_option
@list_option
@member_option
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=click.Choice(KINDS),
    help="Look for these only; may be given several times.  [default: all, with --action link bytes]",
)
@click.option(
    "--near-by",
    type=click.Choice(["hash", "embedding"]),
    default="hash",
    show_default=True,
    help="What makes near copies candidates: a hash, or besides it a model's embeddings, which find cut-outs too.",
)
@click.option(
    "--against",
    metavar="GALLERY",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Look at new pictures only, for copies of what this gallery has too; its own are the ones to keep.",
)
@model_option
@click.option(
    "--min-similarity",
    type=click.FloatRange(0.5, 1),
    default=MIN_SIMILARITY,
    show_default=True,
    metavar="X",
    help="Correlation of the pixels, made small, of near copies with the one to keep.",
)
@click.option(
    "--action",
    type=click.Choice(["report", "link", "move"]),
    default="report",
    show_default=True,
    help="link: copies of the same bytes become hard links; move: copies go into the folder --to.",
)
@click.option("--to", metavar="DIR", type=click.Path(path_type=Path, file_okay=False), help="Where --action move puts copies.")
@click.option(
    "--report",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to write what `lcnet undo` needs.  [default: duplicates-DATE-TIME.jsonl]",
)
@html_option
@overwrite_option
@rows_option("table", "csv", "json")
@csv_safe_option
@threads_option
@pixels_option
@click.pass_context
def duplicates(ctx: click.Context, **given: Any) -> None:
    """Find copies of pictures: of the same bytes, of the same pixels, nearly the same; keep one of each.

    PATHS are files, folders, patterns in quotes, and zip or tar archives. Kept is the one with most pixels, then with most
    bytes, then the first.
    """
    _check(ctx, given)
    passed = Passed()
    Run(ctx, given, passed).finish(_sources(given, passed))


def _check(ctx: click.Context, given: dict[str, Any]) -> None:
    if not given["paths"] and given["files_from"] is None:
        raise Misuse("name PATHS (files, folders, patterns, archives), or a list of them with --files-from")
    if given["action"] == "link" and set(given["kinds"]) - {"bytes"}:
        raise Misuse("--action link is for copies of the same bytes: of other copies a link would lose what is their own")
    if given["against"] is not None and given["near_by"] == "embedding":
        raise Misuse("--near-by embedding compares what is looked at, and --against goes by hashes: choose one")
    given["kinds"] = given["kinds"] or (("bytes",) if given["action"] == "link" else KINDS)
    _check_meant(ctx, given)
    _check_targets(given)


def _check_meant(ctx: click.Context, given: dict[str, Any]) -> None:
    """Refuse an option that says nothing beside the others. Raises `Misuse`."""
    asked = {name for name in given if ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE}
    wrong = (
        ("to", given["action"] != "move", "--to is where --action move puts copies"),
        ("report", given["action"] == "report", "--report is of changes, and --action report makes none"),
        ("near_by", "near" not in given["kinds"], "--near-by is about near copies, which are not looked for"),
        ("min_similarity", "near" not in given["kinds"], "--min-similarity is about near copies, which are not looked for"),
        ("model", given["near_by"] == "hash", "--model is about --near-by embedding"),
        ("overwrite", given["html"] is None, "--overwrite is about --html"),
        ("csv_safe", given["style"] != "csv", "--csv-safe is about CSV"),
    )
    for name, is_wrong, words in wrong:
        if name in asked and is_wrong:
            raise Misuse(f"{words}: give both, or neither")


def _check_targets(given: dict[str, Any]) -> None:
    """Refuse, before any work, what cannot or must not be written. Raises `Misuse` and `InputError`."""
    from ..files import check_target
    from ..sheet import check_sheet

    if given["action"] == "move":
        if given["to"] is None:
            raise Misuse("--action move needs a folder: name it by --to")
        for path in given["paths"]:
            check_apart(Path(path), given["to"], given["recursive"], "--to")
    if given["action"] != "report":
        check_target(given["report"] or free_report("duplicates"))
    if given["html"] is not None:
        check_sheet(given["html"], given["overwrite"])


def _sources(given: dict[str, Any], passed: Passed) -> Iterator[Any]:
    """All pictures, of which there must be one where folders are named. Raises `InputError`."""
    found = found_in(given, given["paths"], passed)
    if found is None and given["paths"]:
        why = "no images: the folders, lists or archives given hold no file with a known image suffix"
        raise InputError("; ".join([why, *untaken(passed)]))
    return found or iter(())


class Run:
    """One run: look at all, group, show, and do what is to be done."""

    def __init__(self, ctx: click.Context, given: dict[str, Any], passed: Passed) -> None:
        from ..dataset.copies import Copies
        from ..dataset.scan import Scan

        self.ctx, self.given, self.passed = ctx, given, passed
        self.model: Classifier | None = None
        if given["near_by"] == "embedding":
            from ..runtime import load

            self.model = load(given["model"], threads=given["threads"], max_pixels=given["max_pixels"])
        self.scan: Scan = Scan(
            Copies(given["min_similarity"]),
            given["kinds"] != ("bytes",),
            given["max_pixels"],
            given["threads"],
            short_side(self.model) if self.model else 0,
        )
        if given["against"] is not None:
            from ..gallery.known import known_pictures

            self.scan.know(known_pictures(given["against"]))
        self.progress = Progress(sys.stderr, self._count, draw=not on_terminal(sys.stdout))

    def finish(self, sources: Iterator[Any]) -> None:
        """Do all, and end with the exit code."""
        try:
            vectors = self._look(sources)
        except KeyboardInterrupt as stopped:
            self.progress.say(f"stopped after {len(self.scan):,} images, nothing was done")
            self.ctx.exit(code(stopped))
        self.progress.show("comparing")
        groups = [Found.of(group, self.scan) for group in self.scan.copies.groups(self.given["kinds"], vectors)]
        self.progress.clear()
        if self.given["html"] is not None:
            from .duplicate_rows import write_page

            write_page(self.given["html"], groups, self.scan, self.given)
        refused = self._act(groups)
        self._sum_up(groups)
        self.ctx.exit(INCOMPLETE if refused or self.scan.problems else DONE)

    def _count(self) -> int | None:
        return count(self.given["paths"], self.given["recursive"]) if self.given["files_from"] is None else None

    def _look(self, sources: Iterator[Any]) -> np.ndarray | None:
        """Look at every picture, or at those that are new; returns the embeddings, if there is a model."""
        if self.given["against"] is not None:
            from ..gallery.known import new_only

            sources = new_only(self.given["against"], sources)
        with closing(self.scan.run(sources)) as looks:  # type: ignore[type-var]
            if self.model is None:
                for _ in looks:
                    self.progress.advance()
                return None
            from .duplicate_rows import embedded

            return embedded(self.model, looks, self.progress.advance, EMBEDDED)

    def _act(self, groups: list[Found]) -> int:
        """Print the groups, after doing to each copy what is to be done; returns how many were refused."""
        printer = Printer(self.given["style"] or "table", self.given["csv_safe"], self.given["action"] != "report")
        done: Counter[str] = Counter()
        journal = self._journal()
        try:
            action = self._action(journal) if journal is not None else None
            for group in groups:
                if action is not None:
                    self._do(group, action, done)
                printer.group(group)
        except (KeyboardInterrupt, InputError, OSError) as stopped:  # a full disk; a reader that has gone
            with suppress(OSError):
                printer.end([])
            if journal is not None:
                self.progress.say(f"stopped after {done.total() - done['refused']:,} changes{_undone(journal)}")
            if isinstance(stopped, KeyboardInterrupt):
                self.ctx.exit(code(stopped))
            raise
        finally:
            if journal is not None:
                journal.close()
        printer.end(self.scan.problems)
        if journal is not None:
            said = ", ".join(f"{number:,} {word}" for word, number in done.items()) or "nothing to do"
            self.progress.say(f"{said}{_undone(journal)}")
        return done["refused"]

    def _journal(self) -> Journal | None:
        from ..changes.journal import Journal

        if self.given["action"] == "report":
            return None
        return Journal(self.given["report"] or free_report("duplicates"), "duplicates")

    def _action(self, journal: Journal) -> Action:
        from ..changes.copies import Link, Move

        if self.given["action"] == "link":
            return Link(journal)
        return Move(journal, self.given["to"], [root for path in self.given["paths"] if (root := root_of(path)) is not None])

    def _do(self, group: Found, action: Action, done: Counter[str]) -> None:
        """Do it to every copy but the one that is kept; what is refused says why."""
        from ..changes.journal import CannotGoOnError

        keep = group.pictures[0]
        keep.action = "kept"
        for copy in group.pictures[1:]:
            try:
                if copy.archive or keep.archive:
                    raise InputError(f"{'it' if copy.archive else plain(keep.path)} is in an archive: unpack that first")
                copy.to = action(copy.path, copy.sha256, keep.path, keep.sha256)
                copy.action = action.word
            except CannotGoOnError:
                raise
            except (LcnetError, OSError) as error:
                copy.action, copy.error = "refused", reason(error)
            done[copy.action] += 1

    def _sum_up(self, groups: list[Found]) -> None:
        problems = self.scan.problems
        for name, why in problems[:TOLD]:
            self.progress.say(advised(f"{name}: {why}"))
        for text in self._remarks():
            self.progress.say(text)
        self.progress.say(totals(groups, len(self.scan)))
        if problems:
            self.progress.say(f"{len(problems):,} of {len(self.scan):,} images could not be read")

    def _remarks(self) -> Iterator[str]:
        yield from untaken(self.passed)
        if self.scan.again:
            yield f"{counted(self.scan.again, 'further name')} of the same files: links, or what was named twice"


def short_side(model: Classifier) -> int:
    """What is enough for the network's input."""
    made = model.preprocessing
    return round(max(made.input_size[1:]) / made.crop_pct)


def _undone(journal: Journal) -> str:
    return f"; report: {plain(journal.path)}, `lcnet undo` takes it back"
