"""Whatever a picture or a label is called, every format gives it back, and a run that was cut short goes on from it."""

import csv
import io
import json
import os
import re

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import lcnet
from lcnet.config import Labels
from lcnet.formats import FORMULA, csv_text, guarded, json_text, unguarded
from lcnet.results import journal, outputs
from lcnet.results.outputs import Output
from lcnet.results.rows import Arrays, Classes
from lcnet.text import lines, one_line, plain, shown

pytestmark = pytest.mark.slow

PIECES = [
    "\r",
    "\n",
    "\r\n",
    "\t",
    '"',
    '""',
    "'",
    ",",
    "\x85",
    "\u2028",
    "\u2029",
    " ",
    "=",
    "+",
    "-",
    "@",
    "\\",
    "\\xff",
    "\\ud800",
    "\\x5c",
    "\x1b[31m",
    "\x7f",
    "\u202e",
    "\u05d0",
    "\U0001f600",
    "a",
    "\ufeff",
    "\v",
    "\f",
]
text = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=5).map("".join)
names = st.lists(st.sampled_from([p.encode() for p in PIECES]) | st.binary(max_size=3), max_size=5).map(
    lambda parts: os.fsdecode(b"".join(parts))
)
labels = st.lists(text.map(lambda t: t.replace("\0", "").encode("utf-8", "replace").decode()), min_size=3, max_size=3)
thorough = settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
BEGUN = {"model": "m"}
NOT_PRINTED = re.compile("[\0-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def told_back(name):
    """The bytes of a file's name, by the rule of docs/bulk.md."""
    return re.sub(rb"\\x([0-9a-f]{2})", lambda m: bytes([int(m[1], 16)]), name.encode())


def answer(label_names, i):
    top = tuple(lcnet.Prediction(n, label_names[n], None, 1 / (2 + n)) for n in ((i) % 3, (i + 1) % 3))
    return lcnet.Result(top, top[:1])


def write(path, kind, sources, label_names, safe=False, **options):
    rows = kind(label_names)
    with Output(path, rows, BEGUN, safe=safe, **options) as output:
        start = output.skip_done(iter(sources))
        for i in range(start, len(sources)):
            value = answer(label_names, i) if isinstance(rows, Classes) else np.arange(2, dtype=np.float32) - i
            output.write(sources[i], value, None)
    return path.read_bytes()


def classes(label_names):
    return Classes(Labels(tuple(label_names)), 3, 2)


def embeddings(_):
    return Arrays({"embeddings": (2,)})


# Texts


@given(st.text(st.characters(exclude_categories=()), max_size=12) | names)
@example("\ud800")
@example("\\xff")
@example(os.fsdecode(b"\xff"))
def test_a_name_as_text_can_be_written_everywhere_and_told_back(name):
    found = shown(name)
    found.encode()
    assert "\0" not in found
    back = re.sub(r"\\u(d[89a-f][0-9a-f]{2})|\\x([0-9a-f]{2})", lambda m: _unit(m[1], m[2]), found)
    assert back == name


def _unit(half, byte):
    return chr(int(half, 16)) if half else chr(int(byte, 16) + (0xDC00 if int(byte, 16) >= 0x80 else 0))


@given(names)
def test_the_bytes_of_a_file_s_name_come_back_by_the_documented_rule(name):
    assert told_back(shown(name)) == os.fsencode(name)


@given(st.text(st.characters(exclude_categories=()), max_size=12))
def test_what_is_printed_is_printable(name):
    for found in (one_line(name), plain(name)):
        assert found.isprintable() and not NOT_PRINTED.search(found)
    assert [line.isprintable() for line in lines(name).split("\n")].count(False) == 0
    assert lines(name).count("\n") == name.count("\n")


@given(st.recursive(st.text(max_size=9), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner)))
def test_json_is_exact_and_printable(value):
    for indent in (None, 2):
        found = json_text(value, indent)
        assert json.loads(found) == value and not NOT_PRINTED.search(found.replace("\n", ""))
    assert "\n" not in json_text(value) and json_text(value).splitlines() == [json_text(value)]


@given(st.lists(st.lists(text.filter(lambda t: "\0" not in t), min_size=2, max_size=4), max_size=4))
def test_csv_is_exact(rows):
    written = csv_text(rows)
    assert list(csv.reader(io.StringIO(written, newline=""), strict=True)) == rows
    assert written.encode() == csv_text(rows).encode() and "\r\n" not in re.sub('"[^"]*"', "", written)


@given(text)
def test_guarded_text_comes_back_and_begins_no_formula(cell):
    assert unguarded(guarded(cell)) == cell and not guarded(cell).startswith(FORMULA)


# Files


@thorough
@given(st.lists(names, min_size=1, max_size=4), labels, st.booleans())
def test_every_name_and_label_through_every_format(tmp_path, sources, label_names, safe):
    wanted = [shown(s) for s in sources]
    write(tmp_path / "x.csv", classes, sources, label_names, safe, overwrite=True)
    with open(tmp_path / "x.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    read = unguarded if safe else str
    assert [read(r["file"]) for r in rows[::2]] == [read(r["file"]) for r in rows[1::2]] == wanted
    assert [read(r["label"]) for r in rows[::2]] == [label_names[i % 3] for i in range(len(sources))]
    assert not (safe and any(r[k].startswith(FORMULA) for r in rows for k in ("file", "label")))
    write(tmp_path / "x.jsonl", classes, sources, label_names, overwrite=True)
    found = [json.loads(line) for line in (tmp_path / "x.jsonl").read_text("utf-8").splitlines()]
    assert [r["file"] for r in found] == wanted
    assert [p["label"] for r in found for p in r["top"]] == [
        label_names[(i + k) % 3] for i in range(len(sources)) for k in (0, 1)
    ]
    write(tmp_path / "x.npz", classes, sources, label_names, overwrite=True)
    saved = np.load(tmp_path / "x.npz")
    assert saved["paths"].tolist() == wanted and saved["labels"].tolist() == label_names


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(names, min_size=1, max_size=4), labels)
def test_every_name_and_label_through_parquet(tmp_path, sources, label_names):
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow (extra: parquet) is not installed")
    write(tmp_path / "x.parquet", classes, sources, label_names, overwrite=True)
    found = parquet.read_table(tmp_path / "x.parquet").to_pylist()
    assert [r["file"] for r in found] == [shown(s) for s in sources]
    assert [r["top"][0]["label"] for r in found] == [label_names[i % 3] for i in range(len(sources))]


def interrupted(path, kind, sources, label_names, safe, cut):
    """A run that was killed when `cut` of its bytes, from 0 to 1, were on the disk; returns what they were."""
    rows = kind(label_names)
    output = Output(path, rows, BEGUN, safe=safe)
    for i, source in enumerate(sources):
        value = answer(label_names, i) if isinstance(rows, Classes) else np.arange(2, dtype=np.float32) - i
        output.write(source, value, None)
    output.file.close()
    output.lock.close()
    data = output.working.read_bytes()
    output.working.write_bytes(data[: round(cut * len(data))])
    return data


@thorough
@given(
    st.lists(names, min_size=1, max_size=4),
    labels,
    st.booleans(),
    st.floats(0, 1),
    st.sampled_from([".csv", ".jsonl", ".npz"]),
    st.sampled_from([classes, embeddings]),
)
def test_cut_off_anywhere_it_goes_on_to_the_same_file(tmp_path_factory, sources, label_names, safe, cut, ending, kind):
    folder = tmp_path_factory.mktemp("cut")
    safe = safe and ending == ".csv"
    whole = write(folder / f"whole{ending}", kind, sources, label_names, safe)
    interrupted(folder / f"x{ending}", kind, sources, label_names, safe, cut)
    assert write(folder / f"x{ending}", kind, sources, label_names, safe, resume=True) == whole


SOURCES = [f"{i}.png" for i in range(9)]
NAMES = ["cat", "dog, \n big", "bird"]


def damage(data, at, what):
    """Bytes with one that is not what it was, the end staying as it is."""
    return data[:at] + what + data[at + len(what) :]


@pytest.mark.parametrize("kind", [classes, embeddings])
@pytest.mark.parametrize("ending", outputs.FORMATS)
@pytest.mark.parametrize("what", [b'"', b"\r", b"\n", b"\xff", b"\0" * 30, b"zz"])
def test_a_file_that_cannot_be_read_is_told_and_stays_as_it_is(tmp_path, ending, kind, what):
    """Damage in the middle of the work: no byte goes, unless the record is still one, as with another letter in it."""
    if ending == ".parquet":
        pytest.importorskip("pyarrow", reason="pyarrow (extra: parquet) is not installed")
    path = tmp_path / f"x{ending}"
    data = interrupted(path, kind, SOURCES, NAMES, False, 1)
    working = path if ending in (".csv", ".jsonl") else tmp_path / f"x{ending}.partial"
    told = 0
    for at in range(len(data) // 4, len(data) // 2, 3):
        harmed = damage(data, at, what)
        working.write_bytes(harmed)
        output = Output(path, kind(NAMES), BEGUN, resume=True)
        try:
            done = output.skip_done(iter(SOURCES))
            assert done == len(SOURCES), "work was thrown away"
        except lcnet.InputError as error:
            told += 1
            assert re.search("cannot be read from byte|was .*, now the list", str(error)) and "--overwrite" in str(error)
        finally:
            output.file.close()
            output.lock.close()
        assert working.read_bytes() == harmed
    assert told or ending in (".npz", ".parquet") or what == b"zz"


def test_the_refusal_says_where_what_and_what_to_do(tmp_path):
    path = tmp_path / "x.csv"
    data = interrupted(path, classes, SOURCES, ["cat", "dog", "bird"], False, 1)
    at = data.index(b"2.png")
    path.write_bytes(damage(data, at, b'"'))
    with pytest.raises(lcnet.InputError) as caught:
        write(path, classes, SOURCES, ["cat", "dog", "bird"], resume=True)
    assert str(caught.value) == (
        f"{path} cannot be read from byte {at} on: expected picture 3, 2.png, whole or cut short at the end of the file. "
        "Nothing is changed: bring the file back to what the run wrote, name the pictures that it had, or begin again with "
        "--overwrite"
    )


def test_a_csv_by_another_hand_is_not_cut(tmp_path):
    """As versions before wrote it: a CR outside of quotes, which readers take for the end of a row."""
    path, sources = tmp_path / "x.csv", ["a\rx.png", "b.png"]
    interrupted(path, classes, sources, ["cat", "dog", "bird"], False, 1)
    path.write_bytes(before := path.read_bytes().replace(b'"a\rx.png"', b"a\rx.png"))
    with pytest.raises(lcnet.InputError, match=r"from byte \d+ on: expected picture 1, a\\rx\.png, whole"):
        write(path, classes, sources, ["cat", "dog", "bird"], resume=True)
    assert path.read_bytes() == before


@pytest.mark.parametrize("text", ["[]", '"x"', "1", "null", "[" * 100_000, "\xff"])
def test_a_companion_that_says_nothing(tmp_path, text):
    path = tmp_path / "x.csv"
    data = interrupted(path, classes, SOURCES, NAMES, False, 1)
    (tmp_path / "x.csv.resume").write_text(text, encoding="latin-1")
    with pytest.raises(lcnet.InputError, match=r"x\.csv\.resume is damaged"):
        write(path, classes, SOURCES, NAMES, resume=True)
    assert path.read_bytes() == data


@pytest.mark.parametrize("ending", [".npz", ".csv"])
def test_a_companion_that_was_emptied_does_not_begin_anew(tmp_path, ending):
    path = tmp_path / f"x{ending}"
    data = interrupted(path, classes, SOURCES, NAMES, False, 1)
    (tmp_path / f"x{ending}.resume").write_bytes(b"")
    with pytest.raises(lcnet.InputError, match=r"is damaged|exists"):
        write(path, classes, SOURCES, NAMES, resume=True)
    assert (path if ending == ".csv" else tmp_path / "x.npz.partial").read_bytes() == data


def test_more_than_one_picture_is_not_an_end_that_was_cut(tmp_path):
    path = tmp_path / "x.npz"
    data = interrupted(path, embeddings, SOURCES * 5000, NAMES, False, 1)
    first = data.index(SOURCES[0].encode()) - journal._SIZE
    harmed = damage(data, first + 4, b"\xff\x3f\0\0")  # the length of the first error: nothing behind it can be found
    (tmp_path / "x.npz.partial").write_bytes(harmed)
    with pytest.raises(lcnet.InputError, match=r"cannot be read from byte|was .*, now the list"):
        write(path, embeddings, SOURCES * 5000, NAMES, resume=True)
    assert (tmp_path / "x.npz.partial").read_bytes() == harmed


def test_labels_longer_than_python_s_csv_takes(tmp_path):
    long = ["a" * 200_000, "b", "c"]
    whole = write(tmp_path / "whole.csv", classes, SOURCES, long)
    interrupted(tmp_path / "x.csv", classes, SOURCES, long, False, 0.7)
    assert write(tmp_path / "x.csv", classes, SOURCES, long, resume=True) == whole
    assert csv.field_size_limit() == 131072
