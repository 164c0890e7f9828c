"""The job from labelled pictures to a model file and its numbers."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .. import hub, modelfile
from ..arch import EMBEDDINGS
from ..config import Decision, ModelConfig
from ..errors import InputError
from ..evaluate import evaluate
from ..evaluate.decisions import fit_temperature
from ..evaluate.measure import measure
from ..evaluate.run import Answers, LabeledPictures
from ..evaluate.trained import sketch_of as sketch_of_base
from ..modelfile import ModelFile
from ..sources.passed import Passed
from ..text import plain, shown
from . import linear, made, statistics
from .advice import advice
from .choice import Choice
from .features import Advance, Engine, Extractor
from .folds import apart
from .linear import Linear
from .measure import Point, Way, answers_of, curve, estimate_json, numbers, unseen
from .pictures import Learned, check, fingerprint, labels_of, opened, sketch_of
from .record import Probe
from .statistics import Statistics
from .trunk import check_base

SHOWN = 8  # candidates that the file lists
FEW = 20  # pictures that most classes have, up to which crops are learned from too, unless it is said
CROPS = 3


class Base(NamedTuple):
    """A model that features are taken from."""

    model: ModelFile
    name: str
    sha256: str


@dataclass
class Clock:
    """Seconds that the parts of a job took."""

    seconds: dict[str, float] = field(default_factory=dict)
    since: float = field(default_factory=time.perf_counter)

    def lap(self, name: str) -> None:
        """What was done since the last one is called so."""
        now = time.perf_counter()
        self.seconds[name], self.since = round(now - self.since, 3), now


class Measured(NamedTuple):
    """What was found on pictures that were not seen: the answers, and if it was asked for the measures and the curve."""

    answers: Answers
    measures: dict[str, Any] | None
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Job:
    """The options of `lcnet.probe.fit`."""

    engine: Engine
    intervals: bool
    views: int | None
    balanced: bool
    skip_unreadable: bool
    say: Callable[[str], None]
    advance: Advance

    def run(
        self, data: str | os.PathLike[str], model: str | os.PathLike[str], output: Path | None, reading: dict[str, Any]
    ) -> Probe:
        """Do it all."""
        with linear.fitting():
            return self._run(data, model, output, reading)

    def _run(
        self, data: str | os.PathLike[str], model: str | os.PathLike[str], output: Path | None, reading: dict[str, Any]
    ) -> Probe:
        clock, passed = Clock(), Passed()
        pictures = opened(data, passed, **reading)
        base = located(model)
        extractor = Extractor(base.model, self.engine)
        learned = self._learned(extractor, pictures.learned)
        clock.lap("features")
        way, every = Way(extractor.columns, self.balanced, extractor.network.threads), np.arange(len(learned.table))
        choice = way.choose(learned, every)
        fitted = way.fit(learned, every, choice.taken)
        clock.lap("fit")
        config = made.description(base.model.config, choice.taken.read, learned.labels, learned.multi_label)
        measured = self._measured(way, learned, pictures.learned, config, choice)
        decision = replace(config.decision, temperature=_temperature(measured.answers))
        clock.lap("measure")
        facts = self._facts(base, pictures.name, learned, choice, decision, measured)
        origin = self._origin(base, pictures.learned, learned, pictures.name, facts)
        result = made.model_of(base.model, fitted.linear, choice.taken.read, learned.labels, decision, origin)
        tested = self._test(result, pictures.test)
        clock.lap("test")
        if output is not None:
            write(output, result, None if learned.multi_label else _statistics(learned, fitted.linear, choice, way))
        skipped = [s._asdict() for s in learned.table.skipped]
        advised = advice(measured.points, learned.multi_label, _known(base, learned), learned.alike)
        extra = {"test": tested, "advice": advised, "passed": passed.text(), "skipped": skipped, "seconds": clock.seconds}
        return Probe(result, {"file": None if output is None else shown(output), **facts, **extra})

    def _learned(self, extractor: Extractor, pictures: LabeledPictures) -> Learned:
        labels = labels_of(pictures.classes)
        self.say("the features of the pictures")
        table = extractor.table(pictures, self.skip_unreadable, self.advance)
        targets = np.asarray(pictures.targets)[table.rows]
        groups, alike = apart(targets, table.copies, table.groups)
        table = replace(table, groups=groups)
        check(targets, table.groups, pictures.classes)
        count = crops_for(targets, self.views)
        crops = (
            extractor.crops(pictures, table, count, self.advance) if count else np.empty((0, *table.values.shape), np.float32)
        )
        return Learned(table, targets, labels, crops, alike)

    def _measured(self, way: Way, learned: Learned, pictures: LabeledPictures, config: ModelConfig, choice: Choice) -> Measured:
        """Without intervals, folds for the temperature alone, which do not choose anew."""
        self.say("accuracy on pictures left out" if self.intervals else "the temperature")
        logits = unseen(way, learned, None if self.intervals else choice.taken)
        answers = answers_of(learned, pictures, logits, config)
        if not self.intervals:
            return Measured(answers, None, ())
        found = measure(answers, config.decision)
        self.say("the learning curve")
        points = curve(way, learned, pictures, config, found)
        return Measured(answers, {name: estimate_json(value) for name, value in numbers(found).items()}, points)

    def _facts(
        self, base: Base, name: str, learned: Learned, choice: Choice, decision: Decision, measured: Measured
    ) -> dict[str, Any]:
        """What was chosen and measured, which the model file carries too."""
        taken = choice.taken
        return {
            "base": base.name,
            "data": shown(name),
            "pictures": len(learned.table),
            "classes": len(learned.labels.names),
            "multi_label": learned.multi_label,
            "classifier_input": list(taken.read),
            "features": taken.features,
            "why": choice.why,
            "candidates": [c.to_json() for c in listed(choice)],
            "strength": taken.strength,
            "class_weights": "balanced" if self.balanced and not learned.multi_label else "none",
            "crops": len(learned.crops),
            "temperature": decision.temperature,
            "measured": measured.measures,
            "curve": [{"a_class": p.a_class, "pictures": p.pictures, "right": estimate_json(p.right)} for p in measured.points],
        }

    def _origin(
        self, base: Base, pictures: LabeledPictures, learned: Learned, name: str, facts: dict[str, Any]
    ) -> dict[str, Any]:
        kept = {key: value for key, value in facts.items() if key not in ("base", "data", "pictures", "classes", "multi_label")}
        trained = sketch_of(pictures, learned.table.rows)
        return {
            **made.origin(base.model, base.name, base.sha256),
            "data": shown(name),
            "data_sha256": fingerprint(learned.table, learned.targets),
            "train_images": len(learned.table),
            **({"train_sketch": trained.to_json()} if trained else {}),
            "probe": kept,
        }

    def _test(self, model: ModelFile, test: LabeledPictures | None) -> dict[str, Any] | None:
        """Measure the model as it is on the pictures that are for that, with the engine that will serve it."""
        if test is None or not self.intervals:
            return None
        self.say("accuracy on the test pictures")
        found = evaluate(self.engine.classifier(model), test, skip_unreadable=self.skip_unreadable)
        return {"pictures": found.pictures, **{name: estimate_json(value) for name, value in numbers(found).items()}}


def located(model: str | os.PathLike[str]) -> Base:
    """Find and read the base. Raises `InputError` for one that cannot be one."""
    found = hub.locate(model)
    read = modelfile.read(found.path, found.config)
    name = os.fspath(model)
    check_base(read, plain(name))
    short = name if name.startswith(hub.HUB_PREFIXES) else os.path.basename(os.path.normpath(name))  # noqa: PTH119
    return Base(read, shown(short), hub.store.sha256_of(found.path))


def crops_for(targets: np.ndarray, views: int | None) -> int:
    """How many crops of each picture are learned from: as many as asked for, or some where most classes have few pictures."""
    if views is not None:
        return views
    counts = targets.sum(0) if targets.ndim == 2 else np.bincount(targets)
    return CROPS if np.median(counts) <= FEW else 0


def write(output: Path, model: ModelFile, kept: Statistics | None) -> None:
    """Write the model, then beside it what adding a class needs; what another model left there goes, but not before."""
    modelfile.write(output, model)
    if kept is not None:
        statistics.save(output, kept)
    else:
        statistics.place(output).unlink(missing_ok=True)


def listed(choice: Choice) -> list[Any]:
    """The best candidates, the one that was taken, and the embeddings, to compare."""
    compared = (choice.taken.read, (EMBEDDINGS,))
    return [c for i, c in enumerate(choice.candidates) if i < SHOWN or c.read in compared]


def _temperature(answers: Answers) -> float | None:
    """That of logits of unseen pictures; None where none fits, as where all are right."""
    try:
        return fit_temperature(answers)
    except InputError:
        return None


def _statistics(learned: Learned, linear: Linear, choice: Choice, way: Way) -> Statistics:
    x = learned.table.values[:, way.columns.of(choice.taken.read)]
    return Statistics.of(x, learned.targets, len(linear.bias), choice.taken.strength)


def _known(base: Base, learned: Learned) -> int:
    """How many of the pictures the base was trained on, as far as its file tells."""
    sketch = sketch_of_base(base.model.config)
    width = len(next(iter(sketch.known))) if sketch else 0
    return sum(row.tobytes()[:width] in sketch.known for row in learned.table.digests) if sketch else 0
