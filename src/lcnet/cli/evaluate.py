"""`lcnet evaluate`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import InputError
from ..files import check_target
from ..text import one_line, plain, shown
from .advice import advised
from .codes import INCOMPLETE, Misuse
from .either import model_place
from .options import columns, engine_options, json_text, load_model, overwrite_option, reading_options, say, skip_option
from .progress import Progress

if TYPE_CHECKING:
    from ..config import ModelConfig
    from ..dataset import Splits
    from ..evaluate import Answers, Evaluation, LabeledPictures
    from ..evaluate.decisions import Spec, Thresholds
    from ..runtime import Classifier

ROWS = 50  # classes in a table
UNSTORED = "nothing is stored: the same with -o FILE stores it in a copy of the model, with --in-place in the model itself"


@click.command()
@model_place()
@click.argument("data", type=click.Path())
@click.option(
    "--split",
    type=click.Choice(["test", "val", "train", "all"]),
    help="The part of DATA.  [default: test, else val, else what MODEL's training set aside, else all; to fit, val first]",
)
@click.option("--restrict", is_flag=True, help="Let only the classes of DATA compete (ImageNet-A, ImageNet-R).")
@click.option("--real", metavar="FILE", type=click.Path(path_type=Path), help="Measure against the ReaL labels in real.json.")
@skip_option
@click.option("--temperature", is_flag=True, help="Fit a temperature, and measure with it.")
@click.option(
    "--threshold",
    metavar="SPEC",
    help="Find a threshold a class, 'fpr<=X', 'precision>=X', 'recall>=X', or take X for all; and measure with them.",
)
@click.option(
    "--output", "-o", type=click.Path(path_type=Path, dir_okay=False), help="Store what was found in a copy of the model."
)
@click.option("--in-place", is_flag=True, help="Store what was found in MODEL itself.")
@click.option(
    "--report", metavar="DIR", type=click.Path(path_type=Path), help="Write report.html, its pictures and evaluation.json."
)
@overwrite_option
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
    read stops the evaluation with its name. Pictures that MODEL was trained on are told of. Nothing is stored unless
    --output or --in-place says where.
    """
    from ..dataset import open_dataset
    from ..dataset.reading import reading_of
    from ..evaluate import measure
    from ..sources.passed import Passed

    spec = None if threshold is None else _spec(threshold)
    deciding = temperature or spec is not None
    storage = _storage(ctx.params, deciding)
    if report is not None:
        from ..evaluate.report import check

        check(report, overwrite)
    passed = Passed()
    splits, model = open_dataset(data, passed=passed, **reading_of(ctx.params)), load_model(ctx.params)
    part, pictures = _part(splits, split, temperature or (spec is not None and spec.fitted), model.config)
    if passed.text():
        say(f"lcnet: {passed.text()}", err=True)
    answers = _answers(ctx.params, model, pictures)
    evaluation, facts = measure(answers), {"model": shown(ctx.params["model"]), "data": shown(data), "split": part}
    told: list[str] = []
    if deciding:
        evaluation, told = _decide(answers, evaluation, temperature, spec, storage, part)
    if report is not None:
        from ..evaluate.report import write_report

        title = f"{plain(ctx.params['model'])} on {part} of {plain(Path(data).name or data)}"
        write_report(report, evaluation, title=title, overwrite=overwrite)
        told.append(f"{plain(report / 'report.html')}: written")
    if style == "json" and (warning := evaluation.seen_text()):
        say(f"lcnet: warning: {warning}", err=True)
    say(json_text({**facts, **evaluation.to_json()}) if style == "json" else table(evaluation, facts))
    for line in told:
        say(line, err=style == "json")
    if evaluation.answers.skipped:
        ctx.exit(INCOMPLETE)


def _spec(text: str) -> Spec:
    from ..evaluate.decisions import parse_spec

    try:
        return parse_spec(text)
    except InputError as error:
        raise Misuse(str(error)) from None


def _storage(given: dict[str, Any], deciding: bool) -> Any:
    """The model's own file and the one to write, settled before any work; None if nothing is to be stored."""
    from .. import hub
    from ..evaluate.decisions import target

    output, in_place = given["output"], given["in_place"]
    if output is None and not in_place:
        return None
    name = "--in-place" if in_place else "--output"
    if not deciding:
        raise Misuse(f"{name} is where a decision layer is stored: ask for --temperature or --threshold")
    if output is not None and in_place:
        raise Misuse("--output stores what is found in a copy of the model, --in-place in the model: choose one")
    if output is not None:
        check_target(output, given["overwrite"])
    located = hub.locate(given["model"])
    return located, target(located, output)


def _part(splits: Splits, split: str | None, fitting: bool, config: ModelConfig) -> tuple[str, LabeledPictures]:
    """The name of the part to measure on, and its pictures. Data without parts has a val if it is what training split."""
    from ..evaluate import Joined
    from ..evaluate.trained import held_out

    parts: dict[str, LabeledPictures] = dict(splits.parts())
    if split in (None, "val") and len(parts) == 1 and (aside := held_out(config, splits.train)):
        parts["val"] = aside
        say(f"lcnet: val is the {len(aside)} pictures that training set aside; the best epoch was chosen on them", err=True)
    order = ("val", "test") if fitting else ("test", "val")
    name = split or next((n for n in order if n in parts), "all")
    if name == "all":
        return name, next(iter(parts.values())) if len(parts) == 1 else Joined(list(parts.values()))
    if name not in parts:
        raise InputError(f"the data has no part {name!r}: it has {', '.join(parts)}")
    return name, parts[name]


def _answers(given: dict[str, Any], model: Classifier, pictures: LabeledPictures) -> Answers:
    from ..evaluate import answer

    total = len(pictures)
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
    """Find a decision layer and store it if there is where; returns the evaluation with it, and what to tell."""
    from ..evaluate import measure
    from ..evaluate.decisions import choose, store

    decision, found = choose(answers, temperature, spec)
    how = {"pictures": len(answers.logits), "part": part, "temperature": "fitted" if temperature else "kept"}
    if storage:
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
    if found is not None and spec is not None:
        told += _found_text(found, spec)
    return evaluation, [*told, f"{plain(storage[1])}: decision layer stored" if storage else UNSTORED]


def _found_text(found: Thresholds, spec: Spec) -> list[str]:
    values = found.by_label.values()
    if not spec.fitted:
        return [f"threshold {spec} for all {len(values)} labels"]
    span = f", {min(values):g} to {max(values):g}" if values else ""
    lines = [f"thresholds for {spec}: {len(values)} labels{span}"]
    for names, words in ((found.missed, "cannot hold it"), (found.unmeasured, "could not be measured: no threshold")):
        if names:
            more = f" and {len(names) - 5} more" if len(names) > 5 else ""
            lines.append(f"  {', '.join(one_line(n.split(',')[0]) for n in names[:5])}{more}: {words}")
    return lines


def table(evaluation: Evaluation, facts: dict[str, Any]) -> str:
    """Format an evaluation: the summary, the classes (of many the worst), the slices, the notes."""
    from ..evaluate.tables import class_rows, decided_rows, group_rows, slice_rows, summary_rows

    head = f"{plain(facts['model'])} on {facts['split']} of {plain(facts['data'])}: {evaluation.pictures} pictures"
    parts = [head, columns(summary_rows(evaluation), right=(1, 2))]
    if evaluation.classes is not None:
        parts.append(columns(class_rows(evaluation, ROWS), right=range(1, 6)))
    if evaluation.decided is not None:
        parts.append(columns(decided_rows(evaluation, ROWS), right=range(1, 6)))
    if evaluation.groups:
        parts.append(columns(group_rows(evaluation), right=(1, 2, 3, 4)))
    if len(evaluation.slices) > 1:
        parts.append(columns([["shorter side", "pictures", "right", ""], *slice_rows(evaluation)], right=(1, 2, 3)))
    notes = [f"note: {advised(note)}" for note in evaluation.notes()]
    notes += [f"not read: {one_line(s.name)}: {one_line(s.reason)}" for s in evaluation.answers.skipped]
    return "\n\n".join([*parts, *(["\n".join(notes)] if notes else [])])
