"""Targets as a row of floats per picture, and the losses of such rows.

Owns label smoothing, class weights, cross-entropy and binary cross-entropy. Targets are made dense before pictures are
mixed, so every loss here takes [N,K]. Refuses cross-entropy where a picture may have several labels.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ..errors import InputError
from .recipe import NONE, Recipe

Loss = Callable[[Tensor, Tensor], Tensor]


def dense_targets(targets: Tensor, classes: int, smoothing: float = 0.0, multi_label: bool = False) -> Tensor:
    """Turn class numbers [N] (or with `multi_label` 0/1 [N,K]) into float32 [N,K].

    Smoothing e takes e from the right class and gives e/K to each of the K classes (arXiv 1512.00567). Of several
    labels each is a question of its own with two answers: 1 becomes 1 - e/2 and 0 becomes e/2.
    """
    if multi_label:
        return targets.float() * (1 - smoothing) + smoothing / 2
    off = smoothing / classes
    dense = torch.full((len(targets), classes), off, device=targets.device)
    return dense.scatter_(1, targets[:, None], 1 - smoothing + off)


def inverse_frequency(targets: Any, classes: int) -> Tensor:
    """Weigh classes by inverse frequency, float32 [K], such that the mean over all labels in `targets` is 1.

    `targets` (array or tensor) is [N] class numbers or [N,K] 0/1. A class that does not occur has weight 1.
    """
    targets = torch.as_tensor(targets)
    counts = targets.sum(0) if targets.ndim == 2 else torch.bincount(targets, minlength=classes)
    weights = counts.sum() / (counts.count_nonzero() * counts.double())
    return torch.where(counts > 0, weights, 1.0).float()


def make_loss(recipe: Recipe, class_weights: Tensor | None = None, multi_label: bool = False) -> Loss:
    """Make the recipe's loss: logits [N,K] and dense targets [N,K] to a scalar, computed in float32.

    Class weights multiply the terms in which a class is present: all of cross-entropy's, and of binary cross-entropy
    those for a target of 1. Raises `InputError` for cross-entropy with `multi_label`.
    """
    if multi_label and recipe.loss not in MULTI_LABEL:
        raise InputError(f"recipe: loss is {recipe.loss!r}, but pictures have several labels: expected loss=bce")
    return LOSSES[recipe.loss](recipe, class_weights)


def _softmax(weights: Tensor | None, logits: Tensor, targets: Tensor) -> Tensor:
    return functional.cross_entropy(logits.float(), targets, _beside(logits, weights))


def _binary(threshold: float, sum_classes: bool, weights: Tensor | None, logits: Tensor, targets: Tensor) -> Tensor:
    if threshold >= 0:
        targets = (targets > threshold).float()
    loss = functional.binary_cross_entropy_with_logits(logits.float(), targets, pos_weight=_beside(logits, weights))
    return loss * logits.shape[1] if sum_classes else loss


def _beside(logits: Tensor, weights: Tensor | None) -> Tensor | None:
    return None if weights is None else weights.to(logits.device)


LOSSES: dict[str, Callable[[Recipe, Tensor | None], Loss]] = {
    "ce": lambda recipe, weights: partial(_softmax, weights),
    "bce": lambda recipe, weights: partial(_binary, recipe.bce_threshold, recipe.bce_sum, weights),
}
MULTI_LABEL = ("bce",)  # the losses that decide each label by itself
CLASS_WEIGHTS: dict[str, Callable[[Any, int], Tensor | None]] = {
    NONE: lambda targets, classes: None,
    "balanced": inverse_frequency,
}
