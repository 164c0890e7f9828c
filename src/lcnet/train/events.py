"""What a run tells whoever watches: this base class ignores it all; the command line and TensorBoard show it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..dataset import Dataset
    from .loop import Run
    from .start import Start


class Events:
    """Called in the first process only. Override what is of interest."""

    def note(self, text: str) -> None:
        """Something to tell once."""

    def doing(self, text: str) -> None:
        """What is being done, until something else is told."""

    def start(self, run: Run, train: Dataset, val: Dataset | None, start: Start, resumed: bool) -> None:
        """Everything is checked; `run.place` says where it begins."""

    def step(self, run: Run, loss: float, lr: float) -> None:
        """A step is done; `loss`: mean of the epoch so far."""

    def epoch(self, run: Run, row: dict[str, Any], better: bool) -> None:
        """An epoch is done and written; `better`: it is what is kept. Epoch 0 is the weights that it starts from."""


class Both(Events):
    """Tell several."""

    def __init__(self, *events: Events) -> None:
        self.events = events

    def note(self, text: str) -> None:
        """Pass on."""
        for event in self.events:
            event.note(text)

    def doing(self, text: str) -> None:
        """Pass on."""
        for event in self.events:
            event.doing(text)

    def start(self, run: Run, train: Dataset, val: Dataset | None, start: Start, resumed: bool) -> None:
        """Pass on."""
        for event in self.events:
            event.start(run, train, val, start, resumed)

    def step(self, run: Run, loss: float, lr: float) -> None:
        """Pass on."""
        for event in self.events:
            event.step(run, loss, lr)

    def epoch(self, run: Run, row: dict[str, Any], better: bool) -> None:
        """Pass on."""
        for event in self.events:
            event.epoch(run, row, better)
