"""`lcnet bench`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from .codes import Misuse
from .options import columns, json_text, say


@click.command()
@click.option(
    "--model",
    "-m",
    "models",
    multiple=True,
    default=("lcnet_050",),
    show_default=True,
    help="A name or a file; may be repeated. Without its weights here it runs with random ones.",
)
@click.option("--engines", default="all", show_default=True, help="Names with commas between; ours is always there.")
@click.option("--threads", default="1", show_default=True, help="Numbers with commas between.")
@click.option("--batch", default="1", show_default=True, help="Numbers with commas between.")
@click.option("--precision", default="fp32", show_default=True, help="fp32, bf16, or both; an int8 file runs in int8.")
@click.option("--size", default="", help="Input sizes: 224 or 199x331, with commas between.  [default: the model's]")
@click.option("--rounds", default=15, show_default=True, type=click.IntRange(1), help="Turns that every engine gets.")
@click.option("--json", "json_file", type=click.Path(path_type=Path, dir_okay=False), help="Write the results here.")
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), help="Draw the results here (PNG or SVG).")
def bench(
    models: tuple[str, ...],
    engines: str,
    threads: str,
    batch: str,
    precision: str,
    size: str,
    rounds: int,
    json_file: Path | None,
    plot: Path | None,
) -> None:
    """Time our engine and every installed peer side by side on this machine, on the same weights and input."""
    from ..bench import OURS, compare_apart, known_engines, machine
    from ..files import write_atomically

    wanted = known_engines() if engines == "all" else list(dict.fromkeys([OURS, *engines.split(",")]))
    rows = []
    for name in models:
        model = load(name)
        for setting in settings(model, threads, batch, precision, size):
            rows += compare_apart(model, name, wanted, setting, rounds, report=lambda text: say(text, err=True))
    say(table(rows))
    result = {"machine": machine(), "timings": [asdict(row) for row in rows]}
    if json_file:
        write_atomically(json_file, (json_text(result) + "\n").encode())
    if plot:
        from ..bench.plot import draw

        draw(result, plot)


def load(name: str) -> Any:
    """Read a model; of an architecture whose weights are not here make one with random weights, which are as fast."""
    from .. import hub, modelfile, zoo
    from ..bench.weights import random_model
    from ..errors import WeightsError

    try:
        found = hub.locate(name, offline=True)
    except WeightsError:
        say(f"{name}: its weights are not here; random ones are as fast", err=True)
        return random_model(zoo.find(name).config())
    return modelfile.read(found.path, found.config)


def settings(model: Any, threads: str, batch: str, precision: str, size: str) -> list[Any]:
    """Every combination of what was asked for."""
    from ..bench import Setting

    precisions = precision.split(",")
    if model.config.quantization:  # which runs in nothing else
        precisions = ["int8"]
    default = "x".join(map(str, model.config.preprocessing.input_size[1:]))
    sizes = [tuple(map(_whole, (s if "x" in s else f"{s}x{s}").split("x"))) for s in (size or default).split(",")]
    return [
        Setting(t, b, p, h, w)
        for p in precisions
        for t in map(_whole, threads.split(","))
        for b in map(_whole, batch.split(","))
        for h, w in sizes
    ]


def _whole(text: str) -> int:
    if not text.strip().isdigit() or int(text) == 0:
        raise Misuse(f"{text!r} is no whole number above 0")
    return int(text)


def table(rows: list[Any]) -> str:
    """Align the results; a ratio says how many times as long as ours an engine takes."""
    head = ["model", "size", "threads", "batch", "precision", "engine", "ms", "10% .. 90%", "ratio", "GMAC/s", "of peak"]
    lines = [
        [
            r.model,
            f"{r.height}x{r.width}",
            str(r.threads),
            str(r.batch),
            r.precision,
            f"{r.engine} {r.version}",
            f"{r.median:.3f}",
            f"{r.low:.3f} .. {r.high:.3f}",
            f"{r.ratio:.2f}" if r.ratio else "-",
            f"{r.gmacs_per_second:.1f}",
            f"{r.peak_fraction:.0%}" if r.peak_fraction else "-",
        ]
        for r in rows
    ]
    return columns([head, *lines], right=(2, 3, 6, 8, 9, 10))
