"""`lcnet models`."""

from __future__ import annotations

from typing import Any

import click

from .. import zoo
from ..errors import InputError
from ..zoo import LATENCY, SETS
from .complete import ModelName
from .options import columns, csv_safe_option, csv_text, format_option, json_text, say

IMAGENET = "imagenet"


@click.command()
@click.argument("pattern", default="*", type=ModelName())
@click.option("--pretrained", is_flag=True, help="Only weights that can be loaded by name.")
@click.option("--wide", is_flag=True, help="Show the accuracy on every set of test pictures, however wide that is.")
@format_option
@csv_safe_option
def models(pattern: str, pretrained: bool, wide: bool, style: str, csv_safe: bool) -> None:
    """List models: size, cost, published accuracy, and whether the weights are here. CSV and JSON have all that is known."""
    rows = [row(entry) for entry in zoo.search(pattern, pretrained)]
    if not rows:
        raise InputError(f"no model matches {pattern!r}: `lcnet models` lists all")
    if style == "json":
        click.echo(json_text(rows))
    elif style == "csv":
        click.echo(csv_text([flat(rows[0]).keys(), *(flat(r).values() for r in rows)], csv_safe))
    else:
        say(table(rows, wide))


def row(entry: Any) -> dict[str, Any]:
    """Describe one set of weights in full."""
    accuracy = {s: dict(zip(("top1", "top5"), entry.accuracy.get(s, (None, None)), strict=True)) for s in SETS}
    return {
        "name": entry.name,
        "aliases": list(entry.aliases),
        "parameters": entry.arch.parameters,
        "macs_224": entry.arch.macs(),
        "macs": entry.arch.macs(*entry.preprocessing.input_size[1:]),
        "classes": entry.num_classes,
        "file_bytes": entry.size,
        "input_size": list(entry.preprocessing.input_size),
        "weights": whereabouts(entry),
        "accuracy": accuracy,
        "latency_ms": entry.latency,
        "source": entry.source,
        "license": entry.license,
    }


def whereabouts(entry: Any) -> str:
    """Say where the weights are: bundled, cached, on the hub, or to be converted."""
    from .. import hub

    if entry.bundled:
        return "bundled"
    if entry.hub_id:
        return "cached" if hub.cached(entry) else "hub"
    return "convert" if entry.url else "none"


def flat(row: dict[str, Any]) -> dict[str, Any]:
    """Spread the accuracies into columns, for CSV."""
    accuracy = {f"{s}_{k}": v for s, pair in row["accuracy"].items() for k, v in pair.items()}
    size = "x".join(map(str, row["input_size"]))
    texts = {"aliases": " ".join(row["aliases"]), "input_size": size}
    return {**{k: v for k, v in row.items() if k != "accuracy"}, **texts, **accuracy}


def table(rows: list[dict[str, Any]], wide: bool) -> str:
    """Align what fits a terminal; JSON and CSV have the rest."""
    head, cells, notes = _every_set(rows) if wide else _first_set(rows)
    lines = [[*facts(row), *accuracy] for row, accuracy in zip(rows, cells, strict=True)]
    sources = sorted({f"{r['source']}" for r in rows if r["source"]})
    return "\n".join(
        [
            columns([["model", "params", "MACs", "file", "weights", *head], *lines], right=(1, 2, 3)),
            "",
            "Accuracy: top-1 / top-5 in percent, as published; MACs at 224 x 224.",
            *(["MACs of text lines at 80 x 160."] if any(not square(row) for row in rows) else []),
            *notes,
            *short_names(rows),
            *(f"from: {s}" for s in sources),
        ]
    )


def short_names(rows: list[dict[str, Any]]) -> list[str]:
    """The models that have a shorter name, and the latency that was published of them."""
    named = [[" ".join(r["aliases"]), r["name"], f"{r['latency_ms']:.2f} ms"] for r in rows if r["aliases"]]
    return ["", columns([["short name", "model", "latency"], *named], right=(2,)), "", f"Latency: {LATENCY}."] if named else []


def facts(row: dict[str, Any]) -> list[str]:
    """What a row begins with."""
    macs = f"{row['macs_224' if square(row) else 'macs'] / 1e6:.1f} M"
    return [row["name"], f"{row['parameters'] / 1e6:.2f} M", macs, megabytes(row["file_bytes"]), row["weights"]]


def square(row: dict[str, Any]) -> bool:
    """Whether the input is as high as it is wide."""
    return bool(row["input_size"][1] == row["input_size"][2])


def _every_set(rows: list[dict[str, Any]]) -> tuple[list[str], list[list[str]], list[str]]:
    """A column for each set of test pictures that some row has numbers of: heads, cells, notes."""
    sets = [s for s in SETS if any(r["accuracy"][s]["top1"] is not None for r in rows) and not s.endswith("_clean")]
    return sets, [[top1_top5(r["accuracy"][s]) for s in sets] for r in rows], [f"{s}: {SETS[s]}" for s in sets]


def _first_set(rows: list[dict[str, Any]]) -> tuple[list[str], list[list[str]], list[str]]:
    """One column, of the first set that a row has numbers of; what is not ImageNet is marked."""
    firsts = [next((s for s in SETS if r["accuracy"][s]["top1"] is not None), None) for r in rows]
    others = [s for s in dict.fromkeys(firsts) if s not in (None, IMAGENET)]
    marks = {s: f" [{number}]" for number, s in enumerate(others, 1)}
    cells = [
        [f"{top1_top5(row['accuracy'][first])}{marks.get(first, '')}" if first else ""]
        for row, first in zip(rows, firsts, strict=True)
    ]
    notes = [f"{mark.strip()} {SETS[str(s)]}" for s, mark in marks.items()]
    return ["top-1 / top-5"], cells, [*notes, "--wide shows every set of test pictures that there are numbers of."]


def megabytes(size: int | None) -> str:
    """Format a file size."""
    return f"{size / 1e6:.2f} MB" if size else "-"


def top1_top5(accuracy: dict[str, float | None]) -> str:
    """Format a pair of accuracies."""
    return " / ".join("-" if v is None else f"{v:.1f}" for v in accuracy.values()) if accuracy["top1"] else ""
