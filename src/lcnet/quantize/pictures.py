"""Which pictures a model is calibrated and judged on: some of those given, the same every time, decoded when needed.

Only their names are kept. Pictures that cannot be read, or that are of one colour and so show no ranges, are left out and told,
and of those that are alike one is taken: what a model was calibrated on says nothing of what it does with other pictures.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..config import ModelConfig, Preprocessing
from ..errors import ImageError, InputError
from ..image import batch
from ..sources import find
from ..sources.formats import MAX_PIXELS
from ..sources.found import Found
from ..text import shown
from .distinct import Looks, look_at

FEWEST, MOST = 32, 512  # pictures that differ, and of them those to calibrate on
JUDGED_FEWEST = 8  # pictures that differ
LOOKED_AT = 4  # times as many pictures as calibrate, to find those that differ; a tar archive's are in memory
BATCH = 16  # pictures decoded at a time


@dataclass(frozen=True)
class Chosen:
    """Pictures to calibrate on and others to judge by, no two of them alike."""

    calibrating: list[Any]
    held_out: list[Any]
    distinct: int  # of the held out; less than all if near-copies had to be taken
    looks: Looks  # of those to calibrate on
    report: dict[str, Any]  # what there was
    reasons: list[str]  # why no verdict on them is to be trusted: near-copies had to be taken


@dataclass(frozen=True)
class Judged:
    """Labelled pictures to measure accuracy on: no two alike, none like one that was calibrated on."""

    samples: list[tuple[Found, int]]
    distinct: int  # less than all if near-copies had to be taken
    report: dict[str, Any]  # what was left out
    problems: list[str]
    reasons: list[str]


def choose(data: Any, images: int, preprocessing: Preprocessing, max_pixels: int = MAX_PIXELS, force: bool = False) -> Chosen:
    """Pick calibration pictures, at most `images`, and others to judge by: a quarter of what there is, at most `images`.

    Of copies, and of near-copies such as frames of one scene, the first is taken. `data`: what `lcnet.sources.find` takes.
    Raises `InputError` for less than `FEWEST` that differ; with `force`, only if less differ in any pixel.
    """
    sources, problems = pool(data, LOOKED_AT * images), list[str]()
    usable, looks = look_at(sources, preprocessing, problems, max_pixels)
    near, copies = (looks.groups(near) for near in (True, False))
    reasons = _reasons(np.unique(near), np.unique(copies), FEWEST, _names(data), len(sources), problems, force)
    firsts = np.random.default_rng(0).permutation(np.unique(copies if reasons else near))[: 2 * images]
    count = min(images, len(firsts) - len(firsts) // 4)
    calibrating, held_out = ([sources[i] for i in usable[some]] for some in (firsts[:count], firsts[count:]))
    distinct, others = len(np.unique(near)), len(np.unique(near[firsts[count:]]))
    report = {"looked_at": len(sources), "distinct": distinct, "left_out": len(problems), "problems": problems[:5]}
    return Chosen(calibrating, held_out, others, looks.take(firsts[:count]), report, reasons)


def judged_by(
    samples: list[tuple[Found, int]], chosen: Chosen, preprocessing: Preprocessing, max_pixels: int, force: bool
) -> Judged:
    """Leave out what is like a calibration picture, and of what is alike among the others all but the first.

    Raises `InputError` for less than `JUDGED_FEWEST` that remain; with `force`, only if less differ in any pixel.
    """
    problems: list[str] = []
    usable, looks = look_at([source for source, _ in samples], preprocessing, problems, max_pixels)
    near, copies = (_unlike(looks, chosen.looks, near) for near in (True, False))
    told = [*problems, *(f"{samples[i][0]}: like a picture to calibrate on" for i in usable[near[1]])]
    reasons = _reasons(near[0], copies[0], JUDGED_FEWEST, "labelled data", len(samples), told, force)
    firsts, leaked = copies if reasons else near
    names = [str(samples[i][0]) for i in usable[leaked]]
    report = {"copies": len(usable) - len(leaked) - len(firsts), "leaked": len(names), "leaks": names[:5]}
    return Judged([samples[i] for i in usable[firsts]], len(near[0]), report, problems, reasons)


def _unlike(looks: Looks, calibrating: Looks, near: bool) -> tuple[np.ndarray, np.ndarray]:
    """The first of each group of alike pictures unlike those to calibrate on, and all pictures of the other groups."""
    groups = looks.groups(near)
    leaked = np.isin(groups, groups[looks.like(calibrating, near)])
    return np.unique(groups[~leaked]), np.flatnonzero(leaked)


def _reasons(
    near: np.ndarray, copies: np.ndarray, fewest: int, whose: str, given: int, problems: list[str], force: bool
) -> list[str]:
    """Why there are too few pictures when near-copies count once, if at all. Raises `InputError` unless `force` helps."""
    if len(near) >= fewest:
        return []
    text = f"distinct pictures: {len(near)} of {given}, expected at least {fewest} (copies and near-copies count once)"
    enough = len(copies) >= fewest
    if force and enough:
        return [f"{whose}, {text}"]
    why = f"; the first of {len(problems)} that cannot be used: {problems[0]}" if problems else ""
    way_out = ", or count near-copies, such as frames of one scene, with --force" if enough else ""
    raise InputError(f"{whose}: {text}{why}. Add pictures of other things{way_out}")


def pool(data: Any, most: int) -> list[Any]:
    """Pick at most `most` of the pictures to look at, the same every time, in the order in which they are found.

    Every picture is as likely to be picked as any other (reservoir sampling, Vitter 1985), by a generator that starts at the
    same place. Raises `InputError` for paths that do not exist and for less than `FEWEST`.
    """
    for path in _paths(data):
        if not os.path.lexists(path) and not any(c in os.fspath(path) for c in "*?["):
            raise InputError(f"{shown(path)}: there is no such file or folder")
    rng, count = np.random.default_rng(0), 0
    kept: list[tuple[int, Any]] = []
    for count, source in enumerate(find(data, recursive=True), 1):
        if len(kept) < most:
            kept.append((count, source))
        elif (place := int(rng.integers(count))) < most:
            kept[place] = (count, source)
    if count < FEWEST and not any(isinstance(source, Found) for _, source in kept):
        raise InputError(f"{_names(data)}: {count} pictures to calibrate on, expected at least {FEWEST}")
    return [source for _, source in sorted(kept, key=lambda numbered: numbered[0])]


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
    return ", ".join(map(shown, paths[:3])) + (", ..." if len(paths) > 3 else "") if paths else "the pictures given"
