"""`lcnet features`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..arch import reduction_name
from .bulk import Bulk
from .codes import Misuse
from .options import model_options, output_options, search_options


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
@output_options("features.npz")
@click.pass_context
def features(ctx: click.Context, strides: tuple[str, ...], output: Path, resume: bool, overwrite: bool, **_: Any) -> None:
    """Write feature maps of images.

    IMAGES are files, folders, patterns in quotes, and zip or tar archives. An .npz file has `paths` [N], `stride_2` ...
    `stride_32` (or `stride_4x2` ...) float32 [N,C,H,W], `error_paths` and `errors`.
    """
    from ..results.outputs import check
    from ..results.rows import Arrays

    check(output, resume, overwrite)
    bulk = Bulk(ctx, "feature_maps")
    names = list(map(reduction_name, bulk.model.arch.reductions))
    shapes = bulk.model.arch.feature_shapes(*bulk.model.preprocessing.input_size[1:])
    wanted = bulk.options["out_indices"] = _wanted(names, strides)
    bulk.write(output, Arrays({f"stride_{names[i]}": shapes[i] for i in wanted}), resume, overwrite)


def _wanted(names: list[str], strides: tuple[str, ...]) -> list[int]:
    for name in strides:
        if name not in names:
            raise Misuse(f"--stride is {name!r}, expected one of this network's: {', '.join(names)}")
    return [i for i, name in enumerate(names) if not strides or name in strides]
