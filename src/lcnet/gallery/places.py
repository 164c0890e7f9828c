"""What the paths of a gallery are: relative to its folder where they lie in it, so that the folder may be moved; else absolute.

SQLite's text is UTF-8. A name that is none, as files may have, is kept as its bytes.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any

from ..sources.found import Found

Key = str | bytes  # a path as the gallery keeps it


class Place:
    """Where a gallery lies, and what a path is from there."""

    def __init__(self, gallery: str | os.PathLike[str]) -> None:
        self.folder = os.path.dirname(os.fspath(gallery))  # noqa: PTH120  # as it was named: paths are shown from there
        here = self.folder or os.curdir
        self._bases = tuple(dict.fromkeys([os.path.abspath(here), os.path.realpath(here)]))  # noqa: PTH100
        self._prefix = lru_cache(maxsize=4096)(self._prefix_of)

    def key(self, source: Any) -> Key:
        """What a picture is called in the gallery: a path, or something found inside a file."""
        if isinstance(source, Found):
            file = source.file or ""
            inside = source.name[len(file) :] if source.name.startswith(file) else ""
            return stored(self._of(file or source.name) + inside)
        return stored(self._of(os.fspath(source)))

    def _of(self, path: str) -> str:
        folder, name = os.path.split(path)
        return self._prefix(folder) + name

    def _prefix_of(self, folder: str) -> str:
        there = os.path.abspath(folder or os.curdir)  # noqa: PTH100
        for base in self._bases:
            if there == base:
                return ""
            if there.startswith(os.path.join(base, "")):  # noqa: PTH118
                return there[len(os.path.join(base, "")) :].replace(os.sep, "/") + "/"  # noqa: PTH118
        return os.path.join(there, "")  # noqa: PTH118

    def path(self, key: Key) -> str:
        """The path of a picture, from where the gallery was named."""
        name = as_text(key)
        return name if os.path.isabs(name) else os.path.join(self.folder, name)  # noqa: PTH117, PTH118


def as_text(key: Key) -> str:
    """A path as Python has it; also of what a damaged gallery has in its place."""
    return os.fsdecode(key) if isinstance(key, (str, bytes)) else str(key)


def stored(path: str) -> Key:
    """A path as SQLite takes it."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return os.fsencode(path)
    return path


def file_of(path: str) -> str:
    """The file that a picture is, or is in: of `photos.zip!/a.jpg` the archive, unless there is a file of that very name."""
    if "!/" not in path or os.path.lexists(path):
        return path
    ends = [i for i in range(len(path)) if path.startswith("!/", i)]
    return next((path[:i] for i in ends if os.path.isfile(path[:i])), path[: ends[0]])  # noqa: PTH113
