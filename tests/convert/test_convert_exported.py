"""From an exported network to a model file: what its description says and from where, what is asked for, what is refused."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from paddle_files import Writer
from sample_data import SHARED_DATA
from weights import random_weights

import lcnet
from lcnet import modelfile, zoo
from lcnet.arch import Arch
from lcnet.cli import main
from lcnet.config import Decision, Labels, ModelConfig, Preprocessing
from lcnet.convert import convert
from lcnet.convert.exported import read_exported
from lcnet.errors import InputError, ModelFileError
from lcnet.modelfile import ModelFile

onnx = pytest.importorskip("onnx", reason="onnx (extra: export) is not installed")

from onnx_graphs import Style  # noqa: E402
from onnx_graphs import lcnet as graph_of  # noqa: E402

ARCH = Arch(0.25, num_classes=3)
SAID = {"mean": [0.4, 0.5, 0.6], "std": [0.2], "interpolation": "bilinear", "crop_pct": 0.9, "crop_mode": "center"}
YAML = """
Global: {model_name: PP-LCNet_x0_25_odd}
PreProcess:
  transform_ops: [{ResizeImage: {size: [96, 64]}}, {NormalizeImage: {mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5]}}]
PostProcess: {Topk: {topk: 1, label_list: [0, 90, 180]}}
"""


@pytest.fixture
def source(tmp_path):
    """An ONNX file that ends in softmax and has its labels in it."""
    model = graph_of(random_weights(ARCH), ARCH, Style(scale=0.8, end="Softmax"), {"character": "a\nb\nc\n"})
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    return tmp_path / "m.onnx"


@pytest.fixture
def folder(tmp_path):
    """A Paddle inference model."""
    path = tmp_path / "model"
    path.mkdir()
    writer = Writer(random_weights(ARCH), ARCH)
    for name, data in {"m.json": writer.pir(), "m.pdiparams": writer.pdiparams(), "m.yml": YAML.encode()}.items():
        (path / name).write_bytes(data)
    return path


def test_options_and_what_an_onnx_file_says(source, tmp_path):
    made = convert(source, tmp_path / "out.safetensors", preprocessing=SAID)
    config = made.config
    assert config.arch == ARCH
    assert config.labels == Labels(("a", "b", "c"))
    assert config.preprocessing == Preprocessing((3, 64, 64), "bilinear", 0.9, "center", (0.4, 0.5, 0.6), (0.2,) * 3)
    assert config.decision == Decision()
    assert config.provenance == {
        "file": "m.onnx",
        "sha256": hashlib.sha256(source.read_bytes()).hexdigest(),
        "format": "onnx",
        "producer": "test",
        "opset": 15,
        "nodes": len(onnx.load(source).graph.node),
        "dropout_scale": 0.8,
    }
    assert modelfile.read(tmp_path / "out.safetensors").config == config


def test_it_runs(source, tmp_path, rng):
    ort = pytest.importorskip("onnxruntime", reason="onnxruntime, the test-only peer, is not installed")
    convert(source, tmp_path / "out.safetensors", preprocessing=SAID)
    x = rng.standard_normal((3, 3, 64, 64)).astype(np.float32)
    logits = lcnet.load(tmp_path / "out.safetensors", threads=1).run(x)
    found = np.exp(logits - logits.max(1, keepdims=True))
    expected = ort.InferenceSession(source.read_bytes(), providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
    np.testing.assert_allclose(found / found.sum(1, keepdims=True), expected, atol=1e-5)


def test_what_nobody_says_is_asked_for(source, tmp_path):
    with pytest.raises(ModelFileError) as caught:
        convert(source, tmp_path / "out.safetensors", preprocessing={"mean": 0.5})
    assert str(caught.value) == (
        f"{source}: nothing says how a picture becomes its input: give --interpolation, --crop-pct, --crop-mode, --std; or"
        " --config FILE, its inference.yml; or --name, if it is one of `lcnet models`"
    )
    assert not (tmp_path / "out.safetensors").exists()


def test_a_configuration_says_it_all_and_the_file_more(source, tmp_path):
    (tmp_path / "inference.yml").write_text(YAML)
    config = convert(source, tmp_path / "out.safetensors", config=tmp_path / "inference.yml").config
    assert config.labels.names == ("a", "b", "c")  # of the file itself
    assert config.preprocessing.input_size == (3, 64, 96)
    assert config.preprocessing.resize == "opencv"


def test_the_zoo_says_it_all(source, tmp_path):
    weights = random_weights(Arch(0.5))
    (tmp_path / "half.onnx").write_bytes(graph_of(weights, Arch(0.5)).SerializeToString())
    config = convert(tmp_path / "half.onnx", tmp_path / "half", name="lcnet_050").config
    assert config.labels.names[0] == "tench, Tinca tinca"
    assert config.preprocessing == zoo.find("lcnet_050").config().preprocessing
    with pytest.raises(ModelFileError, match=r"the graph is that of lcnet_025 with strides of 2x2, .* and lcnet_050"):
        convert(source, tmp_path / "out.safetensors", name="lcnet_050")


LINES = zoo.find("textline_ori_025")


@pytest.mark.parametrize("arch", [LINES.arch, *LINES.earlier], ids=["second", "first"])
def test_a_file_as_rapidocr_calls_it_is_asked_for_by_its_name(arch, tmp_path):
    """Two networks were published by one name, and an ONNX file says of neither what it is."""
    source, out = tmp_path / "ch_PP-LCNet_x0_25_textline_ori_cls_mobile.onnx", tmp_path / "out.safetensors"
    source.write_bytes(graph_of(random_weights(arch), arch, Style(end="Softmax")).SerializeToString())
    with pytest.raises(ModelFileError, match=r"or --name PP-LCNet_x0_25_textline_ori, if that is what it is$"):
        convert(source, out)
    config = convert(source, out, name="PP-LCNet_x0_25_textline_ori").config
    assert replace(config.arch, hard_sigmoid_slope=arch.hard_sigmoid_slope) == arch  # as the graph that is drawn here has it
    assert config.labels.names == ("0_degree", "180_degree")
    assert config.preprocessing == LINES.preprocessing
    with pytest.raises(ModelFileError, match="and textline_ori is lcnet_100"):
        convert(source, tmp_path / "other", name="textline_ori")


def test_the_first_release_is_what_its_files_say():
    folder = SHARED_DATA / "paddle" / "PP-LCNet_x0_25_textline_ori_v1"
    if not folder.is_dir():
        pytest.skip("the samples of Paddle's files are not beside the checkout")
    assert read_exported(folder, None).network.arch in LINES.earlier


def test_functions_at_the_end_decide(tmp_path):
    def decided(end, **options):
        model = graph_of(random_weights(ARCH), ARCH, Style(end=end), {"character": "a\nb\nc"})
        (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
        config = convert(tmp_path / "m.onnx", tmp_path / "out", preprocessing=SAID, overwrite=True, **options).config
        return config.decision.multi_label, config.provenance.get("note", "")

    assert decided("Softmax") == (False, "")
    assert decided("Sigmoid") == (True, "")
    assert decided("Sigmoid", multi_label=False) == (False, "")
    assert decided(None, multi_label=True) == (True, "")
    several, note = decided(None)
    assert not several and note.startswith("the graph gives logits: softmax is assumed")


def test_a_graph_and_a_configuration_that_differ(folder, tmp_path):
    post = "PostProcess: {MultiLabelThreshOutput: {threshold: 0.7, label_list: [x, y, z]}}"
    (folder / "m.yml").write_text(YAML[: YAML.index("PostProcess")] + post)
    with pytest.raises(ModelFileError, match="the graph ends in softmax, and what is said of its answers is for several"):
        convert(folder, tmp_path / "out")
    several = convert(folder, tmp_path / "a", multi_label=True).config.decision
    assert several == Decision(thresholds={"x": 0.7, "y": 0.7, "z": 0.7}, multi_label=True)
    assert convert(folder, tmp_path / "b", multi_label=False).config.decision == Decision()


def test_an_operating_point_of_two_classes(tmp_path):
    arch = Arch(0.25, num_classes=2)
    writer = Writer(random_weights(arch), arch)
    post = "PostProcess: {ThreshOutput: {threshold: 0.9, label_list: [nobody, someone]}}"
    files = {"m.pdmodel": writer.pdmodel(), "m.pdiparams": writer.pdiparams()}
    files["m.yml"] = (YAML[: YAML.index("PostProcess")] + post).encode()
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    config = convert(tmp_path, tmp_path / "out.safetensors").config
    assert config.decision == Decision(thresholds={"someone": 0.9}, default="nobody")
    assert config.provenance["format"] == "paddle ProgramDesc"


def test_a_paddle_folder_says_all(folder, tmp_path):
    config = convert(folder, tmp_path / "out.safetensors").config
    assert config.labels.names == ("0", "90", "180")
    assert config.preprocessing == Preprocessing(
        (3, 64, 96), "bilinear", 1.0, "squash", (0.5,) * 3, (0.5,) * 3, resize="opencv", alpha="drop"
    )
    origin = config.provenance
    assert (origin["source"], origin["file"], origin["format"]) == ("PP-LCNet_x0_25_odd", "m.json", "paddle pir 1")
    files = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in ("m.pdiparams", "m.yml")}
    assert (origin["sha256"], origin["files"]) == (hashlib.sha256((folder / "m.json").read_bytes()).hexdigest(), files)
    assert "note" not in origin
    for name in ("m.json", "m.pdiparams"):
        assert convert(folder / name, tmp_path / "again", overwrite=True).config == config


def test_a_network_that_calls_itself_one_of_the_zoos_has_its_temperature(tmp_path):
    """Whoever converts `doc_ori`, by name or from its folder, gets what is known of it; other classes are another's."""
    arch = Arch(0.25, num_classes=4)
    writer = Writer(random_weights(arch), arch)
    named = YAML.replace("PP-LCNet_x0_25_odd", "PP-LCNet_x1_0_doc_ori")
    said = {}
    for name, labels in (("it", "[0, 90, 180, 270]"), ("other", "[0, 90, 180, 271]")):
        folder = tmp_path / name
        folder.mkdir()
        text = named.replace("[0, 90, 180]", labels)
        for file, data in {"m.json": writer.pir(), "m.pdiparams": writer.pdiparams(), "m.yml": text.encode()}.items():
            (folder / file).write_bytes(data)
        said[name] = convert(folder, tmp_path / f"{name}.safetensors").config
    assert said["it"].decision.turns_temperature == zoo.find("doc_ori").turns_temperature is not None
    assert zoo.TURNS in said["it"].provenance["note"]
    assert said["other"].decision.turns_temperature is None and "note" not in said["other"].provenance


@pytest.mark.parametrize("slope", [1 / 6, float(np.float32(0.1666667))], ids=["timm's", "Paddle's"])
def test_our_own_export_comes_back(tmp_path, slope):
    """Batch norms and slopes are gone from it, and its weights are folded ones: the same to the bit when folded again."""
    from lcnet.export.onnx import export_onnx
    from lcnet.modelfile.fold import fold

    labels, decision = Labels(("a", "b", "c")), Decision(1.5, {"a": 0.5})
    config = ModelConfig(
        replace(ARCH, hard_sigmoid_slope=slope), Preprocessing((3, 48, 64), crop_mode="squash"), labels, decision
    )
    model = ModelFile(config, random_weights(ARCH))
    export_onnx(model, tmp_path / "m.onnx")
    made = convert(tmp_path / "m.onnx", tmp_path / "out.safetensors")
    assert (made.config.arch, made.config.preprocessing) == (ARCH, config.preprocessing)
    assert (made.config.labels, made.config.decision) == (labels, decision)
    assert made.config.provenance["batch_norm"] == "folded in the source"
    before, after = fold(model), fold(made)
    for name in ("stem", "head", "classifier"):
        for old, new in zip(getattr(before, name), getattr(after, name), strict=True):
            np.testing.assert_array_equal(old, new)
    for old, new in zip(before.blocks, after.blocks, strict=True):
        for part in ("depthwise", "pointwise", "squeeze_excite"):
            assert repr(getattr(old, part)) == repr(getattr(new, part))


def test_our_export_of_another_graph(tmp_path):
    from lcnet.modelfile.description import METADATA_KEY, write_config

    text = write_config(ModelConfig(Arch(0.5, num_classes=3), Preprocessing((3, 64, 64))))
    model = graph_of(random_weights(ARCH), ARCH, Style(), {METADATA_KEY: text})
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ModelFileError, match="describes another network than its graph is"):
        convert(tmp_path / "m.onnx", tmp_path / "out")


def test_labels_that_are_not_one_a_class(source, tmp_path):
    with pytest.raises(ModelFileError, match="2 labels for 3 classes"):
        convert(source, tmp_path / "out", preprocessing=SAID, labels=["a", "b"])


def test_graphs_by_other_names(source, tmp_path):
    other = source.rename(tmp_path / "model.bin")
    assert convert(other, tmp_path / "out", preprocessing=SAID).config.arch == ARCH


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"version https://git-lfs.github.com/spec/v1\n", "a git-lfs pointer"),
        (b"<!DOCTYPE html>", "a web page"),
        (b"", "an empty file"),
        (b"\x08\x08\x12", "cut short"),
        (b"\xff" * 30, "damaged"),
    ],
)
def test_files_that_are_no_graph(tmp_path, data, words):
    (tmp_path / "m.ONNX").write_bytes(data)
    with pytest.raises(ModelFileError, match=words):
        convert(tmp_path / "m.ONNX", tmp_path / "out")


def test_a_folder_whose_name_ends_like_a_file(folder, tmp_path):
    config = convert(folder, tmp_path / "out").config
    for name in ("x.json", "x.pdmodel", "x.onnx", "x.pdiparams"):
        folder = folder.rename(tmp_path / name)
        assert convert(folder, tmp_path / "out", overwrite=True).config == config


def test_a_configuration_that_cannot_be_read(source, folder, tmp_path):
    for path in (source, folder):
        with pytest.raises(ModelFileError, match=r"none\.yml cannot be read: there is no such file"):
            convert(path, tmp_path / "out", config=tmp_path / "none.yml")


def test_half_a_model(folder, tmp_path):
    (folder / "m.pdiparams").rename(tmp_path / "elsewhere.pdiparams")
    with pytest.raises(ModelFileError, match=r"this is a part of a PaddlePaddle inference graph: give .* the folder with all"):
        convert(folder / "m.json", tmp_path / "out")
    (folder / "m.json").rename(folder / "inference.json")
    with pytest.raises(ModelFileError, match=r"needs inference\.pdiparams beside the rest"):
        convert(folder, tmp_path / "out")


def test_a_negative_variance_does_not_load(folder, tmp_path):
    writer = Writer(random_weights(ARCH), ARCH)
    writer.parameters["batch_norm2d_3.w_2"] = -writer.parameters["batch_norm2d_3.w_2"]
    (folder / "m.pdiparams").write_bytes(writer.pdiparams())
    with pytest.raises(ModelFileError, match="running_var has negative values"):
        convert(folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command(folder, source, tmp_path):
    out = tmp_path / "out.safetensors"
    ran = CliRunner().invoke(main, ["convert", str(folder), str(out)])
    assert ran.exit_code == 0, ran.output
    assert "lcnet_025, 3 classes, labelled" in ran.output
    ran = CliRunner().invoke(main, ["convert", str(source), str(out), "--overwrite"])
    assert ran.exit_code != 0 and "give --interpolation, --crop-pct" in ran.output.replace("\n", " ")
    options = ["--mean", "0.5", "--std", "0.5", "--interpolation", "bilinear", "--crop-pct", "1", "--crop-mode", "squash"]
    options += ["--resize", "opencv", "--alpha", "drop", "--channel-order", "bgr", "--multi-label", "--input-size", "32x64"]
    ran = CliRunner().invoke(main, ["convert", str(source), str(out), "--overwrite", *options])
    assert ran.exit_code == 0, ran.output
    config = modelfile.read_config(out)
    pre = config.preprocessing
    assert (pre.resize, pre.alpha, pre.channel_order, pre.input_size) == ("opencv", "drop", "bgr", (3, 32, 64))
    assert config.decision.multi_label
    ran = CliRunner().invoke(main, ["convert", str(source), str(out), "--overwrite", "--config", str(folder / "m.yml")])
    assert ran.exit_code == 0, ran.output


def test_no_package_of_anybody_is_imported(folder, source, tmp_path):
    import subprocess
    import sys

    code = (
        "import sys; from lcnet.convert import convert;"
        f"convert({str(folder)!r}, {str(tmp_path / 'a')!r});"
        f"convert({str(source)!r}, {str(tmp_path / 'b')!r}, config={str(folder / 'm.yml')!r});"
        "bad = {'onnx', 'onnxruntime', 'torch', 'paddle', 'google', 'transformers'} & set(sys.modules); assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_option_that_is_none(source, tmp_path):
    with pytest.raises(InputError):
        convert(source, source, preprocessing=SAID)
    with pytest.raises(ModelFileError, match="unknown key"):
        convert(source, tmp_path / "out", preprocessing=SAID | {"odd": json})
