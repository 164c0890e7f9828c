"""`lcnet train`."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import ImageError, InputError, MissingExtraError
from ..stop import code
from ..text import plain
from ..train.output import CHECKPOINT, LAST, RECIPE
from .codes import INCOMPLETE, Misuse
from .complete import ModelName, RecipeName
from .convert import Size
from .either import renamed_option
from .options import overwrite_option, pixels_option, reading_options, say, skip_option, threads_option
from .train_keys import SHORTCUTS, TrainCommand, changes

if TYPE_CHECKING:
    from ..train.events import Events
    from ..train.recipe import Recipe
    from ..train.resuming import Stored
    from .train_screen import Screen


@click.command(cls=TrainCommand)
@click.argument("data", type=click.Path(), required=False)
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
    "--recipe",
    type=RecipeName(),
    help="A name (`lcnet recipes`) or a recipe.json.  [default: finetune for trained weights, quick for random ones]",
)
@renamed_option("-r", "--recipe", type=RecipeName())
@click.option("--set", "-s", "settings", multiple=True, metavar="KEY=VALUE", help="Change a value of the recipe.")
@click.option("--epochs", type=click.IntRange(1), help="The recipe's epochs.")
@click.option("--batch-size", type=click.IntRange(2), help="The recipe's pictures a step.")
@click.option("--lr", type=click.FloatRange(0), help="The recipe's learning rate.")
@click.option("--input-size", type=Size(), metavar="HxW", help="The recipe's pixels.  [default: the trained weights' own]")
@click.option("--freeze", is_flag=True, help="Train the classifier only.")
@click.option("--in-chans", type=click.IntRange(1), help="Channels of the pictures, if not 3.")
@click.option(
    "--val-fraction",
    type=click.FloatRange(0, 1, max_open=True),
    help="For validation, where the data has none.  [default: 0.1; for trained weights up to 0.25 of few pictures]",
)
@click.option("--metric", default="", help="Picks the best epoch.  [default: top1, or mAP]")
@click.option("--patience", type=click.IntRange(0), default=0, help="Stop after so many epochs without a better one.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of everything that is random.")
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, or another that torch knows.")
@click.option("--amp", type=click.Choice(["none", "bf16", "fp16"]), default="none", show_default=True, help="Mixed precision.")
@click.option("--channels-last/--channels-first", default=True, show_default=True, help="Memory layout.")
@click.option("--compile", is_flag=True, help="Compile the network first.")
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
@click.option("--resume", is_flag=True, help="Go on with the run in the output folder, by its recipe.json.")
@overwrite_option
@pixels_option
@reading_options
@click.pass_context
def train(
    ctx: click.Context,
    data: str | None,
    output: Path,
    recipe: str | None,
    settings: tuple[str, ...],
    freeze: bool,
    tensorboard: bool,
    **values: Any,
) -> None:
    """Train a network on your own pictures; the result is a model file.

    DATA is a folder with a folder of pictures a class (also below train/ and val/), a zip of such, a CSV or TSV table of
    path,label[,split], a PaddleClas list, or WebDataset shards. `lcnet check-data` looks it over first. With --resume it may be
    left out, as may everything but --output. Under `torchrun -m lcnet train ...` several processes train together.
    """
    if values["resume"] and values["overwrite"]:
        raise Misuse("--resume and --overwrite contradict each other: give one of them")
    if data is None and not values["resume"]:
        raise click.MissingParameter(ctx=ctx, param_hint="'DATA'", param_type="argument")
    asked = changes(settings, {name: values.pop(name) for name in SHORTCUTS})
    if freeze:
        asked |= {"freeze": "trunk", "freeze_epochs": 0}
    _require_torch()
    from .train_screen import Screen

    screen = Screen()
    try:
        if _first():
            screen.doing("loading torch")
        _train(ctx, screen, data, output, recipe, asked, tensorboard, values)
    finally:
        screen.clear()


def _train(
    ctx: click.Context,
    screen: Screen,
    data: str | None,
    output: Path,
    recipe: str | None,
    asked: dict[str, Any],
    tensorboard: bool,
    values: dict[str, Any],
) -> None:
    from ..train.options import TrainOptions
    from ..train.resuming import stored
    from ..train.training import fit

    before = stored(output / RECIPE) if values["resume"] else None
    if before:
        values |= {name: value for name, value in before.options.items() if not _is_given(ctx, name)}
    place = _place(data, output, before)
    options = TrainOptions(**values)
    chosen = _recipe(recipe, options.model, before).change(asked)
    earlier = _state(output)
    try:
        done = fit(place, chosen, output, options=options, events=_watchers(screen, output, tensorboard))
    except KeyboardInterrupt as stopped:
        screen.clear()
        say(f"lcnet: stopped; {_way_on(output, _state(output) != earlier or options.resume)}", err=True)
        raise click.exceptions.Exit(code(stopped)) from None
    except ImageError as error:
        raise ImageError(
            f"{error}; --skip-unreadable leaves such pictures out, `lcnet check-data {plain(place)}` lists them"
        ) from None
    if _first():
        best = ", ".join(f"{name} {value:.4f}" for name, value in done.metrics.items())
        kept = f"epoch {done.best_epoch} of {done.epochs}" if done.best_epoch else _AS_IT_WAS
        say(f"{plain(done.model)}: {kept}" + (f": {best}" if best else ""))
    if done.left_out and "RANK" not in os.environ:  # torchrun takes any other code than 0 for a crash
        raise click.exceptions.Exit(INCOMPLETE)


_AS_IT_WAS = f"the weights as they came, which training has not clearly bettered ({LAST} has its last epoch)"


def _is_given(ctx: click.Context, name: str) -> bool:
    return ctx.get_parameter_source(name) not in (None, click.core.ParameterSource.DEFAULT)


def _place(data: str | None, output: Path, before: Stored | None) -> str:
    """Where the pictures are: as it is said, or as the run had them."""
    if data is not None:
        return data
    if before is None:
        raise InputError(f"{plain(output)}: there is no recipe.json of a run in it: give DATA, and leave out --resume")
    if not os.path.lexists(before.data) and not any(c in before.data for c in "*?[{"):
        raise InputError(
            f"{plain(before.data)}: the pictures of this run are not there any more: say where they are now, "
            f"`lcnet train DATA --resume --output {plain(output)}`"
        )
    return before.data


def _recipe(name: str | None, model: str, before: Stored | None) -> Recipe:
    from ..train.recipes import default_for
    from ..train.recipes import recipe as find_recipe

    return before.recipe if before and name is None else find_recipe(name or default_for(model))


def _way_on(output: Path, begun: bool) -> str:
    if not begun:
        return "nothing of it was written yet"
    return f"`lcnet train --resume --output {plain(output)}` goes on from {CHECKPOINT}"


def _state(output: Path) -> int | None:
    """When the checkpoint in a folder was written: an earlier run's stays until there is one of this run."""
    path = output / CHECKPOINT
    return path.stat().st_mtime_ns if path.exists() else None


def _first() -> bool:
    return os.environ.get("RANK", "0") == "0"


def _require_torch() -> None:
    if find_spec("torch") is None:
        raise MissingExtraError("training needs torch, which is not installed: pip install 'lcnet[train]'")


def _watchers(screen: Screen, output: Path, tensorboard: bool) -> Events:
    if not (tensorboard and _first()):
        return screen
    from ..train.board import Board
    from ..train.events import Both

    return Both(screen, Board(output))
