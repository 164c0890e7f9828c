"""Optimizers: which tensors decay, how fast each layer learns, and the two rules that torch does not have.

Owns TensorFlow's RMSprop and LAMB, on lists of tensors (torch's `_foreach_*`), and `make_optimizer`. Learning rates come
from `schedule`: the loop sets `group["lr"] = rate * group["lr_scale"]` before each step. Clipping by `clip_grad` is the
loop's too. Knows no sparse gradients and no centred RMSprop.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import Optimizer

from ..errors import InputError
from .recipe import Recipe

Closure = Callable[[], float]
Params = Iterable[Tensor] | Iterable[dict[str, Any]]
Groups = list[dict[str, Any]]


class RMSpropTF(Optimizer):
    """TensorFlow 1's RMSprop, as the recipes of the EfficientNets use it.

    It differs from torch's in three ways: the mean of squares starts as 1, `eps` is inside the root, and the momentum
    buffer holds steps in which the learning rate is already a factor. `weight_decay` is added to the gradient.
    Parameters without a gradient are left as they are.
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        alpha: float = 0.9,
        eps: float = 1e-10,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
    ) -> None:
        super().__init__(params, {"lr": lr, "alpha": alpha, "eps": eps, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Closure | None = None) -> float | None:  # type: ignore[override]
        """Change every parameter that has a gradient; return what `closure` returns, if there is one."""
        loss = _evaluate(closure)
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            if params:
                self._update(group, params)
        return loss

    def _update(self, group: dict[str, Any], params: list[Tensor]) -> None:
        states = [self._state_of(p) for p in params]
        squares, buffers = [s["square"] for s in states], [s["buffer"] for s in states]
        grads: Any = [p.grad for p in params]
        if group["weight_decay"]:
            grads = torch._foreach_add(grads, params, alpha=group["weight_decay"])
        change = torch._foreach_mul(grads, grads)
        torch._foreach_sub_(change, squares)
        torch._foreach_add_(squares, change, alpha=1 - group["alpha"])
        root = torch._foreach_add(squares, group["eps"])
        torch._foreach_sqrt_(root)
        torch._foreach_mul_(buffers, group["momentum"])
        torch._foreach_addcdiv_(buffers, grads, root, value=group["lr"])
        torch._foreach_sub_(params, buffers)

    def _state_of(self, p: Tensor) -> dict[str, Any]:
        state = self.state[p]
        if not state:
            state.update(square=torch.ones_like(p), buffer=torch.zeros_like(p))
        return state


class Lamb(Optimizer):
    """LAMB (arXiv 1904.00962) as timm and NVIDIA's FusedLAMB have it; with `trust_clip` LAMBC.

    All gradients together are first scaled down to the norm `max_norm` (0: never). Adam's bias-corrected step plus
    `weight_decay` times the parameter is then scaled by the parameter's norm over its own, by at most 1 with
    `trust_clip`, and not at all where `weight_decay` is 0. Bias correction counts each parameter's own steps, so that
    those which were frozen at first start as all others did. Parameters without a gradient are left as they are.
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.01,
        trust_clip: bool = False,
        max_norm: float = 1.0,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "trust_clip": trust_clip,
                "max_norm": max_norm,
            },
        )

    @torch.no_grad()
    def step(self, closure: Closure | None = None) -> float | None:  # type: ignore[override]
        """Change every parameter that has a gradient; return what `closure` returns, if there is one."""
        loss = _evaluate(closure)
        excess = self._excess()
        for group in self.param_groups:
            for count, params in self._by_count(group["params"]).items():
                self._update(group, params, count, excess)
        return loss

    def _excess(self) -> Tensor | None:
        """What all gradients are divided by."""
        grads = [p.grad for group in self.param_groups for p in group["params"] if p.grad is not None]
        if not grads or not self.defaults["max_norm"]:
            return None
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(grads)))
        return (norm / self.defaults["max_norm"]).clamp_(min=1.0)

    def _by_count(self, params: list[Tensor]) -> dict[int, list[Tensor]]:
        """Count this step, and sort the parameters by how many they have taken."""
        counts: dict[int, list[Tensor]] = {}
        for p in params:
            if p.grad is None:
                continue
            state = self.state[p]
            if not state:
                state.update(step=0, mean=torch.zeros_like(p), square=torch.zeros_like(p))
            state["step"] += 1
            counts.setdefault(state["step"], []).append(p)
        return counts

    def _update(self, group: dict[str, Any], params: list[Tensor], count: int, excess: Tensor | None) -> None:
        updates = self._adam(group, params, count, excess)
        if group["weight_decay"]:
            torch._foreach_add_(updates, params, alpha=group["weight_decay"])
            torch._foreach_mul_(updates, _trust(params, updates, group["trust_clip"]))
        torch._foreach_add_(params, updates, alpha=-group["lr"])

    def _adam(self, group: dict[str, Any], params: list[Tensor], count: int, excess: Tensor | None) -> list[Tensor]:
        beta1, beta2 = group["betas"]
        grads: Any = [p.grad for p in params]
        if excess is not None:
            grads = torch._foreach_div(grads, excess)
        means, squares = ([self.state[p][key] for p in params] for key in ("mean", "square"))
        torch._foreach_lerp_(means, grads, 1 - beta1)
        torch._foreach_mul_(squares, beta2)
        torch._foreach_addcmul_(squares, grads, grads, value=1 - beta2)
        root = torch._foreach_sqrt(squares)
        torch._foreach_div_(root, math.sqrt(1 - beta2**count))
        torch._foreach_add_(root, group["eps"])
        updates = torch._foreach_div(means, 1 - beta1**count)
        torch._foreach_div_(updates, root)
        return list(updates)


def _trust(params: list[Tensor], updates: list[Tensor], clip: bool) -> list[Tensor]:
    """LAMB's factor of each update: the parameter's norm over the update's, 1 where either is 0."""
    ours, theirs = torch.stack(torch._foreach_norm(params)), torch.stack(torch._foreach_norm(updates))
    ratios = torch.where((ours > 0) & (theirs > 0), ours / theirs, 1.0)
    return list((ratios.clamp(max=1.0) if clip else ratios).unbind())


def _evaluate(closure: Closure | None) -> float | None:
    if closure is None:
        return None
    with torch.enable_grad():
        return closure()


def _rmsprop_tf(groups: Groups, r: Recipe) -> Optimizer:
    return RMSpropTF(groups, r.lr, r.alpha, r.eps, momentum=r.momentum)


def _sgd(groups: Groups, r: Recipe) -> Optimizer:
    return torch.optim.SGD(groups, r.lr, r.momentum, nesterov=r.nesterov)


def _adamw(groups: Groups, r: Recipe) -> Optimizer:
    return torch.optim.AdamW(groups, r.lr, (r.momentum, r.beta2), r.eps)


def _lamb(groups: Groups, r: Recipe) -> Optimizer:
    return Lamb(groups, r.lr, (r.momentum, r.beta2), r.eps, trust_clip=r.trust_clip)


OPTIMIZERS: dict[str, Callable[[Groups, Recipe], Optimizer]] = {
    "rmsprop_tf": _rmsprop_tf,
    "sgd": _sgd,
    "adamw": _adamw,
    "lamb": _lamb,
}


def make_optimizer(model: nn.Module, recipe: Recipe) -> Optimizer:
    """Make the recipe's optimizer over all parameters of `model`, those included that are frozen now.

    A parameter with `requires_grad` False is never changed, even if a gradient from before is still on it: that one is
    dropped. Raises `InputError` for Nesterov's momentum without momentum.
    """
    if recipe.nesterov and not recipe.momentum:
        raise InputError("recipe: nesterov is true and momentum is 0: expected a momentum above 0")
    optimizer = OPTIMIZERS[recipe.optimizer](parameter_groups(model, recipe), recipe)
    optimizer.register_step_pre_hook(_forget_frozen)
    return optimizer


def _forget_frozen(optimizer: Optimizer, *_: Any) -> None:
    for group in optimizer.param_groups:
        for p in group["params"]:
            if not p.requires_grad:
                p.grad = None


def parameter_groups(model: nn.Module, recipe: Recipe) -> Groups:
    """Sort the parameters into groups of one `weight_decay` and one `lr_scale` (the layer's rate over the schedule's).

    By default what has one dimension or is called bias does not decay (timm's rule); with `decay_biases` only batch
    norm's tensors do not (PaddleClas').
    """
    scales = layer_scales([name for name, _ in model.named_parameters()], recipe.layer_decay)
    norms = {p for module in model.modules() if isinstance(module, _BatchNorm) for p in module.parameters(recurse=False)}
    groups: dict[tuple[float, float], dict[str, Any]] = {}
    for name, p in model.named_parameters():
        fixed = p in norms if recipe.decay_biases else p.ndim <= 1 or name.endswith(".bias")
        decay, scale = 0.0 if fixed else recipe.weight_decay, scales[name]
        empty: dict[str, Any] = {"params": [], "weight_decay": decay, "lr_scale": scale, "lr": recipe.lr * scale}
        groups.setdefault((decay, scale), empty)["params"].append(p)
    return list(groups.values())


def layer_scales(names: list[str], decay: float) -> dict[str, float]:
    """Give each parameter name its layer's learning rate over that of the last layer.

    Layers are the stem, every block, the head conv and the classifier, in the order of `names`; each learns `decay`
    times as fast as the one behind it. timm counts head conv and classifier as one layer; here a fresh classifier
    stands alone.
    """
    layers = {name: _layer(name) for name in names}
    order = list(dict.fromkeys(layers.values()))
    return {name: decay ** (len(order) - 1 - order.index(layer)) for name, layer in layers.items()}


def _layer(name: str) -> str:
    block = re.match(r"(?:blocks|stages)\.\d+\.\d+|stem\.1", name)
    if block:
        return block[0]
    first = name.split(".")[0]
    return {"conv_stem": "stem", "bn1": "stem", "stem": "stem", "classifier": "classifier"}.get(first, "head")
