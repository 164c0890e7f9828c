"""Drawn pages as files, with how they stand, and what is right and wrong about an answer to them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import page_kinds
from PIL import Image

from lcnet.modelfile import ModelFile
from lcnet.runtime import Classifier
from lcnet.upright.orientation import PageOrientation, log_softmax, softmax

CALIBRATING = 120  # pages of each kind


def pages_of(part: str) -> tuple[str, ...]:
    """The kinds of a part; photographs only where there are some."""
    if part == "unseen":
        return (*page_kinds.UNSEEN, *page_kinds.FOREIGN)
    kinds = (*page_kinds.TEXT, *page_kinds.HARD)
    return kinds if page_kinds.photographs() else tuple(k for k in kinds if k != "photographs")


class Pages:
    """The files of a kind, and by how many quarters each is turned."""

    def __init__(self, folder: Path, kind: str, count: int) -> None:
        self.kind, self.files = kind, sorted((folder / kind).glob("*.jpg"))[:count]
        self.turns = np.array([int(path.stem) % 4 for path in self.files])

    def pixels(self, short_side: int) -> list[np.ndarray]:
        return [read(path, short_side) for path in self.files]

    def wrong(self, found: Sequence[int]) -> np.ndarray:
        """Which pages would be turned so that they stand on their side or head; a page that stands no way, by any turn."""
        answers = np.asarray(found)
        return np.asarray(answers != (0 if self.kind in page_kinds.NO_WAY else self.turns))

    def turned(self, found: Sequence[int]) -> dict[str, Any]:
        wrong, moved = self.wrong(found), np.asarray(found) != 0
        return {
            "pages": len(wrong),
            "sure": len(wrong),
            "wrong": int(wrong.sum()),
            "turned": int(moved.sum()),
            "turned_wrongly": int((wrong & moved).sum()),
        }


def read(path: Path, short_side: int) -> np.ndarray:
    """Pixels, of the smallest size that JPEG's transform gives and that has `short_side`; 0: of the whole."""
    with Image.open(path) as image:
        if short_side:
            part = min(1.0, short_side / min(image.size))
            image.draft("RGB", (int(np.ceil(image.width * part)), int(np.ceil(image.height * part))))
        return np.asarray(image.convert("RGB"))


class Judge:
    """A model in one precision, and what it answers to pages."""

    def __init__(self, model: ModelFile, precision: str) -> None:
        self.model = Classifier(model, threads=2, precision="bf16" if precision == "bf16" else "fp32")
        self.decide = PageOrientation(self.model)

    def means(self, pages: Pages, short_side: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        side = self.decide.short_side if short_side is None else short_side
        return self.decide.means(pages.pixels(side)), pages.turns

    def counted(self, pages: Pages, least: float, short_side: int | None = None) -> dict[str, Any]:
        """How many are sure enough, and wrong of those: turned wrongly, or left as they are and not upright."""
        probs = softmax(self.means(pages, short_side)[0] / self.decide.temperature)
        sure, wrong = probs.max(1) >= least, pages.wrong(probs.argmax(1))
        moved = sure & (probs.argmax(1) != 0)
        bins = np.digitize(probs.max(1), BINS)
        stated = {
            f"{low:g}": [len(w), float(p.mean()), float(1 - w.mean())]
            for i, low in enumerate((0.25, *BINS))
            if len(w := wrong[bins == i]) and len(p := probs.max(1)[bins == i])
        }
        right = {} if pages.kind in page_kinds.NO_WAY else {"bins": stated}
        return {
            "pages": len(sure),
            "sure": int(sure.sum()),
            "wrong": int((sure & wrong).sum()),
            "turned": int(moved.sum()),
            "turned_wrongly": int((moved & wrong).sum()),
            **right,
        }

    def first_view(self, pages: Pages) -> list[int]:
        """What one view of each page says, read whole: the network as others ask it."""
        order = self.decide._order
        return [int(self.model.run(self.model.preprocess(read(path, 0)))[0, order].argmax()) for path in pages.files]

    def by_turn(self, pages: Pages, least: float) -> dict[str, Any]:
        """Of pages that stand upright, and of those that do not: how many are turned, and how many of these wrongly."""
        probs = softmax(self.means(pages)[0] / self.decide.temperature)
        sure, wrong = probs.max(1) >= least, pages.wrong(probs.argmax(1))
        moved = sure & (probs.argmax(1) != 0)
        upright = pages.turns == 0
        return {
            name: {"pages": int(some.sum()), "turned": int((some & moved).sum()), "wrong": int((some & sure & wrong).sum())}
            for name, some in (("upright", upright), ("turned", ~upright))
        }


BINS = (0.5, 0.7, 0.8, 0.9, 0.95)


def log_loss(kind: str, means: np.ndarray, turns: np.ndarray, temperature: float) -> float:
    """Mean log loss of the answers; of a page that stands no way each of the four is as good."""
    log = log_softmax(means / temperature)
    return float(-(log.mean(1) if kind in page_kinds.NO_WAY else log[np.arange(len(turns)), turns]).mean())
