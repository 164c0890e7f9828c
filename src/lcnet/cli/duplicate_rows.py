"""What `lcnet duplicates` shows of groups of copies: rows of a table, CSV or JSON, and a page of thumbnails."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .. import formats
from ..sources.passed import counted
from ..text import plain, shown
from .options import csv_text, say

if TYPE_CHECKING:
    import numpy as np

    from ..dataset.copies import Group
    from ..dataset.look import Look
    from ..dataset.scan import Scan
    from ..runtime import Classifier

TITLES = {"bytes": "same bytes", "pixels": "same pixels", "near": "nearly the same"}
COLUMNS = ("group", "kind", "path", "keep", "similarity", "width", "height", "bytes", "action", "to", "error")


@dataclass
class Copy:
    """One picture of a group, and what became of it."""

    path: str
    archive: str | None
    sha256: str
    similarity: float
    width: int
    height: int
    bytes: int
    action: str | None = None
    to: str | None = None
    error: str | None = None

    def caption(self) -> str:
        """Its size in pixels and bytes."""
        return f"{self.width} x {self.height}, {megabytes(self.bytes)}" if self.width else megabytes(self.bytes)


@dataclass
class Found:
    """A group with the names of its pictures, the one to keep first."""

    kind: str
    pictures: list[Copy]

    @classmethod
    def of(cls, group: Group, scan: Scan) -> Found:
        """The group whose numbers `scan` gave; of pictures that are known already only the one to keep."""
        numbers = enumerate(zip(group.members, group.similar, strict=True))
        return cls(group.kind, [_copy(i, s, scan) for place, (i, s) in numbers if not place or i >= scan.known])

    @property
    def spare(self) -> int:
        """Bytes of all but the one to keep."""
        return sum(copy.bytes for copy in self.pictures[1:])

    def heading(self) -> str:
        """What it is, in words."""
        return f"{TITLES[self.kind]}: {counted(len(self.pictures), 'picture')}"


def _copy(number: int, similarity: float, scan: Scan) -> Copy:
    copies, source = scan.copies, scan.sources[number]
    height, width = copies.shapes[2 * number : 2 * number + 2]
    size = source.size if number < scan.known else copies.sizes[number]
    return Copy(source.name, source.archive, copies.digest(number).hex(), similarity, width, height, size)


def embedded(model: Classifier, looks: Iterable[Look], advance: Callable[[], None], few: int) -> np.ndarray:
    """The embeddings of all pictures, float16 of unit length, zeros for unreadable ones, in a temporary file."""
    import numpy as np

    from ..dataset.copies import Rows

    rows = Rows(model.arch.head_hidden_size, np.float16)

    def add(waiting: list[Look]) -> None:
        vectors = np.zeros((len(waiting), rows.length), np.float32)
        some = [i for i, look in enumerate(waiting) if look.small is not None]
        if some:
            found = model.embeddings([waiting[i].small for i in some])
            vectors[some] = found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)
        rows.add(vectors.astype(np.float16).tobytes(), len(waiting))

    waiting: list[Look] = []
    for look in looks:
        waiting.append(look)
        advance()
        if len(waiting) == few:
            add(waiting)
            waiting = []
    add(waiting)
    return rows.mapped()


def totals(groups: Sequence[Found], pictures: int) -> str:
    """One line about all of it."""
    if not groups:
        return f"no copies among {counted(pictures, 'image')}"
    parts = []
    for kind, title in TITLES.items():
        found = [group for group in groups if group.kind == kind]
        if found:
            spare = sum(len(group.pictures) - 1 for group in found)
            parts.append(f"{title}: {counted(spare, 'copy' if spare == 1 else 'copie')} in {counted(len(found), 'group')}")
    return f"{'; '.join(parts)}; {megabytes(sum(group.spare for group in groups))} of {counted(pictures, 'image')} to spare"


def megabytes(count: int) -> str:
    """A number of bytes."""
    return f"{count / 1e6:,.1f} MB" if count >= 1e6 else f"{count / 1e3:,.1f} kB"


class Printer:
    """Prints one group after another. `acted`: something was done to copies."""

    def __init__(self, style: str, safe: bool, acted: bool) -> None:
        self.style, self.safe, self.acted, self.number = style, safe, acted, 0
        if style == "csv":
            click.echo(csv_text([COLUMNS]))
        elif style == "json":
            click.echo('{"groups": [', nl=False)

    def group(self, group: Found) -> None:
        """Print one."""
        self.number += 1
        if self.style == "csv":
            click.echo(csv_text(self._cells(group), self.safe))
        elif self.style == "json":
            click.echo(("," if self.number > 1 else "") + "\n  " + formats.json_text(self._value(group)), nl=False)
        else:
            say("\n".join(self._lines(group)))

    def end(self, problems: Iterable[tuple[str, str]]) -> None:
        """Close what is open; problems: names of what could not be read, and why."""
        if self.style == "json":
            rows = [{"path": shown(name), "error": shown(why)} for name, why in problems]
            click.echo(f'\n], "errors": {formats.json_text(rows)}}}')

    def _cells(self, group: Found) -> Iterator[list[Any]]:
        for i, copy in enumerate(group.pictures):
            row = {**vars(copy), "group": self.number, "kind": group.kind, "keep": not i}
            row |= {"path": shown(copy.path), "to": shown(copy.to) if copy.to else None}
            yield [str(row[name]).lower() if name == "keep" else row[name] for name in COLUMNS]

    def _value(self, group: Found) -> dict[str, Any]:
        value: dict[str, Any] = {"kind": group.kind, "files": [shown(copy.path) for copy in group.pictures]}
        value["similarity"] = [copy.similarity for copy in group.pictures]
        value["bytes"] = [copy.bytes for copy in group.pictures]
        if self.acted:
            value["actions"] = [copy.action for copy in group.pictures]
            value["to"] = [shown(copy.to) if copy.to else None for copy in group.pictures]
            value["errors"] = [copy.error and shown(copy.error) for copy in group.pictures]
        return value

    def _lines(self, group: Found) -> Iterator[str]:
        yield f"{group.heading()}, {megabytes(group.spare)} to spare"
        for i, copy in enumerate(group.pictures):
            mark = "kept" if not i else f"{copy.similarity:.3f}" if group.kind == "near" else "copy"
            done = f"  {copy.action}" if copy.action and i else ""
            where = f" to {plain(copy.to)}" if copy.to and copy.to != copy.path else ""
            why = f": {plain(copy.error)}" if copy.error else ""
            yield f"  {mark:<5}  {plain(copy.path)}  ({copy.caption()}){done}{where}{why}"


def write_page(target: Path, groups: Sequence[Found], scan: Scan, given: dict[str, Any]) -> None:
    """Write a page of thumbnails, a section a group."""
    from ..sheet import LIMIT, Section, write_sheet

    wanted = [copy for group in groups for copy in group.pictures][:LIMIT]
    packed = _packed({copy.path: copy.archive for copy in wanted if copy.archive}, given["max_member"] << 20)
    title = f"Duplicates in {', '.join(map(os.fsdecode, given['paths'])) or given['files_from']}"
    sections = (Section(f"{i}. {group.heading()}", _pictures(group, packed)) for i, group in enumerate(groups, 1))
    write_sheet(target, title, totals(groups, len(scan)), sections)


def _pictures(group: Found, packed: dict[str, Any]) -> list[Any]:
    from ..sheet import Picture

    alike = [f", {copy.similarity:.3f} alike" if group.kind == "near" and i else "" for i, copy in enumerate(group.pictures)]
    return [
        Picture(copy.path, copy.caption() + alike[i], not i, packed.get(copy.path)) for i, copy in enumerate(group.pictures)
    ]


def _packed(wanted: dict[str, str], limit: int) -> dict[str, bytes]:
    """Thumbnails of members of archives, each of which is gone through once more."""
    from ..errors import LcnetError
    from ..sheet import Picture, thumbnail
    from ..sources import find

    found: dict[str, bytes] = {}
    for archive in dict.fromkeys(wanted.values()):
        for member in find([archive], max_member=limit):
            if str(member) in wanted and str(member) not in found:
                try:
                    found[str(member)] = thumbnail(Picture(str(member), "", source=member))
                except LcnetError:
                    continue
    return found
