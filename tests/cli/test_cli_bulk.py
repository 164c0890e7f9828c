"""The commands on many pictures: what they print and write, and that they can be interrupted, killed and continued."""

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from pictures import encoded, picture

import lcnet
from lcnet import hub, modelfile
from lcnet.cli import main
from lcnet.cli.progress import Progress
from lcnet.config import Decision

pytestmark = pytest.mark.slow

MODEL = ["--model", "lcnet_050.cifar10", "--threads", "2"]
LCNET = [sys.executable, "-m", "lcnet"]


def run(*arguments, code=0, stdin=None):
    result = CliRunner().invoke(main, [str(a) for a in arguments], input=stdin)
    assert result.exit_code == code, result.output + str(result.exception)
    assert "Traceback" not in result.output
    return result


@pytest.fixture
def folder(tmp_path):
    """Twelve pictures, one of them broken, in a folder of their own."""
    for i in range(12):
        path = tmp_path / "photos" / ("below" if i > 8 else "") / f"{i:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"broken" if i == 4 else encoded(picture(seed=i), "PNG"))
    return tmp_path / "photos"


def rows_of(text):
    return [json.loads(line) for line in text.splitlines()]


def but_times(path):
    """What a file of results holds but for the milliseconds, which no two runs share."""
    if path.suffix == ".csv":
        with open(path, newline="", encoding="utf-8") as file:
            return [row[:-1] for row in csv.reader(file)]
    if path.suffix == ".jsonl":
        return [re.sub(r', "milliseconds": [0-9.]+}$', "", line) for line in path.read_text("utf-8").split("\n")]
    if path.suffix == ".json":
        return [{k: v for k, v in row.items() if k != "milliseconds"} for row in json.loads(path.read_bytes())]
    if path.suffix == ".npz":
        saved = np.load(path)
        return {name: saved[name].tolist() for name in saved if name != "milliseconds"}
    import pyarrow.parquet

    return pyarrow.parquet.read_table(path).drop_columns("milliseconds").to_pylist()


def wait_for(condition, process):
    ends = time.monotonic() + 60
    while not condition() and process.poll() is None and time.monotonic() < ends:
        time.sleep(0.02)
    assert condition(), process.communicate()


def test_every_kind_of_source_at_once(folder, tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.write(folder / "00.png", "../up.png")
        archive.writestr("bad.png", b"broken")
    with tarfile.open(tmp_path / "x.tgz", "w:gz") as archive:
        info = archive.gettarinfo(folder / "01.png")
        info.name = "/abs.png"
        archive.addfile(info, (folder / "01.png").open("rb"))
    (tmp_path / "list").write_text(f"{folder / '02.png'}\n\n{tmp_path / 'gone.png'}\n")
    out = tmp_path / "out.jsonl"
    result = run(
        "classify",
        folder,
        folder / "0[12].png",
        tmp_path / "x.zip",
        tmp_path / "x.tgz",
        "--files-from",
        tmp_path / "list",
        *MODEL,
        "-o",
        out,
        "-k",
        1,
        code=1,
    )
    rows = rows_of(out.read_text())
    names = [str(folder / f"{i:02}.png") for i in range(9)] + [str(folder / "01.png"), str(folder / "02.png")]
    names += [f"{tmp_path}/x.zip!/../up.png", f"{tmp_path}/x.zip!/bad.png", f"{tmp_path}/x.tgz!//abs.png"]
    assert [r["file"] for r in rows] == [*names, str(folder / "02.png"), str(tmp_path / "gone.png")]
    assert [i for i, r in enumerate(rows) if r["error"]] == [4, 12, 15]
    assert rows[11]["top"] == rows[0]["top"] and rows[13]["top"] == rows[1]["top"] == rows[9]["top"]
    assert "3 of 16 images could not be read" in result.stderr and result.stderr.count("\n") == 5
    assert "3 pictures in folders below: --recursive takes them too" in result.stderr
    assert sorted(os.listdir(tmp_path)) == ["list", "out.jsonl", "photos", "x.tgz", "x.zip"]


def test_results_are_the_library_s(folder, tmp_path):
    model = lcnet.load("lcnet_050.cifar10", threads=2)
    run("embed", folder, "-r", *MODEL, "-o", tmp_path / "e.npz", code=1)
    saved = np.load(tmp_path / "e.npz")
    paths = [p for p in sorted(folder.rglob("*.png"), key=lambda p: p.name) if p.name != "04.png"]
    assert saved["paths"].tolist() == list(map(str, paths)) and saved["error_paths"].tolist() == [str(folder / "04.png")]
    assert np.array_equal(saved["embeddings"], model.embeddings(paths))
    run("classify", folder, "-r", *MODEL, "-o", tmp_path / "c.csv", "-k", 2, code=1)
    table = list(csv.reader((tmp_path / "c.csv").open(newline="")))
    expected = model.classify(paths[0], 2)[0].top
    assert [r[4] for r in table[1:3]] == [p.label for p in expected] and len(table) == 1 + 11 * 2 + 1
    printed = json.loads(run("classify", folder, "-r", *MODEL, "-f", "json", code=1).stdout)
    assert [p["label"] for p in printed[-1]["top"]] == [p.label for p in model.classify(paths[-1])[0].top]
    run("features", folder / "00.png", *MODEL, "--stride", 32, "-o", tmp_path / "f.jsonl")
    (row,) = rows_of((tmp_path / "f.jsonl").read_text())
    assert np.array_equal(np.float32(row["stride_32"]), model.feature_maps(folder / "00.png", [4])[0][0])


@pytest.mark.parametrize("separator", ["\n", "\r\n", "\0"])
def test_a_list_from_standard_input(folder, separator):
    listed = separator.join(str(folder / f"{i:02}.png") for i in (2, 0, 1))
    shown = json.loads(run("classify", "--files-from", "-", *MODEL, "-f", "json", stdin=listed).stdout)
    assert [os.path.basename(r["file"]) for r in shown] == ["02.png", "00.png", "01.png"]


def test_mistakes_are_one_line_and_leave_nothing(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "e.list").write_text("\n\n")
    before = sorted(p for p in tmp_path.rglob("*"))
    out = tmp_path / "x.csv"
    for code, arguments, words in (
        (2, ["classify"], "name IMAGES"),
        (4, ["embed", tmp_path / "empty", "-o", out], "no images"),
        (4, ["embed", "-r", tmp_path / "empty", "--files-from", tmp_path / "e.list", "-o", out], "no images"),
        (4, ["classify", "--files-from", tmp_path / "gone.list"], "gone.list: there is no such file"),
        (4, ["classify", "--files-from", tmp_path], "Is a directory"),
        (4, ["classify", folder, "-o", tmp_path / "x.txt"], ".csv, .json, .jsonl, .npz or .parquet"),
        (4, ["classify", folder, "-o", tmp_path / "no" / "x.csv"], "there is no folder"),
        (2, ["classify", folder, "--resume"], "--output"),
        (2, ["classify", folder, "--overwrite"], "--output"),
        (2, ["classify", folder, "-o", out, "-f", "json"], "about what is printed"),
        (2, ["classify", folder, "-o", out, "--prune"], "--update"),
        (2, ["classify", folder, "--update"], "--output"),
        (2, ["classify", folder, "-o", tmp_path / "x.json", "--wide"], "one row a picture already"),
        (2, ["classify", folder, "--wide"], "--format csv"),
        (2, ["embed", folder, "-o", "-", "--csv-safe"], "--format csv"),
        (2, ["embed", folder, "-o", "-", "--resume"], "--output"),
        (2, ["classify", folder, "-o", out, "--update", "--overwrite"], "choose one"),
        (2, ["classify", folder, "-o", out, "--resume", "--overwrite"], "choose one"),
        (4, ["features", folder, "-o", out], "do not fit into a CSV"),
    ):
        result = run(*arguments, *MODEL, code=code)
        assert words in result.output and result.output.startswith("Error: ") and result.output.count("\n") == 1
        assert sorted(p for p in tmp_path.rglob("*")) == before


def test_names_cannot_command_a_terminal(folder, tmp_path):
    os.rename(folder / "00.png", folder / "a\x1b[31m\nb.png")
    (folder / "c\x1b[2J.png").write_bytes(b"broken")
    result = run("classify", folder, *MODEL, code=1)
    assert "\x1b" not in result.output and "a\\x1b[31m\\nb.png" in result.stdout and "c\\x1b[2J.png" in result.stderr
    os.rename(folder / "01.png", os.path.join(os.fsencode(folder), b"caf\xe9.png"))
    for style in ("table", "json", "csv"):
        assert "caf\\xe9.png" in run("classify", folder, *MODEL, "-f", style, code=1).stdout.replace("\\\\", "\\")


def test_a_large_member_is_an_error_unless_it_is_allowed(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (700, 700, 3), dtype=np.uint8)
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("x.png", encoded(image, "PNG"))
    assert "--max-member" in run("classify", tmp_path / "x.zip", *MODEL, "--max-member", 1, code=1).stderr
    assert "x.png" in run("classify", tmp_path / "x.zip", *MODEL).stdout


class Interrupted:
    """A command that gets its first pictures from standard input, and then waits for more: there it is stopped."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen(
            [*LCNET, *map(str, arguments), *MODEL, "--files-from", "-"],
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def stop(self, paths, seen, by=signal.SIGINT):
        self.process.stdin.write("".join(f"{p}\n" for p in paths))
        self.process.stdin.flush()
        wait_for(seen, self.process)
        self.process.send_signal(by)
        self.process.wait(60)
        out = self.process.stdout.read(), self.process.stderr.read()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            stream.close()
        return out


def pictures_in(path):
    """How many pictures a working file has: each is written at once."""
    if not path.exists():
        return 0
    data = path.read_bytes()
    return len(set(re.findall(rb"photos/(?:below/)?(\d\d)\.png", data)))


@pytest.mark.parametrize(
    "command, ending, by",
    [
        ("classify", ".csv", signal.SIGINT),
        ("classify", ".jsonl", signal.SIGTERM),
        ("embed", ".npz", signal.SIGTERM),
        ("embed", ".parquet", signal.SIGINT),
        ("classify", ".json", signal.SIGINT),
    ],
)
def test_a_signal_leaves_a_valid_file_and_resume_the_same_as_one_run(folder, tmp_path, command, ending, by):
    if ending == ".parquet":
        pytest.importorskip("pyarrow", reason="pyarrow (extra: parquet) is not installed")
    paths = [folder / f"{i:02}.png" for i in range(9)]
    out = tmp_path / f"x{ending}"
    working = out if ending in (".csv", ".jsonl") else tmp_path / f"x{ending}.partial"
    interrupted = Interrupted(command, "-o", out)
    _, errors = interrupted.stop(paths[:6], lambda: pictures_in(working) == 6, by)
    assert interrupted.process.returncode == 128 + by
    assert "stopped after 6 images" in errors and "--resume" in errors and "Traceback" not in errors
    part, whole = tmp_path / f"part{ending}", tmp_path / f"whole{ending}"
    run(command, *paths[:6], *MODEL, "-o", part, code=1)
    assert but_times(out) == but_times(part)
    assert "did not end" in run(command, *paths, *MODEL, "-o", out, code=4).output
    assert "now the list has" in run(command, *paths[1:], *MODEL, "-o", out, "--resume", code=4).output
    assert but_times(out) == but_times(part)
    assert "1 of 9 images" in run(command, *paths, *MODEL, "-o", out, "--resume", code=1).stderr
    run(command, *paths, *MODEL, "-o", whole, code=1)
    assert but_times(out) == but_times(whole)
    assert sorted(os.listdir(tmp_path)) == sorted(["photos", part.name, whole.name, out.name])


@pytest.mark.parametrize("command, ending", [("classify", ".csv"), ("embed", ".npz")])
def test_kill_loses_nothing_that_was_written(folder, tmp_path, command, ending):
    out, working = tmp_path / f"x{ending}", tmp_path / (f"x{ending}.partial" if command == "embed" else f"x{ending}")
    paths = [folder / f"{i:02}.png" for i in range(9)]
    Interrupted(command, "-o", out).stop(paths[:7], lambda: pictures_in(working) == 7, signal.SIGKILL)
    assert (tmp_path / f"{out.name}.resume").exists() and pictures_in(working) == 7
    with open(working, "ab") as file:
        file.write(b"\x05\0")  # the beginning of a row or record
    run(command, *paths, *MODEL, "-o", out, "--resume", code=1)
    run(command, *paths, *MODEL, "-o", tmp_path / f"whole{ending}", code=1)
    assert but_times(out) == but_times(tmp_path / f"whole{ending}")


def test_resume_refuses_other_options(folder, tmp_path):
    paths = [folder / f"{i:02}.png" for i in range(4)]
    out = tmp_path / "x.jsonl"
    Interrupted("classify", "-o", out, "-k", 2).stop(paths[:2], lambda: pictures_in(out) == 2)
    assert "begun with --top 2, now it is 3" in run("classify", *paths, *MODEL, "-o", out, "-k", 3, "--resume", code=4).output
    assert "--max-member" in run("classify", *paths, *MODEL, "-o", out, "-k", 2, "--max-member", 9, "--resume", code=4).output
    assert "begun with command" in run("embed", *paths, *MODEL, "-o", out, "--resume", code=4).output
    source = lcnet.load("lcnet_050.cifar10")
    isa = run("classify", *paths, *MODEL, "-o", out, "-k", 2, "--isa", "scalar", "--resume", code=4).output
    assert f'begun with isa "{source.isa}", now it is "scalar"' in isa or source.isa == "scalar"
    stored = modelfile.read(hub.locate("lcnet_050.cifar10").path)
    config = replace(source.config, decision=Decision(temperature=2.0))
    modelfile.write(tmp_path / "m.safetensors", modelfile.ModelFile(config, stored.weights))
    other = run("classify", *paths, "-m", tmp_path / "m.safetensors", "-o", out, "-k", 2, "--resume", code=4).output
    assert "begun with model" in other
    run("classify", *paths, *MODEL, "--threads", 1, "-o", out, "-k", 2, "--resume")
    assert len(rows_of(out.read_text())) == 4


def test_ctrl_c_closes_what_is_printed(folder):
    interrupted = Interrupted("classify", "-f", "json")
    first = []

    def seen():
        if not first:
            first.append(interrupted.process.stdout.readline() + interrupted.process.stdout.readline())
        return True

    out, errors = interrupted.stop([folder / "00.png", folder / "01.png"], seen)
    assert 1 <= len(json.loads(first[0] + out)) <= 2 and "stopped after" in errors
    assert interrupted.process.returncode == 130


def test_the_end_of_the_reader_ends_the_command(folder):
    command = [*LCNET, "classify", *[str(folder / "00.png")] * 3000, *MODEL]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert b"00.png" in process.stdout.readline()
    process.stdout.close()
    assert b"Traceback" not in process.stderr.read()
    assert process.wait(60) == 141
    process.stderr.close()


def test_one_picture_imports_nothing_for_many(folder):
    """The rest of what `lcnet classify` imports is guarded here too: what it needs, and what Python itself has loaded."""
    heavy = {
        "concurrent.futures",
        "multiprocessing",
        "tarfile",
        "zipfile",
        "csv",
        "tqdm",
        "glob",
        "lcnet.results.outputs",
        "lcnet.results.journal",
        "lcnet.sources.archives",
        "asyncio",
        "torch",
        "pyarrow",
    }
    code = (
        "import sys, pathlib\nbefore = set(sys.modules)\nfrom lcnet.cli import main\n"
        "import threading\nthreading.Thread.start = None\n"
        f"main(['classify', {str(folder / '00.png')!r}, '-m', 'lcnet_050.cifar10'], standalone_mode=False)\n"
        "print(*(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.splitlines()[-1].split()
    assert "lcnet.runtime.stream" in loaded and not heavy & set(loaded)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_tells_how_many_how_fast_and_how_long():
    now, screen = [0.0], Terminal()
    progress = Progress(screen, lambda: 5400, done=400, clock=lambda: now[0])
    for _ in range(100):
        now[0] += 0.005
        progress.advance()
    assert screen.getvalue() == ""  # too soon
    progress.total = 5400
    now[0] = 1.0
    assert progress.line(now[0]) == "500 of 5400 images  9%  100/s  0:49 left"
    progress.advance()
    progress.say("a\nmessage")
    progress.clear()
    shown = screen.getvalue()
    assert shown.startswith("\r\x1b[K501 ") and shown.endswith("\r\x1b[Klcnet: a\\nmessage\n")
    progress.total = None
    assert progress.line(100.0) == "501 images  1.0/s"
    progress.total = 1_000_000
    assert progress.line(100.0) == "501 of 1000000 images  0%  1.0/s  274:53:23 left"


def test_there_is_no_progress_where_nobody_looks():
    now, screen = [0.0], io.StringIO()
    for progress in (
        Progress(screen, lambda: 9, clock=lambda: now[0]),
        Progress(Terminal(), lambda: pytest.fail("counted"), draw=False, clock=lambda: now[0]),
    ):
        now[0] += 100
        progress.advance()
        assert progress.stream.getvalue() == ""


@pytest.mark.alone
def test_the_bar_on_a_terminal_has_the_total(folder, tmp_path):
    pty = pytest.importorskip("pty")
    leader, follower = pty.openpty()
    program = (
        "import lcnet.cli.progress as p\np.PATIENCE = 0\nfrom lcnet.cli import main\n"
        "import time, lcnet.results.outputs as o\nwrite = o.Output.write\n"
        "def slow(*a):\n    time.sleep(0.15)\n    write(*a)\no.Output.write = slow\nmain(prog_name='lcnet')"
    )
    arguments = ["embed", str(folder), "-r", *MODEL, "-o", str(tmp_path / "x.npz")]
    done = subprocess.run([sys.executable, "-c", program, *arguments], stderr=follower, stdout=subprocess.PIPE, timeout=120)
    os.close(follower)
    text = b""
    while True:
        try:
            text += os.read(leader, 4096)
        except OSError:  # how Linux tells the end of a terminal
            break
        if b"could not be read" in text:
            break
    os.close(leader)
    assert done.returncode == 1 and re.search(rb"\d+ of 12 images  \d+%  [\d.]+/s  0:0\d left", text)
    assert b"1 of 12 images could not be read" in text


def test_csv_safe_is_for_spreadsheets_and_remembered(tmp_path):
    (tmp_path / "p").mkdir()
    for name in ("=1+1.png", "'x.png", "a\rb.png", "+.png"):
        (tmp_path / "p" / name).write_bytes(encoded(picture(seed=1), "PNG"))
    (tmp_path / "list").write_bytes("\0".join(["=1+1.png", "'x.png", "a\rb.png", "-gone.png"]).encode())
    back = os.getcwd()
    os.chdir(tmp_path / "p")
    try:
        args = ["classify", "--files-from", tmp_path / "list", *MODEL, "-k", 1]
        run(*args, "-o", tmp_path / "x.csv", "--csv-safe", code=1)
        run(*args, "-o", tmp_path / "y.csv", code=1)
        printed = run(*args, "-f", "csv", "--csv-safe", code=1).stdout
    finally:
        os.chdir(back)
    safe, exact = (list(csv.reader((tmp_path / f"{n}.csv").open(newline=""))) for n in "xy")
    assert [r[0] for r in safe[1:]] == ["'=1+1.png", "''x.png", "a\rb.png", "'-gone.png"]
    assert [r[0] for r in exact[1:]] == ["=1+1.png", "'x.png", "a\rb.png", "-gone.png"]
    assert [r[1:-1] for r in safe] == [r[1:-1] for r in exact]
    assert [r[:-1] for r in csv.reader(io.StringIO(printed, newline=""))] == [r[:-1] for r in safe]


@pytest.mark.parametrize("command", ["classify", "embed"])
def test_csv_safe_is_about_csv_and_resumed_only_with_itself(folder, tmp_path, command):
    out = tmp_path / "x.csv"
    run(command, folder / "00.png", *MODEL, "-o", tmp_path / "x.jsonl", "--csv-safe", code=2)
    run(command, folder / "00.png", *MODEL, "-o", out, "--csv-safe")
    whole = out.read_bytes()
    begun = {"command": command, "model": "m", "isa": "x", "--csv-safe": True}
    (tmp_path / "x.csv.resume").write_text(json.dumps({"lcnet": 2, "run": "write", "with": begun}))
    told = run(command, folder / "00.png", *MODEL, "-o", out, "--resume", code=4)
    assert "begun with" in told.stderr and out.read_bytes() == whole
    assert "--csv-safe" in run("classify", folder / "00.png", *MODEL, "--csv-safe", code=2).stderr


@pytest.mark.parametrize("options", [[], ["--csv-safe"]])
def test_names_with_line_ends_survive_a_kill(tmp_path, options):
    for i in range(60):
        name = {0: "=a\rx.png", 1: "'b\r\n.png", 2: os.fsdecode(b"\xff\xfe\n.png")}.get(i, f"b{i:03}.png")
        (tmp_path / name).write_bytes(encoded(picture(seed=i % 3), "PNG"))
    out = tmp_path / "x.csv"
    args = ["classify", f"{tmp_path}/*.png", *MODEL, "-k", "2", *options]
    process = subprocess.Popen([*LCNET, *args, "-o", str(out)], stderr=subprocess.PIPE)
    wait_for(lambda: out.exists() and out.stat().st_size > 2000, process)
    process.kill()
    process.wait()
    if not (tmp_path / "x.csv.resume").exists():
        pytest.skip("the run was over before it could be killed")
    run(*args, "-o", out, "--resume")
    run(*args, "-o", tmp_path / "whole.csv")
    assert but_times(out) == but_times(tmp_path / "whole.csv")
