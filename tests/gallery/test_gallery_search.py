"""Vectors as bytes, and the search in them, against plain numpy in float64."""

import json
import os

import numpy as np
import pytest
from made import about, clustered, made, row

import lcnet.gallery
from lcnet.errors import GalleryError, InputError
from lcnet.gallery import matrix as matrices
from lcnet.gallery.coding import Coding
from lcnet.gallery.store import Store

ENDLESS = b'{"state": ["x", 1], "count": 1e999, "coding": ["int8", 64]}'.ljust(9000)


def cosines(query, vectors):
    q, v = query.astype(np.float64), vectors.astype(np.float64)
    return v @ q / np.linalg.norm(v, axis=1) / np.linalg.norm(q)


@pytest.mark.parametrize(("name", "most"), [("int8", 0.5 / 127 * 1.01), ("fp16", 2**-11)])
@pytest.mark.parametrize("dimension", [1, 31, 64, 1280])
def test_what_is_coded_is_near_to_what_it_was(name, most, dimension):
    """Of int8 half a step, which the largest of 32 values decides; of fp16 half of its last bit."""
    vectors = clustered(50, dimension, seed=dimension) * np.geomspace(1e-6, 1e6, 50, dtype=np.float32)[:, None]
    vectors[7] = 0
    coding = Coding(name, dimension)
    codes = coding.encode(vectors)
    assert codes.dtype == np.uint8 and codes.shape == (50, coding.width)
    found = coding.decode(codes)
    assert found.dtype == np.float32 and found.shape == vectors.shape
    blocks = range(0, dimension, 32)
    for start in blocks if name == "int8" else ():
        part = slice(start, start + 32)
        # A factor is rounded up to the next of 255.
        step = np.abs(vectors[:, part]).max(1) + np.abs(vectors).max(1) / 255
        assert (np.abs(found[:, part] - vectors[:, part]) <= (most * step + 1e-30)[:, None]).all()
    if name == "fp16":
        assert (np.abs(found - vectors) <= most * np.abs(vectors) + 1e-7 * np.abs(vectors).max(1)[:, None]).all()
    assert not found[7].any()


def test_1280_values_take_little():
    assert Coding("int8", 1280).width == 4 + 40 + 1280 and Coding("fp16", 1280).width == 4 + 2560
    for name, dimension in (("int4", 8), ("int8", 0)):
        with pytest.raises(ValueError):
            Coding(name, dimension)


@pytest.mark.parametrize("native", [True, False], ids=["bitwise_count", "table"])
def test_bits_are_counted(native, monkeypatch, rng):
    if not native:
        monkeypatch.delattr(np, "bitwise_count", raising=False)
    words = rng.integers(0, 1 << 63, (20, 100), dtype=np.uint64)
    words[:, 0] = 0
    query = np.full(20, (1 << 64) - 1, np.uint64)
    expected = [sum((int(w) ^ int(q)).bit_count() for w, q in zip(column, query, strict=True)) for column in words.T]
    assert matrices.differing(words, query).tolist() == expected and expected[0] == 1280


def test_bits_are_about_the_mean():
    units = np.array([[0.1] * 65 + [0.9], [0.5] * 66], np.float32)
    bits = matrices.words_of(units, np.full(66, 0.3, np.float32))
    assert bits.shape == (2, 2) and [int(w).bit_count() for w in bits[:, 0]] == [0, 1]
    assert [int(w).bit_count() for w in bits[:, 1]] == [64, 2]


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A gallery of 3,000 vectors, more than there are candidates, and the vectors."""
    vectors = clustered(3000, 320)
    path = made(tmp_path_factory.mktemp("large") / "g.gallery", vectors, coding="fp16")
    with lcnet.gallery.open(path) as gallery:
        yield gallery, vectors


def names(matches):
    return [os.path.basename(match.path) for match in matches]


def best(query, vectors, count, among=None):
    order = np.argsort(-cosines(query, vectors), kind="stable")
    return [f"p{i:06}.jpg" for i in order if among is None or among[i]][:count]


def test_the_nearest_are_found(large):
    gallery, vectors = large
    queries = clustered(20, 320, seed=5)
    exact = gallery.search(queries, k=10, exact=True)
    quick = gallery.search(queries, k=10)
    shares = []
    for query, one, other in zip(queries, exact, quick, strict=True):
        found = [match.similarity for match in one]
        assert np.allclose(found, np.sort(cosines(query, vectors))[::-1][:10], atol=2e-4) and found == sorted(found)[::-1]
        assert len(set(names(one)) & set(best(query, vectors, 10))) >= 9  # fp16 may change two places
        shares.append(len(set(names(one)) & set(names(other))) / 10)
    assert np.mean(shares) > 0.9  # of made vectors; bench/gallery.py measures real ones


def test_scale_means_nothing_and_a_vector_is_nearest_to_itself(large):
    gallery, vectors = large
    assert gallery.search(1e-20 * vectors[5].astype(np.float64), k=1)[0][0].similarity > 0.9999
    assert names(gallery.search(vectors[5], k=2)[0]) == names(gallery.search(1e3 * vectors[5], k=2)[0])
    assert names(gallery.search(vectors[5], k=1)[0]) == ["p000005.jpg"]


def test_only_some_pictures(large):
    gallery, vectors = large
    query = clustered(1, 320, seed=9)[0]
    for where, among in (("p0001*", range(100, 200)), ("*[05].jpg", range(0, 3000, 5)), ("p000007.jpg", [7]), ("none", [])):
        mask = np.isin(np.arange(3000), list(among))
        found = names(gallery.search(query, k=5, where=where, exact=True)[0])
        assert found == best(query, vectors, 5, mask), where


def test_how_similar_at_least_and_how_many_at_most(large):
    gallery, vectors = large
    sims = np.sort(cosines(vectors[3], vectors))[::-1]
    found = gallery.search(vectors[3], k=3000, min_similarity=0.8)[0]
    assert abs(len(found) - (sims >= 0.8).sum()) <= 2 and found[-1].similarity >= 0.8
    assert len(gallery.search(vectors[3], k=5000, exact=True)[0]) == 3000


@pytest.mark.parametrize(
    ("query", "words"), [(np.zeros(320), "no value but 0"), (np.full(320, np.nan), "NaN"), (np.ones(5), "320 values")]
)
def test_what_is_no_vector_is_refused(large, query, words):
    with pytest.raises(InputError, match=words):
        large[0].search(query)


@pytest.mark.parametrize("options", [{"k": 0}, {"k": True}, {"min_similarity": 2}, {"min_similarity": float("nan")}])
def test_what_cannot_be_meant_is_refused(large, options):
    with pytest.raises(InputError, match=next(iter(options))):
        large[0].search(large[1][0], **options)


def test_an_empty_gallery_finds_nothing(tmp_path):
    with lcnet.gallery.open(made(tmp_path / "g", np.empty((0, 64), np.float32))) as gallery:
        assert gallery.search(np.ones(64)) == [[]] and len(gallery) == 0


def test_equal_pictures_come_by_path_and_only_as_many_as_asked_for(tmp_path):
    """A hundred thousand files of one content are one vector."""
    path = made(tmp_path / "g", clustered(3))
    count = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 99999)"
    with lcnet.gallery.open(path) as gallery:
        gallery.store.connection.execute(f"{count} INSERT INTO picture SELECT printf('copy%06d.jpg', i), 1, 1, 1 FROM n")
        assert len(gallery) == 100_003 and gallery.store.counts()[1] == 3
        assert names(gallery.search(clustered(3)[0], k=3)[0]) == ["copy000000.jpg", "copy000001.jpg", "copy000002.jpg"]


def test_equally_near_pictures_of_other_bytes_come_by_path_too(tmp_path):
    store = Store.create(tmp_path / "g", about())
    store.put([row(i, clustered(1)[0], f"{name}.jpg") for i, name in enumerate("zyxabc")])
    store.close()
    with lcnet.gallery.open(tmp_path / "g") as gallery:
        for k in (1, 3, 6):
            assert names(gallery.search(clustered(1)[0], k=k)[0]) == [f"{name}.jpg" for name in sorted("zyxabc")[:k]]


def test_the_matrix_is_made_again_when_it_is_stale_or_damaged_and_old_ones_stay_mapped(tmp_path):
    vectors = clustered(300)
    path = made(tmp_path / "g", vectors)
    derived = tmp_path / "g.matrix"
    with lcnet.gallery.open(path) as reader, lcnet.gallery.open(path) as writer:
        assert names(reader.search(vectors[0], k=1)[0]) == ["p000000.jpg"] and derived.is_file()
        old, before = reader._matrix, derived.read_bytes()
        writer.store.remove(["p000000.jpg"])
        assert names(reader.search(vectors[0], k=1)[0]) != ["p000000.jpg"] and derived.read_bytes() != before
        assert old.nearest(vectors[0], 1).similarities[0] > 0.999  # still there for whoever has it
    for damage in (b"", b"x" * 5000, before, derived.read_bytes()[:-1], b'{"state": 1}'.ljust(9000), ENDLESS):
        derived.write_bytes(damage)
        with lcnet.gallery.open(path) as gallery:
            assert names(gallery.search(vectors[1], k=1)[0]) == ["p000001.jpg"]
            assert json.loads(derived.read_bytes()[:4096])["count"] == 299


def test_a_picture_put_in_is_found_by_a_gallery_that_is_open(tmp_path):
    path, vectors = made(tmp_path / "g", clustered(10)), clustered(11, seed=3)
    with lcnet.gallery.open(path) as reader:
        reader.search(vectors[0])
        store = Store(path)
        store.put([row(99, vectors[10])])
        store.close()
        assert names(reader.search(vectors[10], k=1)[0]) == ["p000099.jpg"]


def test_a_vector_of_another_length_is_damage(tmp_path):
    path = made(tmp_path / "g", clustered(3))
    store = Store(path)
    store.connection.execute("UPDATE content SET embedding = x'00'")
    store.close()
    with lcnet.gallery.open(path) as gallery, pytest.raises(GalleryError, match="is damaged"):
        gallery.search(np.ones(64))
