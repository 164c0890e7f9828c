"""The processes that train together under `torchrun`, or the one that trains alone: who writes, and what is summed.

Refuses nothing itself: a process that dies makes torchrun stop the others, and a collective that hangs ends in an error
after torch's own time limit.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed, nn


@dataclass(frozen=True)
class Group:
    """This process among all. `local_rank` counts on this machine and picks its GPU."""

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    local_world: int = 1

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes and prints."""
        return self.rank == 0

    def sum(self, tensor: Tensor) -> Tensor:
        """Sum over all processes, in place."""
        if self.world > 1:
            distributed.all_reduce(tensor)
        return tensor

    def gather(self, value: Any) -> list[Any]:
        """Collect a picklable value of every process, in the order of ranks, in every process."""
        if self.world == 1:
            return [value]
        values: list[Any] = [None] * self.world
        distributed.all_gather_object(values, value)
        return values

    def from_first(self, value: Any) -> Any:
        """Return the first process's value in every process."""
        if self.world == 1:
            return value
        values = [value]
        distributed.broadcast_object_list(values)
        return values[0]

    def average_bn(self, module: nn.Module, how: str) -> None:
        """Make the running statistics alike: `reduce` to their mean over the processes, or `broadcast` the first's."""
        if self.world == 1:
            return
        for name, buffer in module.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                DIST_BN[how](self, buffer)


DIST_BN: dict[str, Callable[[Group, Tensor], Any]] = {
    "reduce": lambda group, buffer: group.sum(buffer).div_(group.world),
    "broadcast": lambda group, buffer: distributed.broadcast(buffer, 0),
}


@contextmanager
def joined(device: torch.device) -> Iterator[Group]:
    """Join the processes that torchrun started, by its environment variables; without them there is only this one."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield Group()
        return
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if device.type == "cuda":
        torch.cuda.set_device(local)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Group(distributed.get_rank(), world, local, int(os.environ.get("LOCAL_WORLD_SIZE", str(world))))
    finally:
        distributed.destroy_process_group()


class SyncBatchNorm2d(nn.BatchNorm2d):
    """Batch norm with the statistics of all processes, on any device: torch's own takes GPUs only."""

    def forward(self, x: Tensor) -> Tensor:
        """N,C,H,W -> the same, normalised over N,H,W of all processes while training."""
        if not self.training:
            return super().forward(x)
        from torch.distributed.nn.functional import all_reduce

        # Sums, squares and the count travel together; the gradient of the sum is summed on its way back.
        exact = x.float()
        count = exact.new_full((1,), x.numel() / x.shape[1])
        sums = torch.cat([exact.sum((0, 2, 3)), exact.square().sum((0, 2, 3)), count])
        sums = all_reduce(sums)
        total = sums[-1]
        mean, square = (sums[:-1] / total).chunk(2)
        variance = square - mean.square()
        self._track(mean.detach(), (variance * total / (total - 1)).detach())
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return (exact * scale[:, None, None] + (self.bias - mean * scale)[:, None, None]).to(x.dtype)

    def _track(self, mean: Tensor, variance: Tensor) -> None:
        with torch.no_grad():
            assert self.running_mean is not None and self.running_var is not None
            assert self.num_batches_tracked is not None and self.momentum is not None
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance, self.momentum)
            self.num_batches_tracked += 1


def synchronize_bn(module: nn.Module) -> None:
    """Make every batch norm one over all processes, in place; its tensors and their names stay."""
    for layer in module.modules():
        if type(layer) is nn.BatchNorm2d:
            layer.__class__ = SyncBatchNorm2d
