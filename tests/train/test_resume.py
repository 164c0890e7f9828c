"""A run that was stopped, at any moment, and resumed is the run that was not: weights, averages, optimizer, metrics."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from coloured import small, write_classes

pytestmark = [pytest.mark.usefixtures("torch"), pytest.mark.slow]

SETTINGS = small(
    epochs=3,
    ema=0.9,
    ema_warmup="true",
    dropout=0.2,
    erasing=0.5,
    mixup=0.2,
    cutmix=1.0,
    randaugment="rand-m9-inc1",
    optimizer="rmsprop_tf",
    lr=0.005,
    eps=0.001,
    per_update="true",
    warmup_epochs=1,
)
HOW = {"val_fraction": 0.25, "workers": 0, "threads": 1, "checkpoint_minutes": 0}


class Stopped(Exception):
    pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_classes(tmp_path_factory.mktemp("data") / "colours", each=12)


@pytest.fixture(scope="module")
def whole(torch, folder, tmp_path_factory):
    from lcnet.train import fit

    output = tmp_path_factory.mktemp("whole")
    fit(folder, "quick", output, SETTINGS, **HOW)
    return output


def state(torch, output):
    saved = torch.load(output / "last.ckpt", weights_only=True)
    rows = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    for row in rows:
        del row["seconds"]
    return saved, rows, (output / "model.safetensors").read_bytes()[-1000:]


def same(torch, a, b):
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(torch, a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(same(torch, x, y) for x, y in zip(a, b, strict=True))
    return torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b


def assert_same_end(torch, one, other):
    (a, rows, weights), (b, other_rows, other_weights) = state(torch, one), state(torch, other)
    assert rows == other_rows
    assert weights == other_weights
    assert same(torch, a["parts"], b["parts"]) and a["place"] == b["place"]


@pytest.mark.parametrize("update", [1, 4, 6])  # 27 pictures, 8 a step: three steps an epoch
def test_stopped_between_steps_and_resumed(torch, folder, whole, tmp_path, update):
    from lcnet.train import fit
    from lcnet.train.events import Events

    class Stop(Events):
        def step(self, run, loss, lr):
            if run.place.updates == update + 1:  # the checkpoint is of the step before
                raise Stopped

    with pytest.raises(Stopped):
        fit(folder, "quick", tmp_path / "out", SETTINGS, events=Stop(), **HOW)
    fit(folder, "quick", tmp_path / "out", SETTINGS, resume=True, **HOW)
    assert_same_end(torch, whole, tmp_path / "out")


def test_killed_and_resumed_in_new_processes(torch, folder, whole, tmp_path):
    output = tmp_path / "out"
    command = [
        sys.executable,
        "-m",
        "lcnet",
        "train",
        str(folder),
        "--output",
        str(output),
        "--val-fraction",
        "0.25",
        "--workers",
        "0",
        "--threads",
        "1",
        "--checkpoint-minutes",
        "0",
        "--resume",
    ]
    command += [argument for setting in SETTINGS for argument in ("--set", setting)]
    output.mkdir()  # so that the first start may say --resume too
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while process.poll() is None and not (output / "last.ckpt").exists():
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert_same_end(torch, whole, output)


def test_resuming_a_finished_run_changes_nothing(torch, folder, whole, tmp_path):
    import shutil

    from lcnet.train import fit

    copy = tmp_path / "copy"
    shutil.copytree(whole, copy)
    done = fit(folder, "quick", copy, SETTINGS, resume=True, **HOW)
    assert done.epochs == 3
    assert_same_end(torch, whole, copy)


def _change(path, value):
    """A function that sets a place in a nested dictionary."""

    def edit(saved):
        for key in path[:-1]:
            saved = saved[key]
        saved[path[-1]] = value

    return edit


OPTIMIZER = ("parts", "optimizer", "state")
EDITS = {
    "no parts": (lambda saved: saved["parts"].clear(), "KeyError: 'model'"),
    "parts is a list": (_change(["parts"], [1]), "parts is list, expected dict"),
    "identity is a list": (_change(["identity"], [1]), "identity is list, expected dict"),
    "another version": (_change(["lcnet"], 1), "it is of version 1, this lcnet reads 2"),
    "epoch is text": (_change(["place", "epoch"], "x"), r"place\.epoch is 'x'"),
    "epoch beyond the last": (_change(["place", "epoch"], 10**9), r"place\.epoch is 1000000000, expected 0 to 3"),
    "epoch below the first": (_change(["place", "epoch"], -1), r"place\.epoch is -1, expected 0 to 3"),
    "step beyond the last": (_change(["place", "step"], 10**9), r"place\.step is 1000000000, expected 0 to 3"),
    "no best epoch": (_change(["place", "best_epoch"], -1), r"place\.best_epoch is -1, expected 1 to 3"),
    "a best epoch that nothing measured": (_change(["place", "best_epoch"], 0), r"place\.best_epoch is 0, expected 1 to 3"),
    "the highest is text": (_change(["place", "top"], "x"), r"place\.top is 'x'"),
    "losses are text": (_change(["parts", "start"], "x"), "AttributeError: 'str' object has no attribute 'shape'"),
    "no losses": (lambda saved: saved["parts"].pop("start"), "KeyError: 'start'"),
    "unknown place": (_change(["place", "hour"], 1), "TypeError: .*unexpected keyword argument 'hour'"),
    "loss is text": (_change(["place", "loss_sum"], "x"), r"place\.loss_sum is 'x'"),
    "model is text": (_change(["parts", "model"], "x"), "TypeError: Expected state_dict to be dict-like"),
    "a tensor is missing": (lambda saved: saved["parts"]["model"].pop("bn1.weight"), 'RuntimeError: .*"bn1.weight"'),
    "no averages": (_change(["parts", "ema"], None), "TypeError"),
    "averages count in text": (_change(["parts", "ema", "updates"], "x"), "invalid literal"),
    "optimizer is text": (_change(["parts", "optimizer"], "x"), "TypeError"),
    "optimizer of other shapes": (
        lambda saved: next(iter(saved["parts"]["optimizer"]["state"].values())).update(
            square_avg=saved["parts"]["model"]["classifier.bias"]
        ),
        r"the optimizer's square_avg has shape \[3\]",
    ),
}


@pytest.mark.parametrize("case", EDITS)
def test_a_checkpoint_of_other_content_is_refused_in_one_line(torch, folder, whole, tmp_path, case):
    import shutil

    from lcnet.errors import ModelFileError
    from lcnet.train import fit

    edit, match = EDITS[case]
    copy = tmp_path / "copy"
    shutil.copytree(whole, copy)
    saved = torch.load(copy / "last.ckpt", weights_only=True)
    edit(saved)
    torch.save(saved, copy / "last.ckpt")
    with pytest.raises(ModelFileError, match=match) as caught:
        fit(folder, "quick", copy, SETTINGS, resume=True, **HOW)
    message = str(caught.value)
    assert message.startswith(f"{copy / 'last.ckpt'}: it is no checkpoint of this training run (")
    assert message.endswith("): --overwrite begins anew") and message.isprintable()


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (b"garbage\n" * 3, r"line 1 is 'garbage', expected the metrics of epoch 1"),
        (b"", "it has 0 lines, expected one for each of 3 epochs"),
        (b"\xff\n", "codec can't decode"),
        (b'{"epoch": 2, "lr": 1, "train_loss": 1}\n' * 3, "line 1 is .*, expected the metrics of epoch 1"),
        (b'{"epoch": 1, "lr": {}, "train_loss": 1}\n' * 3, "line 1 is .*, expected the metrics of epoch 1"),
        (b"[" * 100_000 + b"\n1\n1\n", "line 1 is '.*, expected the metrics"),
        (None, "there is no such file"),
    ],
)
def test_metrics_of_other_content_are_refused_in_one_line(folder, whole, tmp_path, text, match):
    import shutil

    from lcnet.errors import ModelFileError
    from lcnet.train import fit

    copy = tmp_path / "copy"
    shutil.copytree(whole, copy)
    (copy / "metrics.jsonl").unlink()
    if text is not None:
        (copy / "metrics.jsonl").write_bytes(text)
    with pytest.raises(ModelFileError, match=rf"metrics\.jsonl: .*{match}.*begin anew with --overwrite"):
        fit(folder, "quick", copy, SETTINGS, resume=True, **HOW)


@pytest.mark.parametrize("ema", [True, False])
def test_a_checkpoint_becomes_a_model_file(torch, whole, tmp_path, ema):
    from lcnet import modelfile
    from lcnet.convert import convert

    model = modelfile.read(whole / "model.safetensors").config
    found = convert(whole / "last.ckpt", tmp_path / "out.safetensors", use_ema=ema)
    parts = torch.load(whole / "last.ckpt", weights_only=True)["parts"]
    expected = parts["ema"]["module"] if ema else parts["model"]
    assert all(torch.equal(torch.tensor(found.weights[key]), value) for key, value in expected.items())
    assert (found.config.labels, found.config.preprocessing, found.config.decision) == (
        model.labels,
        model.preprocessing,
        model.decision,
    )
    assert found.config.provenance["key"] == ("parts.ema.module" if ema else "parts.model")
    assert found.config.provenance["source"] == "lcnet train" and "note" not in found.config.provenance


@pytest.mark.parametrize("beside", ["recipe.json", "of another run", "nothing"])
def test_a_checkpoint_without_a_description_is_told_by_its_run(torch, whole, tmp_path, beside):
    from lcnet.convert import convert

    saved = torch.load(whole / "last.ckpt", weights_only=True)
    del saved["description"]
    torch.save(saved, tmp_path / "last.ckpt")
    run = json.loads((whole / "recipe.json").read_text())
    if beside != "nothing":
        other = {"data_fingerprint": "x"} if beside == "of another run" else {}
        (tmp_path / "recipe.json").write_text(json.dumps(run | other))
    config = convert(tmp_path / "last.ckpt", tmp_path / "out.safetensors").config
    assert (config.labels.names if config.labels else None) == (("blue", "green", "red") if beside == "recipe.json" else None)
    assert config.preprocessing.input_size == (3, 32, 32)
    assert config.preprocessing.crop_pct == run["recipe"]["crop_pct"]
    assert config.provenance["assumed"] == ["interpolation", "crop_mode", "mean", "std"]


@pytest.mark.parametrize("update", [2, 5])
def test_a_run_from_weights_that_know_all_classes_stopped_and_resumed(torch, folder, whole, tmp_path, update):
    """What the start is measured at, and whether it is still kept, goes on too."""
    from lcnet.train import fit
    from lcnet.train.events import Events

    class Stop(Events):
        def step(self, run, loss, lr):
            if run.place.updates == update + 1:
                raise Stopped

    how = {**HOW, "model": str(whole / "model.safetensors")}
    fit(folder, "quick", tmp_path / "whole", SETTINGS, **how)
    with pytest.raises(Stopped):
        fit(folder, "quick", tmp_path / "out", SETTINGS, events=Stop(), **how)
    stopped = torch.load(tmp_path / "out" / "last.ckpt", weights_only=True)
    assert stopped["place"]["floor"] is not None and stopped["parts"]["start"].shape == (9,)
    fit(folder, "quick", tmp_path / "out", SETTINGS, resume=True, **how)
    assert_same_end(torch, tmp_path / "whole", tmp_path / "out")
    rows = (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(row)["epoch"] for row in rows] == [0, 1, 2, 3]
