"""`lcnet features`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..arch import REDUCTIONS
from .bulk import Bulk
from .options import model_options, output_options, search_options


@click.command()
@search_options
@model_options
@click.option(
    "--stride",
    "strides",
    multiple=True,
    type=click.Choice([str(r) for r in REDUCTIONS]),
    help="Which feature maps; may be repeated.  [default: all five]",
)
@output_options("features.npz")
@click.pass_context
def features(ctx: click.Context, strides: tuple[str, ...], output: Path, resume: bool, overwrite: bool, **_: Any) -> None:
    """Write feature maps of images.

    IMAGES are files, folders, patterns in quotes, and zip or tar archives. An .npz file has `paths` [N], `stride_2` ...
    `stride_32` float32 [N,C,H,W], `error_paths` and `errors`.
    """
    from ..results.outputs import check
    from ..results.rows import Arrays

    check(output, resume, overwrite)
    wanted = [i for i, r in enumerate(REDUCTIONS) if not strides or str(r) in strides]
    bulk = Bulk(ctx, "feature_maps", out_indices=wanted)
    shapes = bulk.model.arch.feature_shapes(*bulk.model.preprocessing.input_size[1:])
    bulk.write(output, Arrays({f"stride_{REDUCTIONS[i]}": shapes[i] for i in wanted}), resume, overwrite)
