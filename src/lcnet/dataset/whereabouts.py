"""The files that a table's rows mean: paths from the table's folder, also written as on Windows; ids without a suffix, and
names of files in folders called like the part or like pictures, as contests hand them out.

Refuses what may be one of several files.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from ..errors import InputError
from ..text import plain, reason
from .parts import holds_pictures, split_of
from .samples import is_sample


class Whereabouts:
    """Finds the files for one table; a folder is listed once."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._stems: dict[str, dict[str, list[str]]] = {}
        self._below: dict[tuple[str, ...], list[str]] = {}

    def find(self, text: str, parts: tuple[str, ...]) -> str | None:
        """The path of a row's file; None if there is none. Raises `ValueError` if it may be one of several.

        parts: a name or an id is looked for in the folders of the first of them that has any, and in those of pictures.
        """
        name = text.strip().replace("\\", "/")
        for written in (text, name):
            if os.path.isfile(path := self.path(written)):  # noqa: PTH113
                return path
        found = list(dict.fromkeys(path for folder in ("", *self._folders(parts)) for path in self._in(folder, name)))
        if len(found) > 1:
            raise ValueError(
                f"{plain(text)} may be {' or '.join(map(plain, found[:3]))}: write the path with folder and suffix"
            )
        return found[0] if found else None

    def path(self, name: str) -> str:
        """What a name in the table is a path of."""
        return os.path.normpath(os.path.join(self.folder, name))  # noqa: PTH118

    def looked(self, parts: tuple[str, ...]) -> str:
        """Where else files are looked for, for messages; "" if nowhere."""
        return " or ".join(map(plain, self._folders(parts)))

    def _in(self, folder: str, name: str) -> Iterator[str]:
        """The files of this name in a folder; of any suffix that pictures have, if it has none."""
        if os.path.isabs(name) and folder:  # noqa: PTH117
            return
        path = self.path(os.path.join(folder, name))  # noqa: PTH118
        if is_sample(name):
            if os.path.isfile(path):  # noqa: PTH113
                yield path
            return
        inner, slash, stem = path.rpartition("/")
        for file in self._listed(inner + slash or ".").get(stem, ()):
            yield inner + slash + file

    def _listed(self, folder: str) -> dict[str, list[str]]:
        """The pictures in a folder, by their names without the suffix."""
        if folder not in self._stems:
            stems = self._stems[folder] = {}
            for name in _names(folder, folders=False):
                if is_sample(name):
                    stems.setdefault(name.rpartition(".")[0], []).append(name)
        return self._stems[folder]

    def _folders(self, parts: tuple[str, ...]) -> list[str]:
        """The folders beside the table that are called like a part, or like pictures, and what they hold of their own name."""
        if parts not in self._below:
            names = _names(self.folder or ".", folders=True)
            own: list[str] = next(filter(None, ([n for n in names if split_of(n) == part] for part in parts)), [])
            named = [*own, *filter(holds_pictures, names)]
            inner = (f"{name}/{name}" for name in named)
            self._below[parts] = [*named, *(name for name in inner if os.path.isdir(self.path(name)))]  # noqa: PTH112
        return self._below[parts]


def _names(folder: str, folders: bool) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(e.name for e in entries if not e.name.startswith(".") and e.is_dir() == folders)
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: NUL in a name
        return []
    except OSError as error:
        raise InputError(f"{plain(folder)} cannot be listed: {reason(error)}") from None
