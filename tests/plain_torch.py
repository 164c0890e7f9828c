"""PP-LCNet in plain `torch.nn`, from PaddleClas's table, with everything that a file may say: independent of `lcnet.nn`.

Its tensors have timm's names, so that a state dict is a model file's.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from lcnet.arch import Arch
from lcnet.config import ModelConfig, Preprocessing
from lcnet.modelfile import ModelFile

# PaddleClas's NET_CONFIG: kernel, in, out, whether it has the stage's stride, squeeze-and-excite; by timm's stages.
TABLE = (
    ((3, 16, 32, True, False),),
    ((3, 32, 64, True, False), (3, 64, 64, False, False)),
    ((3, 64, 128, True, False), (3, 128, 128, False, False)),
    ((3, 128, 256, True, False), (5, 256, 256, False, False)),
    ((5, 256, 256, True, False), *((5, 256, 256, False, False),) * 3),
    ((5, 256, 512, True, True), (5, 512, 512, False, True)),
)
LINE = ((1, 1), (2, 1), (2, 1), (2, 1), (1, 1), (2, 1))  # PaddleClas's stride_list [2, [2,1], [2,1], [2,1], [2,1]]
NETWORKS = {
    "line": Arch(0.25, num_classes=2, stage_strides=LINE),
    "first release": Arch(
        0.25, 3, 2, (1, 2), LINE, head_channels=0, hard_sigmoid_slope=0.16666670143604279, classifier_input=("blocks.5",)
    ),
    "relu": Arch(0.35, num_classes=7, activation="relu", hard_sigmoid_slope=0.2),
    "fine": Arch(0.25, 1, 3, (1, 1), ((2, 1), (1, 2), (2, 2), (1, 1), (2, 2), (1, 2)), 40, "relu"),
    "probe": Arch(0.35, 3, 5, (2, 1), head_channels=0, classifier_input=("blocks.1", "blocks.2", "blocks.4")),
    "pooled": Arch(0.25, num_classes=0, head_channels=0, activation="relu", classifier_input=("blocks.0", "blocks.2")),
}
EPS = 2e-3  # of the batch norms: not the usual


def channels(count: float) -> int:
    """PaddleClas's make_divisible."""
    rounded = max(8, int(count + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * count else rounded


class Gate(nn.Module):
    def __init__(self, c: int, slope: float) -> None:
        super().__init__()
        self.conv_reduce, self.conv_expand, self.slope = nn.Conv2d(c, c // 4, 1), nn.Conv2d(c // 4, c, 1), slope

    def forward(self, x):
        gate = self.conv_expand(functional.relu(self.conv_reduce(x.mean((2, 3), keepdim=True))))
        return x * torch.clamp(self.slope * gate + 0.5, 0, 1)


class PlainBlock(nn.Module):
    def __init__(self, arch: Arch, row: tuple, stride: tuple[int, int]) -> None:
        super().__init__()
        kernel, cin, cout, strided, se = row
        cin, cout = channels(cin * arch.width), channels(cout * arch.width)
        stride = stride if strided else (1, 1)
        self.conv_dw = nn.Conv2d(cin, cin, kernel, stride, kernel // 2, groups=cin, bias=False)
        self.bn1, self.se = nn.BatchNorm2d(cin, EPS), Gate(cin, arch.hard_sigmoid_slope) if se else nn.Identity()
        self.conv_pw, self.bn2 = nn.Conv2d(cin, cout, 1, bias=False), nn.BatchNorm2d(cout, EPS)
        self.act = functional.relu if arch.activation == "relu" else functional.hardswish

    def forward(self, x):
        return self.act(self.bn2(self.conv_pw(self.se(self.act(self.bn1(self.conv_dw(x)))))))


class PlainLCNet(nn.Module):
    def __init__(self, arch: Arch) -> None:
        super().__init__()
        self.arch, stem = arch, channels(16 * arch.width)
        self.conv_stem, self.bn1 = nn.Conv2d(arch.in_chans, stem, 3, arch.stem_stride, 1, bias=False), nn.BatchNorm2d(stem, EPS)
        self.act = functional.relu if arch.activation == "relu" else functional.hardswish
        stages = zip(TABLE, arch.stage_strides, strict=False)
        self.blocks = nn.ModuleList(nn.Sequential(*(PlainBlock(arch, row, s) for row in rows)) for rows, s in stages)
        read = [int(name[-1]) for name in arch.classifier_input if name != "embeddings"]
        width = sum(channels(TABLE[stage][-1][2] * arch.width) for stage in read)
        if arch.head_channels:
            width = arch.head_channels
            self.conv_head = nn.Conv2d(channels(512 * arch.width), width, 1)
        if arch.num_classes:
            self.classifier = nn.Linear(width, arch.num_classes)
        self.read = read

    def forward(self, x):
        """Logits (None without a classifier), embeddings, and the outputs of the stages."""
        x, maps = self.act(self.bn1(self.conv_stem(x))), []
        for stage in self.blocks:
            maps.append(x := stage(x))
        embeddings = torch.cat([maps[s].mean((2, 3)) for s in self.read], 1) if self.read else None
        if embeddings is None:
            embeddings = self.act(self.conv_head(x.mean((2, 3), keepdim=True))).flatten(1)
        return self.classifier(embeddings) if self.arch.num_classes else None, embeddings, maps

    def results(self, x: np.ndarray):
        """The same of ready input in numpy."""
        with torch.no_grad():
            logits, embeddings, maps = self.eval()(torch.from_numpy(x))
        return None if logits is None else logits.numpy(), embeddings.numpy(), [m.numpy() for m in maps]


def varied(x: np.ndarray, seed: int = 0) -> np.ndarray:
    """Pictures of other contrasts and colours than their neighbours', so that their means differ deep inside a network too."""
    rng = np.random.default_rng(seed)
    contrast, colour = rng.uniform(0.2, 2, (len(x), 1, 1, 1)), rng.normal(0, 0.7, (*x.shape[:2], 1, 1))
    return (x * contrast + colour).astype(np.float32)


def plain_network(arch: Arch, x: np.ndarray, seed: int = 0) -> PlainLCNet:
    """Random weights, batch norms with the statistics of `x`, so that the answers depend on the picture."""
    torch.manual_seed(seed)
    model = PlainLCNet(arch)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.7, 1.5)
            nn.init.normal_(module.bias, 0, 0.2)
            module.momentum = 1.0
    with torch.no_grad():
        model.train()(torch.from_numpy(x))
    return model.eval()


def model_file(model: PlainLCNet, size: tuple[int, int]) -> ModelFile:
    """Its weights as a model file."""
    chans = model.arch.in_chans
    pre = Preprocessing((chans, *size), mean=(0.5,) * chans, std=(0.25,) * chans)
    weights = {key: value.numpy().copy() for key, value in model.state_dict().items()}
    return ModelFile(ModelConfig(model.arch, pre, bn_eps=EPS), weights)
