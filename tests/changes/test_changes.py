"""Changes made with their originals kept, and taken back: exactly, in any state that a killed run can leave, once or twice."""

import errno
import json
import os
from pathlib import Path

import pytest

from lcnet.changes import journal as journals
from lcnet.changes.journal import ChangedError, Journal, stamp
from lcnet.changes.undo import forget, undo
from lcnet.errors import InputError


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_bytes(b"old a")
    (tmp_path / "b.txt").write_bytes(b"old b")
    return tmp_path


def job(*names, report="r.jsonl"):
    """Replace files, and make one."""
    journal = Journal(Path(report), "test")
    for name in names:
        path = Path(name).absolute()
        journal.replace(path, b"new " + name.encode(), stamp(path))
    journal.make(Path("made/deep/c.txt").absolute(), b"new c", Path("a.txt"))
    journal.close()


def told(outcomes):
    return {Path(outcome.path).name: outcome.action for outcome in outcomes}


def test_there_and_back(place):
    job("a.txt", "b.txt")
    assert Path("a.txt").read_bytes() == b"new a.txt" and Path("made/deep/c.txt").read_bytes() == b"new c"
    assert told(undo(Path("r.jsonl"), dry_run=True))["a.txt"] == "restored" and Path("a.txt").read_bytes() == b"new a.txt"
    wanted = {"a.txt": "restored", "b.txt": "restored", "c.txt": "removed", "deep": "removed", "made": "removed"}
    assert told(undo(Path("r.jsonl"))) == wanted
    assert Path("a.txt").read_bytes() == b"old a" and sorted(os.listdir()) == ["a.txt", "b.txt", "r.jsonl"]
    assert set(told(undo(Path("r.jsonl"))).values()) == {"as it was"}


def test_the_file_that_comes_back_is_the_very_same(place):
    before = os.stat("a.txt")
    job("a.txt")
    assert os.stat("a.txt").st_ino != before.st_ino
    list(undo(Path("r.jsonl")))
    after = os.stat("a.txt")
    assert (after.st_ino, after.st_mtime_ns, after.st_nlink) == (before.st_ino, before.st_mtime_ns, 1)


def test_another_disk_has_copies(place, monkeypatch):
    def no_link(*_):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    def no_rename(self, target):
        raise OSError(errno.EXDEV, "Invalid cross-device link") if "originals" in str(self) else AssertionError

    os.utime("a.txt", ns=(10**18, 10**18))
    with monkeypatch.context() as patch:
        patch.setattr(journals.os, "link", no_link)
        job("a.txt")
    replace = Path.replace
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", lambda self, to: no_rename(self, to) if "originals" in str(self) else replace(self, to))
        assert told(undo(Path("r.jsonl")))["a.txt"] == "restored"
    assert Path("a.txt").read_bytes() == b"old a" and os.stat("a.txt").st_mtime_ns == 10**18
    assert not Path(".r.jsonl.originals").exists()


def test_what_has_changed_since_is_named_and_the_rest_goes_back(place):
    job("a.txt", "b.txt")
    Path("a.txt").write_bytes(b"mine")
    Path("made/deep/c.txt").write_bytes(b"mine")
    found = {Path(o.path).name: o for o in undo(Path("r.jsonl"))}
    assert found["a.txt"].action == "refused" and "changed since; its original is" in found["a.txt"].error
    assert found["c.txt"].action == "refused" and found["b.txt"].action == "restored" and found["deep"].action == "as it was"
    assert Path("a.txt").read_bytes() == b"mine" and Path(".r.jsonl.originals/000001.txt").read_bytes() == b"old a"
    Path("a.txt").unlink()
    assert "not there any more" in {Path(o.path).name: o for o in undo(Path("r.jsonl"))}["a.txt"].error


def test_an_original_that_is_not_the_one_is_not_put_back(place):
    job("a.txt", "b.txt")
    Path(".r.jsonl.originals/000001.txt").write_bytes(b"other")
    Path(".r.jsonl.originals/000002.txt").unlink()
    found = {Path(o.path).name: o for o in undo(Path("r.jsonl"))}
    assert "has changed" in found["a.txt"].error and "not kept any more" in found["b.txt"].error
    assert Path("a.txt").read_bytes() == b"new a.txt"


def test_links_that_have_come_into_the_place_are_not_followed(place):
    job("a.txt")
    Path("a.txt").rename("far.txt")
    Path("a.txt").symlink_to("far.txt")
    assert told(undo(Path("r.jsonl")))["a.txt"] == "refused" and Path("far.txt").read_bytes() == b"new a.txt"


def test_forgetting(place):
    job("a.txt", "b.txt")
    Path("b.txt").unlink()
    Path(".r.jsonl.originals/000009.txt").write_bytes(b"half")  # of a run that was killed
    Path(".r.jsonl.originals/mine").write_bytes(b"mine")
    assert told(forget(Path("r.jsonl"), dry_run=True)) == {"a.txt": "forgotten", "b.txt": "refused"}
    assert len(os.listdir(".r.jsonl.originals")) == 4
    assert told(forget(Path("r.jsonl"))) == {"a.txt": "forgotten", "b.txt": "refused"}
    assert sorted(os.listdir(".r.jsonl.originals")) == ["000002.txt", "mine"]
    assert told(undo(Path("r.jsonl")))["a.txt"] == "refused" and Path("a.txt").read_bytes() == b"new a.txt"


@pytest.mark.parametrize("stop", ["_make_like", "_flush_folder", "_write_all"])
def test_a_run_that_ends_anywhere_leaves_the_original_and_no_half_file(place, monkeypatch, stop):
    """As a full disk or a signal ends it; that a kill does no more is tested with the command."""
    journal = Journal(Path("r.jsonl"), "test")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(journals, stop, raiser)
        journal.replace(Path("a.txt").absolute(), b"new", stamp(Path("a.txt")))
    journal.close()
    assert Path("a.txt").read_bytes() == b"old a"
    assert not [name for name in os.listdir() if name.endswith(".tmp")]
    assert set(told(undo(Path("r.jsonl"))).values()) <= {"as it was"}
    journal = Journal(Path("s.jsonl"), "test")
    assert journal.links(Path("a.txt")) == 1
    journal.close()


def raiser(*_, **__):
    raise KeyboardInterrupt


def test_every_place_where_a_report_can_be_cut_off(place):
    """A killed process leaves a beginning of its report; what is there by then is what the report says, or less."""
    job("a.txt", "b.txt")
    whole = Path("r.jsonl").read_bytes()
    start = whole.index(b"\n") + 1
    for cut in range(start, len(whole), 13):
        Path("s.jsonl").write_bytes(whole[:cut])
        list(undo(Path("s.jsonl"), dry_run=True))
    for cut in (0, 5, start - 2):
        Path("s.jsonl").write_bytes(whole[:cut])
        with pytest.raises(InputError, match="no report of changes"):
            list(undo(Path("s.jsonl")))


def test_a_kept_original_of_a_file_that_was_not_replaced_after_all(place):
    job("a.txt")
    Path(".r.jsonl.originals/000001.txt").replace("a.txt")  # as before the rename
    os.link("a.txt", ".r.jsonl.originals/000001.txt")
    assert told(undo(Path("r.jsonl")))["a.txt"] == "as it was"
    assert Path("a.txt").read_bytes() == b"old a" and os.stat("a.txt").st_nlink == 1


HEAD = {"lcnet": "changes", "format": 1, "job": "test", "started": "now"}
GOOD = {"change": "replace", "path": "/a", "before": "0" * 64, "after": "1" * 64, "kept": "000001"}


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([{}], "no report of changes"),
        ([[1]], "no report of changes"),
        ([HEAD | {"format": 2}], "format 2, read is 1"),
        ([HEAD, {}], "line 2 is damaged"),
        ([HEAD, 5], "line 2 is damaged"),
        ([HEAD, GOOD | {"kept": "../../etc/passwd"}], "line 2 is no change"),
        ([HEAD, GOOD | {"kept": "/etc/passwd"}], "line 2 is no change"),
        ([HEAD, GOOD | {"path": "a"}], "line 2 is no change"),
        ([HEAD, GOOD | {"path": "/a\0"}], "line 2 is no change"),
        ([HEAD, GOOD | {"before": ""}], "line 2 is no change"),
        ([HEAD, GOOD | {"change": "delete"}], "line 2 is no change"),
        ([HEAD, GOOD | {"more": "x"}], "line 2 is no change"),
        ([HEAD, {"change": ["make"]}], "line 2 is no change"),
    ],
)
def test_reports_by_other_hands(place, lines, words):
    Path("r.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(InputError, match=words):
        list(undo(Path("r.jsonl")))


def test_what_is_no_report(place):
    for name, words in (("none", "no such file"), (".", "folder|directory")):
        with pytest.raises(InputError, match=words):
            list(undo(Path(name)))
    with pytest.raises(InputError, match="exists"):
        Journal(Path("a.txt"), "test")
    Path(".r.jsonl.originals").mkdir()
    with pytest.raises(InputError, match="exists"):
        Journal(Path("r.jsonl"), "test")
    assert not Path("r.jsonl").exists()


def test_a_report_of_a_job_that_is_running(place):
    journal = Journal(Path("r.jsonl"), "test")
    with pytest.raises(InputError, match="still running"):
        list(undo(Path("r.jsonl")))
    journal.close()
    assert list(undo(Path("r.jsonl"))) == []


def test_names_of_any_bytes(place):
    name = os.fsdecode(b"x\xff\n.txt")
    Path(name).write_bytes(b"old")
    journal = Journal(Path("r.jsonl"), "test")
    journal.replace(Path(name).absolute(), b"new", stamp(Path(name)))
    journal.close()
    assert [outcome.action for outcome in undo(Path("r.jsonl"))] == ["restored"] and Path(name).read_bytes() == b"old"


def test_a_file_that_is_not_the_one_that_was_seen(place):
    journal, seen = Journal(Path("r.jsonl"), "test"), stamp(Path("a.txt"))
    Path("a.txt").write_bytes(b"newer")
    with pytest.raises(ChangedError, match="changed since"):
        journal.replace(Path("a.txt").absolute(), b"new", seen)
    journal.close()
    assert Path("a.txt").read_bytes() == b"newer"
