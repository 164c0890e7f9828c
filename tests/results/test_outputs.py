"""Files of results: what they hold, and that a run cut off at any byte can be continued to the same file."""

import csv
import json
import os
import sys

import numpy as np
import pytest

import lcnet
from lcnet.config import Labels
from lcnet.results import begun, outputs, whole
from lcnet.results.outputs import Output
from lcnet.results.rows import Arrays, Classes
from lcnet.sources.found import problem

LABELS = Labels(("cat", 'a "big", dog', "Käfer"), ("n01", "n02", "n03"))
NAMES = ["a.png", 'b, "c".png', "two\nlines\r.png", "Käfer/d.png", "x.zip!/../e.png", os.fsdecode(b"caf\xe9.png"), "a.png"]
BAD = 3  # the index of a picture that could not be read
BEGUN = {"command": "test", "model": "m", "--top": 2}
COMPANION = begun.described(begun.WRITE, BEGUN)


def result(i):
    """The best class is accepted, but of every second picture none is."""
    order = [(i + k) % 3 for k in range(2)]
    top = tuple(lcnet.Prediction(n, LABELS.names[n], LABELS.ids[n], 1 / (3 + k + i)) for k, n in enumerate(order))
    return lcnet.Result(top, top[:1] if i % 2 else ())


CLASSES = Classes(LABELS, 3, 2), result
EMBEDDINGS = Arrays({"embeddings": (4,)}), lambda i: np.arange(4, dtype=np.float32) / 3 + i
MAPS = (
    Arrays({"stride_2": (2, 3, 3), "stride_4": (4, 1, 2)}),
    lambda i: [np.full((2, 3, 3), i / 7, np.float32), np.full((4, 1, 2), -i, np.float32)],
)
KINDS = {"classes": CLASSES, "embeddings": EMBEDDINGS, "maps": MAPS}
CASES = [(k, f) for k in KINDS for f in outputs.FORMATS if (k, f) != ("maps", ".csv")]


@pytest.fixture(autouse=True)
def parquet_where_there_is_pyarrow(request):
    if "ending" in request.fixturenames and request.getfixturevalue("ending") == ".parquet":
        pytest.importorskip("pyarrow", reason="pyarrow (extra: parquet) is not installed")


def fill(output, value, start, end):
    for i in range(start, end):
        error = lcnet.ImageError(f"{NAMES[i]}: it is\nbroken") if i == BAD else None
        output.write(NAMES[i], None if error else value(i), error, i / 8192)


def complete(path, kind, **options):
    rows, value = KINDS[kind]
    with Output(path, rows, BEGUN, **options) as output:
        done = output.skip_done(iter(NAMES))
        fill(output, value, done, len(NAMES))
    return path.read_bytes()


def shown_names():
    return [n.replace(NAMES[5], "caf\\xe9.png") for n in NAMES]


def good_names():
    return [n for i, n in enumerate(shown_names()) if i != BAD]


def test_csv_of_classes(tmp_path):
    complete(tmp_path / "x.csv", "classes")
    with open(tmp_path / "x.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [r["file"] for r in rows if r["rank"] in ("", "1")] == shown_names()
    assert [r["error"] for r in rows if not r["rank"]] == ["it is\\nbroken"]
    first = [{k: r[k] for k in ("rank", "index", "id", "label")} for r in rows[2:4]]
    assert first == [
        {"rank": "1", "index": "1", "id": "n02", "label": 'a "big", dog'},
        {"rank": "2", "index": "2", "id": "n03", "label": "Käfer"},
    ]
    assert np.float32(rows[2]["probability"]) == np.float32(1 / 4) and not rows[2]["error"]
    assert [r["accepted"] for r in rows[:4]] == ["false", "false", "true", "false"]


def test_jsonl(tmp_path):
    complete(tmp_path / "x.jsonl", "classes")
    rows = [json.loads(line) for line in (tmp_path / "x.jsonl").read_text(encoding="utf-8").split("\n")[:-1]]
    assert [r["file"] for r in rows] == shown_names() and rows[BAD] == {
        "file": NAMES[BAD],
        "error": "it is\\nbroken",
        "milliseconds": 0.366,
    }
    assert rows[1]["top"] == [p._asdict() for p in result(1).top] and rows[1]["error"] is None
    assert [(r["known"], r["labels"]) for r in rows[:2]] == [(False, []), (True, [LABELS.names[1]])]
    complete(tmp_path / "m.jsonl", "maps")
    row = json.loads((tmp_path / "m.jsonl").read_text().splitlines()[1])
    assert np.array_equal(np.array(row["stride_2"], np.float32), MAPS[1](1)[0]) and np.shape(row["stride_4"]) == (4, 1, 2)


def test_csv_of_embeddings_keeps_every_bit(tmp_path):
    complete(tmp_path / "x.csv", "embeddings")
    with open(tmp_path / "x.csv", newline="", encoding="utf-8") as file:
        head, *rows = csv.reader(file)
    assert head == ["file", "embeddings_0", "embeddings_1", "embeddings_2", "embeddings_3", "error", "milliseconds"]
    assert rows[BAD] == [NAMES[BAD], "", "", "", "", "it is\\nbroken", "0.366"]
    assert np.array_equal(np.array(rows[1][1:-2], np.float32), EMBEDDINGS[1](1))


@pytest.mark.parametrize("kind", KINDS)
def test_npz(tmp_path, kind):
    rows, value = KINDS[kind]
    complete(tmp_path / "x.npz", kind)
    saved = np.load(tmp_path / "x.npz")
    assert saved["paths"].tolist() == good_names()
    assert saved["error_paths"].tolist() == [NAMES[BAD]] and saved["errors"].tolist() == ["it is\\nbroken"]
    expected = [rows.arrays(value(i)) for i in range(len(NAMES)) if i != BAD]
    for column, name in enumerate(rows.shapes):
        stack = np.stack([e[column] for e in expected])
        assert saved[name].dtype == stack.dtype and np.array_equal(saved[name], stack)
    assert set(saved) == {"paths", "milliseconds", "error_paths", "errors", *rows.shapes, *rows.extras}
    if kind == "classes":
        assert saved["labels"][saved["indices"][1, 0]] == result(1).label
        assert saved["accepted"][:2].tolist() == [[False, False], [True, False]]


def test_npz_of_nothing_has_its_shapes(tmp_path):
    with Output(tmp_path / "x.npz", MAPS[0], BEGUN):
        pass
    saved = np.load(tmp_path / "x.npz")
    assert saved["stride_2"].shape == (0, 2, 3, 3) and saved["paths"].shape == saved["errors"].shape == (0,)


def test_parquet(tmp_path, monkeypatch):
    pytest.importorskip("pyarrow", reason="pyarrow (extra: parquet) is not installed")
    import pyarrow.parquet

    monkeypatch.setattr(whole, "_GROUP", 3)
    complete(tmp_path / "c.parquet", "classes")
    rows = pyarrow.parquet.read_table(tmp_path / "c.parquet").to_pylist()
    assert [r["file"] for r in rows] == shown_names() and [i for i, r in enumerate(rows) if r["error"]] == [BAD]
    assert rows[BAD]["top"] is None
    assert [(p["index"], p["label"], p["id"]) for p in rows[1]["top"]] == [p[:3] for p in result(1).top]
    assert [[p["accepted"] for p in r["top"]] for r in rows[:2]] == [[False, False], [True, False]]
    complete(tmp_path / "m.parquet", "maps")
    table = pyarrow.parquet.read_table(tmp_path / "m.parquet")
    assert table.schema.field("stride_2").metadata == {b"shape": b"[2, 3, 3]"}
    rows = table.to_pylist()
    assert rows[BAD]["stride_2"] is None and rows[BAD]["stride_4"] is None
    assert np.array_equal(np.array(rows[6]["stride_4"], np.float32).reshape(4, 1, 2), MAPS[1](6)[1])


@pytest.mark.parametrize("kind, ending", CASES)
def test_killed_at_any_byte_it_goes_on_to_the_same_file(tmp_path, kind, ending):
    rows, value = KINDS[kind]
    expected = complete(tmp_path / f"whole{ending}", kind)
    path = tmp_path / f"x{ending}"
    output = Output(path, rows, BEGUN)
    fill(output, value, 0, len(NAMES))
    output.file.close()
    output.lock.close()  # as if killed: nothing else is done
    data = output.working.read_bytes()
    done = []
    for end in range(0, len(data) + 1, max(1, len(data) // 70)):
        output.working.write_bytes(data[:end])
        with Output(path, rows, BEGUN, resume=True) as again:
            done.append(again.skip_done(iter(NAMES)))
            assert again.failed == (done[-1] > BAD)
            fill(again, value, done[-1], len(NAMES))
        assert path.read_bytes() == expected
        assert sorted(os.listdir(tmp_path)) == sorted([f"whole{ending}", path.name])
        (tmp_path / f"{path.name}.resume").write_bytes(COMPANION)
    assert done == sorted(done) and done[0] == 0 and done[-1] >= len(NAMES) - 1


@pytest.mark.parametrize("kind, ending", CASES)
def test_stopped_it_leaves_a_valid_file_and_goes_on(tmp_path, kind, ending):
    rows, value = KINDS[kind]
    expected = complete(tmp_path / f"whole{ending}", kind)
    path = tmp_path / f"x{ending}"
    for step in (2, 5):
        with pytest.raises(KeyboardInterrupt), Output(path, rows, BEGUN, resume=True) as output:
            fill(output, value, output.skip_done(iter(NAMES)), step)
            raise KeyboardInterrupt
        part = tmp_path / f"part{ending}"
        with Output(part, rows, BEGUN, overwrite=True) as output:
            fill(output, value, 0, step)
        assert path.read_bytes() == part.read_bytes()
    assert complete(path, kind, resume=True) == expected
    assert sorted(os.listdir(tmp_path)) == sorted([f"part{ending}", f"whole{ending}", path.name])


def left_by(path, kind="classes", number=3):
    """Leave a run that was stopped after some pictures."""
    rows, value = KINDS[kind]
    with pytest.raises(KeyboardInterrupt), Output(path, rows, BEGUN) as output:
        fill(output, value, 0, number)
        raise KeyboardInterrupt


def snapshot(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def refused(path, words, begun_with=BEGUN, names=NAMES, kind="classes", **options):
    before = snapshot(path.parent)
    with pytest.raises(lcnet.InputError, match=words), Output(path, KINDS[kind][0], begun_with, **options) as output:
        output.skip_done(iter(names))
    assert snapshot(path.parent) == before


@pytest.mark.parametrize("ending", outputs.FORMATS)
def test_what_is_another_run_is_not_resumed(tmp_path, ending):
    path = tmp_path / f"x{ending}"
    left_by(path)
    refused(path, "did not end: continue it with --resume")
    refused(path, 'begun with model "m", now it is "other"', {**BEGUN, "model": "other"}, resume=True)
    refused(path, "begun with --top 2, now it is 3", {**BEGUN, "--top": 3}, resume=True)
    refused(path, "begun with --top 2, now it is null", {k: BEGUN[k] for k in ("command", "model")}, resume=True)
    refused(path, "begun with --new null, now it is 1", {**BEGUN, "--new": 1}, resume=True)
    refused(path, "picture 1 was a.png, now the list has z.png there", names=["z.png"], resume=True)
    refused(path, "picture 2 was", names=[NAMES[0], NAMES[2]], resume=True)
    refused(path, "picture 3 was .*, now the list ends before it", names=NAMES[:2], resume=True)
    refused(path, "choose one", resume=True, overwrite=True)
    with Output(path, CLASSES[0], {**BEGUN, "model": "other"}, overwrite=True) as output:
        fill(output, result, 0, 1)
    refused(path, "exists: choose another")
    refused(path, "complete, so there is nothing", resume=True)


@pytest.mark.parametrize("ending", [".csv", ".npz"])
def test_two_at_a_time_are_refused(tmp_path, ending):
    path = tmp_path / f"x{ending}"
    with Output(path, CLASSES[0], BEGUN) as output:
        fill(output, result, 0, 2)
        for options in ({}, {"resume": True}, {"overwrite": True}):
            with pytest.raises(lcnet.InputError, match="by another process"):
                Output(path, CLASSES[0], BEGUN, **options)
        fill(output, result, 2, len(NAMES))
    assert path.read_bytes() == complete(tmp_path / f"whole{ending}", "classes")


def test_companions_that_are_damaged_are_told(tmp_path):
    left_by(tmp_path / "x.csv")
    (tmp_path / "x.csv.resume").write_bytes(b'{"comm')
    refused(tmp_path / "x.csv", "x.csv.resume is damaged", resume=True)
    (tmp_path / "x.csv.resume").write_bytes(COMPANION)
    (tmp_path / "x.csv").write_text("something else entirely, written by somebody")
    refused(tmp_path / "x.csv", "something else has written it", resume=True)


def test_without_its_journal_it_begins_again(tmp_path):
    left_by(tmp_path / "x.npz")
    (tmp_path / "x.npz.partial").unlink()
    assert complete(tmp_path / "x.npz", "classes", resume=True) == complete(tmp_path / "y.npz", "classes")


def test_files_that_cannot_be_are_refused_and_nothing_is_left(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    for name, words in (
        ("x.txt", r"\.csv, \.json, \.jsonl, \.npz or \.parquet"),
        ("x", "ends in"),
        ("no/x.csv", "there is no folder"),
        ("folder.csv", "is a folder"),
    ):
        with pytest.raises(lcnet.InputError, match=words):
            Output(tmp_path / name, CLASSES[0], BEGUN)
    with pytest.raises(lcnet.InputError, match="do not fit into a CSV"):
        Output(tmp_path / "x.csv", MAPS[0], BEGUN)
    assert os.listdir(tmp_path) == ["folder.csv"]


def test_overwriting_an_npz_keeps_the_old_one_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "x.npz"
    path.write_bytes(b"precious")
    with pytest.raises(RuntimeError), Output(path, CLASSES[0], BEGUN, overwrite=True) as output:
        fill(output, result, 0, 3)
        raise RuntimeError
    assert path.read_bytes() == b"precious"
    complete(path, "classes", resume=True)
    assert len(np.load(path)["paths"]) == len(NAMES) - 1


def test_a_full_disk_is_one_error_and_what_was_written_can_be_resumed(tmp_path, monkeypatch):
    path = tmp_path / "x.csv"
    real = begun.write_all

    def full(file, data):
        real(file, data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    with (
        pytest.raises(lcnet.InputError, match=r"x.csv cannot be written: No space left"),
        Output(path, CLASSES[0], BEGUN) as output,
    ):
        fill(output, result, 0, 2)
        monkeypatch.setattr(begun, "write_all", full)
        fill(output, result, 2, 3)
    monkeypatch.undo()
    with open(path, newline="") as file:
        assert len(list(csv.reader(file))) == 5
    assert complete(path, "classes", resume=True) == complete(tmp_path / "y.csv", "classes")


def test_without_pyarrow_the_extra_is_named_and_nothing_is_left(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(lcnet.MissingExtraError, match=r"lcnet\[parquet\]"):
        Output(tmp_path / "x.parquet", CLASSES[0], BEGUN)
    assert os.listdir(tmp_path) == []


def test_a_resumed_file_is_not_written_before_it_was_compared(tmp_path):
    left_by(tmp_path / "x.csv")
    with pytest.raises(lcnet.InputError, match="skip_done"), Output(tmp_path / "x.csv", CLASSES[0], BEGUN, True) as output:
        fill(output, result, 3, 4)
    assert complete(tmp_path / "x.csv", "classes", resume=True) == complete(tmp_path / "y.csv", "classes")


def test_a_reason_does_not_repeat_the_name(tmp_path):
    with Output(tmp_path / "x.jsonl", CLASSES[0], BEGUN) as output:
        source = problem("x.zip!/a\x1b.png", "it is \x1b[31mred")
        with pytest.raises(lcnet.ImageError) as caught:
            source.open()
        output.write(source, None, caught.value)
    row = json.loads((tmp_path / "x.jsonl").read_text())
    assert row == {"file": "x.zip!/a\x1b.png", "error": "it is \\x1b[31mred", "milliseconds": 0.0}
