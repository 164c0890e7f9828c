"""Data sets that a table lists."""

import numpy as np
import pytest
from labelled import png, write

from lcnet.dataset import open_dataset
from lcnet.errors import ImageError, InputError


@pytest.fixture
def table(tmp_path):
    """Writes a table beside a few pictures, opens it."""
    write(tmp_path / "data", {f"p/{i}.png": i for i in range(4)})

    def open_table(text, name="labels.csv"):
        path = tmp_path / "data" / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return open_dataset(path)

    return open_table


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", "p/0.png,dog\np/1.png,cat\np/2.png,dog\n"),
        ("t.csv", "path,label\np/0.png,dog\np/1.png,cat\np/2.png,dog"),
        ("T.CSV", "\ufeffLabel , PATH\r\ndog,p/0.png\r\n\r\n cat ,p/1.png\r\ndog,./p/2.png\r\n"),
        ("t.tsv", "path\tlabel\np/0.png\tdog\np/1.png\tcat\np/2.png\tdog\n"),
        ("t.csv", '"p/0.png","dog"\n"p/1.png","cat"\n"p/x/../2.png",dog\n,\n'),
    ],
)
def test_path_and_label(table, tmp_path, name, text):
    train, val, test = table(text, name)
    assert val is test is None and train.classes == ("cat", "dog")
    assert train.targets.dtype == np.int64 and train.targets.tolist() == [1, 0, 1]
    assert list(train.names) == [str(tmp_path / f"data/p/{i}.png") for i in range(3)]
    assert train.read(1) == png(1)


def test_splits(table):
    splits = table("path,split,label\np/0.png,train,b\np/1.png,Training,a\np/2.png,VALID,b\np/3.png, test ,a\n")
    assert [part.targets.tolist() for part in splits] == [[1, 0], [1], [0]]
    assert table("p/0.png,a,train\np/1.png,b,train\np/2.png,b,val\n").test is None
    names = "p/0.png,a,training_set\np/1.png,b,Train\np/2.png,b,{}\np/3.png,a,evaluation\n"
    assert [part.targets.tolist() for part in table(names.format("dev"))] == [[0, 1], [1], [0]]
    assert [part.targets.tolist() for part in table(names.format("eval"))[:2]] == [[0, 1], [1, 0]]


def test_several_labels(table):
    train = table("p/0.png,dog|cat\np/1.png,emu\np/2.png, cat | dog | cat\n").train
    assert train.multi_label and train.classes == ("cat", "dog", "emu")
    assert train.targets.dtype == np.uint8 and train.targets.tolist() == [[1, 1, 0], [0, 0, 1], [1, 1, 0]]
    assert train.subset([1]).targets.tolist() == [[0, 0, 1]]


def test_paths_absolute_and_relative(table, tmp_path, monkeypatch):
    absolute = write(tmp_path / "other", {"x.png": 9}) / "x.png"
    assert table(f"p/0.png,a\n{absolute},b\n").train.read(1) == png(9)
    monkeypatch.chdir(tmp_path / "data")
    assert list(open_dataset("labels.csv").train.names) == ["p/0.png", str(absolute)]


def test_equal_rows_are_kept(table):
    assert len(table("p/0.png,a\n./p/0.png,a\np/1.png,b\n").train) == 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("path,labell,width\np/0.png,a,1\n", ["row 2: its column 'labell' has 'a'", "expected 0 or 1", "--columns"]),
        ("path,label,path\np/0.png,a,b\n", ["'path' and 'path' may each be the column of the path", "--columns path=NAME"]),
        ("label,split\na,train\n", ["label,split", "none of which is known as the pictures' path", "--columns"]),
        ("path,split\na,train\n", ["path,split", "expected one called label"]),
        ("path,split,,\na,train,,\n", ["expected one called label"]),
        ("path,cat,cat\na,1,0\n", ["different classes", "each once"]),
        ("foto,kind\np/0.png,a\n", ["row 1", "there is no file", "if this is a header, name its columns by --columns"]),
        ("p/0.png\n", ["row 1: it has 1 columns"]),
        ("p/0.png,a,train,x\n", ["row 1: it has 4 columns"]),
        ("p/0.png,a\np/1.png,b,train\n", ["row 2: it has 3 columns"]),
        ("p/0.png,a\np/1.png,\n", ["row 2: its label is empty"]),
        ("p/0.png,a\np/1.png,a||b\n", ["row 2: its label is empty", "a||b"]),
        ("p/0.png,a\n,b\n", ["row 2: its path is empty"]),
        ("p/0.png,a\np/9.png,b\np/8.png,b\n", ["row 2: there is no file", "p/9.png", "1 more are missing"]),
        ("p/0.png,a\np,b\n", ["row 2: there is no file"]),
        ("p/0.png,a\np/1.png,b\n\np/x/../0.png,b\n", ["row 4", "p/0.png has other labels than in row 1"]),
        ("p/0.png,a,train\np/1.png,b,fold1\n", ["row 2: its split is 'fold1'"]),
        ("p/0.png,a,val\np/1.png,b,val\n", ["no rows of train, only of val"]),
        ("p/0.png,a,train\np/1.png,b,train\np/2.png,c,val\n", ["'c' in val only"]),
        ("p/0.png,a\np/1.png,a\n", ["one class only, 'a'"]),
        ("", ["has no rows"]),
        ("path,label\n", ["has no rows"]),
        (b"p/0.png,\xff\n", ["no UTF-8"]),
        ('p/0.png,"a\np/1.png,b\n', ["row 1"]),
        ("p/0.png,a\n" + "x" * 200000 + ",b\n", ["row 2: field larger"]),
        ("p/0.png,a\np/1\0.png,b\n", ["row 2"]),
    ],
)
def test_refusals(table, text, words):
    with pytest.raises(InputError) as caught:
        table(text)
    message = str(caught.value)
    assert "labels.csv" in message and "\n" not in message and "\0" not in message
    for word in words:
        assert word in message, message


def test_several_labels_of_val_only(table):
    rows = "".join(f"p/{i}.png,new{i},val\n" for i in range(4))
    with pytest.raises(InputError, match=r"'new0', 'new1', 'new2' and 1 more in val only"):
        table("labels.csv,a,train\n" + rows)


def test_a_file_that_is_gone_later(table, tmp_path):
    train = table("p/0.png,a\np/1.png,b\n").train
    (tmp_path / "data/p/1.png").unlink()
    with pytest.raises(ImageError, match=r"1.png: there is no such file"):
        train.read(1)


def test_many_rows(tmp_path):
    write(tmp_path, {f"{i}.png": b"" for i in range(300)})
    (tmp_path / "t.csv").write_text("".join(f"{i}.png,{i % 7}\n" for i in range(300)))
    train = open_dataset(tmp_path / "t.csv").train
    assert train.targets.tolist() == [i % 7 for i in range(300)] and train.classes == tuple("0123456")
