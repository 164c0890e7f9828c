"""A sample of digests knows pictures again, wherever they lie, and fits into a model file."""

import json
import shutil
import zipfile
from hashlib import sha256

import numpy as np
import pytest

from lcnet.dataset import open_dataset
from lcnet.dataset.sketch import MOST, WHOLE, WIDTH, Sketch, sketch


def write(folder, count, sizes=None, seed=0):
    """Files of random bytes, in two classes; nothing here decodes them."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        path = folder / "ab"[number % 2] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(rng.bytes(sizes or int(rng.integers(20, 5000))))
    return open_dataset(folder).train


def contents(dataset):
    return [dataset.read(i) for i in range(len(dataset))]


def test_of_few_pictures_all_are_known_and_no_others(tmp_path):
    data, others = write(tmp_path / "x", 60), write(tmp_path / "y", 60, seed=1)
    found = sketch(data)
    assert found.below == WHOLE and found.known == {sha256(c).digest()[:WIDTH] for c in contents(data)}
    assert all(found.knows(c) is True for c in contents(data))
    assert all(found.knows(c) is False for c in contents(others))
    assert not found.knows(contents(data)[0][:-1])


def test_of_many_a_sample_is_known_and_the_rest_is_left_open(tmp_path):
    data, others = write(tmp_path / "x", 1400), write(tmp_path / "y", 300, seed=1)
    found = sketch(data)
    assert 0.8 * MOST < len(found.known) <= MOST
    told = [found.knows(c) for c in contents(data)]
    assert told.count(True) == len(found.known) and told.count(False) == 0
    told = [found.knows(c) for c in contents(others)]
    assert told.count(True) == 0 and 0.2 < told.count(False) / 300 < 0.55, "about as many as of the data can be compared"


def test_neither_path_nor_name_nor_container_matters(tmp_path):
    found = sketch(write(tmp_path / "x", 40))
    (tmp_path / "z").mkdir()
    with zipfile.ZipFile(tmp_path / "z" / "data.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number, path in enumerate(sorted((tmp_path / "x").rglob("*.jpg"))):
            target = tmp_path / "moved" / ("cd"[number % 2]) / f"renamed {number}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
            archive.write(path, f"{path.parent.name}/{path.name}")
    assert sketch(open_dataset(tmp_path / "moved").train) == found
    assert sketch(open_dataset(tmp_path / "z" / "data.zip").train) == found


def test_many_pictures_of_one_size_have_no_sample(tmp_path):
    assert sketch(write(tmp_path / "x", MOST + 8, sizes=50)) is None
    assert len(sketch(write(tmp_path / "y", 30, sizes=50)).known) == 30


def test_it_goes_through_json(tmp_path):
    found = sketch(write(tmp_path / "x", 600))
    text = json.dumps(found.to_json())
    assert Sketch.from_json(json.loads(text)) == found and len(text) < 6000


@pytest.mark.parametrize(
    "value",
    [
        None,
        7,
        "text",
        {},
        {"sample": None},
        {"sample": {"below": 5}},
        {"sample": {"below": True, "sha256": "AAAAAAAA"}},
        {"sample": {"below": 0, "sha256": "AAAAAAAA"}},
        {"sample": {"below": WHOLE + 1, "sha256": "AAAAAAAA"}},
        {"sample": {"below": 5, "sha256": ""}},
        {"sample": {"below": 5, "sha256": "AAAA"}},
        {"sample": {"below": 5, "sha256": "no base64"}},
        {"sample": {"below": 5, "sha256": 7}},
        {"sample": {"below": 5, "sha256": "é"}},
    ],
)
def test_what_is_no_sketch_is_none(value):
    assert Sketch.from_json(value) is None


def test_unreadable_pictures_are_not_in_it(tmp_path):
    data = write(tmp_path / "x", 20)
    (tmp_path / "x" / "a" / "0.jpg").unlink()
    assert len(sketch(data).known) <= 20 and all(sketch(data).knows(data.read(i)) for i in range(1, 20) if i)
