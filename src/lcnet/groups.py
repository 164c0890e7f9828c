"""Groups of labels: the questions that a multi-label model answers, such as the colour of a car, each by labels of its own.

Plain data; docs/model-file.md is the specification, and `runtime.decision` answers by it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .errors import ModelFileError
from .text import short

__all__ = ["Group"]

BEST, EACH = "best", "each"
MAX_GROUPS = 1024
UNTHRESHOLDED = 0.5  # the threshold of a label that is not chosen from all and has none of its own


@dataclass(frozen=True)
class Group:
    """One question: which of `labels`; `take`: the `best`, if it reaches its threshold, or `each` that does.

    `at_least_one`: if none does, the best all the same. `otherwise`: the answer if none does. `names`: what the answers are
    called, one for each label, if not as the labels are.
    """

    name: str
    labels: tuple[str, ...]
    take: str = BEST
    at_least_one: bool = False
    otherwise: str | None = None
    names: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        named = _text(self.name) and all(c >= " " and c != "\x7f" for c in self.name)
        _check(named, "name", self.name, "a text without control characters")
        _check(_texts(self.labels) and self.labels, f"{self.name!r}.labels", self.labels, "a list of at least one label")
        once = len(set(self.labels)) == len(self.labels)
        _check(once, f"{self.name!r}.labels", self.labels, "labels that are there once")
        _check(self.take in (BEST, EACH), f"{self.name!r}.take", self.take, f"'{BEST}' or '{EACH}'")
        _check(isinstance(self.at_least_one, bool), f"{self.name!r}.at_least_one", self.at_least_one, "true or false")
        good = self.otherwise is None or (_text(self.otherwise) and not self.at_least_one)
        _check(good, f"{self.name!r}.otherwise", self.otherwise, "a text, or null where there is at least one answer")
        good = self.names is None or (_texts(self.names) and len(self.names) == len(self.labels))
        _check(good, f"{self.name!r}.names", self.names, f"{len(self.labels)} texts, one for each label, or null")

    @property
    def texts(self) -> tuple[str, ...]:
        """All that it may answer, and its name."""
        return (self.name, *(self.names or self.labels), *((self.otherwise,) if self.otherwise else ()))


def check_groups(groups: Any) -> None:
    """Raise `ModelFileError` unless they are a tuple of `Group`, each of another name, with each label in one at most."""
    good = isinstance(groups, tuple) and 1 <= len(groups) <= MAX_GROUPS and all(isinstance(g, Group) for g in groups)
    _check(good, "", groups, f"a list of 1 to {MAX_GROUPS} groups")
    if (name := _twice(group.name for group in groups)) is not None:
        raise ModelFileError(f"decision.groups has {name!r} twice, expected another name for each group")
    if (label := _twice(label for group in groups for label in group.labels)) is not None:
        raise ModelFileError(f"decision.groups has the label {label!r} in two groups, expected each label in one at most")


def _twice(texts: Iterator[str]) -> str | None:
    seen: set[str] = set()
    return next((text for text in texts if text in seen or seen.add(text)), None)  # type: ignore[func-returns-value]


def _check(good: Any, name: str, found: Any, expected: str) -> None:
    if not good:
        where = f"decision.groups.{name}" if name else "decision.groups"
        raise ModelFileError(f"{where} is {short(repr(found))}, expected {expected}")


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _texts(value: Any) -> bool:
    return isinstance(value, tuple) and all(map(_text, value))
