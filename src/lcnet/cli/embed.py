"""`lcnet embed`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .bulk import Bulk
from .options import csv_safe_option, model_options, output_options, search_options


@click.command()
@search_options
@model_options
@output_options("embeddings.npz")
@csv_safe_option
@click.pass_context
def embed(ctx: click.Context, output: Path, resume: bool, overwrite: bool, csv_safe: bool, **_: Any) -> None:
    """Write the embeddings of images: what the classifier reads, 1280 values each unless the network has another head.

    IMAGES are files, folders, patterns in quotes, and zip or tar archives. An .npz file has `paths` [N], `embeddings`
    float32 [N,1280], `error_paths` and `errors`.
    """
    from ..results.outputs import check
    from ..results.rows import Arrays

    check(output, resume, overwrite, csv_safe)
    bulk = Bulk(ctx, "embeddings")
    bulk.write(output, Arrays({"embeddings": (bulk.model.arch.head_hidden_size,)}), resume, overwrite)
