"""`lcnet features`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..arch import reduction_name
from . import on_ray
from .bulk import Bulk
from .codes import Misuse
from .options import given_output, load_model, model_options, output_options, rows_option, search_options, shard_option

if TYPE_CHECKING:
    from ..runtime import Classifier


@click.command()
@search_options
@model_options
@click.option(
    "--stride",
    "strides",
    multiple=True,
    metavar="2|4|8|16|32",
    help="Which feature maps; may be repeated. Of a network whose strides differ by axis 4x2: 4 down, 2 across."
    "  [default: all]",
)
@shard_option
@on_ray.ray_options
@output_options("features.npz")
@rows_option("jsonl", "json")
@click.pass_context
def features(ctx: click.Context, strides: tuple[str, ...], **_: Any) -> None:
    """Write feature maps of images.

    IMAGES are files, folders, patterns in quotes, and zip or tar archives. An .npz file has `paths` [N], `stride_2` ...
    `stride_32` (or `stride_4x2` ...) float32 [N,C,H,W], `milliseconds` [N], `error_paths` and `errors`.
    """
    if on_ray.wanted(ctx.params):
        on_ray.run(ctx, "feature_maps", out_indices=_wanted(load_model(ctx.params), strides))
        return
    path = given_output(ctx.params, "jsonl")
    bulk = Bulk(ctx, "feature_maps", lambda model: {"out_indices": _wanted(model, strides)})
    if path is not None:
        bulk.write(path)
    else:
        bulk.print_rows(ctx.params["style"])


def _wanted(model: Classifier, strides: tuple[str, ...]) -> list[int]:
    names = list(map(reduction_name, model.arch.reductions))
    for name in strides:
        if name not in names:
            raise Misuse(f"--stride is {name!r}, expected one of this network's: {', '.join(names)}")
    return [i for i, name in enumerate(names) if not strides or name in strides]
