"""`lcnet bench`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import MissingExtraError
from ..files import check_target, write_atomically
from ..text import one_line, plain, suggest
from .codes import Misuse
from .complete import ModelName
from .either import either, renamed_option
from .options import columns, json_text, overwrite_option, say
from .streams import on_terminal

if TYPE_CHECKING:
    from ..bench import Setting

FILE = click.Path(path_type=Path, dir_okay=False)
PICTURES = (".png", ".svg", ".pdf")
_CLEAR = "\r\x1b[K"


@click.command()
@either(
    "--model",
    "-m",
    metavar="MODEL",
    must=False,
    several=True,
    type=ModelName(),
    default=("lcnet_050",),
    show_default=True,
    help="A name or a file; may be repeated. Without its weights here it runs with random ones.",
)
@click.option("--engines", default="all", show_default=True, help="Names with commas between; ours is always there.")
@click.option("--threads", default="1", show_default=True, help="Processors to use: numbers with commas between.")
@click.option("--batch", default="1", show_default=True, help="Numbers with commas between.")
@click.option("--precision", default="fp32", show_default=True, help="fp32, bf16, or both; an int8 file runs in int8.")
@click.option("--size", default="", help="Input sizes: 224 or 199x331, with commas between.  [default: the model's]")
@click.option("--rounds", default=15, show_default=True, type=click.IntRange(1), help="Turns that every engine gets.")
@click.option(
    "--output",
    "-o",
    multiple=True,
    type=FILE,
    help="A file for the results: numbers where it ends in .json, a chart where in .png, .svg or .pdf; may be repeated.",
)
@overwrite_option
@renamed_option("--json", "--output", type=FILE, multiple=True)
@renamed_option("--plot", "--output", type=FILE, multiple=True)
def bench(model: Sequence[str], engines: str, output: Sequence[Path], overwrite: bool, rounds: int, **given: str) -> None:
    """Time our engine and every installed peer side by side on this machine, on the same weights and input.

    What cannot be is said before anything is measured: an engine that is named and not installed, a file that exists.
    """
    from ..bench import conditions, machine
    from ..bench.apart import compare_apart

    for path in output:
        check(path, overwrite)
    wanted = chosen(engines)
    models = [(name, load(name)) for name in model]
    runs = [(name, loaded, setting) for name, loaded in models for setting in settings(loaded, **given)]
    warned = conditions.load()
    note(warned)
    rows = []
    for number, (name, loaded, setting) in enumerate(runs, 1):
        screen = Screen(f"{number} of {len(runs)}: {title(name, setting)}")
        rows += compare_apart(loaded, name, wanted, setting, rounds, screen.say, screen.show)
        screen.clear()
    if not warned:
        note(conditions.unsteady(rows))
    say(table(rows))
    write({"machine": machine(), "timings": [asdict(row) for row in rows]}, output)


def check(path: Path, overwrite: bool) -> None:
    """Refuse a file that cannot or must not be written."""
    if path.suffix not in (".json", *PICTURES):
        raise Misuse(f"{plain(path)}: expected a name that ends in .json, {', '.join(PICTURES)}")
    check_target(path, overwrite)
    if path.suffix in PICTURES and find_spec("matplotlib") is None:
        raise MissingExtraError(f"{plain(path)}: a chart needs matplotlib, which is not installed: pip install 'lcnet[bench]'")


def chosen(engines: str) -> list[str]:
    """The engines to measure: all that are here, or those that are named, which have to be."""
    from ..bench import OURS, known_engines
    from ..bench.conditions import missing

    named = [] if engines == "all" else list(dict.fromkeys([OURS, *engines.split(",")]))
    for name in named:
        if name not in known_engines():
            raise Misuse(f"unknown engine {name!r}{suggest(name, known_engines())}: known are {', '.join(known_engines())}")
        if why := missing(name):
            raise MissingExtraError(f"{name} cannot be measured: {why}")
    if named:
        return named
    absent = [name for name in known_engines() if missing(name)]
    note(f"not here, and left out: {', '.join(absent)}" if absent else "")
    return [name for name in known_engines() if name not in absent]


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


def settings(model: Any, threads: str, batch: str, precision: str, size: str) -> list[Setting]:
    """Every combination of what was asked for."""
    from ..bench import Setting

    precisions = ["int8"] if model.config.quantization else precision.split(",")  # int8 runs in nothing else
    if unknown := [p for p in precisions if p not in ("fp32", "bf16") and not model.config.quantization]:
        raise Misuse(f"--precision {unknown[0]!r}: expected fp32, bf16, or both with a comma between")
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


def title(name: str, setting: Setting) -> str:
    """Name what is being measured."""
    threads = f"{setting.threads} thread{'s' * (setting.threads > 1)}"
    return f"{plain(name)}, {setting.height}x{setting.width}, {threads}, batch {setting.batch}, {setting.precision}"


def note(text: str) -> None:
    """Tell, if there is something to tell."""
    if text:
        say(f"lcnet: {text}", err=True)


class Screen:
    """What is being measured, and on a terminal how far it is, in a line that moves."""

    def __init__(self, head: str) -> None:
        self.head, self.drawn = head, False
        self.moves = on_terminal(sys.stderr)
        if self.moves:
            self.show("starts")
        else:
            note(head)

    def show(self, text: str) -> None:
        """Say what is being done at the moment."""
        if self.moves:
            sys.stderr.write(f"{_CLEAR}{one_line(self.head)}: {one_line(text)}")
            sys.stderr.flush()
            self.drawn = True

    def say(self, text: str) -> None:
        """Print a message for good."""
        self.clear()
        note(text)

    def clear(self) -> None:
        """Remove the line."""
        if self.drawn:
            sys.stderr.write(_CLEAR)
            self.drawn = False


def write(result: dict[str, Any], paths: Sequence[Path]) -> None:
    """Write the results, as each name ends."""
    for path in paths:
        if path.suffix == ".json":
            write_atomically(path, (json_text(result) + "\n").encode())
        else:
            from ..bench.plot import draw

            draw(result, path)


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
