"""Whether a comparison can be made here and now: what engines need, and whether the machine has other work."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from importlib.util import find_spec

from ..cpus import usable_cpus
from . import Timing

BUSY_LOAD = 0.5, 1 / 8  # processes that want a processor, a minute's mean: at least, and for each that there is
SPREAD = 1.5  # the 90th percentile over the 10th: 1.05 to 1.2 where nothing else runs
COMPILERS = ("g++", "clang++", "c++")
NEEDS = {
    "lcnet": (),
    "openvino": ("openvino", "onnx"),
    "onnxruntime": ("onnxruntime", "onnx"),
    "ncnn": ("ncnn",),
    "torch": ("torch",),
    "torch.compile": ("torch",),
}


def missing(engine: str) -> str:
    """What an engine needs that is not here, with the way to get it, or an empty string."""
    absent = [module for module in NEEDS[engine] if find_spec(module) is None]
    if absent:
        return f"{' and '.join(absent)} not installed: pip install {' '.join(absent)}"
    if engine == "torch.compile" and not any(map(shutil.which, [os.environ.get("CXX", "g++"), *COMPILERS])):
        return "it needs a C++ compiler, and there is none: install g++, or name one in CXX"
    return ""


def load() -> str:
    """What else the machine does, as a sentence, or an empty string if it is idle or does not say."""
    try:
        minute = os.getloadavg()[0]
    except (AttributeError, OSError):
        return ""
    least, each = BUSY_LOAD
    if minute <= max(least, each * usable_cpus()):
        return ""
    return f"this machine is busy (load {minute:.1f} on {usable_cpus()} processors): times are longer than on an idle one"


def unsteady(rows: Iterable[Timing]) -> str:
    """Which times are not to be trusted, as a sentence, or an empty string."""
    widest: Sequence[Timing] = sorted(rows, key=lambda row: row.high / row.low)[-1:]
    if not widest or (spread := widest[0].high / widest[0].low) < SPREAD:
        return ""
    return f"the times of {widest[0].engine} differ {spread:.1f}-fold: something else was running, measure again"
