"""An evaluation as rows of text, for the terminal and for the report."""

from __future__ import annotations

from typing import Any

from .evaluation import Evaluation
from .metrics import Estimate

TITLES = {
    "top1": "top-1",
    "balanced_accuracy": "balanced accuracy",
    "macro_precision": "precision, mean of classes",
    "macro_f1": "F1, mean of classes",
    "mAP": "mean average precision",
    "micro_f1": "F1, all labels together",
    "exact": "exactly the right labels",
    "calibration_error": "calibration error",
    "loss": "log loss",
    "brier": "Brier score",
    "answered": "answered",
    "answered_right": "right of those answered",
}
NO_SHARE = ("loss", "brier")


def estimate_text(estimate: Estimate, share: bool = True) -> list[str]:
    """A value and its interval; what cannot be measured is a dash."""

    def text(value: float) -> str:
        if value != value:
            return "-"
        return f"{100 * value:.2f}%" if share else f"{value:.4f}"

    value, low, high = estimate
    return [text(value), "" if low != low else f"{text(low)} to {text(high)}"]


def summary_rows(evaluation: Evaluation) -> list[list[str]]:
    """Name, value and interval of each measure."""
    return [
        [TITLES.get(key, key.replace("top", "top-")), *estimate_text(estimate, key not in NO_SHARE)]
        for key, estimate in evaluation.summary.items()
    ]


def class_rows(evaluation: Evaluation, most: int) -> list[list[str]]:
    """A heading, and a row for each class that has pictures; of more than `most` those with the lowest F1."""
    rows = [row for row in evaluation.to_json()["classes"] or () if row["support"]]
    keys = ["precision", "recall", "f1", *(["average_precision"] if evaluation.multi_label else [])]
    shown = sorted(rows, key=lambda row: row["f1"])[:most] if len(rows) > most else rows
    title = "class" if len(shown) == len(rows) else f"the worst {most} of {len(rows)} classes"
    head = [title, "pictures", *(key.replace("_", " ") for key in keys)]
    return [head, *([row["label"].split(",")[0], str(row["support"]), *(_rate(row[k]) for k in keys)] for row in shown)]


def decided_rows(evaluation: Evaluation, most: int) -> list[list[str]]:
    """A heading, and what the thresholds make of each class that has pictures; of more than `most` the least recalled."""
    rows = [row for row in evaluation.to_json()["classes"] or () if row["support"]]
    shown = sorted(rows, key=lambda row: row["decided"]["recall"])[:most] if len(rows) > most else rows
    head = ["with thresholds", "threshold", "answers", "precision", "recall", "false positives"]
    return [head, *(_decided(row["label"].split(",")[0], row["decided"]) for row in shown)]


def _decided(name: str, row: dict[str, Any]) -> list[str]:
    threshold = "-" if row["threshold"] is None else f"{row['threshold']:.4g}"
    return [name, threshold, str(row["predicted"]), *(_rate(row[key]) for key in ("precision", "recall", "fpr"))]


def _rate(value: Any) -> str:
    number = value["value"] if isinstance(value, dict) else value
    return "-" if number is None else f"{100 * number:.1f}%"


def group_rows(evaluation: Evaluation) -> list[list[str]]:
    """A heading, and of each group of labels in how many pictures there are any, how many get any, and the share right."""
    rows = [[g.name, str(g.support), str(g.predicted), *estimate_text(g.right)] for g in evaluation.groups]
    return [["group", "pictures with any", "answers", "exactly right", ""], *rows]


def slice_rows(evaluation: Evaluation) -> list[list[str]]:
    """Sizes, pictures, share that is right and its interval."""
    return [
        [f"{s.low} to {s.high} px" if s.high else f"{s.low} px and more", str(s.pictures), *estimate_text(s.right)]
        for s in evaluation.slices
    ]
