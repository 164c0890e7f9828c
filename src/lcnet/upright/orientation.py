"""Which way a page stands: the network is asked of the page and of its turns, and the answers are put together.

A page turned by 90 degrees must answer turned by 90 degrees. Where a network does so it knows; where it answers what it likes
best whatever it is shown, as of a blank page, the answers cancel. The page and one turn are asked about first; where these
two do not settle it, the other two turns; and where that does not either, the page is looked at again, all of it and from
nearer. docs/upright.md has the measurements.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ..config import Labels, Preprocessing
from ..errors import InputError
from ..image import prepare
from ..runtime import Classifier, load
from ..sources.formats import MAX_PIXELS
from ..text import quoted, short

ANGLES = (0, 90, 180, 270)
PAGES = 8  # that are looked at together
SETTLED = 0.9  # what views say together at least, before it is calibrated, if there shall be no others
NEARER = 10 / 7  # sides of the second look's input, over those of the first: 320 for 224
_LABEL = re.compile(r"(0|90|180|270)(?:°|_degrees?)?")


class Orientation(NamedTuple):
    """How a page stands: turned clockwise by `angle`, so that as much counter-clockwise makes it upright.

    `confidence` is the calibrated probability that `angle` is right, `probs` those of 0, 90, 180 and 270 degrees.
    """

    angle: int
    confidence: float
    probs: tuple[float, float, float, float]


class PageOrientation:
    """Tells how pages stand, by a classifier whose labels are the four angles. Safe to use from several threads.

    channel_order: of the pages, "rgb" or "bgr". Raises `InputError` for another classifier. What is put together is divided by
    the model's `decision.turns_temperature`; a model without one is asked as often and says less than it knows. `short_side`:
    how many pixels the shorter side of a page must have to be judged as well as a larger one.
    """

    def __init__(self, model: Classifier, channel_order: str = "rgb") -> None:
        self.model = model
        self.temperature = model.config.decision.turns_temperature or 1.0
        self._order = places(model.labels, ANGLES, "how pages stand is what doc_ori tells")
        usual = model.preprocessing.of_arrays(channel_order)
        _, height, width = usual.input_size
        nearer = (usual.input_size[0], _nearer(height), _nearer(width))
        self._first = (usual,)
        # Of the second look's input before it is cropped: what has fewer pixels is enlarged, and more of it stays unsettled.
        self.short_side = math.ceil(min(nearer[1:]) / usual.crop_pct)
        self._again = replace(usual, input_size=nearer), replace(usual, crop_mode="squash", crop_pct=1.0)

    def __call__(self, pages: Sequence[np.ndarray]) -> list[Orientation]:
        """Say how each page stands; pages are uint8 [H,W,3], each of any size."""
        return [_orientation(probs) for probs in softmax(self.means(pages) / self.temperature)]

    def means(self, pages: Sequence[np.ndarray]) -> np.ndarray:
        """The means of the log-probabilities of 0, 90, 180 and 270 degrees that temperatures are fitted on, float64 [N,4]."""
        parts = [self._means(pages[first : first + PAGES]) for first in range(0, len(pages), PAGES)]
        return np.concatenate(parts) if parts else np.empty((0, 4))

    def four_views(self, pages: Sequence[np.ndarray]) -> np.ndarray:
        """The same of all four views of each page and no others, settled or not."""
        return np.asarray(self._asked(pages, *self._first, range(4)).mean(axis=1))

    def _means(self, pages: Sequence[np.ndarray]) -> np.ndarray:
        """Of a few pages; of those that are not settled from more views, as long as there are any."""
        answers = self._asked(pages, *self._first, range(2))
        means, left = answers.mean(axis=1), np.arange(len(pages))
        for ways, turns in ((self._first, range(2, 4)), (self._again, range(4))):
            unsettled = softmax(means[left]).max(axis=1) < SETTLED
            left, answers = left[unsettled], answers[unsettled]
            if len(left):
                more = [self._asked([pages[i] for i in left], way, turns) for way in ways]
                answers = np.concatenate([answers, *more], axis=1)
                means[left] = answers.mean(axis=1)
        return np.asarray(means)

    def _asked(self, pages: Sequence[np.ndarray], way: Preprocessing, turns: Sequence[int]) -> np.ndarray:
        """Log-probabilities float64 [N,turns,4] of N pages, asked of each turned clockwise by quarters, and turned back."""
        views = np.stack([view for page in pages for view in _views(page, way, turns)])
        logits = self.model.run(views)[:, self._order].astype(np.float64).reshape(len(pages), len(turns), 4)
        log = log_softmax(logits)
        return np.stack([np.roll(log[:, i], -turn, axis=1) for i, turn in enumerate(turns)], axis=1)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Log-probabilities along the last axis."""
    return np.asarray(logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True))


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities along the last axis."""
    return np.asarray(np.exp(log_softmax(logits)))


def load_quick(name: str, threads: int | None = None, max_pixels: int = MAX_PIXELS) -> Classifier:
    """Load a model in the quickest precision that answers as well: bfloat16 where the CPU has it, int8 as its file is."""
    try:
        return load(name, threads=threads, precision="bf16", max_pixels=max_pixels)
    except InputError:  # of a CPU without bfloat16, or a quantised file; what else is wrong is said below
        return load(name, threads=threads, max_pixels=max_pixels)


def _views(page: np.ndarray, way: Preprocessing, turns: Sequence[int]) -> list[np.ndarray]:
    """The network's inputs, float32 [C,H,W], of a page turned clockwise by quarters.

    Square ones are turned when they are made: scaling and cropping the turned page gives the same, but for a pixel where an
    odd number of them is cut off.
    """
    _, height, width = way.input_size
    if height != width:
        return [prepare(_turned(page, turn, (0, 1)), way) for turn in turns]
    x = prepare(page, way)
    return [_turned(x, turn, (1, 2)) for turn in turns]


def _nearer(side: int) -> int:
    return 32 * round(NEARER * side / 32)


def _turned(pixels: np.ndarray, turn: int, axes: tuple[int, int]) -> np.ndarray:
    """Turned clockwise, by quarters."""
    return np.ascontiguousarray(np.rot90(pixels, -turn, axes))


def _orientation(probs: np.ndarray) -> Orientation:
    best = int(probs.argmax())
    zero, quarter, half, three = probs.tolist()
    return Orientation(ANGLES[best], float(probs[best]), (zero, quarter, half, three))


def places(labels: Labels | None, angles: Sequence[int], told: str) -> list[int]:
    """Where the logits of these angles are among a model's, which has no others. Raises `InputError` that ends with `told`."""
    names = labels.names if labels else ()
    named = [int(match[1]) if (match := _LABEL.fullmatch(name)) else -1 for name in names]
    if sorted(named) != list(angles):
        found = f"the classes {quoted(short(', '.join(names)))}" if names else "no labels"
        expected = f"{', '.join(map(str, angles[:-1]))} and {angles[-1]}"
        raise InputError(f"the model has {found}, expected {expected}: {told}")
    return [named.index(angle) for angle in angles]
