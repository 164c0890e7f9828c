"""The training loop: epochs of steps, steps of parts, one function to read from top to bottom.

Owns the state that changes: network, averaged weights, optimizer, place. What comes in is checked already; what goes out
are events for whoever shows them, and the finished epochs' rows. Stops with `TrainingError` when the loss is no number.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from random import Random
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import TrainingError
from ..nn.model import LCNet
from .augment.erasing import erase
from .augment.mixing import Mixing
from .checkpoint import Place
from .depthwise import use_native_gradients
from .distributed import Group, synchronize_bn
from .ema import Ema
from .loader import Normalize, TrainLoader
from .losses import dense_targets, make_loss
from .optim import make_optimizer
from .recipe import NONE, Recipe
from .sampler import Order, update_seed
from .schedule import Schedule

FREEZES = {NONE: "", "trunk": "classifier."}  # how the names of the parameters begin that learn all the same
YOUNG = 200  # steps up to which batch norm's running averages are not trusted: twenty times their memory
CHECK_EVERY = 50  # steps between two looks at the loss on a GPU, each of which waits for it


@dataclass(frozen=True)
class Machine:
    """What the arithmetic runs on."""

    device: torch.device
    group: Group = field(default_factory=Group)
    amp: str = "none"  # none, bf16, fp16
    channels_last: bool = True
    compile: bool = False

    @property
    def autocast(self) -> AbstractContextManager[Any]:
        """The context of forward passes."""
        if self.amp == "none":
            return nullcontext()
        return torch.autocast(self.device.type, {"bf16": torch.bfloat16, "fp16": torch.float16}[self.amp])

    def to_device(self, tensor: Tensor) -> Tensor:
        """Move; uint8 images are in channels-last memory already."""
        return tensor.to(self.device, non_blocking=True)


class Run:
    """A network in training, and all that belongs to it."""

    def __init__(
        self,
        model: LCNet,
        recipe: Recipe,
        machine: Machine,
        order: Order,
        normalize: Normalize,
        seed: int,
        multi_label: bool = False,
        class_weights: Tensor | None = None,
    ) -> None:
        layout = torch.channels_last if machine.channels_last else torch.contiguous_format
        self.model = model.to(device=machine.device, memory_format=layout)  # type: ignore[call-overload]
        use_native_gradients(self.model)
        if recipe.sync_bn and machine.group.world > 1:
            synchronize_bn(self.model)
        self.recipe, self.machine, self.order, self.normalize, self.seed = recipe, machine, order, normalize, seed
        self.multi_label, self.classes = multi_label, model.num_classes
        self.ema = Ema(self.model, recipe.ema, recipe.ema_version, recipe.ema_warmup) if recipe.ema else None
        self.optimizer = make_optimizer(self.model, recipe)
        self.schedule = Schedule(recipe, order.steps)
        weights = None if class_weights is None else class_weights.to(machine.device)
        self.loss = make_loss(recipe, weights, multi_label)
        self.mixing = Mixing(recipe.mixup, recipe.cutmix, recipe.mix_prob, recipe.mix_switch)
        self.scaler = torch.amp.GradScaler(machine.device.type, enabled=machine.amp == "fp16")
        self.place = Place()
        self._loss_sum = torch.zeros((), dtype=torch.float64, device=machine.device)  # of this epoch's steps
        self._wrapped: nn.Module | None = None
        self._frozen: bool | None = None

    @property
    def result(self) -> nn.Module:
        """The network that counts: the averaged one if there is one."""
        return self.ema.module if self.ema else self.model

    @property
    def young(self) -> bool:
        """Whether batch norm is in training, and its running averages are of so few steps that they are not the weights'."""
        return self.place.updates <= YOUNG and not self._frozen

    def snapshot(self) -> tuple[Place, dict[str, Any]]:
        """Place and state dicts for a checkpoint, between two steps."""
        self.place.loss_sum = self._loss_sum.item()
        return self.place, {
            "model": self.model.state_dict(),
            "ema": self.ema.state_dict() if self.ema else None,
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
        }

    def restore(self, place: Place, parts: dict[str, Any]) -> None:
        """Go on from a checkpoint. Raises `ValueError`, or whatever torch does, for parts that are of no such run."""
        self._check_place(place)
        self.place = place
        self._loss_sum.fill_(place.loss_sum)
        self.model.load_state_dict(parts["model"])
        self._restore_optimizer(parts["optimizer"]["state"])
        self.scaler.load_state_dict(parts["scaler"])
        if self.ema:
            self.ema.load_state_dict(parts["ema"])

    def _check_place(self, place: Place) -> None:
        first = -1 if not place.epoch else 1 if place.floor is None else 0
        limits = {"epoch": (0, self.recipe.epochs), "step": (0, self.order.steps), "best_epoch": (first, place.epoch)}
        for name, (low, high) in limits.items():
            if not low <= getattr(place, name) <= max(low, high):
                raise ValueError(f"place.{name} is {getattr(place, name)}, expected {low} to {high}")

    def _restore_optimizer(self, state: dict[Any, Any]) -> None:
        # Its groups are the recipe's, which is the same, and the rate is set at every step.
        self.optimizer.load_state_dict({"state": state, "param_groups": self.optimizer.state_dict()["param_groups"]})
        for parameter, values in self.optimizer.state.items():
            for name, value in values.items():
                if isinstance(value, Tensor) and value.shape not in (parameter.shape, torch.Size()):
                    raise ValueError(f"the optimizer's {name} has shape {list(value.shape)}, expected {list(parameter.shape)}")

    def train_epoch(self, loader: TrainLoader, after_step: Callable[[float, float], None]) -> float:
        """Do the rest of the epoch at `place`; return the mean loss of the whole epoch over all processes.

        `after_step(loss, lr)` is called after each step with this process's mean loss so far (on a GPU as last looked at).
        """
        network = self._ready_to_train()
        batches = loader.epoch(self.place.epoch, self.place.step)
        on_cpu, loss = self.machine.device.type == "cpu", math.nan
        while self.place.step < self.order.steps:
            lr = self.schedule.lr(self.place.updates)
            torch.manual_seed(update_seed(self.seed, self.place.updates, self.machine.group.rank))
            self._loss_sum += self._step(network, batches, lr)
            self.place.updates += 1
            self.place.step += 1
            if on_cpu or self.place.step % CHECK_EVERY == 1:
                loss = self._loss_sum.item() / self.place.step
                self._check(loss)
            after_step(loss, lr)
        return self._end_epoch()

    def _step(self, network: nn.Module, batches: Iterator[tuple[Tensor, Tensor]], lr: float) -> Tensor:
        """One optimizer step from `order.parts` parts; return the mean loss of this process."""
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group["lr_scale"]
        self.optimizer.zero_grad()
        total = torch.zeros((), device=self.machine.device)
        for part in range(self.order.parts):
            with self._gradients_alone(network, part):
                images, targets = self._prepared(*next(batches), part)
                with self.machine.autocast:
                    loss = self.loss(network(images).float(), targets) / self.order.parts
                self.scaler.scale(loss).backward()
            total += loss.detach()
        self._clip()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.ema:
            self.ema.update(self.model)
        return total

    def _prepared(self, images: Tensor, targets: Tensor, part: int) -> tuple[Tensor, Tensor]:
        """Normalise, erase and mix one part, on the device."""
        images = self.normalize(self.machine.to_device(images))
        rng = Random(update_seed(self.seed, self.place.updates * self.order.parts + part, self.machine.group.rank))
        if self.recipe.erasing:
            erase(images, rng, self.recipe.erasing, self.recipe.erasing_mode, self.recipe.erasing_count)
        targets = self.machine.to_device(targets)
        dense = dense_targets(targets, self.classes, self.recipe.label_smoothing, self.multi_label)
        return self.mixing(images, dense, rng)

    def _gradients_alone(self, network: nn.Module, part: int) -> AbstractContextManager[Any]:
        """Before the last part the processes need not exchange gradients."""
        last = part == self.order.parts - 1
        return nullcontext() if last or self.machine.group.world == 1 else network.no_sync()  # type: ignore[operator]

    def _clip(self) -> None:
        if self.recipe.clip_grad:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip_grad)

    def _ready_to_train(self) -> nn.Module:
        """Freeze what the recipe freezes in this epoch, and wrap the network for several processes and compilation."""
        recipe = self.recipe
        frozen = recipe.freeze != NONE and (not recipe.freeze_epochs or self.place.epoch < recipe.freeze_epochs)
        if frozen != self._frozen:
            self._frozen = frozen
            for name, parameter in self.model.named_parameters():
                parameter.requires_grad = not frozen or name.startswith(FREEZES[recipe.freeze])
            self._wrapped = self._wrap()
        self.model.train()
        if frozen:
            for layer in self.model.modules():
                if isinstance(layer, nn.BatchNorm2d):
                    layer.eval()
        assert self._wrapped is not None
        return self._wrapped

    def _wrap(self) -> nn.Module:
        network: nn.Module = self.model
        if self.machine.group.world > 1:
            ids = [self.machine.device.index] if self.machine.device.type == "cuda" else None
            with warnings.catch_warnings():
                # Newer versions have another name for it, which means something else at the start.
                warnings.filterwarnings("ignore", message=".*broadcast_buffers.*", category=FutureWarning)
                network = nn.parallel.DistributedDataParallel(network, device_ids=ids, broadcast_buffers=False)
        return torch.compile(network) if self.machine.compile else network  # type: ignore[return-value]

    def _end_epoch(self) -> float:
        """Even out what the processes keep apart; return the epoch's mean loss over them."""
        group = self.machine.group
        for module in [self.model] + ([self.ema.module] if self.ema else []):
            group.average_bn(module, self.recipe.dist_bn)
        mean = group.sum(self._loss_sum / self.order.steps).item() / group.world
        self._check(mean)
        self._loss_sum.zero_()
        self.place.epoch += 1
        self.place.step = 0
        return mean

    def _check(self, loss: float) -> None:
        if math.isfinite(loss):
            return
        lr = self.schedule.lr(self.place.updates - 1)
        where = f"epoch {self.place.epoch + 1}, step {self.place.step} of {self.order.steps}"
        raise TrainingError(
            f"the loss became {loss} at {where}, with lr {lr:.3g}: try a smaller rate (--set lr="
            f"{self.recipe.lr / 4:.2g}), a longer warm-up (--set warmup_epochs="
            f"{self.recipe.warmup_epochs + 2:g}), clipped gradients (--set clip_grad=1)"
            + (", or --amp bf16" if self.machine.amp == "fp16" else "")
        )


@torch.no_grad()
def logits_of(network: nn.Module, machine: Machine, normalize: Normalize, loader: Any) -> tuple[Tensor, Tensor]:
    """Run all batches in evaluation mode: logits float32 [n,K] and targets, on the CPU."""
    network.eval()
    logits, targets = [torch.empty(0)], [torch.empty(0)]
    for images, labels in loader:
        with machine.autocast:
            logits.append(network(normalize(machine.to_device(images))).float().cpu())
        targets.append(labels)
    return torch.cat(logits[1:] or logits), torch.cat(targets[1:] or targets)
