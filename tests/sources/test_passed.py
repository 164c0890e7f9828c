"""What is not taken is counted, by suffix and with what to do, in folders and in archives."""

import os

import pytest
from archived import write_tar, write_zip
from pictures import encoded, picture

from lcnet import sources
from lcnet.sources import count_below, find, formats
from lcnet.sources.passed import Passed

PNG = encoded(picture(), "PNG")


@pytest.fixture(autouse=True)
def without_heif(monkeypatch):
    formats.installed.cache_clear()
    monkeypatch.setattr(formats, "find_spec", lambda name: None)
    yield
    formats.installed.cache_clear()


def passed_in(path, **options):
    passed = Passed()
    return [str(s) for s in find(path, passed=passed, **options)], passed


NAMES = ["a.png", "b.HEIC", "c.heic", "notes.txt", "raw.CR2", "noext", ".hidden.heic", "x.tar"]
TEXT = (
    "6 files not taken: 2 .heic (needs pip install pillow-heif), 1 .cr2 (camera raw: develop to JPEG or TIFF), "
    "1 .tar, 1 .txt, 1 without a suffix"
)


def test_a_folder(tmp_path):
    for name in NAMES:
        (tmp_path / name).write_bytes(PNG)
    found, passed = passed_in(tmp_path)
    assert found == [str(tmp_path / "a.png")]
    assert passed.text() == TEXT and passed.total() == 6


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_an_archive(tmp_path, kind):
    path = tmp_path / f"x.{kind}"
    (write_zip if kind == "zip" else write_tar)(path, [(f"deep/{name}", PNG) for name in NAMES])
    found, passed = passed_in(path)
    assert found == [f"{path}!/deep/a.png"] and passed.text() == TEXT


def test_pipes_and_links_to_them_are_counted_and_never_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "link.png").symlink_to("pipe.png")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    (tmp_path / "broken.png").symlink_to("nowhere")
    found, passed = passed_in(tmp_path)
    assert found == [str(tmp_path / "broken.png")]
    assert passed.text() == "3 files not taken: 3 pipe or device"


def test_folders_below_are_remembered_and_counted_when_asked_for(tmp_path, monkeypatch):
    for name in ("a.png", "d/b.png", "d/e/c.jpg", "d/e/t.txt", "d/.git/x.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(PNG)
    _, passed = passed_in(tmp_path)
    assert passed.unopened == [str(tmp_path)] and count_below(passed.unopened) == (2, True)
    _, passed = passed_in(tmp_path, recursive=True)
    assert passed.unopened == [] and count_below(passed.unopened) == (0, True)
    monkeypatch.setattr(sources, "MAX_LOOKED", 3)
    assert count_below([str(tmp_path)]) == (1, False)


def test_any_number_of_suffixes_takes_little_memory_and_one_line():
    passed = Passed()
    for i in range(5000):
        passed.add(f"file.{i:04}")
        passed.add(f"file.{'x' * i}!")
    assert len(passed.kinds) <= 257 and passed.total() == 10_000
    assert len(passed.text()) < 300 and passed.text().startswith("10,000 files not taken: ")
