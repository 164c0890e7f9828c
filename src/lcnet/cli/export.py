"""`lcnet export`."""

from __future__ import annotations

from pathlib import Path

import click

from ..text import plain
from .codes import Misuse
from .either import model_place, output_place
from .options import overwrite_option, say


@click.command()
@model_place()
@output_place("The ONNX file, which ends in .onnx.")
@overwrite_option
def export(model: str, output: Path, overwrite: bool) -> None:
    """Write MODEL (a name or a file) as ONNX for other engines, checked against our runtime before it is kept."""
    from .. import hub, modelfile
    from ..export.onnx import export_onnx

    if output.suffix != ".onnx":
        raise Misuse(f"{output}: the export is ONNX, expected a name that ends in .onnx")
    found = hub.locate(model)
    difference = export_onnx(modelfile.read(found.path, found.config), output, overwrite)
    size = output.stat().st_size / 1e6
    say(f"{plain(output)}: {size:.2f} MB, equal to our runtime within {difference:.1e} of the range")
