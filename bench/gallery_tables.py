"""The tables of docs/gallery.md, of results/gallery.json."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Row = Callable[..., str]


def search(result: dict[str, Any], row: Row) -> str:
    """A line a coding: recall, milliseconds, bytes."""
    found = result["search"]
    lines = [
        row(
            "",
            f"recall@10, {found['recall@10']['vectors']:,} pictures",
            "a query",
            "its CPU time",
            "`--exact`",
            "disk, a picture",
        ),
        row(*["---"] * 6),
    ]
    for name in ("int8", "fp16"):
        one = found[name]
        size = (one["file_bytes"] + one["matrix_bytes"]) / found["vectors"]
        times = one["gallery"], one["every vector"]
        cells = [f"{times[0]['p50_ms']:.1f} ms", f"{times[0]['cpu_p50_ms']:.1f} ms", f"{times[1]['p50_ms']:.0f} ms"]
        lines.append(row(name, f"{found['recall@10'][name]:.4f}", *cells, f"{size / 1e3:.1f} kB"))
    plain = found["numpy float32"]
    lines.append(row("numpy, float32", "1", f"{plain['p50_ms']:.1f} ms", f"{plain['cpu_p50_ms']:.1f} ms", "", "5.1 kB"))
    views = ", ".join(f"{count:,} {name}" for name, count in found["of"].items())
    return "\n".join([*lines, "", f"Of {found['vectors']:,} embeddings by `{found['model']}` ({views}); medians, one thread."])


def build(result: dict[str, Any]) -> str:
    """How fast pictures go in."""
    found = result["build"]

    def rate(name: str) -> str:
        one = found[name]
        return (
            f"{found['files'] / one['seconds']:,.0f} a second ({1e3 * one['cpu_seconds'] / found['files']:.2f} ms of CPU each)"
        )

    copies, same = found["100,000 files of one content"], found["100,000 unchanged"]
    return (
        f"{found['files']:,} JPEG files of 320 pixels: {rate('build')}; the engine alone (`model.stream`): {rate('stream')}. "
        f"The same again, unchanged: {found['unchanged']['seconds']:.1f} s; 100,000 unchanged: {same['seconds']:.1f} s "
        f"({same['cpu_seconds']:.1f} s of CPU). 100,000 files of one content: {copies['seconds']:.0f} s."
    )
