"""`lcnet evaluate`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import InputError
from ..files import check_target
from ..text import one_line, plain, shown
from .codes import INCOMPLETE, Misuse
from .options import columns, engine_options, json_text, load_model, reading_options, say
from .progress import Progress

if TYPE_CHECKING:
    from ..dataset import Splits
    from ..evaluate import Answers, Evaluation, LabeledPictures
    from ..evaluate.decisions import Spec, Thresholds

ROWS = 50  # classes in a table


@click.command()
@click.argument("model")
@click.argument("data")
@click.option(
    "--split",
    type=click.Choice(["test", "val", "train", "all"]),
    help="The part of DATA.  [default: test if there, else val, else all; to find a decision layer val first]",
)
@click.option("--restrict", is_flag=True, help="Let only the classes of DATA compete (ImageNet-A, ImageNet-R).")
@click.option("--real", metavar="FILE", type=click.Path(path_type=Path), help="Measure against the ReaL labels in real.json.")
@click.option("--skip-unreadable", is_flag=True, help="Leave out pictures that cannot be read, and list them.")
@click.option("--temperature", is_flag=True, help="Fit a temperature and store it in the model file.")
@click.option(
    "--threshold", metavar="SPEC", help="Find a threshold a class and store them: 'fpr<=X', 'precision>=X', 'recall>=X'."
)
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Store the decision layer in a copy of the model instead of MODEL.",
)
@click.option(
    "--report", metavar="DIR", type=click.Path(path_type=Path), help="Write report.html, its pictures and evaluation.json."
)
@click.option("--overwrite", is_flag=True, help="Replace the report's folder and the --output file if they exist.")
@click.option("--format", "-f", "style", type=click.Choice(["table", "json"]), default="table", show_default=True)
@reading_options
@engine_options
@click.pass_context
def evaluate(
    ctx: click.Context,
    data: str,
    split: str | None,
    temperature: bool,
    threshold: str | None,
    output: Path | None,
    report: Path | None,
    overwrite: bool,
    style: str,
    **_: Any,
) -> None:
    """Measure MODEL on the labelled pictures of DATA, with the engine that will serve it.

    DATA is a folder with a folder a class, a table, tar shards or a zip file, as for `lcnet train`. A picture that cannot be
    read stops the evaluation with its name.
    """
    from ..dataset import open_dataset
    from ..dataset.reading import reading_of
    from ..evaluate import measure
    from ..evaluate.decisions import parse_spec
    from ..sources.passed import Passed

    spec = None if threshold is None else parse_spec(threshold)
    deciding = temperature or spec is not None
    storage = _storage(ctx.params, deciding)
    if report is not None:
        from ..evaluate.report import check

        check(report, overwrite)
    passed = Passed()
    part, pictures = _part(open_dataset(data, passed=passed, **reading_of(ctx.params)), split, deciding)
    if passed.text():
        say(f"lcnet: {passed.text()}", err=True)
    answers = _answers(ctx.params, pictures)
    evaluation, facts = measure(answers), {"model": shown(ctx.params["model"]), "data": shown(data), "split": part}
    told: list[str] = []
    if deciding:
        evaluation, told = _decide(answers, evaluation, temperature, spec, storage, part)
    if report is not None:
        from ..evaluate.report import write_report

        title = f"{plain(ctx.params['model'])} on {part} of {plain(Path(data).name or data)}"
        write_report(report, evaluation, title=title, overwrite=overwrite)
        told.append(f"{plain(report / 'report.html')}: written")
    say(json_text({**facts, **evaluation.to_json()}) if style == "json" else table(evaluation, facts))
    for line in told:
        say(line, err=style == "json")
    if evaluation.answers.skipped:
        ctx.exit(INCOMPLETE)


def _storage(given: dict[str, Any], deciding: bool) -> Any:
    """The model's own file and the one to write, settled before any work; None if nothing is to be stored."""
    from .. import hub
    from ..evaluate.decisions import target

    output = given["output"]
    if not deciding:
        if output is not None:
            raise Misuse("--output is where a decision layer is stored: ask for --temperature or --threshold")
        return None
    if output is not None:
        check_target(output, given["overwrite"])
    located = hub.locate(given["model"])
    return located, target(located, output)


def _part(splits: Splits, split: str | None, deciding: bool) -> tuple[str, LabeledPictures]:
    """The name of the part to measure on, and its pictures."""
    from ..evaluate import Joined

    parts: dict[str, LabeledPictures] = dict(splits.parts())
    order = ("val", "test") if deciding else ("test", "val")
    name = split or next((n for n in order if n in parts), "all")
    if name == "all":
        return name, next(iter(parts.values())) if len(parts) == 1 else Joined(list(parts.values()))
    if name not in parts:
        raise InputError(f"the data has no part {name!r}: it has {', '.join(parts)}")
    return name, parts[name]


def _answers(given: dict[str, Any], pictures: LabeledPictures) -> Answers:
    from ..evaluate import answer

    model, total = load_model(given), len(pictures)
    progress = Progress(sys.stderr, lambda: total)
    try:
        return answer(
            model,
            pictures,
            restrict=given["restrict"],
            real=given["real"],
            progress=progress.advance,
            skip_unreadable=given["skip_unreadable"],
        )
    finally:
        progress.clear()


def _decide(
    answers: Answers, before: Evaluation, temperature: bool, spec: Spec | None, storage: Any, part: str
) -> tuple[Evaluation, list[str]]:
    """Find and store a decision layer; returns the evaluation with it, and what to tell."""
    from ..evaluate import measure
    from ..evaluate.decisions import choose, store

    decision, found = choose(answers, temperature, spec)
    how = {"pictures": len(answers.logits), "part": part, "temperature": "fitted" if temperature else "kept"}
    located, path = storage
    store(located, path, decision, {**how, "thresholds": str(spec) if spec else "kept"})
    evaluation = measure(answers, decision)
    told = []
    if temperature:
        changes = ", ".join(
            f"{title} {before.summary[key].value:.4f} -> {evaluation.summary[key].value:.4f}"
            for key, title in (("loss", "log loss"), ("calibration_error", "calibration error"))
        )
        told.append(f"temperature {decision.temperature:g}: {changes}")
    if found is not None:
        told += _found_text(found, spec)
    return evaluation, [*told, f"{plain(path)}: decision layer stored"]


def _found_text(found: Thresholds, spec: Spec | None) -> list[str]:
    values = found.by_label.values()
    span = f", {min(values):g} to {max(values):g}" if values else ""
    lines = [f"thresholds for {spec}: {len(values)} labels{span}"]
    for names, words in ((found.missed, "cannot hold it"), (found.unmeasured, "could not be measured: no threshold")):
        if names:
            more = f" and {len(names) - 5} more" if len(names) > 5 else ""
            lines.append(f"  {', '.join(one_line(n.split(',')[0]) for n in names[:5])}{more}: {words}")
    return lines


def table(evaluation: Evaluation, facts: dict[str, Any]) -> str:
    """Format an evaluation: the summary, the classes (of many the worst), the slices, the notes."""
    from ..evaluate.tables import class_rows, decided_rows, slice_rows, summary_rows

    head = f"{plain(facts['model'])} on {facts['split']} of {plain(facts['data'])}: {evaluation.pictures} pictures"
    parts = [head, columns(summary_rows(evaluation), right=(1, 2))]
    if evaluation.classes is not None:
        parts.append(columns(class_rows(evaluation, ROWS), right=range(1, 6)))
    if evaluation.decided is not None:
        parts.append(columns(decided_rows(evaluation, ROWS), right=range(1, 6)))
    if len(evaluation.slices) > 1:
        parts.append(columns([["shorter side", "pictures", "right", ""], *slice_rows(evaluation)], right=(1, 2, 3)))
    notes = [f"note: {note}" for note in evaluation.notes()]
    notes += [f"not read: {one_line(s.name)}: {one_line(s.reason)}" for s in evaluation.answers.skipped]
    return "\n\n".join([*parts, *(["\n".join(notes)] if notes else [])])
