"""The cache of features: what it must survive, and that it is never in the way."""

import sqlite3
import subprocess
import sys

import pytest

from lcnet.probe.cache import NAME, Cache, default_folder

KEYS = [bytes([i]) * 32 for i in range(5)]


def filled(folder, made_by=b"net", **options):
    cache = Cache(folder, made_by, **options)
    cache.put([(key, b"value %d" % i) for i, key in enumerate(KEYS)])
    return cache


def test_values_come_back_by_network_and_picture(tmp_path):
    cache = filled(tmp_path / "new" / "folder")
    assert cache.get([KEYS[3], b"?" * 32, KEYS[0]]) == {KEYS[3]: b"value 3", KEYS[0]: b"value 0"}
    assert Cache(tmp_path / "new" / "folder", b"other net").get(KEYS) == {}
    cache.put([(KEYS[0], b"newer")])
    assert cache.get(KEYS[:1]) == {KEYS[0]: b"newer"}


def test_more_values_than_a_statement_takes(tmp_path):
    cache, keys = Cache(tmp_path, b"net"), [i.to_bytes(32, "big") for i in range(1700)]
    cache.put((key, key[-4:]) for key in keys)
    assert len(cache.get(keys)) == 1700


def test_a_damaged_row_is_not_there_and_can_be_written_again(tmp_path):
    cache = filled(tmp_path)
    base = sqlite3.connect(tmp_path / NAME)
    base.execute("update features set value = ? where picture = ?", (b"\0\0\0\0value 9", KEYS[1]))
    base.execute("update features set value = 7 where picture = ?", (KEYS[2],))
    base.commit()
    assert set(cache.get(KEYS)) == set(KEYS) - {KEYS[1], KEYS[2]}
    cache.put([(KEYS[1], b"again")])
    assert cache.get(KEYS)[KEYS[1]] == b"again"


@pytest.mark.parametrize("damage", [b"no database at all" * 100, b""], ids=["other", "empty"])
def test_a_damaged_file_is_begun_anew(tmp_path, damage):
    cache = filled(tmp_path)
    (tmp_path / NAME).write_bytes(damage)
    assert cache.get(KEYS) == {}
    filled(tmp_path)
    assert len(cache.get(KEYS)) == 5


def test_a_file_damaged_inside_is_begun_anew(tmp_path):
    cache = Cache(tmp_path, b"net")
    cache.put((i.to_bytes(32, "big"), b"x" * 3000) for i in range(200))
    data = bytearray((tmp_path / NAME).read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    (tmp_path / NAME).write_bytes(data)
    cache.get(KEYS)
    cache.put([(KEYS[0], b"value")])
    assert cache.get(KEYS) == {KEYS[0]: b"value"}


def test_no_cache_and_one_that_cannot_be_are_not_in_the_way(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for folder in (None, tmp_path / "file"):
        cache = Cache(folder, b"net")
        cache.put([(KEYS[0], b"value")])
        assert cache.get(KEYS) == {}
    (tmp_path / NAME).mkdir()
    assert filled(tmp_path).get(KEYS) == {}


def test_what_was_used_longest_ago_goes_first(tmp_path):
    rows = [(i.to_bytes(32, "big"), b"x" * 1000) for i in range(60)]
    Cache(tmp_path, b"old").put(rows)
    young = Cache(tmp_path, b"young", most=100_000)
    young.put(rows)
    assert len(young.get([key for key, _ in rows])) == 60
    left = len(Cache(tmp_path, b"old").get([key for key, _ in rows]))
    assert 0 < left < 20
    size = sqlite3.connect(tmp_path / NAME).execute("select sum(length(value)) from features").fetchone()[0]
    assert size <= 75_000


def test_two_processes_write_at_once(tmp_path):
    code = (
        "import sys; from pathlib import Path; from lcnet.probe.cache import Cache\n"
        "cache = Cache(Path(sys.argv[1]), b'net')\n"
        "for i in range(40): cache.put([(bytes([int(sys.argv[2]), i]) * 16, b'v' * 100)])"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, tmp_path, str(n)]) for n in (1, 2)]
    assert [process.wait(60) for process in running] == [0, 0]
    keys = [bytes([n, i]) * 16 for n in (1, 2) for i in range(40)]
    assert len(Cache(tmp_path, b"net").get(keys)) == 80


def test_the_folder_follows_the_system_s_rule(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "lcnet"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_folder().parts[-2:] == (".cache", "lcnet")


def test_without_a_home_nothing_is_kept_in_the_folder_that_one_is_in(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_folder() == tmp_path / ".cache" / "lcnet"  # as the specification has it
    monkeypatch.setattr("os.path.expanduser", lambda path: path)  # what it does for a user that the system does not know
    assert default_folder() is None
