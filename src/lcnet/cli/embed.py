"""`lcnet embed`."""

from __future__ import annotations

from typing import Any

import click

from . import on_ray
from .bulk import Bulk
from .options import csv_safe_option, given_output, model_options, output_options, rows_option, search_options, shard_option


@click.command()
@search_options
@model_options
@shard_option
@on_ray.ray_options
@output_options("embeddings.npz")
@csv_safe_option
@rows_option("jsonl", "json", "csv")
@click.pass_context
def embed(ctx: click.Context, csv_safe: bool, **_: Any) -> None:
    """Write the embeddings of images: what the classifier reads, 1280 values each unless the network has another head.

    IMAGES are files, folders, patterns in quotes, and zip or tar archives. An .npz file has `paths` [N], `embeddings`
    float32 [N,1280], `milliseconds` [N], `error_paths` and `errors`.
    """
    if on_ray.wanted(ctx.params):
        on_ray.run(ctx, "embeddings")
        return
    path = given_output(ctx.params, "jsonl")
    bulk = Bulk(ctx, "embeddings")
    if path is not None:
        bulk.write(path)
    else:
        bulk.print_rows(ctx.params["style"], csv_safe)
