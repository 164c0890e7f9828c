"""What the tests of the hub share: a small model, a cache, a hub on loopback, downloads in processes of their own."""

import hashlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from loopback_hub import FIRST, Repo, serve
from safetensors.numpy import save
from weights import random_weights

from lcnet import hub
from lcnet.arch import Arch
from lcnet.config import Labels, ModelConfig, Preprocessing

ARCH = Arch(0.35, 3, 10)
NAMES = tuple(f"class {i}" for i in range(10))
REPO = "owner/small"
NAME = f"hf-hub:{REPO}"
WAYS_OUT = ("lcnet download", "local-dir:DIR", "HF_HOME", "the path of a model file", "lcnet_050.cifar10")
TIMM_CONFIG = {
    "architecture": "lcnet_035",
    "num_classes": 10,
    "num_features": 1280,
    "label_names": NAMES,
    "pretrained_cfg": {
        "tag": "mine",
        "input_size": [3, 64, 64],
        "interpolation": "bilinear",
        "crop_pct": 1.0,
        "crop_mode": "squash",
        "mean": [0.5, 0.5, 0.5],
        "std": [0.25, 0.25, 0.25],
    },
}
DESCRIPTION = ModelConfig(
    ARCH,
    Preprocessing((3, 64, 64), "bilinear", 1.0, "squash", (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)),
    Labels(NAMES),
    provenance={"source": "lcnet_035.mine"},
)
CHILD = """
import json, sys, time, warnings
from lcnet import hub, zoo
from lcnet.hub import patience
from lcnet.errors import LcnetError
job, out = json.load(sys.stdin), []
patience.WINDOW = job["window"] or patience.WINDOW
if job["hurry"]:
    time.sleep = lambda seconds: None
for step in job["steps"]:
    if step.get("entry"):
        zoo.ENTRIES = (zoo.Entry(**step["entry"]),)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", UserWarning)
        try:
            if "to" in step:
                out.append({"path": str(hub.download(step["name"], step["to"]))})
            else:
                found = hub.locate(step["name"], step.get("cache_dir"), step.get("offline"))
                out.append({"path": str(found.path), "source": found.source, "sha256": found.sha256})
        except LcnetError as error:
            chained = error.__cause__ is not None or not error.__suppress_context__
            out.append({"error": str(error), "kind": type(error).__name__, "chained": chained})
    out[-1]["warnings"] = [str(w.message) for w in warned if w.category is UserWarning]
json.dump({"results": out, "imported": "huggingface_hub" in sys.modules}, sys.stdout)
"""


@pytest.fixture(scope="module")
def plain():
    """Weights as timm saves them, without a description."""
    return save(random_weights(ARCH))


@pytest.fixture(scope="module")
def other():
    return save(random_weights(ARCH, seed=1))


@pytest.fixture(scope="module")
def files(plain):
    return {"model.safetensors": plain, "config.json": json.dumps(TIMM_CONFIG).encode()}


@pytest.fixture
def server(files):
    with serve() as running:
        running.repos[REPO] = Repo({FIRST: files})
        yield running


@pytest.fixture
def no_network(monkeypatch):
    def forbidden(*args, **kwargs):
        raise AssertionError("the network was asked for")

    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, forbidden)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The cache folder of this process and of its children."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    return tmp_path / "hf" / "hub"


def start(server_url, cache, steps, hurry=False, window=None, **env):
    """Start a process that takes the steps with `cache`, and no other Hugging Face setting than `env`."""
    keep = {k: os.environ[k] for k in ("PATH", "SYSTEMROOT", "TMPDIR", "LD_LIBRARY_PATH") if k in os.environ}
    environment = {
        **keep,
        "HOME": str(cache.parent),
        "HF_HOME": str(cache.parent),
        "HF_ENDPOINT": server_url,
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "NO_PROXY": "*",
        "PYTHONPATH": str(Path(hub.__file__).parents[2]),
        **env,
    }
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen([sys.executable, "-c", CHILD], env=environment, text=True, **pipes)
    process.stdin.write(json.dumps({"steps": steps, "hurry": hurry, "window": window or (3 if hurry else None)}))
    process.stdin.close()
    process.stdin = None
    return process


def finish(process):
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    return json.loads(out)


def run(server, cache, *steps, **options):
    """What each step came to; a step is a name or the keywords of one."""
    steps = [{"name": step} if isinstance(step, str) else step for step in steps]
    return finish(start(server.url, cache, steps, **options))


def fill(cache, repo, files, revision="main", commit=FIRST):
    """Put files into the cache by its documented layout."""
    folder = cache / f"models--{repo.replace('/', '--')}"
    snapshot = folder / "snapshots" / commit
    for path in (folder / "blobs", folder / "refs", snapshot):
        path.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        blob = folder / "blobs" / hashlib.sha256(data).hexdigest()
        blob.write_bytes(data)
        (snapshot / name).symlink_to(os.path.relpath(blob, snapshot))
    if revision != commit:
        (folder / "refs" / revision).write_text(commit)
    return snapshot


def leftovers(cache):
    """Every file in the cache that holds weights or a part of them (configs and references are smaller)."""
    return [p for p in cache.rglob("*") if p.is_symlink() or (p.is_file() and p.stat().st_size > 10_000)]


def pinned(data, sha256=None, repo=REPO):
    return {
        "name": "lcnet_035.pinned",
        "hub_id": repo,
        "revision": FIRST,
        "size": len(data),
        "num_classes": 10,
        "labels": None,
        "sha256": sha256 or hashlib.sha256(data).hexdigest(),
    }


# From the hub
