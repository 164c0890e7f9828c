"""`lcnet probe`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..text import one_line, plain
from .codes import INCOMPLETE, Misuse
from .options import columns, json_text, model_options, overwrite_option, reading_options, say, skip_option
from .progress import Progress

if TYPE_CHECKING:
    from ..probe.record import Probe

_ENGINE = ("threads", "isa", "precision", "decode", "max_pixels")


@click.command()
@click.argument("data", type=click.Path(), required=False)
@click.option(
    "--output", "-o", required=True, type=click.Path(path_type=Path, dir_okay=False), help="The model file that comes of it."
)
@model_options
@click.option("--intervals/--quick", default=True, help="Measure accuracy and the learning curve, or make the model only.")
@click.option(
    "--views",
    type=click.IntRange(0, 32),
    help="Crops of each picture to learn from besides.  [default: 3 up to 20 pictures a class, else 0]",
)
@click.option(
    "--class-weights",
    type=click.Choice(["balanced", "none"]),
    default="balanced",
    show_default=True,
    help="balanced: each class counts the same; none: each picture does.",
)
@click.option(
    "--add-class",
    nargs=2,
    metavar="NAME DIR",
    help="In place of DATA: give the --model, which a probe made, one class more, from a folder of its pictures.",
)
@click.option(
    "--cache", metavar="DIR", type=click.Path(path_type=Path), help="Keep features there.  [default: the user's cache]"
)
@click.option("--no-cache", is_flag=True, help="Keep no features.")
@click.option("--format", "-f", "style", type=click.Choice(["table", "json"]), default="table", show_default=True)
@skip_option
@overwrite_option
@reading_options
@click.pass_context
def probe(ctx: click.Context, data: str | None, output: Path, style: str, **given: Any) -> None:
    """Make a classifier of your own pictures in seconds: MODEL's features, and logistic regression on them.

    DATA is whatever `lcnet train` takes. Which layers of MODEL tell the classes apart best is found out; the result is an
    ordinary model file, usually smaller and faster than MODEL. Accuracy is measured on pictures that were left out, with 95%
    intervals. Needs no torch.
    """
    added = given["add_class"]
    if (data is None) == (not added):
        raise Misuse("give DATA to learn from, or --add-class NAME DIR to add to --model: one of them")
    if given["no_cache"] and given["cache"]:
        raise Misuse("--cache says where features are kept, --no-cache that none are: choose one")
    progress = Progress(sys.stderr, lambda: None, draw=style == "table")
    cache = None if given["no_cache"] else given["cache"] or "user"
    common = {"output": output, "cache": cache, "advance": progress.advance}
    common |= {name: given[name] for name in ("overwrite", "views", "skip_unreadable")}
    try:
        made = _add(ctx, added, common, given) if added else _fit(data, common, given, progress)
    finally:
        progress.clear()
    say(json_text(made.report) if style == "json" else _added(made) if added else table(made))
    if made.report.get("passed"):
        say(f"lcnet: {made.report['passed']}", err=True)
    for skipped in made.report["skipped"]:
        say(f"lcnet: left out {plain(skipped['name'])}: {one_line(skipped['reason'])}", err=True)
    if made.report["skipped"]:
        ctx.exit(INCOMPLETE)


def _fit(data: str | None, common: dict[str, Any], given: dict[str, Any], progress: Progress) -> Probe:
    from .. import probe
    from ..dataset.reading import reading_of

    assert data is not None
    engine = {name: given[name] for name in _ENGINE}
    asked = {name: given[name] for name in ("intervals", "class_weights")}
    return probe.fit(data, given["model"], say=progress.show, **asked, **engine, **common, **reading_of(given))


_ONLY_DATA = {"intervals": "--quick", "class_weights": "--class-weights", "isa": "--isa", "precision": "--precision"}
_ONLY_DATA |= {"decode": "--decode", "labels_from_names": "--labels-from-names", "columns": "--columns"}
_ONLY_DATA |= {"label_separator": "--label-separator"}


def _add(ctx: click.Context, added: tuple[str, str], common: dict[str, Any], given: dict[str, Any]) -> Probe:
    from .. import probe

    for name, option in _ONLY_DATA.items():
        if ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            raise Misuse(f"{option} is about DATA, and --add-class takes none: leave it out")
    if ctx.get_parameter_source("model") is not click.core.ParameterSource.COMMANDLINE:
        raise Misuse("--add-class adds to the model file that a probe made: name it with --model")
    name, folder = added
    return probe.add_class(given["model"], name, folder, threads=given["threads"], max_pixels=given["max_pixels"], **common)


def table(made: Probe) -> str:
    """What was chosen and measured, for people."""
    report, size = made.report, made.model.config.arch
    lines = [
        f"{report['pictures']} pictures of {report['classes']} classes, features of {one_line(report['base'])}",
        "",
        _candidates(report),
        "",
        f"taken: {_read(report['classifier_input'])}: {report['why']}",
    ]
    lines += ["", _measures("on pictures left out", report["measured"], report["pictures"])] if report["measured"] else []
    lines += [_measures("on the test pictures", report["test"], report["test"]["pictures"])] if report["test"] else []
    lines += ["", _curve(report)] if len(report["curve"]) > 1 else []
    lines += ["", *map(one_line, report["advice"])] if report["advice"] else []
    parameters = size.parameters
    millions = f"{parameters / 1e6:.2f} million parameters" if parameters >= 1e5 else f"{parameters:,} parameters"
    seconds = ", ".join(f"{name} {value:.1f} s" for name, value in report["seconds"].items())
    return "\n".join([*lines, "", f"{one_line(report['file'])}: {millions}; {seconds}"])


def _candidates(report: dict[str, Any]) -> str:
    rows = [["the classifier reads", "features", "error", "right"]]
    for row in report["candidates"]:
        mark = "  *" if row["classifier_input"] == report["classifier_input"] else ""
        numbers = [str(row["features"]), f"{row['error']:.4f}", f"{100 * row['right']:.1f}%{mark}"]
        rows.append([_read(row["classifier_input"]), *numbers])
    return columns(rows, (1, 2))


def _read(stages: list[str]) -> str:
    return stages[0] if len(stages) == 1 else f"{stages[0]} to {stages[-1]}"


def _measures(where: str, found: dict[str, Any], pictures: int) -> str:
    names = [name for name in found if name != "pictures"]
    told = ", ".join(f"{name} {_percent(found[name])}" for name in names)
    return f"{where} ({pictures}): {told}"


def _percent(value: list[float | None]) -> str:
    middle, low, high = ("?" if v is None else f"{100 * v:.2f}" for v in value)
    return f"{middle}%" if value[1] is None else f"{middle}% ({low} to {high})"


def _curve(report: dict[str, Any]) -> str:
    name = "mAP" if report["multi_label"] else "top1"
    rows = [["pictures a class", name]]
    rows += [[str(row["a_class"]), _percent(row["right"])] for row in report["curve"]]
    return columns(rows, (0,))


def _added(made: Probe) -> str:
    report = made.report
    before, lost = 100 * report["others_before"], 100 * (report["others_before"] - report["others_after"])
    known = f"left out in turn, {_percent(report['recall'])} are known"
    return "\n".join(
        [
            f"{one_line(report['added'])}: {report['pictures']} pictures; {known}",
            f"the other classes: {before:.1f}% right before, of which {lost:.1f} points go to the new class (an estimate from "
            "the statistics, without their pictures)",
            f"{one_line(report['file'])}: {made.model.config.arch.num_classes} classes",
        ]
    )
