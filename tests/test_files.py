"""Files and folders that appear whole or not at all: interrupted, killed, at once, and where they cannot be."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest

from lcnet import files
from lcnet.errors import InputError
from lcnet.files import check_folder, check_target, held, replacing, replacing_folder, sweep, write_atomically

KILLED = """
import sys, time
from pathlib import Path
from lcnet.files import replacing, replacing_folder
with (replacing_folder if sys.argv[2] == "folder" else replacing)(sys.argv[1]) as made:
    if sys.argv[2] == "folder":
        (made / "half").write_bytes(b"half")
    else:
        made.write(b"half"), made.flush()
    print("in the middle", flush=True)
    time.sleep(60)
"""


def age(folder):
    for path in folder.iterdir():
        os.utime(path, (1e9, 1e9))


@pytest.fixture(params=["file", "folder"])
def kind(request):
    return request.param


def write(path, kind, text="new"):
    if kind == "file":
        return write_atomically(path, text.encode())
    with replacing_folder(path) as folder:
        (folder / "whole").write_text(text)


def writer_in_the_middle(path, kind):
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(path), kind], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "in the middle\n"
    return process


def test_what_a_killed_process_left_goes_with_the_next_start(tmp_path, kind):
    process = writer_in_the_middle(tmp_path / "a", kind)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    (left,) = tmp_path.iterdir()
    others = [tmp_path / name for name in (".b.01234567.tmp", ".a.0123456.tmp", ".a.01234567.tmp.txt", "a.01234567.tmp")]
    for other in others:
        other.write_text("not ours")
    age(tmp_path)
    write(tmp_path / "a", kind)
    assert not left.exists() and set(tmp_path.iterdir()) == {tmp_path / "a", *others}


def test_what_a_living_process_writes_stays_however_old_it_looks(tmp_path, kind):
    process = writer_in_the_middle(tmp_path / "a", kind)
    (left,) = tmp_path.iterdir()
    age(tmp_path)
    write(tmp_path / "a", kind)
    assert left.exists() and (tmp_path / "a").exists()
    process.kill()
    process.wait()
    process.stdout.close()


def test_what_is_young_stays_for_it_may_not_be_held_yet(tmp_path, kind):
    (tmp_path / ".a.01234567.tmp").write_text("just made")
    write(tmp_path / "a", kind)
    assert (tmp_path / ".a.01234567.tmp").exists()


def test_a_link_with_our_name_is_neither_followed_nor_removed(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious").write_text("precious")
    os.symlink(tmp_path / "mine", tmp_path / ".a.01234567.tmp")
    age(tmp_path)
    write_atomically(tmp_path / "a", b"new")
    assert (tmp_path / "mine" / "precious").read_text() == "precious"


def test_sweeping_a_folder_that_is_not_there_is_nothing(tmp_path):
    sweep(tmp_path / "none", re.compile(".*"))


def test_a_folder_takes_the_place_of_another_only_when_it_is_whole(tmp_path):
    write(tmp_path / "a", "folder", "old")
    with pytest.raises(KeyboardInterrupt), replacing_folder(tmp_path / "a") as folder:
        (folder / "half").write_text("half")
        raise KeyboardInterrupt
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["whole"] and [p.name for p in tmp_path.iterdir()] == ["a"]
    write(tmp_path / "a", "folder", "new")
    assert (tmp_path / "a" / "whole").read_text() == "new" and [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_failed_swap_puts_the_old_folder_back(tmp_path, monkeypatch):
    write(tmp_path / "a", "folder", "old")
    rename = files.Path.rename

    def failing(self, target):
        if self.name.endswith(".tmp"):
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(files.Path, "rename", failing)
    with pytest.raises(InputError, match=r"a cannot be written: No space left"):
        write(tmp_path / "a", "folder")
    assert (tmp_path / "a" / "whole").read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["a"]


def test_an_error_of_the_writer_is_its_own(tmp_path):
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "a") as file:
        file.write(b"%d" % (1 // 0))
    assert not list(tmp_path.iterdir())


def test_targets(tmp_path):
    (tmp_path / "a").write_text("a")
    (tmp_path / "f").mkdir()
    check_target(tmp_path / "new")
    check_target(tmp_path / "a", overwrite=True)
    for path, overwrite, words in (
        ("a", False, "exists: choose another name, or replace it with --overwrite"),
        ("f", True, "is a folder: name a file in it"),
        ("no/a", True, "there is no folder"),
    ):
        with pytest.raises(InputError, match=words):
            check_target(tmp_path / path, overwrite)
    os.link(tmp_path / "a", tmp_path / "b")
    with pytest.raises(InputError, match="the target is the source itself"):
        check_target(tmp_path / "b", True, source=tmp_path / "a")


def test_folders(tmp_path):
    (tmp_path / "f").mkdir()
    os.symlink(tmp_path / "f", tmp_path / "link")
    check_folder(tmp_path / "new", False, lambda folder: "never asked")
    check_folder(tmp_path / "f", True, lambda folder: "")
    for path, overwrite, words in (
        ("f", False, "exists"),
        ("f", True, "not overwritten: it is mine"),
        ("link", True, "it is no folder"),
        ("no/f", True, "there is no folder"),
    ):
        with pytest.raises(InputError, match=words):
            check_folder(tmp_path / path, overwrite, lambda folder: "it is mine")


def test_a_lock_is_let_go(tmp_path):
    (tmp_path / "a").write_text("a")
    with held(tmp_path / "a") as first, held(tmp_path / "a") as second:
        assert first and not second
    with held(tmp_path / "a") as again:
        assert again
    assert time.time() - (tmp_path / "a").stat().st_mtime < files.LEFT_BEHIND
