"""`lcnet duplicates`: what is printed, written and refused; what it does to files and how that is taken back."""

import csv
import errno
import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from labelled import write
from pictures import encoded
from PIL import Image

from lcnet.cli import main

ODD = os.fsdecode(b"x\n\xff.jpg")


def photo(seed):
    grid = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(grid).resize((120, 90), Image.Resampling.BICUBIC)


FIRST, OTHER = encoded(photo(1), "JPEG", quality=95), encoded(photo(2), "JPEG")
SMALL, POOR = encoded(photo(1).resize((60, 45)), "JPEG"), encoded(photo(1), "JPEG", quality=20)


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, {"in/a.jpg": FIRST, "in/b/a.jpg": FIRST, f"in/{ODD}": SMALL, "in/other.jpg": OTHER, "in/poor.jpg": POOR})


def run(*arguments, code=0):
    done = CliRunner().invoke(main, ["duplicates", *map(str, arguments), "--threads", "1"])
    assert done.exit_code == code, (done.exit_code, done.output, done.exception)
    return done


def undo(report="r.jsonl", code=0):
    done = CliRunner().invoke(main, ["undo", report])
    assert done.exit_code == code, done.output


def contents():
    return {str(p): p.read_bytes() for p in Path().rglob("*.jpg")}


def groups(*arguments, **options):
    found = json.loads(run(*arguments, "-f", "json", **options).stdout)["groups"]
    return [(group["kind"], group["files"]) for group in found]


WANTED = [("bytes", ["in/a.jpg", "in/b/a.jpg"]), ("near", ["in/a.jpg", "in/poor.jpg", "in/x\n\\xff.jpg"])]


def test_groups_as_json_csv_and_a_table():
    assert groups("in", "-r") == WANTED
    found = json.loads(run("in", "-r", "-f", "json").stdout)
    assert found["errors"] == [] and found["groups"][0]["similarity"] == [1, 1]
    assert all(0.93 < x < 1 for x in found["groups"][1]["similarity"][1:])
    rows = list(csv.DictReader(io.StringIO(run("in", "-r", "-f", "csv").stdout, newline="")))
    assert [(row["group"], row["path"]) for row in rows] == [(str(i), p) for i, (_, ps) in enumerate(WANTED, 1) for p in ps]
    assert [row["keep"] for row in rows] == ["true", "false", "true", "false", "false"] and rows[0]["width"] == "120"
    out = run("in", "-r")
    assert out.stdout.startswith("same bytes: 2 pictures") and "\n  kept   in/a.jpg  (120 x 90" in out.stdout
    assert "same bytes: 1 copy in 1 group; nearly the same: 2 copies in 1 group" in out.stderr and "of 5 images" in out.stderr
    assert contents().keys() == {"in/a.jpg", "in/b/a.jpg", f"in/{ODD}", "in/other.jpg", "in/poor.jpg"}


def test_kinds_and_similarity_that_are_asked_for():
    assert groups("in", "-r", "--kind", "bytes") == WANTED[:1] and groups("in", "-r", "--kind", "near") == WANTED[1:]
    assert groups("in", "-r", "--kind", "near", "--min-similarity", "1") == []
    assert "2 pictures in folders below: --recursive" not in run("in", "-r").stderr
    assert "1 picture in folders below: --recursive takes them too" in run("in").stderr
    Path("list").write_text("in/b/a.jpg\nin/a.jpg\n")
    assert groups("--files-from", "list") == [("bytes", ["in/b/a.jpg", "in/a.jpg"])]
    assert "no copies among 1 image" in run("in/other.jpg").stderr
    assert groups("in", "-r", "--near-by", "embedding", "-m", "lcnet_050.cifar10") == WANTED


def test_archives_are_read_in_place_and_left_alone():
    with zipfile.ZipFile("z.zip", "w") as file:
        file.writestr("z.jpg", FIRST)
    with tarfile.open("t.tar", "w") as file:
        for name in ("in/a.jpg", "in/poor.jpg"):
            file.add(name)
    before = contents()
    done = run("z.zip", "t.tar", "in/a.jpg", "--action", "move", "--to", "out", "--report", "r.jsonl", "-f", "json", code=1)
    first, near = json.loads(done.stdout)["groups"]
    assert first["files"] == ["in/a.jpg", "z.zip!/z.jpg", "t.tar!/in/a.jpg"] and near["files"] == [
        "in/a.jpg",
        "t.tar!/in/poor.jpg",
    ]
    assert first["actions"] == ["kept", "refused", "refused"] and "is in an archive" in first["errors"][1]
    assert contents() == before
    run("z.zip", "t.tar", "--html", "s.html")
    page = Path("s.html").read_text(encoding="utf-8")
    assert page.count("<img ") == 4 and "t.tar!/in/poor.jpg" in page


def test_a_page_of_thumbnails():
    run("in", "-r", "--html", "s.html")
    page = Path("s.html").read_text(encoding="utf-8")
    assert page.count("<img ") == 5 and page.count("class=best") == 2 and "1. same bytes: 2 pictures" in page
    assert "Duplicates in in" in page and "alike" in page
    assert "exists" in run("in", "--html", "s.html", code=4).stderr
    run("in", "--html", "s.html", "--overwrite")


def test_copies_that_are_moved_and_come_back():
    before = contents()
    done = run("in", "-r", "--action", "move", "--to", "out", "--report", "r.jsonl", "-f", "json")
    assert [g["actions"] for g in json.loads(done.stdout)["groups"]] == [["kept", "moved"], ["kept", "moved", "moved"]]
    assert set(contents()) == {"in/a.jpg", "in/other.jpg", "out/in/b/a.jpg", "out/in/poor.jpg", f"out/in/{ODD}"}
    assert "3 moved; report:" in done.stderr and groups("in", "-r") == []
    undo()
    assert contents() == before and not Path("out").exists()


def test_links_are_for_the_same_bytes_and_once():
    before = contents()
    done = run("in", "-r", "--action", "link", "--report", "r.jsonl")
    assert "1 linked" in done.stderr and os.path.samefile("in/a.jpg", "in/b/a.jpg") and contents() == before
    again = run("in", "-r", "--action", "link", "--report", "s.jsonl")
    assert "nothing to do" in again.stderr and "1 further name of the same files" in again.stderr
    undo()
    assert not os.path.samefile("in/a.jpg", "in/b/a.jpg") and contents() == before


def test_without_a_name_the_report_has_its_own():
    run("in", "-r", "--action", "link")
    (report,) = Path().glob("duplicates-*.jsonl")
    undo(str(report))


def test_what_changes_while_it_is_compared_is_left_alone(monkeypatch):
    from lcnet.dataset.copies import Copies

    groups = Copies.groups

    def slowly(self, *arguments):
        Path("in/b/a.jpg").write_bytes(OTHER)
        return groups(self, *arguments)

    monkeypatch.setattr(Copies, "groups", slowly)
    done = run("in", "-r", "--action", "move", "--to", "out", "--report", "r.jsonl", code=1)
    assert "in/b/a.jpg" in done.stdout and "refused: it has changed since it was looked at" in done.stdout
    assert Path("in/b/a.jpg").read_bytes() == OTHER and Path("in/a.jpg").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "name PATHS"),
        (["in", "--action", "link", "--kind", "near"], "would lose what is their own"),
        (["in", "--action", "move"], "needs a folder"),
        (["in", "--to", "out"], "--to is where --action move"),
        (["in", "-r", "--action", "move", "--to", "in/b"], "lies in in, which is read"),
        (["in", "--report", "r.jsonl"], "--report is of changes"),
        (["in", "--model", "lcnet_050.cifar10"], "--near-by embedding"),
        (["in", "--kind", "bytes", "--min-similarity", "0.9"], "near copies, which are not looked for"),
        (["in", "--overwrite"], "--overwrite is about --html"),
        (["in", "--csv-safe"], "--csv-safe is about CSV"),
    ],
)
def test_what_cannot_be_meant(arguments, words):
    assert words in run(*arguments, code=2).stderr


def test_what_is_not_there():
    Path("empty").mkdir()
    assert "no images" in run("empty", code=4).stderr
    assert "there is no such file" in run("gone.jpg", code=1).stderr
    assert "no folder" in run("in", "--html", "none/s.html", code=4).stderr
    Path("in/z.jpg").write_bytes(b"")
    Path("in/y.jpg").write_bytes(b"text")
    done = run("in", "-f", "json", code=1)
    assert {row["path"]: row["error"][:11] for row in json.loads(done.stdout)["errors"]} == {
        "in/y.jpg": "it is not a",
        "in/z.jpg": "it is empty",
    }
    assert "2 of 6 images could not be read" in done.stderr and "in/z.jpg: it is empty" in done.stderr


def child(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "lcnet", "duplicates", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


@pytest.mark.slow
@pytest.mark.parametrize(("action", "end"), [("link", signal.SIGKILL), ("move", signal.SIGINT)])
def test_a_run_that_is_stopped_is_taken_back(action, end):
    write(Path.cwd(), {f"many/{i:03}.jpg": FIRST for i in range(300)})
    before = contents()
    process = child(
        "many", "--kind", "bytes", "--action", action, "--report", "r.jsonl", *(["--to", "out"] * (action == "move"))
    )
    until = time.monotonic() + 60
    while not (Path("r.jsonl").exists() and Path("r.jsonl").stat().st_size > 5000) and time.monotonic() < until:
        time.sleep(0.002)
    process.send_signal(end)
    _, said = process.communicate()
    assert process.returncode == (-9 if end == signal.SIGKILL else 130), said
    assert end == signal.SIGKILL or b"`lcnet undo` takes it back" in said
    assert len(contents()) >= len(before)
    undo()
    assert contents() == before and len({p.stat().st_ino for p in Path("many").glob("*.jpg")}) == 300
    left = [p for p in Path("many").iterdir() if p.suffix != ".jpg"]
    assert len(left) <= (end == signal.SIGKILL)  # a hidden link, which the next run that meets it removes


def test_what_the_page_says_to_type_runs():
    """docs/duplicates.md, line by line and in order, with the bundled model for the hub's."""
    Path("in").rename("photos")
    write(Path.cwd(), {"backup/a.jpg": FIRST, "backup/new.jpg": encoded(photo(3), "JPEG")})
    before = contents()
    page = (Path(__file__).parents[2] / "docs/duplicates.md").read_text(encoding="utf-8")
    lines = [line for block in re.findall(r"^```sh\n(.*?)^```", page, re.S | re.M) for line in block.splitlines()]
    for line in lines:
        words = shlex.split(line.replace("lcnet_050.ra2_in1k", "lcnet_050.cifar10").partition(" > ")[0], comments=True)
        done = CliRunner().invoke(main, words[1:])
        assert words[0] == "lcnet" and done.exit_code == 0, (line, done.output)
        if "move" in words:
            assert len(list(Path("copies").rglob("*.jpg"))) == 2  # the same bytes are links by now
    assert len(lines) == 7 and contents() == before and Path("copies.html").exists()


def test_nothing_that_is_read_is_written_over_and_a_report_is_looked_for_before_the_work(monkeypatch):
    from lcnet.cli.duplicates import Run

    monkeypatch.setattr(Run, "finish", None)
    Path("r.jsonl").write_text("mine")
    assert "no page of HTML" in run("in", "--html", "in/a.jpg", "--overwrite", code=4).stderr
    assert "r.jsonl exists" in run("in", "--action", "link", "--report", "r.jsonl", code=4).stderr
    assert Path("in/a.jpg").read_bytes() == FIRST and Path("r.jsonl").read_text() == "mine"


def test_a_disk_that_is_full_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr("lcnet.dataset.copies.gettempdir", lambda: "/full")

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("lcnet.dataset.copies.TemporaryFile", full)
    said = run("in", code=4).stderr
    assert said.splitlines()[-1].startswith("Error: a temporary file in /full cannot be written: No space left on device")


@pytest.mark.parametrize("action", ["link", "move"])
def test_where_nobody_reads_any_more_the_report_is_named(monkeypatch, action):
    from lcnet.cli.duplicate_rows import Printer

    def gone(*_):
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr(Printer, "group", gone)
    before, options = contents(), ["--to", "out"] if action == "move" else []
    done = CliRunner().invoke(main, ["duplicates", "in", "-r", "--action", action, *options, "--report", "r.jsonl"])
    assert "stopped after 1 changes; report: " in done.stderr and "takes it back" in done.stderr
    undo()
    assert contents() == before


def test_names_that_color_a_terminal_are_the_same_in_every_format():
    name = "\x1b[31mred\x1b[0m.jpg"
    write(Path.cwd(), {f"odd/{name}": FIRST, "odd/z.jpg": FIRST})
    assert groups("odd") == [("bytes", [f"odd/{name}", "odd/z.jpg"])]
    rows = list(csv.DictReader(io.StringIO(run("odd", "-f", "csv").stdout, newline="")))
    assert [row["path"] for row in rows] == [f"odd/{name}", "odd/z.jpg"]
    assert "\x1b" not in run("odd").stdout
