"""Lists of paths and numbers, as PaddleClas has them."""

import numpy as np
import pytest
from labelled import refused, write

from lcnet.dataset import open_dataset


@pytest.fixture
def data(tmp_path):
    """Writes lists beside four pictures; returns the first."""

    def lists(**files):
        write(tmp_path, {f"p/{i}.jpg": i for i in range(3)} | {"p/with space.jpg": 3})
        write(tmp_path, {f"{name}.txt": text for name, text in files.items()})
        return tmp_path / f"{next(iter(files))}.txt"

    return lists


NUMBERS = "p/0.jpg 1\r\n\r\np\\1.jpg 0\np/with space.jpg 2\n"


def test_numbers(data, tmp_path):
    train, val, test = open_dataset(data(train_list=NUMBERS))
    assert val is test is None and train.classes == ("0", "1", "2")
    assert train.targets.dtype == np.int64 and train.targets.tolist() == [1, 0, 2]
    assert list(train.names) == [str(tmp_path / f"p/{n}.jpg") for n in ("0", "1", "with space")]


@pytest.mark.parametrize("name", ["label_list", "flowers_label_list", "labels", "classes"])
def test_names_of_the_classes(data, name):
    path = data(train_list=NUMBERS, **{name: "2 cow\n0 cat\n1 dog\n3 hen\n"})
    assert open_dataset(path).train.classes == ("cat", "dog", "cow", "hen")


@pytest.mark.parametrize(
    ("train", "val", "test"),
    [("train_list", "val_list", "test_list"), ("train", "val", "test"), ("a_train_full", "a_valid_full", "a_testing_full")],
)
def test_lists_of_the_other_parts(data, train, val, test):
    lists = {
        train: NUMBERS,
        val: "p/2.jpg\t0\n",
        test: "p/2.jpg 2\np/0.jpg 1\n",
        "b_val_full": "x",
        "val_list_2": "x",
        "notes": "",
    }
    splits = open_dataset(data(**lists))
    assert [part.targets.tolist() for part in splits] == [[1, 0, 2], [0], [2, 1]]
    alone = data(**{val: "p/2.jpg 0\np/0.jpg 1\n", train: NUMBERS})
    assert [part and len(part) for part in open_dataset(alone)] == [2, None, None]


def test_a_0_or_1_for_each_class(data):
    splits = open_dataset(
        data(train_list="p/0.jpg\t0,1,0\np/1.jpg\t1, 1, 0\np/with space.jpg\t0,0,0\n", val_list="p/2.jpg\t1,0,0\n")
    )
    assert splits.train.multi_label and splits.train.classes == ("0", "1", "2")
    assert splits.train.targets.tolist() == [[0, 1, 0], [1, 1, 0], [0, 0, 0]] and splits.val.targets.tolist() == [[1, 0, 0]]
    named = open_dataset(data(train_list="p/0.jpg 0,1,0\np/1.jpg 1,0,1\n", val_list="p/2.jpg 1,0,0\n", labels="a\nb\nc\n"))
    assert named.train.classes == ("a", "b", "c") and named.train.targets.tolist() == [[0, 1, 0], [1, 0, 1]]
    one = open_dataset(data(train_list="p/0.jpg 0,1,0\np/1.jpg 1,0,0\n", val_list="p/2.jpg 1,0,0\n", labels="a\nb\nc\n"))
    assert not one.train.multi_label and one.train.targets.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("p/0.jpg 1\np/1.jpg cat\n", ["train_list.txt: row 2: its label is 'cat'", "a path, a space and a class's number"]),
        ("p/0.jpg\n", ["row 1: its label is ''"]),
        ("p/0.jpg -1\n", ["row 1: its label is '-1'"]),
        ("p/0.jpg ²\n", ["row 1: its label is"]),
        ("p/0.jpg 1\np/1.jpg 0,1\n", ["row 2: its label is '0,1'"]),
        ("p/0.jpg 1,0,0\np/1.jpg 0,1\n", ["row 2: its label is '0,1'"]),
        ("p/0.jpg 1,2\n", ["row 1: its column '1' has '2'"]),
        ("p/0.jpg 99999999999999\n", ["row 1: its label has the number 9999999999", "at most 65536"]),
        ("p/0.jpg 0\np/0.jpg 1\n", ["row 2: ", "p/0.jpg has other labels than in row 1"]),
        ("p/0.jpg 0\np/9.jpg 1\n", ["row 2: there is no file", "p/9.jpg"]),
        ("p/0.jpg 0\np/1.jpg 0\n", ["one class only"]),
        ("\n", ["no rows"]),
    ],
)
def test_refusals(data, text, words):
    refused(data(train_list=text), *words)


def test_refusals_of_what_is_beside(data, tmp_path):
    refused(
        data(train_list=NUMBERS, label_list="a\nb\n"), "row 4: its label has the number 2", "label_list.txt names 2 classes"
    )
    refused(data(train_list="p/0.jpg 0,1,0\n"), "its label has a 0 or 1 for 3, but label_list.txt names 2")
    refused(data(train_list=NUMBERS, labels="a\nb\nc\n"), "label_list.txt and labels.txt may each name its classes")
    (tmp_path / "labels.txt").unlink()
    refused(data(train_list=NUMBERS, label_list="a\nb\nc\n", val_list="p/0.jpg 0\n", valid_list=""), "mean the same")
    (tmp_path / "valid_list.txt").unlink()
    refused(data(train_list="p/0.jpg 0\np/1.jpg 1\n", val_list="p/2.jpg 2\n"), "'c' in val only")
    refused(data(train_list=NUMBERS, val_list="p/2.jpg 0,1,0\n"), "val_list.txt: row 1: its label is '0,1,0'")
