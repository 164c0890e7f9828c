"""Is what lcnet trains as good as what timm's pieces train? The same recipe, data and seeds; top-1 on the test pictures.

timm's side is its model, loader, RandAugment, random erasing, RMSpropTF, step schedule, EMA and smoothed loss, put together as
its train.py does. DATA is a folder with train/ and test/, one folder a class. Prints a table; --json FILE keeps the numbers.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from lcnet.bench import machine
from lcnet.train.recipe import Recipe

RECIPE = Recipe(
    epochs=3,
    batch_size=128,
    input_size=64,
    crop_pct=1.0,
    optimizer="rmsprop_tf",
    lr=0.008,
    eps=1e-3,
    weight_decay=1e-5,
    schedule="step",
    decay_epochs=0.5,
    decay_rate=0.7,
    warmup_epochs=1,
    warmup_lr=1e-3,
    per_update=True,
    scale=(0.35, 1.0),
    randaugment="rand-m5-mstd0.5",
    erasing=0.1,
    label_smoothing=0.1,
    dropout=0.1,
    ema=0.99,
    ema_version=2,
)


def ours(data: Path, recipe: Recipe, seed: int) -> float:
    """Train with lcnet; top-1 of the model file, run by the native engine."""
    import lcnet
    from lcnet.dataset import open_dataset
    from lcnet.evaluate import evaluate
    from lcnet.train import fit

    with tempfile.TemporaryDirectory() as folder:
        done = fit(data, recipe, folder, seed=seed, val_fraction=0, workers=0, threads=1)
        test = open_dataset(data).test
        assert test is not None
        return evaluate(lcnet.load(done.model, threads=1), test).to_json()["top1"]["value"]


def timms(data: Path, recipe: Recipe, seed: int) -> float:
    """Train with timm's pieces."""
    import torch
    from timm_peer import import_timm

    torch.set_num_threads(1)
    timm = import_timm()
    timm.utils.random_seed(seed, 0)
    size, classes = (3, recipe.input_size, recipe.input_size), len(list((data / "train").iterdir()))
    loader = timm.data.create_loader(
        timm.data.create_dataset("", root=str(data / "train"), is_training=True),
        size,
        recipe.batch_size,
        is_training=True,
        scale=recipe.scale,
        ratio=recipe.ratio,
        hflip=recipe.hflip,
        color_jitter=None,
        auto_augment=recipe.randaugment,
        re_prob=recipe.erasing,
        re_mode=recipe.erasing_mode,
        interpolation="random",
        num_workers=0,
        use_prefetcher=False,
    )
    model = timm.create_model("lcnet_050", num_classes=classes, drop_rate=recipe.dropout)
    model = model.to(memory_format=torch.channels_last)
    ema = timm.utils.ModelEmaV2(model, decay=recipe.ema)
    optimizer = timm.optim.create_optimizer_v2(
        model,
        "rmsproptf",
        lr=recipe.lr,
        weight_decay=recipe.weight_decay,
        momentum=recipe.momentum,
        eps=recipe.eps,
        alpha=recipe.alpha,
    )
    updates = len(loader)
    schedule, _ = timm.scheduler.create_scheduler_v2(
        optimizer,
        "step",
        num_epochs=recipe.epochs,
        decay_epochs=recipe.decay_epochs,
        decay_rate=recipe.decay_rate,
        warmup_epochs=int(recipe.warmup_epochs),
        warmup_lr=recipe.warmup_lr,
        step_on_epochs=False,
        updates_per_epoch=updates,
    )
    criterion, done = timm.loss.LabelSmoothingCrossEntropy(recipe.label_smoothing), 0
    for _ in range(recipe.epochs):
        model.train()
        for images, targets in loader:
            optimizer.zero_grad()
            criterion(model(images.to(memory_format=torch.channels_last)), targets).backward()
            optimizer.step()
            ema.update(model)
            done += 1
            schedule.step_update(done)
    return timm_top1(timm, ema.module, data, size, recipe)


def timm_top1(timm: Any, model: Any, data: Path, size: tuple[Any, ...], recipe: Recipe) -> float:
    """Top-1 on the test pictures by timm's evaluation transform."""
    import torch

    dataset = timm.data.create_dataset("", root=str(data / "test"))
    loader = timm.data.create_loader(
        dataset, size, 250, interpolation="bicubic", crop_pct=recipe.crop_pct, num_workers=0, use_prefetcher=False
    )
    model.eval()
    with torch.no_grad():
        right = sum((model(x).argmax(1) == y).sum().item() for x, y in loader)
    return right / len(dataset)


def one(engine: str, data: Path, recipe: Recipe, seed: int) -> dict[str, Any]:
    """One run, in a process of its own."""
    start = time.perf_counter()
    top1 = {"lcnet": ours, "timm": timms}[engine](data, recipe, seed)
    return {"engine": engine, "seed": seed, "top1": top1, "seconds": time.perf_counter() - start}


def main() -> None:
    """Run both with every seed, and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=RECIPE.epochs)
    parser.add_argument("--size", type=int, default=RECIPE.input_size)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    recipe = RECIPE.change({"epochs": arguments.epochs, "input_size": arguments.size})
    with ProcessPoolExecutor(arguments.processes, max_tasks_per_child=1) as pool:
        jobs = [pool.submit(one, e, arguments.data, recipe, s) for s in range(arguments.seeds) for e in ("lcnet", "timm")]
        rows = [job.result() for job in jobs]
    for engine in ("lcnet", "timm"):
        values = [100 * r["top1"] for r in rows if r["engine"] == engine]
        print(f"{engine:<6} {statistics.mean(values):.2f} ± {statistics.stdev(values):.2f}  {values}")
    if arguments.json:
        result = {"machine": machine(), "recipe": recipe.to_json(), "rows": rows}
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
