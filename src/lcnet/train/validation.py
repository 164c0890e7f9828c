"""How good the network is between epochs: its logits on the validation pictures, gathered from all processes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ..config import Preprocessing
from ..dataset import Dataset
from ..evaluate import metrics
from .loader import LoaderOptions, Normalize, test_loader
from .loop import Machine, logits_of

# name -> whether larger is better, and for which kind of task it is
METRICS = {
    "top1": (True, False),
    "balanced_accuracy": (True, False),
    "macro_f1": (True, False),
    "loss": (False, None),
    "mAP": (True, True),
}
TEMPERATURES = [2 ** (step / 8) for step in range(-32, 33)]  # 1/16 to 16


class Measured(NamedTuple):
    """Metrics by name, and what `losses` says of each picture, float32 [N]."""

    metrics: dict[str, float]
    losses: np.ndarray


@dataclass(frozen=True)
class Validation:
    """The pictures and how they are run. Every process takes its share of them."""

    dataset: Dataset
    preprocessing: Preprocessing
    machine: Machine
    batch_size: int
    options: LoaderOptions

    def __call__(self, network: nn.Module) -> Measured:
        """Measure a network, with the same result in every process."""
        group = self.machine.group
        share = range(group.rank, len(self.dataset), group.world)
        loader = test_loader(self.dataset, self.preprocessing, self.batch_size, share, self.options)
        logits, _ = logits_of(network, self.machine, Normalize(self.preprocessing), loader)
        shares = group.gather(logits.numpy())
        whole = np.empty((len(self.dataset), len(self.dataset.classes)), np.float32)
        for rank, part in enumerate(shares):
            whole[rank :: group.world] = part
        return Measured(scores(whole, self.dataset), losses(whole, self.dataset))


def losses(logits: np.ndarray, dataset: Dataset) -> np.ndarray:
    """The loss of every picture, float32 [N], of logits float32 [N,K] divided by the temperature that suits them best.

    So they compare what two networks know, not how sure of it they are.
    """
    x, targets = torch.from_numpy(logits), torch.from_numpy(np.asarray(dataset.targets))

    def at(temperature: float) -> Tensor:
        if dataset.multi_label:
            return functional.binary_cross_entropy_with_logits(x / temperature, targets.float(), reduction="none").mean(1)
        return functional.cross_entropy(x / temperature, targets, reduction="none")

    return min(map(at, TEMPERATURES), key=lambda found: found.mean().item()).numpy()


def scores(logits: np.ndarray, dataset: Dataset) -> dict[str, float]:
    """The metrics of logits float32 [N,K] against a dataset's targets."""
    x, targets = torch.from_numpy(logits), torch.from_numpy(np.asarray(dataset.targets))
    if dataset.multi_label:
        loss = functional.binary_cross_entropy_with_logits(x, targets.float())
        return {"loss": loss.item(), "mAP": metrics.mean_average_precision(logits, dataset.targets)[0].value}
    answers = logits.argmax(1)
    _, recall, f1 = metrics.macro(*metrics.class_counts(dataset.targets, answers, len(dataset.classes)))
    return {
        "loss": functional.cross_entropy(x, targets).item(),
        "top1": float((answers == dataset.targets).mean()),
        "balanced_accuracy": recall,
        "macro_f1": f1,
    }
