"""Several labels of one picture in one text: how they are separated, and names of classes that look like several joined."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ..errors import InputError
from ..sources.passed import Passed
from .samples import Dataset

SEPARATOR = "|"  # between the labels of one picture, in tables and in the texts of shards, unless the caller names another

# What labels are joined by, and whether all parts of a name must occur elsewhere, or one: names often have spaces in them.
_JOINTS = ((",", any), (";", any), ("|", any), (" ", all))
_FEWEST = 2  # names that look joined


def labels_in(text: str, separator: str) -> list[str]:
    """The labels that a text says, in its order. Raises `ValueError` if one is empty."""
    labels = _parts(text, separator)
    if not all(labels) or not labels:
        raise ValueError(f"its label is empty: {text!r}" if len(labels) > 1 else "its label is empty")
    return labels


def _parts(text: str, separator: str) -> list[str]:
    """Space around labels is no part of them, and several spaces separate as one does."""
    return text.split() if separator == " " else [label.strip() for label in text.split(separator)]


def check_separator(separator: str | None) -> None:
    """Raise `InputError` for what cannot separate."""
    if not separator or (separator.isspace() and separator != " "):
        raise InputError(f"label_separator is {separator!r}, expected what is between labels, such as | , or a space")


def remark(part: Dataset, separator: str, passed: Passed) -> None:
    """Tell `passed` of classes that look like several labels joined by another separator."""
    for joint, _ in _JOINTS if not part.multi_label else ():
        names = joined_by(joint, part.classes) if joint != separator else []
        if names:
            text = f"classes that look like several labels joined by {joint!r} (if so, add --label-separator {joint!r})"
            passed.remarks["joined-labels"] = (text, names)
            return


def joined_by(joint: str, classes: Sequence[str]) -> list[str]:
    """The classes whose parts are classes too, or parts of others; [] if these are less than half of those with the joint."""
    enough = dict(_JOINTS)[joint]
    parts = {name: _parts(name, joint) for name in classes}
    count = Counter(part for found in parts.values() for part in set(found))
    several = [name for name, found in parts.items() if len(found) > 1 and all(found)]
    joined = [name for name in several if enough(count[part] > 1 for part in parts[name])]
    return joined if len(joined) >= _FEWEST and 2 * len(joined) >= len(several) else []
