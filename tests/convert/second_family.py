"""PP-LCNetV2 as PaddleClas has it, in paddle's modules and by its names: a test-only peer, and what becomes of its names."""

import numpy as np
from paddle_files import Writer

from lcnet.arch import Arch

BN = {"weight": "weight", "bias": "bias", "running_mean": "_mean", "running_var": "_variance"}


def paddle_arrays(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """timm-named weights, with branches, by PaddleClas's names and in its layout, without its dropout rule."""
    out = {}
    for key, value in weights.items():
        part, _, leaf = key.rpartition(".")
        for ours, theirs in (("se.fc", "se.conv"), ("pw_conv.0", "pw_conv_1"), ("pw_conv.1", "pw_conv_2")):
            part = part.replace(ours, theirs)
        part = {"conv_head": "last_conv", "classifier": "fc"}.get(part, part)
        out[f"{part}.{BN.get(leaf, leaf) if part.endswith('.bn') else leaf}"] = value.T if key == "classifier.weight" else value
    return out


def network(paddle, arch: Arch, factor: float = 0.8, shitu: bool = False):
    """The network with random weights; `shitu`: as PPLCNetV2_base_ShiTu with its neck."""
    nn = paddle.nn

    class ConvBN(nn.Layer):
        def __init__(self, cin, cout, k, stride=1, groups=1, act=True):
            super().__init__()
            self.conv = nn.Conv2D(cin, cout, k, stride, (k - 1) // 2, groups=groups, bias_attr=False)
            self.bn = nn.BatchNorm2D(cout)
            self.used = act

        def forward(self, x):
            x = self.bn(self.conv(x))
            return nn.functional.relu(x) if self.used else x

    class SE(nn.Layer):
        def __init__(self, c):
            super().__init__()
            self.pool = nn.AdaptiveAvgPool2D(1)
            self.conv1, self.conv2 = nn.Conv2D(c, c // 4, 1), nn.Conv2D(c // 4, c, 1)

        def forward(self, x):
            return x * nn.functional.sigmoid(self.conv2(nn.functional.relu(self.conv1(self.pool(x)))))

    class Block(nn.Layer):
        def __init__(self, b):
            super().__init__()
            c, k, n = b.in_channels, b.kernel, b.out_channels
            stride = list(b.strides)
            self.shortcut, self.deployed, self.size = b.shortcut, False, k
            if b.branches:
                self.dw_conv_list = nn.LayerList([ConvBN(c, c, size, stride, c, False) for size in b.branches])
                self.dw_conv = nn.Conv2D(c, c, k, stride, (k - 1) // 2, groups=c)
            else:
                self.dw_conv = ConvBN(c, c, k, stride, c)
            self.branched = bool(b.branches)
            if b.se_channels:
                self.se = SE(c)
            self.gated = bool(b.se_channels)
            self.split = bool(b.mid_channels)
            if self.split:
                self.pw_conv_1, self.pw_conv_2 = ConvBN(c, n // 2, 1), ConvBN(n // 2, n, 1)
            else:
                self.pw_conv = ConvBN(c, n, 1)

        def rep(self):
            if not self.branched:
                return
            kernel, bias = 0, 0
            for branch in self.dw_conv_list:
                bn = branch.bn
                scale = bn.weight / paddle.sqrt(bn._variance + 1e-5)
                pad = (self.size - branch.conv.weight.shape[-1]) // 2
                kernel = kernel + nn.functional.pad(branch.conv.weight * scale.reshape([-1, 1, 1, 1]), [pad] * 4)
                bias = bias + bn.bias - bn._mean * scale
            self.dw_conv.weight.set_value(kernel)
            self.dw_conv.bias.set_value(bias)
            self.deployed = True

        def forward(self, x):
            y = x
            if self.branched and not self.deployed:
                y = nn.functional.relu(sum((branch(x) for branch in self.dw_conv_list[1:]), self.dw_conv_list[0](x)))
            else:
                y = self.dw_conv(x)
                y = nn.functional.relu(y) if self.branched else y
            y = self.se(y) if self.gated else y
            y = self.pw_conv_2(self.pw_conv_1(y)) if self.split else self.pw_conv(y)
            return y + x if self.shortcut else y

    class PPLCNetV2(nn.Layer):
        def __init__(self):
            super().__init__()
            (first,), *stages = arch.stages
            self.stem = nn.Sequential(ConvBN(arch.in_chans, arch.stem_channels, 3, list(arch.stem_stride)), Block(first))
            self.stages = nn.LayerList([nn.Sequential(*map(Block, stage)) for stage in stages])
            self.avg_pool = nn.AdaptiveAvgPool2D(1)
            self.last_conv = nn.Conv2D(arch.num_features, arch.head_channels, 1, bias_attr=None if shitu else False)
            self.dropout = nn.Dropout(1 - factor, mode="downscale_in_infer")
            self.flatten = nn.Flatten()
            if not shitu:
                self.fc = nn.Linear(arch.head_channels, arch.num_classes)

        def forward(self, x):
            x = self.stem(x)
            for stage in self.stages:
                x = stage(x)
            x = self.last_conv(self.avg_pool(x))
            x = self.flatten(self.dropout(x if shitu else nn.functional.relu(x)))
            return x if shitu else self.fc(x)

        def deploy(self):
            for layer in self.sublayers():
                if isinstance(layer, Block):
                    layer.rep()

    class Neck(nn.Layer):
        def __init__(self):
            super().__init__()
            self.feat_bn = nn.BatchNorm1D(arch.head_channels)

        def forward(self, x):
            return self.feat_bn(x)

    class Rec(nn.Layer):
        def __init__(self):
            super().__init__()
            self.backbone, self.neck = PPLCNetV2(), Neck()

        def forward(self, x):
            return self.neck(self.backbone(x))

        def deploy(self):
            self.backbone.deploy()

    return Rec() if shitu else PPLCNetV2()


class SecondWriter(Writer):
    """The operators of a fused PP-LCNetV2 in Paddle's words; `neck`: as PPLCNetV2_base_ShiTu ends."""

    def __init__(self, weights, arch, end="softmax", dropped=0.2, size=(64, 64), neck=False):
        self.neck = neck
        super().__init__(weights, arch, end, dropped, size)

    def relu(self, x):
        return self.add("relu", {"X": x})

    def block(self, x, name, block):
        start, names = x, ["conv_dw", "conv_pw", "conv_pw2"][: 3 if block.mid_channels else 2]
        convs = {c.layer.removeprefix(f"{name}."): c for c in self.arch.convs() if c.layer.startswith(f"{name}.")}
        for part in names:
            groups, strides = (block.in_channels, block.strides) if part == "conv_dw" else (1, (1, 1))
            x = self.relu(self.conv(x, convs[part].conv, convs[part].norm, strides, groups))
            if part == "conv_dw" and block.se_channels:
                y = self.add("pool2d", {"X": x}, pooling_type="avg", adaptive=True, ksize=[1, 1])
                y = self.conv(self.relu(self.conv(y, f"{name}.se.fc1")), f"{name}.se.fc2")
                x = self.add("elementwise_mul", {"X": x, "Y": self.add("sigmoid", {"X": y})}, axis=-1)
        return self.add("elementwise_add", {"X": x, "Y": start}, axis=-1) if block.shortcut else x

    def network(self, end, dropped):
        x = self.relu(self.conv("x", "stem.0.conv", "stem.0.bn", self.arch.stem_stride))
        for name, block in self.arch.blocks():
            x = self.block(x, name, block)
        x = self.conv(self.add("pool2d", {"X": x}, pooling_type="avg", adaptive=True, ksize=[1, 1]), "conv_head")
        if self.neck:
            bias = self.parameter(f"conv2d_{self.convs - 1}.b_0", self.weights["conv_head.bias"])
            x = self.add("elementwise_add", {"X": x, "Y": bias}, axis=1)
        else:
            x = self.relu(x)
        x = self.add("dropout", {"X": x}, dropout_prob=dropped, dropout_implementation="downgrade_in_infer", is_test=True)
        x = self.add("flatten_contiguous_range", {"X": x}, start_axis=1, stop_axis=3)
        if self.neck:
            return self.norm(x, "neck")
        w, b = (self.weights[f"classifier.{leaf}"] for leaf in ("weight", "bias"))
        x = self.add("matmul_v2", {"X": x, "Y": self.parameter("linear_0.w_0", w.T)}, trans_x=False, trans_y=False)
        x = self.add("elementwise_add", {"X": x, "Y": self.parameter("linear_0.b_0", b)}, axis=1)
        return self.add(end, {"X": x}, axis=-1) if end else x
