"""`lcnet convert`."""

from __future__ import annotations

from pathlib import Path

import click

from ..text import one_line, plain
from .options import say


@click.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("target", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--name", help="The model it is (`lcnet models`): takes labels and preprocessing from there.")
@click.option("--labels", type=click.Path(path_type=Path), help="Class names: a text file, a line a class, or JSON.")
@click.option("--no-ema", is_flag=True, help="Of a training checkpoint take the raw weights, not the averaged ones.")
@click.option("--no-dropout-scale", is_flag=True,
              help="For a PaddleClas network that was trained with dropout 0 (some SSLD students).")  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace TARGET if it exists.")
def convert(
    source: Path, target: Path, name: str | None, labels: Path | None, no_ema: bool, no_dropout_scale: bool,
    overwrite: bool,
) -> None:  # fmt: skip
    """Turn a timm checkpoint (.pth, .bin, .safetensors) or a PaddleClas one (.pdparams) into a model file.

    Nothing in SOURCE is executed: pickles are read by a reader that knows tensors and nothing else.
    """
    from ..convert import DROPOUT_SCALE
    from ..convert import convert as run

    scale = 1.0 if no_dropout_scale else DROPOUT_SCALE
    model = run(source, target, name=name, labels=labels, use_ema=not no_ema, dropout_scale=scale, overwrite=overwrite)
    config = model.config
    labeled = f"{config.arch.num_classes} classes, {'labelled' if config.labels else 'without labels'}"
    say(f"{plain(target)}: {config.arch.name}, {labeled}, {sum(w.nbytes for w in model.weights.values()) / 1e6:.2f} MB")
    if note := config.provenance.get("note"):
        say(f"note: {one_line(str(note))}", err=True)
