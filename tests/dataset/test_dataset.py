"""Data sets of folders, on disk and in zip archives: what is taken, what is refused, and how it is read."""

import multiprocessing
import os
import pickle
import stat
import struct
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from archived import write_zip
from hypothesis import given
from hypothesis import strategies as st
from labelled import animals, npy, png, refused, write

from lcnet.dataset import array_of, open_dataset
from lcnet.dataset.samples import NamesBuilder
from lcnet.errors import ImageError, InputError
from lcnet.sources.found import MAX_MEMBER


def zipped(folder, path, top=""):
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return write_zip(path, [(top + p.relative_to(folder).as_posix(), p.read_bytes()) for p in files])


@pytest.fixture(params=["folder", "zip", "zip with a top folder"])
def packed(request, tmp_path):
    """Turns a folder into each kind of tree."""

    def pack(folder):
        if request.param == "folder":
            return folder
        return zipped(folder, tmp_path / "data.ZIP", "top/" if "top" in request.param else "")

    return pack


def relative(names):
    """Names without the place of the data."""
    return ["/".join(n.replace("!/top/", "!/").replace("!/", "/").split("/data/")[-1].split("data.ZIP/")[-1:]) for n in names]


def test_a_folder_a_class(tmp_path, packed):
    data = write(
        tmp_path / "data", {"dog/b.png": 1, "dog/a.JPG": 2, "cat/deep/er/c.webp.png": 3, "cat/z.JPEG": 4, "cat/n.npy": b"x"}
    )
    write(data, {"cat/.hidden.png": 5, ".git/x/y.png": 6, "cat/notes.txt": "no", "loose.png": 7, "cat/.deep/x.png": 8})
    path = packed(data)
    train, val, test = open_dataset(path)
    assert val is test is None
    assert train.classes == ("cat", "dog") and not train.multi_label
    assert relative(train.names) == ["cat/n.npy", "cat/z.JPEG", "cat/deep/er/c.webp.png", "dog/a.JPG", "dog/b.png"]
    assert train.targets.dtype == np.int64 and train.targets.tolist() == [0, 0, 0, 1, 1]
    assert train.read(4) == png(1) and train.size(4) == len(png(1)) and train.read(0) == b"x"


@pytest.mark.parametrize("names", [("train", "val", "test"), ("Training", "valid", "TEST"), ("TRAIN", "Validation", "test")])
def test_parts(tmp_path, packed, names):
    data = animals(tmp_path / "data", names)
    write(data, {"Annotations/x.xml": "<a/>", "devkit/deep/picture.png": 99})  # ILSVRC has folders beside these
    splits = open_dataset(packed(data))
    assert [len(part) for part in splits] == [6, 6, 6]
    assert list(splits.parts()) == ["train", "val", "test"]
    assert relative(splits.val.names)[3] == f"{names[1]}/dog/0.png"
    assert splits.test.targets.tolist() == [0, 0, 0, 1, 1, 1]


def test_a_part_may_lack_classes_and_its_empty_folders_are_nothing(tmp_path):
    data = animals(tmp_path, classes=("cat", "dog", "emu"))
    for name in ("cat", "emu"):
        for path in (data / "val" / name).iterdir():
            path.unlink()
    (data / "val/yak").mkdir()
    splits = open_dataset(data)
    assert splits.val.targets.tolist() == [1, 1, 1] and splits.val.classes == ("cat", "dog", "emu")


def test_a_class_may_be_called_train(tmp_path):
    data = animals(tmp_path, parts=("",), classes=("train", "car", "ship"))
    assert open_dataset(data).train.classes == ("car", "ship", "train")


def test_a_part_alone_is_a_folder_of_classes(tmp_path):
    data = animals(tmp_path)
    assert len(open_dataset(data / "val").train) == 6
    for path in sorted((data / "train").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    (data / "train").rmdir()
    refused(data, "has val but no train", "/val to take it alone")


def test_links_are_followed_once_and_loops_are_left(tmp_path):
    data = animals(tmp_path / "data", parts=("",))
    write(tmp_path / "else", {"x.png": 20})
    (data / "cat/loop").symlink_to(data)
    (data / "cat/me").symlink_to(data / "cat")
    (data / "dog/linked").symlink_to(tmp_path / "else")
    (data / "dog/again").symlink_to(tmp_path / "else")
    (data / "dog/broken.png").symlink_to(tmp_path / "nowhere.png")
    os.mkfifo(data / "dog/pipe.png")
    (data / "dog/pipe2.png").symlink_to(data / "dog/pipe.png")
    train = open_dataset(data).train
    assert relative(train.names) == [f"cat/{i}.png" for i in range(3)] + [f"dog/{i}.png" for i in range(3)] + [
        "dog/broken.png",
        "dog/again/x.png",
    ]
    with pytest.raises(ImageError, match=r"broken.png: there is no such file"):
        train.read(6)


def test_refusals(tmp_path, packed):
    with pytest.raises(InputError, match="there is no such file or folder"):
        open_dataset(tmp_path / "nowhere")
    cases = [
        ({"train/cat/a.png": 1, "train/dog/b.png": 2, "val/emu/c.png": 3}, ["'emu' in val only"]),
        ({"train/cat/a.png": 1, "train/dog/b.png": 2, "test/c.png": 3}, ["test holds pictures but no class folders"]),
        ({f"train/{c}/a.png": 1 for c in "ab"} | {f"{v}/a/b.png": 2 for v in ("val", "valid")}, ["'val'", "'valid'"]),
    ]
    for i, (files, words) in enumerate(cases):
        refused(packed(write(tmp_path / f"case{i}", files)), *words)


def test_too_few_folders(tmp_path):
    for name, pack in (("folder", lambda data: data), ("zip", lambda data: zipped(data, tmp_path / "x.zip"))):
        flat = pack(write(tmp_path / name / "flat", {"a.png": 1, "b.png": 2}))
        refused(flat, "holds pictures but no class folders", "/<class>/<picture>")
        refused(pack(write(tmp_path / name / "one", {"cat/a.png": 1, "cat/b/c.png": 2})), "one class only, 'cat'")


def test_refusals_of_what_only_folders_can_be(tmp_path):
    refused(write(tmp_path / "empty", {"x.txt": ""}), "holds no pictures")
    write(tmp_path / "hollow", {"cat/x.txt": "", "dog/y.txt": ""})
    refused(tmp_path / "hollow", "holds no pictures: expected")
    write(tmp_path / "half", {"cat/x.png": 1, "dog/y.txt": "", "emu/y.txt": ""})
    refused(tmp_path / "half", "the class 'dog' has no pictures, nor have 1 more")
    write(tmp_path / "v", {"train/cat/x.png": 1, "train/dog/y.png": 1, "val/cat/z.txt": ""})
    refused(tmp_path / "v", "val holds no pictures")
    refused(write(tmp_path, {"x.npz": ""}) / "x.npz", "is no data to train on", ".csv or .tsv")
    refused(tmp_path / "a\nb\x1b[31m", r"a\nb\x1b[31m")
    refused("nul\0byte", "no such file")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read(tmp_path):
    data = animals(tmp_path, parts=("",))
    (data / "cat").chmod(0)
    try:
        refused(data, "cannot be")
    finally:
        (data / "cat").chmod(0o755)


def test_names_of_any_bytes(tmp_path):
    odd = os.fsdecode("caf\u00e9 \xff\n.png".encode("latin-1"))
    data = write(tmp_path, {f"c\u00e4t/{odd}": 1, "dog/\u72ac.png": 2})
    train = open_dataset(data).train
    assert train.names[0].endswith(odd) and train.names[1].endswith("\u72ac.png") and train.read(0) == png(1)
    os.unlink(data / "c\u00e4t" / odd)
    with pytest.raises(ImageError) as caught:
        train.read(0)
    str(caught.value).encode()
    assert "\n" not in str(caught.value)


@given(st.lists(st.tuples(st.text(), st.text())))
def test_names_are_kept_whatever_they_are(pairs):
    builder = NamesBuilder()
    for folder, base in pairs:
        builder.add(folder, base)
    names = builder.build()
    assert list(names) == [folder + base for folder, base in pairs]
    assert list(names.take(np.arange(len(pairs))[::-1])) == [f + b for f, b in reversed(pairs)]


def test_subset_and_indices(tmp_path):
    train = open_dataset(animals(tmp_path, parts=("",))).train
    part = train.subset([5, 0, 0])
    assert list(part.names) == [train.names[5], train.names[0], train.names[0]]
    assert part.targets.tolist() == [1, 0, 0] and part.read(0) == train.read(5)
    again = part.subset(np.array([2, 1]))
    assert again.names[0] == train.names[0] and len(again) == 2
    assert train.names[-1] == train.names[5] and train.read(-1) == train.read(5)
    with pytest.raises(IndexError):
        train.read(6)
    assert len(train.subset([])) == 0


def test_what_is_held_is_small():
    """A million samples: names, targets and places in less than 60 bytes each, and a subset shares them."""
    builder = NamesBuilder()
    for i in range(20000):
        builder.add(f"/data/imagenet/train/n{i // 1300:08}/", f"n{i // 1300:08}_{i:05}.JPEG")
    names = builder.build()
    whole = len(pickle.dumps(names))
    assert whole < 50 * len(names)
    assert names.take(np.arange(10))._text is names._text


def _read_all(dataset):
    return [dataset.read(i) for i in range(len(dataset))]


def test_pickled_and_read_by_threads_and_processes(tmp_path, packed):
    dataset = open_dataset(packed(animals(tmp_path / "data", parts=("",), count=20))).train
    expected = _read_all(dataset)
    assert _read_all(pickle.loads(pickle.dumps(dataset.subset(range(40))))) == expected
    with ThreadPoolExecutor(4) as threads:
        assert all(found == expected for found in threads.map(_read_all, [dataset] * 8))
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(_read_all, [dataset] * 4) == [expected] * 4


def test_a_spawned_process_reads_a_pickled_dataset(tmp_path):
    dataset = open_dataset(zipped(animals(tmp_path / "data"), tmp_path / "x.zip")).val
    (tmp_path / "pickle").write_bytes(pickle.dumps(dataset))
    code = f"import pickle,sys; d=pickle.load(open({str(tmp_path / 'pickle')!r},'rb')); sys.stdout.buffer.write(d.read(4))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).stdout == dataset.read(4)


def test_nothing_of_torch_or_pillow_is_imported(tmp_path):
    data = animals(tmp_path)
    code = f"import sys, lcnet.dataset as d; d.open_dataset({str(data)!r}); print({{'torch', 'PIL'}} & {{*sys.modules}})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"


def test_a_file_that_is_too_large(tmp_path):
    data = animals(tmp_path, parts=("",))
    with open(data / "cat/0.png", "wb") as file:
        file.truncate(MAX_MEMBER + 1)
    with pytest.raises(ImageError, match="the limit for a picture"):
        open_dataset(data).train.read(0)


# Zip archives


def with_info(name, **fields):
    info = zipfile.ZipInfo(name)
    for key, value in fields.items():
        setattr(info, key, value)
    return info


def test_a_member_of_a_zip_without_a_name_is_passed_over(tmp_path):
    members = [("NONE", b"x"), ("cat/1.png", png(1)), ("dog/2.png", png(2))]
    path = write_zip(tmp_path / "x.zip", members)
    path.write_bytes(path.read_bytes().replace(b"NONE", b"\0one"))  # zipfile reads up to the NUL
    assert len(open_dataset(path).train) == 2


def test_hidden_and_odd_members_of_a_zip(tmp_path):
    members = [(f"./t/{c}/{i}.png", png(i)) for c in ("cat", "dog") for i in range(2)]
    odd = ["__MACOSX/t/cat/._0.png", "t/cat/../../x.png", "/abs.png"[1:], "t/.hidden/x.png", "a/" * 70 + "x.png"]
    members += [(name, b"") for name in odd if name != "abs.png"]
    train = open_dataset(write_zip(tmp_path / "x.zip", members)).train
    assert [name.partition("!/")[2] for name in train.names] == ["t/cat/0.png", "t/cat/1.png", "t/dog/0.png", "t/dog/1.png"]


def test_members_that_cannot_be_read(tmp_path):
    link = with_info("cat/link.png", external_attr=(stat.S_IFLNK | 0o777) << 16)
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("cat/bz.png", png(1), zipfile.ZIP_BZIP2)
        archive.writestr(link, "/etc/passwd")
        archive.writestr("dog/ok.png", png(2), zipfile.ZIP_DEFLATED)
        archive.writestr("dog/ok2.png", png(3), zipfile.ZIP_STORED)
    train = open_dataset(tmp_path / "x.zip").train
    for index, word in enumerate(["only deflated and stored", "a link or device"]):
        with pytest.raises(ImageError, match=word):
            train.read(index)
    assert train.read(2) == png(2) and train.read(3) == png(3)


def patched(path, signature, field, value, size=4, last=False):
    """Overwrite a field of every central or local header, or of the last."""
    data = bytearray(path.read_bytes())
    start = data.rfind(signature) if last else 0
    while (start := data.find(signature, start)) >= 0:
        data[start + field : start + field + size] = value.to_bytes(size, "little")
        start += 4
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("field", "value", "word"),
    [
        (16, 1234, "damaged"),
        (24, 7, "damaged"),
        (24, 2**31 - 1, "limit for a picture"),
        (42, 2**31, "cut short"),
        (42, 9, "no such member"),
        (20, 2**30, "limit for a picture"),
        (20, 2**24, "cut short"),
        (20, 3, "damaged"),
    ],
)
def test_hostile_zip_directories(tmp_path, field, value, word):
    path = write_zip(tmp_path / "x.zip", [(f"{c}/0.png", png(5)) for c in ("cat", "dog")])
    patched(path, b"PK\1\2", field, value, last=True)
    train = open_dataset(path).train
    with pytest.raises(ImageError, match=word):
        train.read(1)


@pytest.mark.parametrize(("field", "value"), [(42, 0), (20, 2**24)])
def test_members_of_a_zip_that_share_bytes_are_not_read(tmp_path, field, value):
    path = write_zip(tmp_path / "x.zip", [(f"{c}/0.png", png(5)) for c in ("cat", "dog", "eel")])
    patched(path, b"PK\1\2", field, value)
    train = open_dataset(path).train
    for index in (0, 1):
        with pytest.raises(ImageError, match="reaches into the next member"):
            train.read(index)


def test_a_zip_that_grows_without_a_bound_is_no_data(tmp_path):
    path = write_zip(tmp_path / "x.zip", [(f"{c}/0.png", png(5) + bytes(1 << 20)) for c in ("cat", "dog")])
    patched(path, b"PK\1\2", 24, 200 << 20)
    with pytest.raises(InputError, match="grows to more than 200 times"):
        open_dataset(path)


def test_a_zip_whose_numbers_exceed_int64(tmp_path):
    path = tmp_path / "x.zip"
    extra = struct.pack("<HHQQQ", 1, 24, 2**64 - 1, 2**64 - 2, 2**64 - 1)
    with zipfile.ZipFile(path, "w") as archive:
        for c in ("cat", "dog"):
            archive.writestr(with_info(f"{c}/0.png", extra=extra), png(1))
    for field in (20, 24, 42):
        patched(path, b"PK\1\2", field, 2**32 - 1)
    with pytest.raises(ImageError):
        open_dataset(path).train.read(0)


def test_an_encrypted_and_a_broken_zip(tmp_path):
    path = write_zip(tmp_path / "x.zip", [(f"{c}/0.png", png(5)) for c in ("cat", "dog")])
    whole = path.read_bytes()
    patched(path, b"PK\1\2", 8, 1, 2)
    with pytest.raises(ImageError, match="encrypted"):
        open_dataset(path).train.read(0)
    path.write_bytes(whole[: len(whole) // 2])
    refused(path, "this archive cannot be read")
    path.write_bytes(b"")
    refused(path, "this archive cannot be read")


def test_a_zip_that_was_replaced(tmp_path):
    path = write_zip(tmp_path / "x.zip", [(f"{c}/0.png", png(5)) for c in ("cat", "dog")])
    train = open_dataset(path).train
    path.write_bytes(b"short")
    with pytest.raises(ImageError, match="cut short"):
        train.read(1)
    path.unlink()
    with pytest.raises(ImageError, match=r"x.zip!/dog/0.png: there is no such file"):
        train.read(1)


# Arrays


def test_arrays(rng):
    pixels = rng.integers(0, 256, (5, 7, 12), dtype=np.uint8)
    assert (array_of(npy(pixels)) == pixels).all()
    assert (array_of(npy(np.asfortranarray(pixels))) == pixels).all()
    assert array_of(npy(pixels[:, :, 0])).shape == (5, 7, 1)
    for bad, word in [
        (npy(pixels.astype(np.float32)), "float32"),
        (npy(pixels[0, 0]), "expected uint8"),
        (npy(pixels[:0]), "expected uint8"),
        (npy(pixels)[:-1], "damaged"),
        (npy(pixels) + b"x", "damaged"),
        (npy(np.array([{}], object)), "expected uint8"),
        (npy(pixels).replace(b"(5, 7, 12)", b"(9**9**9,)"), "no valid .npy"),
        (b"\x93NUMPY", "no valid .npy"),
        (b"", "no valid .npy"),
    ]:
        with pytest.raises(ImageError, match=f"a.npy: .*{word}"):
            array_of(bad, "a.npy")


def test_an_array_takes_no_memory_for_what_it_claims():
    data = npy(np.zeros((1, 1, 1), np.uint8)).replace(b"(1, 1, 1), }   ", b"(99999999, 99, 99), }"[:15].ljust(15))
    with pytest.raises(ImageError):
        array_of(data)


@pytest.mark.parametrize("parts", [("train", "val"), ("",)])
def test_folder_and_zip_agree(tmp_path, parts):
    data = animals(tmp_path / "data", parts)
    a, b = open_dataset(data), open_dataset(zipped(data, tmp_path / "x.zip"))
    for x, y in zip(a.parts().values(), b.parts().values(), strict=True):
        assert _read_all(x) == _read_all(y) and (x.targets == y.targets).all() and x.classes == y.classes
