"""The record of an evaluation: measures by name, and what they were computed from; as JSON for other programs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..config import Decision
from . import metrics
from .metrics import Bin, Estimate, PerClass
from .run import Answers


class Mistake(NamedTuple):
    """A wrong answer: what it should be, what it is, and the probability of the worst of its errors."""

    sample: int  # its index in the data set
    name: str
    truth: str
    predicted: str
    probability: float


class Slice(NamedTuple):
    """Pictures whose shorter side has `low` to `high` pixels (0: and more), and the share of right answers."""

    low: int
    high: int
    pictures: int
    right: Estimate


class GroupRow(NamedTuple):
    """A group of labels: in how many pictures any of them is there, any is accepted, and exactly the right ones are."""

    name: str
    support: int
    predicted: int
    right: Estimate


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How good a model is on a data set. `summary` has the measures by name; the rest says where they come from."""

    answers: Answers
    decision: Decision
    summary: dict[str, Estimate]
    classes: PerClass | None  # by column; None with ReaL labels, where a picture may have several
    decided: PerClass | None  # the same of the answers that reach their threshold, if there are thresholds
    average_precisions: np.ndarray | None  # by column, of a multi-label model
    pairs: np.ndarray | None  # `metrics.confusions` by column; None for several labels a picture
    calibration: tuple[Bin, ...]
    slices: tuple[Slice, ...]
    mistakes: tuple[Mistake, ...]  # the most confident first
    wrong: int
    groups: tuple[GroupRow, ...] = ()

    @property
    def pictures(self) -> int:
        """How many were measured."""
        return len(self.answers.logits)

    @property
    def multi_label(self) -> bool:
        """Whether each label was decided by itself."""
        return self.decision.multi_label

    def seen_text(self) -> str:
        """How many of the pictures the model was trained on; "" if none, or if that is not known."""
        seen = self.answers.seen
        if not seen or not seen.pictures:
            return ""
        share = f"of the {self.pictures}" if seen.compared == self.pictures else f"of {seen.compared} compared"
        return f"{seen.pictures} {share} pictures are of those that the model was trained on: expect less of it on others"

    def notes(self) -> list[str]:
        """What one must know to read the numbers."""
        answers, columns = self.answers, len(self.answers.columns)
        absent = columns - int(answers.present.sum())
        notes = [self.seen_text()] if self.seen_text() else []
        if absent:
            notes.append(
                f"the data has {columns - absent} of the model's {columns} classes; answers may be any of them "
                "(restrict: only those of the data)"
            )
        if answers.restricted and columns < answers.config.arch.num_classes:
            notes.append(f"answers are restricted to the data's {columns} of {answers.config.arch.num_classes} classes")
        if answers.unlabeled:
            notes.append(f"{answers.unlabeled} pictures without a ReaL label are left out")
        if answers.skipped:
            notes.append(f"{len(answers.skipped)} pictures could not be read and are left out")
        return notes

    def to_json(self) -> dict[str, Any]:
        """Plain values; rates and probabilities are 0 to 1, what cannot be measured is null."""
        answers, table = self.answers, self.classes
        return {
            "pictures": self.pictures,
            "task": "real" if answers.real else "multi-label" if self.multi_label else "single-label",
            "restricted": answers.restricted,
            "decision": {key: getattr(self.decision, key) for key in ("temperature", "thresholds", "default")},
            "notes": self.notes(),
            "skipped": [s._asdict() for s in answers.skipped],
            "trained_on": answers.seen._asdict() if answers.seen else None,
            **{name: _estimate(e) for name, e in self.summary.items()},
            "calibration": [{k: _plain(v) for k, v in b._asdict().items()} for b in self.calibration],
            "slices": [{**s._asdict(), "right": _estimate(s.right)} for s in self.slices],
            "classes": list(self._class_rows()) if table else None,
            "groups": [{**g._asdict(), "right": _estimate(g.right)} for g in self.groups],
            "confusions": self._confusions(),
            "mistakes": [m._asdict() for m in self.mistakes],
        }

    def _class_rows(self) -> Iterator[dict[str, Any]]:
        table = self.classes
        assert table is not None
        for k, (name, key) in enumerate(zip(self.answers.names, self.answers.ids, strict=True)):
            if not (table.support[k] or table.predicted[k]):
                continue
            row: dict[str, Any] = {"index": int(self.answers.columns[k]), "id": key, "label": name}
            row |= {n: int(getattr(table, n)[k]) for n in ("support", "predicted", "right")}
            row |= {"precision": _estimate(metrics.share(row["right"], row["predicted"]))}
            row |= {"recall": _estimate(metrics.share(row["right"], row["support"])), "f1": _plain(table.f1[k])}
            if self.decided is not None:
                row["decided"] = self._decided_row(k, name)
            if self.average_precisions is not None:
                row["average_precision"] = _plain(self.average_precisions[k])
            yield row

    def _decided_row(self, k: int, name: str) -> dict[str, Any]:
        table = self.decided
        assert table is not None
        predicted, right, support = int(table.predicted[k]), int(table.right[k]), int(table.support[k])
        return {
            "threshold": (self.decision.thresholds or {}).get(name),
            "predicted": predicted,
            "right": right,
            "precision": _plain(table.precision[k]),
            "recall": _plain(table.recall[k]),
            "fpr": (predicted - right) / (self.pictures - support) if self.pictures > support else None,
        }

    def _confusions(self) -> list[dict[str, Any]] | None:
        if self.pairs is None:
            return None
        columns = self.answers.columns
        return [{"true": int(columns[t]), "predicted": int(columns[p]), "pictures": int(n)} for t, p, n in self.pairs]


def _plain(value: Any) -> Any:
    """A number that JSON has; NaN becomes null."""
    number = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(number, float) and math.isnan(number) else number


def _estimate(e: Estimate) -> dict[str, Any]:
    interval = None if math.isnan(e.low) or math.isnan(e.high) else [e.low, e.high]
    return {"value": _plain(e.value), "interval": interval}
