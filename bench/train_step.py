"""A training step on this machine's CPU: lcnet's loop against timm's model in its default layout and in channels-last.

Forward, backward and SGD step on the same random batch, rounds alternating; images a second, medians. `--device cuda` does
the same on a GPU with AMP. Prints a table; --json FILE keeps the numbers.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from timm_peer import import_timm

from lcnet.bench import machine
from lcnet.nn import create_model
from lcnet.train.depthwise import use_native_gradients


def stepper(model: Any, layout: torch.memory_format, batch: int, size: int, device: str) -> Callable[[], None]:
    """Return a function that does one step."""
    model = model.to(device=device, memory_format=layout).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    x = torch.randn(batch, 3, size, size, device=device).to(memory_format=layout)
    y = torch.randint(0, 1000, (batch,), device=device)
    scaler = torch.amp.GradScaler(device, enabled=device != "cpu")

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast(device, torch.float16, enabled=device != "cpu"):
            loss = torch.nn.functional.cross_entropy(model(x), y)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        if device != "cpu":
            torch.cuda.synchronize()

    return step


def engines(timm: Any, name: str, batch: int, size: int, device: str) -> dict[str, Callable[[], None]]:
    """The ways to train."""
    ours = create_model(name)
    use_native_gradients(ours)
    return {
        "lcnet": stepper(ours, torch.channels_last, batch, size, device),
        "timm": stepper(timm.create_model(name), torch.contiguous_format, batch, size, device),
        "timm, channels-last": stepper(timm.create_model(name), torch.channels_last, batch, size, device),
    }


def measure(steps: dict[str, Callable[[], None]], rounds: int, batch: int) -> list[dict[str, Any]]:
    """Run the steps in turn; images a second by engine."""
    seconds: dict[str, list[float]] = {engine: [] for engine in steps}
    for turn in range(rounds + 2):
        for engine, step in steps.items():
            start = time.perf_counter()
            step()
            if turn >= 2:
                seconds[engine].append(time.perf_counter() - start)
    medians = {engine: statistics.median(times) for engine, times in seconds.items()}
    return [
        {
            "engine": engine,
            "images_per_second": batch / median,
            "ratio": median / medians["lcnet"],
            "spread": (max(seconds[engine]) - min(seconds[engine])) / median,
        }
        for engine, median in medians.items()
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--models", default="lcnet_050,lcnet_100")
    parser.add_argument("--sizes", default="64,96,224")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    timm, rows = import_timm(), []
    for threads in map(int, arguments.threads.split(",")):
        torch.set_num_threads(threads)
        for name in arguments.models.split(","):
            for size in map(int, arguments.sizes.split(",")):
                steps = engines(timm, name, arguments.batch, size, arguments.device)
                for row in measure(steps, arguments.rounds, arguments.batch):
                    rows.append({"model": name, "size": size, "threads": threads, "batch": arguments.batch, **row})
                    print(
                        f"{name} {size:>4} {threads} threads  {row['engine']:<20} {row['images_per_second']:8.1f} images/s"
                        f"  {row['ratio']:.2f}x our time"
                    )
    if arguments.json:
        versions = {"torch": torch.__version__, "timm": timm.__version__, "device": arguments.device}
        arguments.json.write_text(json.dumps({"machine": machine() | versions, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
