"""Is the int8 model good enough to be kept? Both run on pictures that calibration did not see, and against the clock.

Owns the numbers and the decision. It refuses a model whose answers got worse than allowed, or that is not faster here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .sensitivity import decibels

Run = Callable[[np.ndarray], np.ndarray]
LEAST_DB = 15.0  # below it these are the outputs of another network, whatever its classes
FEW_PICTURES, FEW_CLASSES = 32, 4  # with less of either to judge by, the report says so
ROUNDS, ROUND_SECONDS = 15, 0.02
CLOCK = "processor time, fastest quarter"
NORMAL_95 = 1.959964


@dataclass
class Comparison:
    """The outputs of two models on the same pictures, summed up on the fly."""

    images: int = 0
    same: int = 0  # pictures with the same best class
    lost: float = 0.0  # probability that float gives its own choice above that of int8, summed
    signal: float = 0.0
    noise: float = 0.0
    right: list[int] = field(default_factory=lambda: [0, 0])  # of the labelled pictures: by float, by int8
    only: list[int] = field(default_factory=lambda: [0, 0])  # right by float alone, by int8 alone
    labeled: int = 0
    answers: set[int] = field(default_factory=set)  # the classes that float chose

    def add(self, expected: np.ndarray, found: np.ndarray, classes: list[int] | None = None) -> None:
        """Count a batch of logits [N,classes], perhaps with the true classes."""
        self.images += len(expected)
        self.signal += float((expected.astype(np.float64) ** 2).sum())
        self.noise += float(((found - expected).astype(np.float64) ** 2).sum())
        ours, theirs = expected.argmax(axis=1), found.argmax(axis=1)
        self.answers.update(ours.tolist())
        self.same += int((ours == theirs).sum())
        exp = np.exp((expected - expected.max(axis=1, keepdims=True)).astype(np.float64))
        probs = exp / exp.sum(axis=1, keepdims=True)
        rows = np.arange(len(probs))
        self.lost += float((probs[rows, ours] - probs[rows, theirs]).sum())
        if classes is not None:
            right = ours == classes, theirs == classes
            self.labeled += len(classes)
            self.right = [n + int(r.sum()) for n, r in zip(self.right, right, strict=True)]
            alone = right[0] & ~right[1], right[1] & ~right[0]
            self.only = [n + int(a.sum()) for n, a in zip(self.only, alone, strict=True)]

    @property
    def sqnr_db(self) -> float:
        """Signal to quantisation noise of the outputs, in dB."""
        return decibels(self.noise / max(self.signal, 1e-30))

    def summary(self, classes: bool) -> dict[str, Any]:
        """The numbers as JSON; without `classes` the outputs are embeddings and there is only their noise."""
        out: dict[str, Any] = {"images": self.images, "sqnr_db": round(self.sqnr_db, 2)}
        if classes:
            out["classes"] = len(self.answers)
            out["agreement"] = round(self.same / max(self.images, 1), 6)
            out["expected_drop"] = round(100 * self.lost / max(self.images, 1), 4)
        if self.labeled:
            low, high = self.interval()
            out |= {
                "top1_fp32": round(100 * self.right[0] / self.labeled, 4),
                "top1_int8": round(100 * self.right[1] / self.labeled, 4),
                "drop": round(self.drop, 4),
                "drop_low": round(low, 4),
                "drop_high": round(high, 4),
            }
        return out

    @property
    def drop(self) -> float:
        """What int8 loses in top-1, in points."""
        return 100 * (self.only[0] - self.only[1]) / max(self.labeled, 1)

    def interval(self) -> tuple[float, float]:
        """The 95% interval of `drop` for paired answers (Agresti and Min 2005: half a picture more in every cell)."""
        n, lost, won = self.labeled + 2, self.only[0] + 0.5, self.only[1] + 0.5
        middle = (lost - won) / n
        half = NORMAL_95 * ((lost + won) / n - middle**2) ** 0.5 / n**0.5
        return 100 * (middle - half), 100 * (middle + half)


def compare(exact: Run, quantized: Run, groups: Iterable[tuple[list[Any], np.ndarray]], with_classes: bool) -> Comparison:
    """Run batches of ready input through both; `groups` yields (classes, input), the classes unused unless asked for."""
    out = Comparison()
    for classes, x in groups:
        out.add(exact(x), quantized(x), classes if with_classes else None)
    return out


def latency(exact: Run, quantized: Run, x: np.ndarray) -> dict[str, float]:
    """Milliseconds of processor time of a call on `x`: what the fastest quarter of the calls stays below.

    It is the calling thread's time, so the engines must have one thread: what else the machine does meanwhile, which on a busy
    one may be most of the time, is not counted. Calls are in turns, so that a slow spell of the processor meets both.
    """
    samples: dict[str, list[float]] = {"fp32_ms": [], "int8_ms": []}
    for number in range(ROUNDS + 1):
        for name, run in (("fp32_ms", exact), ("int8_ms", quantized)):
            times = _calls(run, x)
            samples[name] += times if number else []  # the first round warms up
    return {name: round(1e3 * float(np.quantile(times, 0.25)), 4) for name, times in samples.items()}


def _calls(run: Run, x: np.ndarray) -> list[float]:
    times: list[float] = []
    end = time.thread_time() + ROUND_SECONDS
    while (start := time.thread_time()) < end or not times:
        run(x)
        times.append(time.thread_time() - start)
    return times


def one_answer(judged: Comparison, classes: int) -> list[str]:
    """Why answers that are all the same prove nothing; nothing if they are not, or the network has no choice."""
    if classes < 2 or len(judged.answers) > 1:
        return []
    return [f"it is judged by {judged.images} pictures that fp32 all gives one class of {classes}, expected two at least"]


def doubts(judged: Comparison, distinct: int, classes: int) -> list[str]:
    """What makes the verdict weak though it stands."""
    out = []
    if distinct < FEW_PICTURES:
        out.append(f"few distinct pictures to judge by: {distinct}; {FEW_PICTURES} or more say more")
    if 1 < len(judged.answers) < min(FEW_CLASSES, classes):
        out.append(f"few classes among the answers: {len(judged.answers)} of {classes}; of the others nothing is known")
    return out


def reasons(held_out: Comparison, evaluation: Comparison | None, ms: dict[str, float], max_drop: float) -> list[str]:
    """Why the int8 model should not be kept; nothing if it should."""
    out = []
    if not held_out.sqnr_db >= LEAST_DB:
        out.append(f"its outputs are only {held_out.sqnr_db:.1f} dB above the noise, expected at least {LEAST_DB:.0f}")
    if evaluation is not None:
        if not evaluation.drop <= max_drop:
            low, high = evaluation.interval()
            out.append(
                f"top-1 drops by {evaluation.drop:.2f} points (95%: {low:.2f} to {high:.2f}), at most {max_drop:g} allowed"
            )
    elif not (expected := 100 * held_out.lost / max(held_out.images, 1)) <= max_drop:
        out.append(f"top-1 is expected to drop by {expected:.2f} points, at most {max_drop:g} allowed")
    if not ms["int8_ms"] < ms["fp32_ms"]:
        out.append(f"it is not faster here: {ms['int8_ms']:.3f} ms against {ms['fp32_ms']:.3f} ms in fp32")
    return out
