"""`lcnet features`."""

from __future__ import annotations

from typing import Any

import click

from ..arch import REDUCTIONS
from .bulk import Bulk
from .options import given_output, model_options, output_options, rows_option, search_options


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
@rows_option("jsonl", "json")
@click.pass_context
def features(ctx: click.Context, strides: tuple[str, ...], **_: Any) -> None:
    """Write feature maps of images.

    IMAGES are files, folders, patterns in quotes, and zip or tar archives. An .npz file has `paths` [N], `stride_2` ...
    `stride_32` float32 [N,C,H,W], `milliseconds` [N], `error_paths` and `errors`.
    """
    path = given_output(ctx.params, "jsonl")
    wanted = [i for i, r in enumerate(REDUCTIONS) if not strides or str(r) in strides]
    bulk = Bulk(ctx, "feature_maps", out_indices=wanted)
    if path is not None:
        bulk.write(path)
    else:
        bulk.print_rows(ctx.params["style"])
