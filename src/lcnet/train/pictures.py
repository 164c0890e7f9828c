"""The pictures of a run: opened, checked and split, told apart from others, and the recipe fitted to them.

Refuses data that a recipe cannot be run on, before anything is written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..arch import SIZES
from ..cpus import usable_cpus
from ..dataset import Dataset, open_dataset, split
from ..dataset.reading import reading_of
from ..errors import InputError, LcnetError
from ..sources.passed import Passed
from .augment.randaugment import parse
from .loader import read_pixels
from .losses import MULTI_LABEL
from .options import TrainOptions
from .recipe import Recipe
from .sampler import ONE_LABEL
from .validation import METRICS

SHARE, LARGEST_SHARE = 0.1, 0.25  # of the pictures, for validation
ENOUGH = 200  # pictures of validation


class Pictures(NamedTuple):
    """What is trained on, what is validated on, and why each unreadable picture is in neither."""

    train: Dataset
    val: Dataset | None
    skipped: list[str]
    fraction: float  # that was set aside where the data has no pictures for validation


def open_pictures(data: str, options: TrainOptions, note: Callable[[str], None]) -> Pictures:
    """Open, check and split the data; `note` is told what was left out."""
    passed = Passed()
    splits = open_dataset(data, passed=passed, **reading_of(options))
    if passed.text():
        note(passed.text())
    train, val = splits.train, splits.val
    skipped: list[str] = []
    if options.skip_unreadable:
        train, skipped = _readable(train, options)
        if val is not None:
            val, more = _readable(val, options)
            skipped += more
        for name in skipped:
            note(f"left out: {name}")
    fraction = _val_fraction(len(train), options)
    if val is None and fraction:
        train, val = split(train, fraction, options.seed)
    return Pictures(train, val, skipped, fraction)


def _val_fraction(pictures: int, options: TrainOptions) -> float:
    """A tenth by default; where the start is measured too, more of few pictures, of which it takes some to tell two apart."""
    if options.val_fraction is not None:
        return options.val_fraction
    return SHARE if options.model in SIZES else max(SHARE, min(LARGEST_SHARE, ENOUGH / max(pictures, 1)))


def fitting(recipe: Recipe, train: Dataset, divisor: int, note: Callable[[str], None]) -> Recipe:
    """Fit a recipe to the data: a batch no larger than it, losses that multi-label tasks have; refuse what cannot be."""
    if recipe.randaugment:
        parse(recipe.randaugment)
    if recipe.batch_size % divisor:
        raise InputError(
            f"batch_size is {recipe.batch_size}, which {divisor} processes or parts cannot share evenly: "
            f"--set batch_size={max(2, recipe.batch_size // divisor) * divisor}"
        )
    if recipe.batch_size > len(train):
        size = len(train) // divisor * divisor
        if size < 2 * divisor:
            raise InputError(f"there are {len(train)} training images for {divisor} processes or parts: too few")
        share = size / recipe.batch_size
        rates = {name: getattr(recipe, name) * share for name in ("lr", "warmup_lr", "min_lr")}
        note(
            f"batch_size {recipe.batch_size} is more than the {len(train)} training images: now {size}, "
            f"and lr {rates['lr']:.3g}"
        )
        recipe = recipe.change({"batch_size": size, **rates})
    if train.multi_label:
        if recipe.sampler in ONE_LABEL:
            raise InputError(f"sampler is {recipe.sampler!r}, which needs one label a picture: these have several")
        if recipe.loss not in MULTI_LABEL:
            note("pictures have several labels each: the loss is bce")
            recipe = recipe.change({"loss": "bce", "bce_threshold": -1.0})
    return recipe


def metric_of(name: str, multi_label: bool) -> str:
    """The name of what picks the best epoch, checked against what the pictures have. Raises `InputError`."""
    name = name or ("mAP" if multi_label else "top1")
    known = [key for key, (_, task) in METRICS.items() if task is None or task == multi_label]
    if name not in known:
        raise InputError(f"metric is {name!r}, expected {' or '.join(known)}")
    return name


def fingerprint(dataset: Dataset) -> str:
    """Tell datasets apart by their names and targets, wherever they lie."""
    digest = hashlib.sha256(np.ascontiguousarray(dataset.targets).tobytes())
    for name in dataset.names:
        digest.update("/".join(str(name).replace("\\", "/").rsplit("/", 2)[-2:]).encode("utf-8", "surrogateescape") + b"\0")
    return digest.hexdigest()


def _readable(dataset: Dataset, options: TrainOptions) -> tuple[Dataset, list[str]]:
    """Leave out the pictures that cannot be decoded; return the rest and why each of them is not in it."""
    from concurrent.futures import ThreadPoolExecutor

    from ..config import Preprocessing

    preprocessing = Preprocessing().with_channels(options.in_chans or 3)

    def problem(index: int) -> str | None:
        try:
            read_pixels(dataset, index, preprocessing, max_pixels=options.max_pixels)
        except LcnetError as error:
            return str(error)
        return None

    with ThreadPoolExecutor(usable_cpus()) as pool:
        problems = list(pool.map(problem, range(len(dataset))))
    kept = [i for i, found in enumerate(problems) if found is None]
    return dataset.subset(kept), [found for found in problems if found is not None]
