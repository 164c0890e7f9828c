"""The same line every night: updates from the command line, the recipes of docs/bulk.md, and what each run says."""

import csv
import json
import os
import random
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from pictures import encoded, picture

import lcnet
from lcnet.cli import main

pytestmark = pytest.mark.slow

MODEL = ["--model", "lcnet_050.cifar10", "--threads", "1"]
LCNET = [sys.executable, "-m", "lcnet"]
DOCS = Path(__file__).parents[2] / "docs"


def run(*arguments, code=0, stdin=None):
    result = CliRunner().invoke(main, [str(a) for a in arguments], input=stdin)
    assert result.exit_code == code, result.output + str(result.exception)
    assert "Traceback" not in result.output
    return result


def refused(*arguments, stdin=None):
    """A run that was not even begun."""
    result = CliRunner().invoke(main, [str(a) for a in arguments], input=stdin)
    assert result.exit_code in (2, 4) and result.output.startswith("Error: ") and result.output.count("\n") == 1, result.output
    return result.output


def put(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"broken" if seed is None else encoded(picture(seed=seed), "PNG"))


@pytest.fixture
def photos(tmp_path):
    for i in range(4):
        put(tmp_path / "photos" / f"{i}.png", i)
    return tmp_path / "photos"


def answers(path):
    """The best class of each picture of a CSV, or its error; every picture once."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = [r for r in csv.DictReader(file) if r["rank"] in ("", "1")]
    assert len({r["file"] for r in rows}) == len(rows)
    return {os.path.basename(r["file"]): r["label"] or "error" for r in rows}


def right(*paths):
    model = lcnet.load("lcnet_050.cifar10", threads=1)
    return {p.name: "error" if p.read_bytes() == b"broken" else model.classify(p)[0].label for p in paths}


def test_one_line_is_enough_for_ever(photos, tmp_path):
    out = tmp_path / "tags.csv"
    line = ["classify", photos, "-r", *MODEL, "-k", 2, "-o", out, "--update"]
    assert run(*line).stdout == f"{out}: 4 new\n"
    assert run(*line).output == f"{out}: 4 as they were\n"
    put(photos / "below" / "00.png", 7)  # sorts later, "-1.png" earlier than all that is there
    put(photos / "-1.png", 8)
    put(photos / "2.png", 9)
    put(photos / "3.png", None)
    said = run(*line, code=1)
    assert said.stdout == f"{out}: 2 new, 2 changed, 2 as they were\n" and "1 of 4 images could not be read" in said.stderr
    assert answers(out) == right(*photos.rglob("*.png"))
    assert "1 tried again, 5 as they were" in run(*line, code=1).stdout
    put(photos / "3.png", 3)
    os.remove(photos / "0.png")
    assert "1 tried again, 4 as they were, 1 not found any more, kept" in run(*line).stdout
    assert "0.png" in answers(out) and "error" not in answers(out).values()
    assert "1 not found any more, dropped" in run(*line, "--prune").stdout
    assert answers(out) == right(*photos.rglob("*.png"))
    assert sorted(os.listdir(tmp_path)) == ["photos", "tags.csv", "tags.csv.state"]


@pytest.mark.parametrize("ending", ["csv", "json", "jsonl", "npz", "parquet"])
@pytest.mark.parametrize("command", ["classify", "embed", "features"])
def test_every_command_and_format(photos, tmp_path, command, ending):
    if (command, ending) == ("features", "csv"):
        pytest.skip("feature maps do not fit into a CSV file")
    if ending == "parquet":
        pytest.importorskip("pyarrow", reason="pyarrow (extra: parquet) is not installed")
    extra = ["--stride", 32] if command == "features" else []
    line = [command, photos, *MODEL, *extra, "-o", tmp_path / f"x.{ending}", "--update"]
    run(*line)
    put(photos / "00.png", 5)
    assert "1 new, 4 as they were" in run(*line).stdout
    run(*line[:-3], "-o", tmp_path / f"y.{ending}")
    x, y = (sorted(rows_in(tmp_path / f"{n}.{ending}")) for n in "xy")
    assert len(x) == 5 and x == y


def rows_in(path):
    """Everything but the milliseconds, a text a row."""
    if path.suffix == ".csv":
        with open(path, newline="", encoding="utf-8") as file:
            rows = [row[:-1] for row in csv.reader(file)]
            return [str(row) for row in rows[1:] if rows[0][1] != "rank" or row[1] in ("", "1")]
    if path.suffix in (".json", ".jsonl"):
        text = path.read_text("utf-8")
        rows = json.loads(text) if path.suffix == ".json" else map(json.loads, text.splitlines())
        return [str({k: v for k, v in row.items() if k != "milliseconds"}) for row in rows]
    if path.suffix == ".npz":
        saved = np.load(path)
        columns = [saved[k].tolist() for k in saved if len(saved[k]) == len(saved["paths"]) and k != "milliseconds"]
        return [str(row) for row in zip(*columns, strict=True)]
    import pyarrow.parquet

    return [str(row) for row in pyarrow.parquet.read_table(path).drop_columns("milliseconds").to_pylist()]


def test_what_another_run_wrote_is_refused(photos, tmp_path):
    out = tmp_path / "tags.csv"
    run("classify", photos, *MODEL, "-o", out, "--update")
    before = {p.name: p.read_bytes() for p in tmp_path.glob("tags*")}
    for more, words in (
        (["-k", 2], "begun with --top 5, now it is 2"),
        (["--threshold", 0.3], "begun with --threshold null, now it is 0.3"),
        (["--wide"], "begun with --wide false, now it is true"),
        (["--csv-safe"], "begun with --csv-safe false, now it is true"),
        (["--decode", "fast"], "begun with --decode"),
    ):
        assert words in refused("classify", photos, *MODEL, "-o", out, "--update", *more)
    assert "begun with command" in refused("embed", photos, *MODEL, "-o", out, "--update")
    assert "--update takes what it has not" in refused("classify", photos, *MODEL, "-o", out, "--resume")
    assert {p.name: p.read_bytes() for p in tmp_path.glob("tags*")} == before
    run("classify", photos, *MODEL, "-o", out, "-k", 2, "--overwrite")
    assert not (tmp_path / "tags.csv.state").exists()
    (tmp_path / "old.csv").write_text("file,rank,index,id,label,probability,accepted,error\na.png,1,3,,cat,0.5,true,\n")
    for how in ("--update", "--resume"):
        if how == "--resume":
            (tmp_path / "old.csv.resume").write_text(json.dumps({"command": "classify", "model": "m", "--top": 1}))
        assert "earlier version of lcnet" in refused("classify", photos, *MODEL, "-k", 1, "-o", tmp_path / "old.csv", how)


def test_nothing_to_do_is_done(photos, tmp_path):
    (tmp_path / "list").write_text("\n\n")
    (tmp_path / "empty" / "below").mkdir(parents=True)
    put(tmp_path / "empty" / "below" / "a.png", 1)
    for ending in ("csv", "json", "jsonl", "npz"):
        out = tmp_path / f"x.{ending}"
        assert run("classify", "--files-from", tmp_path / "list", *MODEL, "-o", out).output == f"{out}: 0 images\n"
        assert rows_in(out) == []
    for style, shown in (("json", "[\n]\n"), ("jsonl", ""), ("table", "")):
        assert run("classify", "--files-from", "-", *MODEL, "-f", style, stdin="").output == shown
    assert run("classify", "--files-from", "-", *MODEL, "-f", "csv", stdin="").output.count("\n") == 1
    said = refused("classify", tmp_path / "empty", *MODEL)
    assert "no images in the folders themselves; 1 picture in folders below: --recursive takes them too" in said
    out = tmp_path / "tags.csv"
    result = run("classify", tmp_path / "empty", *MODEL, "-o", out, "--update")
    assert result.stdout == f"{out}: nothing new\n" and "1 picture in folders below: --recursive" in result.stderr
    assert answers(out) == {}
    run("classify", photos, *MODEL, "-o", out, "--update")
    before = out.read_bytes()
    kept = run("classify", tmp_path / "empty", *MODEL, "-o", out, "--update", "--prune")
    assert "no row is dropped" in kept.stderr and out.read_bytes() == before
    run("classify", "--files-from", "-", *MODEL, "-o", out, "--update", stdin="")
    assert out.read_bytes() == before


def test_the_same_rows_on_standard_output_and_in_files(photos, tmp_path):
    put(photos / "1.png", None)
    for command, styles in (("classify", ("csv", "json", "jsonl")), ("embed", ("csv", "json", "jsonl"))):
        for style in styles:
            out = tmp_path / f"{command}.{style}"
            run(command, photos, *MODEL, "-o", out, code=1)
            printed = run(command, photos, *MODEL, "-o", "-", "-f", style, code=1)
            (tmp_path / f"printed.{style}").write_text(printed.stdout)
            assert rows_in(tmp_path / f"printed.{style}") == rows_in(out) and printed.stdout.endswith("\n")
            assert out.read_text().splitlines()[0] == printed.stdout.splitlines()[0] or style == "jsonl"
            assert "1 of 4 images could not be read" in printed.stderr
    assert run("embed", photos, *MODEL, "-o", "-", code=1).stdout.count('"embeddings"') == 3
    (row,) = map(json.loads, run("features", photos / "0.png", *MODEL, "--stride", 32, "-o", "-").stdout.splitlines())
    assert np.shape(row["stride_32"]) == np.shape(lcnet.load("lcnet_050.cifar10").feature_maps(photos / "0.png", [4])[0][0])
    assert not Path("-").exists()
    texts = [run("classify", photos / "0.png", *MODEL, "-k", 1, "-f", style).stdout for style in ("csv", "json", "jsonl")]
    number = texts[0].splitlines()[1].split(",")[5]
    assert len(number) <= 11 and all(number in text for text in texts)


def test_one_row_a_picture(photos, tmp_path):
    put(photos / "1.png", None)
    out = tmp_path / "x.csv"
    run("classify", photos, *MODEL, "-k", 2, "--wide", "-o", out, "--threshold", 0.5, code=1)
    with open(out, newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        "file", "label", "known", "label_1", "probability_1", "label_2", "probability_2", "error", "milliseconds"
    ]  # fmt: skip
    results = [None if i == 1 else lcnet.load("lcnet_050.cifar10").classify(photos / f"{i}.png", 2)[0] for i in range(4)]
    for row, result in zip(rows, results, strict=True):
        if result is None:
            assert row["error"] and not row["label"] and not row["known"]
            continue
        assert [row["label_1"], row["label_2"]] == [p.label for p in result.top]
        assert np.float32(row["probability_1"]) == np.float32(result.top[0].probability)
        known = result.top[0].probability >= 0.5
        assert (row["label"], row["known"]) == ((result.top[0].label, "true") if known else ("unknown", "false"))
    printed = run("classify", photos, *MODEL, "-k", 2, "--wide", "-f", "csv", "--threshold", 0.5, code=1).stdout
    assert [r.rpartition(",")[0] for r in printed.splitlines()] == [r.rpartition(",")[0] for r in out.read_text().splitlines()]
    for ending in ("json", "jsonl", "npz", "parquet"):
        assert "one row a picture already" in refused("classify", photos, *MODEL, "--wide", "-o", tmp_path / f"x.{ending}")


def test_threshold_for_once(photos):
    best = lcnet.load("lcnet_050.cifar10").classify(photos / "0.png")[0].probability
    for threshold, known in ((0, True), (best - 1e-6, True), (min(1, best + 1e-6), False), (1, best == 1)):
        (row,) = json.loads(run("classify", photos / "0.png", *MODEL, "-f", "json", "--threshold", threshold).stdout)
        assert row["known"] is known and bool(row["labels"]) is known
    assert "unknown" in run("classify", photos / "0.png", *MODEL, "--threshold", 1).stdout
    for bad in ("-0.1", "1.1", "x"):
        assert "--threshold" in run("classify", photos / "0.png", *MODEL, "--threshold", bad, code=2).output
    assert "threshold is nan" in refused("classify", photos / "0.png", *MODEL, "--threshold", "nan")
    with pytest.raises(lcnet.InputError, match="a number from 0 to 1"):
        lcnet.load("lcnet_050.cifar10").classify(photos / "0.png", threshold=2)


def test_long_silent_work_shows_life(photos, tmp_path, monkeypatch):
    from lcnet.cli import progress

    shown = []
    monkeypatch.setattr(progress, "PATIENCE", 0)
    monkeypatch.setattr(progress, "PAUSE", 0)
    monkeypatch.setattr(progress, "on_terminal", lambda _: True)
    monkeypatch.setattr(progress.Progress, "_draw", lambda self, text, now: shown.append(text))
    line = ["classify", photos, *MODEL, "-o", tmp_path / "x.csv", "--update"]
    run(*line)
    put(photos / "3.png", 9)
    run(*line)
    assert {"reading x.csv ...", "looking for what is new ...", "writing x.csv ..."} <= set(shown)


@pytest.mark.parametrize("ending", ["csv", "npz"])
def test_killed_at_any_moment_night_after_night(photos, tmp_path, ending):
    """kill -9 at chance moments of real processes, two at once now and then; in the end the file is right."""
    chance, out = random.Random(5), tmp_path / f"x.{ending}"
    line = list(map(str, ["classify", photos, *MODEL, "-k", 1, "-o", out, "--update"]))
    began = time.monotonic()
    run(*line)
    whole, killed = time.monotonic() - began, 0
    for night in range(12):
        for _ in range(4):
            put(photos / f"{chance.randrange(40)}.png", chance.choice([None, 1, 2, 3, 4]))
        started = [subprocess.Popen([*LCNET, *line], stdout=-3, stderr=-3) for _ in range(1 + night % 2)]
        time.sleep(chance.uniform(0.2, 1) * whole)
        for process in started:
            process.kill()
            killed += process.wait() == -signal.SIGKILL
        if out.exists():
            rows_in(out)
    broken = any(p.read_bytes() == b"broken" for p in photos.iterdir())
    run(*line, code=int(broken))
    run(*line[:-3], "-o", tmp_path / f"y.{ending}", code=int(broken))
    assert sorted(rows_in(out)) == sorted(rows_in(tmp_path / f"y.{ending}")) and killed


def test_stopped_by_ctrl_c_what_was_done_is_in_the_file(photos, tmp_path):
    out = tmp_path / "x.npz"
    stop = "import lcnet.results.update as u; w = u.Update.write\n"
    stop += "def write(self, *a):\n    w(self, *a)\n    if self.done == 2: raise KeyboardInterrupt\nu.Update.write = write\n"
    stop += "from lcnet.cli import main; main(prog_name='lcnet')"
    line = ["classify", photos, *MODEL, "-k", 1, "-o", out, "--update", "--prune"]
    done = subprocess.run([sys.executable, "-c", stop, *map(str, line)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 130 and "holds them, and the same command goes on" in done.stderr
    assert len(rows_in(out)) == 2 and sorted(os.listdir(tmp_path)) == ["photos", "x.npz", "x.npz.state"]
    assert "2 new, 2 as they were" in run(*line).stdout


# The recipes of docs/bulk.md, as they stand there.


def blocks(kind):
    return re.findall(rf"```{kind}\n(.*?)```", (DOCS / "bulk.md").read_text("utf-8"), re.S)


def crontab_command(home, environment):
    """The command of the crontab line, as cron runs it: its variables in the environment, the rest to `sh -c`."""
    (table,) = blocks("crontab")
    variables, lines = {}, []
    for line in table.splitlines():
        if name := re.fullmatch(r"([A-Z]+)=(.*)", line):
            variables[name[1]] = name[2]
        else:
            lines.append(line)
    assert len(lines) == 1 and "%" not in lines[0]
    *when, command = lines[0].split(" ", 5)
    assert all(re.fullmatch(r"[\d*]+", field) for field in when) and len(when) == 5 and "MAILTO" in variables
    assert "/srv" in command
    return ["/bin/sh", "-c", command.replace("/srv", str(home))], {**environment, **variables}


def unit_command(home, environment):
    """ExecStart and WorkingDirectory of the unit."""
    service, timer = (dict(re.findall(r"^(\w+)=(.*)$", block, re.M)) for block in blocks("ini"))
    assert service["Type"] == "oneshot" and timer["OnCalendar"] and service["SuccessExitStatus"] == "1 143"
    program, *arguments = shlex.split(service["ExecStart"])
    assert program == "/usr/local/bin/lcnet" and service["WorkingDirectory"] == "/srv"
    return [str(home / "bin" / "lcnet"), *arguments], environment


@pytest.mark.parametrize("recipe", [crontab_command, unit_command])
def test_the_recipes_night_after_night(tmp_path, recipe):
    """First, again, then with a picture that sorts earlier, a damaged one and one less; exit codes, mail and rows."""
    lcnet_050 = "-m lcnet_050.cifar10"  # here, where the usual model would have to be fetched
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "lcnet"
    script.write_text(f'#!/bin/sh\nexec {shlex.join(LCNET)} "$@" {lcnet_050}\n')
    script.chmod(0o755)
    home = {k: v for k, v in os.environ.items() if k in ("HOME", "PYTHONPATH", "OMP_NUM_THREADS")}
    command, environment = recipe(tmp_path, {**home, "PATH": f"{tmp_path}/bin:/usr/bin:/bin"})
    mails = recipe is crontab_command
    photos, out = tmp_path / "photos", tmp_path / "tags.csv"

    def night():
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
        assert "Traceback" not in done.stdout + done.stderr
        if mails:
            assert done.stderr == "" and done.returncode == 0
            assert done.stdout == "" or done.stdout.splitlines() == (tmp_path / "tags.log").read_text().splitlines()[-20:]
        return done.stdout if mails else done.returncode

    for i in (3, 4, 5):
        put(photos / "a" / f"{i}.png", i)
    good = "" if mails else 0
    assert night() == good and night() == good
    assert answers(out) == right(*photos.rglob("*.png"))
    put(photos / "a" / "1.png", 1)
    put(photos / "b" / "6.png", None)
    os.remove(photos / "a" / "5.png")
    bad = night()
    assert ("1 of 2 images could not be read" in bad and "2 new, 2 as they were" in bad) if mails else bad == 1
    assert answers(out) == {**right(*photos.rglob("*.png")), "5.png": answers(out)["5.png"]}
    assert night() != good
    put(photos / "b" / "6.png", 6)
    assert night() == good
    (tmp_path / "tags.csv.state").write_text(json.dumps({"lcnet": 2, "with": {"command": "embed"}, "file": [0, 0]}))
    bad = night()
    assert "begun with command" in bad if mails else bad == 4


def test_the_example_in_python(photos, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (code,) = (block for block in blocks("python") if "lcnet.results.job" in block)
    for shown in ("4 0 Counter({'new': 4})", "0 0 Counter({'same': 4})"):
        exec(code, {"path": tmp_path / "tags.csv"})
        assert capsys.readouterr().out == f"{shown}\n"
    assert answers(tmp_path / "tags.csv") == right(*photos.glob("*.png"))
