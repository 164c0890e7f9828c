"""Which format a file's first bytes announce, and which suffixes are taken: rows of data, and a plugin that may be absent."""

import importlib.machinery
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from pictures import encoded, picture
from PIL import Image

from lcnet.errors import ImageError
from lcnet.image.pixels import decode
from lcnet.sources import formats
from lcnet.sources.formats import FORMATS, UNREAD, advice, format_of, is_suffix

SAVED = {"JPEG": {}, "PNG": {}, "GIF": {}, "WEBP": {}, "TIFF": {}, "BMP": {}, "PPM": {}, "JPEG2000": {}, "AVIF": {}}


@pytest.fixture
def without_heif(monkeypatch):
    formats.installed.cache_clear()
    monkeypatch.setattr(formats, "find_spec", lambda name: None if name == "pillow_heif" else True)
    yield
    formats.installed.cache_clear()


@pytest.mark.parametrize("name", SAVED)
def test_what_pillow_writes_is_known_and_read(name):
    data = encoded(picture(), name)
    assert format_of(data[:64]).name == name
    assert np.abs(decode(data).astype(int) - picture()).mean() < 40


def test_a_raw_codestream_and_a_stereo_picture_are_read():
    assert decode(encoded(picture(), "JPEG2000", no_jp2=True)).shape == (24, 36, 3)
    two = encoded(Image.fromarray(picture()), "MPO", save_all=True, append_images=[Image.fromarray(picture(seed=1))])
    assert format_of(two[:64]).name == "JPEG"
    assert np.abs(decode(two).astype(int) - picture()).mean() < 12


def box(major, *others):
    return (16 + 4 * len(others)).to_bytes(4, "big") + b"ftyp" + major + b"\0\0\0\0" + b"".join(others)


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (box(b"heic", b"mif1"), "HEIF"),
        (box(b"hevx"), "HEIF"),
        (box(b"avis"), "AVIF"),
        (box(b"avif", b"heic"), "AVIF"),
        (box(b"mif1", b"miaf", b"heic"), "HEIF"),
        (box(b"mif1", b"avif", b"heic"), "AVIF"),
        (box(b"msf1"), "AVIF"),
        (box(b"mif1") + b"heic", "AVIF"),  # behind the end of the box
        (box(b"isom", b"heic"), None),
        (box(b"crx "), None),
        (b"II*\0\x10\0\0\0CR\2\0", None),
        (b"\xff\x0a", None),
        (b"\0\0\1\0\1\0", None),
        (b"", None),
        (b"\0\0\0\x10ftyp", None),
    ],
)
def test_first_bytes(start, name):
    found = format_of(start)
    assert (found and found.name) == name


def test_suffixes_are_in_one_row_only_and_none_is_read_and_unread():
    suffixes = [suffix for row in FORMATS for suffix in row.suffixes.split()]
    assert len(suffixes) == len(set(suffixes)) and not set(suffixes) & set(UNREAD)
    for suffix in ".jfif .jpe .mpo .jp2 .j2k .avif .apng .pjpeg".split():
        assert is_suffix(suffix) and not advice(suffix)


def test_suffixes_of_a_plugin_count_where_it_is_installed(without_heif, monkeypatch):
    assert not is_suffix(".heic") and not is_suffix(".hif") and is_suffix(".jpg")
    assert advice(".heic") == "needs pip install pillow-heif"
    assert "develop" in advice(".dng") and "convert" in advice(".jxl") and advice(".txt") == ""
    formats.installed.cache_clear()
    monkeypatch.setattr(formats, "find_spec", lambda name: importlib.machinery.ModuleSpec(name, None))
    assert is_suffix(".heic") and is_suffix(".heif") and not is_suffix(".jxl")


PLUGIN = """
    from PIL import Image, ImageFile
    class Fake(ImageFile.ImageFile):
        format = "HEIF"
        def _open(self):
            self.fp.read(64)
            self._mode, self._size = "L", (40, 30)
            self.tile = [ImageFile._Tile("raw", (0, 0, 40, 30), 64, ("L", 0, 1))]
    Image.register_open("HEIF", Fake, lambda start: True)
"""
USE = """
    import sys, lcnet
    from lcnet.image.pixels import decode
    from lcnet.sources import find
    assert [str(p) for p in find(".")] == ["a.HEIC"], list(find("."))
    assert not [m for m in sys.modules if m.startswith("pillow_heif")]
    assert decode("a.HEIC").shape == (30, 40, 3) and decode("a.HEIC").mean() == 7
    assert "pillow_heif.HeifImagePlugin" in sys.modules
    try:
        decode("a.HEIC", max_pixels=100)
    except lcnet.ImageError as error:
        assert "40 x 30 pixels, more than max_pixels = 100" in str(error)
    else:
        raise SystemExit("not refused")
"""


def test_a_plugin_is_imported_for_its_first_file_and_held_to_the_limits(tmp_path):
    package = tmp_path / "site" / "pillow_heif"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "HeifImagePlugin.py").write_text(textwrap.dedent(PLUGIN))
    (tmp_path / "a.HEIC").write_bytes(box(b"heic").ljust(64, b"\0") + bytes([7]) * 1200)
    path = os.pathsep.join([str(tmp_path / "site"), str(Path(formats.__file__).parents[2])])
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(USE)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.returncode == 0, done.stderr


def test_real_heif_pictures_are_read():
    heif = pytest.importorskip("pillow_heif")
    heif.register_heif_opener()
    data = encoded(picture(height=240, width=360), "HEIF", quality=100)
    assert np.abs(decode(data).astype(int) - picture(height=240, width=360)).mean() < 8
    with pytest.raises(ImageError, match="max_pixels = 100"):
        decode(data, max_pixels=100)
    for cut in range(0, len(data), max(1, len(data) // 40)):
        with pytest.raises(ImageError):
            decode(data[:cut])


@pytest.mark.parametrize("tags", [{50706: b"\1\4\0\0"}, {254: 1, 330: 8}])
def test_a_camera_s_raw_file_is_not_answered_by_its_thumbnail(tags):
    data = encoded(picture(), "TIFF", tiffinfo=tags)
    with pytest.raises(ImageError, match="camera's raw file"):
        decode(data)
