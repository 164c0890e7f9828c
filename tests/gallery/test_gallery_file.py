"""The file of a gallery: what it refuses, who waits for whom, and what a kill, a full disk or a read-only folder leave."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from made import MODEL, about, clustered, indexed, made, row

import lcnet
import lcnet.gallery
from lcnet.errors import GalleryError, InputError
from lcnet.gallery import database
from lcnet.gallery.store import Store


def refused(path, *words, call=lcnet.gallery.open):
    with pytest.raises(GalleryError) as caught:
        call(path)
    text = str(caught.value)
    assert os.path.basename(path) in text and "\n" not in text and all(word in text for word in words), text


def test_what_is_no_gallery_is_refused_and_left_alone(tmp_path):
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE t (x)")
    connection.close()
    for name, data, words in (
        ("photo.jpg", b"\xff\xd8\xff" + bytes(200), "is no gallery"),
        ("short", b"SQLite format 3", "is no gallery"),
        ("empty", b"", "is empty"),
        ("other.db", other.read_bytes(), "an SQLite database, but no gallery"),
    ):
        (tmp_path / name).write_bytes(data)
        refused(tmp_path / name, words)
        if data:
            refused(tmp_path / name, "exists", call=lambda path: Store.create(path, about()))
            refused(tmp_path / name, call=lambda path: Store.create(path, about(), overwrite=True))
        assert (tmp_path / name).read_bytes() == data
    refused(tmp_path / "none", "no such file")
    with pytest.raises(InputError, match="is a folder"):
        Store.create(tmp_path, about())
    Store.create(tmp_path / "empty", about()).close()  # as a killed process may leave it
    lcnet.gallery.open(tmp_path / "empty").close()


def changed(path, sql):
    connection = sqlite3.connect(path)
    connection.executescript(sql)
    connection.close()


def test_a_version_to_come_is_refused(tmp_path):
    path = made(tmp_path / "g", clustered(2))
    changed(path, "PRAGMA user_version = 7")
    refused(path, "version 7", "update lcnet")
    refused(path, "update lcnet", call=lambda path: Store.create(path, about(), overwrite=True))


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TRIGGER evil AFTER INSERT ON picture BEGIN DELETE FROM content; END",
        "CREATE VIEW evil AS SELECT 1",
        "DROP TRIGGER removed",
        "DELETE FROM about WHERE name = 'precision'",
        "UPDATE about SET value = 'int3' WHERE name = 'coding'",
        "UPDATE about SET value = -1 WHERE name = 'dimension'",
        "UPDATE about SET value = 'x' WHERE name = 'dimension'",
        "UPDATE about SET value = 1e99 WHERE name = 'dimension'",
    ],
)
def test_tables_and_facts_that_are_not_ours_are_damage(tmp_path, sql):
    path = made(tmp_path / "g", clustered(2))
    changed(path, sql)
    refused(path, "is damaged", "--overwrite")


def test_damaged_pages_are_told_and_the_gallery_can_be_made_again(tmp_path):
    path = made(tmp_path / "g", clustered(500))
    data = bytearray(path.read_bytes())
    data[4096:] = os.urandom(len(data) - 4096)
    path.write_bytes(data)

    def used(path):
        with lcnet.gallery.open(path) as gallery:
            gallery.search(np.ones(64))

    refused(path, "is damaged", call=used)
    path.write_bytes(data[:5000])
    refused(path, "is damaged", call=used)
    Store.create(path, about(), overwrite=True).close()
    with lcnet.gallery.open(path) as gallery:
        assert len(gallery) == 0


def test_overwrite_empties_a_gallery_in_one_transaction(tmp_path):
    path = made(tmp_path / "g", clustered(20))
    with lcnet.gallery.open(path) as reader:
        before = reader.store.state()
        Store.create(path, about(128), overwrite=True).close()
        assert len(reader) == 0 and reader.store.state().identity != before.identity
    with lcnet.gallery.open(path) as gallery:
        assert gallery.about.dimension == 128


def test_embeddings_of_another_model_are_refused(tmp_path):
    gallery, _ = indexed(tmp_path / "g.gallery")
    gallery.close()
    for change, words in (
        ("UPDATE about SET value = 'feed' || substr(value, 5) WHERE name = 'model_sha256'", ["sha256 feed", "use that model"]),
        ("UPDATE about SET value = 'int8' WHERE name = 'precision'", ["computed in int8, not in fp32"]),
        ("UPDATE about SET value = '{}' WHERE name = 'preprocessing'", ["prepared in another way"]),
    ):
        path = tmp_path / f"{len(words[0])}.gallery"
        path.write_bytes((tmp_path / "g.gallery").read_bytes())
        changed(path, change)
        refused(path, *words, call=lambda path: lcnet.gallery.open(path, threads=1).model)
    with lcnet.gallery.open(tmp_path / "g.gallery", model="none.safetensors") as gallery, pytest.raises(lcnet.WeightsError):
        gallery.add("x.jpg").__next__()


def test_two_writers_wait_for_each_other(tmp_path, monkeypatch):
    path, vectors = made(tmp_path / "g", clustered(1)), clustered(40, seed=2)
    first, second = Store(path), Store(path)
    first.connection.execute("BEGIN IMMEDIATE")
    threading.Timer(0.3, lambda: first.connection.execute("COMMIT")).start()
    started = time.monotonic()
    second.put([row(1, vectors[0])])
    assert time.monotonic() - started > 0.25
    monkeypatch.setattr(database, "PATIENCE", 0.2)
    first.connection.execute("BEGIN IMMEDIATE")
    with pytest.raises(GalleryError, match=r"g is being written by another process"):
        second.put([row(2, vectors[1])])
    first.connection.execute("ROLLBACK")
    monkeypatch.undo()

    def puts(store, numbers):
        for i in numbers:
            store.put([row(100 + i, vectors[i])])

    threads = [threading.Thread(target=puts, args=(s, r)) for s, r in ((first, range(20)), (second, range(10, 40)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert first.counts() == (42, 42) and first.state() == second.state()
    first.close()
    second.close()


def test_what_another_process_has_taken_out_meanwhile_is_said(tmp_path):
    store = Store(made(tmp_path / "g", clustered(2)))
    store.remove(["p000000.jpg"])
    assert store.put([row(0, None)._replace(key="copy.jpg", content=None)]) == ["copy.jpg"] and store.counts() == (1, 1)
    store.close()


def test_a_full_disk_keeps_what_was_there(tmp_path):
    path, vectors = made(tmp_path / "g", clustered(10)), clustered(2000, seed=1)
    store = Store(path)
    pages = store.connection.execute("PRAGMA page_count").fetchone()[0]
    store.connection.execute(f"PRAGMA max_page_count = {pages + 3}")
    with pytest.raises(GalleryError, match=r"g cannot be written: the disk is full; what was in it before is kept"):
        store.put([row(100 + i, vector) for i, vector in enumerate(vectors)])
    assert store.counts() == (10, 10)
    store.close()


def test_a_full_disk_is_no_reason_not_to_search(tmp_path, monkeypatch):
    path, vectors = made(tmp_path / "g", clustered(10)), clustered(10)

    def full(*_, **__):
        raise InputError("no space left")

    monkeypatch.setattr("lcnet.gallery.matrix.replacing", full)
    with lcnet.gallery.open(path) as gallery:
        assert gallery.search(vectors[3], k=1)[0][0].path.endswith("p000003.jpg")
    assert not (tmp_path / "g.matrix").exists()


def test_a_read_only_folder_is_searched(tmp_path, monkeypatch):
    """By its rights; and as root, who has all rights, by what `os.access` says."""
    folder = tmp_path / "readonly"
    folder.mkdir()
    path = made(folder / "g", clustered(10))
    before = sorted(os.listdir(folder))
    assert before == ["g"]
    monkeypatch.setattr(database.os, "access", lambda path, mode: mode != os.W_OK)
    folder.chmod(0o555)
    try:
        with lcnet.gallery.open(path) as gallery:
            assert len(gallery.search(clustered(10)[0], k=1)[0]) == 1
            with pytest.raises(GalleryError, match="cannot be written to: it, or its folder, is read-only"):
                gallery.remove(["p000000.jpg"])
    finally:
        folder.chmod(0o755)
    assert sorted(os.listdir(folder)) == before


KILLED = """
import sys
sys.path[:0] = sys.argv[2].split("\\n")
from made import clustered, row
from lcnet.gallery.store import Store
store, first = Store(sys.argv[1]), int(sys.argv[3])
vectors = clustered(64)
print("ready", flush=True)
for i in range(first, first + 100_000, 8):
    store.put([row(k, vectors[k % 64]) for k in range(i, i + 8)])
    print(i + 8, flush=True)
"""


@pytest.mark.slow
def test_a_kill_at_any_moment_loses_only_the_open_transaction(tmp_path):
    path, known, chance = made(tmp_path / "g", np.empty((0, 64), np.float32)), 0, random.Random(3)
    for _ in range(3):
        arguments = [sys.executable, "-c", KILLED, str(path), os.path.dirname(__file__), str(known)]
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
        assert process.stdout.readline() == "ready\n"
        time.sleep(chance.uniform(0, 0.1))
        os.kill(process.pid, signal.SIGKILL)
        said = [int(line) for line in process.stdout.read().splitlines()]
        process.stdout.close()
        process.wait()
        store = Store(path)
        assert store.connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        pictures, contents = store.counts()
        last = said[-1] if said else known
        assert pictures == contents and pictures in (last, last + 8)
        with lcnet.gallery.open(path) as gallery:
            assert pictures == 0 or len(gallery.search(clustered(64)[0], k=1)[0]) == 1
        store.close()
        known = pictures
    assert known > 0


def test_it_stays_open_for_many_threads(tmp_path):
    vectors = clustered(200)
    with lcnet.gallery.open(made(tmp_path / "g", vectors)) as gallery:
        wrong = []

        def search(i):
            for k in range(10):
                if not gallery.search(vectors[i * 10 + k], k=1)[0][0].path.endswith(f"p{i * 10 + k:06}.jpg"):
                    wrong.append(i)

        threads = [threading.Thread(target=search, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []


def test_the_bundled_model_is_what_a_gallery_says(tmp_path):
    gallery, _ = indexed(tmp_path / "g.gallery", coding="fp16")
    with gallery:
        facts = gallery.facts()
    assert facts["model"] == MODEL and facts["precision"] == "fp32" and facts["values"] == 1280 and facts["coding"] == "fp16"
    assert facts["pictures"] == facts["different_pictures"] == 0 and len(facts["model_sha256"]) == 64


@pytest.mark.parametrize("end", ["", ".matrix"])
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_named_pipe_is_not_waited_for(tmp_path, end):
    path = tmp_path / "g"
    if end:
        made(path, clustered(3))
    os.mkfifo(tmp_path / f"g{end}")
    if end:
        with lcnet.gallery.open(path) as gallery:
            assert len(gallery.search(clustered(3)[0], k=1)[0]) == 1
    else:
        refused(path, "is no file")
        refused(path, "is no file", call=lambda path: Store.create(path, about(), overwrite=True))


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE about SET value = 'x' WHERE name = 'generation'",
        "UPDATE content SET hash = x'00'",
        "UPDATE content SET sha256 = x'00'",
        "UPDATE content SET pixels = x''",
    ],
)
def test_values_of_another_form_are_damage(tmp_path, sql):
    path = made(tmp_path / "g", clustered(1))
    changed(path, sql)

    def used(path):
        with lcnet.gallery.open(path) as gallery:
            list(gallery.store.pictures())
            gallery.search(np.ones(64))

    refused(path, "is damaged", call=used)


def test_by_a_link_a_gallery_is_what_lies_there(tmp_path, monkeypatch):
    """Also where nothing may be written, and another process has left what is not in the file itself yet."""
    for folder in ("there", "here"):
        (tmp_path / folder).mkdir()
    path, link = made(tmp_path / "there" / "g", clustered(1)), tmp_path / "here" / "g"
    link.symlink_to(path)
    with lcnet.gallery.open(path) as writer:
        writer.store.put([row(7, clustered(2)[1])])
        monkeypatch.setattr(database.os, "access", lambda path, mode: mode != os.W_OK)
        with lcnet.gallery.open(link) as gallery:
            assert len(gallery) == 2
