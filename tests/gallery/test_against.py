"""`lcnet duplicates --against GALLERY`: copies among new pictures of what a gallery has; its own pictures stay as they are."""

import json
import os
import shutil
import zipfile

import numpy as np
import pytest
from click.testing import CliRunner
from labelled import png
from made import MODEL
from PIL import Image

from lcnet.cli import main


def run(*arguments, code=0):
    result = CliRunner().invoke(main, [*map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    assert result.exit_code == code, result.output
    return result


def scene(seed):
    """A picture with enough in it to be known again: uint8 [120,160,3]."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((160, 120), Image.Resampling.BICUBIC)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A gallery of three pictures, and a folder of new ones: a copy, one of the same pixels, a near one, two others."""
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    for i in range(3):
        scene(i).save(tmp_path / "old" / f"{i}.png")
    monkeypatch.chdir(tmp_path)
    run("gallery", "build", "g.gallery", "old", "-m", MODEL, "--threads", 1)
    shutil.copy("old/0.png", "new/copy.png")
    scene(1).save("new/pixels.bmp")
    scene(2).resize((96, 72)).save("new/near.jpg", quality=85)
    scene(7).save("new/other.png")
    shutil.copy("new/other.png", "new/twice.png")
    return tmp_path


def groups(*arguments):
    done = run("duplicates", *arguments, "--against", "g.gallery", "-f", "json")
    return {(g["kind"], *g["files"]) for g in json.loads(done.stdout)["groups"]}


FOUND = {
    ("bytes", "old/0.png", "new/copy.png"),
    ("bytes", "new/other.png", "new/twice.png"),
    ("pixels", "old/1.png", "new/pixels.bmp"),
    ("near", "old/2.png", "new/near.jpg"),
}


def test_new_pictures_are_compared_with_those_of_the_gallery_and_with_each_other(place):
    assert groups("new") == FOUND
    assert groups("old") == set()  # the gallery's own are not new
    assert groups("old", "new") == FOUND


def test_what_is_gone_is_known_still_and_what_has_changed_is_new(place):
    os.unlink("old/0.png")
    scene(30).save("old/1.png")
    shutil.copy("old/1.png", "new/thirty.png")
    assert groups("new", "old") == (FOUND - {("pixels", "old/1.png", "new/pixels.bmp")}) | {
        ("bytes", "new/thirty.png", "old/1.png")
    }


def test_moved_are_new_copies_only(place):
    before = sorted(os.listdir("old"))
    done = run(
        "duplicates", "new", "--against", "g.gallery", "--action", "move", "--to", "away", "--report", "r.jsonl", "-f", "json"
    )
    rows = json.loads(done.stdout)["groups"]
    assert {a for g in rows for a in g["actions"][1:]} == {"moved"} and {g["actions"][0] for g in rows} == {"kept"}
    assert sorted(os.listdir("old")) == before and sorted(os.listdir("new")) == ["other.png"]
    run("undo", "r.jsonl")
    assert groups("new") == FOUND


def test_the_page_and_the_table_show_the_gallerys_picture(place):
    done = run("duplicates", "new", "--against", "g.gallery", "--html", "page.html")
    text = (place / "page.html").read_text(encoding="utf-8")
    assert text.count("<section") == 4 and "old/0.png" in text and "old/0.png" in done.stdout
    assert "5 images" in done.stderr  # the gallery's are not counted


def test_embeddings_are_not_compared_with_the_gallerys(place):
    done = run("duplicates", "new", "--against", "g.gallery", "--near-by", "embedding", "-m", MODEL, code=2)
    assert "choose one" in done.stderr
    assert "is no gallery" in run("duplicates", "new", "--against", "old/0.png", code=4).stderr


def test_pictures_without_a_pattern_are_no_near_copies(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder, color in (("a", "red"), ("b", "blue")):
        os.mkdir(folder)
        Image.new("RGB", (40, 40), color).save(f"{folder}/x.png")
    run("gallery", "build", "g.gallery", "a", "-m", MODEL, "--threads", 1)
    assert groups("b") == set()
    (tmp_path / "b" / "y.png").write_bytes(png(3))
    assert groups("b") == set()


def test_a_picture_of_the_gallery_is_not_new_by_another_name(place):
    """Neither a way through a linked folder nor another name of the file makes a copy of what is kept, which would go then."""
    os.symlink("old", "album")
    run("gallery", "build", "h.gallery", "album", "-m", MODEL, "--threads", 1)
    os.link("old/1.png", "new/linked.png")
    before = sorted(os.listdir("old"))
    for kind in ("bytes", "pixels"):
        options = ("--against", "h.gallery", "--kind", kind, "--action", "move", "--to", "away", "--report", f"{kind}.jsonl")
        done = run("duplicates", "old", "new/linked.png", *options)
        assert "4 further names of the same files" in done.stderr and "nothing to do" in done.stderr
    assert sorted(os.listdir("old")) == before and os.path.exists("new/linked.png")


def test_members_of_archives_that_a_gallery_has_are_shown_and_left_alone(place):
    with zipfile.ZipFile("album.zip", "w") as archive:
        archive.write("old/0.png", "zero.png")
    run("gallery", "build", "z.gallery", "album.zip", "-m", MODEL, "--threads", 1)
    options = ("--against", "z.gallery", "--action", "move", "--to", "away", "--report", "r.jsonl", "--html", "page.html")
    done = run("duplicates", "new/copy.png", *options, code=1)
    assert "album.zip!/zero.png is in an archive: unpack that first" in done.stdout
    assert (place / "page.html").read_text(encoding="utf-8").count("<img ") == 2
