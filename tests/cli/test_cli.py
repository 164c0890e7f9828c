"""Every command as a user calls it: text, files and exit codes."""

import csv
import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import lcnet
from lcnet.cli import every_command, main

MODEL = ["--model", "lcnet_050.cifar10", "--threads", "1"]


def run(*arguments, code=0):
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exit_code == code, result.output + str(result.exception)
    assert "Traceback" not in result.output
    return result


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(3)
    for name in ("b.png", "a.jpg", "notes.txt"):
        if name.endswith("txt"):
            (tmp_path / name).write_text("no image")
        else:
            Image.fromarray(rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)).save(tmp_path / name)
    return tmp_path


@pytest.fixture
def damaged(folder):
    data = (folder / "a.jpg").read_bytes()
    (folder / "a.jpg").write_bytes(data[: len(data) // 2])
    return folder


def test_classify_a_folder_as_json_equals_the_library(folder):
    rows = json.loads(run("classify", folder, *MODEL, "--top", 2, "--format", "json").stdout)
    assert [os.path.basename(r["file"]) for r in rows] == ["a.jpg", "b.png"]
    expected = lcnet.load("lcnet_050.cifar10", threads=1).classify(folder / "a.jpg", 2)[0]
    assert [p["label"] for p in rows[0]["top"]] == [p.label for p in expected.top]
    assert rows[0]["top"][0]["probability"] == pytest.approx(expected.probability)


def test_classify_table_and_csv(folder):
    lines = run("classify", folder / "a.jpg", folder / "b.png", *MODEL, "--top", 3, "--timing").stdout.splitlines()
    assert len(lines) == 2 and lines[0].count("%") == 3 and " ms " in lines[0]
    table = list(csv.DictReader(io.StringIO(run("classify", folder, *MODEL, "-k", 2, "-f", "csv").stdout)))
    assert [(os.path.basename(r["file"]), r["rank"]) for r in table] == [
        ("a.jpg", "1"),
        ("a.jpg", "2"),
        ("b.png", "1"),
        ("b.png", "2"),
    ]
    assert 0 < float(table[1]["probability"]) <= float(table[0]["probability"]) <= 1


def test_a_bad_image_is_reported_and_the_rest_goes_on(damaged):
    missing = damaged / "missing.jpg"
    result = run("classify", damaged, missing, *MODEL, "--format", "json", code=1)
    rows = json.loads(result.stdout)
    assert [(os.path.basename(r["file"]), r["error"] is None) for r in rows] == [
        ("a.jpg", False),
        ("b.png", True),
        ("missing.jpg", False),
    ]
    assert "a.jpg" in result.stderr and "missing.jpg" in result.stderr
    assert "2 of 3 images could not be read" in result.stderr


def test_all_images_bad_still_gives_valid_output(tmp_path):
    (tmp_path / "x.png").write_bytes(b"")
    (row,) = json.loads(run("classify", tmp_path, *MODEL, "-f", "json", code=1).stdout)
    assert set(row) == {"file", "error", "milliseconds"} and "empty" in row["error"]
    run("embed", tmp_path, *MODEL, "-o", tmp_path / "e.npz", code=1)
    assert np.load(tmp_path / "e.npz")["embeddings"].shape == (0, 1280)
    run("features", tmp_path, *MODEL, "-o", tmp_path / "f.npz", code=1)
    assert len(np.load(tmp_path / "f.npz")["paths"]) == 0


def test_folder_without_images(tmp_path):
    assert "no images" in run("classify", tmp_path, *MODEL, code=4).output


def test_embed_and_features_equal_the_library(folder):
    model = lcnet.load("lcnet_050.cifar10", threads=1)
    run("embed", folder, *MODEL, "-o", folder / "e.npz")
    saved = np.load(folder / "e.npz")
    assert [os.path.basename(p) for p in saved["paths"]] == ["a.jpg", "b.png"]
    assert np.array_equal(saved["embeddings"], model.embeddings([folder / "a.jpg", folder / "b.png"]))
    run("features", folder, *MODEL, "-o", folder / "f.npz", "--stride", 4, "--stride", 32)
    saved = np.load(folder / "f.npz")
    assert set(saved) == {"paths", "stride_4", "stride_32", "milliseconds", "error_paths", "errors"}
    expected = model.feature_maps([folder / "a.jpg", folder / "b.png"], [1, 4])
    assert np.array_equal(saved["stride_4"], expected[0]) and np.array_equal(saved["stride_32"], expected[1])


def test_output_is_never_replaced_unasked(folder):
    (folder / "e.npz").write_bytes(b"precious")
    assert "exists" in run("embed", folder, *MODEL, "-o", folder / "e.npz", code=4).output
    assert (folder / "e.npz").read_bytes() == b"precious"
    run("embed", folder, *MODEL, "-o", folder / "e.npz", "--overwrite")
    assert len(np.load(folder / "e.npz")["paths"]) == 2
    assert "there is no folder" in run("embed", folder, *MODEL, "-o", folder / "no" / "e.npz", code=4).output
    assert sorted(p.name for p in folder.iterdir()) == ["a.jpg", "b.png", "e.npz", "notes.txt"]


def test_models_in_three_formats():
    text = run("models", "lcnet_050").stdout
    assert "lcnet_050.ra2_in1k" in text and "63.1 / 84.4" in text and "lcnet_100" not in text
    rows = {r["name"]: r for r in json.loads(run("models", "-f", "json").stdout)}
    assert rows["lcnet_050.ra2_in1k"]["parameters"] == 1_880_856
    assert rows["lcnet_050.ra2_in1k"]["accuracy"]["real"] == {"top1": 70.446, "top5": 88.827}
    assert rows["lcnet_050.cifar10"]["weights"] == "bundled"
    table = list(csv.DictReader(io.StringIO(run("models", "-f", "csv", "--pretrained").stdout)))
    assert {r["name"] for r in table} == set(lcnet.list_models(pretrained=True))
    assert "no model matches" in run("models", "resnet*", code=4).output


def test_info_of_models_files_and_cpu(tmp_path):
    facts = json.loads(run("info", "lcnet_050.cifar10", "-f", "json").stdout)
    assert facts["preprocessing"]["crop_mode"] == "squash" and len(facts["labels"]["names"]) == 10
    assert sum(layer["macs"] for layer in facts["layers"]) == facts["macs"]
    text = run("info", "lcnet_100").stdout  # described without its weights
    assert "2,953,800" in text and "155,700,480" in text and "tench" in text
    cpu = json.loads(run("info", "--cpu", "-f", "json").stdout)
    assert {"isa": "scalar", "supported": True} in cpu["isas"] and cpu["processors"] >= 1
    assert cpu["jpeg"] in ("lcnet", "Pillow") and f"JPEG: {cpu['jpeg']}" in run("info", "--cpu").stdout
    assert "MODEL" in run("info", code=2).output
    assert "did you mean 'lcnet_050'" in run("info", "lcnet050", code=4).output


def test_convert_and_use_the_result(tmp_path, folder):
    from lcnet import hub

    source = hub.locate("lcnet_050.cifar10").path
    labels = tmp_path / "labels.txt"
    labels.write_text("\n".join(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]))
    run("convert", source, tmp_path / "m.safetensors", "--labels", labels)
    assert "exists" in run("convert", source, tmp_path / "m.safetensors", code=4).output
    model = lcnet.load(tmp_path / "m.safetensors", threads=1)
    assert model.labels.names[3] == "three"
    shown = run("classify", folder / "b.png", "--model", tmp_path / "m.safetensors", "-k", 1).stdout
    assert model.classify(folder / "b.png")[0].label in shown


def test_errors_are_one_line():
    for arguments in (
        ["classify", "x.jpg", "--model", "lcnet_999"],
        ["classify", "x.jpg", "--model", "missing.safetensors"],
        ["classify", "x.jpg", *MODEL, "--isa", "mmx"],
        ["convert", "missing.pth", "out.safetensors"],
    ):
        result = run(*arguments, code=4)
        assert result.output.startswith("Error: ") and result.output.count("\n") == 1


@pytest.mark.parametrize("command", every_command())
def test_every_command_and_option_is_documented(command):
    found = every_command()[command]
    assert found.name == command.split()[-1] and found.help
    for parameter in found.params:
        documented = getattr(parameter, "help", None) or parameter.opts[0] in ("--format", "--output", "--top")
        assert documented or parameter.param_type_name == "argument", parameter.name


def test_the_installed_command_runs():
    out = subprocess.run(
        [sys.executable, "-c", "from lcnet.cli import main; main()", "--version"], capture_output=True, text=True, check=True
    ).stdout
    assert out.startswith("lcnet ")


def test_a_network_that_is_not_timms(folder, tmp_path):
    from weights import random_weights

    from lcnet.arch import Arch
    from lcnet.config import ModelConfig, Preprocessing
    from lcnet.modelfile import ModelFile, write

    line = ((1, 1), (2, 1), (2, 1), (2, 1), (1, 1), (2, 1))
    arch = Arch(0.25, 3, 2, (1, 2), line, head_channels=0, hard_sigmoid_slope=0.2, classifier_input=("blocks.5",))
    path = tmp_path / "line.safetensors"
    write(path, ModelFile(ModelConfig(arch, Preprocessing((3, 80, 160))), random_weights(arch)))
    text = run("info", path).output
    assert "strides 1x2 in the stem, 1x1 2x1 2x1 2x1 1x1 2x1 in the stages" in text
    assert "no head conv: the classifier reads blocks.5, pooled; hard sigmoid slope 0.2" in text
    assert "feature maps   1x2: 8 x 80 x 80, 2: 16 x 40 x 80, 4x2: 32 x 20 x 80" in text
    facts = json.loads(run("info", path, "-f", "json").output)
    assert facts["architecture"]["stem_stride"] == [1, 2] and facts["architecture"]["classifier_input"] == ["blocks.5"]
    assert facts["feature_maps"][0] == {"stride": [1, 2], "shape": [8, 80, 80]} and facts["feature_maps"][1]["stride"] == 2
    assert facts["layers"][-1]["layer"] == "classifier" and facts["needs"]["strides"] == "0.1.0"
    model = lcnet.load(path, threads=1)
    run("features", folder, "--model", path, "-o", folder / "f.npz", "--stride", "4x2", "--stride", 2)
    saved = np.load(folder / "f.npz")
    assert {"stride_2", "stride_4x2"} <= set(saved) and saved["stride_4x2"].shape == (2, 32, 20, 80)
    assert np.array_equal(saved["stride_4x2"], model.feature_maps([folder / "a.jpg", folder / "b.png"], [2])[0])
    refused = run("features", folder, "--model", path, "-o", folder / "g.npz", "--stride", 32, code=2).output
    assert "--stride is '32', expected one of this network's: 1x2, 2, 4x2, 8x2, 16x2" in refused
    run("embed", folder, "--model", path, "-o", folder / "e.npz")
    assert np.load(folder / "e.npz")["embeddings"].shape == (2, 128)
    assert "network" not in run("info", "lcnet_050.cifar10").output.partition("parameters")[0]
