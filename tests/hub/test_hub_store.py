"""What a hub's answers and links in the cache may lead to: nobody's files but the cache's own are made or removed."""

import hashlib
import os
import signal
import socket
import threading
from pathlib import Path

import pytest
from hub_client import NAME, REPO, cache, files, fill, finish, no_network, other, pinned, plain, run, server, start  # noqa: F401 (fixtures)
from loopback_hub import FIRST, SECOND, Repo, altered, half, whole

from lcnet import hub
from lcnet.errors import WeightsError
from lcnet.hub import store

pytestmark = pytest.mark.slow


@pytest.fixture
def victim(tmp_path):
    """A file of the user's, in a folder in which nothing may change."""
    path = tmp_path / "mine" / "victim"
    path.parent.mkdir()
    path.write_text("precious")
    yield path
    assert path.read_text() == "precious"
    assert sorted(os.listdir(path.parent)) == ["victim"]
    assert sorted(os.listdir(tmp_path)) in (["hf", "mine"], ["mine"])


@pytest.fixture
def dead():
    """The address of a hub that cannot be reached."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def step(data, **kwargs):
    return {"name": "lcnet_035.pinned", "entry": pinned(data, **kwargs)}


def listing(folder):
    """Everything in a folder but the locks: links by where they lead, files by their content."""
    paths = [p for p in folder.rglob("*") if ".locks" not in p.parts and (p.is_symlink() or p.is_file())]
    return {str(p.relative_to(folder)): str(p.readlink()) if p.is_symlink() else p.read_bytes() for p in paths}


def stale(cache, plain, victim, kind):
    """A cached file of the wrong size, in one of the forms that it can have; returns its path."""
    snapshot = fill(cache, REPO, {"model.safetensors": plain[:-1]}, revision=FIRST)
    entry, good = snapshot / "model.safetensors", hashlib.sha256(plain).hexdigest()
    target = entry.resolve()
    if kind == "link to a file outside":
        entry.unlink()
        entry.symlink_to(victim)
    elif kind == "chain to a file outside":
        target.unlink()
        target.symlink_to(victim)
    elif kind == "damaged blob":
        entry.unlink()
        target.rename(target.with_name(good))
        entry.symlink_to(f"../../blobs/{good}")
    elif kind == "plain file":
        entry.unlink()
        target.rename(entry)
    return entry


KINDS = ("blob", "damaged blob", "plain file", "link to a file outside", "chain to a file outside")


@pytest.mark.parametrize("kind", KINDS)
def test_a_stale_file_is_replaced_and_what_it_leads_to_outside_stays(server, cache, plain, victim, kind):
    entry = stale(cache, plain, victim, kind)
    result = run(server, cache, step(plain))["results"][0]
    assert result["path"] == str(entry)
    assert entry.read_bytes() == plain
    assert entry.resolve() == cache / "models--owner--small" / "blobs" / hashlib.sha256(plain).hexdigest()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("failure", ["network", "hash", "half", "gone", "Ctrl-C"])
def test_a_failed_download_leaves_what_was_there(server, cache, plain, victim, dead, kind, failure):
    stale(cache, plain, victim, kind)
    before, begun, never = listing(cache), threading.Event(), threading.Event()

    def stall(out, data):
        half(out, data)
        out.flush()
        begun.set()
        never.wait(60)

    server.send = {"hash": altered, "half": half, "Ctrl-C": stall}.get(failure, whole)
    if failure == "gone":
        server.repos[REPO].commits[FIRST] = {}
    process = start(dead if failure == "network" else server.url, cache, [step(plain)], hurry=True)
    if failure == "Ctrl-C":
        assert begun.wait(60)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        never.set()
        assert process.returncode
    else:
        assert finish(process)["results"][0]["kind"] == "WeightsError"
    assert listing(cache) == before
    assert not list(cache.rglob(".incomplete-*"))


@pytest.mark.parametrize("link", ["snapshots", f"snapshots/{FIRST}", "blobs"])
def test_a_folder_that_leads_outside_is_named_and_left(server, cache, plain, victim, link):
    path = cache / "models--owner--small" / link
    path.parent.mkdir(parents=True)
    path.symlink_to(victim.parent)
    result = run(server, cache, step(plain))["results"][0]
    assert "leads out of" in result["error"]
    assert "remove the link" in result["error"]


def test_a_repository_that_was_moved_to_another_disk_goes_on_working(server, cache, plain, tmp_path):
    (tmp_path / "disk").mkdir()
    cache.mkdir(parents=True)
    (cache / "models--owner--small").symlink_to(tmp_path / "disk")
    assert Path(run(server, cache, NAME)["results"][0]["path"]).read_bytes() == plain
    assert (tmp_path / "disk" / "blobs").is_dir()


# What a hub answers

BAD_ETAGS = (
    "{victim}",
    "{folder}/written",
    "../../../../../mine/written",
    "..",
    ".",
    "a/b",
    "a\\b",
    ".hidden",
    "a b",
    "a" * 129,
    "C:x",
    "a%2fb",
)


BAD_COMMITS = ("{folder}", "../../../../mine", "main", "1" * 39, "1" * 41, "G" * 40)


def ask(server, cache, files, victim, header, values):
    """What becomes of a repository for each value of a header that it answers with: pinned weights and others."""
    texts = [value.format(victim=victim, folder=victim.parent) for value in values]
    server.repos = {f"a/r{i}": Repo({FIRST: files}) for i in range(len(values))}

    def alter(headers):
        kept = {k: v for k, v in headers.items() if header not in ("ETag", "X-Linked-Etag") or "tag" not in k.lower()}
        asked = int(server.requests[-1][1].partition("/a/r")[2].partition("/")[0])
        return {**kept, header: texts[asked]}

    server.alter = alter
    names = [f"hf-hub:{repo}" for repo in server.repos]
    pins = [step(files["model.safetensors"], repo=repo) for repo in server.repos]
    return run(server, cache, *names, *pins)["results"]


@pytest.mark.parametrize(("header", "moved"), [("ETag", False), ("X-Linked-Etag", False), ("X-Linked-Etag", True)])
@pytest.mark.parametrize("form", ['"{}"', 'W/"{}"', "{}"])
def test_an_etag_that_is_no_plain_name_is_refused_before_the_transfer(server, cache, files, victim, header, moved, form):
    server.moved = moved
    for result in ask(server, cache, files, victim, header, [form.replace("{}", etag) for etag in BAD_ETAGS]):
        assert "its ETag is " in result["error"]
        assert "expected letters" in result["error"]
    assert server.count("GET", "model.safetensors") == 0
    assert listing(cache) == {}


def test_a_commit_that_is_no_hash_is_refused_before_the_transfer(server, cache, files, victim):
    for result in ask(server, cache, files, victim, "X-Repo-Commit", BAD_COMMITS):
        assert "its X-Repo-Commit is " in result["error"]
        assert "40 hexadecimal digits" in result["error"]
    assert server.count("GET", "model.safetensors") == 0
    assert listing(cache) == {}


@pytest.mark.parametrize("etag", ["{victim}", "{folder}/written", "../../../../../mine/written"])
def test_a_second_answer_that_differs_from_the_checked_one_reaches_nothing(server, cache, plain, victim, etag):
    bad = {"X-Repo-Commit": str(victim.parent), "X-Linked-Etag": f'"{etag.format(victim=victim, folder=victim.parent)}"'}
    server.alter = lambda headers: {**headers, **bad} if len(server.requests) % 2 == 0 else headers
    result = run(server, cache, step(plain), hurry=True)["results"][0]
    entry = cache / "models--owner--small" / "snapshots" / FIRST / "model.safetensors"
    assert result.get("path") in (None, str(entry))
    assert set(listing(cache)) <= {
        f"models--owner--small/{p}"
        for p in (f"snapshots/{FIRST}/model.safetensors", f"blobs/{hashlib.sha256(plain).hexdigest()}")
    }


def test_a_second_answer_that_denies_the_file_makes_none(server, cache, plain, victim):
    def deny(headers):
        server.repos[REPO].commits[FIRST] = {}
        return {**headers, "X-Repo-Commit": str(victim.parent)} if "X-Error-Code" in headers else headers

    server.alter = deny
    assert run(server, cache, step(plain))["results"][0]["kind"] == "WeightsError"
    assert listing(cache) == {}


def test_weights_behind_a_redirect_have_the_name_that_the_hub_gives(server, cache, plain, victim):
    server.moved = True
    path = Path(run(server, cache, NAME)["results"][0]["path"])
    assert path.read_bytes() == plain
    assert path.readlink().name == hashlib.sha256(plain).hexdigest()


def test_an_etag_of_another_file_does_not_harm_that_file(server, cache, plain, files):
    """One that is no hash proves nothing, and may be the same for all."""
    server.alter = lambda headers: {k: '"one-for-all"' if k.endswith(("ETag", "Etag")) else v for k, v in headers.items()}
    path = Path(run(server, cache, NAME)["results"][0]["path"])
    config = path.with_name("config.json")
    assert (path.read_bytes(), config.read_bytes()) == (plain, files["config.json"])
    assert path.is_symlink() and not config.is_symlink()


@pytest.mark.parametrize("of", ["config.json", "model.safetensors"])
def test_what_differs_from_the_hash_that_git_has_of_it_is_refused(server, cache, plain, files, of):
    run(server, cache, NAME)
    server.repos[REPO].commits[SECOND] = {**files, of: files[of] + b" "}
    server.stated[of] = hashlib.sha1(b"blob %d\0" % len(files[of]) + files[of]).hexdigest()
    before = {path: data for path, data in listing(cache).items() if "snapshots" not in str(path)}
    result = run(server, cache, f"{NAME}@{SECOND}")["results"][0]
    assert f"{of} of {REPO}" in result["error"] and f"expected git hash {server.stated[of]}, found " in result["error"]
    assert before.items() <= listing(cache).items()


def test_a_blob_that_is_there_and_good_is_not_downloaded_again(server, cache, plain, files):
    server.repos[REPO].commits[SECOND] = files
    paths = [Path(r["path"]) for r in run(server, cache, NAME, f"{NAME}@{SECOND}")["results"]]
    assert paths[0] != paths[1]
    assert paths[0].resolve() == paths[1].resolve()
    assert server.count("GET", "model.safetensors") == 1

    paths[0].resolve().write_bytes(plain[:100] + plain)  # damaged: what it is linked to again is a new one
    paths[1].unlink()
    assert Path(run(server, cache, f"{NAME}@{SECOND}")["results"][0]["path"]).read_bytes() == plain
    assert server.count("GET", "model.safetensors") == 2


# What references and links say


@pytest.mark.parametrize("content", ["../../../../mine", "{folder}", "", "main", f"{FIRST}/../{FIRST}"])
def test_a_reference_that_names_no_commit_is_none(cache, victim, no_network, content):
    (victim.parent / "model.safetensors").touch()
    refs = cache / "models--owner--small" / "refs"
    refs.mkdir(parents=True)
    (refs.parent / "snapshots" / FIRST).mkdir(parents=True)
    (refs / "main").write_text(content.format(folder=victim.parent))
    try:
        with pytest.raises(WeightsError, match="not in the cache"):
            hub.locate(NAME, offline=True)
    finally:
        (victim.parent / "model.safetensors").unlink()


def test_a_reference_that_is_a_link_is_replaced_as_one(server, cache, victim):
    refs = cache / "models--owner--small" / "refs"
    refs.mkdir(parents=True)
    (refs / "main").symlink_to(victim)
    run(server, cache, NAME)
    assert (refs / "main").read_text() == FIRST
    assert not (refs / "main").is_symlink()


@pytest.mark.parametrize("chain", [False, True])
def test_a_copy_that_is_not_what_its_name_promises_is_removed_as_a_link(cache, victim, tmp_path, no_network, chain):
    snapshot = fill(cache, REPO, {"model.safetensors": b"x" * 20_000, "config.json": b"{}"})
    blob = (snapshot / "model.safetensors").resolve()
    if chain:
        blob.unlink()
        blob.symlink_to(victim)
    else:
        fake = victim.rename(victim.with_name("0" * 64))
        (snapshot / "model.safetensors").unlink()
        (snapshot / "model.safetensors").symlink_to(fake)
    with pytest.raises(WeightsError, match="is removed from the cache"):
        hub.download(NAME, tmp_path / "copy")
    assert not os.path.lexists(snapshot / "model.safetensors")
    assert (snapshot / "config.json").read_bytes() == b"{}"
    if not chain:
        fake.rename(victim)


def test_removing_an_entry_takes_only_a_blob_that_is_damaged_by_its_own_name(cache, plain, other):
    snapshot = fill(cache, REPO, {"model.safetensors": plain, "other": other})
    good, bad = snapshot / "model.safetensors", snapshot / "other"
    blobs = good.resolve(), bad.resolve()
    store.remove(good, hashlib.sha256(plain).hexdigest())
    store.remove(bad, hashlib.sha256(plain).hexdigest())
    assert not (os.path.lexists(good) or os.path.lexists(bad))
    assert [b.exists() for b in blobs] == [True, False]


def test_an_entry_in_a_folder_that_leads_outside_is_not_removed(cache, victim):
    folder = cache / "models--owner--small"
    (folder / "snapshots").mkdir(parents=True)
    (folder / "snapshots" / FIRST).symlink_to(victim.parent)
    with pytest.raises(WeightsError, match="leads out of"):
        store.remove(folder / "snapshots" / FIRST / "victim", "0" * 64)
