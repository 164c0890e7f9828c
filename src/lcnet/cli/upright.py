"""`lcnet upright`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import InputError, LcnetError
from ..stop import code
from ..text import plain
from .codes import DONE, INCOMPLETE, Misuse
from .complete import ModelName
from .listing import STYLES, Listing
from .options import (
    MODEL_HELP,
    check_apart,
    csv_safe_option,
    free_report,
    list_option,
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
    from ..changes.journal import Journal
    from ..sources.passed import Passed
    from ..upright.job import Job, Source
    from ..upright.places import Place

DEFAULT_MODEL = "doc_ori"
ORDER = ("turned", "would turn", "upright", "unsure", "refused", "error")
WORDS = {"error": "could not be read or written", "refused": "left alone, with the reason"}


@click.command()
@click.argument("paths", nargs=-1, type=click.Path())
@recursive_option
@list_option
@click.option("--model", "-m", default=DEFAULT_MODEL, show_default=True, metavar="MODEL", type=ModelName(), help=MODEL_HELP)
@click.option(
    "--min-confidence",
    type=click.FloatRange(0, 1),
    default=0.9,
    show_default=True,
    metavar="X",
    help="Leave pages alone that are less sure, and list them.",
)
@click.option("--dry-run", is_flag=True, help="Change nothing, and say what would be done.")
@click.option(
    "--output",
    "-o",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="A folder for all files: those with turned pages, and copies of the others.",
)
@overwrite_option
@click.option("--in-place", is_flag=True, help="Replace files whose pages are turned, and keep the originals.")
@click.option("--exif-tag", is_flag=True, help="Turn no pixels of JPEG and TIFF files, only what their orientation tag says.")
@click.option(
    "--report",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to write what `lcnet undo` needs; originals are kept beside it.  [default: upright-DATE-TIME.jsonl]",
)
@rows_option(*STYLES)
@csv_safe_option
@threads_option
@pixels_option
@click.pass_context
def upright(ctx: click.Context, **given: Any) -> None:
    """Turn pages that lie on their side or on their head: scans, photographs of paper, TIFF and PDF files.

    PATHS are files, folders and patterns in quotes. One of --dry-run, --output and --in-place says what becomes of them.
    """
    _check(given)
    from ..sources.passed import Passed
    from ..upright.job import Row

    listing = Listing(given["style"] or "table", Row._fields, _Table().line, given["csv_safe"])
    passed = Passed()
    sources = _some(_sources(given, passed), passed, given)
    decide = _decide(given)
    journal = _journal(given)
    try:
        _run(ctx, _job(given, decide, journal), sources, listing, journal, passed)
    finally:
        if journal is not None:
            journal.close()


def _check(given: dict[str, Any]) -> None:
    if not given["paths"] and given["files_from"] is None:
        raise Misuse("name PATHS (files, folders, patterns), or a list of them with --files-from")
    if given["output"] is not None and given["in_place"]:
        raise Misuse("--output writes files elsewhere, --in-place replaces them: choose one")
    if not (given["dry_run"] or given["output"] or given["in_place"]):
        raise Misuse(
            "say what becomes of the files: --dry-run to see it first, --output DIR to write them there, or --in-place"
        )
    if given["overwrite"] and given["output"] is None:
        raise Misuse("--overwrite is about --output: name a folder")
    if given["dry_run"] and given["report"]:
        raise Misuse("--report is of changes, and --dry-run makes none: leave one of them out")
    for path in given["paths"] if given["output"] is not None else ():
        check_apart(Path(path), given["output"], given["recursive"], "--output")


def _sources(given: dict[str, Any], passed: Passed) -> Iterator[Source]:
    """Every file with the folder that it was found in."""
    from ..sources import find, find_listed
    from .bulk import listed

    options: dict[str, Any] = {"recursive": given["recursive"], "passed": passed, "also": ".pdf"}
    for path in given["paths"]:
        yield from _found(path, find, root_of(path), options)
    for path in listed(given["files_from"]) if given["files_from"] is not None else ():
        yield from _found([path], find_listed, Path(path) if os.path.isdir(path) else None, options)  # noqa: PTH112


def _found(path: Any, find: Any, root: Path | None, options: dict[str, Any]) -> Iterator[Source]:
    from ..sources import is_archive
    from ..sources.found import Found
    from ..upright.job import Source
    from ..upright.refused import Refused

    if is_archive(path if isinstance(path, str) else path[0]):
        yield Source(Path(path if isinstance(path, str) else path[0]), None, Refused("it is an archive: unpack it first"))
        return
    for source in find(path, **options):
        if isinstance(source, Found):
            yield Source(Path(source.file or source.name), root, _why(source))
        else:
            yield Source(Path(source), root)


def _why(found: Any) -> LcnetError:
    from ..upright.refused import Refused

    try:
        found.open().close()
    except LcnetError as error:
        return error
    return Refused(f"{found.name} is in an archive: unpack it first")


def _some(sources: Iterator[Source], passed: Passed, given: dict[str, Any]) -> Iterator[Source]:
    """The sources, of which there must be one. Raises `InputError`."""
    from itertools import chain

    first = next(sources, None)
    if first is None and given["paths"]:
        said = passed.text()
        raise InputError(f"no pages: no file with a suffix of pictures or PDF is there{said and f'; {said}'}")
    return chain([first], sources) if first is not None else iter(())


def _decide(given: dict[str, Any]) -> Any:
    from ..upright.orientation import PageOrientation, load_quick

    return PageOrientation(load_quick(given["model"], given["threads"], given["max_pixels"]))


def _journal(given: dict[str, Any]) -> Journal | None:
    from ..changes.journal import Journal

    if given["dry_run"]:
        return None
    return Journal(given["report"] or free_report("upright"), "upright")


def _job(given: dict[str, Any], decide: Any, journal: Journal | None) -> Job:
    from ..cpus import usable_cpus
    from ..upright.job import Job, Rules
    from ..upright.places import Folder, InPlace, Nowhere

    place: Place = Nowhere()
    if journal is not None:
        place = InPlace(journal) if given["in_place"] else Folder(journal, given["output"], given["overwrite"])
    rules = Rules(given["min_confidence"], given["exif_tag"], given["max_pixels"])
    return Job(decide, decide.short_side, place, rules, given["threads"] or usable_cpus())


def _run(
    ctx: click.Context, job: Job, sources: Iterator[Source], listing: Listing, journal: Journal | None, passed: Passed
) -> None:
    given, progress = ctx.params, Progress(sys.stderr, lambda: _count(ctx.params), draw=not on_terminal(sys.stdout))
    try:
        with closing(job.rows(sources)) as rows:
            for row in rows:
                listing.row(row.to_json())
                progress.advance()
    except KeyboardInterrupt as stopped:
        progress.say(f"stopped after {_pages(job.counts.total())}{_goes_on(journal)}")
        ctx.exit(code(stopped))
    except InputError as error:  # a full disk
        raise InputError(f"{error}; stopped after {_pages(job.counts.total())}{_goes_on(journal)}") from None
    finally:
        listing.end()
    progress.clear()
    progress.say(", ".join(f"{job.counts[word]:,} {WORDS.get(word, word)}" for word in ORDER if job.counts[word]) or "no pages")
    if passed.text():
        progress.say(passed.text())
    if journal is not None and not given["dry_run"]:
        kept = f", originals in {plain(journal.originals)}" if journal.count else ""
        progress.say(f"report: {plain(journal.path)}{kept}; `lcnet undo` takes it back")
    ctx.exit(INCOMPLETE if job.counts["error"] or job.counts["refused"] else DONE)


def _count(given: dict[str, Any]) -> int | None:
    from ..sources import count

    return count(given["paths"], given["recursive"]) if given["files_from"] is None else None


def _pages(number: int) -> str:
    return f"{number:,} page{'' if number == 1 else 's'}"


def _goes_on(journal: Journal | None) -> str:
    return f"; {plain(journal.path)} says what was done, and the same command goes on" if journal is not None else ""


class _Table:
    """A line a page: file, page, what became of it and how, by what angle, and how sure that is."""

    width = 0

    def line(self, row: dict[str, Any]) -> str:
        """One row."""
        name = plain(row["path"]) + (f" page {row['page']}" if (row["page"] or 1) > 1 else "")
        self.width = min(48, max(self.width, len(name)))  # of the names so far: the others are not known yet
        angle = "   -" if row["angle"] is None else f"{row['angle']:>3}°"
        sure = "    -" if row["confidence"] is None else f"{row['confidence']:.3f}"
        said = row["error"] or row["how"] or ""
        return f"{name:<{self.width}}  {angle}  {sure}  {row['action']:<10}  {said}".rstrip()
