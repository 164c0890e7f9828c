"""Which way a page stands, asked four times: of the page and of its three turns, and the answers put together.

A page turned by 90 degrees must answer turned by 90 degrees. Where a network does so four times it knows; where it answers
what it likes best whatever it is shown, as of a blank page, the four answers cancel. docs/upright.md has the measurements.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..config import Labels
from ..errors import InputError
from ..image import prepare
from ..runtime import Classifier
from ..text import quoted, short

ANGLES = (0, 90, 180, 270)
PAGES = 8  # that are run together: 32 views
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

    channel_order: of the pages, "rgb" or "bgr". Raises `InputError` for another classifier. Its confidence is divided by
    `decision.turns_temperature`; a model without one says less than it knows.
    """

    short_side = 256  # pixels of the shorter side that a reduced page must have at least

    def __init__(self, model: Classifier, channel_order: str = "rgb") -> None:
        self.model = model
        self._order = places(model.labels, ANGLES, "how pages stand is what doc_ori tells")
        self._preprocessing = model.preprocessing.of_arrays(channel_order)
        self.temperature = 1.0

    def __call__(self, pages: Sequence[np.ndarray]) -> list[Orientation]:
        """Say how each page stands; pages are uint8 [H,W,3], each of any size."""
        found: list[Orientation] = []
        for first in range(0, len(pages), PAGES):
            part = [self._views(page) for page in pages[first : first + PAGES]]
            found += map(_orientation, self._probs(np.concatenate(part)))
        return found

    def _views(self, page: np.ndarray) -> np.ndarray:
        """The network's input of the page and of its turns by 90, 180 and 270 degrees clockwise, float32 [4,C,H,W]."""
        preprocessing = self._preprocessing
        _, height, width = preprocessing.input_size
        if height != width:
            return np.stack([prepare(_turned(page, turn, (0, 1)), preprocessing) for turn in range(4)])
        x = prepare(page, preprocessing)
        return np.stack([_turned(x, turn, (1, 2)) for turn in range(4)])

    def _probs(self, views: np.ndarray) -> np.ndarray:
        """Probabilities float64 [N,4] of the views of N pages, float32 [4 N,C,H,W]."""
        logits = self.model.run(views)[:, self._order].astype(np.float64).reshape(-1, 4, 4)
        log = logits - np.logaddexp.reduce(logits, axis=2, keepdims=True)
        mean = sum(np.roll(log[:, turn], -turn, axis=1) for turn in range(4)) / (4 * self.temperature)
        return np.asarray(np.exp(mean - np.logaddexp.reduce(mean, axis=1, keepdims=True)))


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
