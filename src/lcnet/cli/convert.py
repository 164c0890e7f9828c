"""`lcnet convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..config import ALPHAS, CHANNEL_ORDERS, CROP_MODES, INTERPOLATIONS, RESIZES
from ..text import one_line, plain
from .either import output_place
from .options import overwrite_option, say


class Size(click.ParamType):
    """HxW in pixels; one number is a square."""

    name = "HxW"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read height and width."""
        sides = value.lower().split("x") if isinstance(value, str) else []
        if len(sides) not in (1, 2) or not all(side.isascii() and side.isdigit() and len(side) < 6 for side in sides):
            self.fail(f"{value!r} is no size: expected height x width, such as 224x224, or one number", param, ctx)
        return [int(sides[0]), int(sides[-1])]


class Numbers(click.ParamType):
    """Numbers with commas or spaces between them."""

    name = "N[,N,N]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read the numbers."""
        try:
            return [float(number) for number in value.replace(",", " ").split()]
        except ValueError:
            self.fail(f"{value!r} is no list of numbers: expected such as 0.5 or 0.485,0.456,0.406", param, ctx)


@click.command()
@click.argument("source", type=click.Path(path_type=Path))
@output_place("The model file to write.")
@click.option("--name", help="The model it is (`lcnet models`): takes labels and preprocessing from there.")
@click.option(
    "--labels",
    type=click.Path(path_type=Path),
    help="Class names: a text file, a line a class, numbered or not, or JSON (id2label, class_to_idx, a list).",
)
@click.option("--input-size", type=Size(), metavar="HxW", help="Pixels that the network takes.")
@click.option("--mean", type=Numbers(), help="Of the colours, 0 to 1, as it was trained; one number stands for all.")
@click.option("--std", type=Numbers(), help="The same of the deviation.")
@click.option("--crop-pct", type=click.FloatRange(0.01, 8), help="The share of the picture's side that is kept.")
@click.option("--crop-mode", type=click.Choice(CROP_MODES), help="What becomes of the rest, and of the aspect.")
@click.option("--interpolation", type=click.Choice(INTERPOLATIONS), help="The filter of the resize.")
@click.option("--resize", type=click.Choice(RESIZES), help="Whose arithmetic scales the picture; Paddle's is OpenCV's.")
@click.option("--alpha", type=click.Choice(ALPHAS), help="What becomes of transparent pixels.")
@click.option("--channel-order", type=click.Choice(CHANNEL_ORDERS), help="In which the network takes the colours.")
@click.option(
    "--config", type=click.Path(path_type=Path), help="The YAML of a network of Paddle's: inference.yml, or the training's."
)
@click.option(
    "--multi-label/--single-label",
    default=None,
    help="Each class stands for itself (sigmoid), or a picture is of one (softmax), whatever SOURCE says.",
)
@click.option("--no-ema", is_flag=True, help="Of a training checkpoint take the raw weights, not the averaged ones.")
@click.option(
    "--no-dropout-scale", is_flag=True, help="For a PaddleClas network that was trained with dropout 0 (some SSLD students)."
)
@overwrite_option
def convert(
    source: Path,
    output: Path,
    name: str | None,
    labels: Path | None,
    config: Path | None,
    multi_label: bool | None,
    no_ema: bool,
    no_dropout_scale: bool,
    overwrite: bool,
    **preprocessing: Any,
) -> None:
    """Turn a network of another project into a model file.

    SOURCE: a PyTorch checkpoint (.pth, .bin, .ckpt, .safetensors) or a PaddleClas one (.pdparams); an .onnx file; the folder
    of a Paddle inference model (inference.json or .pdmodel, .pdiparams, .yml); a folder of transformers' PP-LCNet.

    Labels and preprocessing: options win over --name, that over what SOURCE says, that over --config or a file beside it. What
    nobody says of a checkpoint is assumed, and told; of an exported network it is asked for. Nothing in SOURCE is executed:
    pickles are read by a reader that knows tensors and plain values.
    """
    from ..convert import convert as run

    chosen = {key: value for key, value in preprocessing.items() if value is not None}
    model = run(
        source,
        output,
        name=name,
        labels=labels,
        use_ema=not no_ema,
        dropout_scale=1.0 if no_dropout_scale else None,
        preprocessing=chosen,
        config=config,
        multi_label=multi_label,
        overwrite=overwrite,
    )
    made = model.config
    labeled = f"{made.arch.num_classes} classes, {'labelled' if made.labels else 'without labels'}"
    say(f"{plain(output)}: {made.arch.name}, {labeled}, {sum(w.nbytes for w in model.weights.values()) / 1e6:.2f} MB")
    if note := made.provenance.get("note"):
        say(f"note: {one_line(str(note))}", err=True)
