"""PP-LCNetV2 as deployed, in torch's functions on tensors by timm's names, from PaddleClas's table: no part of `lcnet.nn`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch.nn import functional
from weights import random_weights

from lcnet.arch import Arch
from lcnet.config import ModelConfig, Preprocessing
from lcnet.modelfile import ModelFile

EPS = 2e-3  # of the batch norms: not the usual
TABLE = (  # PaddleClas's NET_CONFIG: kernel, two pointwise layers, re-parameterised, squeeze-and-excite, shortcut
    (3, False, False, False, False),
    (3, False, False, False, False),
    (5, True, True, True, False),
    (5, False, True, False, True),
)
SMALL = replace(Arch.of("lcnetv2_small", num_classes=7), width=0.25, depths=(1, 2, 3, 3), head_channels=40)
# All that the family leaves open: strides by axis, heads, activations, gates.
V2_NETWORKS = {
    "v2": SMALL,
    "v2 embeddings": replace(SMALL, num_classes=0, head_bias=True, head_activation="none", depths=(2, 1, 2, 2)),
    "v2 plain head": replace(SMALL, in_chans=1, head_activation="none", activation="hard_swish"),
    "v2 hard": replace(SMALL, activation="hard_swish", gate="hard_sigmoid", hard_sigmoid_slope=0.2),
    "v2 line": replace(SMALL, stem_stride=(1, 2), stage_strides=((1, 1), (2, 1), (2, 1), (1, 2), (1, 1))),
    "v2 pooled": replace(
        SMALL, head_channels=0, classifier_input=("stages.0", "stages.2", "stages.3"), activation="hard_swish"
    ),
}


class PlainV2:
    """A network of random weights, whose batch norms have the statistics of `x`."""

    def __init__(self, arch: Arch, x: np.ndarray, seed: int = 0) -> None:
        self.arch = arch
        self.weights = {key: torch.from_numpy(value) for key, value in random_weights(arch, seed).items()}
        self.fits = True
        self(torch.from_numpy(x))
        self.fits = False

    def conv(self, x, conv, norm, stride=(1, 1), depthwise=False):
        w = self.weights[f"{conv}.weight"]
        bias = self.weights.get(f"{conv}.bias")
        x = functional.conv2d(x, w, bias, stride, w.shape[2] // 2, groups=len(w) if depthwise else 1)
        if not norm:
            return x
        keys = ("running_mean", "running_var", "weight", "bias")
        mean, var, gamma, beta = (self.weights[f"{norm}.{key}"] for key in keys)
        if self.fits:
            mean.copy_(x.mean((0, 2, 3))), var.copy_(x.var((0, 2, 3)))
        return functional.batch_norm(x, mean, var, gamma, beta, False, 0, EPS)

    def act(self, x):
        return functional.relu(x) if self.arch.activation == "relu" else functional.hardswish(x)

    def gate(self, x):
        return torch.sigmoid(x) if self.arch.gate == "sigmoid" else (self.arch.hard_sigmoid_slope * x + 0.5).clamp(0, 1)

    def block(self, x, name, row, stride):
        _, split, branched, se, shortcut = row
        first, dw = x, f"{name}.dw_conv"
        x = self.act(self.conv(x, *((dw, None) if branched else (f"{dw}.conv", f"{dw}.bn")), stride, depthwise=True))
        if se:
            squeezed = functional.relu(self.conv(x.mean((2, 3), keepdim=True), f"{name}.se.fc1", None))
            x = x * self.gate(self.conv(squeezed, f"{name}.se.fc2", None))
        for part in ("pw_conv.0", "pw_conv.1") if split else ("pw_conv",):
            x = self.act(self.conv(x, f"{name}.{part}.conv", f"{name}.{part}.bn"))
        return x + first if shortcut and stride == (1, 1) and x.shape == first.shape else x

    def __call__(self, x):
        """Logits (None without a classifier), embeddings, and the outputs of the stages."""
        arch, strides = self.arch, self.arch.stage_strides
        x = self.act(self.conv(x, "stem.0.conv", "stem.0.bn", arch.stem_stride))
        maps = [x := self.block(x, "stem.1", TABLE[0], strides[0])]
        for stage, (row, depth) in enumerate(zip(TABLE, arch.depths, strict=True)):
            for i in range(depth):
                x = self.block(x, f"stages.{stage}.{i}", row, strides[stage + 1] if i == 0 else (1, 1))
            maps.append(x)
        if arch.head_channels:
            x = self.conv(x.mean((2, 3), keepdim=True), "conv_head", None).flatten(1)
            x = x if arch.head_activation == "none" else self.act(x)
        else:
            x = torch.cat([maps[int(name[-1]) + 1].mean((2, 3)) for name in arch.classifier_input], 1)
        classifier = (self.weights.get(f"classifier.{key}") for key in ("weight", "bias"))
        return functional.linear(x, *classifier) if arch.num_classes else None, x, maps

    def results(self, x: np.ndarray):
        """The same of ready input in numpy."""
        logits, embeddings, maps = self(torch.from_numpy(x))
        return None if logits is None else logits.numpy(), embeddings.numpy(), [m.numpy() for m in maps]

    def model_file(self, size: tuple[int, int]) -> ModelFile:
        """Its weights as a model file."""
        chans = self.arch.in_chans
        pre = Preprocessing((chans, *size), mean=(0.5,) * chans, std=(0.25,) * chans)
        return ModelFile(ModelConfig(self.arch, pre, bn_eps=EPS), {k: v.numpy().copy() for k, v in self.weights.items()})
