"""The same pictures by `stream` on one machine and on Ray with one and two actors: what a picture costs, and what a run does.

    python bench/cluster.py -o results/cluster.json [--pictures N]

Pictures are JPEG files of 320 pixels a side, the model is the bundled one. Each way runs in a process of its own with a fifth
of the pictures and with all: the difference is the cost of a picture, what is left that of beginning. Needs `ray[data]`, whose
own processes share the processors with the actors: on two of them two actors are not twice as fast.
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


def run(way: str, workers: int, files: list[Path], out: Path) -> float:
    """Embed all files, into Parquet as a user would; seconds, without imports."""
    if way == "stream":
        from lcnet.__main__ import main

        (out / "list").write_text("".join(f"{file}\n" for file in files))
        sys.argv = ["lcnet", "embed", "-m", MODEL, "--threads", str(workers), "--files-from", str(out / "list")]
        sys.argv += ["-o", str(out / "one.parquet")]
        start = time.perf_counter()
        try:
            main()
        except SystemExit as ended:
            assert not ended.code
    else:
        from lcnet import cluster

        start = time.perf_counter()
        cluster.run(files, MODEL, out / "many", "embeddings", actors=workers, block=max(1, len(files) // (8 * workers)))
    return time.perf_counter() - start


def pictures(folder: Path, count: int) -> list[Path]:
    """Smooth pictures, each another, as files of about 20 kB."""
    files = []
    for i in range(count):
        small = np.random.default_rng(i).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        files.append(folder / f"{i:06}.jpg")
        Image.fromarray(small).resize((320, 320)).save(files[-1], quality=90)
    return files


def asked(way: str, workers: int, folder: Path, count: int) -> float:
    """The seconds of one way, in a process of its own."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, __file__, "--run", way, str(workers), str(folder), str(count), out]
        environment = {**os.environ, "RAY_AUTH_MODE": "disabled", "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return float(done.stdout.splitlines()[-1])


def measure(count: int) -> dict[str, Any]:
    """Run every way with a fifth of the pictures and with all."""
    from lcnet.bench import machine

    rows = []
    with tempfile.TemporaryDirectory() as folder:
        files = pictures(Path(folder), count)
        for way, workers in WAYS:
            few, all_of_them = (asked(way, workers, Path(folder), n) for n in (count // 5, count))
            each = (all_of_them - few) / (count - count // 5)
            rows.append(
                {"way": way, "workers": workers, "seconds": all_of_them, "ms": 1e3 * each, "start": few - each * (count // 5)}
            )
            print(rows[-1], flush=True)
        size = sum(file.stat().st_size for file in files) // count
    load = os.getloadavg()[2]
    return {"machine": machine(), "load": load, "model": MODEL, "pictures": count, "bytes": size, "rows": rows}


def main() -> None:
    """Measure, or be measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=3000)
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--run", nargs=5, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.run:
        way, workers, folder, count, out = chosen.run
        print(run(way, int(workers), sorted(Path(folder).glob("*.jpg"))[: int(count)], Path(out)))
        return
    result = measure(chosen.pictures)
    if chosen.output:
        chosen.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
