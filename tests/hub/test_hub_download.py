"""Downloads: what is kept, what is verified, and what becomes of failures; each has its own process."""

import hashlib
import os
import re
import socket
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hub_client import (  # noqa: F401 (fixtures)
    DESCRIPTION,
    NAME,
    REPO,
    WAYS_OUT,
    cache,
    files,
    fill,
    finish,
    leftovers,
    no_network,
    other,
    pinned,
    plain,
    run,
    server,
    start,
)
from loopback_hub import FIRST, SECOND, Repo, altered, half, steadily, whole

from lcnet import hub, modelfile, zoo
from lcnet.errors import WeightsError
from lcnet.hub.patience import LEAST

pytestmark = pytest.mark.slow


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
    bad = run(server, cache, NAME, window=3)["results"][0]
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


@pytest.mark.alone
def test_two_processes_that_download_at_once_leave_one_good_file(server, cache, plain):
    def when_both_are_there(out, data):
        patience = time.monotonic() + 20
        while server.count("HEAD", "model.safetensors") < 3 and time.monotonic() < patience:
            time.sleep(0.01)
        whole(out, data)

    server.send = when_both_are_there
    processes = [start(server.url, cache, [{"name": NAME}]) for _ in range(2)]
    paths = {finish(process)["results"][0]["path"] for process in processes}
    assert [Path(p).read_bytes() == plain for p in paths] == [True]
    assert (server.count("HEAD", "model.safetensors"), server.count("GET", "model.safetensors")) == (3, 1)
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


@pytest.mark.alone
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


def test_a_server_that_sends_next_to_nothing_is_given_up(server, cache):
    server.send = steadily(1, 0.05)
    began = time.monotonic()
    result = run(server, cache, NAME, window=1.5)["results"][0]
    assert time.monotonic() - began < 20
    assert result["kind"] == "WeightsError" and not result["chained"]
    assert re.search(r"the server sent \d+ bytes in 1.5 seconds, which is too slow", result["error"])
    assert all(way in result["error"] for way in WAYS_OUT)
    assert leftovers(cache) == [] and not list(cache.rglob(".incomplete-*"))


def test_a_slow_server_that_goes_on_is_waited_for(server, cache, plain):
    server.send = steadily(len(plain) // 50 + 1, 0.1)
    assert len(plain) // 50 * 9 > LEAST // 2  # in a second
    result = run(server, cache, NAME, window=4)["results"][0]
    assert Path(result.get("path", result.get("error"))).read_bytes() == plain
    assert server.count("GET", "model.safetensors") == 1


def test_a_hub_whose_headers_never_end_is_given_up(cache):
    """A byte now and then, so that no wait for one is too long."""
    with socket.create_server(("127.0.0.1", 0)) as hub_socket:
        process = start(f"http://127.0.0.1:{hub_socket.getsockname()[1]}", cache, [{"name": NAME}], window=1.5)
        connection, _ = hub_socket.accept()
        with connection, suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while process.poll() is None:
                connection.sendall(b"a")
                time.sleep(0.05)
    result = finish(process)["results"][0]
    assert "the server sent no answer in 1.5 seconds" in result["error"]
    assert all(way in result["error"] for way in WAYS_OUT)


def test_without_huggingface_hub_the_ways_out_are_told(cache, monkeypatch, no_network):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(WeightsError, match="cannot be imported") as caught:
        hub.locate("lcnet_050")
    assert all(way in str(caught.value) for way in WAYS_OUT)
