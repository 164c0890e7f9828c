"""PP-LCNetV2 from others' files: PaddleClas's checkpoints, Paddle's graphs, ONNX with branches or without, ShiTu's."""

import warnings
from dataclasses import replace

import foreign
import numpy as np
import pytest
from second_family import SecondWriter, network, paddle_arrays
from weights import random_values, random_weights

import lcnet
from lcnet.arch import Arch
from lcnet.config import Preprocessing
from lcnet.convert import convert, load_state_dict
from lcnet.convert.match import match
from lcnet.convert.onnx import read_onnx
from lcnet.convert.second import second_key
from lcnet.errors import ModelFileError
from lcnet.labels import load_labels
from lcnet.modelfile.branches import fused

SHALLOW = Arch.of("lcnetv2_small", num_classes=3, depths=(1, 1, 2, 2))
LAST = ((1, 1), (2, 2), (2, 2), (2, 2), (1, 1))
SHITU = replace(SHALLOW, num_classes=0, head_channels=64, head_bias=True, head_activation="none", stage_strides=LAST)
SAID = {"mean": [0.5], "std": [0.5], "interpolation": "bilinear", "crop_pct": 1.0, "crop_mode": "squash"}
NECK = {"weight": "weight", "bias": "bias", "running_mean": "_mean", "running_var": "_variance"}


def branched(arch=SHALLOW, seed=0):
    return random_values(arch.shapes(branches=True), seed)


def neck(channels=64):
    return random_values({f"neck.{key}": (channels,) for key in NECK}, seed=5)


def spare(arch=SHALLOW):
    """The convolutions that PaddleClas made of the branches, with values that nothing may read."""
    keys = (key for key in arch.shapes() if key.rpartition(".")[0].endswith(".dw_conv"))
    return {key: np.full(arch.shapes()[key], 9, np.float32) for key in keys}


def shitu_arrays(prefix="backbone."):
    """Of a whole network of embeddings, as its training saves it."""
    arrays = {f"{prefix}{key}": value for key, value in paddle_arrays(branched(SHITU)).items()}
    arrays |= {f"neck.feat_bn.{NECK[key.partition('.')[2]]}": value for key, value in neck().items()}
    return arrays | {"head.weight": np.ones((64, 7), np.float32)}


def with_neck(weights, factor=0.8):
    """The head with what follows it folded in, in double precision."""
    n = {key.partition(".")[2]: value.astype(np.float64) for key, value in neck().items()}
    scale = n["weight"] / np.sqrt(n["running_var"] + 1e-5)
    weight, bias = (weights[f"conv_head.{leaf}"].astype(np.float64) * factor for leaf in ("weight", "bias"))
    made = {
        "conv_head.weight": weight * scale[:, None, None, None],
        "conv_head.bias": (bias - n["running_mean"]) * scale + n["bias"],
    }
    return weights | {key: value.astype(np.float32) for key, value in made.items()}


def same(found, expected, rtol=1e-6):
    assert sorted(found) == sorted(expected)
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, rtol, 1e-6, err_msg=key)


# PaddleClas's checkpoints


def test_names():
    assert second_key("stages.2.0.pw_conv.1.bn.running_mean") == "stages.2.0.pw_conv_2.bn._mean"
    assert second_key("stages.2.1.se.fc1.bias") == "stages.2.1.se.conv1.bias"
    names = {key: second_key(key) for key in SHALLOW.shapes(branches=True)}
    assert set(names.values()) == set(paddle_arrays(branched()))


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("factor", [0.8, 1.0])
def test_a_checkpoint_with_branches_and_the_convolution_made_of_them(tmp_path, factor, protocol):
    weights = branched()
    arrays = paddle_arrays(weights | spare())
    assert len(arrays) == len(weights) + 8
    (tmp_path / "a.pdparams").write_bytes(foreign.pdparams(arrays, protocol))
    made = convert(tmp_path / "a.pdparams", tmp_path / "a.safetensors", dropout_scale=factor)
    expected = fused(weights, SHALLOW, 1e-5)
    foreign.assert_equal(made.weights, expected | {"classifier.weight": weights["classifier.weight"] * np.float32(factor)})
    assert made.config.arch == SHALLOW and made.config.provenance["dropout_scale"] == factor
    kept = load_state_dict(tmp_path / "a.pdparams", dropout_scale=1)
    foreign.assert_equal(kept, weights)


def test_a_deployed_checkpoint(tmp_path):
    weights = random_weights(SHALLOW)
    (tmp_path / "a.pdparams").write_bytes(foreign.pdparams(paddle_arrays(weights)))
    scaled = {"classifier.weight": weights["classifier.weight"] * np.float32(0.8)}
    foreign.assert_equal(convert(tmp_path / "a.pdparams", tmp_path / "a.safetensors").weights, weights | scaled)


def test_what_is_said_of_paddles_weights(tmp_path):
    arch = Arch.of("lcnetv2_small")
    (tmp_path / "a.pdparams").write_bytes(foreign.pdparams(paddle_arrays(branched(arch))))
    (tmp_path / "a.yml").write_text("Arch: {name: PPLCNetV2_small, dropout_prob: 0.0}\n")
    made = convert(tmp_path / "a.pdparams", tmp_path / "a.safetensors")
    assert made.config.arch == arch and made.config.arch.usual and made.config.labels == load_labels("imagenet1k")
    assert made.config.provenance["dropout_scale"] == 1.0
    again = convert(tmp_path / "a.pdparams", tmp_path / "b.safetensors", name="lcnetv2_small.paddle_in1k")
    assert again.config.preprocessing == Preprocessing()
    with pytest.raises(ModelFileError, match="the tensors are those of lcnetv2_small, not of lcnetv2_base"):
        convert(tmp_path / "a.pdparams", tmp_path / "c.safetensors", name="lcnetv2_base")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"last_conv.weight": None}, "PPLCNetV2: missing last_conv.weight"),
        ({"stages.2.1.dw_conv_list.2.bn._mean": None}, "missing stages.2.1.dw_conv_list.2.bn._mean"),
        ({"stages.2.1.dw_conv_list.3.bn._mean": np.ones(4)}, "unknown stages.2.1.dw_conv_list.3.bn._mean"),
        ({"stages.0.0.dw_conv.conv.weight": np.ones((48, 1, 5, 5))}, r"dw_conv.conv.weight has shape \[48, 1, 5, 5\]"),
        ({"stages.3.1.dw_conv_list.0.bn._variance": -np.ones(768)}, "running_var has negative values"),
        ({"last_conv.weight": np.ones((0, 768, 1, 1))}, "its last convolution is none of the family"),
        ({"last_conv.bias": np.ones(7)}, r"last_conv.bias has shape \[7\], expected \[1280\]"),
        ({"stem.0.conv.weight": np.ones((48, 3, 3, 3))}, "no PP-LCNetV2 has a stem of 48 and 768 channels"),
    ],
)
def test_checkpoints_that_are_none(tmp_path, changes, words):
    arrays = paddle_arrays(branched()) | {key: value for key, value in changes.items() if value is not None}
    arrays = {key: value for key, value in arrays.items() if key not in changes or changes[key] is not None}
    (tmp_path / "a.pdparams").write_bytes(foreign.pdparams(arrays))
    with pytest.raises(ModelFileError, match=words):
        convert(tmp_path / "a.pdparams", tmp_path / "a.safetensors")
    assert not (tmp_path / "a.safetensors").exists()


def test_embeddings_of_shitu_with_their_neck(tmp_path):
    (tmp_path / "a.pdparams").write_bytes(foreign.pdparams(shitu_arrays()))
    (tmp_path / "a.yml").write_text("PostProcess: {NormalizeFeatures: null}\n")
    made = convert(tmp_path / "a.pdparams", tmp_path / "a.safetensors")
    assert made.config.arch == SHITU and made.config.labels is None
    same(made.weights, with_neck(fused(branched(SHITU), SHITU, 1e-5)))
    assert "head.weight" in made.config.provenance["note"] and "feat_bn" not in made.config.provenance["note"]
    x = np.random.default_rng(0).normal(size=(2, 3, 64, 64)).astype(np.float32)
    assert lcnet.load(tmp_path / "a.safetensors", threads=1).embeddings(x).shape == (2, 64)


def test_features_without_a_neck(tmp_path):
    """Of a plain network that stops before its classifier the factor is in the head, whose ReLU lets it through."""
    arrays = {key: value for key, value in paddle_arrays(branched()).items() if not key.startswith("fc.")}
    (tmp_path / "a.pdparams").write_bytes(foreign.pdparams(arrays))
    made = convert(tmp_path / "a.pdparams", tmp_path / "a.safetensors")
    assert made.config.arch == replace(SHALLOW, num_classes=0)
    np.testing.assert_allclose(made.weights["conv_head.weight"], arrays["last_conv.weight"] * 0.8, rtol=1e-6)


# Paddle's graphs


def found_in(folder):
    from test_paddle_reader import found_in

    return found_in(folder)


def written(tmp_path, writer, format):
    (tmp_path / f"m.{format}").write_bytes(writer.pir() if format == "json" else writer.pdmodel())
    (tmp_path / "m.pdiparams").write_bytes(writer.pdiparams())
    return tmp_path


@pytest.mark.parametrize("format", ["json", "pdmodel"])
@pytest.mark.parametrize("end", ["softmax", None])
def test_both_formats(tmp_path, end, format):
    weights = random_weights(SHALLOW)
    found = found_in(written(tmp_path, SecondWriter(weights, SHALLOW, end), format))
    assert (found.arch, found.end, found.factor, found.size) == (SHALLOW, end, 0.8, (64, 64))
    scaled = weights | {"classifier.weight": weights["classifier.weight"] * np.float32(0.8)}
    foreign.assert_equal(found.weights, scaled)


@pytest.mark.parametrize("format", ["json", "pdmodel"])
def test_embeddings_of_shitu_exported(tmp_path, format):
    weights = random_weights(SHITU)
    writer = SecondWriter(weights | neck(), SHITU, neck=True)
    source = written(tmp_path, writer, format)
    (tmp_path / "m.yml").write_text("PostProcess: {NormalizeFeatures: null}\n")
    made = convert(source, tmp_path / "out.safetensors", preprocessing=SAID)
    assert made.config.arch == SHITU
    same(made.weights, with_neck(weights), 1e-5)


def test_a_classifier_is_not_said_to_give_features(tmp_path):
    source = written(tmp_path, SecondWriter(random_weights(SHALLOW), SHALLOW), "json")
    (tmp_path / "m.yml").write_text("PostProcess: {NormalizeFeatures: null}\n")
    with pytest.raises(ModelFileError, match=r"its outputs are features \(NormalizeFeatures\), not classes, .* has 3"):
        convert(source, tmp_path / "out.safetensors", preprocessing=SAID)


def _without(kind, which=0):
    def change(operators):
        at = [i for i, op in enumerate(operators) if op[0] == kind][which]
        _, inputs, out, _ = operators.pop(at)
        for i, (other, slots, made, attributes) in enumerate(operators):
            operators[i] = other, {k: inputs["X"] if v == out else v for k, v in slots.items()}, made, attributes

    return change


def _replaced(kind, which, new, **attributes):
    def change(operators):
        at = [i for i, op in enumerate(operators) if op[0] == kind][which]
        _, inputs, out, said = operators[at]
        operators[at] = new, inputs, out, said | attributes

    return change


MISSES = [
    (_without("sigmoid"), r"stands where a hard-sigmoid or a sigmoid was expected"),
    (_without("relu", 2), r"stands where a convolution of 1x1 was expected|a hard-swish or a ReLU was expected"),
    (_replaced("relu", 3, "hard_swish"), r"stands where a hard-swish was expected, as elsewhere"),
    (_replaced("sigmoid", 1, "hard_sigmoid", slope=1 / 6, offset=0.5), "some of its gates end in a hard-sigmoid and some in"),
    (_replaced("sigmoid", 0, "tanh"), r"\(tanh\) stands where a hard-sigmoid or a sigmoid was expected"),
    (_replaced("depthwise_conv2d", 4, "depthwise_conv2d", strides=[2, 2]), "as stages.2.1, has the strides .2, 2., expected 1"),
    (_without("elementwise_add", -2), "as stages.3.1, has .*, no shortcut; expected .*, a shortcut"),
]


@pytest.mark.parametrize(("change", "words"), MISSES, ids=[words[:40] for _, words in MISSES])
def test_near_misses_are_told(tmp_path, change, words):
    writer = SecondWriter(random_weights(SHALLOW), SHALLOW)
    change(writer.operators)
    with pytest.raises(ModelFileError, match=words) as caught:
        found_in(written(tmp_path, writer, "json"))
    assert str(caught.value).startswith("this is no LCNet: ")


def test_other_depths_than_its_channels(tmp_path):
    """A block of the wrong stage."""
    arch = replace(SHALLOW, depths=(1, 1, 2, 1))
    weights = random_weights(arch)
    weights["stages.1.0.pw_conv.conv.weight"] = np.ones((200, 96, 1, 1), np.float32)
    for key in NECK:
        weights[f"stages.1.0.pw_conv.bn.{key}"] = np.ones(200, np.float32)
    with pytest.raises(ModelFileError, match=r"as stages\.1\.0, has 96 channels, then 200"):
        found_in(written(tmp_path, SecondWriter(weights, arch), "json"))


# Paddle itself


@pytest.mark.slow
@pytest.mark.parametrize("shitu", [False, True])
def test_answers_of_paddle_itself(tmp_path, rng, shitu):
    paddle = pytest.importorskip("paddle", reason="paddlepaddle, the test-only peer, is not installed")
    arch = SHITU if shitu else SHALLOW
    net = network(paddle, arch, shitu=shitu)
    arrays = shitu_arrays() if shitu else paddle_arrays(branched())
    net.set_state_dict({key: paddle.to_tensor(value) for key, value in arrays.items() if key != "head.weight"})
    net.eval()
    x = rng.standard_normal((2, 3, 64, 96)).astype(np.float32)
    expected = net(paddle.to_tensor(x)).numpy()
    net.deploy()
    paddle.save(net.state_dict(), str(tmp_path / "a.pdparams"))
    paddle.jit.save(net, str(tmp_path / "any" / "inference"), [paddle.static.InputSpec([None, 3, 64, 96], "float32")])
    said = {"preprocessing": SAID | {"input_size": [64, 96]}, "labels": None if shitu else list("abc")}
    for source in ("a.pdparams", "any"):
        made = convert(tmp_path / source, tmp_path / f"{source}.safetensors", **said)
        model = lcnet.Classifier(made, threads=1)
        found = model.embeddings(x) if shitu else model.run(x)
        np.testing.assert_allclose(found, expected, atol=2e-5 * np.ptp(expected))


# ONNX


@pytest.mark.slow
@pytest.mark.parametrize("norms", [False, True], ids=["folded", "norms"])
@pytest.mark.parametrize("branches", [False, True], ids=["fused", "branches"])
def test_timm_by_torch(timm, torch, tmp_path, branches, norms, rng):
    pytest.importorskip("onnx", reason="onnx (extra: export) is not installed")

    arch = Arch.of("lcnetv2_small", num_classes=5)
    model = timm.create_model("lcnetv2_small", num_classes=5, inference_mode=not branches).eval()
    model.load_state_dict({k: torch.from_numpy(v) for k, v in random_values(arch.shapes(branches)).items()}, strict=False)
    options = {"opset_version": 17, "dynamo": False}
    if norms:
        options |= {"do_constant_folding": False, "training": torch.onnx.TrainingMode.PRESERVE}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, (torch.zeros(1, 3, 64, 96),), tmp_path / "m.onnx", input_names=["x"], **options)
    found = match(read_onnx((tmp_path / "m.onnx").read_bytes(), tmp_path).graph)
    assert (found.arch, found.end, found.factor) == (arch, None, 1.0)
    x = rng.standard_normal((2, 3, 64, 96)).astype(np.float32)
    expected = model(torch.from_numpy(x)).detach().numpy()
    from lcnet.config import ModelConfig
    from lcnet.modelfile import ModelFile

    ours = lcnet.Classifier(ModelFile(ModelConfig(found.arch, bn_eps=found.bn_eps), dict(found.weights)), threads=1)
    np.testing.assert_allclose(ours.run(x), expected, atol=1e-4 * np.ptp(expected))


@pytest.mark.parametrize("arch", [SHALLOW, SHITU, replace(SHALLOW, num_classes=0)], ids=["classes", "shitu", "features"])
def test_our_own_export_comes_back(tmp_path, arch):
    pytest.importorskip("onnx", reason="onnx (extra: export) is not installed")
    from lcnet.config import Labels, ModelConfig
    from lcnet.export.onnx import export_onnx
    from lcnet.modelfile import ModelFile

    labels = Labels(tuple("abc")) if arch.num_classes else None
    model = ModelFile(ModelConfig(arch, Preprocessing((3, 64, 96)), labels), random_weights(arch))
    assert export_onnx(model, tmp_path / "m.onnx") < 1e-5
    made = convert(tmp_path / "m.onnx", tmp_path / "m.safetensors")
    assert made.config.arch == arch and made.config.preprocessing == model.config.preprocessing
    x = np.random.default_rng(0).normal(size=(2, 3, 64, 96)).astype(np.float32)
    first, second = (lcnet.Classifier(m, threads=1).embeddings(x) for m in (model, made))
    np.testing.assert_allclose(second, first, atol=1e-5 * np.ptp(first))
