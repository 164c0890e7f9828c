"""A model's decision layer in words, a line for the whole and one for each group of labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..groups import UNTHRESHOLDED

SHOWN = 8  # labels of a group


def decision_lines(decision: Mapping[str, Any], labels: Sequence[str]) -> Iterator[str]:
    """Describe the JSON object of a decision layer, of a model with these labels."""
    thresholds, default = decision["thresholds"] or {}, decision["default"]
    tempered = f"temperature {decision['temperature'] or 'none'}"
    if decision["turns_temperature"]:
        tempered += f", of the mean over turns {decision['turns_temperature']}"
    if default is not None and len(labels) == 2:
        asked = next(label for label in labels if label != default)
        yield f"{asked} {_from([asked], thresholds)}, otherwise {default}; {tempered}"
        return
    kind = "every label by itself" if decision["multi_label"] else "one label"
    held = f"{len(thresholds)} from {min(thresholds.values()):.3g} to {max(thresholds.values()):.3g}" if thresholds else "none"
    spare = "" if default is None else f", otherwise {default}"
    groups = decision["groups"] or ()
    together = f", but those of {len(groups)} {'group' if len(groups) == 1 else 'groups'} together" if groups else ""
    yield f"{kind}{together}, {tempered}, thresholds {held}{spare}"
    yield from (f"{group['name']}: {_group(group, thresholds)}" for group in groups)


def _group(group: Mapping[str, Any], thresholds: Mapping[str, float]) -> str:
    labels, lowest = group["labels"], _from(group["labels"], thresholds)
    names = _listed(group["names"] or labels)
    if group["take"] == "best":
        which = names if len(labels) == 1 else f"the best of {names}"
        if group["at_least_one"]:
            return which
        return f"{which}, {lowest}, otherwise {group['otherwise'] or 'none'}"
    rest = "the best" if group["at_least_one"] else group["otherwise"] or "none"
    return f"each of {names}, {lowest}, otherwise {rest}"


def _from(labels: Sequence[str], thresholds: Mapping[str, float]) -> str:
    least = [thresholds.get(label, UNTHRESHOLDED) for label in labels]
    low, high = min(least), max(least)
    return f"from {low:g} on" if low == high else f"from its threshold on ({low:g} to {high:g})"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
