"""Samples of shards whose members have two suffixes: which is the picture, which the label."""

import json

import pytest
from click.testing import CliRunner
from labelled import png, write, write_shard

from lcnet.cli import main
from lcnet.dataset import open_dataset
from lcnet.dataset.members import labels_among, pictures_among
from lcnet.errors import InputError
from lcnet.sources.passed import Passed


def opened(tmp_path, *samples, **options):
    write_shard(tmp_path / "x.tar", [{f"{i}{kind}": data for kind, data in s.items()} for i, s in enumerate(samples)])
    return open_dataset(tmp_path / "x.tar", **options).train


PLAIN = {".png": png(1), ".cls": "dog"}


@pytest.mark.parametrize(
    "sample",
    [
        {".input.png": png(2), ".target.cls": "cat"},
        {".input.PNG": png(2), ".Target.CLS": "cat"},
        {".image.png": png(2), ".label.txt": "cat"},
        {".png": png(2), ".json": {"label": "cat"}},
        {".png": png(2), ".meta.json": {"label": "dog"}, ".label.json": {"label": "cat"}},
        {".png": png(2), ".mask.png": b"x", ".input.png": b"x", ".cls": "cat"},
        {".input.png": png(2), ".mask.png": b"x", ".depth.png": b"x", ".cls": "cat"},
        {".left.png": png(2), ".features.npy": b"x", ".fine.cls": "cat"},
        {".png": png(2), ".cls": "cat", ".fine.cls": "dog"},
        {".png": png(2), ".cls": "cat", ".target.cls": "cat"},
        {".png": png(2), ".txt": "a photo of a dog", ".label.txt": "cat"},
        {".png": png(2), ".txt": "a photo of a dog", ".target.cls": "cat"},
        {".png": png(2), ".caption.txt": "a dog", ".target.json": '"cat"'},
    ],
)
def test_which_member_is_which(tmp_path, sample):
    train = opened(tmp_path, PLAIN, sample)
    assert train.classes == ("cat", "dog") and train.targets.tolist() == [1, 0] and train.read(1) == png(2)


@pytest.mark.parametrize(
    ("sample", "words"),
    [
        ({".left.png": b"x", ".right.png": b"x", ".cls": "a"}, ["sample 1 has two pictures, .left.png and .right.png"]),
        ({".input.png": b"x", ".image.jpg": b"x", ".cls": "a"}, ["sample 1 has two pictures, .input.png and .image.jpg"]),
        ({".a.png": b"", ".b.png": b"", ".c.png": b"", ".cls": "a"}, ["has 3 pictures, .a.png and .b.png and .c.png"]),
        ({".png": b"x", ".fine.cls": "a", ".coarse.cls": "b"}, ["sample 1 has different labels, .fine.cls and .coarse.cls"]),
        ({".png": b"x", ".cls": "a", ".target.cls": "b"}, ["sample 1 has different labels, .cls and .target.cls"]),
        ({".png": b"x", ".caption.txt": "a cat"}, ["sample 1 has no label"]),
        ({".input.png": b"x"}, ["sample 1 has no label"]),
        ({".target.cls": "a"}, ["sample 1 has a class and no picture"]),
    ],
)
def test_samples_that_are_not_certain(tmp_path, sample, words):
    with pytest.raises(InputError) as caught:
        opened(tmp_path, PLAIN, sample)
    for word in words:
        assert word in str(caught.value), caught.value


def test_the_ranks():
    assert pictures_among([".seg.png"], labelled=False) == [] and pictures_among([".seg.png"], labelled=True) == [".seg.png"]
    assert labels_among([".txt", ".json", ".a.b.cls", ".target.cls", ".cls", ".cap.txt"]) == [
        [".target.cls", ".cls"],
        [".a.b.cls"],
        [".json"],
        [".txt"],
    ]


def test_a_key_ends_at_the_first_dot_of_the_last_name(tmp_path):
    write_shard(
        tmp_path / "x.tar", [{"v1.0/a.png": png(1), "v1.0/a.cls": "cat"}, {"v1.0/b.input.png": png(2), "v1.0/b.cls": "dog"}]
    )
    assert open_dataset(tmp_path / "x.tar").train.targets.tolist() == [0, 1]


def test_the_separator_of_labels(tmp_path):
    samples = [{".png": png(1), ".cls": "cat,outdoor"}, {".png": png(2), ".txt": "ship,outdoor"}]
    train = opened(tmp_path, *samples, label_separator=",")
    assert train.classes == ("cat", "outdoor", "ship") and train.targets.tolist() == [[1, 1, 0], [0, 1, 1]]
    passed = Passed()
    assert opened(tmp_path, *samples, passed=passed).classes == ("cat,outdoor", "ship,outdoor")
    assert "--label-separator ','" in passed.text()
    write(tmp_path, {"classes.txt": "cat,outdoor\nship,outdoor\n"})  # who names them knows them
    passed = Passed()
    assert opened(tmp_path, *samples, passed=passed).targets.tolist() == [0, 1] and not passed.text()


# Commands


def run(*arguments):
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exit_code == 0, result.output + str(result.exception)
    return result.stdout


@pytest.fixture
def table(tmp_path):
    write(tmp_path, {f"p/{i}.png": i for i in range(4)})
    rows = ["img,kind,file,size", *(f'p/{i}.png,"{c},x",{i},9' for i, c in enumerate("abab"))]
    return write(tmp_path, {"t.csv": "\n".join(rows)}) / "t.csv"


def test_check_data_tells_what_is_taken(table):
    found = run("check-data", table, "--columns", "path=img,label=kind")
    assert "classes  2, of 2 to 2 pictures in train\n         'a,x', 'b,x'\n" in found
    assert "remark: columns that are not taken: 2\n  'file'\n  'size'\n" in found
    assert "joined by ',' (if so, add --label-separator ','): 2\n  'a,x'\n  'b,x'\n" in found
    found = run("check-data", table, "--columns", "path=img,label=kind", "--label-separator", ",")
    assert "classes  3, of 2 to 4 pictures in train; a picture may have several\n         'a', 'b', 'x'\n" in found
    assert "joined by" not in found


def test_the_other_commands_take_the_options(table, tmp_path):
    options = ["--columns", "path=img,label=kind", "--label-separator", ","]
    run("pack", table, tmp_path / "out", *options)
    assert open_dataset(tmp_path / "out").train.targets.tolist() == [[1, 0, 1], [0, 1, 1], [1, 0, 1], [0, 1, 1]]
    labels = [name for name in ("cat", "ship") for _ in range(2)]
    write(tmp_path, {"u.csv": "img,kind,file\n" + "".join(f"p/{i}.png,{c},x\n" for i, c in enumerate(labels))})
    words = ["--columns", "path=img,label=kind", "--format", "json"]
    assert json.loads(run("evaluate", "lcnet_050.cifar10", tmp_path / "u.csv", *words))["pictures"] == 4
    from lcnet.hub import locate
    from lcnet.quantize.pictures import labeled

    assert len(labeled(tmp_path / "u.csv", locate("lcnet_050.cifar10").config, columns="path=img,label=kind")) == 4
