"""Pictures, lists and archives at addresses: found in the same order, read to the bit, and never an address by accident."""

import io
import sys
import threading
import time
import zipfile

import numpy as np
import pytest
from click.testing import CliRunner
from pictures import encoded, picture

import lcnet
from lcnet.cli import main
from lcnet.errors import ImageError, MissingExtraError
from lcnet.sources import address, count, find, find_listed, remote
from lcnet.sources.found import Found
from lcnet.sources.passed import Passed
from lcnet.sources.stamp import is_gone, stamp_of

fsspec = pytest.importorskip("fsspec", reason="fsspec (extra: remote) is not installed")

MODEL = ("--model", "lcnet_050.cifar10", "--threads", "1")
PNG = {name: encoded(picture(seed=i), "PNG") for i, name in enumerate(["b.png", "a.png", "below/c.png", "below/deep/d.png"])}


@pytest.fixture
def store():
    """A store in memory, with four pictures, and things that are none."""
    files = fsspec.filesystem("memory")
    files.store.clear()
    files.pseudo_dirs[:] = [""]
    for name, data in {**PNG, "notes.txt": b"x", ".hidden.png": b"x", ".git/e.png": b"x"}.items():
        files.pipe_file(f"/bucket/{name}", data)
    yield files
    files.store.clear()


def names(*given, **options):
    return [str(source) for source in find(list(given), **options)]


# What is an address


@pytest.mark.parametrize(
    "text", ["s3://b/k.png", "gs://b/k", "MEMORY://x", "http://x/y.png", "a+b.c-d://x", "s3://b/new\nline"]
)
def test_addresses(text):
    assert address.is_address(text)


@pytest.mark.parametrize(
    "text", ["a.png", "/a://b", "./s3://b/k", "s3:/b", "s3://", "c://x", "://x", "s3:b", "1s://x", b"s3://b/k", 3, None]
)
def test_no_addresses(text):
    assert not address.is_address(text)


def test_a_file_whose_name_looks_like_an_address_is_that_file(tmp_path, monkeypatch, store):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "memory:" / "bucket").mkdir(parents=True)
    (tmp_path / "memory:" / "bucket" / "a.png").write_bytes(encoded(picture(seed=9), "PNG"))
    assert names("memory://bucket/a.png", "memory://bucket/b.png") == ["memory://bucket/a.png", "memory://bucket/b.png"]
    model = lcnet.load("lcnet_050.cifar10", threads=1)
    here, there = (s.value for s in model.stream(["memory://bucket/a.png", "memory://bucket/b.png"], "embeddings"))
    np.testing.assert_array_equal(here, model.embeddings(picture(seed=9))[0])
    np.testing.assert_array_equal(there, model.embeddings(PNG["b.png"])[0])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("http://127.0.0.1:9/a.png", "not fetched from web servers: download them first"),
        ("https://example.org/a.png", "not fetched from web servers"),
        ("ftp://example.org/a.png", "addresses of ftp:// are not read, but s3://"),
        ("simplecache::memory://bucket/a.png", "there is no such file"),
        ("github://a/b.png", "addresses of github:// are not read"),
        ("http://127.0.0.1:9/a.zip", "not fetched from web servers"),
    ],
)
def test_other_protocols_are_refused_and_nothing_is_asked(text, said, monkeypatch):
    import socket

    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("a socket was opened"))
    model = lcnet.load("lcnet_050.cifar10", threads=1)
    for sources in (find([text]), find_listed([text])):
        (item,) = model.stream(sources, errors="yield")
        assert said in str(item.error), item.error
    with pytest.raises(ImageError, match=said):
        model.classify([text])


def test_file_addresses_are_paths(tmp_path):
    (tmp_path / "a b%20.png").write_bytes(PNG["a.png"])
    assert names(f"file://{tmp_path}") == [str(tmp_path / "a b%20.png")] == names(f"file://{tmp_path}/a b%20.png")
    assert names(f"FILE://{tmp_path}") == names(f"file://{tmp_path}")  # as protocols are, in any letters
    assert len(lcnet.load("lcnet_050.cifar10").classify(f"file://{tmp_path}/a b%20.png")) == 1


def test_what_is_missing_is_named(monkeypatch, store):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    remote._kind.cache_clear()
    with pytest.raises(MissingExtraError, match=r"memory:// addresses need fsspec: pip install 'lcnet\[remote\]'"):
        list(find(["memory://bucket/"]))
    monkeypatch.undo()
    for module, protocol in (("s3fs", "s3"), ("gcsfs", "gs"), ("adlfs", "az")):
        monkeypatch.setitem(sys.modules, module, None)
        remote._kind.cache_clear()
        with pytest.raises(MissingExtraError, match=f"{protocol}:// addresses need {module}: pip install {module}"):
            list(find([f"{protocol}://bucket/a.png"]))
    remote._kind.cache_clear()


# What is found


def test_a_folder_is_gone_through_as_one_of_this_machine(store, tmp_path):
    passed = Passed()
    assert names("memory://bucket", passed=passed) == ["memory://bucket/a.png", "memory://bucket/b.png"]
    assert passed.unopened == ["memory://bucket"] and passed.text().startswith("1 file not taken: 1 .txt")
    every = [f"memory://bucket/{name}" for name in ("a.png", "b.png", "below/c.png", "below/deep/d.png")]
    assert names("memory://bucket/", recursive=True) == every == names("memory://bucket", recursive=True)
    for name, data in PNG.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    local = [str(path.relative_to(tmp_path)) for path in find([tmp_path], recursive=True)]
    assert [name.removeprefix("memory://bucket/") for name in every] == local
    assert count(["memory://bucket/"], recursive=True) == 4


def test_patterns_match_and_a_name_of_that_very_kind_wins(store):
    assert names("memory://bucket/*.png") == ["memory://bucket/a.png", "memory://bucket/b.png"]
    assert names("memory://bucket/**/*.png")[-2:] == ["memory://bucket/below/c.png", "memory://bucket/below/deep/d.png"]
    store.pipe_file("/bucket/[x]*.png", PNG["a.png"])
    assert names("memory://bucket/[x]*.png") == ["memory://bucket/[x]*.png"]
    (none,) = find(["memory://bucket/*.gif"])
    with pytest.raises(ImageError, match="nothing matches"):
        none.open()


def test_lists_name_pictures_and_folders_end_in_a_stroke(store, monkeypatch):
    monkeypatch.setattr(type(store), "isdir", lambda *_: pytest.fail("the store was asked about a line of a list"))
    listed = [*map(str, find_listed(["memory://bucket/a.png", "memory://bucket/below/", "memory://bucket/*.png"]))]
    assert listed == ["memory://bucket/a.png", "memory://bucket/below/c.png", "memory://bucket/*.png"]


@pytest.mark.parametrize(
    "name", ["new\nline.png", "\x1b[31m.png", "ü ä.png", "a%20b.png", "a::b.png", "q?x=1&y.png", "'\".png"]
)
def test_names_are_taken_as_they_are(store, name):
    store.pipe_file(f"/odd/{name}", PNG["a.png"])
    assert names("memory://odd/") == [f"memory://odd/{name}"]
    result = CliRunner().invoke(main, ["classify", *MODEL, "memory://odd/"])
    assert result.exit_code == 0 and "\x1b" not in result.output and len(result.output.splitlines()) == 1


# What is read


def test_the_same_answers_as_from_files(store, tmp_path):
    model = lcnet.load("lcnet_050.cifar10", threads=2)
    found = list(model.stream("memory://bucket", "embeddings", recursive=True))
    for item in found:
        data = PNG[str(item.source).removeprefix("memory://bucket/")]
        np.testing.assert_array_equal(item.value, model.embeddings(data)[0])
    assert len(found) == 4 and len(model.classify("memory://bucket/a.png")) == 1


def test_archives_are_read_where_they_are(store):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        [archive.writestr(name, data) for name, data in PNG.items()]
    store.pipe_file("/bucket/all.zip", buffer.getvalue())
    store.pipe_file("/bucket/bad.tar", b"no archive at all" * 99)
    found = list(lcnet.load("lcnet_050.cifar10", threads=2).stream("memory://bucket/all.zip"))
    assert [str(item.source) for item in found] == [f"memory://bucket/all.zip!/{name}" for name in PNG]
    assert names("memory://bucket/*.zip") == [str(item.source) for item in found]
    (bad,) = lcnet.load("lcnet_050.cifar10", threads=2).stream("memory://bucket/bad.tar", errors="yield")
    assert "this archive cannot be read" in str(bad.error)
    assert names("memory://bucket/") == [
        "memory://bucket/a.png",
        "memory://bucket/b.png",
    ]  # found in folders they are left alone


def test_what_cannot_be_read_is_an_error_in_its_place(store, monkeypatch):
    monkeypatch.setattr(remote, "MOST", 10)
    store.pipe_file("/bucket/broken.png", b"no")
    model = lcnet.load("lcnet_050.cifar10", threads=2)
    items = list(model.stream(["memory://bucket/gone.png", "memory://bucket/broken.png", "memory://none/"], errors="yield"))
    assert [item.value for item in items] == [None] * 3
    assert "memory://bucket/gone.png: it cannot be read" in str(items[0].error) and "known format" in str(items[1].error)
    assert "this folder cannot be read" in str(items[2].error)
    with pytest.raises(ImageError, match="more than 10 bytes"):
        remote.read("memory://bucket/a.png")


def test_pictures_are_fetched_ahead_and_in_order(store, monkeypatch):
    fetch, at_once, most = type(store).cat_file, [], []

    def slow(self, *arguments, **options):
        at_once.append(1)
        most.append(len(at_once))
        time.sleep(0.01)
        at_once.pop()
        return fetch(self, *arguments, **options)

    for i in range(40):
        store.pipe_file(f"/many/{i:02}.png", PNG["a.png"])
    monkeypatch.setattr(type(store), "cat_file", slow)
    model = lcnet.load("lcnet_050.cifar10", threads=1)
    found = [str(item.source) for item in model.stream("memory://many/", workers=1)]
    assert found == [f"memory://many/{i:02}.png" for i in range(40)]
    assert 4 < max(most) <= remote.AT_ONCE
    assert all(thread.name.startswith("lcnet fetcher") for thread in threading.enumerate() if "fetch" in thread.name)


# The commands


def run(*arguments, code=0):
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exit_code == code, result.output + str(result.exception)
    return result.output


def test_lists_and_shards_and_updates_of_addresses(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = [f"memory://bucket/{name}" for name in PNG]
    store.pipe_file("/bucket/list.txt", "\n".join(lines).encode())
    listed = ("--files-from", "memory://bucket/list.txt")
    for i in range(2):
        run("classify", *MODEL, *listed, "--shard", f"{i}/2", "-o", f"{i}.jsonl")
    run("merge", "0.jsonl", "1.jsonl", "-o", "all.jsonl")
    rows = [line.partition('", ')[0] for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    assert rows == [f'{{"file": "{line}' for line in lines]
    assert "the list memory://none: " in run("classify", *MODEL, "--files-from", "memory://none", code=4)
    update = ("classify", *MODEL, "memory://bucket/", "--recursive", "-o", "tags.csv", "--update")
    assert "4 new" in run(*update) and "4 as they were" in run(*update)
    store.pipe_file("/bucket/a.png", PNG["b.png"] + b"\0")
    assert "1 changed, 3 as they were" in run(*update)
    store.rm("/bucket/a.png")
    assert "1 not found any more" in run(*update)


def test_stamps_are_what_the_store_says(store):
    by_folder, by_name = next(iter(find(["memory://bucket/"]))), next(iter(find(["memory://bucket/a.png"])))
    assert isinstance(by_folder, Found) and stamp_of(by_folder)[0] == len(PNG["a.png"])
    assert stamp_of(by_name) is None and not is_gone(by_name)


def test_models_and_results_stay_on_this_machine(store):
    assert "no such file" in run("classify", "-m", "memory://bucket/model.safetensors", "memory://bucket/a.png", code=4)
    assert "there is no folder" in run("classify", *MODEL, "memory://bucket/a.png", "-o", "memory://bucket/a.csv", code=4)
