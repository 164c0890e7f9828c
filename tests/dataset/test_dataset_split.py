"""Splitting: fractions, classes, copies, and the same result every time."""

import hashlib

import numpy as np
import pytest
from archived import write_zip
from hypothesis import given, settings
from hypothesis import strategies as st
from labelled import animals, write

from lcnet.dataset import Dataset, duplicate_groups, open_dataset, split
from lcnet.dataset.samples import NamesBuilder
from lcnet.errors import InputError


class Memory:
    """Pictures that are in a list; counts what is read."""

    def __init__(self, pictures):
        self.pictures, self.read_in_full = pictures, 0

    def read(self, row, name):
        self.read_in_full += 1
        if self.pictures[row] is None:
            raise ValueError("unreadable")
        return self.pictures[row]

    def size(self, row, name):
        return len(self.pictures[row] or b"")

    def mark(self, row, name):
        return (self.pictures[row] or b"")[:2]


def dataset(pictures, targets):
    names = NamesBuilder()
    for i in range(len(pictures)):
        names.add("m/", str(i))
    targets = np.array(targets)
    classes = tuple(map(str, range(targets.shape[1] if targets.ndim == 2 else targets.max() + 1)))
    return Dataset(classes, targets.astype(np.uint8 if targets.ndim == 2 else np.int64), names.build(), Memory(pictures))


def numbered(count):
    return [b"%06d" % i for i in range(count)]


def rows(part):
    return [int(name[2:]) for name in part.names]


def test_each_class_is_divided(tmp_path):
    data = dataset(numbered(1000), np.repeat([0, 1, 2], [100, 300, 600]))
    train, val = split(data, 0.1)
    assert np.bincount(val.targets).tolist() == [10, 30, 60] and len(train) == 900
    assert rows(train) == sorted(rows(train)) and not set(rows(train)) & set(rows(val))
    assert val.classes == data.classes and val.read(0) == data.read(rows(val)[0])


def test_the_seed_decides():
    data = dataset(numbered(200), [i % 2 for i in range(200)])
    a, b, c = (rows(split(data, 0.2, seed)[1]) for seed in (0, 0, 1))
    assert a == b != c
    assert hashlib.sha256(str(a).encode()).hexdigest()[:16] == "99673953fe06aa3d"


def test_small_classes():
    data = dataset(numbered(6), [0, 1, 1, 2, 2, 2])
    train, val = split(data, 0.01)
    assert np.bincount(val.targets, minlength=3).tolist() == [0, 1, 1]
    train, val = split(data, 0.99)
    assert np.bincount(train.targets, minlength=3).tolist() == [1, 1, 1]


def test_copies_stay_together():
    pictures = [b"%03d" % (i // 3) for i in range(90)]
    train, val = split(dataset(pictures, [i // 30 for i in range(90)]), 0.3)
    assert not {train.read(i) for i in range(len(train))} & {val.read(i) for i in range(len(val))}
    assert len(val) == 27


def test_a_class_of_copies_is_one_picture():
    data = dataset([b"same"] * 5 + numbered(4), [0] * 5 + [1] * 4)
    assert rows(split(data, 0.3)[0])[:5] == [0, 1, 2, 3, 4]
    with pytest.raises(InputError, match="nothing to split off"):
        split(dataset([b"same"] * 5 + [b"x"], [0] * 5 + [1]))
    many = dataset([b"same"] * 50 + [b"x"], [0] * 50 + [0])
    assert rows(split(many, 0.1)[1]) == [50]


def test_copies_of_two_classes_stay_in_train():
    data = dataset([b"both", b"both", b"a", b"b"], [0, 1, 0, 1])
    train, val = split(data, 0.2)
    assert rows(train) == [0, 1] and rows(val) == [2, 3]


def test_several_labels():
    targets = np.eye(4, dtype=np.uint8)[[i % 4 for i in range(100)]]
    targets[::2] |= 2
    pictures = [b"%03d" % (i // 2) for i in range(100)]
    train, val = split(dataset(pictures, targets), 0.25, seed=3)
    assert len(val) == 24 and val.multi_label and val.targets.shape == (24, 4)
    assert not {p // 2 for p in rows(train)} & {p // 2 for p in rows(val)}


@pytest.mark.parametrize(
    "options", [{"fraction": 0}, {"fraction": 1}, {"fraction": "a"}, {"fraction": float("nan")}, {"seed": 1.5}, {"seed": True}]
)
def test_refused_options(options):
    with pytest.raises(InputError, match=next(iter(options))):
        split(dataset(numbered(4), [0, 0, 1, 1]), **options)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 3)), min_size=1, max_size=60), st.floats(0.05, 0.95))
def test_whatever_the_copies(pairs, fraction):
    """Copies are together; every class with two pictures or more of its own, or one beside a shared one, is on both sides."""
    data = dataset([b"%d" % picture for picture, _ in pairs], [c for _, c in pairs])
    try:
        train, val = split(data, fraction)
    except InputError:
        train, val = data, data.subset([])
    assert sorted(rows(train) + rows(val)) == list(range(len(pairs)))
    kept, held = ({pairs[i][0] for i in rows(part)} for part in (train, val))
    assert not kept & held
    owners = {p: {c for q, c in pairs if q == p} for p, _ in pairs}
    for c in {c for _, c in pairs}:
        pictures = {p for p, label in pairs if label == c}
        if len(pictures) >= 2 and any(len(owners[p]) == 1 for p in pictures):
            assert pictures & kept and pictures & held


def test_groups():
    data = dataset([b"aa1", b"bb", b"aa1", b"aa2", None, None, b"bb", b"c"], [0, 1] * 4)
    assert duplicate_groups(data).tolist() == [0, 1, 0, 3, 4, 5, 1, 7]
    assert data._store.read_in_full < 8
    assert len(duplicate_groups(data.subset([]))) == 0
    assert duplicate_groups(data.subset([6, 2, 0, 1])).tolist() == [0, 1, 1, 0]


def test_few_pictures_are_read():
    data = dataset([b"%d" % i + bytes(i % 50) for i in range(100)], [i % 2 for i in range(100)])
    duplicate_groups(data)
    assert data._store.read_in_full == 0


def test_groups_of_every_store(tmp_path):
    big = bytes(20000)
    variants = [b"x" + big, big + b"x", b"x" + big, big[:9000] + b"x" + big[9000:], big[:10000] + b"x" + big[10000:]]
    files = {f"{c}/{i}.png": data for c in ("cat", "dog") for i, data in enumerate(variants)}
    write(tmp_path / "f", files)
    write_zip(tmp_path / "x.zip", list(files.items()))
    for path in (tmp_path / "f", tmp_path / "x.zip"):
        assert duplicate_groups(open_dataset(path).train).tolist() == [0, 1, 0, 3, 4, 0, 1, 0, 3, 4]


def test_an_unreadable_picture_does_not_stop_it(tmp_path):
    data = animals(tmp_path, parts=("",))
    (data / "cat/0.png").unlink()
    (data / "cat/0.png").symlink_to("nowhere")
    train, val = split(open_dataset(data).train, 0.3)
    assert len(train) + len(val) == 6
