"""A run that was stopped, at any moment, and resumed is the run that was not: weights, averages, optimizer, metrics."""

import json
import os
import signal
import subprocess
import sys

import pytest
from coloured import small, write_classes

pytestmark = pytest.mark.usefixtures("torch")

SETTINGS = small(
    epochs=3, ema=0.9, ema_warmup="true", dropout=0.2, erasing=0.5, mixup=0.2, cutmix=1.0, randaugment="rand-m9-inc1",
    optimizer="rmsprop_tf", lr=0.005, eps=0.001, per_update="true", warmup_epochs=1,
)  # fmt: skip
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
    command = [sys.executable, "-m", "lcnet", "train", str(folder), "--output", str(output), "--val-fraction", "0.25",
               "--workers", "0", "--threads", "1", "--checkpoint-minutes", "0", "--resume"]  # fmt: skip
    command += [argument for setting in SETTINGS for argument in ("--set", setting)]
    output.mkdir()  # so that the first start may say --resume too
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while process.poll() is None and not (output / "last.ckpt").exists():
        pass
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
