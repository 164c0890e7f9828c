"""The results as bars: one group a setting, one bar an engine, its time as a multiple of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import MissingExtraError
from ..files import replacing


def draw(result: dict[str, Any], path: Path) -> None:
    """Draw what `lcnet bench -o FILE.json` writes, as the suffix of `path` says. Needs matplotlib (extra: bench)."""
    try:
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise MissingExtraError(f"the plot needs matplotlib ({error}): pip install 'lcnet[bench]'") from None
    groups = _groups(result["timings"])
    engines = list(dict.fromkeys(row["engine"] for rows in groups.values() for row in rows))
    figure, axis = plt.subplots(figsize=(2 + 1.9 * len(groups), 4.5))
    for number, engine in enumerate(engines):
        bars = [(x, row) for x, rows in enumerate(groups.values()) for row in rows if row["engine"] == engine]
        places = [x + (number - (len(engines) - 1) / 2) * 0.8 / len(engines) for x, _ in bars]
        drawn = axis.bar(places, [row["ratio"] or 1 for _, row in bars], 0.8 / len(engines), label=engine)
        axis.bar_label(drawn, [f"{row['median']:.2f}" for _, row in bars], fontsize=6, rotation=90, padding=2)
    axis.axhline(1, color="black", linewidth=0.8)
    axis.set_xticks(range(len(groups)), list(groups), fontsize=8)
    axis.set_ylabel("time as a multiple of lcnet's (labels: ms)")
    axis.set_title(f"{result['machine']['cpu']}, {result['machine']['date'][:10]}", fontsize=9)
    axis.legend(fontsize=8)
    figure.tight_layout()
    with replacing(path) as file:
        figure.savefig(file, format=path.suffix[1:], dpi=150)
    plt.close(figure)


def _groups(timings: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in timings:
        size = f"{row['height']}x{row['width']}"
        name = f"{row['model']} {size}\n{row['threads']} thread(s), batch {row['batch']}\n{row['precision']}"
        groups.setdefault(name, []).append(row)
    return groups
