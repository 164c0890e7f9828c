"""From decoded pixels to the network's input, ours against Pillow and numpy, on one thread: prints JSON.

    python bench/resize.py > results/resize.json

The two take turns, so that a slow spell of the machine meets both; every result is compared to the bit. On a busy machine
the longer calls are interrupted more often, which flatters the shorter ones: the ratio of the fastest tenths is there too.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from PIL import Image

from lcnet.bench import machine
from lcnet.config import Preprocessing
from lcnet.image import normalize, prepare

# Name, shape of the picture [H,W,C], filter, height and width of the whole scaled picture; the input is 224 x 224.
CASES = [
    ("photo", (375, 500, 3), "bicubic", (256, 341)),
    ("portrait", (500, 375, 3), "bicubic", (341, 256)),
    ("bilinear", (375, 500, 3), "bilinear", (256, 341)),
    ("lanczos", (375, 500, 3), "lanczos", (256, 341)),
    ("nearest", (375, 500, 3), "nearest", (256, 341)),
    ("grey", (375, 500, 1), "bicubic", (256, 341)),
    ("small", (96, 128, 3), "bicubic", (256, 341)),
    ("large", (2250, 3000, 3), "bicubic", (256, 341)),
]


def by_pillow(pixels: np.ndarray, preprocessing: Preprocessing, size: tuple[int, int]) -> np.ndarray:
    """Resize and crop with Pillow, normalise with numpy: uint8 [H,W,C] to float32 [C,224,224]."""
    top, left = (round((n - 224) / 2) for n in size)
    image = Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[:, :, 0])
    scaled = image.resize(size[::-1], Image.Resampling[preprocessing.interpolation.upper()])
    crop = np.asarray(scaled.crop((left, top, left + 224, top + 224)))
    return normalize(crop.reshape(224, 224, -1), preprocessing)


def measure(shape: tuple[int, ...], interpolation: str, size: tuple[int, int], rounds: int, seconds: float) -> dict[str, Any]:
    channels = shape[2]
    preprocessing = Preprocessing((channels, 224, 224), interpolation, mean=(0.45,) * channels, std=(0.225,) * channels)
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    calls: dict[str, Callable[[], np.ndarray]] = {
        "lcnet": lambda: prepare(pixels, preprocessing),
        "pillow": lambda: by_pillow(pixels, preprocessing, size),
    }
    ours, theirs = (call().view(np.int32) for call in calls.values())
    identical = bool(np.array_equal(ours, theirs))
    samples: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            samples[name] += timed(call, seconds)
    ms = {name: describe(times) for name, times in samples.items()}
    ratios = {f"ratio_{key}": round(ms["pillow"][key] / ms["lcnet"][key], 2) for key in ("median", "p10")}
    return {**{f"{name}_ms": values for name, values in ms.items()}, **ratios, "identical": identical}


def timed(call: Callable[[], Any], seconds: float) -> list[float]:
    times: list[float] = []
    end = time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return times


def describe(times: list[float]) -> dict[str, float]:
    deciles = statistics.quantiles(times, n=10)
    return {
        "median": round(statistics.median(times) * 1e3, 4),
        "p10": round(deciles[0] * 1e3, 4),
        "p90": round(deciles[-1] * 1e3, 4),
        "calls": len(times),
    }


def commit() -> str:
    run = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=Path(__file__).parent, capture_output=True, text=True)
    return run.stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=0.1, help="of each turn")
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    rows = [
        {
            "case": name,
            "picture": shape,
            "filter": interpolation,
            "scaled": size,
            **measure(shape, interpolation, size, arguments.rounds, arguments.seconds),
        }
        for name, shape, interpolation, size in CASES
    ]
    facts = {**machine(), "commit": commit(), "pillow": PIL.__version__, "numpy": np.__version__, "threads": 1}
    print(json.dumps({"machine": facts, "timings": rows}, indent=2))


if __name__ == "__main__":
    main()
