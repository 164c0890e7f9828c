"""Pictures of several frames among others: each frame that is wanted becomes a source of its own, in place of its file.

A frame is shown as `a.gif/#2`, counted from 1: since a.gif is a file, nothing else can have that path.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import Any, BinaryIO

import numpy as np

from ..config import Preprocessing
from ..errors import ImageError, LcnetError
from ..image.frames import MAX_FRAMES, Film, chosen
from ..image.pixels import name_of
from ..image.reading import file_of
from ..sources.found import Found, problem
from ..sources.pipes import open_file
from ..sources.stamp import place


class Frame(Found):
    """One frame of a file. `of`: what the file was given as; `number`: which of its frames, from 1."""

    __slots__ = ("_film", "_last", "_pixels", "_reason", "number", "of")

    def __init__(self, film: Film, of: Any, index: int, last: bool) -> None:
        super().__init__(f"{_name(of)}/#{index + 1}", bytes, file=place(of))
        self.of, self.number = of, index + 1
        self._film, self._last = film, last
        self._pixels: np.ndarray | None = None
        self._reason = "it was not decoded"

    def prepare(self) -> None:
        """Decode it: called in the order of the frames, as they must be decoded."""
        try:
            self._pixels = self._film.frame(self.number - 1)
            self.weight = self._pixels.nbytes
        except LcnetError as error:
            self._reason = str(error)
        if self._last:
            self._film.close()

    def open(self) -> Any:
        """Return its pixels, uint8 [H,W,C], once: nobody else keeps them. Raises `ImageError`."""
        pixels, self._pixels = self._pixels, None
        if pixels is None:
            raise ImageError(f"{self.name}: {self._reason}")
        return pixels


def expand(sources: Iterable[Any], frames: str | int, preprocessing: Preprocessing, max_pixels: int) -> Iterator[Any]:
    """Yield the frames of files that have several, evenly spaced if not all, and everything else as it is."""
    for source in sources:
        if not _is_file(source) or preprocessing.input_size[0] not in (1, 3):  # others take arrays only
            yield source
            continue
        try:
            again, file = _held(source)
        except ImageError as error:  # asked again, a pipe would have nothing more to say
            name = _name(source)
            yield problem(name, str(error).removeprefix(f"{name}: "), place(source), getattr(source, "hides", False))
        except Exception:  # whatever a file object raises: decoding tells what is wrong
            yield source
        else:
            yield from _of_file(again, file, source, frames, preprocessing, max_pixels)


def _of_file(
    again: Any, file: BinaryIO, source: Any, frames: str | int, preprocessing: Preprocessing, max_pixels: int
) -> Iterator[Any]:
    try:
        film = Film(file, preprocessing, max_pixels)
    except Exception:  # of a file that is no picture, or a damaged one: decoding tells what is wrong
        film = None
    if film is None or film.count == 1:
        file.close()
        yield again
        return
    if film.count > MAX_FRAMES:
        file.close()
        yield problem(_name(source), f"it has more than {MAX_FRAMES} frames: cut it into files of fewer", place(source))
        return
    indices = chosen(film.count, frames)
    for index in indices:
        yield Frame(film, source, index, last=index == indices[-1])


def _name(source: Any) -> str:
    return str(source) if isinstance(source, Found) else name_of(source)


def _is_file(source: Any) -> bool:
    return isinstance(source, (str, os.PathLike, bytes, bytearray, memoryview, Found)) or hasattr(source, "read")


def _held(source: Any) -> tuple[Any, BinaryIO]:
    """What stands for a source, and a file of it to be closed; a pipe or a member of an archive is read once only."""
    if isinstance(source, (str, os.PathLike)):
        file = open_file(source)
        return (_kept(source, file.read()) if isinstance(file, BytesIO) else source), file
    if isinstance(source, Found):
        data = source.open().read()
        return _kept(source, data), BytesIO(data)
    with file_of(source) as file:
        file.seek(0)
        data = file.read()
    once = hasattr(source, "read") and file is not source
    return _kept(source, data) if once else source, BytesIO(data)


def _kept(source: Any, data: bytes) -> Found:
    return Found(_name(source), lambda: data, len(data), place(source))
