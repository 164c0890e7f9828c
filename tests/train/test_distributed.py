"""Several processes under torchrun: equal to one where they should be, one writer, and no survivor of a dead one."""

import json
import subprocess
import sys

import pytest
from coloured import small, write_classes

pytestmark = [pytest.mark.usefixtures("torch"), pytest.mark.slow]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_classes(tmp_path_factory.mktemp("data") / "colours", each=12)


def run(folder, output, settings, processes, *more):
    launch = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes), "--standalone"]
    command = [
        sys.executable,
        *(launch if processes > 1 else []),
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
        *more,
    ]
    command += [argument for setting in settings for argument in ("--set", setting)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def weights(torch, output):
    return torch.load(output / "last.ckpt", weights_only=True)["parts"]["model"]


def test_two_processes_with_common_batch_statistics_equal_one(torch, folder, tmp_path):
    """One step: in the next ones the noise of float sums grows by itself, as a batch of 26 is no stable thing."""
    settings = small(epochs=1, batch_size=26, lr=0.02, sync_bn="true", label_smoothing=0.1)
    for processes in (1, 2):
        done = run(folder, tmp_path / str(processes), settings, processes)
        assert done.returncode == 0, done.stderr
    one, two = (weights(torch, tmp_path / str(processes)) for processes in (1, 2))
    for name, tensor in one.items():
        assert torch.allclose(tensor.float(), two[name].float(), rtol=1e-3, atol=1e-3 * tensor.abs().max().item()), name
    first, second = ([json.loads(line) for line in (tmp_path / str(n) / "metrics.jsonl").open()] for n in (1, 2))
    for a, b in zip(first, second, strict=True):
        assert a["train_loss"] == pytest.approx(b["train_loss"], rel=1e-3)
        assert a["val_loss"] == pytest.approx(b["val_loss"], rel=1e-2)


def test_accumulated_parts_equal_two_processes(torch, folder, tmp_path):
    """Each with its own batch statistics: what differs is who adds the gradients, and the mean of running statistics."""
    settings = small(epochs=1, lr=0.02)
    assert run(folder, tmp_path / "parts", settings, 1, "--accumulate", "2").returncode == 0
    assert run(folder, tmp_path / "two", settings, 2).returncode == 0
    parts, two = weights(torch, tmp_path / "parts"), weights(torch, tmp_path / "two")
    for name, tensor in parts.items():
        if "running" not in name and "batches" not in name:
            assert torch.allclose(tensor, two[name], rtol=1e-3, atol=1e-3 * tensor.abs().max().item()), name


def test_a_dead_process_ends_all_with_an_error(folder, tmp_path):
    script = tmp_path / "dying.py"
    script.write_text(f"""
import os, sys
from lcnet.train import fit
from lcnet.train import loop

if os.environ["RANK"] == "1":
    def die(self, *args):
        os._exit(9)
    loop.Run._step = die
fit({str(folder)!r}, "quick", {str(tmp_path / "out")!r}, {small()!r}, workers=0, threads=1)
""")
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone", str(script)]
    done = subprocess.run(launch, capture_output=True, text=True, timeout=300)
    assert done.returncode != 0
    assert not (tmp_path / "out" / "model.safetensors").exists()


def test_synchronized_batch_norm_alone_is_plain_batch_norm(torch):
    """In one process without a group the layer is only used in evaluation: there it is torch's own."""
    from lcnet.train.distributed import synchronize_bn

    plain = torch.nn.BatchNorm2d(4)
    plain.running_mean.uniform_()
    x = torch.randn(2, 4, 3, 3)
    expected = plain.eval()(x)
    synchronize_bn(plain)
    assert type(plain).__name__ == "SyncBatchNorm2d"
    assert torch.equal(plain(x), expected)
