"""`lcnet quantize`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..files import check_target
from ..text import one_line, plain
from .codes import REFUSED
from .either import model_place
from .options import json_text, overwrite_option, pixels_option, reading_options, say


@click.command()
@model_place()
@click.option(
    "--data",
    "-d",
    multiple=True,
    required=True,
    type=click.Path(),
    help="Pictures to calibrate on: files, folders with all below them, archives; may be repeated.",
)
@click.option(
    "--images",
    default=128,
    show_default=True,
    type=click.IntRange(32, 512),
    help="How many of them to calibrate on; as many more, at most, judge the result. No two are alike.",
)
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The int8 model file.  [default: MODEL's name with .int8.safetensors, in this folder]",
)
@click.option(
    "--eval",
    "evaluation",
    type=click.Path(path_type=Path),
    help="Labelled pictures to measure accuracy on: whatever `lcnet evaluate` takes.",
)
@click.option(
    "--max-drop", default=0.5, show_default=True, type=click.FloatRange(0, 100), help="Points of top-1 that int8 may lose."
)
@click.option(
    "--ranges",
    default="minmax",
    show_default=True,
    type=click.Choice(["minmax", "mse"]),
    help="How much of what calibration saw the codes cover.",
)
@click.option(
    "--force",
    is_flag=True,
    help="Write the file whatever the measurements say, even of near-copies, such as frames of one scene; it carries them.",
)
@overwrite_option
@pixels_option
@reading_options
def quantize(model: str, data: tuple[str, ...], output: Path | None, overwrite: bool, **given: Any) -> None:
    """Write MODEL (a name or a file) in int8: a quarter of the size and faster, if it still answers as before.

    The report goes beside the file, as .json and, where matplotlib is installed, .png. Exits with 3 and writes nothing if
    accuracy drops by more than --max-drop or int8 is no faster on this CPU. Copies and near-copies of a picture count once.
    """
    from .. import hub, modelfile
    from ..dataset.reading import reading_of
    from ..quantize import GateError, QuantizeOptions, report

    found = hub.locate(model)
    target = output or Path(f"{Path(model).name.removesuffix('.safetensors')}.int8.safetensors")
    check_target(target, overwrite, found.path)
    options = QuantizeOptions(
        given["images"], given["ranges"], max_drop=given["max_drop"], max_pixels=given["max_pixels"], **reading_of(given)
    )
    try:
        outcome = run(modelfile.read(found.path, found.config), data, given, options)
    except GateError as error:
        say(report.text(error.outcome.report))
        say(f"Error: {one_line(str(error))}. Nothing is written (--force writes it all the same)", err=True)
        raise click.exceptions.Exit(REFUSED) from None
    modelfile.write(target, outcome.model)
    write_report(target, outcome.report)
    say(report.text(outcome.report))
    say(f"{plain(target)}: {target.stat().st_size / 1e6:.2f} MB")


def run(model: Any, data: tuple[str, ...], given: dict[str, Any], options: Any) -> Any:
    """Quantise, and say on standard error what is being done."""
    from ..quantize import quantize

    def tell(text: str) -> None:
        say(f"lcnet: {one_line(text)}", err=True)

    return quantize(model, list(data), given["evaluation"], options, given["force"], tell)


def write_report(target: Path, measured: dict[str, Any]) -> None:
    """Write the report beside the model file: JSON, and a plot if matplotlib is there."""
    from ..errors import MissingExtraError
    from ..files import write_atomically
    from ..quantize import report

    stem = target.with_suffix("") if target.suffix == ".safetensors" else target
    write_atomically(Path(f"{stem}.json"), (json_text(measured) + "\n").encode())
    try:
        report.draw(measured, Path(f"{stem}.png"))
    except MissingExtraError as error:
        say(f"lcnet: {error}", err=True)
