"""The parts that LCNet is made of, NCHW, with timm's parameter names: the block, squeeze-and-excite, pooling.

Owns what is written once for all layers: activation, batch-norm constants, initialisation. Knows no stage table.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..arch import BN_EPS, GATES, HARD_SIGMOID_SLOPE, Arch, Block, Stride
from ..errors import InputError
from ..text import suggest

# timm's names of the activations without parameters that torch has.
ACTIVATIONS: dict[str, type[nn.Module]] = {
    "hard_swish": nn.Hardswish,
    "hardswish": nn.Hardswish,
    "hard_sigmoid": nn.Hardsigmoid,
    "hardsigmoid": nn.Hardsigmoid,
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "celu": nn.CELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "swish": nn.SiLU,
    "mish": nn.Mish,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "identity": nn.Identity,
}
POOLINGS = {"avg": 1, "max": 1, "avgmax": 1, "catavgmax": 2, "": 1}  # kind -> channels out per channel in


def activation(layer: str | Callable[..., nn.Module]) -> Callable[..., nn.Module]:
    """Return the activation class of a timm name, or the class (or other maker of modules) that was given."""
    if not isinstance(layer, str):
        if not callable(layer) or (isinstance(layer, type) and not issubclass(layer, nn.Module)):
            raise InputError(f"act_layer is {layer!r}, expected a name or a torch.nn.Module class")
        return layer
    name = layer.lower()
    if name not in ACTIVATIONS:
        known = f"a torch.nn.Module class or one of {', '.join(ACTIVATIONS)}"
        raise InputError(f"act_layer is {layer!r}, expected {known}{suggest(name, tuple(ACTIVATIONS))}")
    return ACTIVATIONS[name]


@dataclass(frozen=True)
class Style:
    """What every layer of a network shares: the activation, batch-norm's constants (torch's meaning of momentum), the gates."""

    act_layer: Callable[..., nn.Module] = nn.Hardswish
    bn_eps: float = BN_EPS
    bn_momentum: float = 0.1
    hard_sigmoid_slope: float = HARD_SIGMOID_SLOPE
    gate_name: str = GATES[0]
    se_layer: Callable[..., nn.Module] = nn.ReLU  # inside squeeze-and-excite

    @classmethod
    def of(cls, arch: Arch, bn_eps: float = BN_EPS) -> Style:
        """The style of a network of the family."""
        return cls(activation(arch.activation), bn_eps, hard_sigmoid_slope=arch.hard_sigmoid_slope, gate_name=arch.gate)

    def act(self) -> nn.Module:
        """Make an activation; not in place, for which autograd would copy the input: 4% of a training step."""
        return self.act_layer()

    def bn(self, channels: int) -> nn.BatchNorm2d:
        """Make a batch norm."""
        return nn.BatchNorm2d(channels, self.bn_eps, self.bn_momentum)

    def gate(self) -> nn.Module:
        """Make a hard-sigmoid, or a sigmoid."""
        if self.gate_name == "sigmoid":
            return nn.Sigmoid()
        usual = self.hard_sigmoid_slope == HARD_SIGMOID_SLOPE
        return nn.Hardsigmoid() if usual else SlopedHardsigmoid(self.hard_sigmoid_slope)


class SlopedHardsigmoid(nn.Module):
    """min(max(slope * x + 0.5, 0), 1): torch's own has a slope of 1/6."""

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.slope = slope

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        return (self.slope * x + 0.5).clamp(0, 1)


class SqueezeExcite(nn.Module):
    """Channel attention (arXiv 1709.01507): mean -> 1x1 -> ReLU -> 1x1 -> hard-sigmoid -> multiply."""

    def __init__(self, channels: int, reduced: int, gate: nn.Module) -> None:
        super().__init__()
        self.conv_reduce = nn.Conv2d(channels, reduced, 1)
        self.act1 = nn.ReLU(inplace=True)
        self.conv_expand = nn.Conv2d(reduced, channels, 1)
        self.gate = gate

    def forward(self, x: Tensor) -> Tensor:
        """N,C,H,W -> N,C,H,W."""
        mean = x.mean((2, 3), keepdim=True)
        return x * self.gate(self.conv_expand(self.act1(self.conv_reduce(mean))))


class DepthwiseSeparable(nn.Module):
    """One block of the family; where an output stride is kept, `strides` and `dilation` differ from the block's own."""

    def __init__(self, block: Block, strides: Stride, dilation: Stride, style: Style) -> None:
        super().__init__()
        c, k = block.in_channels, block.kernel
        down, across = (d * (k - 1) // 2 for d in dilation)
        self.conv_dw = nn.Conv2d(c, c, k, strides, (down, across), dilation, groups=c, bias=False)
        self.bn1 = style.bn(c)
        self.act1 = style.act()
        self.se = SqueezeExcite(c, block.se_channels, style.gate()) if block.se_channels else nn.Identity()
        self.conv_pw = nn.Conv2d(c, block.out_channels, 1, bias=False)
        self.bn2 = style.bn(block.out_channels)
        self.act2 = style.act()

    def forward(self, x: Tensor) -> Tensor:
        """N,Cin,H,W -> N,Cout,ceil(H/down),ceil(W/across), by the strides."""
        x = self.se(self.act1(self.bn1(self.conv_dw(x))))
        return self.act2(self.bn2(self.conv_pw(x)))


class GlobalPool(nn.Module):
    """Pooling to 1x1: mean, maximum, the mean of both, or both side by side; '' keeps the map."""

    def __init__(self, pool_type: str = "avg") -> None:
        super().__init__()
        if pool_type not in POOLINGS:
            raise InputError(f"global_pool is {pool_type!r}, expected one of {', '.join(map(repr, POOLINGS))}")
        self.pool_type = pool_type

    @property
    def multiplier(self) -> int:
        """Channels out per channel in."""
        return POOLINGS[self.pool_type]

    def forward(self, x: Tensor) -> Tensor:
        """N,C,H,W -> N,C*multiplier,1,1 (or unchanged)."""
        if self.pool_type == "":
            return x
        if self.pool_type == "avg":
            return functional.adaptive_avg_pool2d(x, 1)
        top = functional.adaptive_max_pool2d(x, 1)
        if self.pool_type == "max":
            return top
        mean = functional.adaptive_avg_pool2d(x, 1)
        return 0.5 * (mean + top) if self.pool_type == "avgmax" else torch.cat((mean, top), 1)

    def extra_repr(self) -> str:
        """Show the kind when the model is printed."""
        return f"pool_type={self.pool_type!r}"


def initialize(model: nn.Module, family: str = "lcnet") -> None:
    """Set fresh weights: convs normal with std sqrt(2/fan_out), the classifier uniform in +-1/sqrt(classes), biases 0.

    The rule of TensorFlow's EfficientNet, which timm applies to the first family; fan_out counts one group. In `lcnetv2`, as in
    timm, it counts all groups, and the classifier is uniform in +-1/sqrt(inputs). Batch norms already start as 1 and 0.
    """
    first = family == "lcnet"
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            fan_out = math.prod(module.kernel_size) * module.out_channels // (module.groups if first else 1)
            nn.init.normal_(module.weight, std=math.sqrt(2 / fan_out))
        elif isinstance(module, nn.Linear):
            bound = 1 / math.sqrt(module.out_features if first else module.in_features)
            nn.init.uniform_(module.weight, -bound, bound)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)
