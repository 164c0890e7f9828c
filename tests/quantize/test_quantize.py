"""`lcnet quantize` from pictures to file: what is picked, what is refused, what the gate decides, what is written."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from quantized_models import bundled, quantized_model, save, small, trained

from lcnet import modelfile, quantize
from lcnet.cli import main
from lcnet.errors import InputError
from lcnet.modelfile import ModelFile
from lcnet.quantize import GateError, QuantizeOptions, acceptance, report

pytestmark = pytest.mark.slow

LABELS = trained().config.labels
MS = {"fp32_ms": 2.0, "int8_ms": 1.0}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return save(tmp_path_factory.mktemp("data"), 48)


@pytest.fixture(scope="module")
def float_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "m.safetensors"
    modelfile.write(path, small())
    return path


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """Times that are the same every time; a test may change them."""
    times = dict(MS)
    monkeypatch.setattr(acceptance, "latency", lambda exact, quantized, x: dict(times))
    return times


def command(*words):
    return CliRunner().invoke(main, ["quantize", *map(str, words)], catch_exceptions=False)


# The whole way


def test_a_file_and_its_report(data, tmp_path, float_file):
    target = tmp_path / "m.int8.safetensors"
    result = command(float_file, "--data", data, "-o", target)
    assert result.exit_code == 0, result.output
    model = modelfile.read(target)
    verdict = model.config.quantization.verdict
    assert model.config.quantization.float_layers == ()
    assert verdict["passed"] is verdict["faster"] is True
    assert (verdict["calibration_images"], verdict["held_out"]["images"]) == (36, 12)
    assert verdict["held_out"]["sqnr_db"] > 25
    assert (verdict["distinct_images"], verdict["held_out"]["distinct"]) == (48, 12)
    assert any("few distinct pictures to judge by: 12" in doubt for doubt in verdict["doubts"])
    assert model.config.labels == LABELS
    told = json.loads((tmp_path / "m.int8.json").read_text())
    assert told["latency"] == {**MS, "threads": 1, "batch": 1, "clock": "processor time, fastest quarter"}
    assert [u["unit"] for u in told["units"]][:2] == ["conv_stem", "blocks.0.0"]
    assert all(30 < u["sqnr_db"] < 90 for u in told["units"])
    assert told["size"]["int8_bytes"] < 0.33 * told["size"]["fp32_bytes"]
    assert "2.00 times as fast" in result.output
    assert "gate          passed" in result.output
    assert "pictures      48 looked at, 48 distinct" in result.output
    classes = verdict["held_out"]["classes"]
    assert f"held out      12 pictures, 12 distinct, answers of {classes} classes: agreement" in result.output
    told = CliRunner().invoke(main, ["info", str(target)]).output
    assert f"passed its gate on 12 pictures, 12 distinct, with answers of {classes} classes: " in told


def test_the_same_file_every_time(data):
    first, second = (modelfile.to_bytes(quantize.quantize(small(), [str(data)]).model) for _ in range(2))
    assert first == second


def test_labelled_pictures_are_measured(data, tmp_path, photos_by_class):
    outcome = quantize.quantize(small(), [str(data)], photos_by_class, QuantizeOptions(max_drop=20))
    found = outcome.report["evaluation"]
    assert found["images"] == 40
    assert abs(found["top1_fp32"] - found["top1_int8"] - found["drop"]) < 1e-6
    assert found["drop_low"] <= found["drop"] <= found["drop_high"]
    assert outcome.model.config.quantization.verdict["evaluation"]["images"] == 40
    text = report.text(outcome.report)
    assert f"{found['top1_fp32']:.2f}% fp32" in text
    assert "labelled      40 pictures" in text


@pytest.fixture(scope="module")
def photos_by_class(tmp_path_factory):
    folder = tmp_path_factory.mktemp("labelled")
    for number, name in enumerate(LABELS.names):
        save(folder / name, 4, seed=10 + number, size=(40, 52))
    return folder


def test_the_plot(data, tmp_path):
    pytest.importorskip("matplotlib")
    report.draw(quantize.quantize(small(), [str(data)]).report, tmp_path / "plot.png")
    assert Image.open(tmp_path / "plot.png").size[0] > 500


def test_a_slower_model_is_not_written(data, tmp_path, clock, float_file):
    clock["int8_ms"] = 3.0
    target = tmp_path / "out" / "m.safetensors"
    target.parent.mkdir()
    result = command(float_file, "--data", data, "-o", target)
    assert result.exit_code == 3
    assert "not faster here: 3.000 ms against 2.000 ms" in result.output
    assert "Nothing is written" in result.output
    assert not list(target.parent.iterdir())
    result = command(float_file, "--data", data, "-o", target, "--force")
    assert result.exit_code == 0
    assert "gate          failed" in result.output
    assert modelfile.read_config(target).quantization.verdict["passed"] is False
    assert "failed its gate" in CliRunner().invoke(main, ["info", str(target)]).output


def test_a_drop_is_refused_with_the_measurements(data, photos_by_class, monkeypatch):
    monkeypatch.setattr(acceptance.Comparison, "drop", property(lambda self: 3.0))
    with pytest.raises(GateError, match=r"top-1 drops by 3\.00 points .* at most 0\.5 allowed") as caught:
        quantize.quantize(small(), [str(data)], photos_by_class)
    assert caught.value.outcome.report["evaluation"]["images"] == 40


def test_a_part_that_hurts_stays_in_float(data, monkeypatch):
    """Some blocks' depthwise weights all become equal: no correction helps, so these go back to float."""
    from lcnet.quantize import scheme

    rounded = scheme.rounded

    def coarse(weight):
        codes, scale = rounded(weight)
        return np.full_like(codes, 40) if weight.shape == (64, 1, 3, 3) else codes, scale

    monkeypatch.setattr(scheme, "rounded", coarse)
    outcome = quantize.quantize(small(), [str(data)])
    kept = outcome.model.config.quantization.float_layers
    shapes = {u: trained().weights[f"{u}.conv_dw.weight"].shape for u in kept if u.startswith("blocks")}
    assert kept
    assert all(shape == (64, 1, 3, 3) for shape in shapes.values())
    assert {u["unit"] for u in outcome.report["units"] if u["runs_in"] == "fp32"} == set(kept)
    assert outcome.report["held_out"]["sqnr_db"] > 20


def test_a_network_without_classifier(data):
    model = small()
    weights = {k: v for k, v in model.weights.items() if not k.startswith("classifier")}
    config = replace(model.config, arch=replace(model.config.arch, num_classes=0), labels=None)
    outcome = quantize.quantize(ModelFile(config, weights), [str(data)])
    assert set(outcome.report["held_out"]) == {"images", "distinct", "sqnr_db", "left_out"}
    assert "conv_head.scale" in outcome.model.weights
    assert "dB" in report.text(outcome.report)


# Hostile input


def test_damaged_pictures_are_told(data, tmp_path):
    save(tmp_path, 40)
    for i in range(4):
        (tmp_path / f"{i:03}.png").write_bytes(b"")
    outcome = quantize.quantize(small(), [str(tmp_path)])
    assert outcome.report["pictures"]["left_out"] == 4
    assert "000.png" in outcome.report["pictures"]["problems"][0]
    assert outcome.report["calibration"]["images"] + outcome.report["held_out"]["images"] == 36
    assert "left out" in report.text(outcome.report)


def test_black_pictures_are_refused(tmp_path):
    for i in range(40):
        Image.new("RGB", (64, 64)).save(tmp_path / f"{i}.png")
    with pytest.raises(InputError, match=r"distinct pictures: 0 of 40, expected at least 32.*all of one colour"):
        quantize.quantize(small(), [str(tmp_path)])


def test_nothing_readable_is_refused(tmp_path):
    for i in range(40):
        (tmp_path / f"{i}.jpg").write_bytes(b"\xff\xd8\xff garbage")
    with pytest.raises(InputError, match=r"distinct pictures: 0 of 40, .*\.jpg"):
        quantize.quantize(small(), [str(tmp_path)])


def test_pictures_of_all_sizes(tmp_path):
    for number, size in enumerate([(1, 1), (3, 500), (500, 3), (64, 64), (200, 301)] * 10):
        save(tmp_path / str(number), 1, seed=number, size=size)
    outcome = quantize.quantize(small(), [str(tmp_path)])
    assert outcome.report["calibration"]["images"] + outcome.report["held_out"]["images"] >= 40


def test_a_quantized_model_is_refused(data, tmp_path):
    path = tmp_path / "m.int8.safetensors"
    modelfile.write(path, quantized_model(32))
    result = command(path, "--data", data, "-o", tmp_path / "again.safetensors")
    assert result.exit_code == 4
    assert "the model is quantised already" in result.output


def test_a_mean_that_is_no_pixel_is_refused(data):
    model = small()
    odd = replace(model.config, preprocessing=replace(model.config.preprocessing, mean=(0.5, 0.5, -0.1)))
    with pytest.raises(InputError, match=r"preprocessing\.mean"):
        quantize.quantize(ModelFile(odd, model.weights), [str(data)])


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"images": 31}, "images is 31"),
        ({"images": 513}, "images is 513"),
        ({"ranges": "best"}, "ranges is 'best', expected minmax or mse"),
        ({"equalization": 2}, "equalization is 2"),
        ({"max_drop": -1}, "max_drop is -1"),
    ],
)
def test_options_out_of_range(options, match):
    with pytest.raises(InputError, match=match):
        QuantizeOptions(**options)


def test_outputs_that_cannot_be_written_are_refused_before_the_work(data, tmp_path, monkeypatch, float_file):
    monkeypatch.setattr(quantize, "quantize", None)  # the work must not begin
    target = tmp_path / "m.safetensors"
    target.touch()
    assert "exists: choose another name" in command(float_file, "--data", data, "-o", target).output
    missing = tmp_path / "missing" / "m.safetensors"
    assert "there is no folder" in command(float_file, "--data", data, "-o", missing).output
    monkeypatch.setattr("os.access", lambda path, mode: Path(path) != tmp_path)
    result = command(float_file, "--data", data, "-o", tmp_path / "new.safetensors")
    assert (result.exit_code, "this folder cannot be written to" in result.output) == (4, True)


def test_the_model_itself_is_never_the_output(data, tmp_path):
    path = tmp_path / "m.safetensors"
    modelfile.write(path, small())
    before = path.read_bytes()
    result = command(path, "--data", data, "-o", path, "--overwrite")
    assert "the target is the source itself" in result.output
    assert path.read_bytes() == before


def test_the_cifar10_checkpoint(cifar10_test):
    """Close to fp32 in every respect, on all pictures but those calibrated on and copies."""
    outcome = quantize.quantize(bundled(), [str(cifar10_test)], cifar10_test, QuantizeOptions(max_drop=0.6))
    found = outcome.report["evaluation"]
    assert found["leaked"] >= 128
    assert found["images"] == found["distinct"] == 5000 - found["leaked"] - found["copies"] > 4800
    assert found["classes"] == 10
    assert abs(found["drop"]) <= 0.3
    assert found["agreement"] >= 0.98
    assert found["sqnr_db"] >= 28


def test_stored_options_keep_their_keys():
    keys = ["images", "ranges", "equalisation", "bias_correction", "max_drop", "labels_from_names"]
    keys += ["label_separator", "columns"]
    assert list(QuantizeOptions().to_json()) == keys
