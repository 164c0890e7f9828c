"""No telemetry: no command opens a socket or asks for a host's address, but a download that was named."""

import json
import os
import subprocess
import sys

import pytest
from labelled import animals
from weights import write_angles

from lcnet.changes.report import head
from lcnet.cli import COMMANDS

pytestmark = pytest.mark.slow

# An audit hook sees what every library does in a process, C code apart; child processes inherit it by sitecustomize.
WATCH = """
import os, sys
def watch(event, arguments):
    if event.startswith("socket.") and event not in ("socket.__new__", "socket.gethostname"):
        family = getattr(arguments[0], "family", None) if arguments else None
        if family is None or family.name != "AF_UNIX":
            with open(os.environ["WATCHED"], "a") as file:
                file.write(f"{event} {arguments[1:] if family is not None else arguments}\\n")
sys.addaudithook(watch)
"""
MODEL = ("-m", "lcnet_050.cifar10", "--threads", "1")
TRAIN = [f"--set={v}" for v in ("epochs=1", "batch_size=4", "input_size=32", "lr=0.01", "warmup_epochs=0")]
ARGUMENTS = {
    "classify": (["{data}/train/cat", *MODEL],),
    "embed": (["{data}/train/cat", *MODEL, "-o", "{out}/e.npz"],),
    "features": (["{data}/train/cat", *MODEL, "-o", "{out}/f.npz"],),
    "merge": (["{out}/part.csv", "-o", "{out}/all.csv"],),
    "gallery": (
        ["build", "{out}/p.gallery", "{data}/train/cat", *MODEL, "--overwrite"],
        ["search", "{out}/p.gallery", "{data}/train/cat", "--threads", "1"],
        ["info", "{out}/p.gallery"],
    ),
    "upright": (["{data}/train/cat", "-m", "{out}/angles.safetensors", "--threads", "1", "--dry-run"],),
    "duplicates": (["{data}/train/cat", "--threads", "1"], ["{data}/train/cat", "--near-by", "embedding", *MODEL]),
    "undo": (["{out}/report.jsonl"],),
    "train": (["{data}", "--output", "{out}/run", "--workers", "0", "--threads", "1", *TRAIN],),
    "evaluate": (["lcnet_050.cifar10", "{data}"],),
    "check-data": (["{data}"],),
    "pack": (["{data}", "{out}/pack"],),
    "recipes": ([],),
    "models": ([],),
    "info": (["lcnet_050.cifar10"], ["lcnet_100"], ["--cpu"]),
    "download": (["lcnet_050.cifar10", "--to", "{out}/dir"],),  # bundled: nothing to get
    "convert": (["{out}/dir/model.safetensors", "{out}/c.safetensors"],),
    "export": (["lcnet_050.cifar10", "{out}/m.onnx"],),
    "quantize": (["lcnet_050.cifar10", "--data", "{data}", "-o", "{out}/q.safetensors", "--force"],),
    "bench": (["-m", "lcnet_050.cifar10", "--engines", "lcnet", "--size", "32", "--rounds", "1"],),
    "serve": (),  # is what listens: tests/serve has that it asks nobody
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Pictures, a place for results, and an environment in which every process is watched."""
    folder = tmp_path_factory.mktemp("watched")
    (folder / "sitecustomize.py").write_text(WATCH)
    animals(folder / "data", count=12)
    (folder / "out").mkdir()
    write_angles(folder / "out" / "angles.safetensors")
    (folder / "out" / "report.jsonl").write_bytes(head("test", "now"))
    paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGINGFACE_"))}
    watched = {"PYTHONPATH": os.pathsep.join(paths), "WATCHED": str(folder / "seen"), "HF_HOME": str(folder / "hf")}
    return folder, kept | watched


def run(place, *arguments):
    """Run a program; return its exit code and what its processes did with sockets."""
    folder, environment = place
    (folder / "seen").unlink(missing_ok=True)
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=environment, timeout=300)
    seen = (folder / "seen").read_text() if (folder / "seen").exists() else ""
    return done, seen


def test_the_watch_sees_sockets_of_child_processes_too(place):
    code = "import socket; s = socket.socket(); s.settimeout(1); s.connect_ex(('127.0.0.1', 9))"
    assert "socket.connect" in run(place, "-c", code)[1]
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {code!r}])"
    assert "socket.connect" in run(place, "-c", child)[1]


def test_every_command_is_watched():
    assert set(ARGUMENTS) == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_opens_a_socket(place, command, torch):
    if command in ("export", "convert"):
        pytest.importorskip("onnx", reason="onnx (extra: export) is not installed")
        run(place, "-m", "lcnet", "download", "lcnet_050.cifar10", "--to", str(place[0] / "out" / "dir"))
    if command == "merge":
        part = str(place[0] / "out" / "part.csv")
        run(place, "-m", "lcnet", "classify", str(place[0] / "data/train/cat"), *MODEL, "--shard", "0/1", "-o", part)
    for arguments in ARGUMENTS[command]:
        filled = [a.format(data=place[0] / "data", out=place[0] / "out") for a in arguments]
        done, seen = run(place, "-m", "lcnet", command, *filled)
        assert done.returncode == 0, json.dumps(filled) + done.stderr
        assert seen == "", f"{command} {filled}: {seen}"
