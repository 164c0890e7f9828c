"""How good the network is between epochs: its logits on the validation pictures, gathered from all processes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
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


@dataclass(frozen=True)
class Validation:
    """The pictures and how they are run. Every process takes its share of them."""

    dataset: Dataset
    preprocessing: Preprocessing
    machine: Machine
    batch_size: int
    options: LoaderOptions

    def __call__(self, network: nn.Module) -> dict[str, float]:
        """Return the metrics by name, the same in every process."""
        group = self.machine.group
        share = range(group.rank, len(self.dataset), group.world)
        loader = test_loader(self.dataset, self.preprocessing, self.batch_size, share, self.options)
        logits, _ = logits_of(network, self.machine, Normalize(self.preprocessing), loader)
        shares = group.gather(logits.numpy())
        whole = np.empty((len(self.dataset), len(self.dataset.classes)), np.float32)
        for rank, part in enumerate(shares):
            whole[rank :: group.world] = part
        return scores(whole, self.dataset)


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
