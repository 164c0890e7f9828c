"""Labels from the names of pictures, as in cat.0.jpg or dog_12.png: only where the caller asks for them by a rule.

Refuses names that say no class, but for a test part of which none does: contests give those away without labels.
"""

from __future__ import annotations

import re

from ..errors import InputError
from ..text import plain
from .gathered import Gathered
from .samples import Splits
from .trees import Tree, shown_folder, walk

AUTO = "auto"
USUAL = re.compile(r"(?s)(.*?[^\W\d_].*?)[\s._-]+\(?\d")  # what is before the first number that a separator sets off


def rule_of(text: str | None) -> re.Pattern[str] | None:
    """Read a rule: "auto", or a regular expression with one group; None is none. Raises `InputError`."""
    if text is None:
        return None
    if text == AUTO:
        return USUAL
    try:
        rule = re.compile(text)
    except re.error as error:
        raise InputError(f"labels_from_names is {text!r}, which is no regular expression: {error}") from None
    if rule.groups != 1:
        raise InputError(
            f"labels_from_names is {text!r}, which has {rule.groups} groups: expected {AUTO}, or a regular "
            r"expression with one group around the class, such as '(cat|dog)' or '^(.+)_\d+'"
        )
    return rule


def class_in(name: str, rule: re.Pattern[str] = USUAL) -> str | None:
    """The class that a picture's name says, without space around it; None if it says none."""
    found = rule.search(name)
    return (found[1] or "").strip() or None if found else None


def open_named(tree: Tree, parts: dict[str, str], rule: re.Pattern[str]) -> Splits:
    """Open all pictures in and below the parts' folders. Raises `InputError`."""
    gathered = Gathered(tree)
    for part, folder in parts.items():
        _gather(gathered, part, folder, rule)
    classes = tuple(sorted({name for labels in gathered.labels for name in labels}))
    return gathered.splits(tree.prefix("").rstrip("/"), classes)


def _gather(gathered: Gathered, part: str, folder: str, rule: re.Pattern[str]) -> None:
    tree = gathered.tree
    inner = ((tree.prefix(place), names) for place, names in walk(tree, folder, set()))
    found = [(prefix, name) for prefix, names in inner for name in names]
    silent = [name for _, name in found if not class_in(name, rule)]
    if part == "test" and len(silent) == len(found):
        return
    if not found:
        raise InputError(f"{shown_folder(tree, folder)} holds no pictures: expected some whose names say their class")
    if silent:
        raise InputError(
            f"{shown_folder(tree, folder)}: {len(silent)} of {len(found)} pictures have names that say no class, "
            f"the first is {plain(silent[0])}: remove them, or give --labels-from-names a regular expression with one "
            "group around the class"
        )
    for prefix, name in found:
        gathered.add(part, prefix, name, (class_in(name, rule) or "",))
