"""`lcnet train` and the README's training example, on fewer digits and epochs."""

import json
import os
import re
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from coloured import small, write_classes

import lcnet
from lcnet.cli import main

pytestmark = [pytest.mark.usefixtures("torch"), pytest.mark.slow]


def run(*arguments):
    return CliRunner().invoke(main, ["train", *map(str, arguments)])


def settings(**values):
    return [argument for setting in small(**values) for argument in ("--set", setting)]


def test_from_a_folder_to_a_model_file(tmp_path):
    data = write_classes(tmp_path / "data", each=8)
    done = run(data, "--output", tmp_path / "out", *settings(), "--workers", 0, "--threads", 1)
    assert done.exit_code == 0, done.output
    assert "21 images of 3 classes, 3 for validation" in done.stderr
    assert "lcnet_050 from random weights at 32x32, 2 epochs of 2 steps of 8 images, on cpu" in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("epoch")]
    assert len(lines) == 2 and "train loss" in lines[0] and "top1" in lines[0]
    assert done.stdout.startswith(str(tmp_path / "out" / "model.safetensors"))
    assert lcnet.load(tmp_path / "out" / "model.safetensors").labels.names == ("blue", "green", "red")


def test_names_of_classes_that_no_model_file_can_hold_stop_before_the_work(tmp_path):
    data = write_classes(tmp_path / "data", each=8)
    os.rename(data / "red", os.fsencode(data) + b"/\xff")
    done = run(data, "--output", tmp_path / "out", *settings(), "--workers", 0, "--threads", 1)
    assert done.exit_code == 4 and "epoch" not in done.stderr
    assert "no model file can hold the result: labels.names has '\\udcff', expected Unicode" in done.stderr


def test_names_of_all_kinds_are_trained_and_shown_escaped(tmp_path):
    data = write_classes(tmp_path / "data", each=8)
    odd = "a\x1b]0;x\x07\r\n\u202e"
    (data / "red").rename(data / odd)
    data = data.rename(tmp_path / os.fsdecode(b"d\xff\x1b\n"))
    done = run(data, "--output", tmp_path / "out", *settings(), "--workers", 0, "--threads", 1)
    assert done.exit_code == 0 and not re.search("[\x1b\x07\r\u202e]", done.output)
    config = lcnet.load(tmp_path / "out" / "model.safetensors").config
    assert odd in config.labels.names and config.provenance["data"] == "d\\xff\x1b\n"


@pytest.mark.parametrize(
    ("code", "arguments", "message"),
    [
        (4, ["--set", "label_smothing=0.1"], "no key 'label_smothing'; did you mean 'label_smoothing'"),
        (4, ["--recipe", "ra3"], "ra2"),
        (2, ["--resume", "--overwrite"], "contradict"),
        (4, ["--metric", "accuracy"], "top1"),
        (4, ["--model", "lcnet_55"], "lcnet_55"),
    ],
)
def test_a_mistake_is_one_clear_line(tmp_path, code, arguments, message):
    data = write_classes(tmp_path / "data", each=4)
    done = run(data, "--output", tmp_path / "out", *arguments)
    assert done.exit_code == code
    assert message in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_bad_data_is_one_clear_line(tmp_path):
    (tmp_path / "empty").mkdir()
    one = write_classes(tmp_path / "one", each=2, classes=("red",))
    only_val = tmp_path / "only_val"
    write_classes(only_val / "train", each=2, classes=("red", "blue"))
    write_classes(only_val / "val", each=2, classes=("red", "green"))
    for data, message in ((tmp_path / "empty", "empty"), (one, "red"), (only_val, "green"), (tmp_path / "no", "no")):
        done = run(data, "--output", tmp_path / "out")
        assert done.exit_code == 4 and message in done.stderr, done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
        assert not (tmp_path / "out").exists()


@pytest.mark.alone
def test_freezing_trains_the_classifier_only(tmp_path):
    data = write_classes(tmp_path / "data", each=6)
    assert run(data, "-o", tmp_path / "a", *settings(epochs=1), "--workers", 0).exit_code == 0
    start = tmp_path / "a" / "model.safetensors"
    done = run(data, "-o", tmp_path / "b", "-m", start, "--freeze", *settings(epochs=1), "--workers", 0)
    assert done.exit_code == 0, done.output
    before, after = (lcnet.modelfile.read(p).weights for p in (start, tmp_path / "b" / "model.safetensors"))
    changed = {key for key in before if (before[key] != after[key]).any()}
    assert changed <= {"classifier.weight", "classifier.bias"} and changed


def test_tensorboard_without_its_package_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    done = run(tmp_path, "--output", tmp_path / "out", "--tensorboard")
    assert done.exit_code == 4 and "pip install tensorboard" in done.stderr


def test_the_readmes_digits_in_short(tmp_path, monkeypatch):
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "scripts"))
    from digits import write_digits

    write_digits(tmp_path / "digits")
    values = ("epochs=6", "warmup_epochs=1", "input_size=48", "batch_size=32", "lr=0.05", "hflip=0", "scale=[0.8,1]")
    short = [f"--set={value}" for value in values]
    done = run(tmp_path / "digits", "--output", tmp_path / "run", *short, "--workers", 0, "--threads", 1)
    assert done.exit_code == 0, done.output
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").open()]
    # A tenth would be chance. Which picture falls on which side depends on the CPU's order of additions.
    assert max(row["val_top1"] for row in rows) > 0.8
