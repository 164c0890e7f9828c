"""Which features a classifier is to read, and how strongly it is to be held back: by what ridge regression gets wrong unseen.

The candidates are every run of neighbouring stages, and the embeddings. All stages together are taken unless the best set has
an error that is lower beyond chance: by twice the standard error of the difference, picture by picture. Of few pictures chance
has much to say, and together the stages are seldom much worse than the best of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..arch import EMBEDDINGS
from .ridge import left_out
from .trunk import Columns, Stages

MOST = 640  # pictures that choose the features: eigendecompositions of more would take longer than they tell
A_CLASS, CEILING = 3, 3072  # of many classes so many of each, but no more than that in all
MOST_STRENGTH = 16384  # pictures that choose the strength of those that were taken
BEYOND = 2.0  # standard errors
_FLOOR = 0.01  # of the mean deviation of a set of features: below it a feature is noise, and is not scaled up to the others


@dataclass(frozen=True)
class Scale:
    """By which features are standardised."""

    mean: np.ndarray  # float64 [D]
    deviation: np.ndarray  # float64 [D], positive

    @classmethod
    def of(cls, x: np.ndarray) -> Scale:
        """That of features [N,D]."""
        deviation = x.std(axis=0, dtype=np.float64)
        return cls(x.mean(axis=0, dtype=np.float64), np.maximum(deviation, _FLOOR * deviation.mean() or 1.0))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Features [N,D], standardised."""
        return (x - self.mean) / self.deviation


@dataclass(frozen=True, eq=False)
class Candidate:
    """A set of features: the best strength, its error and accuracy on pictures left out, and the error picture by picture."""

    read: Stages
    features: int
    strength: float
    error: float  # mean squared, of targets -1 and 1
    right: float  # share of pictures, each class the same, or of labels
    errors: np.ndarray

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        read, numbers = (
            list(self.read),
            {"strength": self.strength, "error": round(self.error, 5), "right": round(self.right, 4)},
        )
        return {"classifier_input": read, "features": self.features, **numbers}


@dataclass(frozen=True)
class Choice:
    """The candidates, the best first, and which of them was taken, and why."""

    candidates: tuple[Candidate, ...]
    taken: Candidate
    why: str


def candidates(columns: Columns) -> list[Stages]:
    """Every run of neighbouring stages, and the embeddings."""
    stages = [name for name in columns.stages if name != EMBEDDINGS]
    runs = [tuple(stages[a:b]) for a in range(len(stages)) for b in range(a + 1, len(stages) + 1)]
    return [*runs, *([(EMBEDDINGS,)] if EMBEDDINGS in columns.stages else [])]


def choose(x: np.ndarray, targets: np.ndarray, weights: np.ndarray, groups: np.ndarray, columns: Columns) -> Choice:
    """Choose for features [N,D] and targets, int64 [N] or uint8 [N,K]; of copies the first alone counts."""
    _, first = np.unique(groups, return_index=True)
    classes = targets.shape[1] if targets.ndim == 2 else int(targets.max()) + 1

    def tried(rows: np.ndarray, read: Stages) -> Candidate:
        part = x[np.ix_(rows, columns.of(read))].astype(np.float64)
        return _candidate(part, targets[rows], weights[rows], read)

    some = _sample(first, targets, max(MOST, min(A_CLASS * classes, CEILING)))
    choice = _taken(sorted((tried(some, read) for read in candidates(columns)), key=lambda c: c.error))
    if len(first) == len(some):
        return choice
    strength = tried(_sample(first, targets, MOST_STRENGTH), choice.taken.read).strength
    return replace(choice, taken=replace(choice.taken, strength=strength))


def _sample(rows: np.ndarray, targets: np.ndarray, most: int) -> np.ndarray:
    """At most so many of the rows, about as many of each class."""
    if len(rows) <= most:
        return np.sort(rows)
    rng = np.random.default_rng(0)
    rows = rng.permutation(rows)
    if targets.ndim == 2:
        return np.sort(rows[:most])
    order = np.argsort(targets[rows], kind="stable")
    place = np.empty(len(rows), np.int64)  # of each within its class
    counts = np.bincount(targets[rows])
    place[order] = np.arange(len(rows)) - np.repeat(np.cumsum([0, *counts[:-1]]), counts)
    return np.sort(rows[np.argsort(place, kind="stable")[:most]])


def _candidate(x: np.ndarray, targets: np.ndarray, weights: np.ndarray, read: Stages) -> Candidate:
    y = signs(targets)
    best: Candidate | None = None
    for strength, said in left_out(Scale.of(x)(x), y, weights):
        errors = weights * ((said - y) ** 2).mean(axis=1)
        if best is None or errors.mean() < best.error:
            share = float((weights * _right(said, targets)).sum() / weights.sum())
            best = Candidate(read, x.shape[1], strength, float(errors.mean()), share, errors)
    assert best is not None
    return best


def signs(targets: np.ndarray) -> np.ndarray:
    """Targets as -1 and 1, float64 [N,K]."""
    return 2.0 * (targets if targets.ndim == 2 else np.eye(targets.max() + 1)[targets]) - 1


def _right(said: np.ndarray, targets: np.ndarray) -> np.ndarray:
    return ((said > 0) == (targets > 0)).mean(axis=1) if targets.ndim == 2 else said.argmax(axis=1) == targets


def _taken(found: list[Candidate]) -> Choice:
    together = max((c for c in found if c.read != (EMBEDDINGS,)), key=lambda c: len(c.read))
    best = found[0]
    if best is together:
        return Choice(tuple(found), together, "no set's error is lower")
    if _surely_better(best, together):
        beyond = f"its error is lower than that of all stages together by more than {BEYOND:g} standard errors"
        return Choice(tuple(found), best, beyond)
    return Choice(tuple(found), together, f"the lowest error is no lower by more than {BEYOND:g} standard errors")


def _surely_better(one: Candidate, other: Candidate) -> bool:
    gain = other.errors - one.errors
    return bool(gain.mean() > BEYOND * gain.std() / np.sqrt(len(gain)))
