"""Depthwise convs on a CPU whose weights' gradient comes from the native core.

torch 2.13's own takes 20 to 60 times as long as its forward pass where a 5x5 kernel meets small maps, which is most of
LCNet. The forward pass and the input's gradient stay torch's. Elsewhere, and for other layouts and types, all does.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from .. import _native
from ..arch import Stride


class _Depthwise(torch.autograd.Function):
    """conv2d with as many groups as channels, and k/2 zeros around."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, strides: Stride) -> Tensor:
        """N,C,H,W and C,1,k,k -> N,C,ceil(H/down),ceil(W/across), by the strides."""
        ctx.save_for_backward(x, weight)
        ctx.strides = strides
        return functional.conv2d(x, weight, None, strides, weight.shape[2] // 2, 1, weight.shape[0])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        """Return the gradients of x and weight."""
        x, weight = ctx.saved_tensors
        dx = _input_gradient(x, weight, dy, ctx.strides) if ctx.needs_input_grad[0] else None
        dw = _weight_gradient(x, weight, dy, ctx.strides) if ctx.needs_input_grad[1] else None
        return dx, dw, None


def _input_gradient(x: Tensor, weight: Tensor, dy: Tensor, strides: Stride) -> Tensor:
    pad, channels = weight.shape[2] // 2, weight.shape[0]
    one, mask = [1, 1], [True, False, False]
    return torch.ops.aten.convolution_backward(dy, x, weight, None, strides, [pad] * 2, one, False, [0, 0], channels, mask)[0]


def _weight_gradient(x: Tensor, weight: Tensor, dy: Tensor, strides: Stride) -> Tensor:
    kernel, channels = weight.shape[2], weight.shape[0]
    dw = torch.empty(kernel, kernel, channels)
    x, dy = (t.detach().permute(0, 2, 3, 1).contiguous() for t in (x, dy))
    _native.dwgrad(_pool(torch.get_num_threads()), x.numpy(), dy.numpy(), strides, dw.numpy(), "")
    return torch.empty_like(weight).copy_(dw.permute(2, 0, 1).unsqueeze(1))  # in the layout that DDP's buckets have


@lru_cache(maxsize=4)
def _pool(threads: int) -> _native.Pool:
    return _native.Pool(threads)


class DepthwiseConv2d(nn.Conv2d):
    """`torch.nn.Conv2d` with as many groups as channels; on a CPU and in channels-last memory faster to train."""

    def forward(self, x: Tensor) -> Tensor:
        """N,C,H,W -> N,C,ceil(H/down),ceil(W/across), by the strides."""
        if torch.compiler.is_compiling() or not (torch.is_grad_enabled() and _fits(self, x)):
            return super().forward(x)
        out: Tensor = _Depthwise.apply(x, self.weight, self.stride)
        return out if self.bias is None else out + self.bias[:, None, None]


def _fits(layer: nn.Conv2d, x: Tensor) -> bool:
    plain = (
        max(layer.stride) <= 2
        and layer.dilation == (1, 1)
        and layer.kernel_size in ((3, 3), (5, 5))
        and layer.weight.requires_grad
    )
    return (
        plain
        and x.device.type == "cpu"
        and x.dtype == layer.weight.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and x.is_contiguous(memory_format=torch.channels_last)
    )


def use_native_gradients(model: nn.Module) -> None:
    """Make every depthwise conv of a network a `DepthwiseConv2d`, in place; its tensors and their names stay."""
    for layer in model.modules():
        if type(layer) is nn.Conv2d and layer.groups == layer.in_channels == layer.out_channels > 1:
            layer.__class__ = DepthwiseConv2d
