"""For programs that read text: which lines stand on their heads, and how pages lie, before anything is read of them.

Takes arrays as such programs have them, a list at a time, red or blue first, and gives them back upright; what it is not sure
of it leaves alone. docs/ocr.md puts these classes into RapidOCR and PaddleOCR. Refuses a model that tells anything else.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from .errors import InputError
from .image import batch
from .runtime import Classifier, load
from .runtime.decision import probabilities
from .text import short
from .upright.orientation import PAGES, Orientation, PageOrientation, places

__all__ = ["DocOrientation", "LineOrientation", "Orientation", "TextLineOrientation", "Turned"]

LINES = 32  # that are scaled before they run: bounds the memory of a long list
LINE_ANGLES = (0, 180)


class LineOrientation(NamedTuple):
    """How a text line stands: turned by `angle`, 0 or 180 degrees; `confidence` is the probability of that, 0.5 to 1.

    `label` is what the model calls it, such as `180_degree`.
    """

    angle: int
    confidence: float
    label: str


A = TypeVar("A", LineOrientation, Orientation)


class Turned(NamedTuple, Generic[A]):
    """A line or page as it should be read, and what was done for that.

    `pixels` was turned counter-clockwise by `by` degrees and is contiguous then; where `by` is 0 it is the array given.
    """

    pixels: np.ndarray
    by: int
    answer: A


class TextLineOrientation:
    """Tells which text lines stand on their heads. Immutable, and safe to use from many threads at once.

    model: a name (`textline_ori_025`, `textline_ori`), the path of a model file, or a `Classifier`; float or int8.
    channel_order: of the lines, "rgb", or "bgr" as OpenCV has them. both_ways: each line is asked about also on its head, and
    the two answers are put together, which takes twice as long and is right more often. threads: as `lcnet.load` takes it; a
    `Classifier` has its own. Raises `InputError` for a model whose labels are not 0 and 180 degrees, and what `lcnet.load`
    raises.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | Classifier = "textline_ori_025",
        *,
        channel_order: str,
        both_ways: bool = False,
        threads: int | None = None,
    ) -> None:
        self.model = _loaded(model, threads)
        self.channel_order, self.both_ways = channel_order, both_ways
        self._preprocessing = self.model.preprocessing.of_arrays(channel_order)
        indices = places(self.model.labels, LINE_ANGLES, "how text lines stand is what textline_ori and textline_ori_025 tell")
        self._angles = dict(zip(indices, LINE_ANGLES, strict=True))

    def __call__(self, lines: Iterable[np.ndarray]) -> list[LineOrientation]:
        """Say how each line stands; lines are uint8 [H,W,3] or grey [H,W], each of any size and stride.

        However many there are, memory is for a few. Raises `InputError`, which names the first line that is anything else.
        """
        return self._answers(_arrays(lines, "line"))

    def upright(self, lines: Iterable[np.ndarray], min_confidence: float = 0.9) -> list[Turned[LineOrientation]]:
        """Turn the lines that stand on their heads with at least this confidence, 0 to 1; all others are as they were.

        Raises as calling it does.
        """
        return _upright(_arrays(lines, "line"), self._answers, min_confidence)

    def _answers(self, lines: list[np.ndarray]) -> list[LineOrientation]:
        return [self._answer(row) for first in range(0, len(lines), LINES) for row in self._probs(lines, first)]

    def _probs(self, lines: list[np.ndarray], first: int) -> np.ndarray:
        x = batch(lines[first : first + LINES], self._preprocessing, first=first)
        logits = self.model.run(x)
        if self.both_ways:
            logits = (logits + self.model.run(x[:, :, ::-1, ::-1])[:, ::-1]) / 2  # turned, the other class should be as likely
        return probabilities(logits, self.model.config.decision)

    def _answer(self, probs: np.ndarray) -> LineOrientation:
        best, labels = int(probs.argmax()), self.model.labels
        return LineOrientation(self._angles[best], float(probs[best]), labels.names[best] if labels else "")


class DocOrientation:
    """Tells how pages lie, by a page and its turns together. Immutable, and safe to use from many threads at once.

    model: a name, the path of a model file, or a `Classifier`; float or int8. channel_order: of the pages, "rgb", or "bgr" as
    OpenCV has them. threads: as `lcnet.load` takes it; a `Classifier` has its own. Raises `InputError` for a model whose labels
    are not 0, 90, 180 and 270 degrees, and what `lcnet.load` raises.
    """

    def __init__(
        self, model: str | os.PathLike[str] | Classifier = "doc_ori", *, channel_order: str, threads: int | None = None
    ) -> None:
        self.model = _loaded(model, threads)
        self.channel_order = channel_order
        self._pages = PageOrientation(self.model, channel_order)

    def __call__(self, pages: Iterable[np.ndarray]) -> list[Orientation]:
        """Say how each page lies: `angle` clockwise, `confidence`, and `probs` of 0, 90, 180 and 270 degrees.

        Pages are uint8 [H,W,3] or grey [H,W], each of any size and stride. Raises `InputError`, which names the first page that
        is anything else.
        """
        return self._answers(_arrays(pages, "page"))

    def upright(self, pages: Iterable[np.ndarray], min_confidence: float = 0.9) -> list[Turned[Orientation]]:
        """Turn the pages that do not stand upright with at least this confidence, 0 to 1; all others are as they were.

        Raises as calling it does.
        """
        return _upright(_arrays(pages, "page"), self._answers, min_confidence)

    def _answers(self, pages: list[np.ndarray]) -> list[Orientation]:
        chunks = (pages[first : first + PAGES] for first in range(0, len(pages), PAGES))
        return [answer for chunk in chunks for answer in self._pages(list(map(_colored, chunk)))]


def _loaded(model: str | os.PathLike[str] | Classifier, threads: int | None) -> Classifier:
    if not isinstance(model, Classifier):
        model = load(model, threads)
    elif threads is not None:
        raise InputError(f"threads is {threads!r}, but a Classifier has its own: give it to lcnet.load")
    if model.arch.in_chans != 3:
        raise InputError(f"the network takes {model.arch.in_chans} channels, expected 3")
    return model


def _arrays(images: Iterable[Any], what: str) -> list[np.ndarray]:
    """What was given as a list, each looked at. Raises `InputError`."""
    single = images.ndim != 4 if isinstance(images, np.ndarray) else isinstance(images, (str, bytes))
    if single or not isinstance(images, Iterable):
        given = _described(images)
        raise InputError(f"the {what}s are {given}, expected a list of arrays, uint8 [H,W,3] or [H,W]: put one into a list")
    found = list(images)
    for i, image in enumerate(found):
        good = isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.size > 0
        if not good or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)):
            raise InputError(f"{what} {i} is {_described(image)}, expected uint8 [H,W,3] or [H,W] of at least one pixel")
    return found


def _described(value: Any) -> str:
    return f"{value.dtype} {list(value.shape)}" if isinstance(value, np.ndarray) else type(value).__name__


def _colored(page: np.ndarray) -> np.ndarray:
    """[H,W,3]; of a grey page a copy, for it is scaled several times."""
    return page if page.ndim == 3 else np.stack([page] * 3, axis=2)


def _upright(images: list[np.ndarray], answers: Callable[[list[np.ndarray]], list[A]], least: float) -> list[Turned[A]]:
    if isinstance(least, bool) or not isinstance(least, (int, float)) or not 0 <= least <= 1:
        raise InputError(f"min_confidence is {short(repr(least))}, expected a number from 0 to 1")
    found = answers(images)
    return [_turned(image, answer, least) for image, answer in zip(images, found, strict=True)]


def _turned(image: np.ndarray, answer: A, least: float) -> Turned[A]:
    if not answer.angle or answer.confidence < least:
        return Turned(image, 0, answer)
    return Turned(np.ascontiguousarray(np.rot90(image, answer.angle // 90)), answer.angle, answer)
