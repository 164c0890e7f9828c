"""A contact sheet: one HTML file that holds its thumbnails, for pictures that stand together for some reason.

Asks nobody for anything and runs no script; every name is text, whatever HTML it looks like. The file appears whole or not at
all. Pictures beyond a limit are counted in words; one that cannot be read shows why.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from html import escape
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from .cpus import usable_cpus
from .errors import InputError, LcnetError
from .files import check_target, replacing
from .image import decode, resize
from .sources.found import Found
from .text import plain, reason

SIDE = 160  # pixels of a thumbnail's longer side at most
QUALITY = 80
LIMIT = 2000  # pictures that are shown: some 12 MB

_HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
:root {{ --text: #202124; --soft: #5f6368; --page: #fff; --card: #f3f4f6; --line: #dadce0; --best: #0b6e3f }}
@media (prefers-color-scheme: dark) {{
  :root {{ --text: #e8eaed; --soft: #a5abb3; --page: #17181a; --card: #242629; --line: #3c4043; --best: #6fd6a0 }}
}}
* {{ box-sizing: border-box }}
body {{ font: 15px/1.5 system-ui, sans-serif; color: var(--text); background: var(--page);
  max-width: 76rem; margin: 0 auto; padding: 1.5rem 1rem 3rem }}
h1, h2, p, figcaption {{ overflow-wrap: anywhere; margin: 0 }}
h1 {{ font-size: 1.5rem }} h2 {{ font-size: 1.05rem }}
header p, .note {{ color: var(--soft) }}
section {{ border-top: 1px solid var(--line); margin-top: 1.5rem; padding-top: 1rem }}
ul {{ list-style: none; margin: .7rem 0 0; padding: 0; display: grid; gap: .8rem;
  grid-template-columns: repeat(auto-fill, minmax(min(176px, 100%), 1fr)) }}
figure {{ margin: 0; height: 100%; padding: 7px; border: 1px solid transparent; border-radius: 8px; background: var(--card) }}
.best figure {{ border-color: var(--best) }}
.frame {{ height: 160px; display: flex; align-items: center; justify-content: center; text-align: center;
  color: var(--soft); font-size: 12px; overflow: hidden; overflow-wrap: anywhere }}
.frame img {{ max-width: 100%; max-height: 160px }}
figcaption {{ margin-top: .4rem; font-size: 13px; line-height: 1.35 }}
figcaption span {{ display: block; color: var(--soft); font-size: 12px }}
.star {{ color: var(--best) }}
@media (max-width: 30rem) {{ body {{ padding: 1rem .6rem 2rem }} ul {{ grid-template-columns: 1fr 1fr; gap: .5rem }} }}
@media print {{ section {{ break-inside: avoid }} }}
</style>
</head>
<body>
<header><h1>{title}</h1><p>{summary}</p></header>
<main>
"""
_STAR = '<b class="star" role="img" aria-label="best" title="best">★</b>&nbsp;'


@dataclass(frozen=True)
class Picture:
    """One picture and what is said of it; `best` marks it among those of its section."""

    path: str
    caption: str
    best: bool = False
    source: Any = None  # what to decode where that is not the file at `path`: as `lcnet.image.decode` takes it, or a `Found`


@dataclass(frozen=True)
class Section:
    """Pictures that stand together, below a heading."""

    heading: str
    pictures: Sequence[Picture]
    note: str = ""


def check_sheet(target: Path, overwrite: bool) -> None:
    """Refuse, before any work, what cannot be written, and what is there and no page of HTML. Raises `InputError`."""
    check_target(target, overwrite)
    if target.is_file() and target.stat().st_size and not _begins(target).lstrip().lower().startswith(b"<!doctype html"):
        raise InputError(f"{plain(target)} is not overwritten: it is no page of HTML; choose another name")


def _begins(target: Path) -> bytes:
    try:
        with open(target, "rb") as file:
            return file.read(64)
    except OSError as error:
        raise InputError(f"{plain(target)}: {reason(error)}") from None


def write_sheet(target: Path, title: str, summary: str, sections: Iterable[Section], *, limit: int = LIMIT) -> None:
    """Write the sheet, of at most `limit` pictures; the others are counted. Raises `InputError` if it cannot be written."""
    with replacing(target) as file, ThreadPoolExecutor(usable_cpus(), "lcnet thumbnails") as threads:
        _write(file, _HEAD.format(title=_text(title), summary=_text(summary)))
        left, hidden = limit, 0
        for number, section in enumerate(sections):
            shown = section.pictures[:left]
            left -= len(shown)
            hidden += len(section.pictures) - len(shown)
            if shown:
                _write_section(file, threads, section, shown, number)
        if hidden:
            _write(
                file,
                f"<section><p>{hidden:,} more {'picture is' if hidden == 1 else 'pictures are'} not shown.</p></section>\n",
            )
        _write(file, "</main>\n</body>\n</html>\n")


def _write_section(file: BinaryIO, threads: Executor, section: Section, shown: Sequence[Picture], number: int) -> None:
    _write(file, f'<section aria-labelledby="s{number}">\n<h2 id="s{number}">{_text(section.heading)}</h2>\n')
    if section.note:
        _write(file, f'<p class="note">{_text(section.note)}</p>\n')
    _write(file, "<ul>\n")
    for text in _in_turn(threads, shown):
        _write(file, text)
    rest = len(section.pictures) - len(shown)
    _write(file, f"</ul>\n{f'<p class=note>and {rest:,} more</p>' if rest else ''}</section>\n")


def _in_turn(threads: Executor, pictures: Sequence[Picture]) -> Iterator[str]:
    """The figures, a few at a time, so that Ctrl-C waits for few."""
    rest = iter(pictures)
    while few := list(islice(rest, 32)):
        yield from threads.map(_figure, few)


def _figure(picture: Picture) -> str:
    name, star = _text(picture.path), _STAR if picture.best else ""
    caption = f"<span>{_text(picture.caption)}</span>" if picture.caption else ""
    try:
        inside = f'<img alt="{name}" src="data:image/jpeg;base64,{base64.b64encode(thumbnail(picture)).decode()}">'
    except LcnetError as error:
        inside = _text(str(error).removeprefix(f"{picture.path}: "))
    return (
        f'<li{" class=best" if star else ""}><figure><div class="frame">{inside}</div>'
        f"<figcaption>{star}{name}{caption}</figcaption></figure></li>\n"
    )


def thumbnail(picture: Picture) -> bytes:
    """A JPEG file of at most `SIDE` pixels a side, turned upright. Raises `ImageError`."""
    from PIL import Image

    source = picture.path if picture.source is None else picture.source
    pixels = decode(source.open() if isinstance(source, Found) else source, needed=_fitted)
    size = _fitted(*pixels.shape[:2])
    small = resize(pixels, size) if size != pixels.shape[:2] else pixels
    file = io.BytesIO()
    Image.fromarray(small).save(file, "JPEG", quality=QUALITY)
    return file.getvalue()


def _fitted(height: int, width: int) -> tuple[int, int]:
    scale = min(1.0, SIDE / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def _text(value: str) -> str:
    """Text for the page: as text, whatever HTML it looks like, and with nothing that turns its direction or hides."""
    return escape(plain(value))


def _write(file: BinaryIO, text: str) -> None:
    file.write(text.encode())
