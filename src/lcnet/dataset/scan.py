"""Going through pictures for their copies: files, members of archives, each file once whatever names lead to it.

Files are read and decoded in threads, a few ahead, and nothing of them is kept but what `Copies` keeps and their names. What
cannot be read is remembered with its reason.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator
from hashlib import file_digest
from typing import Any, NamedTuple

from ..cpus import usable_cpus
from ..errors import ImageError
from ..image.pixels import explained
from ..sources.formats import MAX_PIXELS
from ..sources.found import Found
from ..sources.pipes import open_file
from .copies import Copies
from .look import Look, look_whole
from .parallel import in_order

FileId = tuple[int, int]  # device and inode
_NONE = bytes(32)


class Source(NamedTuple):
    """Where a picture is: its path, and the archive that it is in."""

    name: str
    archive: str | None = None
    size: int = 0  # bytes of a known one


class Known(NamedTuple):
    """A picture that is there already, as whoever remembers it says."""

    name: str
    sha256: bytes
    pixels: bytes  # SHA-256 of the pixels
    code: bytes  # difference hash
    plain: bool = False  # too few shades for it
    size: int = 0  # bytes
    archive: str | None = None  # that it is in
    file: FileId | None = None  # which file it is, if it is one that is there


class Scan:
    """All that is found, by the numbers that `copies` has for them."""

    def __init__(
        self,
        copies: Copies,
        decoding: bool = True,
        max_pixels: int = MAX_PIXELS,
        workers: int | None = None,
        short_side: int = 0,
    ) -> None:
        """decoding: look at pixels, not at bytes alone. short_side: give pictures so small for a network."""
        self.copies, self.decoding, self.short_side = copies, decoding, short_side
        self.max_pixels, self.workers = max_pixels, workers or usable_cpus()
        self.sources: list[Source] = []
        self.known = 0  # how many of them were there already
        self.problems: list[tuple[str, str]] = []  # name and reason
        self.again = 0  # names of files that had come before
        self._files: set[FileId] = set()

    def __len__(self) -> int:
        """How many pictures were looked at."""
        return len(self.sources) - self.known

    def know(self, known: Iterable[tuple[Any, ...]]) -> None:
        """Before the first is looked at: what is there already, each a `Known` or its first values.

        These are the ones to keep, and no name of their files makes another picture. For near copies the file of that name is
        read, if it is there and still the same.
        """
        for one in itertools.starmap(Known, known):
            self.sources.append(Source(one.name, one.archive, one.size))
            if one.file is not None:
                self._files.add(one.file)
            self.copies.add_known(one.sha256, one.pixels, one.code, one.plain)
        self.known, self.copies.thumb_of = len(self.sources), self._thumb_of

    def _thumb_of(self, number: int) -> tuple[bytes, tuple[int, int]] | None:
        _, look, _ = self._look(self.sources[number].name)
        same = look.digest == self.copies.digest(number)
        return (look.thumb, look.shape) if same and not look.error else None

    def run(self, sources: Iterable[Any]) -> Iterator[Look]:
        """Look at each, in order; yields what was seen, once it is in `copies`."""
        for source, look, size in in_order(self._look, self._once(sources), self.workers):
            name = shown_name(source)
            self.sources.append(Source(name, source.file if isinstance(source, Found) else None))
            self.copies.add(look, size, last=isinstance(source, Found) or os.path.islink(source))  # noqa: PTH114
            if look.error:
                self.problems.append((name, look.error))
            yield look

    def _once(self, sources: Iterable[Any]) -> Iterator[Any]:
        """Leave out further names of a file, by links of any kind or because it was named twice; archives name by name."""
        for source in sources:
            if isinstance(source, Found):
                source.prepare()
            elif self._is_again(source):
                self.again += 1
                continue
            yield source

    def _is_again(self, source: Any) -> bool:
        key = file_id(source)
        if key is None or key in self._files:
            return key is not None
        self._files.add(key)
        return False

    def _look(self, source: Any) -> tuple[Any, Look, int]:
        name = shown_name(source)
        try:
            with source.open() if isinstance(source, Found) else open_file(source) as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(0)
                if not size:
                    raise ImageError("it is empty (0 bytes): get it again")
                if self.decoding:
                    look = look_whole(file, self.max_pixels, self.short_side)
                else:
                    look = Look(file_digest(file, "sha256").digest())  # type: ignore[arg-type]
        except Exception as error:  # whatever a file or an archive has in it
            return source, Look(_NONE, error=explained(error).removeprefix(f"{name}: ")), 0
        return source, look._replace(error=look.error.removeprefix(f"{name}: ").removeprefix("file object: ")), size


def file_id(path: Any) -> FileId | None:
    """Which file there is, whatever name leads to it; None if there is none."""
    try:
        status = os.stat(path)  # noqa: PTH116
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def shown_name(source: Any) -> str:
    """The path of a source as text; of a member of an archive `archive!/member`."""
    return str(source) if isinstance(source, Found) else os.fsdecode(source)
