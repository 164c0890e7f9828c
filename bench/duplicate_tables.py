"""The tables of docs/duplicates.md, of results/gallery.json."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def found(result: dict[str, Any], row: Callable[..., str]) -> str:
    """A line a kind of copies: how many are found; then how many of what is found are none, and the times."""
    lines = [row("copies", "found by hash", "found by hash or embedding"), row("---", "---", "---")]
    for kind, share in result["hash"]["recall"].items():
        lines.append(row(kind, f"{100 * share:.1f}%", f"{100 * result['embedding']['recall'][kind]:.1f}%"))
    said = [
        f"{result[name]['wrong']} of {result[name]['pairs']:,} pairs that were found {how} are none"
        for name, how in (("hash", "by hash"), ("embedding", "by hash or embedding"))
    ]
    return "\n".join([*lines, "", f"{result['originals']} originals; embeddings of `{result['model']}`; {'; '.join(said)}."])


def speed(result: dict[str, Any]) -> str:
    """A sentence about grouping, and one about looking."""
    parts = []
    for r in result["speed"]:
        what = "embeddings" if r["embeddings"] else "hashes"
        of = "of one picture" if r["groups"] == 1 else "of pictures, of which one in ten is a copy"
        parts.append(f"{r['pictures']:,} {what} {of} in {r['cpu_seconds']:.0f} s")
    looks = [result[name]["look_ms"] for name in ("hash", "embedding")]
    return (
        f"Grouping on one processor: {'; '.join(parts)}. Looking at a picture of the set above, which has "
        f"{result['megapixels']:.2f} megapixels, takes {looks[0]:.1f} ms, with its embedding {looks[1]:.1f} ms."
    )
