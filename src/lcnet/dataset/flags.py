"""A column of 0 and 1 for each class, as tables and `_classes.csv` have them."""

from __future__ import annotations

from collections.abc import Sequence

from ..text import short

FLAGS = {"0": False, "1": True, "0.0": False, "1.0": True, "false": False, "true": True}  # pandas writes all of these


def flagged(classes: Sequence[str], cells: Sequence[str]) -> tuple[str, ...]:
    """The classes, sorted, whose cells say 1. Raises `ValueError` for a cell that says neither."""
    cells = [cell.strip() for cell in cells]
    found = [FLAGS.get(cell.lower()) for cell in cells]
    odd = next((i for i, flag in enumerate(found) if flag is None), None)
    if odd is not None:
        raise ValueError(f"its column {classes[odd]!r} has {short(cells[odd])!r}, expected 0 or 1")
    return tuple(sorted(name for name, flag in zip(classes, found, strict=True) if flag))
