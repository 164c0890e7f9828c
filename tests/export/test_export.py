"""ONNX exports against our runtime and against torch, with ONNX Runtime as the judge where it is installed."""

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from weights import pictures, random_weights, reacting_weights

import lcnet
from lcnet.arch import Arch
from lcnet.cli import main
from lcnet.config import Labels, ModelConfig, Preprocessing
from lcnet.convert.decisions import TASKS
from lcnet.modelfile import ModelFile

onnx = pytest.importorskip("onnx", reason="onnx (extra: export) is not installed")


def model(arch, weights=None, size=(3, 64, 64)):
    pre = Preprocessing(size, mean=(0.5,) * size[0], std=(0.5,) * size[0])
    return ModelFile(ModelConfig(arch, pre), weights or random_weights(arch))


def test_onnx_runtime_computes_the_same(tmp_path, torch):
    ort = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    from lcnet.export.onnx import export_onnx

    arch = Arch(0.5, num_classes=7)
    source = model(arch, reacting_weights(arch), (3, 64, 96))
    assert export_onnx(source, tmp_path / "m.onnx") < 1e-5
    x = pictures(3, 64, 96)  # a batch other than that of the check
    (found,) = ort.InferenceSession(tmp_path / "m.onnx").run(["logits"], {"input": x})
    expected = lcnet.Classifier(source).run(x)
    assert np.abs(found - expected).max() < 1e-5 * np.ptp(expected)


def test_description_travels_in_the_metadata(tmp_path):
    result = CliRunner().invoke(main, ["export", "lcnet_050.cifar10", str(tmp_path / "c.onnx")])
    assert result.exit_code == 0 and "equal to our runtime" in result.output
    graph = onnx.load(tmp_path / "c.onnx")
    description = json.loads({p.key: p.value for p in graph.metadata_props}["lcnet"])
    assert description["labels"]["names"][3] == "cat" and description["preprocessing"]["crop_mode"] == "squash"
    assert [d.dim_param or d.dim_value for d in graph.graph.input[0].type.tensor_type.shape.dim] == ["batch", 3, 128, 128]


def test_decisions_travel_in_the_metadata(tmp_path):
    from lcnet.export.onnx import to_onnx
    from lcnet.modelfile import parse_config

    task = TASKS["vehicle_attribute"]
    made = model(Arch(0.25, num_classes=len(task.labels)))
    config = replace(made.config, labels=Labels(task.labels), decision=task.decision())
    graph = to_onnx(replace(made, config=config))
    assert parse_config({p.key: p.value for p in graph.metadata_props}["lcnet"]) == config


def test_no_classifier_gives_embeddings_and_one_channel_works(tmp_path):
    from lcnet.export.onnx import export_onnx

    assert export_onnx(model(Arch(0.25, 1, 0), size=(1, 33, 47)), tmp_path / "e.onnx") < 1e-5
    assert onnx.load(tmp_path / "e.onnx").graph.output[0].name == "embeddings"


def test_a_wrong_export_is_not_kept(tmp_path, monkeypatch):
    from lcnet.export import ExportError
    from lcnet.export import onnx as export

    original = export._Graph.activate
    monkeypatch.setattr(export._Graph, "activate", lambda self, x: x if x == "conv_head" else original(self, x))
    with pytest.raises(ExportError, match="nothing is written"):
        export.export_onnx(model(Arch(0.25, num_classes=5)), tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_not_replaced_unasked(tmp_path):
    (tmp_path / "m.onnx").write_bytes(b"precious")
    result = CliRunner().invoke(main, ["export", "lcnet_050.cifar10", str(tmp_path / "m.onnx")])
    assert result.exit_code == 4 and "exists" in result.output
    assert (tmp_path / "m.onnx").read_bytes() == b"precious"
    result = CliRunner().invoke(main, ["export", "lcnet_050.cifar10", str(tmp_path / "m.txt")])
    assert result.exit_code == 2 and ".onnx" in result.output


@pytest.mark.parametrize("name", ["line", "first release", "relu", "fine", "probe", "pooled"])
def test_networks_that_are_not_timms(tmp_path, torch, name):
    """Strides by axis, no head, several pooled maps, ReLU and slopes: ONNX Runtime against plain torch."""
    ort = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    import plain_torch

    from lcnet.export.onnx import export_onnx

    arch = plain_torch.NETWORKS[name]
    network = plain_torch.plain_network(arch, plain_torch.varied(pictures(12, 64, 96, arch.in_chans)))
    export_onnx(plain_torch.model_file(network, (80, 160)), tmp_path / "m.onnx")
    x = plain_torch.varied(pictures(3, 80, 160, arch.in_chans, seed=4))
    logits, embeddings, _ = network.results(x)
    expected = embeddings if logits is None else logits
    (found,) = ort.InferenceSession(tmp_path / "m.onnx").run(None, {"input": x})
    assert np.abs(found - expected).max() < 1e-5 * np.ptp(expected)


SECOND = {
    "classes": {"num_classes": 7},
    "features": {"num_classes": 0, "head_channels": 512, "head_bias": True, "head_activation": "none"},
    "pooled": {"num_classes": 4, "head_channels": 0, "classifier_input": ("stem", "stages.2", "stages.3")},
}


@pytest.mark.parametrize("name", SECOND)
def test_pp_lcnetv2(tmp_path, name):
    """ONNX Runtime's answers are the runtime's, of two pointwise layers, shortcuts, sigmoid gates and a plain head."""
    from lcnet.export.onnx import export_onnx

    arch = Arch.of("lcnetv2_small", **SECOND[name])
    assert export_onnx(model(arch, size=(3, 64, 96)), tmp_path / "m.onnx") < 1e-5
    kinds = {node.op_type for node in onnx.load(tmp_path / "m.onnx").graph.node}
    assert {"Sigmoid", "Relu"} <= kinds and ("Add" in kinds) and not {"HardSigmoid", "HardSwish"} & kinds


def test_ncnn_computes_pp_lcnetv2():
    engine = pytest.importorskip("ncnn", reason="ncnn, the test-only peer, is not installed")
    from lcnet.export.ncnn import write_ncnn

    source, x = model(Arch.of("lcnetv2_small", num_classes=7), size=(3, 64, 96)), pictures(1, 64, 96)
    net = engine.Net()
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    write_ncnn(source, net)
    extractor = net.create_extractor()
    extractor.input("input", engine.Mat(x[0]))
    expected = lcnet.Classifier(source).run(x)[0]
    assert np.abs(np.array(extractor.extract("logits")[1]) - expected).max() < 1e-4 * np.ptp(expected)


@pytest.mark.parametrize("name", ["line", "first release", "relu", "fine", "probe"])
def test_ncnn_computes_the_same(torch, name):
    engine = pytest.importorskip("ncnn", reason="ncnn, the test-only peer, is not installed")
    import plain_torch

    from lcnet.export.ncnn import write_ncnn

    arch = plain_torch.NETWORKS[name]
    network = plain_torch.plain_network(arch, plain_torch.varied(pictures(12, 64, 96, arch.in_chans)))
    net = engine.Net()
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    write_ncnn(plain_torch.model_file(network, (80, 160)), net)
    (x,) = plain_torch.varied(pictures(1, 80, 160, arch.in_chans, seed=4))
    extractor = net.create_extractor()
    extractor.input("input", engine.Mat(x))
    expected = network.results(x[None])[0][0]
    assert np.abs(np.array(extractor.extract("logits")[1]) - expected).max() < 1e-4 * np.ptp(expected)
