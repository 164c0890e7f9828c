"""The job from the command line: what becomes of files, what it says, and that nothing is lost however it ends."""

import csv
import io
import json
import os
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from pages import encoded, judge, marked
from pdfs import locked
from PIL import Image
from upright_runs import JUDGE, actions, contents, report, rows, run, tree

from lcnet.changes import journal as journals
from lcnet.changes import undo as changes
from lcnet.cli import upright as command
from lcnet.errors import ImageError
from lcnet.upright.job import Source
from lcnet.upright.places import Folder


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """An empty folder to be in, and a judge in the place of the network."""
    monkeypatch.setattr(command, "_decide", lambda given: JUDGE())
    monkeypatch.chdir(tmp_path)
    return tmp_path


WANTED = {"a.jpg": "upright", "b.jpg": "turned", "c.png": "turned", "d.tif": "upright", "e.png": "unsure", "f.jpg": "turned"}


def test_a_dry_run_says_what_it_would_do_and_does_nothing():
    before = tree()
    found = rows("in", "-r", "--dry-run")
    assert actions(found) == {k: v.replace("turned", "would turn") for k, v in WANTED.items()}
    row = found["in/b.jpg", 1]
    assert row["angle"] == 90 and row["confidence"] == 0.99 and row["how"] in ("dct", "reencoded") and row["error"] is None
    assert contents(".") == {f"in/{name}": data for name, data in before.items()}


def test_in_place_and_back():
    before = tree()
    assert actions(rows("in", "-r", "--in-place")) == WANTED
    after = contents("in")
    assert {name for name in before if before[name] != after[name]} == {"b.jpg", "c.png", "below/f.jpg"}
    assert actions(rows("in", "-r", "--dry-run")) == {k: v.replace("turned", "upright") for k, v in WANTED.items()}
    assert contents(f".{report()}.originals") and all(
        os.stat(p).st_nlink == 1 for p in Path(f".{report()}.originals").iterdir()
    )
    done = run("undo", report())
    assert done.stdout.count("restored") == 3 and contents("in") == before
    assert not Path(f".{report()}.originals").exists()
    assert run("undo", report()).stdout.count("as it was") == 3 and contents("in") == before


def test_into_a_folder_and_back():
    before = tree()
    assert actions(rows("in", "-r", "-o", "new/out")) == WANTED
    out = contents("new/out")
    assert contents("in") == before and out.keys() == before.keys()
    assert {name for name in before if before[name] != out[name]} == {"b.jpg", "c.png", "below/f.jpg"}
    assert os.stat("new/out/a.jpg").st_mtime_ns == os.stat("in/a.jpg").st_mtime_ns
    assert set(actions(rows("new/out", "-r", "--dry-run")).values()) == {"upright", "unsure"}
    run("undo", report())
    assert not Path("new").exists() and contents("in") == before


def test_a_run_again_into_a_folder_goes_on_and_writes_over_nothing():
    tree()
    rows("in", "-r", "-o", "out", "--report", "1.jsonl")
    out = contents("out")
    Path("out/c.png").unlink()
    Path("out/a.jpg").write_bytes(b"mine")
    found = rows("in", "-r", "-o", "out", "--report", "2.jsonl", code=1)
    assert actions(found) == WANTED | {"a.jpg": "error"} and "exists" in found["in/a.jpg", 1]["error"]
    assert contents("out") == out | {"a.jpg": b"mine"}
    rows("in", "-r", "-o", "out", "--overwrite", "--report", "3.jsonl")
    assert contents("out") == out
    run("undo", "3.jsonl")
    assert Path("out/a.jpg").read_bytes() == b"mine"


def test_a_file_named_twice_waits_until_it_is_whole_and_is_no_other_page():
    """By two threads at once, the first of which is slow."""
    tree()
    begun, made = Event(), []

    class Slow:
        def row(self, row):
            pass

        def make(self, target, data, source):
            begun.set()
            time.sleep(0.2)
            target.parent.mkdir()
            target.write_bytes(Path(source).read_bytes())
            made.append(target)

    place, source = Folder(Slow(), Path("out")), Source(Path("in/a.jpg"))
    with ThreadPoolExecutor() as pool:
        first = pool.submit(place.put, source, None, journals.stamp(source.path))
        begun.wait()
        place.put(source, None, journals.stamp(source.path))
        first.result()
    assert len(made) == 1


def test_a_folder_that_one_is_in():
    before = tree()
    os.chdir("in")
    rows(".", "-r", "--in-place", "--report", "r.jsonl")
    assert {row["action"] for row in rows(".", "-r", "--dry-run").values()} == {"upright", "unsure"}  # without the originals
    rows(".", "-o", "out", "--report", "s.jsonl")
    run("undo", "s.jsonl")
    run("undo", "r.jsonl")
    assert contents(".") == before | {name: Path(name).read_bytes() for name in ("r.jsonl", "s.jsonl")}


def test_what_undo_says_as_json_is_json_where_there_is_nothing_to_do():
    tree()
    rows("in/a.jpg", "--in-place")
    assert json.loads(run("undo", report(), "--format", "json").stdout) == []


def test_what_undo_says_as_json_is_json_after_an_interruption(monkeypatch):
    tree()
    rows("in", "-r", "--in-place")

    def interrupted(path, dry_run):
        yield changes.Outcome("in/b.jpg", "restored")
        raise KeyboardInterrupt

    monkeypatch.setattr(changes, "undo", interrupted)
    assert [row["path"] for row in json.loads(run("undo", report(), "--format", "json", code=130).stdout)] == ["in/b.jpg"]


def test_the_report_is_true_and_says_all():
    tree()
    found = rows("in", "-r", "--in-place")
    head, *lines = map(json.loads, report().read_text().splitlines())
    assert head == {"lcnet": "changes", "format": 1, "job": "upright", "started": head["started"]}
    assert sorted(line["row"]["path"] for line in lines if "row" in line) == sorted(path for path, _ in found)
    changes = [line for line in lines if "change" in line]
    assert len(changes) == 3 and all(
        Path(c["path"]).is_absolute() and len(c["before"]) == len(c["after"]) == 64 for c in changes
    )
    for change in changes:
        assert lines.index(change) < next(
            i for i, line in enumerate(lines) if "row" in line and change["path"].endswith(line["row"]["path"])
        )


def test_styles(monkeypatch):
    tree()
    table = run("upright", "in", "--dry-run").stdout.splitlines()
    assert len(table) == 5 and "90°  0.990  would turn" in table[1]
    found = list(csv.DictReader(io.StringIO(run("upright", "in", "--dry-run", "-f", "csv").stdout)))
    assert [row["action"] for row in found] == ["upright", "would turn", "would turn", "upright", "unsure"]
    lines = run("upright", "in", "--dry-run", "-f", "jsonl").stdout.splitlines()
    assert [json.loads(line)["angle"] for line in lines] == [0, 90, 180, 0, 90]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "name PATHS"),
        (["in"], "--dry-run to see it first, --output DIR to write them there, or --in-place"),
        (["in", "-o", "out", "--in-place"], "choose one"),
        (["in", "--in-place", "--overwrite"], "--overwrite is about --output"),
        (["in", "-r", "-o", "in/out"], "which is read"),
        (["in", "-o", "in"], "which is read"),
        (["in", "--dry-run", "--report", "x"], "--dry-run makes none"),
        (["in", "--dry-run", "--csv-safe"], "--csv-safe is about CSV"),
    ],
)
def test_what_cannot_be_meant(arguments, words):
    before = tree()
    assert words in run("upright", *arguments, code=2).stderr and contents("in") == before


def test_what_is_kept_of_a_file_beside_its_pixels():
    tree()
    os.chmod("in/b.jpg", 0o640)
    os.utime("in/b.jpg", ns=(10**18, 10**18))
    rows("in", "--in-place")
    status = os.stat("in/b.jpg")
    assert stat.S_IMODE(status.st_mode) == 0o640 and status.st_mtime_ns == 10**18
    assert Image.open("in/b.jpg").size == (160, 240)


def test_links_and_read_only_files_are_left_alone():
    before = tree()
    Path("far").mkdir()
    Path("far/x.jpg").write_bytes(before["b.jpg"])
    Path("far/hard.jpg").write_bytes(before["b.jpg"])
    os.link("far/hard.jpg", "in/hard.jpg")
    Path("in/soft.jpg").symlink_to("../far/x.jpg")
    Path("in/there").symlink_to("../far", target_is_directory=True)
    os.chmod("in/c.png", 0o444)
    far = contents("far")
    found = rows("in", "-r", "--in-place", code=1)
    said = {name: row["error"] for (name, _), row in found.items() if row["action"] == "refused"}
    assert said.keys() == {"in/c.png", "in/hard.jpg", "in/soft.jpg", "in/there/hard.jpg", "in/there/x.jpg"}
    for name, words in (
        ("c.png", "read-only"),
        ("hard.jpg", "2 names"),
        ("soft.jpg", "a link to"),
        ("there/x.jpg", "out of in"),
    ):
        assert words in said[f"in/{name}"]
    assert contents("far") == far and Path("in/soft.jpg").is_symlink()
    assert rows("in/there", "--dry-run").keys() == {("in/there/hard.jpg", 1), ("in/there/x.jpg", 1)}


@pytest.mark.parametrize("target", [["--in-place"], ["-o", "out"]])
def test_a_file_named_twice_is_turned_once(target):
    tree()
    found = run("upright", "in/b.jpg", "in", "in/b.jpg", *target, "-f", "jsonl")
    named = [row["action"] for row in map(json.loads, found.stdout.splitlines()) if row["path"] == "in/b.jpg"]
    wanted = ["turned", "upright", "upright"] if target == ["--in-place"] else ["turned"] * 3
    assert sorted(named) == wanted and report().read_text().count('b.jpg", "before"') == (target == ["--in-place"])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder():
    before = tree()
    os.chmod("in", 0o555)
    try:
        found = rows("in", "--in-place", code=1)
    finally:
        os.chmod("in", 0o755)
    assert "cannot be written" in found["in/b.jpg", 1]["error"] and contents("in") == before


def test_two_files_of_one_name_do_not_write_over_each_other():
    tree()
    Path("in/below/b.jpg").write_bytes(encoded(marked(seed=9)))
    found = rows("in/b.jpg", "in/below/b.jpg", "-o", "out", code=1)
    assert sorted(row["action"] for row in found.values()) == ["error", "turned"]
    assert len(contents("out")) == 1


def test_archives_missing_files_and_locked_documents():
    tree()
    Path("in/z.zip").write_bytes(b"PK")
    os.mkfifo("in/pipe")
    Path("in/l.pdf").write_bytes(locked())
    Path("in/bad.png").write_bytes(encoded(marked(), "PNG")[:900])
    found = rows("in", "in/z.zip", "in/pipe", "in/none.jpg", "in/*.gif", "--dry-run", code=1)
    assert actions(found) == {
        **{k: v.replace("turned", "would turn") for k, v in WANTED.items() if k != "f.jpg"},
        **{
            "z.zip": "refused",
            "pipe": "refused",
            "l.pdf": "refused",
            "bad.png": "error",
            "none.jpg": "error",
            "*.gif": "error",
        },
    }
    Path("empty").mkdir()
    assert "no pages" in run("upright", "empty", "--dry-run", code=4).stderr


def test_a_list_of_files():
    tree()
    Path("list").write_text("in/b.jpg\nin/below\n")
    assert rows("--files-from", "list", "-o", "out").keys() == {("in/b.jpg", 1), ("in/below/f.jpg", 1)}
    assert contents("out").keys() == {"b.jpg", "f.jpg"}


def test_pages_of_one_file():
    Path("in").mkdir()
    out = io.BytesIO()
    first, *rest = (Image.fromarray(marked(angle=angle, seed=angle)) for angle in (0, 90, 0, 180))
    first.save(out, "TIFF", save_all=True, append_images=rest)
    Path("in/x.tif").write_bytes(out.getvalue())
    found = rows("in", "--in-place")
    assert [(page, row["action"]) for (_, page), row in found.items()] == [
        (1, "upright"),
        (2, "turned"),
        (3, "upright"),
        (4, "turned"),
    ]
    assert {row["action"] for row in rows("in", "--dry-run").values()} == {"upright"}
    with Image.open("in/x.tif") as image:
        for number, angle in enumerate((0, 90, 0, 180)):
            image.seek(number)
            assert (np.asarray(image) == marked(seed=angle)).all()


def test_a_file_that_changes_meanwhile(monkeypatch):
    before = tree()

    def late(self, pages):
        Path("in/b.jpg").write_bytes(before["b.jpg"] + b"newer")
        return judge(pages)

    monkeypatch.setattr(JUDGE, "__call__", late)
    found = rows("in/b.jpg", "--in-place", code=1)
    assert found["in/b.jpg", 1]["action"] == "error" and "changed since it was looked at" in found["in/b.jpg", 1]["error"]
    assert Path("in/b.jpg").read_bytes() == before["b.jpg"] + b"newer" and not list(Path("in").glob(".*"))


def test_a_file_that_goes_meanwhile(monkeypatch):
    tree()

    def gone(self, pages):
        Path("in/b.jpg").unlink(missing_ok=True)
        return judge(pages)

    monkeypatch.setattr(JUDGE, "__call__", gone)
    for target in (["--in-place"], ["-o", "out"], ["--dry-run"]):
        Path("in/b.jpg").write_bytes(encoded(marked(angle=90)))
        found = rows("in/a.jpg", "in/b.jpg", *target, code=1)
        assert found["in/b.jpg", 1]["action"] == "error" and "no such file" in found["in/b.jpg", 1]["error"]


def test_a_page_that_cannot_be_judged_hides_no_other(monkeypatch):
    tree()
    Path("in/narrow.png").write_bytes(encoded(marked(3, 900), "PNG"))

    def picky(self, pages):
        if any(min(page.shape[:2]) < 10 for page in pages):
            raise ImageError("it is too narrow")
        return judge(pages)

    monkeypatch.setattr(JUDGE, "__call__", picky)
    found = rows("in", "-r", "--dry-run", code=1)
    assert actions(found) == {k: v.replace("turned", "would turn") for k, v in WANTED.items()} | {"narrow.png": "error"}


def test_another_run_is_at_it(monkeypatch):
    import fcntl

    before = tree()
    monkeypatch.setattr(journals, "PATIENCE", 0.05)
    with open("in/b.jpg", "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        found = rows("in/b.jpg", "--in-place", code=1)
    assert "another run" in found["in/b.jpg", 1]["error"] and contents("in") == before


def full(monkeypatch, after):
    """A disk that takes so many more files."""
    whole, left = journals._fill, [after]

    def fill(file, data):
        left[0] -= 1
        if left[0] < 0:
            file.write(data[: len(data) // 2])
            raise OSError(28, "No space left on device")
        whole(file, data)

    monkeypatch.setattr(journals, "_fill", fill)


@pytest.mark.parametrize("target", [["--in-place"], ["-o", "out"]])
def test_a_full_disk_half_way(monkeypatch, target):
    before = tree()
    with monkeypatch.context() as patch:
        full(patch, 1)
        done = run("upright", "in", "-r", *target, "--threads", 1, code=4)
    assert "No space left on device" in done.stderr and "the same command goes on" in done.stderr
    assert "Traceback" not in done.output and not list(Path().rglob(".*.tmp"))
    assert report().read_text().count('"change"') >= 1
    run("undo", report())
    assert contents("in") == before and not Path("out").exists()


def test_a_report_that_cannot_be_written_stops_the_job_before_anything_is_changed(monkeypatch):
    before = tree()
    whole = journals._write_all

    def write(file, data):
        if b'"change"' in bytes(data[:20]):
            file.write(data[:10])
            raise OSError(28, "No space left on device")
        whole(file, data)

    with monkeypatch.context() as patch:
        patch.setattr(journals, "_write_all", write)
        run("upright", "in", "-r", "--in-place", "--threads", 1, code=4)
    assert contents("in") == before
    run("undo", report())
    assert contents("in") == before
