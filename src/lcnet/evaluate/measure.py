"""From the answers of a network to an `Evaluation`: every number of the JSON, the tables and the report, computed once."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ..config import Decision
from ..runtime.decision import Rule, accepted, probabilities, rules
from ..text import plain
from . import metrics
from .evaluation import Evaluation, GroupRow, Mistake, Slice
from .metrics import Estimate, PerClass
from .run import Answers

TOP = 5
SIDES = (0, 64, 128, 256, 512, 1024)  # where the slices by the shorter side begin, in pixels
WORST = 48  # mistakes that are kept
CHUNK = 1 << 22  # values that are worked on at once
DRAWN = 100_000_000  # pictures that the bootstrap draws in all, if that is at least a hundred times as many as there are
CHEAP = 200_000  # pictures times classes up to which a multi-label model's measures are drawn too


def measure(answers: Answers, decision: Decision | None = None) -> Evaluation:
    """Measure answers, by the model's own decision layer or by another one."""
    decision = answers.config.decision if decision is None else decision
    return (_several if decision.multi_label else _one)(answers, decision)


def rules_of(answers: Answers, decision: Decision) -> tuple[Rule, ...]:
    """The rules of a decision layer for the columns that there are."""
    return tuple(rule.among(answers.columns) for rule in rules(replace(answers.config, decision=decision)))


def cross_entropy(logits: np.ndarray, targets: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """-log of the target's probability, float64 [N]; targets uint8 [N,K]: the mean over labels, each by itself."""
    scaled = logits.astype(np.float64) / temperature
    if targets.ndim == 2:
        return (np.logaddexp(0, scaled) - scaled * targets).mean(axis=1)
    top = scaled.max(axis=1)
    total = np.log(np.exp(scaled - top[:, None]).sum(axis=1)) + top
    return total - scaled[np.arange(len(scaled)), targets]


class Scores(NamedTuple):
    """What counts of each picture's probabilities, all [N]."""

    predicted: np.ndarray  # int64: the best class
    confidence: np.ndarray  # float32: its probability
    rank: np.ndarray  # int64: classes before the right one, of several right ones the best
    loss: np.ndarray  # float64: -log of the right one's probability
    brier: np.ndarray  # float64: the sum of the squared differences from the right probabilities, 0 to 2
    answer: np.ndarray  # int64: the accepted class, -1 where there is none

    @property
    def right(self) -> np.ndarray:
        """Whether the best class is right, bool [N]."""
        return self.rank == 0


def scores(answers: Answers, decision: Decision) -> Scores:
    """Compute them, a few pictures at a time, so that the probabilities do not take as much memory again as the logits."""
    size, step = len(answers.logits), max(1, CHUNK // len(answers.columns))
    found = Scores(*(np.empty(size, t) for t in (np.int64, np.float32, np.int64, np.float64, np.float64, np.int64)))
    by = rules_of(answers, decision)
    for start in range(0, size, step):
        part = slice(start, start + step)
        logits, targets = answers.logits[part], answers.targets[part]
        probs = probabilities(logits, decision)
        chosen = accepted(probs, by)
        found.answer[part] = np.where(chosen.any(axis=1), chosen.argmax(axis=1), -1)
        if targets.ndim == 2:
            targets = np.where(targets > 0, probs, -1).argmax(axis=1)
        found.predicted[part], found.confidence[part] = probs.argmax(axis=1), probs.max(axis=1)
        found.rank[part] = metrics.ranks(probs, targets)
        found.loss[part] = cross_entropy(logits, targets, decision.temperature or 1.0)
        found.brier[part] = np.square(probs, dtype=np.float64).sum(axis=1) + 1 - 2 * probs[np.arange(len(probs)), targets]
    return found


def _one(answers: Answers, decision: Decision) -> Evaluation:
    """One label is the answer; with ReaL labels, any of those of the picture is right."""
    found, number = scores(answers, decision), len(answers.columns)
    error, bins = metrics.calibration(found.confidence, found.right)
    summary = {"top1": _share(found.right)}
    if number > 2:
        top = min(TOP, number - 1)
        summary[f"top{top}"] = _share(found.rank < top)
    table = pairs = None
    if not answers.real:
        table = metrics.per_class(*metrics.class_counts(answers.targets, found.predicted, number))
        pairs = metrics.confusions(answers.targets, found.predicted, number)
        summary |= _drawn(answers, found)
    summary["calibration_error"] = Estimate(error)
    decided, by_class = _decided(answers, decision, found)
    summary |= decided
    names, wrong = answers.names, np.flatnonzero(~found.right)
    worst = wrong[np.argsort(-found.confidence[wrong], kind="stable")][:WORST].tolist()
    mistakes = [_mistake(answers, i, [names[found.predicted[i]]], found.confidence[i]) for i in worst]
    return Evaluation(
        answers,
        decision,
        summary,
        table,
        by_class,
        None,
        pairs,
        tuple(bins),
        _slices(answers, found.right),
        tuple(mistakes),
        len(wrong),
    )


def _drawn(answers: Answers, found: Scores) -> dict[str, Estimate]:
    """The measures whose intervals are bootstrapped."""
    size, number, targets = len(answers.logits), len(answers.columns), answers.targets

    def statistic(rows: np.ndarray) -> tuple[float, ...]:
        counts = metrics.class_counts(targets[rows], found.predicted[rows], number)
        return (*metrics.macro(*counts), float(found.loss[rows].mean()), float(found.brier[rows].mean()))

    repeats = min(metrics.REPEATS, max(100, DRAWN // size))
    precision, recall, f1, loss, brier = metrics.bootstrap(statistic, size, repeats)
    return {"balanced_accuracy": recall, "macro_precision": precision, "macro_f1": f1, "loss": loss, "brier": brier}


def _decided(answers: Answers, decision: Decision, found: Scores) -> tuple[dict[str, Estimate], PerClass | None]:
    """What thresholds and a default do: the share of pictures that get an answer, how many of those are right, and by class."""
    if (decision.thresholds is None and decision.default is None) or answers.restricted:
        return {}, None
    known, targets = found.answer >= 0, answers.targets
    right = targets[np.arange(len(targets)), found.answer] > 0 if answers.real else found.answer == targets
    summary = {"answered": _share(known), "answered_right": _share(right[known])}
    if answers.real:
        return summary, None
    number = len(answers.columns)
    counts = (targets, found.answer[known], targets[right])
    return summary, metrics.per_class(*(np.bincount(c, minlength=number) for c in counts))


def _several(answers: Answers, decision: Decision) -> Evaluation:
    """Each label by itself: right is one that reaches its threshold and is there, or neither."""
    probs, positive = probabilities(answers.logits, decision), answers.targets > 0
    chosen = accepted(probs, rules_of(answers, decision))
    exact = (chosen == positive).all(axis=1)
    table = metrics.per_class(*(m.sum(axis=0) for m in (positive, chosen, chosen & positive)))
    repeats = metrics.REPEATS if probs.size <= CHEAP else 0
    mean_ap, each = metrics.mean_average_precision(probs, positive, repeats)
    loss = cross_entropy(answers.logits, answers.targets, decision.temperature or 1.0)
    micro, macro, mean_loss = _drawn_labels(chosen, positive, loss, repeats)
    error, bins = metrics.calibration(probs.ravel(), positive.ravel())
    summary = {
        "mAP": mean_ap,
        "micro_f1": micro,
        "macro_f1": macro,
        "exact": _share(exact),
        "loss": mean_loss,
        "calibration_error": Estimate(error),
    }
    off = np.where(chosen != positive, np.abs(probs - positive), 0.0)
    worst = np.argsort(-off.max(axis=1), kind="stable")[: min(WORST, int((~exact).sum()))].tolist()
    names = answers.names
    mistakes = [_mistake(answers, i, [names[k] for k in chosen[i].nonzero()[0]], probs[i, off[i].argmax()]) for i in worst]
    return Evaluation(
        answers,
        decision,
        summary,
        table,
        table if decision.thresholds or decision.groups else None,
        each,
        None,
        tuple(bins),
        _slices(answers, exact),
        tuple(mistakes),
        int((~exact).sum()),
        _groups(answers, decision, chosen, positive),
    )


def _groups(answers: Answers, decision: Decision, chosen: np.ndarray, positive: np.ndarray) -> tuple[GroupRow, ...]:
    """How often each group's labels are right together."""
    found, place = [], {name: k for k, name in enumerate(answers.names)}
    for group in decision.groups or ():
        columns = [place[label] for label in group.labels if label in place]
        given, truth = chosen[:, columns], positive[:, columns]
        support, predicted = (int(m.any(axis=1).sum()) for m in (truth, given))
        found.append(GroupRow(group.name, support, predicted, _share((given == truth).all(axis=1))))
    return tuple(found)


def _drawn_labels(chosen: np.ndarray, positive: np.ndarray, loss: np.ndarray, repeats: int) -> list[Estimate]:
    both = chosen & positive

    def statistic(rows: np.ndarray) -> tuple[float, ...]:
        support, predicted, right = (m[rows].sum(axis=0) for m in (positive, chosen, both))
        total = int(support.sum() + predicted.sum())
        micro = 2 * int(right.sum()) / total if total else math.nan
        return micro, metrics.macro(support, predicted, right)[2], float(loss[rows].mean())

    return metrics.bootstrap(statistic, len(loss), repeats)


def _mistake(answers: Answers, row: int, predicted: list[str], probability: float) -> Mistake:
    names, truth, sample = answers.names, answers.targets[row], int(answers.indices[row])
    right = [names[k] for k in truth.nonzero()[0]] if truth.ndim else [names[truth]]
    name = plain(answers.dataset.names[sample])
    return Mistake(sample, name, " | ".join(right), " | ".join(predicted), float(probability))


def _slices(answers: Answers, right: np.ndarray) -> tuple[Slice, ...]:
    found = []
    for low, high in zip(SIDES, (*SIDES[1:], 0), strict=True):
        inside = (answers.sides >= max(low, 1)) & ((answers.sides < high) | (high == 0))
        if inside.any():
            found.append(Slice(low, max(high - 1, 0), int(inside.sum()), _share(right[inside])))
    return tuple(found)


def _share(right: np.ndarray) -> Estimate:
    return metrics.share(int(right.sum()), len(right))
