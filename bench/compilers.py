"""Builds of lcnet by different compilers, in turns on one machine: each network's fastest call, and whether the bits agree.

    python bench/compilers.py --build gcc=FOLDER --build wheel=FOLDER --models FILE... -o results/compilers.json

FOLDER holds a package `lcnet`, such as an unpacked wheel. Every turn is a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lcnet import system

TURN = """
import hashlib, json, sys, time
import numpy as np
import lcnet
from lcnet.runtime.kernels import isas

def fastest(call, seconds):
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)

x = np.random.default_rng(0).standard_normal((1, 3, 224, 224)).astype(np.float32)
found = {}
for path in sys.argv[2:]:
    for isa in ("avx2", "avx512bf16"):
        if not dict(isas()).get(isa):
            continue
        model = lcnet.load(path, threads=1, isa=isa)
        bits = hashlib.sha256(model.run(x).tobytes()).hexdigest()
        found[f"{path} {isa}"] = [1e3 * fastest(lambda: model.run(x), float(sys.argv[1])), bits]
print(json.dumps(found))
"""


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(description="Time builds of lcnet in turns.")
    parser.add_argument("--build", action="append", required=True, metavar="NAME=FOLDER")
    parser.add_argument("--models", nargs="+", required=True)
    parser.add_argument("--turns", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("-o", "--output", type=Path)
    chosen = parser.parse_args()
    builds = dict(build.split("=", 1) for build in chosen.build)
    turns: dict[str, list[dict[str, Any]]] = {name: [] for name in builds}
    for _ in range(chosen.turns):
        for name, folder in builds.items():
            turns[name].append(turn(folder, chosen.models, chosen.seconds))
    rows = [row(turns, case) for case in next(iter(turns.values()))[0]]
    for one in rows:
        print(one)
    facts = {"date": f"{datetime.now(UTC):%F}", "cpu": system.processor_name(), "turns": chosen.turns, "milliseconds": rows}
    if chosen.output:
        chosen.output.write_text(json.dumps(facts, indent=1) + "\n")


def turn(folder: str, models: list[str], seconds: float) -> dict[str, Any]:
    """Milliseconds and a hash of the logits of every network and instruction set."""
    command = [sys.executable, "-c", TURN, str(seconds), *models]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": folder}, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def row(turns: dict[str, list[dict[str, Any]]], case: str) -> dict[str, Any]:
    """The fastest call of each build, of all its turns: what else the machine does only adds to it."""
    path, isa = case.rsplit(" ", 1)
    best = {name: round(min(t[case][0] for t in all_of), 3) for name, all_of in turns.items()}
    alike = len({t[case][1] for all_of in turns.values() for t in all_of}) == 1
    return {"model": Path(path).name, "isa": isa, **best, "same bits": alike}


if __name__ == "__main__":
    main()
