"""`lcnet features`."""

from __future__ import annotations

from pathlib import Path

import click

from ..arch import REDUCTIONS
from .options import Inputs, load_model, model_options, output_options, refuse_existing, write_npz


@click.command()
@model_options
@click.option("--stride", "strides", multiple=True, type=click.Choice([str(r) for r in REDUCTIONS]),
              help="Which feature maps; may be repeated.  [default: all five]")  # fmt: skip
@output_options("features.npz")
@click.pass_context
def features(
    ctx: click.Context, images: tuple[Path, ...], model: str, threads: int | None, isa: str | None,
    strides: tuple[str, ...], output: Path, overwrite: bool,
) -> None:  # fmt: skip
    """Write feature maps of images: an .npz file with `paths` [N] and `stride_2` ... `stride_32` float32 [N,C,H,W]."""
    import numpy as np

    refuse_existing(output, overwrite)
    wanted = [i for i, r in enumerate(REDUCTIONS) if not strides or str(r) in strides]
    inputs = Inputs(load_model(model, threads, isa), images)
    rows = [(str(path), inputs.model.feature_maps(x, wanted)) for path, x in inputs]
    maps = {f"stride_{REDUCTIONS[i]}": np.concatenate([m[n] for _, m in rows]) for n, i in enumerate(wanted) if rows}
    write_npz(output, paths=np.array([path for path, _ in rows], dtype=str), **maps)
    shapes = ", ".join(f"{name} {list(m.shape)}" for name, m in maps.items())
    click.echo(f"{output}: {len(rows)} images{': ' if shapes else ''}{shapes}")
    inputs.finish(ctx)
