"""The tables of results/probe.json for docs/probe.md."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Row = Callable[..., str]


def percent(value: float) -> str:
    return f"{100 * value:.1f}%"


def points(row: dict[str, Any]) -> str:
    return f"{100 * row['gain']:+.1f} ± {100 * row['standard_error']:.1f}"


def digits(result: dict[str, Any]) -> str:
    """What becomes of the digits, in a sentence."""
    r = result["digits"]
    right, low, high = map(percent, r["test"]["top1"])
    hand = percent(r["by_hand"])
    sizes = f"a file of {r['bytes'] / 1e6:.1f} MB in place of {r['base_bytes'] / 1e6:.1f}"
    return (
        f"Measured on the digits: {right} of the {r['test']['pictures']} test pictures ({low} to {high}) in "
        f"{r['seconds']:.0f} s with intervals and curve, `LogisticRegression` on the 1280 embeddings {hand}; {sizes}."
    )


def speed(result: dict[str, Any]) -> str:
    """How long a thousand pictures take."""
    r = result["speed"]
    return (
        f"{r['pictures']} JPEG files of 320 x 240 at 224 x 224, lcnet_050: {r['to_model']:.1f} s to the model (`--quick`), "
        f"{r['with_intervals']:.1f} s with intervals and curve, {r['cached']:.1f} s to the model once the features are kept."
    )


def unseen(result: dict[str, Any], row: Row) -> str:
    """A line for each number of pictures a class."""
    names = (
        "pictures a class",
        "probe",
        "embeddings by hand",
        "gain in points",
        "fine-tuning",
        "seconds: probe",
        "fine-tuning",
    )
    lines = [row(*names), row(*["---"] * len(names))]
    for r in result["unseen"]:
        accuracies = (percent(r["probe"]), percent(r["by_hand"]), points(r), percent(r["finetune"]))
        times = f"{r['finetune_seconds']:.1f} ({r['finetune_seconds'] / r['seconds']:.0f}x)"
        lines.append(row(r["a_class"], *accuracies, f"{r['seconds']:.2f}", times))
    return "\n".join(lines)


def crops(result: dict[str, Any], row: Row) -> str:
    """A line for each set and number."""
    lines = [row("pictures", "a class", "without crops", "with 3", "gain in points"), row(*["---"] * 5)]
    lines += [row(r["data"], r["a_class"], percent(r["without"]), percent(r["with"]), points(r)) for r in result["crops"]]
    return "\n".join(lines)


def added(result: dict[str, Any], row: Row) -> str:
    """A line for each set."""
    lines = [row("pictures", "class added", "all learned together", "cost in points"), row(*["---"] * 4)]
    lines += [row(r["data"], percent(r["added"]), percent(r["all"]), points(r)) for r in result["added"]]
    return "\n".join(lines)
