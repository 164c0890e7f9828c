"""The rows of a run as event files for TensorBoard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import MissingExtraError
from .events import Events

if TYPE_CHECKING:
    from .loop import Run


class Board(Events):
    """Writes each epoch's numbers below `folder`/tensorboard. Raises `MissingExtraError` without the package."""

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise MissingExtraError("--tensorboard needs the package tensorboard: pip install tensorboard") from None
        self.make, self.folder = SummaryWriter, str(folder / "tensorboard")
        self.writer: SummaryWriter | None = None

    def epoch(self, run: Run, row: dict[str, Any], better: bool) -> None:
        """Write the numbers of one epoch; those of the start come before there is anything to write them beside."""
        if not row["epoch"]:
            return
        self.writer = self.writer or self.make(self.folder)  # now, for the folder is made ready after this object
        for name, value in row.items():
            if name != "epoch":
                self.writer.add_scalar(name.replace("_", "/", 1), value, row["epoch"])
        self.writer.flush()
