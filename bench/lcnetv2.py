"""PP-LCNetV2 beside other engines: the same random weights and input, engines in turns, and how near each comes to the peak.

    python bench/lcnetv2.py -o results/lcnetv2.json

`peak_ms` is what the multiply-adds alone would take at the rate that this CPU was measured to do: no engine that computes them
all can be quicker. What is not installed is left out and told.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lcnet.arch import Arch
from lcnet.bench import Setting, compare, machine
from lcnet.bench.weights import random_model
from lcnet.config import ModelConfig
from lcnet.runtime import kernels

NAMES = ("lcnetv2_small", "lcnetv2_base", "lcnetv2_large")
SIZE = 224


def told(text: str) -> None:
    print(text, file=sys.stderr)


def measured(name: str, engines: list[str], threads: int, precision: str, rounds: int) -> Iterator[dict[str, Any]]:
    """A row an engine."""
    model = random_model(ModelConfig(Arch.of(name)))
    setting = Setting(threads, 1, precision, SIZE, SIZE)
    peak = kernels.fma_peak(0.2) * threads
    for timing in compare(model, name, engines, setting, rounds, report=told):
        row = asdict(timing)
        if precision == "fp32":
            row["peak_ms"] = model.config.arch.macs(SIZE, SIZE) / peak * 1e3
        told(f"{name} {precision} x{threads} {timing.engine:<12} {timing.median:8.3f} ms  {timing.ratio or 1:.3f}")
        yield row


def main() -> None:
    """Measure every network in every setting, print as it goes, and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--engines", default="lcnet,openvino,onnxruntime,ncnn", help="with commas between, ours first")
    parser.add_argument("--models", default=",".join(NAMES))
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args()
    rows = [
        row
        for name in given.models.split(",")
        for threads in given.threads
        for precision in ("fp32", "bf16")
        for row in measured(name, given.engines.split(","), threads, precision, given.rounds)
    ]
    given.output.write_text(json.dumps({"machine": machine(), "size": SIZE, "engines": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
