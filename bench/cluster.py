"""The same pictures by `stream` on one machine and on Ray with one and two actors: what a picture costs, and what a run does.

    python bench/cluster.py -o results/cluster.json [--pictures N]

Pictures are JPEG files of 320 pixels a side, the model is the bundled one. Each way runs in a process of its own with a fifth
of the pictures and with all: the difference is the cost of a picture; what it takes to begin is Ray's start and a run of fifty.
Needs `ray[data]`, whose own processes share the processors with the actors: on two of them two actors are not twice as fast.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

MODEL = "lcnet_050.cifar10"
WAYS = (("stream", 1), ("stream", 2), ("ray", 1), ("ray", 2))


def run(way: str, workers: int, files: list[Path], out: Path) -> None:
    """Embed files into Parquet as a user would; on the Ray that this process has."""
    if way == "ray":
        from lcnet import cluster

        block = max(1, len(files) // (8 * workers))
        cluster.run(files, MODEL, out, "embeddings", actors=workers, block=block)
        return
    from lcnet.cli import main

    out.with_suffix(".list").write_text("".join(f"{file}\n" for file in files))
    options = ["-m", MODEL, "--threads", str(workers), "--files-from", str(out.with_suffix(".list"))]
    main(["embed", *options, "-o", str(out.with_suffix(".parquet"))], standalone_mode=False)


def timed(way: str, workers: int, files: list[Path], out: Path) -> dict[str, float]:
    """Seconds until Ray is there, of the first run, which is of a few, of a fifth of the files, and of all."""
    times = [time.perf_counter()]
    if way == "ray":
        import ray

        ray.init(address="local", num_cpus=workers + 2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    times.append(time.perf_counter())
    for name, some in (("first", files[:50]), ("few", files[: len(files) // 5]), ("all", files)):
        run(way, workers, some, out / name)
        times.append(time.perf_counter())
    return {name: times[i + 1] - times[i] for i, name in enumerate(("init", "first", "few", "all"))}


def pictures(folder: Path, count: int) -> list[Path]:
    """Smooth pictures, each another, as files of about 20 kB."""
    files = []
    for i in range(count):
        small = np.random.default_rng(i).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        files.append(folder / f"{i:06}.jpg")
        Image.fromarray(small).resize((320, 320)).save(files[-1], quality=90)
    return files


def asked(way: str, workers: int, folder: Path) -> dict[str, float]:
    """The seconds of one way, in a process of its own."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, __file__, "--run", way, str(workers), str(folder), out]
        environment = {**os.environ, "RAY_AUTH_MODE": "disabled", "OMP_NUM_THREADS": "1", "RAY_BACKEND_LOG_LEVEL": "fatal"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def measure(count: int) -> dict[str, Any]:
    """Run every way with a fifth of the pictures and with all."""
    from lcnet.bench import machine

    rows = []
    with tempfile.TemporaryDirectory() as folder:
        files = pictures(Path(folder), count)
        for way, workers in WAYS:
            found = asked(way, workers, Path(folder))
            each = (found["all"] - found["few"]) / (count - count // 5)
            start = found["init"] + found["first"]
            seconds = found["init"] + found["all"]
            rows.append({"way": way, "workers": workers, "seconds": seconds, "ms": 1e3 * each, "start": start, **found})
            print(rows[-1], flush=True)
        size = sum(file.stat().st_size for file in files) // count
    return {"machine": machine(), "load": os.getloadavg()[2], "model": MODEL, "pictures": count, "bytes": size, "rows": rows}


def main() -> None:
    """Measure, or be measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=5000)
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--run", nargs=4, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.run:
        way, workers, folder, out = chosen.run
        print(json.dumps(timed(way, int(workers), sorted(Path(folder).glob("*.jpg")), Path(out))))
        return
    result = measure(chosen.pictures)
    if chosen.output:
        chosen.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
