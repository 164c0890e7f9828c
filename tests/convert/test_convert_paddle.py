"""PaddleClas's PPLCNet: the names, the one transpose, the dropout rule, and logits equal to those of paddle itself."""

import foreign
import numpy as np
import pytest
from foreign import assert_equal
from test_match import outputs
from test_paddle_reader import found_in
from weights import random_weights

from lcnet.arch import Arch
from lcnet.config import Decision, Preprocessing
from lcnet.convert import convert, from_paddle, load_state_dict, paddle_key
from lcnet.errors import InputError, ModelFileError
from lcnet.labels import load_labels

SMALL = Arch(0.25, num_classes=5)


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("width", [0.25, 1.0])
def test_pdparams_mapping(tmp_path, width, protocol):
    arch = Arch(width, num_classes=7)
    weights = random_weights(arch) | {"conv_head.bias": np.zeros(1280, np.float32)}
    (tmp_path / "a.pdparams").write_bytes(foreign.pdparams(foreign.paddle_arrays(weights), protocol))
    found = convert(tmp_path / "a.pdparams", tmp_path / "a.safetensors")
    scaled = weights | {"classifier.weight": weights["classifier.weight"] * np.float32(0.8)}
    assert_equal(found.weights, scaled)
    assert found.config.arch == arch
    assert found.config.provenance["format"] == "paddle"
    assert found.config.provenance["dropout_scale"] == 0.8


def test_pdparams_without_dropout(tmp_path):
    weights = random_weights(SMALL) | {"conv_head.bias": np.zeros(1280, np.float32)}
    (tmp_path / "a.pdparams").write_bytes(foreign.pdparams(foreign.paddle_arrays(weights)))
    assert_equal(load_state_dict(tmp_path / "a.pdparams", dropout_scale=1), weights)
    with pytest.raises(InputError, match="dropout_scale is 0"):
        load_state_dict(tmp_path / "a.pdparams", dropout_scale=0)


def test_pdparams_array_layouts(tmp_path):
    weights = random_weights(SMALL)
    arrays = foreign.paddle_arrays(weights)
    arrays["last_conv.weight"] = np.asfortranarray(arrays["last_conv.weight"])
    arrays["fc.bias"] = arrays["fc.bias"].astype(">f8")
    (tmp_path / "a.pdparams").write_bytes(foreign.pdparams(arrays))
    found = load_state_dict(tmp_path / "a.pdparams")
    np.testing.assert_array_equal(found["conv_head.weight"], weights["conv_head.weight"])
    np.testing.assert_array_equal(found["classifier.bias"], weights["classifier.bias"])


def test_paddle_description(tmp_path):
    arrays = foreign.paddle_arrays(random_weights(Arch(0.25)))
    (tmp_path / "a.pdparams").write_bytes(foreign.pdparams(arrays))
    config = convert(tmp_path / "a.pdparams", tmp_path / "a.safetensors").config
    assert config.preprocessing == Preprocessing(interpolation="bilinear")
    assert config.labels == load_labels("imagenet1k")


def test_paddle_names_both_ways():
    assert {paddle_key(t): t for t in Arch(1.0).shapes() if t != "conv_head.bias"} == foreign.paddle_names()


def test_other_paddle_networks_are_refused():
    arrays = foreign.paddle_arrays(random_weights(SMALL))
    arrays["blocks7.0.dw_conv.conv.weight"] = arrays["fc.weight"]
    with pytest.raises(ModelFileError, match=r"\(V1\): unknown blocks7\.0\.dw_conv\.conv\.weight$"):
        from_paddle(arrays)
    del arrays["fc.weight"]
    with pytest.raises(ModelFileError, match=r"missing fc\.weight; unknown blocks7\.0\.dw_conv\.conv\.weight"):
        from_paddle(arrays)


TRAINING = """
Arch:
  name: PPLCNet_x0_25
  stride_list: [[1, 2], [2, 1], [2, 1], 2, [2, 1]]
  dropout_prob: 0.5
Global: {use_multilabel: True}
Infer:
  transforms: [{ResizeImage: {size: [160, 80]}}, {NormalizeImage: {mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5]}}]
  PostProcess: {name: MultiLabelThreshOutput, threshold: 0.7, label_list: [a, b, c, d, e]}
"""


@pytest.mark.parametrize("beside", [True, False])
def test_the_configuration_of_the_training(tmp_path, beside):
    """It says what the tensors do not: strides, the factor, labels, preprocessing, decision."""
    weights = random_weights(SMALL) | {"conv_head.bias": np.zeros(1280, np.float32)}
    (tmp_path / "a.pdparams").write_bytes(foreign.pdparams(foreign.paddle_arrays(weights)))
    path = tmp_path / ("a.yaml" if beside else "other.yml")
    path.write_text(TRAINING)
    made = convert(tmp_path / "a.pdparams", tmp_path / "out", config=None if beside else path)
    strides = ((1, 1), (2, 1), (2, 1), (2, 2), (1, 1), (2, 1))
    config = made.config
    assert config.arch == Arch(0.25, num_classes=5, stem_stride=(1, 2), stage_strides=strides)
    assert config.labels.names == tuple("abcde")
    assert config.decision == Decision(thresholds=dict.fromkeys("abcde", 0.7), multi_label=True)
    pre = config.preprocessing
    assert (pre.input_size, pre.mean, pre.crop_mode, pre.resize) == ((3, 80, 160), (0.5,) * 3, "squash", "opencv")
    assert "note" not in config.provenance
    assert config.provenance["dropout_scale"] == 0.5
    expected = weights["classifier.weight"] * np.float32(0.5)
    np.testing.assert_array_equal(made.weights["classifier.weight"], expected)
    chosen = convert(
        tmp_path / "a.pdparams", tmp_path / "two", config=path, dropout_scale=1.0, multi_label=False, labels=list("vwxyz")
    )
    assert (chosen.config.decision.multi_label, chosen.config.labels.names) == (False, tuple("vwxyz"))
    np.testing.assert_array_equal(chosen.weights["classifier.weight"], weights["classifier.weight"])


def test_networks_without_a_head_have_no_factor(tmp_path):
    arch = Arch(0.25, num_classes=5, head_channels=0, classifier_input=("blocks.5",))
    weights = random_weights(arch)
    arrays = {p: weights[t].T if p == "fc.weight" else weights[t] for p, t in foreign.paddle_names().items() if t in weights}
    (tmp_path / "a.pdparams").write_bytes(foreign.pdparams(arrays))
    made = convert(tmp_path / "a.pdparams", tmp_path / "out")
    assert made.config.arch == arch
    assert made.config.provenance["dropout_scale"] == 1.0
    assert_equal(made.weights, weights)
    assert "a .pdparams says neither strides nor the factor" in made.config.provenance["note"]


def test_a_configuration_of_another_project(tmp_path):
    (tmp_path / "a.yml").write_text("a: 1")
    foreign_weights = random_weights(SMALL)
    from safetensors.numpy import save_file

    save_file(foreign_weights, tmp_path / "model.safetensors")
    with pytest.raises(InputError, match="which only a network of Paddle's has"):
        convert(tmp_path / "model.safetensors", tmp_path / "out", config=tmp_path / "a.yml")


def _paddle_network(paddle, arch):
    """PaddleClas's PPLCNet V1, layer by layer, with its names and its dropout."""
    nn = paddle.nn

    class ConvBN(nn.Layer):
        def __init__(self, cin, cout, k, stride, groups=1):
            super().__init__()
            self.conv = nn.Conv2D(cin, cout, k, stride, (k - 1) // 2, groups=groups, bias_attr=False)
            self.bn = nn.BatchNorm2D(cout)
            self.act = nn.Hardswish()

        def forward(self, x):
            return self.act(self.bn(self.conv(x)))

    class SE(nn.Layer):
        def __init__(self, channels):
            super().__init__()
            self.conv1, self.conv2 = nn.Conv2D(channels, channels // 4, 1), nn.Conv2D(channels // 4, channels, 1)

        def forward(self, x):
            y = paddle.nn.functional.relu(self.conv1(x.mean([2, 3], keepdim=True)))
            return x * paddle.nn.functional.hardsigmoid(self.conv2(y), slope=1 / 6, offset=0.5)

    class Block(nn.Layer):
        def __init__(self, b):
            super().__init__()
            self.dw_conv = ConvBN(b.in_channels, b.in_channels, b.kernel, b.stride, b.in_channels)
            self.se = SE(b.in_channels) if b.se_channels else nn.Identity()
            self.pw_conv = ConvBN(b.in_channels, b.out_channels, 1, 1)

        def forward(self, x):
            return self.pw_conv(self.se(self.dw_conv(x)))

    class PPLCNet(nn.Layer):
        def __init__(self):
            super().__init__()
            stages = [*arch.stages[:3], arch.stages[3] + arch.stages[4], arch.stages[5]]
            self.conv1 = ConvBN(3, arch.stem_channels, 3, 2)
            for i, stage in enumerate(stages):
                setattr(self, f"blocks{i + 2}", nn.Sequential(*(Block(b) for b in stage)))
            self.last_conv = nn.Conv2D(arch.num_features, 1280, 1, bias_attr=False)
            self.act = nn.Hardswish()
            self.dropout = nn.Dropout(0.2, mode="downscale_in_infer")
            self.fc = nn.Linear(1280, arch.num_classes)

        def forward(self, x):
            x = self.blocks6(self.blocks5(self.blocks4(self.blocks3(self.blocks2(self.conv1(x))))))
            x = self.dropout(self.act(self.last_conv(x.mean([2, 3], keepdim=True))))
            return self.fc(x.flatten(1))

    return PPLCNet()


@pytest.mark.parametrize("width", [0.25, 0.5])
def test_logits_of_paddle_itself(tmp_path, rng, width):
    paddle = pytest.importorskip("paddle", reason="paddlepaddle, the test-only peer, is not installed")
    arch = Arch(width, num_classes=5)
    net = _paddle_network(paddle, arch)
    random = foreign.paddle_arrays(random_weights(arch))
    assert sorted(net.state_dict()) == sorted(random)
    net.set_state_dict(random)
    net.eval()
    paddle.save(net.state_dict(), str(tmp_path / "a.pdparams"))
    converted = convert(tmp_path / "a.pdparams", tmp_path / "a.safetensors")
    x = rng.standard_normal((2, 3, 64, 96)).astype(np.float32)
    expected = net(paddle.to_tensor(x)).numpy()
    found = foreign.forward(converted.weights, arch, x)
    np.testing.assert_allclose(found, expected, atol=2e-5 * np.abs(expected).max())
    unscaled = foreign.forward(load_state_dict(tmp_path / "a.pdparams", dropout_scale=1), arch, x)
    assert np.abs(unscaled - expected).max() > 0.01 * np.abs(expected).max()


@pytest.mark.slow
def test_exported_by_paddle_itself(tmp_path, rng):
    """What this paddle writes of a network for inference, and its own probabilities."""
    paddle = pytest.importorskip("paddle", reason="paddlepaddle, the test-only peer, is not installed")
    arch = Arch(0.25, num_classes=5)
    net = _paddle_network(paddle, arch)
    net.set_state_dict(foreign.paddle_arrays(random_weights(arch)))
    net.eval()
    whole = paddle.nn.Sequential(net, paddle.nn.Softmax(-1))
    paddle.jit.save(whole, str(tmp_path / "any"), [paddle.static.InputSpec([None, 3, 64, 96], "float32")])
    found = found_in(tmp_path)
    assert (found.arch.stage_strides, found.end, found.factor, found.size) == (arch.stage_strides, "softmax", 0.8, (64, 96))
    x = rng.standard_normal((2, 3, 64, 96)).astype(np.float32)
    np.testing.assert_allclose(outputs(found, x), whole(paddle.to_tensor(x)).numpy(), atol=1e-5)
