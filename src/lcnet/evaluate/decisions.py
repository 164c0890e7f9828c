"""The decision layer: a temperature and thresholds, found on pictures with known labels and stored in the model file.

Definitions, for a class c and a threshold t. A picture is answered with c if c is its most probable class and its
probability is at least t; with a multi-label model, and for the class that a model of two classes with a default asks for, if
that probability is at least t. Over all pictures,

    fpr        pictures of other classes that are answered with c, of all pictures of other classes
    precision  pictures of c that are answered with c, of all pictures that are answered with c
    recall     pictures of c that are answered with c, of all pictures of c

`fpr<=X` and `precision>=X` take the smallest t that holds the bound, so that as much as possible is answered;
`recall>=X` takes the largest. Where no t holds it, the class gets the strictest one (1; for `recall` the laxest, 0) and is
told of. A class on which nothing can be measured gets no threshold. A number is every label's threshold, whatever comes of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..config import Decision
from ..errors import InputError
from ..files import check_target
from ..runtime.decision import probabilities
from .measure import scores
from .run import Answers

if TYPE_CHECKING:
    from ..hub import Located

WIDEST = 100.0  # temperatures are 1 / WIDEST to WIDEST
STEPS = 60
ROUNDING = 1e-6  # of a picture: 0.29 of 100 is 29, whatever floating point makes of it
FIXED = "fixed"
_SPEC = re.compile(r"\s*(?:(fpr|precision|recall)\s*(<=|>=))?\s*([0-9.eE+-]+)\s*(%?)\s*")


class Spec(NamedTuple):
    """What thresholds must hold: `kind` is `fpr`, `precision` or `recall`, `bound` 0 to 1; or `fixed`, and the threshold."""

    kind: str
    bound: float

    def __str__(self) -> str:
        return f"{self.kind}{KINDS[self.kind].sign}{self.bound:g}" if self.kind != FIXED else f"{self.bound:g}"

    @property
    def fitted(self) -> bool:
        """Whether the thresholds depend on the pictures."""
        return self.kind != FIXED


def parse_spec(text: str) -> Spec:
    """Read `fpr<=0.01`, `precision>=0.95`, `recall>=90%`, or a number from 0 to 1. Raises `InputError`."""
    match = _SPEC.fullmatch(text)
    try:
        assert match is not None and (not match[1] or match[2] == KINDS[match[1]].sign)
        bound = float(match[3]) / (100 if match[4] else 1)
        assert 0 <= bound <= 1
    except (AssertionError, ValueError):
        raise InputError(
            f"the threshold {text!r} is none of fpr<=X, precision>=X, recall>=X (in quotes, as < and > mean something to "
            "the shell) and X, with X from 0 to 1"
        ) from None
    return Spec(match[1] or FIXED, bound)


def fit_temperature(answers: Answers) -> float:
    """Return the temperature that makes the logits' probabilities most likely (Guo et al. 2017), to four digits.

    The mean log loss is convex in 1 / temperature: its derivative is brought to zero by Newton's method within a bracket
    that halves where a step would leave it. Raises `InputError` if no temperature is best, as where all answers are right.
    """
    low, high, scale = 1 / WIDEST, WIDEST, 1.0
    if _slope(answers, low)[0] >= 0 or _slope(answers, high)[0] <= 0:
        raise InputError(
            f"no temperature fits: the answers to these {len(answers.logits)} pictures are all right, or no "
            "better than chance; it needs pictures that training has not seen"
        )
    for _ in range(STEPS):
        slope, curve = _slope(answers, scale)
        low, high = (scale, high) if slope < 0 else (low, scale)
        step = scale - slope / curve if curve > 0 else 0.0
        before, scale = scale, step if low < step < high else (low * high) ** 0.5
        if abs(scale - before) < 1e-7 * scale:
            break
    return float(f"{1 / scale:.4g}")


def _slope(answers: Answers, scale: float) -> tuple[float, float]:
    """First and second derivative of the mean log loss by `scale`, which multiplies the logits."""
    slope = curve = 0.0
    step = max(1, (1 << 20) // answers.logits.shape[1])
    for start in range(0, len(answers.logits), step):
        z, y = answers.logits[start : start + step].astype(np.float64), answers.targets[start : start + step]
        if y.ndim == 2:
            p = np.exp(-np.logaddexp(0, -scale * z))
            slope += ((p - y) * z).mean(axis=1).sum()
            curve += (p * (1 - p) * z * z).mean(axis=1).sum()
            continue
        p = np.exp(scale * (z - z.max(axis=1, keepdims=True)))
        p /= p.sum(axis=1, keepdims=True)
        mean = (p * z).sum(axis=1)
        slope += (mean - z[np.arange(len(z)), y]).sum()
        curve += ((p * z * z).sum(axis=1) - mean**2).sum()
    return slope / len(answers.logits), curve / len(answers.logits)


@dataclass(frozen=True)
class Thresholds:
    """Found thresholds by label; the labels for which the bound cannot be held, and those that could not be measured."""

    by_label: dict[str, float]
    missed: tuple[str, ...]
    unmeasured: tuple[str, ...]


def find_thresholds(answers: Answers, decision: Decision, spec: Spec) -> Thresholds:
    """Find the threshold of each class under the temperature of `decision`; classes of the same name get the safer one.

    Raises `InputError` for a model without labels.
    """
    if answers.config.labels is None:
        raise InputError("thresholds are stored by label, and this model has no labels")
    if not spec.fitted:
        return Thresholds(dict.fromkeys(answers.config.labels.names, spec.bound), (), ())
    by_label: dict[str, float] = {}
    missed, unmeasured = [], []
    safer = max if KINDS[spec.kind].most else min
    for name, candidates in zip(answers.names, _candidates(answers, decision), strict=True):
        if name == decision.default:  # what is answered below the others' thresholds has none
            continue
        found = threshold(candidates, spec)
        if found is None:
            unmeasured.append(name)
            continue
        by_label[name] = safer(found.value, by_label.get(name, found.value))
        if not found.held:
            missed.append(name)
    return Thresholds(by_label, tuple(missed), tuple(unmeasured))


class Candidates(NamedTuple):
    """What one class's threshold decides on."""

    scores: np.ndarray  # [M]: probabilities of the class for the pictures that could be answered with it
    right: np.ndarray  # bool [M]: which of them are of the class
    positives: int  # all pictures of the class
    negatives: int  # all others


def _candidates(answers: Answers, decision: Decision) -> Iterator[Candidates]:
    total = len(answers.logits)
    if decision.multi_label or (decision.default is not None and len(answers.columns) == 2):
        probs = probabilities(answers.logits, decision)
        targets = answers.targets if decision.multi_label else answers.targets[:, None] == np.arange(2)
        for column, right in zip(probs.T, (targets > 0).T, strict=True):
            yield Candidates(column, right, int(right.sum()), total - int(right.sum()))
        return
    found = scores(answers, decision)
    support = np.bincount(answers.targets, minlength=len(answers.columns))
    order = np.argsort(found.predicted, kind="stable")
    groups = np.split(order, np.searchsorted(found.predicted[order], np.arange(1, len(answers.columns))))
    for positives, rows in zip(support.tolist(), groups, strict=True):
        yield Candidates(found.confidence[rows], found.right[rows], positives, total - positives)


class Kind(NamedTuple):
    """A quantity that a threshold is to bound."""

    sign: str
    basis: Callable[[Candidates], int]  # what it is a share of; 0: it cannot be measured
    # (candidates, number of the most probable ones that are answered, how many of those are right, bound) -> held
    holds: Callable[[Candidates, np.ndarray, np.ndarray, float], np.ndarray]
    most: bool  # of the thresholds that hold it the one that answers most is taken, else the one that answers least


KINDS = {
    "fpr": Kind("<=", lambda c: c.negatives, lambda c, n, right, x: n - right <= x * c.negatives + ROUNDING, True),
    "precision": Kind(">=", lambda c: len(c.scores), lambda c, n, right, x: (right >= x * n - ROUNDING) & (n > 0), True),
    "recall": Kind(">=", lambda c: c.positives, lambda c, n, right, x: right >= x * c.positives - ROUNDING, False),
}


class Held(NamedTuple):
    """A threshold, and whether it holds the bound."""

    value: float
    held: bool


def threshold(candidates: Candidates, spec: Spec) -> Held | None:
    """Return the threshold of one class as the module's first lines define it; None if nothing can be measured."""
    kind, scores = KINDS[spec.kind], candidates.scores
    if not kind.basis(candidates):
        return None
    order = np.argsort(-scores, kind="stable")
    falling = scores[order].astype(np.float64)
    hits = np.concatenate([[0], np.cumsum(candidates.right[order])])  # [k]: of the k most probable
    cuts = np.flatnonzero(np.append(np.diff(falling) < 0, True)) + 1 if len(scores) else np.array([], np.int64)
    cuts = np.concatenate([[0], cuts]).astype(np.int64)  # how many a threshold can let through: equal scores together
    good = cuts[kind.holds(candidates, cuts, hits[cuts], spec.bound)]
    if not len(good):
        return Held(1.0 if kind.most else 0.0, False)
    return _between(falling, int(good[-1 if kind.most else 0]))


def _between(falling: np.ndarray, count: int) -> Held:
    """The shortest decimal between the probability that must pass and the next, which must not: `count` pass."""
    if count == len(falling):
        return Held(0.0, True)
    low, high = float(falling[count]), float(falling[count - 1]) if count else 1.0
    if low >= 1.0:  # nothing below 1 keeps it out
        return Held(1.0, False)
    middle = (low + high) / 2
    return Held(next((r for d in range(2, 18) if low < (r := round(middle, d)) <= high), high), True)


def choose(answers: Answers, temperature: bool, spec: Spec | None) -> tuple[Decision, Thresholds | None]:
    """Return the model's decision layer with a fitted temperature and found thresholds, as asked for.

    Raises `InputError` where the answers are not those that the model will give, and for thresholds that a new
    temperature makes meaningless.
    """
    if answers.restricted or answers.real:
        raise InputError(
            "a temperature and thresholds are for all classes of the model and for labels of the data: "
            "leave out --restrict and --real"
        )
    decision = answers.config.decision
    if temperature and decision.thresholds and spec is None:
        raise InputError(
            "the model has thresholds, which hold for its present temperature: find them again with --threshold too"
        )
    if temperature:
        decision = replace(decision, temperature=fit_temperature(answers))
    if spec is None:
        return decision, None
    found = find_thresholds(answers, decision, spec)
    return replace(decision, thresholds=found.by_label), found


def target(located: Located, output: Path | None) -> Path:
    """Where a decision layer is to be stored: `output`, or in place, if the model's file is the user's. Raises `InputError`."""
    from ..hub import BUNDLED, cache_folder

    path = located.path.resolve()
    ours = any(path.is_relative_to(folder.resolve()) for folder in (BUNDLED, cache_folder()))
    if output is None and (ours or located.converted or located.source.startswith("hf-hub:")):
        shared = "is shared (bundled, or in the download cache) and is not changed"
        raise InputError(f"{located.path} {shared}: name a file with --output")
    if output is not None:
        check_target(output, overwrite=True)
    return output or path


def store(located: Located, path: Path, decision: Decision, how: dict[str, Any]) -> None:
    """Write the model with another decision layer; `how` it was found goes into its provenance. Raises `ModelFileError`."""
    from .. import modelfile

    model = modelfile.read(located.path, located.config)
    provenance = {**model.config.provenance, "decision": how}
    modelfile.write(path, replace(model, config=replace(model.config, decision=decision, provenance=provenance)))
