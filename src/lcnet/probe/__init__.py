"""A classifier in seconds: features of the native engine, logistic regression on those that tell most, an ordinary model file.

    made = lcnet.probe.fit("photos/", "lcnet_050", "model.safetensors")
    print(made.report["measured"]["top1"])

Needs scikit-learn (extra `probe`) and no torch. Which features the classifier reads, and how strongly it is held back, is
chosen by ridge regression; accuracy is measured on pictures that neither choice nor classifier has seen. docs/probe.md has all.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files import check_target
from ..sources.formats import MAX_PIXELS
from .features import Advance, Engine
from .record import Probe

__all__ = ["Probe", "add_class", "fit"]

USER_CACHE = "user"  # the user's cache folder
CLASS_WEIGHTS = ("balanced", "none")
Say = Callable[[str], None]


def fit(
    data: str | os.PathLike[str],
    model: str | os.PathLike[str] = "lcnet_050",
    output: str | os.PathLike[str] | None = None,
    *,
    overwrite: bool = False,
    intervals: bool = True,
    views: int | None = None,
    class_weights: str = "balanced",
    skip_unreadable: bool = False,
    threads: int | None = None,
    isa: str | None = None,
    precision: str = "fp32",
    decode: str = "exact",
    max_pixels: int = MAX_PIXELS,
    cache: str | os.PathLike[str] | None = USER_CACHE,
    say: Say | None = None,
    advance: Advance | None = None,
    **reading: Any,
) -> Probe:
    """Make a classifier of labelled pictures, and write it to `output` if that is named.

    data: whatever `lcnet.dataset.open_dataset` takes, with its options; train and val are learned from, test is only measured.
    model: the base, by name or file. intervals: measure accuracy on outer folds, and the learning curve; without, there is the
    model only. views: crops of each picture to learn from besides, by default 3 where there are at most 20 pictures a class.
    class_weights: `balanced`, each class counts the same, or `none`, each picture does. cache: a folder for features, None for
    none. say: told what is being done; advance: called after each picture. Raises `InputError` for what cannot be learned
    from, `ImageError` for the first picture that cannot be read unless it is to be left out, `MissingExtraError` without
    scikit-learn.
    """
    from . import linear, statistics, work

    linear.require()
    if output is not None:
        check_target(output, overwrite)
        statistics.check_place(Path(output), overwrite)
    if class_weights not in CLASS_WEIGHTS:
        raise InputError(f"class_weights is {class_weights!r}, expected {' or '.join(map(repr, CLASS_WEIGHTS))}")
    if views is not None and (type(views) is not int or not 0 <= views <= 32):
        raise InputError(f"views is {views!r}, expected a whole number from 0 to 32")
    engine = Engine(threads, isa, precision, decode, max_pixels, _cache_folder(cache))
    job = work.Job(
        engine, intervals, views, class_weights == "balanced", skip_unreadable, say or _unsaid, advance or _uncounted
    )
    return job.run(data, model, None if output is None else Path(output), reading)


def add_class(
    model: str | os.PathLike[str],
    name: str,
    pictures: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    *,
    overwrite: bool = False,
    views: int | None = None,
    skip_unreadable: bool = False,
    threads: int | None = None,
    max_pixels: int = MAX_PIXELS,
    cache: str | os.PathLike[str] | None = USER_CACHE,
    advance: Advance | None = None,
) -> Probe:
    """Give a probe's model one class more, learned from a folder of its pictures, without those of the other classes.

    The others' rows of the classifier stay as they are; what their pictures look like is taken from the statistics beside the
    model. The report says what it costs. Raises as `fit` does, and `InputError` for a model that has no statistics.
    """
    from . import extend, linear, statistics

    linear.require()
    if output is not None:
        check_target(output, overwrite, model if os.path.exists(model) else None)  # noqa: PTH110
        statistics.check_place(Path(output), overwrite)
    engine = Engine(threads, max_pixels=max_pixels, cache=_cache_folder(cache))
    place, count = None if output is None else Path(output), advance or _uncounted
    with linear.fitting():
        return extend.extended(Path(model), name, pictures, place, engine, views, skip_unreadable, count)


def _unsaid(text: str) -> None:
    """Say nothing."""


def _uncounted() -> None:
    """Count nothing."""


def _cache_folder(cache: str | os.PathLike[str] | None) -> Path | None:
    from .cache import default_folder

    return default_folder() if cache == USER_CACHE else None if cache is None else Path(cache)
