"""Parts by any usual name, wherever they stand; never taken for classes, and classes never taken for them."""

import json

import numpy as np
import pytest
from archived import write_zip
from click.testing import CliRunner
from labelled import animals, png, refused, write, write_shard

from lcnet.cli import main
from lcnet.dataset import open_dataset
from lcnet.dataset.check import check
from lcnet.dataset.parts import parts_among, split_of


@pytest.fixture(params=["folder", "zip"])
def packed(request, tmp_path):
    """Turns a folder into each kind of tree."""

    def pack(folder):
        if request.param == "folder":
            return folder
        files = sorted(p for p in folder.rglob("*") if p.is_file())
        members = [(p.relative_to(folder).as_posix(), p.read_bytes()) for p in files]
        return write_zip(tmp_path / f"{folder.name}.zip", members)

    return pack


def sizes(splits):
    return {name: len(part) for name, part in splits.parts().items()}


@pytest.mark.parametrize(
    ("part", "names"),
    [
        ("train", ["train", "TRAINING", "training_set", "train-set", "trainSet", "train_data", "train images", "data_train"]),
        ("train", ["train2017", "img_train", "training-split", "train_image_set"]),
        ("val", ["val", "valid", "Validation", "val_set", "valset", "dev", "dev_set", "validation.images"]),
        ("test", ["test", "testing", "test_set", "TestData", "images-test"]),
        ("eval", ["eval", "evaluation", "eval_set"]),
        (None, ["", "set", "data", "trainer", "trains", "latest", "contest", "devkit", "test1", "blood_test", "validity"]),
        (None, ["train_test", "retrain", "steam train", "data" * 500, "images_" * 500 + "train"]),
    ],
)
def test_names(part, names):
    assert {name: split_of(name) for name in names} == dict.fromkeys(names, part)


def test_names_that_differ_by_the_part_only():
    found = {"seg_train": "train", "seg_test": "test"}
    assert parts_among([*found, "seg_pred"]) == found
    assert parts_among(["n_train", "n_img", "N_Val"]) == {"n_train": "train", "N_Val": "val"}
    for names in (["blood_test", "urine_test"], ["freight_train", "blood_test"], ["freight_train", "steam_train"]):
        assert parts_among(names) == {}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("training_set", "test_set"), ["train", "test"]),
        (("Train-Data", "Dev-Data", "Test-Data"), ["train", "val", "test"]),
        (("train_images", "validation_images"), ["train", "val"]),
        (("seg_train/seg_train", "seg_test/seg_test"), ["train", "test"]),
        (("training_set/training_set", "test_set/test_set"), ["train", "test"]),
        (("train", "eval"), ["train", "val"]),
        (("train", "eval", "test"), ["train", "val", "test"]),
        (("training", "validation", "evaluation"), ["train", "val", "test"]),
        (("dataset/dataset/train", "dataset/dataset/test"), ["train", "test"]),
    ],
)
def test_parts_by_other_names(tmp_path, packed, names, expected):
    splits = open_dataset(packed(animals(tmp_path / "data", names)))
    assert list(splits.parts()) == expected and splits.train.classes == ("cat", "dog")
    assert list(sizes(splits).values()) == [6] * len(names)
    assert f"/{names[0]}/cat/0.png" in splits.train.names[0].replace("!", "")
    assert f"/{names[-1]}/cat/0.png" in getattr(splits, expected[-1]).names[0].replace("!", "")


def test_four_parts_are_one_too_many(tmp_path):
    refused(animals(tmp_path, ("train", "val", "test", "eval")), "parts for val, test and eval")


def test_parts_without_classes(tmp_path, packed):
    files = {f"train/{c}.{i}.jpg": i for c in ("cat", "dog") for i in range(3)} | {"test/1.jpg": 9}
    words = [
        "'train' and 'test' are parts, not classes",
        "/train/<class>/<picture>",
        "--labels-from-names auto",
        "cat.0.jpg",
        "path,label,split",
        "rename them",
    ]
    refused(packed(write(tmp_path / "a", files)), *words)
    refused(packed(write(tmp_path / "b", {f"x/y/{name}": data for name, data in files.items()})), *words[:2])
    refused(packed(write(tmp_path / "c", {"Training_Set/a.png": 1, "Test_Set/a.png": 2})), "'Training_Set' and 'Test_Set'")
    refused(packed(write(tmp_path / "d", {"train/a.png": 1, "train/b.png": 2})), "'train' is a part, not a class")
    refused(packed(write(tmp_path / "e", {"valid/a.png": 1, "test/b.png": 2})), "are parts, not classes")
    refused(packed(write(tmp_path / "f", files | {"unlabelled/1.jpg": 3})), *words[:1])
    refused(
        packed(write(tmp_path / "g", {"train/cat/a.png": 1, "train/dog/b.png": 2, "test/c.png": 3})),
        "test holds pictures but no class folders",
    )
    refused(packed(write(tmp_path / "h", {"train/a.png": 1, "test/cat/a.png": 2})), "'train' is a part, not a class")


def test_folders_without_pictures_beside_parts_are_no_classes(tmp_path):
    data = write(tmp_path, {"train/a.png": 1, "labels/a.txt": ""})
    refused(data, "'train' is a part")


@pytest.mark.parametrize(
    "classes", [("blood", "test", "urine"), ("invalid", "valid"), ("car", "ship", "train"), ("blood_test", "urine_test")]
)
def test_one_class_may_be_called_like_a_part(tmp_path, packed, classes):
    splits = open_dataset(packed(animals(tmp_path / "data", ("",), classes)))
    assert splits.train.classes == classes and list(splits.parts()) == ["train"]
    named = [c["name"] for f in check(splits).findings if f.kind == "part-names" for c in f.items]
    assert named == [c for c in classes if c in ("test", "valid", "train")]


def test_a_train_that_may_be_a_class_is_refused(tmp_path, packed):
    data = write(tmp_path / "data", {"train/steam/a.png": 1, "train/diesel/b.png": 2, "ship/c.png": 3})
    refused(packed(data), "is 'train' the part for train, or a class beside 'ship'?", "/train to take it alone")


def test_shards_in_folders_of_other_names(tmp_path):
    for part in ("training_set", "dev_set"):
        write_shard(tmp_path / part / "0.tar", [{f"{c}.png": png(c), f"{c}.cls": str(c)} for c in range(2)])
    assert sizes(open_dataset(tmp_path)) == {"train": 2, "val": 2}


# _classes.csv


def listing(rows, header="filename, cat, dog, emu"):
    return header + "\n" + "".join(f"{i}.png, {row}\n" for i, row in enumerate(rows))


def listed(folder, rows=("1, 0, 1", "0, 1, 0", "0, 0, 0"), parts=("train", "valid", "test"), **names):
    files = {f"{part}/{i}.png": i + 9 * n for n, part in enumerate(parts) for i in range(len(rows))}
    return write(folder, files | {f"{part}/_classes.csv": listing(rows, **names) for part in parts})


def test_a_table_in_each_part(tmp_path, packed):
    splits = open_dataset(packed(listed(tmp_path / "data", header="\ufefffilename, emu, dog, cat")))
    assert sizes(splits) == {"train": 3, "val": 3, "test": 3} and splits.train.classes == ("cat", "dog", "emu")
    assert splits.val.multi_label and splits.val.targets.tolist() == [[1, 0, 1], [0, 1, 0], [0, 0, 0]]
    assert splits.val.names[1].endswith("/valid/1.png") and splits.val.read(1) == png(10)


def test_tables_with_one_label_a_row_and_of_one_part(tmp_path):
    data = listed(tmp_path, ("1,0,0", "0,1,0", "0,0,1"))
    splits = open_dataset(data)
    assert not splits.train.multi_label and splits.test.targets.tolist() == [0, 1, 2]
    assert open_dataset(data / "train").train.targets.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (listing(["1, 2, 0"]), ["row 2: its column 'dog' has '2'", "expected 0 or 1"]),
        (listing(["1, 0"]), ["row 2: expected a file's name and 3 cells"]),
        (listing(["1, 0, 0"]) + "9.png,0,0,1\n", ["row 3: 9.png is no picture in this folder"]),
        (listing(["1, 0, 0"]) + "0.png,0,0,1\n", ["row 3: 0.png is listed twice"]),
        (listing([]), ["lists no pictures"]),
        (listing(["1, 0, 0"], "filename, cat, dog, yak"), ["not in the _classes.csv of every part"]),
        (listing(["1, 0, 0"], "filename, cat, dog, cat"), ["row 1", "each once"]),
        ("", ["row 1"]),
        ('filename,cat,dog,emu\n"0.png,1', ["is damaged"]),
        (b"filename,cat,\xff\n", ["no UTF-8"]),
        (None, ["there is no such file, but train has one"]),
    ],
)
def test_tables_of_parts_that_are_refused(tmp_path, packed, text, words):
    data = listed(tmp_path / "data")
    (data / "valid/_classes.csv").unlink()
    if text is not None:
        write(data, {"valid/_classes.csv": text})
    refused(packed(data), "valid/_classes.csv", *words)


def test_folders_of_classes_count_before_a_table(tmp_path):
    data = write(animals(tmp_path, ("train",)), {"train/_classes.csv": "nonsense"})
    assert open_dataset(data).train.classes == ("cat", "dog")


# Labels from names


def test_labels_from_names(tmp_path, packed):
    names = ["cat.0.jpg", "cat (2).jpg", "deep/dog_12.png", "dog-13_b.png", "big dog_1.png", "x1_5.png", "big dog 2.png"]
    data = packed(write(tmp_path / "data", {f"train/{name}": i for i, name in enumerate(names)} | {"test/1.jpg": 9}))
    splits = open_dataset(data, "auto")
    assert list(splits.parts()) == ["train"] and splits.train.classes == ("big dog", "cat", "dog", "x1")
    found = {
        n.rpartition("/")[2]: splits.train.classes[t] for n, t in zip(splits.train.names, splits.train.targets, strict=True)
    }
    assert found == {
        "cat.0.jpg": "cat",
        "cat (2).jpg": "cat",
        "dog_12.png": "dog",
        "dog-13_b.png": "dog",
        "big dog_1.png": "big dog",
        "x1_5.png": "x1",
        "big dog 2.png": "big dog",
    }
    assert open_dataset(data, "(cat|dog|x)").train.classes == ("cat", "dog", "x")


def test_labels_from_names_without_parts(tmp_path):
    data = write(tmp_path, {f"{c}{i}.png": i for c in "ab" for i in range(2)} | {"test/a9.png": 9})
    train = open_dataset(data, r"^([a-z]+)\d").train
    assert train.classes == ("a", "b") and train.targets.dtype == np.int64 and train.targets.tolist() == [0, 0, 1, 1, 0]


def test_names_that_say_no_class(tmp_path):
    data = write(tmp_path / "a", {"train/cat.1.png": 1, "train/dog.1.png": 2, "val/cat.2.png": 3, "val/3.png": 4})
    refused(data, "val: 1 of 2 pictures", "the first is 3.png", rule="auto")
    refused(data, "'3' in val only", rule=r"([a-z]+|^\d)\.")
    refused(data, "no regular expression", rule="(")
    refused(data, "has 0 groups", rule="cat|dog")
    refused(data, "has 2 groups", rule="(cat)|(dog)")
    refused(write(tmp_path / "b", {"cat.1.png": 1, "cat.2.png": 2}), "one class only, 'cat'", rule="auto")
    refused(write(tmp_path / "c", {"x.txt": ""}), "holds no pictures", rule="auto")
    refused(
        write(tmp_path / "d", {"train/cat.1.png": 1, "train/b.1.png": 1, "test/b.2.png": 1, "test/c.png": 2}),
        "test: 1 of 2",
        rule="auto",
    )


def test_labels_that_are_said_elsewhere(tmp_path):
    write(tmp_path, {"t.csv": "a.png,cat\nb.png,dog\n", "a.png": 1, "b.png": 2})
    write_shard(tmp_path / "s/0.tar", [{f"{c}.png": png(c), f"{c}.cls": str(c)} for c in range(2)])
    for name in ("t.csv", "s", "s/0.tar", "s/*.tar"):
        refused(tmp_path / name, "leave out --labels-from-names", rule="auto")


# Commands


@pytest.fixture
def named(tmp_path):
    """A contest's data: pictures whose names say the class, and some without."""
    files = {f"train/{c}.{i}.png": 2 * i + n for n, c in enumerate(("cat", "dog")) for i in range(12)}
    return write(tmp_path / "named", files | {"test/1.png": 99})


def run(*arguments, code=0):
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exit_code == code, result.output + str(result.exception)
    return result


def test_check_data_says_what_is_wrong(named):
    output = run("check-data", named, code=4).output
    assert output.startswith(f"Error: {named}: 'train' and 'test' are parts, not classes") and len(output) < 600
    found = json.loads(run("check-data", named, "--labels-from-names", "auto", "--format", "json").stdout)
    assert found["classes"] == [{"name": "cat", "train": 12}, {"name": "dog", "train": 12}]


def test_a_pack_keeps_the_labels(named, tmp_path):
    run("pack", named, tmp_path / "out", "--labels-from-names", "auto")
    train = open_dataset(tmp_path / "out").train
    assert train.classes == ("cat", "dog") and np.bincount(train.targets).tolist() == [12, 12]


def test_evaluate_and_quantize_take_the_rule(named):
    words = ["--labels-from-names", "auto"]
    model = "lcnet_050.cifar10"
    found = json.loads(run("evaluate", model, named, *words, "--format", "json").stdout)
    assert found["pictures"] == 24 and found["split"] == "all"
    error = run("quantize", model, "--data", named, "--eval", named, code=4).output
    assert "are parts, not classes" in error
    from lcnet.hub import locate
    from lcnet.quantize.pictures import labeled

    assert len(labeled(named, locate(model).config, "auto")) == 24
