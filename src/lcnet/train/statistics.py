"""Batch norm's statistics, measured anew of the weights as they are, while its running averages are too young for them.

A running average remembers about ten steps. In a run's first hundreds of steps, which of few pictures may be all of them, the
weights leave that behind: what is validated then is a network with the statistics of others, and its loss has no bound.
Training itself never uses them, so what is measured goes into a copy, and no later step knows of it. This is fvcore's
precise BN and torch's `update_bn`: what the running averages would become if the weights stood still.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ..config import Preprocessing
from ..dataset import Dataset
from .loader import LoaderOptions, Normalize, TrainTransform, TransformedPictures, loader_of, whole
from .loop import Machine
from .recipe import Recipe
from .sampler import Item, Order, sample_seed

BATCHES = 32  # measured at most; of more, the mean would hardly be another
SMALLEST, LARGEST = 64, 256  # pictures of a batch: of fewer, its variance is too small, and each layer adds to that
EPOCH = 1 << 31  # no epoch of training has this order and these crops; all use the same, so that epochs can be compared


@dataclass(frozen=True)
class Statistics:
    """The training pictures that are measured, augmented as in training, and how they are run."""

    dataset: Dataset
    recipe: Recipe
    preprocessing: Preprocessing
    machine: Machine
    order: Order
    options: LoaderOptions

    @torch.no_grad()
    def __call__(self, network: nn.Module) -> nn.Module:
        """Return a copy of the network in evaluation mode whose running statistics are the mean over the batches.

        It is the same in every process, and to the bit whatever their number: each takes its share of whole batches, and
        the sum is in the order of batches.
        """
        measured, group = deepcopy(network).eval(), self.machine.group
        shares = group.gather([found.cpu() for found in self._of_batches(deepcopy(measured))])
        ordered = [shares[k % group.world][k // group.world] for k in range(sum(map(len, shares)))]
        mean = torch.stack(ordered).double().mean(0).float().to(self.machine.device)
        buffers = _buffers(_layers(measured))
        for buffer, part in zip(buffers, mean.split([buffer.numel() for buffer in buffers]), strict=True):
            buffer.copy_(part)
        return measured

    def _of_batches(self, network: nn.Module) -> Iterator[Tensor]:
        """The means and variances of all layers, for each of this process's batches. Changes the network."""
        layers = _layers(network)
        for layer in layers:
            layer.__class__ = nn.BatchNorm2d  # of its own batch, whatever the other processes have
            layer.momentum = 1.0  # the running statistics are the last batch's
            layer.train()
        pictures = TransformedPictures(self.dataset, TrainTransform(self.recipe, self.preprocessing, self.options.max_pixels))
        share = self.batches()[self.order.rank :: self.order.world]
        normalize = Normalize(self.preprocessing)
        for images, _ in whole(loader_of(pictures, share, self.options)):
            with self.machine.autocast:
                network(normalize(self.machine.to_device(images)))
            yield torch.cat(_buffers(layers))

    def batches(self) -> list[list[Item]]:
        """What all processes measure: at most an epoch, and of few pictures some more often, each time cut differently."""
        order = self.order
        size = min(max(self.recipe.batch_size, SMALLEST), LARGEST)
        total = max(1, min(BATCHES, order.count // size)) * size
        epochs = range(EPOCH, EPOCH + -(-total // (order.steps * order.batch_size)))
        indices = np.concatenate([order.indices(epoch) for epoch in epochs])
        items = [(int(indices[i]), sample_seed(order.seed, EPOCH, i)) for i in range(total)]
        return [items[start : start + size] for start in range(0, total, size)]


def _layers(network: nn.Module) -> list[nn.BatchNorm2d]:
    return [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]


def _buffers(layers: list[nn.BatchNorm2d]) -> list[Tensor]:
    return [buffer for layer in layers for buffer in (layer.running_mean, layer.running_var) if buffer is not None]
