"""What `lcnet train` shows: a line an epoch and, on a terminal, a line that moves: place, loss, images/s, time left."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, TextIO

from ..text import one_line
from ..train.events import Events
from ..train.recipe import sides
from .progress import PAUSE, duration
from .streams import on_terminal

if TYPE_CHECKING:
    from ..dataset import Dataset
    from ..train.loop import Run
    from ..train.start import Start

_CLEAR = "\r\x1b[K"
WINDOW = 100  # steps over which the rate is measured


class Screen(Events):
    """Shows a run on standard error."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self.moves = on_terminal(self.stream)
        self.marks: list[float] = []
        self.drawn = 0.0

    def note(self, text: str) -> None:
        """Print one line."""
        self._line(f"lcnet: {one_line(text)}")

    def doing(self, text: str) -> None:
        """Show it until something else is shown; where nothing can be taken back, show nothing."""
        if self.moves:
            self.stream.write(f"{_CLEAR}{one_line(text)} ...")
            self.stream.flush()

    def clear(self) -> None:
        """Remove the line that moves."""
        if self.moves:
            self.stream.write(_CLEAR)
            self.stream.flush()

    def start(self, run: Run, train: Dataset, val: Dataset | None, start: Start, resumed: bool) -> None:
        """Say what will be done."""
        machine, size = run.machine, "x".join(map(str, sides(run.recipe.input_size)))
        going_on = resumed and run.place.epoch < run.recipe.epochs
        begin = f" from epoch {run.place.epoch + 1}, step {run.place.step + 1}" if going_on else ""
        origin = "trained" if start.pretrained else "random"
        images = f"{len(train)} images of {len(train.classes)} classes" + (f", {len(val)} for validation" if val else "")
        self.note(images)
        self.note(
            f"{run.model.arch.name} from {origin} weights at {size}, {run.recipe.epochs} epochs of "
            f"{run.order.steps} steps of {run.order.batch_size} images, on {machine.device}"
            + (f" in {machine.group.world} processes" if machine.group.world > 1 else "")
            + begin
        )
        self.doing("first pictures")
        self.marks = [time.monotonic()]

    def step(self, run: Run, loss: float, lr: float) -> None:
        """Move the line."""
        now = time.monotonic()
        self.marks = [*self.marks[-WINDOW:], now]
        if self.moves and now - self.drawn >= PAUSE:
            self.drawn = now
            rate = self._rate()
            place, steps = run.place, run.order.steps
            left = (run.recipe.epochs * steps - place.updates) / max(rate, 1e-9)
            self.stream.write(
                f"{_CLEAR}epoch {place.epoch + 1} of {run.recipe.epochs}  {place.step} of {steps} steps  "
                f"loss {loss:.4f}  lr {lr:.2g}  {rate * run.order.batch_size:.0f} images/s  "
                f"{duration(left)} left"
            )
            self.stream.flush()

    def epoch(self, run: Run, row: dict[str, Any], better: bool) -> None:
        """Print the epoch's line."""
        values = "  ".join(f"{name.removeprefix('val_')} {value:.4f}" for name, value in row.items() if name.startswith("val_"))
        best = "  best" if better and values else ""
        if not row["epoch"]:
            self._line(f"as it starts{'':35}{values}  {row['seconds']:.1f} s")
            return
        self._line(
            f"epoch {row['epoch']:>3}  lr {row['lr']:.2e}  train loss {row['train_loss']:.4f}  {values}  "
            f"{row['seconds']:.1f} s{best}"
        )
        self.marks = [time.monotonic()]

    def _rate(self) -> float:
        return (len(self.marks) - 1) / max(self.marks[-1] - self.marks[0], 1e-9)

    def _line(self, text: str) -> None:
        self.stream.write(f"{_CLEAR if self.moves else ''}{text}\n")
        self.stream.flush()
