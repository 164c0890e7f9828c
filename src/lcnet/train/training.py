"""Train a network on a dataset by a recipe: checks everything first, then loops, then evaluates what will be served.

The output folder (output.py) gets the model file, a checkpoint to resume from, the metrics of every epoch, the recipe and a
report. Under torchrun every process calls `fit` alike; the first one writes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ..config import ModelConfig
from ..cpus import usable_cpus
from ..dataset.reading import given, reading_of
from ..dataset.sketch import sketch
from ..hub import HUB_PREFIXES
from ..modelfile.description import write_config
from ..text import plain, shown
from . import checkpoint, resuming
from .best import better, keep_start
from .distributed import joined
from .events import Events
from .loader import LoaderOptions, Normalize, TrainLoader, whole_workers
from .loop import Machine, Run
from .losses import CLASS_WEIGHTS
from .options import TrainOptions, device_of
from .output import Output
from .pictures import fingerprint, fitting, metric_of, open_pictures
from .recipe import Recipe
from .recipes import default_for
from .recipes import recipe as find_recipe
from .sampler import Order
from .start import begins, describe, is_random, placed, start, write_model
from .statistics import Statistics
from .stopping import stoppable
from .validation import Measured, Validation


@dataclass(frozen=True)
class Fit:
    """What came of it. `metrics`: of the epoch that is kept on the validation pictures, by name; empty without any.

    `best_epoch`: the one that is kept; 0: the weights that it started from, which none was better than.
    """

    model: Path
    epochs: int
    best_epoch: int
    metrics: dict[str, float] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()  # pictures that could not be read


def fit(
    data: str | os.PathLike[str],
    recipe: str | Recipe | None = None,
    output: str | os.PathLike[str] = "run",
    settings: Iterable[str] = (),
    options: TrainOptions | None = None,
    events: Events | None = None,
    **values: Any,
) -> Fit:
    """Train on `data` (whatever `lcnet.dataset.open_dataset` takes) by `recipe`, a name, a `recipe.json` or a `Recipe`.

    Without a recipe it is `finetune` for trained weights and `quick` for random ones. settings: `key=value` texts that change
    a recipe given by its name. values: fields of `TrainOptions`. Raises `InputError` for data, recipes and options that cannot
    be, before anything is written; `ImageError` for a picture that cannot be read; `TrainingError` if the loss is no number any
    more.
    """
    options = replace(options or TrainOptions(), **values)
    options = replace(options, model=placed(options.model))
    chosen = recipe if isinstance(recipe, Recipe) else find_recipe(recipe or default_for(options.model), settings)
    device = device_of(options)
    torch.set_num_threads(options.threads or max(1, usable_cpus() // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))))
    with joined(device) as group:
        if device.type == "cuda":
            device = torch.device("cuda", group.local_rank)
        machine = Machine(device, group, options.amp, options.channels_last, options.compile)
        return _Training(os.fspath(data), chosen, Output(Path(output)), options, machine, events or Events()).run()


class _Training:
    """One call of `fit`: what is found out at the beginning and needed to the end."""

    def __init__(
        self, data: str, recipe: Recipe, output: Output, options: TrainOptions, machine: Machine, events: Events
    ) -> None:
        self.options, self.output, self.machine, self.group = options, output, machine, machine.group
        self.events = events if self.group.first else Events()
        self.notes: list[str] = []  # told once nothing is refused any more: a mistake is one line
        self.events.doing(f"reading {plain(data)}")
        self.train, self.val, self.skipped, self.fraction = self.group.from_first(
            open_pictures(data, options, self.notes.append) if self.group.first else None
        )
        self.asked = recipe
        fitted = fitting(recipe, self.train, self.group.world * options.accumulate, self.notes.append)
        self.metric = metric_of(options.metric, self.train.multi_label)
        self.events.doing("building the network")
        torch.manual_seed(options.seed)  # of fresh weights, alike in every process
        self.start = start(options.model, self.train, fitted, options.in_chans)
        self.recipe = self.start.recipe
        self.notes += self.start.notes
        if is_random(options.model):
            self.notes.insert(0, begins(options.model, data, output.folder, len(self.train)))
        self.rows: list[dict[str, Any]] = []
        self.losses: np.ndarray | None = None  # of the start on the validation pictures
        self.first = deepcopy(self.start.model) if self.start.complete else None  # as it comes, if that may be kept
        self.begun = False  # whether anything is
        self.identity = {
            "recipe": self.recipe.to_json(),
            "model": options.model,
            "seed": options.seed,
            "data": fingerprint(self.train),
            **reading_of(options),
            "metric": self.metric,
            "validation": fingerprint(self.val) if self.val else None,  # what the best so far was measured on
        }
        self.sketch = sketch(self.train) if self.group.first else None
        kept = {k: v for k, v in asdict(options).items() if k not in ("resume", "overwrite")}
        self.description = {"data": str(Path(data).absolute()), **kept}

    def run(self) -> Fit:
        """Train, and evaluate the result."""
        options, group = self.options, self.group
        order = Order(
            len(self.train),
            self.recipe.batch_size,
            options.seed,
            self.recipe.repeats,
            self.recipe.sampler,
            None if self.train.multi_label else self.train.targets,
            group.world,
            group.rank,
            options.accumulate,
        )
        weights = CLASS_WEIGHTS[self.recipe.class_weights](self.train.targets, len(self.train.classes))
        normalize = Normalize(self.start.preprocessing)
        run = Run(self.start.model, self.recipe, self.machine, order, normalize, options.seed, self.train.multi_label, weights)
        with self.output.prepared(options.resume, options.overwrite) if group.first else nullcontext(False) as found:
            resumed = group.from_first(found)
            if resumed:
                self._restore(run)
            for note in self.notes:
                self.events.note(note)
            self.events.start(run, self.train, self.val, self.start, resumed)
            if resumed and self._over(run):
                self.events.note(resuming.complete(self.recipe, run.place.epoch, self.output.model))
            with stoppable(group.world == 1, self.events.note) as stop, whole_workers():
                self._epochs(run, stop)
        return self._finish(run)

    def _restore(self, run: Run) -> None:
        path = self.output.checkpoint
        saved = checkpoint.load(path)
        longer = resuming.check(path, saved, self.identity, self.output.model)
        with checkpoint.restoring(path):
            run.restore(saved.place, saved.parts)
            self.losses = self._losses(saved.parts["start"])
        if run.place.best_epoch == 0 and not self._over(run):  # it ended with the start: the next epoch is the best so far
            run.place.best = None
        self.rows = self.output.rows(range(0 if self.losses is not None else 1, run.place.epoch + 1))
        if longer:
            self.notes.insert(0, longer)
        self.begun = True
        if self.group.first:
            self.output.write_recipe(self._recipe_json())
            self.output.write_rows(self.rows)

    def _losses(self, saved: Any) -> np.ndarray | None:
        if saved is None:
            return None
        if saved.shape != (0 if self.val is None else len(self.val),):
            raise ValueError(f"start has shape {list(saved.shape)}, expected the losses of the validation pictures")
        return saved.numpy()

    def _over(self, run: Run) -> bool:
        return run.place.epoch >= self.recipe.epochs or self._stale(run)

    def _epochs(self, run: Run, stop: Callable[[], KeyboardInterrupt | None]) -> None:
        loaders = self._loader_options
        loader = TrainLoader(self.train, self.recipe, self.start.preprocessing, run.order, loaders)
        validation = self._validation(loaders)
        statistics = Statistics(self.train, self.recipe, self.start.preprocessing, self.machine, run.order, loaders)
        saved = time.monotonic()
        if validation and self.start.complete and not run.place.updates:
            self._measure_start(run, validation)

        def after_step(loss: float, lr: float) -> None:
            nonlocal saved
            self.events.step(run, loss, lr)
            due = time.monotonic() - saved > 60 * self.options.checkpoint_minutes
            if due or stop():
                self._save(run)
                saved = time.monotonic()
            if by := stop():
                raise by

        while not self._over(run):
            if by := stop():
                raise by
            began = time.monotonic()
            loss = run.train_epoch(loader, after_step)
            # Weights that came trained came with averages that are theirs.
            served = statistics(run.result) if run.young and not self.start.pretrained else run.result
            lr = run.schedule.lr(run.place.updates - 1)  # the last step's: the first may be at the bottom of a warm-up
            row: dict[str, Any] = {"epoch": run.place.epoch, "lr": lr, "train_loss": loss}
            found = validation(served) if validation else None
            self._complete(row, began, found)
            kept = better(run.place, row["epoch"], self.metric, found)
            self._write(run, served, kept, found)
            saved = time.monotonic()
            self.events.epoch(run, row, kept)
        if by := stop():
            raise by

    def _measure_start(self, run: Run, validation: Validation) -> None:
        """Measure the weights as they come."""
        self.events.doing("measuring the weights that it starts from")
        began, found = time.monotonic(), validation(run.model)
        self.losses, run.place.floor = found.losses, found.metrics[self.metric]
        row = {"epoch": 0, "lr": 0.0, "train_loss": None}
        self._complete(row, began, found)
        self.events.epoch(run, row, False)

    def _complete(self, row: dict[str, Any], began: float, found: Measured | None) -> None:
        """Complete an epoch's row and take it down."""
        row |= {f"val_{name}": value for name, value in found.metrics.items()} if found else {}
        row["seconds"] = round(time.monotonic() - began, 3)
        self.rows.append(row)

    def _validation(self, loaders: LoaderOptions) -> Validation | None:
        if self.val is None or not len(self.val):
            return None
        share = max(1, min(256, self.recipe.batch_size // self.group.world))
        return Validation(self.val, self.start.preprocessing, self.machine, share, loaders)

    @property
    def _loader_options(self) -> LoaderOptions:
        gpu = self.machine.device.type == "cuda"
        cpus = max(1, usable_cpus() // self.group.local_world)
        workers = (max(1, cpus - 1) if gpu else max(1, cpus // 4)) if self.options.workers is None else self.options.workers
        return LoaderOptions(workers, gpu, self.options.max_pixels)

    def _stale(self, run: Run) -> bool:
        return bool(
            self.options.patience
            and self.val is not None
            and run.place.epoch - max(run.place.best_epoch, 0) >= self.options.patience
        )

    def _write(self, run: Run, network: nn.Module, kept: bool, found: Measured | None) -> None:
        """Write the network, the rows, and last the checkpoint, which vouches for both."""
        back = found is not None and self._back(run, found)
        if self.group.first:
            self._begin()
            config = self._describe(run, metrics=self.rows[-1])
            for path in (self.output.model, self.output.last) if kept and not back else (self.output.last,):
                write_model(path, network, config)
            if back and self.first:
                write_model(self.output.model, self.first, self._describe(run, metrics=self.rows[0]))
            self.output.write_rows(self.rows)
        self._save(run)

    def _back(self, run: Run, found: Measured) -> bool:
        """Whether, at the end, the weights are kept as they came."""
        return self.losses is not None and self._over(run) and keep_start(run.place, self.metric, self.losses, found.losses)

    def _begin(self) -> None:
        """Before the first thing is written what an earlier run left goes."""
        if self.begun:
            return
        self.begun = True
        self.output.clear()
        self.output.write_recipe(self._recipe_json())
        self.output.write_rows(self.rows)

    def _describe(self, run: Run, **more: Any) -> ModelConfig:
        return describe(run.model, self.train, self.start.preprocessing, {**self._origin, **more})

    def _save(self, run: Run) -> None:
        if not self.group.first:
            return
        self._begin()
        place, parts = run.snapshot()
        parts["start"] = None if self.losses is None else torch.from_numpy(self.losses)
        checkpoint.save(self.output.checkpoint, self.identity, place, parts, write_config(self._describe(run)))

    @property
    def _origin(self) -> dict[str, Any]:
        """What it was made from, by name: a model file travels, and the folders and the machine are not its reader's."""
        return {
            "source": "lcnet train",
            "data": shown(Path(self.description["data"]).name),
            "started_from": _shown(self.options.model),
            "seed": self.options.seed,
            "val_fraction": self.fraction,
            **self._counts,
            **({"train_sketch": self.sketch.to_json()} if self.sketch else {}),
            "recipe": self.recipe.to_json(),
            **given(self.options),
        }

    @property
    def _counts(self) -> dict[str, int]:
        return {"train_images": len(self.train), "val_images": 0 if self.val is None else len(self.val)}

    def _finish(self, run: Run) -> Fit:
        best = run.place.best_epoch
        done = Fit(self.output.model, run.place.epoch, best, left_out=tuple(self.skipped))
        if self.group.first:
            row = next(row for row in self.rows if row["epoch"] == best)
            done = replace(done, metrics={k.removeprefix("val_"): v for k, v in row.items() if k.startswith("val_")})
            self._report()
        self.group.from_first(None)  # the others wait for the report
        return done

    def _report(self) -> None:
        """Evaluate the model file with the engine that will serve it, and write the report."""
        if self.val is None or not len(self.val):
            return
        from ..evaluate import evaluate, write_report
        from ..runtime import load

        self.events.note("evaluating the model file with the native engine")
        model = load(self.output.model, max_pixels=self.options.max_pixels)
        title = f"{plain(self.output.model)} on val of {plain(Path(self.description['data']).name)}"
        write_report(self.output.report, evaluate(model, self.val), self.val, title=title, history=self.rows, overwrite=True)

    def _recipe_json(self) -> dict[str, Any]:
        """What repeats the run on this machine, paths as they were given: the run's own record, not for handing on."""
        from importlib.metadata import version

        return {
            "lcnet": version("lcnet"),
            "torch": torch.__version__,
            "recipe": self.recipe.to_json(),
            "asked": self.asked.to_json(),  # before it was fitted to the data and the weights
            **self.description,
            "world": self.group.world,
            "classes": list(self.train.classes),
            **self._counts,
            "data_fingerprint": self.identity["data"],
            "left_out": self.skipped,
        }


def _shown(model: str) -> str:
    """A model's name: of a path its last part, of a hub id all."""
    return shown(model if model.startswith(HUB_PREFIXES) else Path(model).name)
