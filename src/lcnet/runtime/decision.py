"""From logits to an answer, by a model's decision layer: probabilities, and which of the classes are accepted.

The rules are those of docs/model-file.md. The runtime answers with them, evaluation measures with the same code.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

import numpy as np

from ..config import Decision, ModelConfig
from ..groups import BEST, EACH, UNTHRESHOLDED, Group

UNKNOWN = "unknown"  # the label of a picture for which no class is accepted

Answer: TypeAlias = str | tuple[str, ...] | None  # of a group: of one that takes the best a text or None, else any number


def probabilities(logits: np.ndarray, decision: Decision) -> np.ndarray:
    """Probabilities float32 [N,K] of logits float32 [N,K]: softmax, or of a multi-label model the sigmoid of each."""
    temperature = decision.temperature or 1.0
    with np.errstate(over="ignore"):  # to Inf, of which exp makes the 0 or 1 that is meant
        if decision.multi_label:
            return np.asarray(np.exp(-np.logaddexp(0, -logits / temperature)))  # exact at both ends
        exp = np.exp((logits - logits.max(axis=1, keepdims=True)) / temperature)
        return np.asarray(exp / exp.sum(axis=1, keepdims=True))


class Rule(NamedTuple):
    """Which of some classes are accepted: of `columns`, int64 [M], those that reach their `least`, float64 [M].

    `take`: `each` of these, or the `best` of all if it is one. `spare`: the class that is accepted if none is, of the model.
    """

    columns: np.ndarray
    least: np.ndarray
    take: str = BEST
    at_least_one: bool = False
    spare: int | None = None

    def among(self, columns: np.ndarray) -> Rule:
        """The same of a table that has only these columns of the model's, int64 and rising."""
        kept = np.isin(self.columns, columns)
        spare = int(np.searchsorted(columns, self.spare)) if self.spare is not None and self.spare in columns else None
        return self._replace(columns=np.searchsorted(columns, self.columns[kept]), least=self.least[kept], spare=spare)


def thresholds(config: ModelConfig) -> np.ndarray:
    """The least accepted probability of each class, float64 [K]; without one 0, or where it is decided by itself 0.5."""
    usual = UNTHRESHOLDED if config.decision.multi_label or other(config) is not None else 0.0
    given = config.decision.thresholds or {}
    names = config.labels.names if config.labels and given else ("",) * config.arch.num_classes
    return np.array([given.get(name, usual) for name in names], np.float64)


def other(config: ModelConfig) -> int | None:
    """The class that a model of two classes with a default asks for: the one that is not the default."""
    if config.decision.default is None or config.labels is None or len(config.labels.names) != 2:
        return None
    return 1 - config.labels.names.index(config.decision.default)


def rules(config: ModelConfig) -> tuple[Rule, ...]:
    """A model's decision layer, as rules of which no two accept the same classes."""
    least, every, decision = thresholds(config), np.arange(config.arch.num_classes), config.decision
    place = {name: i for i, name in enumerate(config.labels.names)} if config.labels and decision.alone else {}
    if decision.default is not None:
        asked = other(config)
        columns = every if asked is None else every[[asked]]
        return (Rule(columns, least[columns], spare=place[decision.default]),)
    if not decision.multi_label:
        return (Rule(every, least),)
    grouped = [(group, np.array([place[label] for label in group.labels])) for group in decision.groups or ()]
    single = np.setdiff1d(every, np.concatenate([columns for _, columns in grouped])) if grouped else every
    together = (Rule(columns, least[columns], group.take, group.at_least_one) for group, columns in grouped)
    return (Rule(single, least[single], EACH), *together)


def accepted(probs: np.ndarray, by: Iterable[Rule]) -> np.ndarray:
    """Which classes are accepted, bool [N,K], of probabilities [N,K]. Of equal ones the first is the best."""
    found = np.zeros(probs.shape, bool)
    for rule in by:
        if not len(rule.columns):
            continue
        part = probs[:, rule.columns]
        reached, best = part >= rule.least, np.zeros(part.shape, bool)
        np.put_along_axis(best, part.argmax(axis=1)[:, None], True, axis=1)
        if rule.take == BEST:
            reached &= best
        none = ~reached.any(axis=1)
        if rule.at_least_one:
            reached[none] = best[none]
        found[:, rule.columns] = reached
        if rule.spare is not None:
            found[none, rule.spare] = True
    return found


def answers(groups: Iterable[Group], labels: Iterable[str]) -> tuple[tuple[str, Answer], ...]:
    """What each group answers for a picture whose accepted classes have these labels: its name and the answer."""
    chosen = set(labels)
    return tuple((group.name, _answer(group, chosen)) for group in groups)


def _answer(group: Group, chosen: set[str]) -> Answer:
    names = zip(group.labels, group.names or group.labels, strict=True)
    given = tuple(name for label, name in names if label in chosen) or ((group.otherwise,) if group.otherwise else ())
    return given if group.take == EACH else given[0] if given else None
