"""`lcnet train`."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import MissingExtraError
from ..stop import code
from ..text import plain
from ..train.output import CHECKPOINT
from .codes import INCOMPLETE, Misuse
from .complete import ModelName, RecipeName
from .either import renamed_option
from .options import overwrite_option, pixels_option, reading_options, say, skip_option, threads_option

if TYPE_CHECKING:
    from ..train.events import Events


@click.command()
@click.argument("data", type=click.Path())
@click.option("--output", "-o", required=True, type=click.Path(path_type=Path), help="Folder for what comes of it.")
@click.option(
    "--model",
    "-m",
    default="lcnet_050",
    show_default=True,
    metavar="MODEL",
    type=ModelName(),
    help="An architecture starts from random weights; a name with a tag, or a file, from trained ones.",
)
@click.option(
    "--recipe", default="quick", show_default=True, type=RecipeName(), help="A name (`lcnet recipes`) or a recipe.json."
)
@renamed_option("-r", "--recipe", type=RecipeName())
@click.option("--set", "-s", "settings", multiple=True, metavar="KEY=VALUE", help="Change a value of the recipe.")
@click.option("--freeze", is_flag=True, help="Train the classifier only.")
@click.option("--in-chans", type=click.IntRange(1), help="Channels of the pictures, if not 3.")
@click.option(
    "--val-fraction",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.1,
    show_default=True,
    help="Share of the training pictures for validation, where the data has none.",
)
@click.option("--metric", default="", help="Picks the best epoch.  [default: top1, or mAP]")
@click.option("--patience", type=click.IntRange(0), default=0, help="Stop after so many epochs without a better one.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of everything that is random.")
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, or another that torch knows.")
@click.option("--amp", type=click.Choice(["none", "bf16", "fp16"]), default="none", show_default=True, help="Mixed precision.")
@click.option("--channels-last/--channels-first", default=True, show_default=True, help="Memory layout.")
@click.option("--compile", "compiled", is_flag=True, help="Compile the network first.")
@click.option(
    "--accumulate",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Parts in which a process does its share of a step, to save memory.",
)
@click.option("--workers", type=click.IntRange(0), help="Processes that decode.  [default: by the processors]")
@threads_option
@click.option(
    "--checkpoint-minutes",
    type=click.FloatRange(0),
    default=10.0,
    show_default=True,
    help="Between checkpoints within an epoch.",
)
@skip_option
@click.option("--tensorboard", is_flag=True, help="Write event files for TensorBoard too.")
@click.option("--resume", is_flag=True, help="Go on with the run in the output folder.")
@overwrite_option
@pixels_option
@reading_options
def train(
    data: str,
    output: Path,
    recipe: str,
    settings: tuple[str, ...],
    freeze: bool,
    compiled: bool,
    tensorboard: bool,
    **values: Any,
) -> None:
    """Train a network on your own pictures; the result is a model file.

    DATA is a folder with a folder of pictures a class (also below train/ and val/), a zip of such, a CSV or TSV table of
    path,label[,split], a PaddleClas list, or WebDataset shards. `lcnet check-data` looks it over first. Under
    `torchrun -m lcnet train ...` several processes train together.
    """
    if values["resume"] and values["overwrite"]:
        raise Misuse("--resume and --overwrite contradict each other: give one of them")
    _require_torch()
    from ..train.options import TrainOptions
    from ..train.recipes import recipe as find_recipe
    from ..train.training import fit

    chosen = find_recipe(recipe, settings)
    if freeze:
        chosen = chosen.change({"freeze": "trunk", "freeze_epochs": 0})
    options = TrainOptions(compile=compiled, **values)
    try:
        done = fit(data, chosen, output, options=options, events=_watchers(output, tensorboard))
    except KeyboardInterrupt as stopped:
        say(f"\nlcnet: stopped; {_way_on(output, options.overwrite)}", err=True)
        raise click.exceptions.Exit(code(stopped)) from None
    if _first():
        best = ", ".join(f"{name} {value:.4f}" for name, value in done.metrics.items())
        say(f"{plain(done.model)}: epoch {done.best_epoch} of {done.epochs}" + (f": {best}" if best else ""))
    if done.left_out and "RANK" not in os.environ:  # torchrun takes any other code than 0 for a crash
        raise click.exceptions.Exit(INCOMPLETE)


def _way_on(output: Path, overwrite: bool) -> str:
    if not (output / CHECKPOINT).exists():
        return "nothing of it was written yet"
    instead = "with --resume in place of --overwrite" if overwrite else "with --resume"
    return f"the same command {instead} goes on from {plain(output / CHECKPOINT)}"


def _first() -> bool:
    return os.environ.get("RANK", "0") == "0"


def _require_torch() -> None:
    if find_spec("torch") is None:
        raise MissingExtraError("training needs torch, which is not installed: pip install 'lcnet[train]'")


def _watchers(output: Path, tensorboard: bool) -> Events:
    from ..train.events import Both
    from .train_screen import Screen

    screen = Screen()
    if not (tensorboard and _first()):
        return screen
    from ..train.board import Board

    return Both(screen, Board(output))
