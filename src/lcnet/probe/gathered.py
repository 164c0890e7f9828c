"""The pictures of one class: all that are found in a folder, an archive or a file, whatever they are called."""

from __future__ import annotations

import os

import numpy as np

from ..errors import ImageError, InputError
from ..sources import find
from ..sources.found import Found
from ..text import plain, reason


class Gathered:
    """Pictures without labels, as an evaluation takes labelled ones."""

    multi_label = False
    classes = ("",)

    def __init__(self, place: str | os.PathLike[str]) -> None:
        """Find them. Raises `InputError` if there are none."""
        if not os.path.lexists(place):
            raise InputError(f"{plain(place)}: there is no such file or folder: check the path")
        self._sources = list(find(os.fspath(place), True))
        if not self._sources:
            raise InputError(f"{plain(place)} has no pictures: name a folder with those of the class")
        self.names = [str(source) for source in self._sources]
        self.targets = np.zeros(len(self._sources), np.int64)

    def __len__(self) -> int:
        return len(self._sources)

    def read(self, index: int) -> bytes:
        """Return the encoded picture. Raises `ImageError`."""
        source = self._sources[index]
        try:
            if isinstance(source, Found):
                return source.open().read()
            with open(source, "rb") as file:
                return file.read()
        except OSError as error:
            raise ImageError(f"{plain(source)}: {reason(error)}") from None
