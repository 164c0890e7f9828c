"""How good a model is, measured by the engine that will serve it: metrics, intervals, thresholds, and a report.

    from lcnet.evaluate import evaluate
    print(evaluate(lcnet.load("model.safetensors"), open_dataset("photos/").val).to_json()["top1"])

A picture that cannot be read is never replaced by another. docs/evaluate.md defines every number.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..renamed import renamed
from .evaluation import Evaluation
from .measure import measure
from .metrics import Estimate
from .report import write_report
from .run import Answers, Joined, LabeledPictures, answer

if TYPE_CHECKING:
    from ..runtime import Classifier

__all__ = ["LabeledPictures", "Answers", "Estimate", "Evaluation", "Joined", "answer", "evaluate", "measure", "write_report"]

__getattr__ = renamed(__name__, {"Measure": "Estimate", "Pictures": "LabeledPictures"})


def evaluate(
    model: Classifier,
    dataset: LabeledPictures,
    *,
    restrict: bool = False,
    real: Path | None = None,
    skip_unreadable: bool = False,
    workers: int | None = None,
    progress: Callable[[], None] | None = None,
) -> Evaluation:
    """Run a model on a `lcnet.dataset.Dataset` and measure its answers.

    restrict: only the data's classes compete, as is usual for ImageNet-A and R. real: the ReaL labels to measure against
    instead of the data's own. skip_unreadable: leave out what cannot be read, and name it. workers: threads that decode
    and run, by default as many as the model's. progress: called after each picture. Raises `ImageError` for the first
    picture that cannot be read, `InputError` for classes that are not the model's.
    """
    return measure(
        answer(
            model, dataset, restrict=restrict, real=real, skip_unreadable=skip_unreadable, workers=workers, progress=progress
        )
    )
