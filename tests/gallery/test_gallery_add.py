"""What goes into a gallery: only what is new or changed is looked at, whatever files are called and wherever they lie."""

import gc
import os
import shutil
import zipfile
from hashlib import sha256

import numpy as np
import pytest
from archived import write_tar
from labelled import jpeg, png
from made import MODEL, indexed
from pictures import encoded, picture
from PIL import Image

import lcnet
import lcnet.gallery
from lcnet.gallery.adding import CHANGED, FAILED, NEW, Adding
from lcnet.gallery.candidate import Candidate


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(4):
        (folder / f"{i}.png").write_bytes(png(i))
    return folder


@pytest.fixture
def read(monkeypatch):
    """The names of what is read."""
    names, whole = [], Candidate.read

    def counted(self):
        names.append(os.path.basename(self.name))
        return whole(self)

    monkeypatch.setattr(Candidate, "read", counted)
    return names


def kinds(outcomes):
    return sorted((os.path.basename(o.path), o.what) for o in outcomes)


def paths(gallery):
    return [key for key, _ in gallery.store.entries()]


def test_embeddings_and_hashes_are_those_of_the_pictures(photos, tmp_path):
    turned = Image.fromarray(picture(seed=9))
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(photos / "turned.jpg", exif=exif)
    gallery, outcomes = indexed(tmp_path / "g.gallery", photos)
    with gallery:
        assert kinds(outcomes) == [*((f"{i}.png", NEW) for i in range(4)), ("turned.jpg", NEW)]
        for key, stamp, content in gallery.store.pictures():
            path = tmp_path / key
            assert stamp == (path.stat().st_size, path.stat().st_mtime_ns)
            assert content.sha256 == sha256(path.read_bytes()).digest()
        pixels = {key: content.pixels for key, _, content in gallery.store.pictures()}
        assert pixels["photos/turned.jpg"] != pixels["photos/0.png"] and len(set(pixels.values())) == 5
        upright = Image.open(photos / "turned.jpg").transpose(Image.Transpose.ROTATE_270)
        upright.save(photos / "upright.png")
        list(gallery.add(str(photos)))
        pixels = {key: content.pixels for key, _, content in gallery.store.pictures()}
        assert pixels["photos/turned.jpg"] == pixels["photos/upright.png"]
        codes = np.concatenate([codes for _, codes in gallery.store.vectors(of_pictures=True)])
        expected = lcnet.load(MODEL).embeddings([str(photos.parent / key) for key in paths(gallery)])
        assert np.abs(gallery.store.coding.decode(codes) - expected).max() < np.abs(expected).max() / 127


def test_only_what_is_new_or_changed_is_read(photos, tmp_path, read):
    gallery, _ = indexed(tmp_path / "g.gallery", photos)
    with gallery:
        read.clear()
        assert list(gallery.add(str(photos))) == [] and read == []
        (photos / "1.png").write_bytes(png(11))
        (photos / "new.png").write_bytes(png(12))
        os.utime(photos / "2.png", ns=(1, 1))  # touched, and of the same bytes
        state = gallery.store.state().generation
        adding = Adding(gallery.store, gallery.model)
        assert kinds(adding.run([*map(str, sorted(photos.iterdir()))])) == [
            ("1.png", CHANGED),
            ("2.png", CHANGED),
            ("new.png", NEW),
        ]
        assert sorted(read) == ["1.png", "2.png", "new.png"]
        assert adding.counts["same"] == 2 and adding.copies == 1
        assert gallery.store.counts() == (5, 5) and gallery.store.state().generation > state
        assert list(gallery.add(str(photos))) == []


def test_a_copy_and_a_renamed_file_do_not_go_through_the_network(photos, tmp_path, monkeypatch):
    gallery, _ = indexed(tmp_path / "g.gallery", photos)
    with gallery:
        shutil.copy(photos / "0.png", photos / "copy.png")
        (photos / "1.png").rename(photos / "renamed.png")
        monkeypatch.setattr(Candidate, "look", None)
        assert kinds(gallery.add(str(photos))) == [("copy.png", NEW), ("renamed.png", NEW)]
        assert gallery.store.counts() == (6, 4)
        assert gallery.missing() == ["photos/1.png"]
        assert gallery.remove(gallery.missing()) == 1 and gallery.store.counts() == (5, 4)


def test_what_cannot_be_read_is_kept_out_named_and_tried_again(photos, tmp_path):
    for name, data in (("text.png", b"nothing"), ("empty.png", b""), ("cut.png", png(5)[:60])):
        (photos / name).write_bytes(data)
    (photos / "link.png").symlink_to("nowhere")
    gallery, outcomes = indexed(tmp_path / "g.gallery", photos)
    with gallery:
        bad = {os.path.basename(o.path): str(o.error) for o in outcomes if o.what == FAILED}
        assert sorted(bad) == ["cut.png", "empty.png", "link.png", "text.png"] and len(gallery) == 4
        assert all(text.startswith(f"{photos}/{name}: ") and text.count(name) == 1 for name, text in bad.items()), bad
        assert "no such file" in bad["link.png"] and "0 bytes" in bad["empty.png"] and "known format" in bad["text.png"]
        (photos / "cut.png").write_bytes(png(5))
        assert ("cut.png", NEW) in kinds(gallery.add(str(photos)))
        (photos / "cut.png").write_bytes(b"damaged now")  # and is not what it was: it goes
        assert ("cut.png", FAILED) in kinds(gallery.add(str(photos)))
        assert "photos/cut.png" not in paths(gallery) and gallery.store.counts() == (4, 4)


ODD = [
    "a\nb.png",
    "\u00e9\u4e2d\U0001f600.png",
    os.fsdecode(b"\xff\xfe.png"),
    "[x]*?.png",
    "'; DROP TABLE picture; --.png",
    " .png",
]


def test_names_are_what_files_have(tmp_path, monkeypatch):
    folder = tmp_path / "odd"
    folder.mkdir()
    for i, name in enumerate(ODD):
        (folder / name).write_bytes(png(i))
    gallery, outcomes = indexed(tmp_path / "g\n\udcff?#%.gallery", folder)
    with gallery:
        assert {o.what for o in outcomes} == {NEW} and len(gallery) == len(ODD)
        assert {gallery.store.place.path(key) for key in paths(gallery)} == {str(folder / name) for name in ODD}
        for name in ODD:
            match = gallery.search(str(folder / name), k=1)[0][0]
            assert match.path == str(folder / name) and match.similarity > 0.999
            assert len(gallery.matching([str(folder / name)])) == 1
        assert list(gallery.add(str(folder))) == []
        assert gallery.remove(gallery.matching([str(folder)])) == len(ODD)


def test_a_folder_with_its_gallery_may_be_moved(photos, tmp_path, monkeypatch):
    outside = tmp_path / "outside.png"
    outside.write_bytes(png(20))
    top = tmp_path / "top"
    top.mkdir()
    photos.rename(top / "photos")
    monkeypatch.chdir(top)
    with indexed("g.gallery", "photos", outside)[0] as gallery:
        assert paths(gallery) == sorted([str(outside), *(f"photos/{i}.png" for i in range(4))])
        assert gallery.search("photos/2.png", k=1)[0][0].path == "photos/2.png"
    monkeypatch.chdir(tmp_path)
    top.rename("moved")
    with lcnet.gallery.open("moved/g.gallery") as gallery:
        assert list(gallery.add(["moved/photos", str(outside)])) == [] and gallery.missing() == []
        assert gallery.search("moved/photos/2.png", k=1)[0][0].path == "moved/photos/2.png"
    os.symlink("moved", "link")
    with lcnet.gallery.open("link/g.gallery") as gallery:  # by another name of the same folder
        assert list(gallery.add([str(tmp_path / "moved/photos"), "link/photos"])) == []


def test_archives(photos, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for i in range(3):
            archive.writestr(f"in/{i}.png", png(100 + i))
    write_tar(tmp_path / "b.tar", [("x.png", png(200)), ("y.png", png(100))])
    with indexed(tmp_path / "g.gallery", tmp_path / "a.zip", tmp_path / "b.tar")[0] as gallery:
        assert paths(gallery) == ["a.zip!/in/0.png", "a.zip!/in/1.png", "a.zip!/in/2.png", "b.tar!/x.png", "b.tar!/y.png"]
        assert gallery.store.counts() == (5, 4)
        assert list(gallery.add([str(tmp_path / "a.zip"), str(tmp_path / "b.tar")])) == []
        assert gallery.missing() == [] and len(gallery.matching([str(tmp_path / "a.zip")])) == 3
        (tmp_path / "b.tar").unlink()
        assert gallery.missing() == ["b.tar!/x.png", "b.tar!/y.png"]


def test_nothing_is_taken_out_where_the_disk_is_gone(photos, tmp_path):
    with indexed(tmp_path / "g.gallery", photos)[0] as gallery:
        shutil.rmtree(photos)
        with pytest.raises(lcnet.LcnetError, match="none of its 4 pictures is there"):
            gallery.missing()


def test_what_was_answered_is_kept_when_the_run_is_stopped(tmp_path):
    for i in range(6):
        (tmp_path / f"{i}.jpg").write_bytes(jpeg(i))
    with indexed(tmp_path / "g.gallery")[0] as gallery:
        outcomes = gallery.add(str(tmp_path))
        next(outcomes)
        outcomes.close()
        assert len(gallery) == 1
        with pytest.raises(KeyboardInterrupt):
            for count, _ in enumerate(gallery.add(str(tmp_path))):
                if count == 2:
                    raise KeyboardInterrupt
        gc.collect()  # of the iterator that nobody closed
        assert len(gallery) == 4 and len(list(gallery.add(str(tmp_path)))) == 2


def test_pixels_are_compared_by_one_rule_whatever_the_network_takes(tmp_path, monkeypatch):
    """A network that does not turn pictures by EXIF embeds them lying, and their pixels' hash is of the upright ones."""
    from dataclasses import replace

    image = Image.fromarray(picture(seed=3, height=48, width=24))
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "lying.png").write_bytes(encoded(image, "PNG", exif=exif))
    model = lcnet.load(MODEL)
    plain = lcnet.load(MODEL)
    plain.config = replace(plain.config, preprocessing=replace(plain.preprocessing, exif=False))
    inputs, hashes = [], []
    for one in (model, plain):
        candidate = Candidate(str(tmp_path / "lying.png"))
        inputs.append(candidate.look(candidate.read(), one))
        hashes.append(candidate.content.pixels)
        assert np.array_equal(inputs[-1], one.preprocess([str(tmp_path / "lying.png")]))
    assert hashes[0] == hashes[1] and not np.array_equal(*inputs)
