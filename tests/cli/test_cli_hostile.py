"""Every command with models, pictures and data whose every text is hostile: nothing of it reaches a terminal as it is."""

import csv
import io
import json
import os
import re
from dataclasses import replace
from pathlib import Path

import click.testing
import numpy as np
import pytest
from click.testing import CliRunner
from pictures import encoded, picture
from weights import random_weights, write_angles

import lcnet
from lcnet import modelfile
from lcnet.arch import Arch
from lcnet.cli import COMMANDS, main
from lcnet.config import Decision, Labels, ModelConfig, Preprocessing
from lcnet.modelfile import ModelFile

BAD = "\x1b]0;pwned\x07\r\n\t\x9b31m\x85\u2028\u202e\u2066\u200f\ufeff\x7f"
NAME = BAD.replace("\n", "") + "\n" + os.fsdecode(b"\xff")  # what a file can be called
ODD = re.compile("[\0-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
TORN = re.compile(r"^(\\t\\x9b|\\xff|\\udcff)", re.M)  # what stands behind a line end in them, at the start of a line
CLASSES = (f"a{BAD}", f"b{BAD}", "=c")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A model file, two folders of pictures and one of labelled ones."""
    top = tmp_path_factory.mktemp("world")
    config = ModelConfig(
        Arch(0.25, num_classes=3),
        Preprocessing((3, 32, 32)),
        Labels(CLASSES, tuple(f"n{c}" for c in CLASSES)),
        Decision(1.5, {CLASSES[0]: 0.9, CLASSES[1]: 0.1}),
        provenance={"source": BAD, BAD: BAD, "note": BAD, "deep": {BAD: [BAD]}, "list": [BAD]},
    )
    modelfile.write(top / f"model{NAME}.safetensors", ModelFile(config, random_weights(config.arch)))
    write_angles(top / "angles.st")
    for part in ("photos", *(f"data/{split}/{label}" for split in ("train", "val") for label in CLASSES)):
        (top / part).mkdir(parents=True)
        for i in range(3):
            path = top / part / f"{i}{NAME}.png"
            path.write_bytes(encoded(picture(seed=hash((part, i)) % 1000), "PNG"))
    (top / "photos" / f"broken{NAME}.png").write_bytes(b"nothing")
    (top / "data/train" / CLASSES[0] / f"broken{NAME}.png").write_bytes(b"nothing")
    return top


def model_of(world):
    return next(world.glob("*.safetensors"))


def run(*arguments, code=None):
    """Run a command; whatever it prints, and however it ends, must be fit for a terminal."""
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    assert code is None or result.exit_code == code, (result.exit_code, result.output)
    for stream in (result.stdout_bytes, result.stderr_bytes):
        assert not ODD.search(stream.decode()), ascii(stream.decode())
        assert not TORN.search(stream.decode()), ascii(stream.decode())
    return result


def runs(world, tmp_path):
    """Arguments of a run of each command, or of several, and the exit codes that are right."""
    model, photos, data, out = model_of(world), world / "photos", world / "data", tmp_path / f"out{NAME}"
    fast = ["--model", model, "--threads", 1]
    yield 1, ["classify", photos, *fast]
    yield 1, ["classify", photos, *fast, "--format", "json", "--timing"]
    yield 1, ["classify", photos, *fast, "--output", f"{out}.csv"]
    yield 4, ["classify", photos, *fast, "--output", f"{out}.csv"]  # which exists
    yield 4, ["classify", photos, *fast, "--output", f"{out}.csv", "--resume"]
    yield 1, ["embed", photos, *fast, "--output", f"{out}.npz"]
    yield 1, ["features", photos, *fast, "--output", f"{out}-f.npz", "--stride", 32]
    yield 0, ["classify", photos, *fast, "--shard", "0/2", "--output", f"{out}.jsonl"]
    yield 4, ["merge", f"{out}.jsonl", "-o", f"{out}-all.jsonl"]  # of two parts
    yield 4, ["merge", f"{out}.csv", "-o", f"{out}-all.csv"]
    yield 1, ["gallery", "build", f"{out}.gallery", photos, *fast]
    yield 4, ["gallery", "build", f"{out}.gallery", photos, *fast]  # which exists
    yield 1, ["gallery", "add", f"{out}.gallery", photos]
    yield 1, ["gallery", "search", f"{out}.gallery", photos, "--html", f"{out}.alike.html"]
    yield 1, ["gallery", "search", f"{out}.gallery", photos, "--format", "json"]
    yield 4, ["gallery", "search", model, photos]
    yield 0, ["gallery", "info", f"{out}.gallery"]
    yield 4, ["gallery", "remove", f"{out}.gallery", BAD]
    yield 0, ["gallery", "export", f"{out}.gallery", "--output", f"{out}.npy"]
    yield 1, ["upright", photos, "--model", world / "angles.st", "--threads", 1, "--dry-run"]
    yield (
        1,
        ["upright", photos, "-m", world / "angles.st", "--threads", 1, "-o", f"{out}.pages", "--report", f"{out}.report.jsonl"],
    )
    yield 4, ["upright", photos, "--model", model, "--dry-run"]  # whose classes are no angles
    yield 0, ["undo", f"{out}.report.jsonl"]
    copies = ["duplicates", photos, "--threads", 1]
    yield 1, [*copies, "--html", f"{out}.html"]
    yield 1, [*copies, "--format", "json"]
    yield 1, [*copies, "--action", "move", "--to", f"{out}.copies", "--report", f"{out}.moves.jsonl"]
    yield 4, ["undo", model]
    yield 4, ["evaluate", model, data, "--split", "train", "--threads", 1]
    common = ["evaluate", model, data, "--threads", 1, "--split", "all", "--skip-unreadable"]
    yield 1, common
    yield 1, [*common, "--format", "json"]
    yield 1, [*common, "--report", f"{out}.report", "--threshold", "precision>=0.99", "--output", f"{out}.safetensors"]
    yield 1, ["check-data", data]
    yield 1, ["check-data", data, "--format", "json"]
    yield 4, ["pack", data, f"{out}.pack"]
    yield 4, ["pack", data, f"{out}.pack", "--skip-unreadable"]  # whose names of classes are no lines
    yield 0, ["info", model]
    yield 0, ["info", model, "--format", "json"]
    yield 4, ["convert", model, tmp_path / "no" / NAME]
    yield 0, ["convert", model, f"{out}-2.safetensors"]
    yield 0, ["models"]
    yield 4, ["models", BAD]
    yield 0, ["recipes"]
    yield 4, ["recipes", BAD]
    yield 0, ["bench", "--model", model, "--engines", "lcnet", "--rounds", 1]
    yield 4, ["serve", f"x{BAD}", "--port", 0]
    yield 4, ["download", f"x{BAD}"]
    yield 4, ["export", f"{model}x", f"{out}.onnx"]
    yield 4, ["quantize", model, "--data", f"{photos}{NAME}", "--output", f"{out}.int8.safetensors"]
    yield 4, ["train", f"{data}{BAD}", "--output", out]


def test_every_command(world, tmp_path):
    seen = set()
    for code, arguments in runs(world, tmp_path):
        result = run(*arguments, code=code)
        assert result.output.strip()
        seen.add(arguments[0])
    assert seen == set(COMMANDS)


def test_what_is_on_the_command_line_comes_from_others_too(world):
    """`lcnet classify *` in a folder by another hand."""
    for command in COMMANDS:
        for extra in (f"--{BAD}", f"-{BAD}", NAME):
            run(command, extra)
    for arguments in ([BAD], [f"--{BAD}"], ["classify", "--top", BAD], ["classify", "--format", BAD], ["info", NAME]):
        assert run(*arguments).exit_code in (2, 4)


def test_csv_is_exact_but_on_a_terminal(world, monkeypatch):
    arguments = ["classify", str(world / "photos"), "--model", str(model_of(world)), "--format", "csv", "--top", "3"]
    found = list(csv.DictReader(io.StringIO(CliRunner().invoke(main, arguments).stdout_bytes.decode(), newline="")))
    assert [row["error"] for row in found if not row["rank"]] == [next(row["error"] for row in found if row["error"])]
    found = [row for row in found if row["rank"]]
    assert {row["label"] for row in found} == set(CLASSES) and {row["id"] for row in found} == {f"n{c}" for c in CLASSES}
    assert len(found) == 9
    monkeypatch.setattr(click.testing._NamedTextIOWrapper, "isatty", lambda self: True, raising=False)
    shown = run(*arguments, code=1).stdout
    assert "a\\x1b]0;pwned\\x07\\r\\n\\t\\x9b31m\\x85\\u2028\\u202e" in shown and shown.count("\n") == 11
    assert "'=c" in run(*arguments, "--csv-safe").stdout and "'=c" not in shown


def test_json_is_exact(world):
    result = run("classify", world / "photos", "--model", model_of(world), "--format", "json", "--top", 3)
    rows = json.loads(result.stdout)
    assert {p["label"] for row in rows if row["error"] is None for p in row["top"]} == set(CLASSES)
    facts = json.loads(run("info", model_of(world), "--format", "json").stdout)
    assert facts["labels"]["names"] == list(CLASSES) and facts["provenance"][BAD] == BAD


def test_what_a_model_says_of_itself_is_one_short_line(world):
    model = lcnet.load(model_of(world), threads=1)
    assert repr(model).isprintable() and "\\x1b]0;pwned\\x07" in repr(model)
    config = replace(model.config, provenance={"source": BAD * 1000})
    long = lcnet.Classifier(ModelFile(config, random_weights(config.arch)), threads=1)
    assert len(repr(long)) < 200
    assert all(repr(result).isprintable() for result in model.classify(np.zeros((32, 32, 3), np.uint8)))


def test_the_report_shows_text_as_text(world, tmp_path):
    run(
        "evaluate",
        model_of(world),
        world / "data",
        "--threads",
        1,
        "--split",
        "all",
        "--skip-unreadable",
        "--report",
        tmp_path / "r",
        code=1,
    )
    page = (tmp_path / "r" / "report.html").read_text(encoding="utf-8")
    assert not ODD.search(page) and "a\\x1b]0;pwned\\x07\\r\\n" in page
    found = json.loads((tmp_path / "r" / "evaluation.json").read_text(encoding="utf-8"))
    assert {row["label"] for row in found["classes"]} == set(CLASSES)
    assert not ODD.search((tmp_path / "r" / "evaluation.json").read_text(encoding="utf-8"))


def test_html_in_labels_is_text(world, tmp_path):
    model = modelfile.read(model_of(world))
    evil = ("<script>alert(1)</script>", '"><img src=x>', "&amp;")
    config = replace(model.config, labels=Labels(evil), decision=Decision())
    modelfile.write(tmp_path / "m.safetensors", replace(model, config=config))
    for label in evil:
        folder = tmp_path / "d" / label.replace("/", "\u2215")
        folder.mkdir(parents=True)
        (folder / "1.png").write_bytes(encoded(picture(seed=1), "PNG"))
    names = Labels(tuple(label.replace("/", "\u2215") for label in evil))
    modelfile.write(tmp_path / "m.safetensors", replace(model, config=replace(config, labels=names)))
    run("evaluate", tmp_path / "m.safetensors", tmp_path / "d", "--threads", 1, "--report", tmp_path / "r", code=0)
    page = (tmp_path / "r" / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page and "<img src=x" not in page and "&lt;script&gt;" in page and "&amp;amp;" in page


def test_every_line_that_prints_goes_through_one_function():
    """What prints is `say`, which escapes, but for JSON, which is escaped already, CSV, and the bytes for a script."""
    allowed = {
        "options.py": 1,
        "classify.py": 1,
        "printed.py": 6,
        "listing.py": 5,
        "gallery.py": 2,
        "gallery_search.py": 2,
        "duplicate_rows.py": 5,
        "models.py": 2,
        "info.py": 1,
        "recipes.py": 1,
        "download.py": 1,
        "__init__.py": 2,
    }
    found = {}
    for file in sorted((Path(lcnet.__file__).parent / "cli").glob("*.py")):
        number = file.read_text(encoding="utf-8").count("click.echo(")
        if number:
            found[file.name] = number
    assert found == allowed
