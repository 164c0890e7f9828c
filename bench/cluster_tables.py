"""The tables of docs/scale.md: Ray beside one machine, and a hundred million pictures on paper."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

PRICE = 0.04  # of a processor-hour: an assumption, see the page
FAMILIES = (
    ("Intel Xeon with AVX-512 VNNI, 2.5 GHz", "engines"),
    ("the same with AVX2 only", "engines_avx2"),
    ("AMD EPYC, Zen 3", "engines_zen3"),
    ("AMD EPYC, Zen 4", "engines_zen4"),
)


def ray(result: dict[str, Any], row: Callable[..., str]) -> str:
    """A line a way: milliseconds of a picture, seconds before the first."""
    names = {"stream": "`lcnet embed`, threads", "ray": "`lcnet embed --ray`, actors"}
    lines = [row("", "", "ms a picture", "s to begin", f"s for {result['pictures']:,}"), row(*["---"] * 5)]
    for one in result["rows"]:
        lines.append(row(names[one["way"]], one["workers"], f"{one['ms']:.2f}", f"{one['start']:.1f}", f"{one['seconds']:.1f}"))
    return "\n".join(lines)


def paper(load: Callable[[str], dict[str, Any]], row: Callable[..., str]) -> str:
    """A line a family of processors: what a picture, a million and a hundred million take."""
    whole = load("whole_way")
    processors = whole["machine"]["processors"]
    picture = 1e3 * whole["folder"]["lcnet stream"] * processors / whole["folder"]["files"]
    beside = picture - network(load("engines"))
    lines = [
        row("processors", "network, ms", "picture, ms", "core-hours a million", f"a million at {PRICE} an hour", "100 million"),
        row(*["---"] * 6),
    ]
    for name, file in FAMILIES:
        ms = network(load(file))
        hours = (beside + ms) / 3600
        cells = f"{ms:.2f}", f"{beside + ms:.1f}", f"{1e3 * hours:.2f}", f"{1e3 * hours * PRICE:.3f}"
        lines.append(row(name, *cells, f"{1e5 * hours:,.0f} core-hours, {1e5 * hours * PRICE:,.1f}"))
    return "\n".join(lines)


def network(result: dict[str, Any]) -> float:
    """Milliseconds of `lcnet_050`, a picture on one thread."""
    return next(
        float(t["median"])
        for t in result["timings"]
        if (t["engine"], t["model"], t["threads"], t["batch"], t["precision"]) == ("lcnet", "lcnet_050", 1, 1, "fp32")
    )
