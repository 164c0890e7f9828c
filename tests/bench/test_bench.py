"""The bench: what it reports, and that a wrong engine is not timed."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from quantized_models import quantized_model

from lcnet import bench, modelfile
from lcnet.arch import Arch
from lcnet.bench import Setting, compare, peers
from lcnet.bench.weights import random_model
from lcnet.cli import main
from lcnet.config import ModelConfig
from lcnet.errors import InputError

pytestmark = pytest.mark.alone

SETTING = Setting(threads=1, batch=2, precision="fp32", height=64, width=48)


@pytest.fixture(scope="module")
def model():
    return random_model(ModelConfig(Arch(0.25, num_classes=10)))


def test_our_engine_is_measured(model):
    (row,) = compare(model, "m", ["lcnet"], SETTING, rounds=2, round_seconds=0.02)
    assert row.low <= row.median <= row.high and row.ratio == 1 and row.calls > 1
    assert row.images_per_second == pytest.approx(2000 / row.median)
    assert row.gmacs_per_second == pytest.approx(2 * Arch(0.25, num_classes=10).macs(64, 48) / row.median / 1e6)
    assert 0 < row.peak_fraction < 1.5


def test_peers_agree_with_us_before_they_are_timed(model):
    said = []
    rows = compare(model, "m", bench.known_engines()[:-1], SETTING, rounds=1, round_seconds=0.01, report=said.append)
    assert rows[0].engine == "lcnet" and all(row.difference < 1e-4 for row in rows)
    assert len(rows) + len(said) == len(bench.known_engines()) - 1


def test_a_wrong_engine_is_left_out(model, monkeypatch):
    monkeypatch.setitem(peers.PEERS, "onnxruntime", lambda m, s: ((lambda x: np.zeros((2, 10), np.float32)), "0"))
    said = []
    rows = compare(model, "m", ["lcnet", "onnxruntime"], SETTING, rounds=1, round_seconds=0.01, report=said.append)
    assert [row.engine for row in rows] == ["lcnet"]
    assert "its logits differ" in said[0]


def test_unknown_engine_is_named(model):
    with pytest.raises(InputError, match="did you mean 'openvino'"):
        compare(model, "m", ["openvin"], SETTING)


def test_command_writes_table_json_and_plot(tmp_path):
    arguments = [
        "bench",
        "-m",
        "lcnet_050.cifar10",
        "--engines",
        "lcnet",
        "--rounds",
        "1",
        "--size",
        "32,33x47",
        "-o",
        str(tmp_path / "r.json"),
    ]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert "33x47" in result.output and "of peak" in result.output
    saved = json.loads((tmp_path / "r.json").read_text())
    assert [row["width"] for row in saved["timings"]] == [32, 47] and saved["machine"]["cpu"]
    pytest.importorskip("matplotlib", reason="matplotlib (extra: bench) is not installed")
    assert CliRunner().invoke(main, [*arguments, "--overwrite", "-o", str(tmp_path / "r.png")]).exit_code == 0
    assert (tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")


def test_an_int8_file_runs_alone(tmp_path):
    path = tmp_path / "m.safetensors"
    modelfile.write(path, quantized_model(32))
    result = CliRunner().invoke(main, ["bench", "-m", str(path), "--engines", "onnxruntime", "--rounds", "1"])
    assert result.exit_code == 0, result.output
    assert "int8" in result.output
    assert "onnxruntime: left out, it does not run our int8 files" in result.output


def test_nonsense_is_named():
    for option in (["--threads", "0"], ["--size", "big"], ["--batch", "two"]):
        result = CliRunner().invoke(main, ["bench", "-m", "lcnet_050.cifar10", *option])
        assert result.exit_code == 2 and "no whole number above 0" in result.output
