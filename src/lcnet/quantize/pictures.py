"""Which pictures a model is calibrated and judged on: some of those given, the same every time, decoded when needed.

Only their names are kept. Pictures that cannot be read, or that are of one colour and so show no ranges, are left out and told.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from ..config import ModelConfig, Preprocessing
from ..errors import ImageError, InputError
from ..image import batch
from ..sources import find
from ..sources.formats import MAX_PIXELS
from ..sources.found import Found
from ..text import shown

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
    sources: Iterable[Any], preprocessing: Preprocessing, problems: list[str], size: int = BATCH, max_pixels: int = MAX_PIXELS
) -> Iterator[np.ndarray]:
    """Yield the pictures as ready input, float32 [N,C,H,W]; what is wrong with those left out is added to `problems`."""
    for _, x in groups(((source, None) for source in sources), preprocessing, problems, size, max_pixels):
        yield x


def groups(
    marked: Iterable[tuple[Any, Any]],
    preprocessing: Preprocessing,
    problems: list[str],
    size: int = BATCH,
    max_pixels: int = MAX_PIXELS,
) -> Iterator[tuple[list[Any], np.ndarray]]:
    """Do what `batches` does for (source, mark) pairs, and yield the marks of each batch with it."""
    marks, ready = [], []
    for source, mark in marked:
        try:
            x = batch([source.open() if isinstance(source, Found) else source], preprocessing, max_pixels)
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


def labeled(
    path: str | os.PathLike[str],
    config: ModelConfig,
    labels_from_names: str | None = None,
    label_separator: str = "|",
    columns: str | None = None,
) -> list[tuple[Found, int]]:
    """List the pictures of labelled data, as `lcnet.dataset` opens it, with the model's index of their classes.

    Of data in parts the test pictures, or else those for validation. Raises `InputError` if there are none, if classes are
    not the model's, and for several labels a picture.
    """
    from ..dataset import open_dataset
    from ..evaluate.align import align
    from ..evaluate.run import Sample

    parts = open_dataset(path, labels_from_names, label_separator=label_separator, columns=columns)
    data = next(part for part in (parts.test, parts.val, parts.train) if part is not None)
    if data.multi_label or config.decision.multi_label:
        raise InputError(f"{shown(path)}: int8 is judged by top-1, but these pictures have several labels each")
    classes = align(data.classes, config.labels, config.arch.num_classes)[data.targets]
    return [(Sample(data, i), int(label)) for i, label in enumerate(classes)]


def _paths(data: Any) -> list[Any]:
    several = data if isinstance(data, (list, tuple)) else [data]
    return [path for path in several if isinstance(path, (str, os.PathLike))]


def _names(data: Any) -> str:
    paths = _paths(data)
    return ", ".join(map(shown, paths[:3])) + (", ..." if len(paths) > 3 else "")
