"""How fast training batches are made, by one worker process: lcnet's loader against timm's on the same folder.

Random resized crop and flip to 224, with and without RandAugment; then lcnet's loader on what `lcnet pack --shorter 288` made
of the folder. Images a second, medians of alternating rounds. DATA is a folder per class, or one folder of photographs, which
are dealt to two classes. Prints a table; --json FILE keeps the numbers.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from timm_peer import import_timm

from lcnet.bench import machine
from lcnet.config import Preprocessing
from lcnet.dataset import open_dataset
from lcnet.train.loader import LoaderOptions, TrainLoader
from lcnet.train.recipe import Recipe
from lcnet.train.sampler import Order

RANDAUGMENT = "rand-m9-mstd0.5"
BATCH = 32


def dealt(data: Path, folder: Path, copies: int) -> Path:
    """Copy the photographs several times over, into two classes."""
    photos = sorted(p for p in data.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg"))
    for i in range(copies * len(photos)):
        target = folder / f"class{i % 2}" / f"{i:05}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(photos[i % len(photos)], target)
    return folder


def ours(data: Path, randaugment: str) -> Any:
    """Return a function that yields an epoch's batches."""
    dataset = open_dataset(data).train
    recipe = Recipe(batch_size=BATCH, randaugment=randaugment)
    order = Order(len(dataset), BATCH)
    loader = TrainLoader(dataset, recipe, Preprocessing(), order, LoaderOptions(workers=1))
    return lambda epoch: loader.epoch(epoch)


def timms(timm: Any, data: Path, randaugment: str) -> Any:
    """The same from timm's loader, as its train.py makes it on a CPU."""
    dataset = timm.data.create_dataset("", root=str(data), is_training=True, batch_size=BATCH)
    loader = timm.data.create_loader(
        dataset,
        (3, 224, 224),
        BATCH,
        is_training=True,
        auto_augment=randaugment or None,
        color_jitter=None,
        interpolation="random",
        num_workers=1,
        use_prefetcher=False,
        persistent_workers=True,
    )
    return lambda epoch: loader


def seconds_an_image(batches: Iterable[Any]) -> float:
    """Go through the batches but the first two, which also start the worker."""
    count, start = 0, 0.0
    for i, (images, _) in enumerate(batches):
        if i == 1:
            start = time.perf_counter()
        elif i > 1:
            count += len(images)
    return (time.perf_counter() - start) / count


def measure(loaders: dict[str, Any], rounds: int) -> list[dict[str, Any]]:
    """Run the loaders in turn."""
    times: dict[str, list[float]] = {name: [] for name in loaders}
    for epoch in range(rounds):
        for name, loader in loaders.items():
            times[name].append(seconds_an_image(loader(epoch)))
    medians = {name: statistics.median(values) for name, values in times.items()}
    return [
        {
            "loader": name,
            "milliseconds": 1e3 * median,
            "images_per_second": 1 / median,
            "speed_over_timm": medians["timm, RandAugment" if "RandAugment" in name else "timm"] / median,
        }
        for name, median in medians.items()
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--copies", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    timm = import_timm()
    with tempfile.TemporaryDirectory() as temporary:
        folder = dealt(arguments.data, Path(temporary) / "photos", arguments.copies)
        packed = Path(temporary) / "packed"
        command = [sys.executable, "-m", "lcnet", "pack", str(folder), str(packed), "--shorter", "288"]
        subprocess.run(command, check=True, capture_output=True)
        loaders = {
            "lcnet": ours(folder, ""),
            "timm": timms(timm, folder, ""),
            "lcnet, RandAugment": ours(folder, RANDAUGMENT),
            "timm, RandAugment": timms(timm, folder, RANDAUGMENT),
            "lcnet, packed": ours(packed, ""),
            "lcnet, packed, RandAugment": ours(packed, RANDAUGMENT),
        }
        rows = measure(loaders, arguments.rounds)
    for r in rows:
        print(
            f"{r['loader']:<28} {r['milliseconds']:6.2f} ms an image  {r['images_per_second']:7.1f} images/s  "
            f"{r['speed_over_timm']:.2f}x timm"
        )
    if arguments.json:
        versions = {"torch": torch.__version__, "timm": timm.__version__}
        arguments.json.write_text(json.dumps({"machine": machine() | versions, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
