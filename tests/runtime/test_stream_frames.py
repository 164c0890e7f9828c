"""Frames as sources of a stream: their names, their order, what they answer, and what they keep in memory."""

import io
import os
import threading
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from archived import write_tar, write_zip
from pictures import encoded, picture
from PIL import Image

import lcnet
from lcnet.image import frames as image_frames
from lcnet.runtime import frames as module

PICTURES = [Image.fromarray(picture(seed=i)) for i in range(4)]


def gif(pictures=PICTURES):
    first, *others = [p.copy() for p in pictures]
    return encoded(first, "PNG", save_all=True, append_images=others)  # an APNG, which loses nothing


@pytest.fixture(scope="module")
def model():
    return lcnet.load("lcnet_050.cifar10", threads=2)


def answers(model, sources, frames="all", **options):
    return [(str(i.source), i.value) for i in model.stream(sources, "probs", frames=frames, **options)]


def test_the_second_frame_is_seen(model, tmp_path):
    """The reason for it all: the picture behind a harmless first frame."""
    path = tmp_path / "a.png"
    path.write_bytes(gif())
    ((_, first),) = answers(model, path, "first")
    found = answers(model, path)
    assert [name for name, _ in found] == [f"{path}/#{i}" for i in (1, 2, 3, 4)]
    np.testing.assert_array_equal(found[0][1], first)
    for (_, value), image in zip(found, PICTURES, strict=True):
        np.testing.assert_array_equal(value, model.probs(np.asarray(image))[0])
    assert [name for name, _ in answers(model, path, 2)] == [f"{path}/#1", f"{path}/#4"]
    assert [name for name, _ in answers(model, path, 1)] == [f"{path}/#1"]


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_order_and_other_sources_stay(model, tmp_path, workers):
    for i in range(6):
        (tmp_path / f"{i}.png").write_bytes(gif() if i % 2 else encoded(PICTURES[i % 4], "PNG"))
    (tmp_path / "bad.png").write_bytes(b"no picture")
    items = list(model.stream(tmp_path, "probs", frames=3, errors="yield", workers=workers))
    expected = [n for i in range(6) for n in ([f"{i}.png/#{k}" for k in (1, 3, 4)] if i % 2 else [f"{i}.png"])]
    assert [os.path.relpath(str(i.source), tmp_path) for i in items] == [*expected, "bad.png"]
    assert [i.error is None for i in items] == [True] * len(expected) + [False]
    assert isinstance(items[0].source, Path) and (items[1].source.of, items[1].source.number) == (tmp_path / "1.png", 1)
    assert "bad.png: it is not a picture" in str(items[-1].error)


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_frames_in_archives(model, tmp_path, kind):
    members = [("a/one.png", encoded(PICTURES[0], "PNG")), ("a/film.png", gif()), ("bad.png", b"no")]
    path = tmp_path / f"x.{kind}"
    write_zip(path, members) if kind == "zip" else write_tar(path, members)
    items = list(model.stream(path, "probs", frames=2, errors="yield"))
    assert [str(i.source) for i in items] == [
        f"{path}!/a/one.png",
        f"{path}!/a/film.png/#1",
        f"{path}!/a/film.png/#4",
        f"{path}!/bad.png",
    ]
    assert str(items[3].error).startswith(f"{path}!/bad.png: it is not a picture")
    np.testing.assert_array_equal(items[2].value, model.probs(np.asarray(PICTURES[3]))[0])


def test_bytes_files_arrays_and_pictures(model):
    data, array = gif(), picture()
    moved = io.BytesIO(data)
    moved.seek(30)
    found = list(model.stream([data, moved, array, PICTURES[0], encoded(array, "PNG")], "probs", frames=2))
    assert [str(i.source) for i in found[:4]] == ["image bytes/#1", "image bytes/#4", "file object/#1", "file object/#4"]
    assert found[4].source is array and found[5].source is PICTURES[0]
    assert not moved.closed


def test_a_pipe_is_read_once(model, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for data, names in ((gif(), ["/#1", "/#4"]), (encoded(PICTURES[1], "PNG"), [""])):
        threading.Thread(target=(tmp_path / "fifo").write_bytes, args=(data,), daemon=True).start()
        found = answers(model, tmp_path / "fifo", 2)
        assert [name for name, _ in found] == [f"{tmp_path}/fifo{end}" for end in names]
    missing = list(model.stream([tmp_path / "none.png", "/dev/zero"], "probs", frames=2, errors="yield"))
    assert "no such file" in str(missing[0].error) and "/dev/zero: it is a device" in str(missing[1].error)


def test_a_damaged_frame_is_an_error_of_its_own(model, tmp_path):
    data = gif()
    (tmp_path / "cut.png").write_bytes(data[: data.rindex(b"fdAT") + 8])
    items = list(model.stream(tmp_path / "cut.png", "probs", frames="all", errors="yield"))
    assert [i.error is None for i in items] == [True, True, True, False]
    assert str(items[3].error).startswith(f"{tmp_path / 'cut.png'}/#4: it is damaged or cut short")
    with pytest.raises(lcnet.ImageError, match=r"cut\.png/#4: "):
        answers(model, tmp_path / "cut.png")


def test_too_many_frames_are_one_error(model, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "MAX_FRAMES", 3)
    monkeypatch.setattr(image_frames, "MAX_FRAMES", 3)
    (tmp_path / "a.png").write_bytes(gif())
    (item,) = model.stream(tmp_path / "a.png", "probs", frames=2, errors="yield")
    assert str(item.error) == f"{tmp_path / 'a.png'}: it has more than 3 frames: cut it into files of fewer"


def test_frames_that_are_passed_over_are_not_decoded(model, tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(gif())
    decoded = []
    monkeypatch.setattr(image_frames.Film, "frame", lambda self, index: decoded.append(index) or picture())
    sources = list(model.expand([tmp_path / "a.png"], "all"))
    assert len(sources) == 4 and not decoded
    list(model.stream(sources[2:], "probs"))
    assert decoded == [2, 3]


def test_a_long_film_takes_the_memory_of_a_few_frames(model, tmp_path):
    first, *others = [Image.fromarray(picture(height=480, width=480, seed=i)) for i in range(40)]
    first.save(tmp_path / "long.tiff", save_all=True, append_images=others, compression="tiff_lzw")
    del first, others
    tracemalloc.start()
    try:
        kept = [i.source for i in model.stream(tmp_path / "long.tiff", "probs", frames="all", batch_size=1, workers=1)]
        assert len(kept) == 40 and tracemalloc.get_traced_memory()[1] < 16 * 480 * 480 * 3
    finally:
        tracemalloc.stop()


def test_a_name_that_no_file_can_have(model, tmp_path):
    (tmp_path / "a.png").write_bytes(gif())
    for name, _ in answers(model, tmp_path / "a.png"):
        with pytest.raises(NotADirectoryError):
            os.stat(name)


@pytest.mark.parametrize("frames", [0, "some", True, -2])
def test_other_frames_are_refused_at_once(model, frames):
    with pytest.raises(lcnet.InputError, match="frames is"):
        model.stream([], frames=frames)


@pytest.mark.parametrize("value", [0, -1, 1.5, True, None])
def test_max_pixels_is_a_number(value):
    with pytest.raises(lcnet.InputError, match="max_pixels is"):
        lcnet.load("lcnet_050.cifar10", threads=1, max_pixels=value)


def test_max_pixels_holds_in_every_method():
    small = lcnet.load("lcnet_050.cifar10", threads=1, max_pixels=863)
    for method in (small.classify, small.probs, small.embeddings, small.feature_maps, small.preprocess):
        with pytest.raises(lcnet.ImageError, match="max_pixels = 863"):
            method(encoded(picture(), "PNG"))
    items = list(small.stream([gif()], frames="all", errors="yield"))
    assert len(items) == 1 and "max_pixels = 863" in str(items[0].error)
    assert lcnet.load("lcnet_050.cifar10", threads=1, max_pixels=864).probs(encoded(picture(), "PNG")).shape == (1, 10)
