"""How good a probe is, on pictures that had no part in it: outer folds, in which features and strength are chosen anew.

Owns the whole way from features to a classifier as one function, so that what is measured is what is done.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..config import ModelConfig
from ..dataset.parallel import in_order
from ..evaluate.evaluation import Evaluation
from ..evaluate.measure import measure
from ..evaluate.metrics import Estimate
from ..evaluate.run import Answers, LabeledPictures
from .choice import Candidate, Choice, choose
from .folds import FOLDS, drawn, folds_of
from .linear import Linear, fit
from .pictures import Learned
from .trunk import Columns

MEASURES = ("top1", "balanced_accuracy", "macro_f1", "mAP", "exact")  # of `evaluate.measure`, where it has them
SMALLEST = 5  # pictures a class where the learning curve begins; each point has twice as many as the one before
LARGEST = 4096  # pictures in all, of a point of the curve


class Made(NamedTuple):
    """A classifier, and what was chosen for it."""

    linear: Linear
    taken: Candidate


class Point(NamedTuple):
    """A point of the learning curve."""

    a_class: int  # pictures of each class, of several labels a picture divided by the labels
    pictures: int
    right: Estimate  # top-1 accuracy, or mAP


@dataclass(frozen=True)
class Way:
    """From features to a classifier."""

    columns: Columns
    balanced: bool  # whether each class counts the same, however many pictures it has
    threads: int = 1  # in which folds are worked on

    def weights(self, targets: np.ndarray) -> np.ndarray:
        """What each picture counts, float64 [N], 1 on average."""
        if not self.balanced or targets.ndim == 2:
            return np.ones(len(targets))
        counts = np.bincount(targets)[targets]
        return np.asarray(len(targets) / (counts * len(np.unique(targets))))

    def choose(self, learned: Learned, rows: np.ndarray) -> Choice:
        """Choose features and strength by these pictures."""
        targets = learned.targets[rows]
        return choose(learned.table.values[rows], targets, self.weights(targets), learned.table.groups[rows], self.columns)

    def fit(self, learned: Learned, rows: np.ndarray, taken: Candidate) -> Made:
        """Fit what was chosen to these pictures and their crops."""
        columns, targets = self.columns.of(taken.read), learned.targets[rows]
        views = [learned.table.values[np.ix_(rows, columns)], *(view[np.ix_(rows, columns)] for view in learned.crops)]
        times = len(views)
        weights = np.tile(self.weights(targets), times)
        wide = np.tile(targets, (times, 1)) if targets.ndim == 2 else np.tile(targets, times)
        x, classes = np.concatenate(views).astype(np.float64), len(learned.labels.names)
        return Made(fit(x, wide, weights, taken.strength, classes), taken)

    def logits(self, made: Made, learned: Learned, rows: np.ndarray) -> np.ndarray:
        """What it says of these pictures, float64 [M,K]."""
        return made.linear(learned.table.values[np.ix_(rows, self.columns.of(made.taken.read))])


def unseen(way: Way, learned: Learned, taken: Candidate | None, a_class: int | None = None) -> np.ndarray:
    """Logits of each picture, float64 [N,K], by a classifier that has seen none of its fold.

    taken: what was chosen; None chooses anew in each fold. a_class: learn from so many pictures a class only.
    """
    fold = folds_of(learned.targets, learned.table.groups)
    out = np.zeros((len(fold), len(learned.labels.names)))

    def measured(f: int) -> None:
        inside, outside = np.flatnonzero(fold != f), np.flatnonzero(fold == f)
        if a_class is not None:
            inside = inside[drawn(learned.targets[inside], learned.table.groups[inside], a_class, f)]
        made = way.fit(learned, inside, taken or way.choose(learned, inside).taken)
        out[outside] = way.logits(made, learned, outside)

    for _ in in_order(measured, np.unique(fold).tolist(), way.threads):
        pass
    return out


def answers_of(learned: Learned, pictures: LabeledPictures, logits: np.ndarray, config: ModelConfig) -> Answers:
    """Logits of what was learned from, as an evaluation takes them."""
    count, rows = logits.shape[1], learned.table.rows
    every = np.arange(count)
    sides = np.zeros(len(rows), np.int64)
    return Answers(config, pictures, logits.astype(np.float32), learned.targets, every, np.ones(count, bool), rows, sides)


def numbers(found: Evaluation) -> dict[str, Estimate]:
    """The measures that are told."""
    return {name: found.summary[name] for name in MEASURES if name in found.summary}


def curve(way: Way, learned: Learned, pictures: LabeledPictures, config: ModelConfig, whole: Evaluation) -> tuple[Point, ...]:
    """Learn from few pictures, twice as many, and so on up to all that an outer fold has, whose evaluation is there already."""
    classes = len(learned.labels.names)
    most = round(len(learned.table) * (FOLDS - 1) / FOLDS)
    points, size = [], SMALLEST
    while size * classes <= min(most / 1.5, LARGEST) and (learned.multi_label or size * 1.5 <= _typical(learned)):
        answers = answers_of(learned, pictures, unseen(way, learned, None, size), config)
        points.append(Point(size, size * classes, _main(measure(answers, config.decision))))
        size *= 2
    return (*points, Point(round(most / classes), most, _main(whole)))


def _typical(learned: Learned) -> float:
    """Pictures that most classes have in an outer fold."""
    return float(np.median(np.bincount(learned.targets))) * (FOLDS - 1) / FOLDS


def _main(found: Evaluation) -> Estimate:
    return found.summary["mAP" if found.multi_label else "top1"]


def estimate_json(value: Estimate) -> Any:
    """Plain values: the value, and its 95% interval; None for what cannot be measured."""
    return [None if np.isnan(v) else round(float(v), 4) for v in value]
