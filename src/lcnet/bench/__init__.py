"""Engines side by side on this machine: the same weights, the same input, rounds in turn, medians with their spread.

Owns the measuring and what is reported of it; `peers` knows the other engines, `apart` measures in another process,
`conditions` says what stands in the way. Every engine's logits are compared with ours
before it is timed: a wrong engine's time means nothing.
"""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from .. import system
from ..errors import InputError
from ..modelfile import ModelFile
from ..runtime import kernels
from ..text import one_line, suggest
from .peers import PEERS, Run, Unavailable, ours

OURS = "lcnet"
ERROR = 200  # characters of an engine's own words
TOLERANCE = {"fp32": 1e-3, "bf16": 0.1, "int8": 0.0}  # of the range of the logits: far above rounding, far below a mistake


@dataclass(frozen=True)
class Timing:
    """One engine in one setting. Times in milliseconds a call; a call is one batch."""

    engine: str
    version: str
    model: str
    height: int
    width: int
    threads: int
    batch: int
    precision: str
    median: float
    low: float  # 10th percentile
    high: float  # 90th percentile
    calls: int
    ratio: float | None  # this engine's median over ours
    difference: float  # from our fp32 logits, as a part of their range
    images_per_second: float
    gmacs_per_second: float
    peak_fraction: float | None  # of the multiply-adds that this CPU was measured to do; fp32 only


@dataclass(frozen=True)
class Setting:
    """What one comparison is about."""

    threads: int
    batch: int
    precision: str
    height: int
    width: int


def compare(
    model: ModelFile,
    name: str,
    engines: Sequence[str],
    setting: Setting,
    rounds: int = 15,
    round_seconds: float = 0.15,
    report: Callable[[str], None] = lambda text: None,
    progress: Callable[[str], None] = lambda text: None,
) -> list[Timing]:
    """Time engines in turn, `rounds` times `round_seconds` each; ours first. Engines that cannot run are reported and left out.

    progress: is told what is being done at the moment. Raises `InputError` for an unknown engine.
    """
    x = np.random.default_rng(0).normal(size=(setting.batch, 3, setting.height, setting.width)).astype(np.float32)
    # As many processors as an engine may have threads: no more helps it, and none hides behind a busy neighbour.
    with system.on_processors(setting.threads):
        runs = _ready(model, engines, setting, x, report, progress)
        samples = _sample({engine: run for engine, (run, _, _) in runs.items()}, x, rounds, round_seconds, progress)
        peak = kernels.fma_peak(0.05) * setting.threads if setting.precision == "fp32" else None
    ours_median = statistics.median(samples[OURS]) if OURS in samples else None
    macs = model.config.arch.macs(setting.height, setting.width) * setting.batch
    rows = []
    for engine, (_, version, difference) in runs.items():
        median = statistics.median(samples[engine])
        deciles = statistics.quantiles(samples[engine], n=10) if len(samples[engine]) > 1 else [median] * 9
        rows.append(
            Timing(
                engine=engine,
                version=version,
                model=name,
                **asdict(setting),
                median=median * 1e3,
                low=deciles[0] * 1e3,
                high=deciles[-1] * 1e3,
                calls=len(samples[engine]),
                ratio=median / ours_median if ours_median else None,
                difference=difference,
                images_per_second=setting.batch / median,
                gmacs_per_second=macs / median / 1e9,
                peak_fraction=macs / median / peak if peak else None,
            )
        )
    return rows


def known_engines() -> list[str]:
    """Ours and every peer that we know how to run."""
    return [OURS, *PEERS]


def machine() -> dict[str, Any]:
    """Describe where and when a measurement was made: CPU, kernels, system, compiler-independent facts only."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": system.processor_name(),
        "processors": system.processors(),
        "isa": kernels.selected_isa(),
        "compiler": kernels.compiler,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def _ready(
    model: ModelFile,
    engines: Sequence[str],
    setting: Setting,
    x: np.ndarray,
    report: Callable[[str], None],
    progress: Callable[[str], None],
) -> dict[str, tuple[Run, str, float]]:
    """Build the engines that can run and agree with our fp32 logits: name -> (run, version, difference)."""
    expected = ours(model, Setting(1, setting.batch, "fp32", setting.height, setting.width))[0](x)
    ready = {}
    for engine in engines:
        if engine not in known_engines():
            raise InputError(f"unknown engine {engine!r}{suggest(engine, known_engines())}: known are {known_engines()}")
        if engine != OURS and model.config.quantization:
            report(f"{engine}: left out, it does not run our int8 files: give the float model to compare engines")
            continue
        try:
            progress(f"{engine} gets ready")
            run, version = (ours if engine == OURS else PEERS[engine])(model, setting)
            difference = float(np.abs(run(x) - expected).max() / np.ptp(expected))
        except Unavailable as error:
            report(f"{engine}: left out, {error}")
            continue
        except Exception as error:
            if engine == OURS:
                raise
            report(f"{engine}: left out, it failed: {type(error).__name__}: {one_line(str(error))[:ERROR]}")
            continue
        if not difference <= TOLERANCE[setting.precision]:
            report(f"{engine}: left out, its logits differ from ours by {difference:.1e} of their range")
            continue
        ready[engine] = run, version, difference
    return ready


def _sample(
    runs: dict[str, Run], x: np.ndarray, rounds: int, round_seconds: float, progress: Callable[[str], None]
) -> dict[str, list[float]]:
    """Seconds of every call. The engines take turns, so that a slow spell of the machine meets all of them."""
    samples: dict[str, list[float]] = {engine: [] for engine in runs}
    for number in range(rounds + 1):
        progress(f"round {number} of {rounds}" if number else "warms up")
        for engine, run in runs.items():
            times = list(_calls(run, x, round_seconds))
            if number:  # the first round warms up
                samples[engine] += times
    return samples


def _calls(run: Run, x: np.ndarray, seconds: float) -> Iterator[float]:
    end = time.perf_counter() + seconds
    while (start := time.perf_counter()) < end:
        run(x)
        yield time.perf_counter() - start
