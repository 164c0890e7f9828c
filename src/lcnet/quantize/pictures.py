"""Which pictures a model is calibrated and judged on: some of those given, the same every time, decoded when needed.

Only their names are kept. Pictures that cannot be read, or that are of one colour and so show no ranges, are left out and told.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..config import Labels, Preprocessing
from ..errors import ImageError, InputError, suggest
from ..image import batch
from ..sources import Found, find, is_picture, shown

FEWEST, MOST = 32, 512  # calibration pictures
BATCH = 16  # pictures decoded at a time


def choose(data: Any, images: int) -> tuple[list[Any], list[Any]]:
    """Pick calibration pictures, at most `images`, and others to judge by: a quarter of what there is, at most `images`.

    `data`: what `lcnet.sources.find` takes; folders with all below them. Every picture is as likely to be picked as any other
    (reservoir sampling, Vitter 1985), by a generator that starts at the same place. Raises `InputError` for too few.
    """
    for path in _paths(data):
        if not os.path.lexists(path) and not any(c in os.fspath(path) for c in "*?["):
            raise InputError(f"{shown(path)}: there is no such file or folder")
    rng, count = np.random.default_rng(0), 0
    kept: list[Any] = []
    for count, source in enumerate(find(data, recursive=True), 1):
        if len(kept) < 2 * images:
            kept.append(source)
        elif (place := int(rng.integers(count))) < len(kept):
            kept[place] = source
    if count < FEWEST and not any(isinstance(source, Found) for source in kept):
        raise InputError(f"{_names(data)}: {count} pictures to calibrate on, expected at least {FEWEST}")
    order = [kept[i] for i in rng.permutation(len(kept))]
    calibrating = min(images, len(order) - len(order) // 4)
    return order[:calibrating], order[calibrating:]


def batches(
    sources: Iterable[Any], preprocessing: Preprocessing, problems: list[str], size: int = BATCH
) -> Iterator[np.ndarray]:
    """Yield the pictures as ready input, float32 [N,C,H,W]; what is wrong with those left out is added to `problems`."""
    for _, x in groups(((source, None) for source in sources), preprocessing, problems, size):
        yield x


def groups(
    marked: Iterable[tuple[Any, Any]], preprocessing: Preprocessing, problems: list[str], size: int = BATCH
) -> Iterator[tuple[list[Any], np.ndarray]]:
    """Do what `batches` does for (source, mark) pairs, and yield the marks of each batch with it."""
    marks, ready = [], []
    for source, mark in marked:
        try:
            x = batch([source.open() if isinstance(source, Found) else source], preprocessing)
        except ImageError as error:
            problems.append(str(error))
            continue
        if (x.min(axis=(2, 3)) == x.max(axis=(2, 3))).all():
            problems.append(f"{shown(source)}: all of one colour")
            continue
        marks.append(mark)
        ready.append(x)
        if len(ready) == size:
            yield marks, np.concatenate(ready)
            marks, ready = [], []
    if ready:
        yield marks, np.concatenate(ready)


def check_enough(found: int, wanted: int, fewest: int, problems: list[str], purpose: str) -> None:
    """Raise `InputError` if less than `fewest` of the `wanted` pictures could be used."""
    if found < fewest:
        why = f"; the first of {len(problems)} that cannot be used: {problems[0]}" if problems else ""
        raise InputError(f"{found} of {wanted} pictures can be used to {purpose}, expected at least {fewest}{why}")


def labelled(path: Path, labels: Labels | None) -> list[tuple[Path, int]]:
    """List the pictures of a folder with one subfolder a class, called as the label or its id, with their classes' numbers.

    Raises `InputError` for a subfolder that is no label, and if there are no pictures.
    """
    if labels is None:
        raise InputError("the model has no labels: classes cannot be told by the names of folders")
    if not path.is_dir():
        raise InputError(f"{path}: expected a folder with one subfolder of pictures a class")
    number = {name: i for names in (labels.ids or (), labels.names) for i, name in enumerate(names)}
    out = []
    for folder in sorted(p for p in path.iterdir() if p.is_dir() and not p.name.startswith(".")):
        if folder.name not in number:
            raise InputError(f"{folder}: {folder.name!r} is none of the labels{suggest(folder.name, list(number))}")
        out += [(file, number[folder.name]) for file in sorted(folder.rglob("*")) if is_picture(file.name)]
    if not out:
        raise InputError(f"{path}: no pictures in folders called as the labels")
    return out


def _paths(data: Any) -> list[Any]:
    several = data if isinstance(data, (list, tuple)) else [data]
    return [path for path in several if isinstance(path, (str, os.PathLike))]


def _names(data: Any) -> str:
    paths = _paths(data)
    return ", ".join(map(shown, paths[:3])) + (", ..." if len(paths) > 3 else "")
