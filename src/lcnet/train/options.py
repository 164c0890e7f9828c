"""How a recipe is run, which is not what it trains: one record, checked where it is made, and the device that it names."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ..errors import InputError
from ..sources.formats import MAX_PIXELS

AMP = ("none", "bf16", "fp16")


@dataclass(frozen=True)
class TrainOptions:
    """How a recipe is run, which is not what it trains: places, processes, numbers of things at once.

    labels_from_names, label_separator, columns: what the labels are, as `lcnet.dataset.open_dataset` takes them.
    val_fraction: of the training pictures, for validation, where the data has none; 0: no validation; None: a tenth, and for
    trained weights up to a quarter, until there are 200. accumulate: parts in
    which a process does its share of a step. metric: picks the best epoch (top1, balanced_accuracy, macro_f1, loss, mAP);
    patience: epochs without a better one after which training stops, 0: never. checkpoint_minutes: between checkpoints
    within an epoch. workers: processes that decode, 0: none; None: a choice by the number of processors. max_pixels: a picture
    of more cannot be read.
    """

    model: str = "lcnet_050"
    seed: int = 0
    val_fraction: float | None = None
    in_chans: int | None = None
    labels_from_names: str | None = None
    label_separator: str = "|"
    columns: str | None = None
    metric: str = ""
    patience: int = 0
    resume: bool = False
    overwrite: bool = False
    skip_unreadable: bool = False
    device: str = "auto"
    amp: str = "none"
    channels_last: bool = True
    compile: bool = False
    accumulate: int = 1
    workers: int | None = None
    threads: int | None = None
    checkpoint_minutes: float = 10.0
    max_pixels: int = MAX_PIXELS

    def __post_init__(self) -> None:
        if self.amp not in AMP:
            raise InputError(f"amp is {self.amp!r}, expected {' or '.join(AMP)}")
        if self.val_fraction is not None and not 0 <= self.val_fraction < 1:
            raise InputError(f"val_fraction is {self.val_fraction}, expected a number from 0 to below 1")
        for name, low in (("accumulate", 1), ("patience", 0), ("seed", 0), ("max_pixels", 1)):
            if getattr(self, name) < low:
                raise InputError(f"{name} is {getattr(self, name)}, expected a whole number from {low} up")


def device_of(options: TrainOptions) -> torch.device:
    """The device that torch is to use. Raises `InputError` for one that it cannot."""
    name = options.device
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device is {options.device!r}, which torch cannot use: {str(error).splitlines()[0]}") from None
    if options.amp == "fp16" and device.type == "cpu":
        raise InputError("amp is 'fp16', which needs a GPU: use bf16 or none on a CPU")
    return device
