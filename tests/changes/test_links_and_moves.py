"""Copies that become links or go elsewhere, and come back: what is refused, what a kill leaves, what others changed since."""

import errno
import json
import os
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import pytest

from lcnet.changes import journal as journals
from lcnet.changes.copies import Link, Move
from lcnet.changes.journal import Journal
from lcnet.changes.undo import undo
from lcnet.errors import InputError

OLD = 10**18  # when the copy was changed


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("in", "in/deep"):
        Path(folder).mkdir()
    for name in ("in/a.jpg", "in/deep/b.jpg"):
        Path(name).write_bytes(b"same")
    os.utime("in/deep/b.jpg", ns=(OLD, OLD))
    return tmp_path


def digest(data=b"same"):
    return sha256(data).hexdigest()


def do(kind, path="in/deep/b.jpg", keep="in/a.jpg", before=None, kept=None, report="r.jsonl"):
    journal = Journal(Path(report), "test")
    action = Link(journal) if kind == "link" else Move(journal, Path("out"), [Path("in")])
    try:
        return action(path, before or digest(), keep, kept or digest())
    finally:
        journal.close()


def told(report="r.jsonl", **options):
    return {Path(o.path).name: o.action for o in undo(Path(report), **options)}


def same_file(a="in/a.jpg", b="in/deep/b.jpg"):
    return os.path.samefile(a, b)


def contents():
    return {str(p): p.read_bytes() for p in sorted(Path().rglob("*")) if p.is_file() and p.suffix == ".jpg"}


def test_a_link_and_back(place):
    assert do("link") == "in/deep/b.jpg" and same_file() and os.stat("in/a.jpg").st_nlink == 2
    assert told(dry_run=True) == {"b.jpg": "restored"} and same_file()
    assert told() == {"b.jpg": "restored"} and not same_file()
    assert contents() == {"in/a.jpg": b"same", "in/deep/b.jpg": b"same"} and os.stat("in/deep/b.jpg").st_mtime_ns == OLD
    assert told() == {"b.jpg": "as it was"} and sorted(os.listdir("in")) == ["a.jpg", "deep"]


def test_a_move_and_back(place):
    before = os.stat("in/deep/b.jpg")
    moved = do("move")
    assert moved == str(place / "out/in/deep/b.jpg") and list(contents()) == ["in/a.jpg", "out/in/deep/b.jpg"]
    assert told(dry_run=True)["b.jpg"] == "restored" and Path(moved).exists()
    assert told() == {"b.jpg": "restored", "deep": "removed", "in": "removed", "out": "removed"}
    after = os.stat("in/deep/b.jpg")
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, OLD)
    assert set(told().values()) == {"as it was"}


def test_a_move_onto_another_disk_and_back(place, monkeypatch):
    def no_link(*_):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    with monkeypatch.context() as patch:
        patch.setattr(journals.os, "link", no_link)
        moved = do("move")
        assert Path(moved).read_bytes() == b"same" and os.stat(moved).st_mtime_ns == OLD and not Path("in/deep/b.jpg").exists()
        assert told()["b.jpg"] == "restored"
    assert list(contents()) == ["in/a.jpg", "in/deep/b.jpg"] and os.stat("in/deep/b.jpg").st_mtime_ns == OLD


def test_names_that_are_taken(place):
    Path("out/in/deep").mkdir(parents=True)
    Path("out/in/deep/b.jpg").write_bytes(b"mine")
    assert do("move").endswith("out/in/deep/b-2.jpg") and Path("out/in/deep/b.jpg").read_bytes() == b"mine"


def raiser(*_, **__):
    raise KeyboardInterrupt


@pytest.mark.parametrize("kind", ["link", "move"])
@pytest.mark.parametrize("stop", ["beside", "os.link", "system.replace", "_flush_folder", "Path.unlink", "shutil.copyfileobj"])
@pytest.mark.parametrize("links", [True, False])
def test_a_run_that_ends_anywhere_is_taken_back(place, monkeypatch, kind, stop, links):
    """A kill leaves what the lines before it have done: nothing that is done later may be needed."""
    before = contents()

    def no_link(*_):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    with monkeypatch.context() as patch:
        if not links:
            patch.setattr(journals.os, "link", no_link)
        patch.setattr(f"lcnet.changes.journal.{stop}", raiser)
        with suppress(KeyboardInterrupt, InputError, OSError):
            do(kind)
    assert contents()["in/a.jpg"] == b"same" and b"same" in [v for k, v in contents().items() if k != "in/a.jpg"]
    assert "refused" not in told().values() and contents() == before and not same_file()
    assert not Path("out").exists()


def test_a_kill_between_the_two_halves_of_a_move(place):
    do("move")
    os.link("out/in/deep/b.jpg", "in/deep/b.jpg")
    assert told()["b.jpg"] == "as it was" and list(contents()) == ["in/a.jpg", "in/deep/b.jpg"]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda: Path("in/deep/b.jpg").write_bytes(b"mine"), "changed since it was looked at"),
        (lambda: Path("in/a.jpg").write_bytes(b"mine"), "changed since it was looked at"),
        (lambda: Path("in/a.jpg").unlink(), "is not there any more"),
        (lambda: Path("in/deep/b.jpg").unlink(), "is not there any more"),
        (
            lambda: (Path("in/deep/b.jpg").rename("c.jpg"), Path("in/deep/b.jpg").symlink_to(Path("c.jpg").resolve())),
            "it is a link to",
        ),
        (lambda: os.chmod("in/deep/b.jpg", 0o444), "it is read-only"),
        (lambda: os.chmod("in/deep", 0o555), "its folder, .* is read-only"),
        (lambda: (Path("in/a.jpg").unlink(), os.mkfifo("in/a.jpg")), "is no file"),
    ],
)
@pytest.mark.parametrize("kind", ["link", "move"])
def test_what_is_left_alone(place, kind, spoil, words):
    spoil()
    before = {p: p.read_bytes() for p in Path("in").rglob("*.jpg") if p.is_file()}
    with pytest.raises(InputError, match=words):
        do(kind)
    os.chmod("in/deep", 0o755)
    assert {p: p.read_bytes() for p in Path("in").rglob("*.jpg") if p.is_file()} == before and not list(
        Path().glob("out/**/*.jpg")
    )


def test_a_link_would_lose_what_is_its_own(place):
    Path("in/deep/b.jpg").write_bytes(b"near")
    with pytest.raises(InputError, match="would lose"):
        do("link", before=digest(b"near"))
    Path("in/deep/b.jpg").write_bytes(b"same")
    os.chmod("in/deep/b.jpg", 0o600)
    os.chmod("in/a.jpg", 0o644)
    with pytest.raises(InputError, match="permissions are not those"):
        do("link", report="s.jsonl")
    with pytest.raises(InputError, match="same file already"):
        do("link", path="in/a.jpg", report="t.jsonl")


def test_what_is_in_use_is_waited_for_and_then_left_alone(place, monkeypatch):
    from lcnet.files import hold

    monkeypatch.setattr(journals, "PATIENCE", 0.05)
    with open("in/deep/b.jpg", "rb") as file:
        assert hold(file.fileno())
        for kind, report in (("link", "r.jsonl"), ("move", "s.jsonl")):
            with pytest.raises(InputError, match="another run is at it"):
                do(kind, report=report)
    assert list(contents()) == ["in/a.jpg", "in/deep/b.jpg"] and not same_file()


@pytest.mark.parametrize(
    ("kind", "spoil", "words"),
    [
        ("link", lambda: Path("in/a.jpg").write_bytes(b"edited"), "changed since"),
        ("link", lambda: Path("in/deep/b.jpg").unlink(), "not there any more"),
        ("move", lambda: Path("out/in/deep/b.jpg").write_bytes(b"edited"), "has changed since"),
        ("move", lambda: Path("in/deep/b.jpg").write_bytes(b"new"), "something else is there"),
        ("move", lambda: Path("out/in/deep/b.jpg").unlink(), "neither there nor"),
    ],
)
def test_what_others_have_changed_since_is_named_and_stays(place, kind, spoil, words):
    do(kind)
    spoil()
    before = contents()
    (outcome,) = [o for o in undo(Path("r.jsonl")) if o.path.endswith("b.jpg")]
    assert outcome.action == "refused" and words in outcome.error and contents() == before


def test_links_whose_kept_file_is_gone_stay_files(place):
    do("link")
    Path("in/a.jpg").unlink()
    assert told() == {"b.jpg": "as it was"} and Path("in/deep/b.jpg").read_bytes() == b"same"


HEAD = {"lcnet": "changes", "format": 1, "job": "test", "started": ""}
LINK = {"change": "link", "path": "/a", "before": "0" * 64, "to": "/b", "time": "1"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"to": "b"},
        {"to": "/b\0"},
        {"time": "1e9"},
        {"time": ""},
        {"before": "x"},
        {"after": "0" * 64},
        {"kept": "000001"},
        {"change": "move"},
    ],
)
def test_lines_by_other_hands(place, wrong):
    Path("r.jsonl").write_text("".join(json.dumps(line) + "\n" for line in (HEAD, LINK | wrong)))
    with pytest.raises(InputError, match="line 2 is no change"):
        list(undo(Path("r.jsonl")))


def test_what_is_kept_is_not_moved_by_another_name_of_its(place):
    os.symlink("in", "album")
    with pytest.raises(InputError, match="the same file already"):
        do("move", path="in/a.jpg", keep="album/a.jpg")
    assert contents() == {"in/a.jpg": b"same", "in/deep/b.jpg": b"same"}
