"""What ends a run from outside: Ctrl-C, and the death of a process that decodes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from coloured import small, write_classes

pytestmark = [pytest.mark.usefixtures("torch"), pytest.mark.slow]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_classes(tmp_path_factory.mktemp("data") / "colours", each=12)


def command(folder, output, workers, epochs, *more):
    settings = [argument for setting in small(epochs=epochs) for argument in ("--set", setting)]
    where = [str(folder), "--output", str(output), "--val-fraction", "0.25", "--threads", "1", "--workers", str(workers)]
    return [sys.executable, "-m", "lcnet", "train", *where, *settings, *more]


def begun(process, output):
    """Wait until some epochs are done."""
    rows = output / "metrics.jsonl"
    while process.poll() is None and not (rows.exists() and rows.read_text().count("\n") > 1):
        time.sleep(0.01)
    assert process.poll() is None, process.stderr.read()


@pytest.mark.parametrize(("workers", "by"), [(0, signal.SIGTERM), (2, signal.SIGINT)])
def test_a_signal_writes_the_step_and_says_how_to_go_on(torch, folder, tmp_path, workers, by):
    output = tmp_path / "out"
    process = subprocess.Popen(
        command(folder, output, workers, 500, "--overwrite"), stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    begun(process, output)
    os.killpg(process.pid, by)  # as a terminal does: every process of it
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 128 + by and "Traceback" not in said, said
    assert "lcnet: stopping after this step" in said
    assert f"lcnet: stopped; `lcnet train --resume --output {output}` goes on from last.ckpt" in said
    place = torch.load(output / "last.ckpt", weights_only=True)["place"]
    assert place["updates"] == 3 * place["epoch"] + place["step"]
    assert len((output / "metrics.jsonl").read_text().splitlines()) == place["epoch"]


def test_ctrl_c_within_an_epoch_loses_no_step_and_the_rest_is_the_same(torch, folder, tmp_path):
    from lcnet.train import fit
    from lcnet.train.events import Events

    class Press(Events):
        def step(self, run, loss, lr):
            if run.place.updates == 5:
                signal.raise_signal(signal.SIGINT)

    how = {"val_fraction": 0.25, "workers": 0, "threads": 1}
    fit(folder, "quick", tmp_path / "whole", small(epochs=3), **how)
    with pytest.raises(KeyboardInterrupt):
        fit(folder, "quick", tmp_path / "out", small(epochs=3), events=Press(), **how)
    assert torch.load(tmp_path / "out" / "last.ckpt", weights_only=True)["place"]["updates"] == 5
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    fit(folder, "quick", tmp_path / "out", small(epochs=3), resume=True, **how)
    one, other = (torch.load(tmp_path / name / "last.ckpt", weights_only=True)["parts"]["model"] for name in ("whole", "out"))
    assert all(torch.equal(one[name], other[name]) for name in one)
    lines = [[json.loads(line) for line in (tmp_path / name / "metrics.jsonl").open()] for name in ("whole", "out")]
    assert [row["val_loss"] for row in lines[0]] == [row["val_loss"] for row in lines[1]]


def test_ctrl_c_before_anything_is_written_promises_nothing(folder, tmp_path, monkeypatch):
    from click.testing import CliRunner

    from lcnet.cli import main
    from lcnet.train import training

    def press(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "open_pictures", press)
    done = CliRunner().invoke(main, ["train", str(folder), "--output", str(tmp_path / "out")])
    assert done.exit_code == 130 and "lcnet: stopped; nothing of it was written yet" in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="finds the children in /proc")
def test_a_killed_worker_is_one_clear_line(folder, tmp_path):
    output = tmp_path / "out"
    process = subprocess.Popen(command(folder, output, 2, 500), stderr=subprocess.PIPE, text=True)
    begun(process, output)
    children: list[str] = []
    while not children:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(children[0]), signal.SIGKILL)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 4 and "Traceback" not in said, said
    last = said.strip().splitlines()[-1]
    assert last.startswith("Error: a process that decodes pictures ended: DataLoader worker (pid"), said
    assert last.endswith("try fewer --workers, or 0; the same command with --resume goes on")
