"""The block of PP-LCNetV2, NCHW, with timm's parameter names: depthwise branches while training, one convolution afterwards.

Owns the fusing of branches. The rest of a network's parts are `layers`'.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..arch import Block, Stride
from .layers import Style


class ConvNorm(nn.Sequential):
    """Convolution and batch norm, and the activation unless it comes later."""

    def __init__(
        self, cin: int, cout: int, kernel: int, style: Style, strides: Stride = (1, 1), groups: int = 1, act: bool = True
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(cin, cout, kernel, strides, kernel // 2, groups=groups, bias=False)
        self.bn = style.bn(cout)
        if act:
            self.act = style.act()


class Gate(nn.Module):
    """Squeeze-and-excite by timm's names: mean -> 1x1 -> ReLU -> 1x1 -> sigmoid -> multiply."""

    def __init__(self, channels: int, reduced: int, style: Style) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, reduced, 1)
        self.act = style.se_layer()
        self.fc2 = nn.Conv2d(reduced, channels, 1)
        self.gate = style.gate()

    def forward(self, x: Tensor) -> Tensor:
        """N,C,H,W -> N,C,H,W."""
        return x * self.gate(self.fc2(self.act(self.fc1(x.mean((2, 3), keepdim=True)))))


class BranchedSeparable(nn.Module):
    """One block: depthwise [its branches' sum] -> [gate] -> one or two pointwise [+ input].

    branches: build those of training, where the block has any; else the one biased convolution that they become.
    """

    def __init__(self, block: Block, style: Style, branches: bool) -> None:
        super().__init__()
        self.block = block
        c, k, m, n = block.in_channels, block.kernel, block.mid_channels, block.out_channels

        def depthwise(kernel: int, act: bool) -> ConvNorm:
            return ConvNorm(c, c, kernel, style, block.strides, groups=c, act=act)

        self.dw_conv: nn.Module | None
        self.dw_conv_list: nn.ModuleList | None
        for name in ("dw_conv", "dw_conv_list"):
            self.register_module(name, None)  # in their order, whichever there is
        if not block.branches:
            self.dw_conv = depthwise(k, act=True)
        elif branches:
            self.dw_conv_list = nn.ModuleList(depthwise(kernel, act=False) for kernel in block.branches)
        else:
            self.dw_conv = self._fused()
        self.dw_act = style.act() if block.branches else nn.Identity()
        self.se = Gate(c, block.se_channels, style) if block.se_channels else nn.Identity()
        if m:
            self.pw_conv: nn.Sequential = nn.Sequential(ConvNorm(c, m, 1, style), ConvNorm(m, n, 1, style))
        else:
            self.pw_conv = ConvNorm(c, n, 1, style)

    def _fused(self) -> nn.Conv2d:
        c, k = self.block.in_channels, self.block.kernel
        return nn.Conv2d(c, c, k, self.block.strides, k // 2, groups=c)

    def forward(self, x: Tensor) -> Tensor:
        """N,Cin,H,W -> N,Cout,ceil(H/down),ceil(W/across), by the strides."""
        if self.dw_conv_list is not None:
            out = self.dw_conv_list[0](x)
            for branch in self.dw_conv_list[1:]:
                out = out + branch(x)
        else:
            assert self.dw_conv is not None
            out = self.dw_conv(x)
        out = self.pw_conv(self.se(self.dw_act(out)))
        return out + x if self.block.shortcut else out

    @torch.no_grad()
    def reparameterize(self) -> None:
        """Put the one convolution in the place of the branches, which gives the same in evaluation (timm's name for it)."""
        if self.dw_conv_list is None:
            return
        fused = self._fused()
        branches: Any = self.dw_conv_list
        parts = [_padded(branch.conv.weight, branch.bn, self.block.kernel) for branch in branches]
        for tensor, several in zip(fused.parameters(), zip(*parts, strict=True), strict=True):
            tensor.copy_(torch.stack(several).sum(0))
        like = next(self.dw_conv_list.parameters())
        fused.to(like.device, like.dtype).train(self.training).requires_grad_(like.requires_grad)
        self.dw_conv, self.dw_conv_list = fused, None


def _padded(weight: Tensor, bn: Any, size: int) -> tuple[Tensor, Tensor]:
    """A branch's kernel with its batch norm in it and zeros up to `size`, and its bias, in double precision."""
    scale, beta, mean, var = (t.double() for t in (bn.weight, bn.bias, bn.running_mean, bn.running_var))
    scale = scale / (var + bn.eps).sqrt()
    pad = (size - weight.shape[2]) // 2
    return functional.pad(weight.double() * scale[:, None, None, None], [pad] * 4), beta - mean * scale
