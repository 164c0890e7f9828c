"""Many threads that call one model at once: does the machine stay usable? 1, 2, 4 and 8 callers, latencies and throughput.

Every caller classifies one ready image after the other with the same model object, which may use all processors. The peer is
ONNX Runtime's one session, called the same way. Prints a table; --json FILE keeps the numbers.
"""

from __future__ import annotations

import argparse
import json
import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from lcnet.bench import Setting, machine, peers
from lcnet.bench.weights import random_model
from lcnet.cpus import usable_cpus
from lcnet.zoo import find

CALLERS = (1, 2, 4, 8)


def latencies(run: Callable[[np.ndarray], np.ndarray], x: np.ndarray, callers: int, seconds: float) -> list[float]:
    """Seconds of every call that `callers` threads make in `seconds`."""
    results: list[list[float]] = [[] for _ in range(callers)]
    end = time.perf_counter() + seconds

    def call(mine: list[float]) -> None:
        while (start := time.perf_counter()) < end:
            run(x)
            mine.append(time.perf_counter() - start)

    threads = [threading.Thread(target=call, args=(mine,)) for mine in results]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [t for mine in results for t in mine]


def measure(rounds: int, seconds: float) -> list[dict[str, object]]:
    """Run both engines in turn at every number of callers."""
    model = random_model(find("lcnet_050").config())
    x = np.random.default_rng(0).normal(size=(1, 3, 224, 224)).astype(np.float32)
    setting = Setting(usable_cpus(), 1, "fp32", 224, 224)
    runs = {"lcnet": peers.ours(model, setting)[0]}
    try:
        runs["onnxruntime"] = peers.onnxruntime(model, setting)[0]
    except peers.Unavailable as error:
        print(f"onnxruntime: left out, {error}")
    samples: dict[tuple[str, int], list[float]] = {(e, c): [] for e in runs for c in CALLERS}
    for _ in range(rounds):
        for callers in CALLERS:
            for engine, run in runs.items():
                samples[engine, callers] += latencies(run, x, callers, seconds)
    return [row(engine, callers, times, rounds * seconds) for (engine, callers), times in samples.items()]


def row(engine: str, callers: int, times: list[float], seconds: float) -> dict[str, object]:
    """Summarise one engine at one number of callers, in milliseconds."""
    percentiles = statistics.quantiles(times, n=100)
    return {
        "engine": engine,
        "callers": callers,
        "images_per_second": len(times) / seconds,
        "p50": percentiles[49] * 1e3,
        "p99": percentiles[98] * 1e3,
        "max": max(times) * 1e3,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows = measure(arguments.rounds, arguments.seconds)
    for r in rows:
        print(
            f"{r['engine']:<12} {r['callers']} callers  {r['images_per_second']:7.1f} images/s  "
            f"p50 {r['p50']:6.2f}  p99 {r['p99']:6.2f}  max {r['max']:6.2f} ms"
        )
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
