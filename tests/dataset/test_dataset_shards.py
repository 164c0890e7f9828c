"""Data sets in tar shards: samples, labels, classes, splits, and archives that lie."""

import io
import os
import tarfile

import numpy as np
import pytest
from archived import write_tar
from labelled import link, npy, png, refused, write, write_shard

from lcnet.dataset import open_dataset
from lcnet.dataset.tars import BLOCK, Reader, scan
from lcnet.errors import ImageError, InputError


def samples(count, label=lambda i: i % 2, kind="cls", first=0):
    return [{f"{i:04}.png": png(i), f"{i:04}.{kind}": label(i)} for i in range(first, first + count)]


def test_shards_of_a_folder(tmp_path):
    write_shard(tmp_path / "w/train-000001.tar", samples(3, first=10))
    write_shard(tmp_path / "w/train-000000.tar", samples(4))
    write_shard(tmp_path / "w/val-000000.tar", samples(2))
    write(tmp_path / "w", {"classes.txt": "cat\nhot dog\n", "notes.md": ""})
    train, val, test = open_dataset(tmp_path / "w")
    assert test is None and train.classes == ("cat", "hot dog") and train.targets.dtype == np.int64
    assert train.targets.tolist() == [0, 1, 0, 1, 0, 1, 0] and val.targets.tolist() == [0, 1]
    assert train.names[4] == f"{tmp_path}/w/train-000001.tar!/0010.png"
    assert train.read(4) == png(10) and val.read(1) == png(1) and train.size(4) == len(png(10))


@pytest.mark.parametrize(
    "names",
    [("train/0.tar", "val/0.tar"), ("in1k-train-00.tar", "in1k-validation-00.tar"), ("a_training_1.tar", "a_valid.1.TAR")],
)
def test_which_shard_is_which_part(tmp_path, names):
    for name in names:
        write_shard(tmp_path / name, samples(2))
    write(tmp_path, {"classes.txt": "cat\r\ndog\r\n"})
    splits = open_dataset(tmp_path)
    assert list(splits.parts()) == ["train", "val"] and splits.train.classes == ("cat", "dog")


def test_files_and_patterns(tmp_path):
    for i in range(8, 12):
        write_shard(tmp_path / f"x-{i:03}.tar", samples(2, first=10 * i))
    write_shard(tmp_path / "y.tar", samples(1, first=90))
    assert len(open_dataset(tmp_path / "x-008.tar").train) == 2
    for pattern, count in [
        ("x-{008..010}.tar", 6),
        ("x-*.tar", 8),
        ("{x-01?,y}.tar", 5),
        ("{x-0{08,11},y}.tar", 5),
        ("x-0{8..9}.tar", None),
        ("z*.tar", None),
    ]:
        if count is None:
            refused(tmp_path / pattern, "no such file" if ".." in pattern else "no file matches")
        else:
            assert len(open_dataset(tmp_path / pattern).train) == count
    assert open_dataset(tmp_path / "x-{008..010}.tar").train.names[2].endswith("x-009.tar!/0090.png")
    refused(tmp_path / "{0..99999999}", "at most")
    refused(tmp_path / "{0..9999}{0..9999}", "at most")


def test_a_part_alone_is_train(tmp_path):
    write_shard(tmp_path / "val-0.tar", samples(2))
    assert len(open_dataset(tmp_path).train) == 2


@pytest.mark.parametrize(
    ("kind", "values", "classes", "targets"),
    [
        ("cls", ["1", " 0\n", "02"], ("0", "1", "2"), [1, 0, 2]),
        ("cls", ["dog", "cat", "dog"], ("cat", "dog"), [1, 0, 1]),
        ("txt", ["dog", "cat", "hot dog\n"], ("cat", "dog", "hot dog"), [1, 0, 2]),
        ("txt", ["1", "0", "1"], ("0", "1"), [1, 0, 1]),
        ("json", ["2", "0", "1"], ("0", "1", "2"), [2, 0, 1]),
        ("json", ['"b"', '{"label": "a", "x": [1]}', '{"labels": "b"}'], ("a", "b"), [1, 0, 1]),
        ("json", ['["b"]', "[]", '{"label": ["a", "b"]}'], ("a", "b"), [[0, 1], [0, 0], [1, 1]]),
        ("json", ["[1]", "[]", "0"], ("0", "1"), [[0, 1], [0, 0], [1, 0]]),
        ("cls", ["b|a", "a", "b"], ("a", "b"), [[1, 1], [1, 0], [0, 1]]),
    ],
)
def test_labels(tmp_path, kind, values, classes, targets):
    write_shard(tmp_path / "a.tar", samples(3, values.__getitem__, kind))
    train = open_dataset(tmp_path / "a.tar").train
    assert train.classes == classes and train.targets.tolist() == targets
    assert train.multi_label == isinstance(targets[0], list)
    assert train.targets.dtype == (np.uint8 if train.multi_label else np.int64)


def test_numbers_and_names_that_are_digits(tmp_path):
    """In .cls digits are a number; in .txt and JSON texts they are the name, where there is a class of that name."""
    write(tmp_path, {"classes.txt": "0\n1\n10\n2\n"})
    a, b = {"a.png": png(1), "a.cls": "2"}, {"b.png": png(1), "b.txt": "2"}
    write_shard(tmp_path / "x.tar", [a, b, {"c.png": png(1), "c.json": '"2"'}, {"d.png": png(1), "d.json": "2"}])
    assert open_dataset(tmp_path).train.targets.tolist() == [2, 3, 3, 2]


def test_the_first_label_that_is_there_counts(tmp_path):
    write(tmp_path, {"classes.txt": "a\nb\nc\n"})
    one = {"1.png": png(1), "1.cls": "1", "1.json": {"label": 2}, "1.txt": "a"}
    two = {"2.txt": "a photo of a dog", "2.json": {"label": "c", "url": "x"}, "2.JPG": png(2)}
    three = {"3.png": png(3), "3.txt": "a", "3.json": {"url": "x"}}
    write_shard(tmp_path / "x.tar", [one, two, three])
    assert open_dataset(tmp_path).train.targets.tolist() == [1, 2, 0]


def test_what_is_passed_over(tmp_path):
    hidden = {"._0001.png": b"", "./.git/0002.png": b"", "._0001.cls": "x"}
    extra = {"meta.json": {"a": 1}, "readme.txt": "x", "z.seg.png": b""}
    members = [{"./d/0001.png": png(1)}, hidden, {"./d/0001.cls": 0}, extra]
    members += [{"0002.npy": npy(np.zeros((2, 2, 5), np.uint8)), "0002.cls": 1, "0002.mask.png": b"", "0002.depth": b""}]
    write_shard(tmp_path / "x.tar", members)
    train = open_dataset(tmp_path / "x.tar").train
    assert [n.partition("!/")[2] for n in train.names] == ["./d/0001.png", "0002.npy"]


def test_folders_of_pictures_with_an_archive_beside_are_folders(tmp_path):
    write(tmp_path, {"cat/a.png": 1, "dog/b.png": 2})
    write_shard(tmp_path / "backup.tar", samples(2))
    assert open_dataset(tmp_path).train.classes == ("cat", "dog")
    write(tmp_path / "shards", {"logs/x.txt": ""})
    write_shard(tmp_path / "shards/0.tar", samples(2))
    assert open_dataset(tmp_path / "shards").train.classes == ("0", "1")


@pytest.mark.parametrize(
    ("sample", "words"),
    [
        ({"a.png": b"x", "b.cls": 1}, ["sample a has no label", ".cls, .json, .txt"]),
        ({"a.png": b"x", "a.jpg": b"x", "a.cls": 1}, ["sample a has two pictures, .png and .jpg"]),
        ({"a.cls": 1}, ["sample a has a class and no picture"]),
        ({"a.png": b"x", "a.PNG": b"y", "a.cls": 1}, ["sample a has two members .png"]),
        ({"a.png": b"x", "a.cls": 2}, ["a label 2, but classes.txt names 2 classes"]),
        ({"a.png": b"x", "a.cls": "9" * 5000}, ["a label 99", "classes.txt names 2"]),
        ({"a.png": b"x", "a.cls": "dgo"}, ["a label 'dgo'", "did you mean 'dog'"]),
        ({"a.png": b"x", "a.cls": " "}, ["a.cls: its label is empty"]),
        ({"a.png": b"x", "a.cls": "x" * 70000}, ["a.cls has 70000 bytes"]),
        ({"a.png": b"x", "a.json": "{"}, ["a.json: it is no valid JSON"]),
        ({"a.png": b"x", "a.json": "[" * 60000}, ["a.json: it is no valid JSON"]),
        ({"a.png": b"x", "a.json": "1.5"}, ["a.json: its label is 1.5"]),
        ({"a.png": b"x", "a.json": "-1"}, ["a.json: its label is -1"]),
        ({"a.png": b"x", "a.json": "true"}, ["a.json: its label is True"]),
        ({"a.png": b"x", "a.json": '{"label": {"a": 1}}'}, ["a.json: its label is {'a': 1}"]),
        ({"a.png": b"x", "a.json": '{"url": 1}'}, ["sample a has no label"]),
    ],
)
def test_refused_samples(tmp_path, sample, words):
    write(tmp_path, {"classes.txt": "cat\ndog\n"})
    write_shard(tmp_path / "x.tar", [*samples(2), sample])
    refused(tmp_path, "x.tar", *words)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["0", "cat"], ["labels are numbers, 0, and names, 'cat'", "classes.txt"]),
        (["0", "99999999"], ["a label 99999999", "at most 65536"]),
        (["a", "a"], ["one class only, 'a'"]),
        (["0", "0"], ["one class only, '0'"]),
    ],
)
def test_refused_labels_without_a_list(tmp_path, values, words):
    write_shard(tmp_path / "x.tar", samples(2, values.__getitem__))
    refused(tmp_path / "x.tar", *words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cat\n\ndog\n", ["line 2 is empty"]),
        ("", ["line 1 is empty"]),
        ("a\nb\na\n", ["names 'a' twice"]),
        ("a\n", ["one class"]),
    ],
)
def test_refused_lists_of_classes(tmp_path, text, words):
    write(tmp_path, {"classes.txt": text})
    write_shard(tmp_path / "x.tar", samples(2, lambda i: 0))
    refused(tmp_path, *words)


def test_lists_of_classes_that_differ(tmp_path):
    for part in ("train", "val"):
        write_shard(tmp_path / part / "0.tar", samples(2))
        write(tmp_path / part, {"classes.txt": f"cat\n{part}\n"})
    refused(tmp_path, "differ: expected one list")


def test_classes_without_pictures_are_allowed_but_not_in_val_alone(tmp_path):
    write(tmp_path, {"classes.txt": "cat\ndog\nemu\n"})
    write_shard(tmp_path / "train-0.tar", samples(2))
    assert open_dataset(tmp_path).train.classes == ("cat", "dog", "emu")
    write_shard(tmp_path / "val-0.tar", samples(2, lambda i: 2 * i))
    refused(tmp_path, "'emu' in val only")


def test_refused_parts(tmp_path):
    write_shard(tmp_path / "a/train-0.tar", samples(2))
    write_shard(tmp_path / "a/other-0.tar", samples(2))
    refused(tmp_path / "a", "other-0.tar: is it train, val or test?")
    write_shard(tmp_path / "b/val-0.tar", samples(2))
    write_shard(tmp_path / "b/test-0.tar", samples(2))
    refused(tmp_path / "b", "but none of train")
    write_shard(tmp_path / "c/train-0.tar", samples(2))
    write_shard(tmp_path / "c/val-0.tar", [])
    refused(tmp_path / "c", "no picture in the shards of val")
    write_shard(tmp_path / "d/0.tar", [{"a.xyz": b""}])
    refused(tmp_path / "d", "no picture in these shards")


@pytest.mark.parametrize("mode", ["gz", "bz2", "xz"])
def test_compressed_shards(tmp_path, mode):
    write_tar(tmp_path / f"x.tar.{mode}", [("0.png", png(1)), ("0.cls", b"1")], f"w:{mode}")
    refused(tmp_path / f"x.tar.{mode}", "is compressed")
    refused(tmp_path, "is compressed")
    (tmp_path / f"x.tar.{mode}").rename(tmp_path / "x.tar")
    refused(tmp_path / "x.tar", "is compressed")


def test_a_pipe_and_a_missing_shard(tmp_path):
    os.mkfifo(tmp_path / "p.tar")
    refused(tmp_path / "p.tar", "is no file")
    refused(tmp_path / "x-{0..1}.tar", "x-0.tar: there is no such file")


# The scanner


def members(data, tmp_path):
    path = tmp_path / "scanned.tar"
    path.write_bytes(data)
    with io.FileIO(path) as file:
        return [(m.name, m.size) for m in scan(Reader(file))]


def tarred(format, names, size=700):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=format) as archive:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = size
            archive.addfile(info, io.BytesIO(bytes(size)))
    return file.getvalue()


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_scanned_as_tarfile_does(tmp_path, format):
    names = ["a.png", "d/" * 40 + "b.png", "e/" * 60 + "c.png", "\u00e4\u72ac.png"]
    if format != tarfile.USTAR_FORMAT:
        names += ["x" * 300 + ".png", "last.png"]
    assert members(tarred(format, names), tmp_path) == [(name, 700) for name in names]


def test_folders_links_and_devices(tmp_path):
    folder, pipe = tarfile.TarInfo("d"), tarfile.TarInfo("pipe.png")
    folder.type, pipe.type = tarfile.DIRTYPE, tarfile.FIFOTYPE
    listed = [
        folder,
        ("a.png", png(1)),
        ("a.cls", b"0"),
        link("b.png", "/etc/passwd"),
        ("b.cls", b"1"),
        pipe,
        ("pipe.cls", b"1"),
    ]
    train = open_dataset(write_tar(tmp_path / "x.tar", listed)).train
    assert len(train) == 3
    for index in (1, 2):
        with pytest.raises(ImageError, match="a link or device in an archive is not read"):
            train.read(index)


def test_a_size_in_binary_and_one_in_pax(tmp_path):
    data = bytearray(tarred(tarfile.GNU_FORMAT, ["a.png"]))
    data[124:136] = b"\x80" + (700).to_bytes(11, "big")
    fixed(data)
    assert members(bytes(data), tmp_path) == [("a.png", 700)]
    info = tarfile.TarInfo("b.png")
    info.pax_headers = {"size": "3", "comment": "x"}
    data = info.tobuf(tarfile.PAX_FORMAT) + b"abc".ljust(BLOCK, b"\0") + bytes(1024)
    assert members(data, tmp_path) == [("b.png", 3)]


def fixed(data, start=0):
    """Make the checksum of a header right."""
    data[start + 148 : start + 156] = b" " * 8
    data[start + 148 : start + 155] = b"%06o\0" % sum(data[start : start + BLOCK])


def changed(field, value):
    def change(data):
        data[field : field + len(value)] = value
        fixed(data)

    return change


def longname(size, body=b""):
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, size
    return info.tobuf(tarfile.GNU_FORMAT) + body


def pax(body):
    info = tarfile.TarInfo("p")
    info.type, info.size = b"x", len(body)
    return info.tobuf(tarfile.USTAR_FORMAT) + body.ljust(-(-len(body) // BLOCK) * BLOCK, b"\0")


def test_hostile_headers(tmp_path):
    good = tarred(tarfile.USTAR_FORMAT, ["a.png", "b.png"])
    damaged = bytearray(good)
    damaged[3] ^= 1
    negative, huge, letters = bytearray(good), bytearray(good), bytearray(good)
    changed(124, b"\xff" * 12)(negative)
    changed(124, b"\x80" + b"\xff" * 11)(huge)
    changed(124, b"12x4567")(letters)
    for data, word in [
        (damaged, "damaged"),
        (negative, "damaged"),
        (huge, "cut short"),
        (letters, "damaged"),
        (good[:800], "cut short"),
        (good[:100], "cut short"),
        (good[: 512 + 1024 + 300], "cut short"),
        (b"not a tar archive at all" * 100, "no tar archive"),
        (longname(2 << 20) + good, "too long"),
        (longname(5000), "cut short"),
        (longname(4, b"abcd".ljust(BLOCK, b"\0")), "cut short"),
        (pax(b"9999 a=b\n") + good, "damaged"),
        (pax(b"0 a=b\n") + good, "damaged"),
        (pax(b"x a=b\n") + good, "damaged"),
        (pax(b"6 abc\n") + good, "damaged"),
        (pax(b"12 size=-99\n") + good, "damaged"),
        (pax(b"24 size=" + b"9" * 15 + b"\n") + good, "cut short"),
        (pax(b"34 size=" + b"9" * 25 + b"\n") + good, "damaged"),
        (pax(b"22 GNU.sparse.major=1\n") + good, "sparse"),
    ]:
        with pytest.raises(ValueError, match=word):
            members(bytes(data), tmp_path)


def test_many_pax_records_take_no_time(tmp_path):
    assert members(pax(b"6 a=b\n" * 40_000) + tarred(tarfile.USTAR_FORMAT, ["a.png"]), tmp_path) == [("a.png", 700)]


def test_any_bytes_are_refused_or_read(tmp_path, rng):
    """Changed anywhere, an archive opens or is refused with `InputError`; reading gives bytes or `ImageError`."""
    whole = write_shard(tmp_path / "x.tar", samples(3)).read_bytes()
    for _ in range(200):
        data = bytearray(whole[: rng.integers(len(whole))] if rng.random() < 0.3 else whole)
        for place in rng.integers(0, max(1, len(data)), rng.integers(0, 4)):
            data[place : place + 1] = bytes([rng.integers(256)])
        (tmp_path / "x.tar").write_bytes(data)
        try:
            train = open_dataset(tmp_path / "x.tar").train
        except InputError:
            continue
        for i in range(len(train)):
            assert isinstance(train.read(i), bytes)


def test_a_shard_that_shrank(tmp_path):
    path = write_shard(tmp_path / "x.tar", samples(3))
    train = open_dataset(path).train
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(ImageError, match=r"x.tar!/0002.png: it is cut short"):
        train.read(2)
