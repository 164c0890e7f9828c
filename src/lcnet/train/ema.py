"""The average of the weights over the steps of training, which is usually better than the last weights.

Owns the averaged copy and its count of updates. Takes the bare module, never a wrapper around it, such as one for
several processes: their state has other names, which is refused.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any, NamedTuple

import torch
from torch import nn

from ..errors import InputError


class Version(NamedTuple):
    """What a version of timm's ModelEma does."""

    copies_first: bool  # the first update replaces the average
    warms_up: bool  # it can have a warm-up


VERSIONS = {2: Version(copies_first=False, warms_up=False), 3: Version(copies_first=True, warms_up=True)}


class Ema:
    """Exponential moving average of all floating-point state, batch norm's running statistics included.

    `module` is the averaged copy, in eval mode and without gradients. Version 2 is timm's ModelEmaV2: from the first
    update on, `decay` of the average stays, which starts as the weights given here. Version 3 is ModelEmaV3: the first
    update copies, and with `warmup` the decay of update k (from 0) is 1 - (1 + k)^(-2/3) until that exceeds `decay`.
    Integer buffers are copied, in both. Raises `InputError` for a warm-up in version 2.
    """

    def __init__(self, model: nn.Module, decay: float, version: int = 3, warmup: bool = False) -> None:
        if warmup and not VERSIONS[version].warms_up:
            raise InputError(f"recipe: ema_warmup is true with ema_version {version}, expected version 3")
        self.decay, self.version, self.warmup = decay, version, warmup
        self.updates = 0
        self.module = deepcopy(model).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take in the weights after a step. Raises `InputError` if `model` has other tensors than the average."""
        ours, theirs = self.module.state_dict(), model.state_dict()
        if ours.keys() != theirs.keys():
            odd = sorted(ours.keys() ^ theirs.keys())[0]
            raise InputError(f"the averaged model and the one given differ in {odd!r}: give the bare module, unwrapped")
        floating = [name for name, tensor in ours.items() if tensor.is_floating_point()]
        weight = 1 - self.next_decay()
        torch._foreach_lerp_([ours[name] for name in floating], [theirs[name] for name in floating], weight)
        for name in ours.keys() - floating:
            ours[name].copy_(theirs[name])
        self.updates += 1

    def next_decay(self) -> float:
        """How much of the average stays in the next update."""
        if self.updates == 0 and VERSIONS[self.version].copies_first:
            return 0.0
        return min(self.decay, 1 - (1 + self.updates) ** (-2 / 3)) if self.warmup else self.decay

    def state_dict(self) -> dict[str, Any]:
        """The count of updates, and the averaged tensors by name (not copied)."""
        return {"updates": self.updates, "module": self.module.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.module.load_state_dict(state["module"])
        self.updates = int(state["updates"])
