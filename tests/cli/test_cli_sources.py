"""What people bring to the commands: pipes, films, formats that are not read, folders in folders, large pictures."""

import csv
import io
import json
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from click.testing import CliRunner
from pictures import encoded, picture
from PIL import Image

import lcnet
from lcnet.cli import main
from lcnet.sources import formats

MODEL = ["--model", "lcnet_050.cifar10", "--threads", "2"]
PNG = encoded(picture(), "PNG")


def run(*arguments, code=0, stdin=None):
    result = CliRunner().invoke(main, [str(a) for a in arguments], input=stdin)
    assert result.exit_code == code, result.output + str(result.exception)
    assert "Traceback" not in result.output
    return result


@pytest.fixture
def without_heif(monkeypatch):
    formats.installed.cache_clear()
    monkeypatch.setattr(formats, "find_spec", lambda name: None)
    yield
    formats.installed.cache_clear()


@pytest.fixture
def film(tmp_path):
    """A folder with a picture and a film of five frames."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(PNG)
    first, *others = [Image.fromarray(picture(seed=i)) for i in range(5)]
    (tmp_path / "photos" / "b.png").write_bytes(encoded(first, "PNG", save_all=True, append_images=others))
    return tmp_path / "photos"


def files_of(text):
    return list(dict.fromkeys(row["file"] for row in csv.DictReader(io.StringIO(text))))


def test_what_is_not_taken_is_said(film, without_heif):
    for name in ("x.heic", "y.HEIC", "t.txt"):
        (film / name).write_bytes(b"x")
    (film / "below").mkdir()
    (film / "below" / "c.png").write_bytes(PNG)
    said = run("classify", film, *MODEL).stderr
    assert "lcnet: 3 files not taken: 2 .heic (needs pip install pillow-heif), 1 .txt\n" in said
    assert "lcnet: 1 picture in folders below: --recursive takes them too\n" in said
    assert "lcnet: 1 file with several frames, of which the first was taken: --frames all takes all\n" in said
    said = run("embed", film, "-r", "--frames", "all", *MODEL, "-o", film / "e.npz").stderr
    assert "3 files not taken" in said and "folders below" not in said and "several frames" not in said
    assert run("classify", film / "a.png", *MODEL).stderr == ""


def test_a_folder_without_pictures_says_where_they_are(tmp_path, without_heif):
    (tmp_path / "d").mkdir()
    for name in ("d/a.png", "d/b.png", "c.heic"):
        (tmp_path / name).write_bytes(PNG)
    said = run("classify", tmp_path, *MODEL, code=4).stderr
    assert "no images" in said and "1 file not taken: 1 .heic (needs" in said and "2 pictures in folders below" in said


@pytest.mark.parametrize("command", ["check-data", "evaluate", "pack"])
def test_commands_on_data_say_what_is_not_taken(tmp_path, without_heif, command):
    for name in ("cat/a.png", "cat/b.heic", "dog/a.png", "dog/t.txt", "stray.png"):
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / name).write_bytes(encoded(picture(seed=len(name)), "PNG"))
    arguments = {
        "check-data": [tmp_path / "data"],
        "evaluate": ["lcnet_050.cifar10", tmp_path / "data"],
        "pack": [tmp_path / "data", tmp_path / "out"],
    }[command]
    output = run(command, *arguments).output
    assert "1 .heic (needs pip install pillow-heif)" in output and "1 .txt" in output
    assert "1 picture" in output and "in no class's folder" in output
    for name in ("cat/a.png", "dog/a.png"):
        (tmp_path / "data" / name).unlink()
    arguments[-1] = arguments[-1].with_name("another") if command == "pack" else arguments[-1]
    output = run(command, *arguments, code=4).output
    assert "holds no pictures" in output and "needs pip install pillow-heif" in output


def test_the_report_of_check_data_has_what_is_not_taken(tmp_path, without_heif):
    for name in ("cat/a.png", "cat/b.heic", "cat/c.heic", "dog/a.png", "dog/t.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(encoded(picture(seed=len(name)), "PNG"))
    report = json.loads(run("check-data", tmp_path, "--format", "json").output)
    found = {f["kind"]: f for f in report["findings"]}
    assert found["untaken-pictures"]["level"] == "warning" and found["untaken-files"]["level"] == "remark"
    assert found["untaken-pictures"]["items"] == [{"kind": ".heic", "files": 2, "advice": "needs pip install pillow-heif"}]


def test_standard_input_is_a_picture():
    alone = run("classify", "-", *MODEL, "-f", "csv", stdin=PNG).output
    assert files_of(alone) == ["-"]
    expected = lcnet.load("lcnet_050.cifar10").classify(PNG)[0]
    assert f"{expected.top[0].label},{expected.probability:.9g}" in alone
    assert "standard input is one picture" in run("classify", "-", "-", *MODEL, code=2, stdin=PNG).stderr
    assert "named twice" in run("classify", "-", "--files-from", "-", *MODEL, code=2, stdin=PNG).stderr
    assert "lcnet: -: it is empty" in run("classify", "-", *MODEL, code=1, stdin=b"").stderr


def test_pipes_are_pictures(tmp_path):
    (tmp_path / "a.png").write_bytes(PNG)
    script = f"cat a.png | {sys.executable} -m lcnet embed - <(cat a.png) fifo {' '.join(MODEL)} -o out.jsonl"
    os.mkfifo(tmp_path / "fifo")
    threading.Thread(target=(tmp_path / "fifo").write_bytes, args=(PNG,), daemon=True).start()
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["file"] for row in rows][::2] == ["-", "fifo"] and rows[1]["file"].startswith("/dev/fd/")
    assert rows[0]["embeddings"] == rows[1]["embeddings"] == rows[2]["embeddings"] and rows[0]["error"] is None


@pytest.mark.parametrize("ending", ["csv", "jsonl", "npz", "parquet"])
def test_frames_in_every_kind_of_file_and_resumed(film, tmp_path, ending):
    if ending == "parquet":
        pytest.importorskip("pyarrow")
    whole, part = tmp_path / f"whole.{ending}", tmp_path / f"part.{ending}"
    (film / "c.png").write_bytes((film / "b.png").read_bytes())
    arguments = ["classify", film, *MODEL, "--frames", "3", "--output"]
    run(*arguments, whole)
    expected = ["a.png", *(f"{n}.png/#{i}" for n in "bc" for i in (1, 3, 5))]
    assert [os.path.relpath(name, film) for name in names_in(whole)] == expected
    stop = "import itertools, lcnet.results.outputs as o; n = itertools.count(); w = o.Output.write\n"
    stop += "def write(*a):\n    w(*a)\n    if next(n) == 2: raise KeyboardInterrupt\no.Output.write = write\n"
    stop += "from lcnet.cli import main; main(prog_name='lcnet')"
    done = subprocess.run([sys.executable, "-c", stop, *map(str, arguments), str(part)], capture_output=True, text=True)
    assert done.returncode == 130, done.stderr
    other = run(*arguments[:-2], "all", "--output", part, "--resume", code=4).stderr
    assert "--frames" in other
    run(*arguments, part, "--resume")
    assert names_in(part) == names_in(whole)


def names_in(path):
    if path.suffix == ".csv":
        return files_of(path.read_text())
    if path.suffix == ".jsonl":
        return [json.loads(line)["file"] for line in path.read_text().splitlines()]
    if path.suffix == ".npz":
        return np.load(path)["paths"].tolist()
    import pyarrow.parquet

    return pyarrow.parquet.read_table(path)["file"].to_pylist()


@pytest.mark.parametrize("value", ["0", "-1", "some", "1.5", "٣", "9" * 5000])
def test_other_frames_are_refused(film, value):
    assert "first" in run("classify", film, "--frames", value, code=2).stderr


def test_max_pixels_on_every_command_that_decodes(tmp_path):
    for name in ("cat/a.png", "dog/a.png"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(encoded(picture(seed=len(name)), "PNG"))
    limit, words = ["--max-pixels", "863"], "more than --max-pixels 863"
    one = tmp_path / "cat" / "a.png"
    assert words in run("classify", one, *MODEL, *limit, code=1).stderr
    assert words in run("embed", one, *MODEL, *limit, "-o", tmp_path / "e.npz", code=1).stderr
    assert words in run("features", one, *MODEL, *limit, "-o", tmp_path / "f.npz", code=1).stderr
    assert words in run("check-data", tmp_path, *limit, code=1).output
    assert words in run("evaluate", "lcnet_050.cifar10", tmp_path, *limit, code=4).stderr
    assert words in run("pack", tmp_path, tmp_path.parent / "packed", *limit, code=4).stderr
    run("classify", one, *MODEL, "--max-pixels", "864")


def test_the_limit_that_the_message_advises_to_raise_can_be_raised(tmp_path, monkeypatch):
    from lcnet.image import limits

    monkeypatch.setattr(limits, "PILLOW_PIXELS", 400)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 400)  # as if 864 pixels were more than Pillow's default allows
    (tmp_path / "a.png").write_bytes(PNG)
    run("classify", tmp_path / "a.png", *MODEL, "--max-pixels", "1000")
