"""One picture inside something else, or the reason why there is none; and what a picture's name looks like."""

from __future__ import annotations

import os
from collections.abc import Callable
from io import BytesIO
from typing import Any, BinaryIO

from ..errors import ImageError
from .formats import is_suffix

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
MAX_MEMBER = 256 << 20  # bytes of one picture in an archive, uncompressed


class Found:
    """A picture inside something else, such as an archive, or the reason why there is none.

    `str()` is its name, `open()` gives its bytes as a file or raises `ImageError`; `weight` is what it keeps in memory,
    `file` the path of the file that it is in, if it is in one, and `hides` says that it stands for pictures that nobody sees;
    `stamp` is its size and time where whoever listed it knew them.
    """

    __slots__ = ("_read", "file", "hides", "name", "stamp", "weight")

    def __init__(self, name: str, read: Callable[[], bytes], weight: int = 0, file: str | None = None) -> None:
        self.name, self._read, self.weight, self.file, self.hides = name, read, weight, file, False
        self.stamp: tuple[int, int] | None = None

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<lcnet.sources.Found {self.name}>"

    def prepare(self) -> None:
        """Called once, in the order of the sources, before `open` may be called in another thread."""

    def open(self) -> BinaryIO:
        """Return the encoded picture as a binary file with a `name`. Raises `ImageError`."""
        return _NamedBytes(self._read(), self.name)


class _NamedBytes(BytesIO):
    def __init__(self, data: bytes, name: str) -> None:
        super().__init__(data)
        self.name = name


def problem(name: str, reason: str, file: str | None = None, hides: bool = False) -> Found:
    """Stand for something that is no readable picture: opening it raises `ImageError`.

    hides: it may hold pictures, as a folder or an archive that cannot be read.
    """

    def read() -> bytes:
        raise ImageError(f"{name}: {reason}")

    found = Found(name, read, file=file)
    found.hides = hides
    return found


def is_picture(name: str) -> bool:
    """Whether a name has the suffix of a picture that can be read here, and is not hidden."""
    base = name.rpartition("/")[2]
    return not base.startswith(".") and is_suffix(suffix_of(base))


def is_archive(source: Any) -> bool:
    """Whether this is the path of an archive, by its name."""
    return isinstance(source, (str, os.PathLike)) and os.fspath(source).lower().endswith(ARCHIVES)


def suffix_of(name: str) -> str:
    """The suffix of a file's name, with its dot and in small letters; "" without."""
    _, dot, suffix = name.rpartition("/")[2].rpartition(".")
    return f".{suffix}".lower() if dot else ""
