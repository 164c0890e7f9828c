"""What the learning curve lets one expect of more pictures and of fine-tuning: recommendations, no measurements."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .measure import Point

ENOUGH = 0.98  # of which little is left to gain
MEASURED = 100  # pictures a class, up to which fine-tuning was less accurate in the measurements of docs/probe.md


def advice(points: Sequence[Point], multi_label: bool, known: int = 0, alike: int = 0) -> list[str]:
    """Some sentences.

    points: the learning curve, of growing size. known: pictures that the base was trained on. alike: that look nearly alike.
    """
    told = []
    if known:
        told.append(f"{known} of the pictures at least are ones that the base was trained on: the accuracy of others is lower")
    if alike:
        told.append(
            f"{alike} of the pictures look nearly alike: they count as different, and if they are copies accuracy is lower"
        )
    if not points:
        return told
    last, measure = points[-1], "mAP" if multi_label else "accuracy"
    gain = _gain(points)
    if gain is not None:
        told.append(f"a recommendation from the curve: twice the pictures {_expected(gain, measure, last.right.value)}")
    told.append(f"a recommendation from the curve: {_finetune(last)}")
    return told


def _gain(points: Sequence[Point]) -> float | None:
    """By how much twice as many pictures have improved it last; None if there is one point."""
    if len(points) < 2:
        return None
    before, last = points[-2], points[-1]
    return (last.right.value - before.right.value) / math.log2(last.pictures / before.pictures)


def _expected(gain: float, measure: str, now: float) -> str:
    left = 1 - now
    more = min(max(gain, 0.0) * 0.7, left)  # a curve flattens
    if more < 0.005:
        return f"would hardly change the {measure}"
    return f"may bring some {100 * more:.0f} points of {measure}" if more >= 0.01 else f"may bring a point of {measure} at most"


def _finetune(last: Point) -> str:
    way = "fine-tuning (`lcnet train DATA --recipe finetune -m BASE`)"
    if last.right.value >= ENOUGH:
        return "fine-tuning has little left to gain"
    if last.a_class <= MEASURED:
        return f"with {last.a_class} pictures a class {way} may well be less accurate: add pictures first"
    return (
        f"there are errors left, and {last.a_class} pictures a class: whether {way} is more accurate was measured up to "
        f"{MEASURED} only, where it was not; it is a guess that more make it so, and `lcnet evaluate` tells"
    )
