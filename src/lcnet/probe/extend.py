"""One class more for a probe whose pictures are gone: a row of the classifier, fitted against what is kept of the others.

The other rows stay as they are, so that the others are told apart as before. The new row is binary logistic regression of
"this class" against the log of the sum of the others' exponentials, on the new pictures and on features drawn from normal
distributions with the others' means and their common covariance.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import hub, modelfile
from ..config import Labels
from ..errors import InputError
from ..evaluate.metrics import share
from ..modelfile import ModelFile
from ..text import plain, shown
from . import statistics
from .choice import Scale
from .features import Advance, Engine, Extractor
from .folds import apart, folds_of
from .gathered import Gathered
from .linear import Linear, inverse_strength
from .measure import estimate_json
from .pictures import LEAST, labels_of
from .record import Probe
from .statistics import Statistics
from .trunk import check_base
from .work import crops_for, write

DRAWN = 200  # features a class that stand for the pictures that are gone
_CHECKS = 1  # the seed of those that measure, which are not those that were learned from


def extended(
    path: Path,
    name: str,
    folder: str | os.PathLike[str],
    output: Path | None,
    engine: Engine,
    views: int | None,
    skip_unreadable: bool,
    advance: Advance,
) -> Probe:
    """Add the class, write the model, and say what it costs."""
    found = hub.locate(path)
    model = modelfile.read(found.path, found.config)
    _check(model, plain(path), name)
    kept = statistics.read(found.path)
    linear = Linear(model.weights["classifier.weight"].astype(np.float64), model.weights["classifier.bias"].astype(np.float64))
    _check_fits(kept, linear, found.path)
    pictures, extractor = Gathered(folder), Extractor(model, engine)
    table = extractor.table(pictures, skip_unreadable, advance)
    groups, _ = apart(pictures.targets[table.rows], table.copies, table.groups)
    if len(np.unique(groups)) < LEAST:
        raise InputError(
            f"{plain(folder)}: {LEAST} different pictures of a class are needed, copies and near-copies counted once: "
            "add pictures"
        )
    columns = extractor.columns.of(model.config.arch.classifier_input)
    x = table.values[:, columns].astype(np.float64)
    count = crops_for(np.zeros(len(x), np.int64), views)
    crops = extractor.crops(pictures, table, count, advance)[:, :, columns] if count else np.empty((0, *x.shape))
    row = _row(linear, kept, np.concatenate([x, *crops]), len(x))
    costs = _costs(linear, row, kept, x, crops, groups)
    result = _with_row(model, row, name, {"pictures": len(x), **costs})
    if output is not None:
        write(output, result, kept.with_class(x))
    skipped = [s._asdict() for s in table.skipped]
    file = None if output is None else shown(output)
    return Probe(result, {"file": file, "added": shown(name), "pictures": len(x), "crops": count, **costs, "skipped": skipped})


def _check(model: ModelFile, path: str, name: str) -> None:
    config = model.config
    check_base(model, path)
    if config.labels is None or not config.arch.num_classes:
        raise InputError(f"{path} has no classes that one could be added to: `lcnet probe DATA` makes such a model")
    if config.decision.multi_label:
        raise InputError(
            f"{path} gives several labels a picture, of which the new pictures lack the others: probe again with all"
        )
    labels_of((name,))
    if name in config.labels.names:
        raise InputError(f"{path} has the class {name!r} already: choose another name, or probe again with all pictures")


def _check_fits(kept: Statistics, linear: Linear, path: Path) -> None:
    if kept.means.shape != linear.weight.shape:
        raise InputError(f"{plain(statistics.place(path))} does not fit the model: probe again with all pictures")


def _row(linear: Linear, kept: Statistics, new: np.ndarray, pictures: int) -> Linear:
    """The row of the class that these features [M,D] are of, which stand for so many pictures."""
    from scipy.optimize import minimize

    drawn, _ = kept.drawn(DRAWN)
    x = np.concatenate([drawn, new])
    wanted = np.repeat([0.0, 1.0], [len(drawn), len(new)])
    counts = np.repeat([pictures / DRAWN, pictures / len(new)], [len(drawn), len(new)])  # each class as many
    against, scale = _log_sum(linear(x)), Scale.of(x)
    c = inverse_strength(kept.strength, float(counts.sum()))
    z = scale(x)

    def loss(row: np.ndarray) -> tuple[float, np.ndarray]:
        logit = z @ row[:-1] + row[-1] - against
        off = counts * (1 / (1 + np.exp(-np.clip(logit, -500, 500))) - wanted)
        value = c * (counts * (np.logaddexp(0, logit) - wanted * logit)).sum() + row[:-1] @ row[:-1] / 2
        return float(value), np.append(c * (z.T @ off) + row[:-1], c * off.sum())

    row = minimize(loss, np.zeros(z.shape[1] + 1), jac=True, method="L-BFGS-B", options={"maxiter": 500}).x
    weight = row[:-1] / scale.deviation
    return Linear(weight[None], np.array([row[-1] - weight @ scale.mean]))


def _log_sum(logits: np.ndarray) -> np.ndarray:
    top = logits.max(axis=1)
    return np.asarray(top + np.log(np.exp(logits - top[:, None]).sum(axis=1)))


def _costs(
    linear: Linear, row: Linear, kept: Statistics, x: np.ndarray, crops: np.ndarray, groups: np.ndarray
) -> dict[str, Any]:
    """How many new pictures are known by a row that has not seen them, and how the others fare, as far as statistics tell."""
    fold, known = folds_of(np.zeros(len(x), np.int64), groups), 0
    for f in np.unique(fold):
        inside, outside = x[fold != f], x[fold == f]
        part = _row(linear, kept, np.concatenate([inside, *crops[:, fold != f]]), len(inside))
        known += int((part(outside)[:, 0] > linear(outside).max(axis=1)).sum())
    drawn, targets = kept.drawn(DRAWN, _CHECKS)
    said = linear(drawn)
    right, lost = said.argmax(axis=1) == targets, row(drawn)[:, 0] > said.max(axis=1)
    return {
        "recall": estimate_json(share(known, len(x))),
        "others_before": round(float(right.mean()), 4),
        "others_after": round(float((right & ~lost).mean()), 4),
    }


def _with_row(model: ModelFile, row: Linear, name: str, facts: dict[str, Any]) -> ModelFile:
    weights = dict(model.weights)
    weights["classifier.weight"] = np.vstack([weights["classifier.weight"], row.weight.astype(np.float32)])
    weights["classifier.bias"] = np.append(weights["classifier.bias"], row.bias.astype(np.float32))
    config, labels = model.config, model.config.labels
    assert labels is not None
    named = Labels((*labels.names, name), None if labels.ids is None else (*labels.ids, name))
    added = config.provenance.get("added")
    provenance = {**config.provenance, "added": [*(added if isinstance(added, list) else []), {"label": name, **facts}]}
    arch = replace(config.arch, num_classes=len(named.names))
    return ModelFile(replace(config, arch=arch, labels=named, provenance=provenance), weights)
