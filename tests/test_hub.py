"""Names, cache, verification and failures, against a hub on the loopback interface; a download has its own process."""

import hashlib
import importlib.util
import json
import os
import runpy
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from loopback_hub import FIRST, SECOND, Repo, altered, half, serve, whole
from safetensors.numpy import save
from weights import random_weights

from lcnet import hub, modelfile, zoo
from lcnet.arch import Arch
from lcnet.config import Labels, ModelConfig, Preprocessing
from lcnet.errors import InputError, LcnetError, WeightsError

ARCH = Arch(0.35, 3, 10)
NAMES = tuple(f"class {i}" for i in range(10))
REPO = "owner/small"
NAME = f"hf-hub:{REPO}"
WAYS_OUT = ("lcnet download", "local-dir:DIR", "HF_HOME", "--model PATH", "lcnet_050.cifar10")
TIMM_CONFIG = {
    "architecture": "lcnet_035", "num_classes": 10, "num_features": 1280, "label_names": NAMES,
    "pretrained_cfg": {"tag": "mine", "input_size": [3, 64, 64], "interpolation": "bilinear", "crop_pct": 1.0,
                       "crop_mode": "squash", "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]},
}  # fmt: skip
DESCRIPTION = ModelConfig(
    ARCH,
    Preprocessing((3, 64, 64), "bilinear", 1.0, "squash", (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)),
    Labels(NAMES),
    provenance={"source": "lcnet_035.mine"},
)
CHILD = """
import json, sys, time, warnings
from lcnet import hub, zoo
from lcnet.errors import LcnetError
job, out = json.load(sys.stdin), []
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


def start(server_url, cache, steps, hurry=False, **env):
    """Start a process that takes the steps with `cache`, and no other Hugging Face setting than `env`."""
    keep = {k: os.environ[k] for k in ("PATH", "SYSTEMROOT", "TMPDIR", "LD_LIBRARY_PATH") if k in os.environ}
    environment = {
        **keep,
        "HOME": str(cache.parent),
        "HF_HOME": str(cache.parent),
        "HF_ENDPOINT": server_url,
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "NO_PROXY": "*",
        "PYTHONPATH": str(Path(hub.__file__).parents[1]),
        **env,
    }
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen([sys.executable, "-c", CHILD], env=environment, text=True, **pipes)
    process.stdin.write(json.dumps({"steps": steps, "hurry": hurry}))
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
    return {"name": "lcnet_035.pinned", "hub_id": repo, "revision": FIRST, "size": len(data), "num_classes": 10,
            "labels": None, "sha256": sha256 or hashlib.sha256(data).hexdigest()}  # fmt: skip


# From the hub


def test_a_download_is_cached_and_then_needs_neither_network_nor_huggingface_hub(server, cache, plain):
    first = run(server, cache, NAME)
    assert first["results"][0]["source"] == f"{NAME}@{FIRST}"
    assert (server.count("GET", "model.safetensors"), server.count("GET", "config.json")) == (1, 1)

    asked = len(server.requests)
    again = run(server, cache, NAME, f"hf_hub:{REPO}@main", f"{NAME}@{FIRST}")
    assert len(server.requests) == asked
    assert not again["imported"]
    assert {r["path"] for r in again["results"]} == {first["results"][0]["path"]}

    found = hub.locate(NAME)
    assert found.path.read_bytes() == plain
    assert found.sha256 == hashlib.sha256(plain).hexdigest()
    assert modelfile.read_config(found.path, found.config) == DESCRIPTION


def test_a_zoo_entry_needs_no_config_of_the_hub(server, cache, plain):
    server.repos[REPO].commits[FIRST] = {"model.safetensors": plain}
    result = run(server, cache, {"name": "lcnet_035.pinned", "entry": pinned(plain)})["results"][0]
    assert Path(result["path"]).read_bytes() == plain
    assert server.count("HEAD", "config.json") == 0


def test_revisions_are_kept_apart(server, cache, files, other):
    server.repos[REPO].commits[SECOND] = {**files, "model.safetensors": other}
    server.repos[REPO].revisions["refs/pr/2"] = SECOND
    results = run(server, cache, NAME, f"{NAME}@refs/pr/2", f"{NAME}@{SECOND}")["results"]
    assert [Path(r["path"]).read_bytes() == other for r in results] == [False, True, True]
    assert server.count("GET", "model.safetensors") == 2


def test_weights_and_config_are_of_one_commit_even_if_the_branch_moves_between_them(server, cache, files, other):
    repo = server.repos[REPO]
    repo.commits[SECOND] = {**files, "model.safetensors": other}

    def move(out, data):
        repo.revisions["main"] = SECOND
        whole(out, data)

    server.send = move
    path = Path(run(server, cache, NAME)["results"][0]["path"])
    assert path.parent.name == FIRST
    assert sorted(os.listdir(path.parent)) == ["config.json", "model.safetensors"]


def test_a_download_goes_to_the_cache_folder_that_is_passed(server, cache, tmp_path, plain):
    result = run(server, cache, {"name": NAME, "cache_dir": str(tmp_path / "elsewhere")})["results"][0]
    assert Path(result["path"]).is_relative_to(tmp_path / "elsewhere")
    assert leftovers(cache) == []


@pytest.mark.parametrize("links", ["", "1"], ids=["links", "no links"])
def test_what_differs_from_the_hash_that_the_hub_states_is_removed(server, cache, plain, links):
    server.send = altered
    bad = run(server, cache, NAME, HF_HUB_DISABLE_SYMLINKS=links)["results"][0]
    assert bad["kind"] == "WeightsError"
    for part in ("model.safetensors of owner/small", hashlib.sha256(plain).hexdigest(), f"{len(plain)} bytes"):
        assert part in bad["error"]
    assert leftovers(cache) == []

    server.send = whole
    good = run(server, cache, NAME, HF_HUB_DISABLE_SYMLINKS=links)["results"][0]
    assert Path(good["path"]).read_bytes() == plain


def test_what_differs_from_the_pinned_hash_is_removed(server, cache, plain):
    wrong = {"name": "lcnet_035.pinned", "entry": pinned(plain, sha256="0" * 64)}
    right = {"name": "lcnet_035.pinned", "entry": pinned(plain)}
    bad, gone, good = run(server, cache, wrong, {**right, "offline": True}, right)["results"]
    assert f"expected sha256 {'0' * 64}, found {hashlib.sha256(plain).hexdigest()}" in bad["error"]
    assert "not in the cache" in gone["error"]
    assert Path(good["path"]).read_bytes() == plain


def test_a_cached_file_of_the_wrong_size_is_named_and_replaced(server, cache, plain):
    snapshot = fill(cache, REPO, {"model.safetensors": plain[:-1]}, revision=FIRST)
    step = {"name": "lcnet_035.pinned", "entry": pinned(plain)}
    offline, online = run(server, cache, {**step, "offline": True}, step)["results"]
    expected = f"{snapshot / 'model.safetensors'} has {len(plain) - 1} bytes, expected {len(plain)}"
    assert offline["error"].startswith(expected)
    assert "delete" in offline["error"]
    assert online["warnings"] == [f"{expected}: it is downloaded again"]
    assert Path(online["path"]).read_bytes() == plain


def test_a_predicted_size_is_not_enforced(cache, plain):
    entry = replace(zoo.find("lcnet_075"), hub_id=REPO)
    assert entry.sha256 is None
    snapshot = fill(cache, REPO, {"model.safetensors": plain})
    assert hub.cached(entry) == snapshot / "model.safetensors"


def test_a_connection_that_closes_in_the_middle_leaves_nothing(server, cache, plain):
    server.send = half
    bad = run(server, cache, NAME, hurry=True)["results"][0]
    assert bad["kind"] == "WeightsError"
    assert all(way in bad["error"] for way in WAYS_OUT)
    assert leftovers(cache) == []
    assert server.count("GET", "model.safetensors") < 10

    server.send = whole
    assert Path(run(server, cache, NAME)["results"][0]["path"]).read_bytes() == plain


def test_a_process_killed_in_the_middle_leaves_nothing_that_counts(server, cache, plain):
    halfway, never = threading.Event(), threading.Event()

    def stall(out, data):
        half(out, data)
        out.flush()
        halfway.set()
        never.wait(60)

    server.send = stall
    process = start(server.url, cache, [{"name": NAME}])
    assert halfway.wait(60)
    process.kill()
    process.communicate()
    never.set()
    with pytest.raises(WeightsError, match="not in the cache"):
        hub.locate(NAME, offline=True)

    server.send = whole
    assert Path(run(server, cache, NAME)["results"][0]["path"]).read_bytes() == plain


def test_two_processes_that_download_at_once_leave_one_good_file(server, cache, plain):
    def when_both_are_there(out, data):
        patience = time.monotonic() + 20
        while server.count("HEAD", "model.safetensors") < 4 and time.monotonic() < patience:
            time.sleep(0.01)
        whole(out, data)

    server.send = when_both_are_there
    processes = [start(server.url, cache, [{"name": NAME}]) for _ in range(2)]
    paths = {finish(process)["results"][0]["path"] for process in processes}
    assert [Path(p).read_bytes() == plain for p in paths] == [True]
    assert (server.count("HEAD", "model.safetensors"), server.count("GET", "model.safetensors")) == (4, 1)
    assert len(list((cache / "models--owner--small" / "blobs").iterdir())) == 2


# What goes wrong


def test_each_refusal_of_the_hub_becomes_one_clear_message(server, cache, files, plain):
    server.repos |= {
        "a/gated": Repo({}, status=403, code="GatedRepo"),
        "a/ill": Repo({}, status=500),
        "a/busy": Repo({}, status=429),
        "a/empty": Repo({FIRST: {}}),
        "a/pickle": Repo({FIRST: {"pytorch_model.bin": b"\x80\x02"}}),
        "a/plain": Repo({FIRST: {"model.safetensors": plain}}),
        "a/proxy": Repo({"": files}, revisions={"main": ""}),
        "a/private": Repo({FIRST: files}, token="secret"),
    }
    expected = {
        "hf-hub:a/none": ("a/none (401)", "check the name", "HF_TOKEN"),
        "hf-hub:a/private": ("a/private (401)", "HF_TOKEN"),
        f"{NAME}@v9": ("no revision 'v9'",),
        "hf-hub:a/empty": ("has no model.safetensors",),
        "hf-hub:a/pickle": ("only pytorch_model.bin", "lcnet convert"),
        "hf-hub:a/plain": ("has no config.json",),
        "hf-hub:a/gated": ("gated (403)", "HF_TOKEN"),
        "hf-hub:a/ill": ("the hub answered 500", *WAYS_OUT),
        "hf-hub:a/busy": ("the hub answered 429", *WAYS_OUT),
        "hf-hub:a/proxy": ("not a Hugging Face hub", *WAYS_OUT),
    }
    results = run(server, cache, *expected)["results"]
    for (name, parts), result in zip(expected.items(), results, strict=True):
        assert result["kind"] == "WeightsError", name
        assert [p for p in parts if p not in result["error"]] == [], result["error"]
        assert not result["chained"], name
    assert sum("/a/ill/" in path for _, path in server.requests) == 1

    allowed = run(server, cache, "hf-hub:a/private", HF_TOKEN="secret")["results"][0]
    assert Path(allowed["path"]).read_bytes() == plain


def test_a_refused_connection_is_explained_at_once_with_the_ways_out(cache):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    began = time.monotonic()
    result = finish(start(url, cache, [{"name": NAME}]))["results"][0]
    assert time.monotonic() - began < 5
    for part in (*WAYS_OUT, "model.safetensors of owner/small", "revision main", str(cache), "refused", NAME):
        assert part in result["error"]
    assert not result["chained"]


def test_a_hub_that_never_answers_is_given_up(cache):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        process = start(url, cache, [{"name": NAME}], HF_HUB_ETAG_TIMEOUT="1")
        result = finish(process)["results"][0]
    assert "Timeout" in result["error"]
    assert all(way in result["error"] for way in WAYS_OUT)


def test_without_huggingface_hub_the_ways_out_are_told(cache, monkeypatch, no_network):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(WeightsError, match="cannot be imported") as caught:
        hub.locate("lcnet_050")
    assert all(way in str(caught.value) for way in WAYS_OUT)


@pytest.mark.parametrize("switch", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "offline"])
def test_offline_means_no_network(cache, files, monkeypatch, no_network, switch):
    if switch != "offline":
        monkeypatch.setenv(switch, "yes")
    offline = switch == "offline"
    with pytest.raises(WeightsError, match="not to be used") as caught:
        hub.locate("lcnet_050", offline=offline)
    text = str(caught.value)
    for part in (*WAYS_OUT, "timm/lcnet_050.ra2_in1k", zoo.find("lcnet_050").revision, str(cache)):
        assert part in text
    fill(cache, REPO, files)
    assert hub.locate(NAME, offline=offline).path.is_file()


def test_offline_weights_without_their_config_are_not_guessed_at(cache, plain, no_network):
    fill(cache, REPO, {"model.safetensors": plain})
    with pytest.raises(WeightsError, match=r"cannot get config\.json of owner/small"):
        hub.locate(NAME, offline=True)


def test_a_file_with_its_own_description_needs_no_config(cache, tmp_path, no_network):
    modelfile.write(tmp_path / "own.safetensors", modelfile.ModelFile(DESCRIPTION, random_weights(ARCH)))
    fill(cache, REPO, {"model.safetensors": (tmp_path / "own.safetensors").read_bytes()})
    found = hub.locate(NAME, offline=True)
    assert modelfile.read_config(found.path, found.config) == DESCRIPTION


def test_a_read_only_cache_serves_what_it_has(cache, files, no_network):
    snapshot = fill(cache, REPO, files)
    folders = [cache, *(p for p in cache.rglob("*") if p.is_dir())]
    before = [(p, p.stat().st_mtime_ns) for p in folders]
    try:
        [p.chmod(0o555) for p in folders]
        assert hub.locate(NAME).path == snapshot / "model.safetensors"
        assert [(p, p.stat().st_mtime_ns) for p in folders] == before
    finally:
        [p.chmod(0o755) for p in folders]


def test_a_cache_that_cannot_be_written_is_named(server, cache, tmp_path):
    (tmp_path / "file").write_text("in the way")
    inside = str(tmp_path / "file" / "hub")
    environment = {"HOME": inside, "HF_HOME": inside}
    result = run(server, cache, NAME, **environment)["results"][0]
    assert result["kind"] == "WeightsError"
    assert f"{inside}/hub cannot be written" in result["error"]
    assert "HF_HOME" in result["error"]


# Names


NONSENSE = ("lcnet_05", "lcnet_050.nothing", "", "resnet50", "x" * 300, "hf-hub:", "hf-hub:alone", "hf-hub:a/b/c",
            "hf-hub:../b", "hf-hub:a/b..c", "hf-hub:a/b@../x", "hf-hub:a/b@x/../../y", "hf-hub:a/b--c",
            "hf-hub:a/b@")  # fmt: skip


@pytest.mark.parametrize("name", NONSENSE)
def test_a_name_that_means_nothing_is_an_input_error(cache, no_network, name):
    with pytest.raises(InputError):
        hub.locate(name)


@pytest.mark.parametrize("prefix", ["hf-hub", "hf_hub"])
def test_both_spellings_of_the_hub_prefix_and_a_revision(cache, files, no_network, prefix):
    snapshot = fill(cache, REPO, files, revision="v1.0")
    assert hub.locate(f"{prefix}:{REPO}@v1.0").path == snapshot / "model.safetensors"


def test_a_bare_architecture_stands_for_its_default_weights(cache, plain, no_network, monkeypatch):
    entry = replace(zoo.find("lcnet_050"), size=len(plain), sha256=hashlib.sha256(plain).hexdigest())
    monkeypatch.setattr(zoo, "ENTRIES", (entry,))
    assert hub.cached(entry) is None
    snapshot = fill(cache, "timm/lcnet_050.ra2_in1k", {"model.safetensors": plain}, entry.revision, entry.revision)
    found = hub.locate("lcnet_050")
    assert found == hub.locate("lcnet_050.ra2_in1k")
    assert found.path == snapshot / "model.safetensors" == hub.cached(entry)
    assert found.config == entry.config()
    assert found.source == f"hf-hub:timm/lcnet_050.ra2_in1k@{entry.revision}"
    assert hub.cached(replace(entry, size=len(plain) + 1)) is None


def test_another_cache_folder_can_be_passed(cache, files, tmp_path, no_network):
    elsewhere = tmp_path / "elsewhere"
    snapshot = fill(elsewhere, REPO, files)
    assert hub.locate(NAME, cache_dir=elsewhere).path == snapshot / "model.safetensors"
    with pytest.raises(WeightsError):
        hub.locate(NAME, offline=True)


def test_bundled_weights_need_no_cache(tmp_path, monkeypatch, no_network):
    entry = zoo.find("lcnet_050.cifar10")
    monkeypatch.setattr(hub, "BUNDLED", tmp_path)
    assert hub.cached(entry) is None
    with pytest.raises(WeightsError, match="install lcnet again"):
        hub.locate("lcnet_050.cifar10")
    file = tmp_path / "lcnet_050.cifar10.safetensors"
    file.write_bytes(save(random_weights(entry.arch)))
    assert hub.locate("lcnet_050.cifar10") == hub.Located(file, entry.config(), "bundled")
    assert hub.cached(entry) == file


def test_paddle_weights_name_their_url_and_the_conversion(cache, no_network):
    entry = zoo.find("lcnet_250.paddle_ssld_in1k")
    with pytest.raises(WeightsError, match=r"lcnet convert PPLCNet_x2_5_ssld_pretrained\.pdparams") as caught:
        hub.locate(entry.name)
    assert entry.url in str(caught.value)
    assert hub.cached(entry) is None


@pytest.mark.parametrize("name", ["lcnet_150", "lcnet_150.untrained", "lcnet_200"])
def test_an_architecture_without_weights_says_which_have(cache, no_network, name):
    with pytest.raises(WeightsError, match="has no published weights") as caught:
        hub.locate(name)
    arch = name.partition(".")[0]
    for part in ("lcnet_050.ra2_in1k", "lcnet_050.cifar10", f"{arch}.paddle_in1k", "lcnet convert"):
        assert part in str(caught.value)


# Files and folders


def test_a_folder_prefers_model_safetensors(tmp_path, files, no_network):
    for name, data in {**files, "a.safetensors": b"", "pytorch_model.bin": b""}.items():
        (tmp_path / name).write_bytes(data)
    found = hub.locate(f"local-dir:{tmp_path}")
    assert (found.path, found.config, found.sha256) == (tmp_path / "model.safetensors", None, None)
    assert modelfile.read_config(found.path, found.config) == DESCRIPTION
    assert hub.locate(str(tmp_path)).path == found.path

    found.path.unlink()
    assert hub.locate(f"local-dir:{tmp_path}").path == tmp_path / "a.safetensors"
    (tmp_path / "b.safetensors").touch()
    with pytest.raises(WeightsError, match=r"a\.safetensors, b\.safetensors"):
        hub.locate(f"local-dir:{tmp_path}")


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pth", "x.pdparams"])
def test_a_folder_of_pickles_needs_a_conversion(tmp_path, no_network, name):
    (tmp_path / name).touch()
    with pytest.raises(WeightsError, match=f"lcnet convert .*{name} .*model.safetensors"):
        hub.locate(f"local-dir:{tmp_path}")


def test_a_folder_without_a_model_or_without_existence(tmp_path, no_network):
    with pytest.raises(WeightsError, match=r"has no model\.safetensors: expected"):
        hub.locate(f"local-dir:{tmp_path}")
    with pytest.raises(WeightsError, match="No such file or directory"):
        hub.locate(f"local-dir:{tmp_path}/none")


def test_a_path_is_a_path(tmp_path, monkeypatch, no_network):
    monkeypatch.chdir(tmp_path)
    Path("mine").touch()
    Path("x.safetensors").touch()
    Path("lcnet_150").touch()
    for name in ("mine", "./mine", Path("mine"), str(tmp_path / "mine")):
        assert hub.locate(name).path.samefile("mine")
    assert hub.locate("x.safetensors") == hub.Located(Path("x.safetensors"), None, "x.safetensors")
    assert hub.locate(Path("lcnet_150")).path == Path("lcnet_150")
    with pytest.raises(WeightsError, match="no published weights"):
        hub.locate("lcnet_150")
    for name in ("none.safetensors", "./none", Path("none"), "owner/small"):
        with pytest.raises(WeightsError, match="No such file or directory"):
            hub.locate(name)


# A copy for a machine without a network


def test_a_downloaded_folder_loads_with_the_same_description(server, cache, tmp_path, plain):
    to = tmp_path / "a" / "copy"
    result = run(server, cache, {"name": NAME, "to": str(to)})["results"][0]
    assert sorted(os.listdir(to)) == ["config.json", "model.safetensors"]
    assert Path(result["path"]).read_bytes() == plain
    found = hub.locate(f"local-dir:{to}", offline=True)
    assert modelfile.read_config(found.path, found.config) == DESCRIPTION


@pytest.mark.parametrize("tag", ["ra2_in1k", "cifar10"])
def test_a_zoo_copy_has_the_description_of_the_zoo(cache, tmp_path, monkeypatch, no_network, tag):
    entry = zoo.find(f"lcnet_050.{tag}")
    data = save(random_weights(entry.arch))
    entry = replace(entry, size=len(data), sha256=hashlib.sha256(data).hexdigest())
    monkeypatch.setattr(zoo, "ENTRIES", (entry,))
    monkeypatch.setattr(hub, "BUNDLED", tmp_path)
    if entry.bundled:
        (tmp_path / entry.bundled).write_bytes(data)
    else:
        fill(cache, entry.hub_id, {"model.safetensors": data}, entry.revision, entry.revision)
    path = hub.download(entry.name, tmp_path / "copy")
    assert modelfile.read_config(path) == entry.config()


def test_timm_loads_the_copy(cache, tmp_path, files, timm, torch):
    fill(cache, REPO, files)
    path = hub.download(NAME, tmp_path / "copy")
    model = timm.create_model(f"local-dir:{path.parent}", pretrained=True)
    assert (model.num_classes, model.pretrained_cfg["crop_mode"]) == (10, "squash")
    assert model.pretrained_cfg["label_names"] == list(NAMES)
    weights = random_weights(ARCH)
    np.testing.assert_array_equal(model.conv_stem.weight.detach().numpy(), weights["conv_stem.weight"])


def test_a_copy_is_hashed_again(cache, tmp_path, plain, files, no_network):
    snapshot = fill(cache, REPO, files)
    (snapshot / "model.safetensors").write_bytes(bytes([plain[0] ^ 1]) + plain[1:])
    with pytest.raises(WeightsError, match="not the file that was promised"):
        hub.download(NAME, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
    with pytest.raises(WeightsError, match="not in the cache"):
        hub.locate(NAME, offline=True)


def test_a_copy_that_cannot_be_written_is_an_error_of_ours(cache, tmp_path, files, no_network):
    fill(cache, REPO, files)
    (tmp_path / "file").touch()
    with pytest.raises(LcnetError, match="cannot copy"):
        hub.download(NAME, tmp_path / "file" / "copy")


# The cache folder


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"XDG_CACHE_HOME": "/xdg"},
        {"XDG_CACHE_HOME": ""},
        {"XDG_CACHE_HOME": "/xdg", "HF_HOME": "/home"},
        {"HF_HOME": "~/$PLACE/home"},
        {"HF_HOME": "/home", "HUGGINGFACE_HUB_CACHE": "~/old"},
        {"HF_HOME": "/home", "HF_HUB_CACHE": "~/${PLACE}", "HUGGINGFACE_HUB_CACHE": "/old"},
        {"HF_HUB_CACHE": ""},
        {"HOME": "/nowhere"},
    ],
)
def test_the_cache_folder_is_that_of_huggingface_hub(monkeypatch, environment):
    for name in ("XDG_CACHE_HOME", "HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"PLACE": "place", **environment}.items():
        monkeypatch.setenv(name, value)
    source = importlib.util.find_spec("huggingface_hub.constants").origin
    assert hub.cache_folder() == Path(runpy.run_path(source)["HF_HUB_CACHE"])
