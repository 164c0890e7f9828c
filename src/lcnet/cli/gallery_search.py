"""What `lcnet gallery search` does: embeds the images, asks the gallery, and prints or draws what it found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from ..errors import LcnetError
from ..text import one_line, plain, shown
from .advice import advised
from .codes import INCOMPLETE, Misuse
from .options import csv_text, json_text, say

if TYPE_CHECKING:
    from ..gallery import Gallery, Match

TOP = 10


class Found(NamedTuple):
    """What was found for one image, or for several together; an image that cannot be read has found nothing."""

    query: str
    source: Any  # of the image
    matches: list[Match]


def run(ctx: click.Context, opened: Callable[..., Gallery], sources: Callable[..., Any]) -> None:
    """Search by the options, print, and write the page. Ends with exit code 1 if an image could not be read."""
    given = ctx.params
    searching = bool(given["images"]) or given["files_from"] is not None
    _check(given, searching)
    with opened(given) as gallery:
        if not searching:
            _print(given, [Found("", None, gallery.listed(given["where"], given["top"]))], named=False, compared=False)
            return
        several = _several(given)
        found, failed = _searched(gallery, given, sources(given)[0])
        _print(given, found, named=several and not given["together"])
        if given["html"]:
            _draw(gallery, given, found)
    for error in failed:
        say(one_line(f"lcnet: {advised(error)}"), err=True)
    if failed:
        ctx.exit(INCOMPLETE)


def _check(given: dict[str, Any], searching: bool) -> None:
    if given["csv_safe"] and given["style"] != "csv":
        raise Misuse(f"--csv-safe is about CSV, and --format is {given['style']}: leave it out, or give --format csv")
    if given["overwrite"] and not given["html"]:
        raise Misuse("--overwrite is about --html: name the page that it replaces")
    if not searching:
        if given["where"] is None:
            raise Misuse("name IMAGES to search by, or the pictures to list with --where")
        for name in ("exclude_self", "together", "exact", "html"):
            if given[name]:
                raise Misuse(f"--{name.replace('_', '-')} is about a search by images: name IMAGES")
    if given["exclude_self"] and given["together"]:
        raise Misuse("--exclude-self is about a search by each image, and --together is one by all: choose one")
    if given["html"]:
        from ..sheet import check_sheet

        check_sheet(given["html"], given["overwrite"])


def _several(given: dict[str, Any]) -> bool:
    """Whether what is named may be several images, as a folder may; so the form of the output does not hang on its content."""
    from ..sources import find

    one = list(given["images"])
    return given["files_from"] is not None or not isinstance(find(one, given["recursive"]), list)


def _searched(gallery: Gallery, given: dict[str, Any], sources: Iterator[Any]) -> tuple[list[Found], list[LcnetError]]:
    queries = list(gallery.embedded(sources))
    failed = [query.error for query in queries if query.error is not None]
    good = [query for query in queries if query.error is None]
    without = [query.sha256 for query in good] if given["exclude_self"] else ()
    vectors = [query.vector for query in good]
    options = (given["top"] or TOP, given["where"], given["min_similarity"], without, given["exact"])
    if given["together"] and good:
        from ..gallery.gallery import in_common

        matches = gallery.nearest([in_common(vectors)], *options)[0]
        return [Found(f"{len(good)} images together", None, matches)], failed
    found = gallery.nearest(vectors, *options) if good else []
    return [Found(query.name, query.source, some) for query, some in zip(good, found, strict=True)], failed


def _print(given: dict[str, Any], found: list[Found], named: bool, compared: bool = True) -> None:
    style = given["style"]
    if style == "json":
        rows = [{"query": one.query, "results": _rows(one, compared)} for one in found]
        click.echo(json_text({"results": rows if named else [row for one in rows for row in one["results"]]}))
    elif style == "csv":
        lines = ((one.query, i, *row.values()) for one in found for i, row in enumerate(_rows(one, compared), 1))
        click.echo(csv_text([("query", "rank", "path", "similarity"), *lines], given["csv_safe"]))
    else:
        for one in found:
            if named:
                say(f"{plain(one.query)}:")
            for match in one.matches:
                start = f"{'  ' if named else ''}{match.similarity:.4f}  " if compared else ""
                say(start + plain(match.path))


def _rows(found: Found, compared: bool) -> list[dict[str, Any]]:
    return [{"path": shown(m.path), "similarity": round(m.similarity, 6) if compared else None} for m in found.matches]


def _draw(gallery: Gallery, given: dict[str, Any], found: list[Found]) -> None:
    from ..gallery.archived import inside_archives
    from ..sheet import Picture, Section, write_sheet

    members = inside_archives([match.path for one in found for match in one.matches])

    def section(one: Found) -> Section:
        asked = [] if one.source is None else [Picture(shown(one.query), "the image", best=True, source=one.source)]
        near = [Picture(m.path, f"similarity {m.similarity:.4f}", source=members.get(m.path, m.path)) for m in one.matches]
        return Section(f"Like {shown(one.query)}", asked + near, "" if near else "Nothing is as similar as was asked for.")

    summary = f"{len(gallery):,} pictures in {shown(gallery.path)}; the nearest first, by the cosine of their embeddings."
    write_sheet(given["html"], "Pictures that look alike", summary, map(section, found))
    say(f"lcnet: {plain(given['html'])} written", err=True)
