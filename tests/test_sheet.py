"""The contact sheet, read by another parser than the one that wrote it: what it shows, escapes, counts and never asks for."""

import base64
import io
import os
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lcnet.errors import InputError
from lcnet.sheet import SIDE, Picture, Section, check_sheet, write_sheet
from lcnet.sources import find


class Page(HTMLParser):
    def __init__(self, path):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data

    def all(self, name):
        return [attributes for tag, attributes in self.tags if tag == name]

    def thumbnails(self):
        for image in self.all("img"):
            head, _, data = image["src"].partition(",")
            assert head == "data:image/jpeg;base64"
            yield Image.open(io.BytesIO(base64.b64decode(data)))


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (400, 200), "teal").save("wide.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    left = np.zeros((200, 400, 3), np.uint8)
    left[:, :200] = 255
    Image.fromarray(left).save("turned.jpg", exif=exif)
    Image.new("L", (30, 20), 99).save("small.png")
    return tmp_path


def write(*sections, **options):
    write_sheet(Path("s.html"), "Copies", "of what", sections, **options)
    return Page(Path("s.html"))


def test_thumbnails_are_small_upright_and_inside_the_file(drawn):
    page = write(
        Section("A group", [Picture("wide.png", "first", True), Picture("turned.jpg", "second"), Picture("small.png", "")])
    )
    wide, turned, small = page.thumbnails()
    assert wide.size == (SIDE, SIDE // 2) and turned.size == (SIDE // 2, SIDE) and small.size == (30, 20)
    assert np.asarray(turned)[:70].mean() > 240 and np.asarray(turned)[90:].mean() < 15
    assert [image["alt"] for image in page.all("img")] == ["wide.png", "turned.jpg", "small.png"]
    assert [item.get("class") for item in page.all("li")] == ["best", None, None]


def test_nothing_is_asked_for_and_nothing_runs(drawn):
    page = write(Section("A group", [Picture("wide.png", "")]))
    policy = next(m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    assert not {"script", "link", "iframe", "a", "form"} & {tag for tag, _ in page.tags}
    assert page.all("html") == [{"lang": "en"}] and page.all("section") == [{"aria-labelledby": page.all("h2")[0]["id"]}]


def test_names_are_text_whatever_they_look_like(drawn):
    evil = '"><script>alert(1)</script>\n\x1b[2J\u202e.png'
    Image.new("RGB", (9, 9)).save(drawn / "x.png")
    (drawn / "x.png").rename(evil.replace("/", "\u2215"))
    name = evil.replace("/", "\u2215")
    page = write(Section(name, [Picture(name, name)], note=name))
    assert not page.all("script") and len(page.all("img")) == 1
    assert not {"\x1b", "\u202e"} & set(Path("s.html").read_text(encoding="utf-8"))
    bad = os.fsdecode(b"\xff.png")
    assert r"\xff.png" in write(Section("g", [Picture(bad, "")])).text


def test_a_picture_that_cannot_be_read_says_why(drawn):
    Path("empty.jpg").write_bytes(b"")
    page = write(Section("g", [Picture("empty.jpg", ""), Picture("gone.png", ""), Picture("wide.png", "")]))
    assert "it is empty (0 bytes)" in page.text and "there is no such file" in page.text and len(page.all("img")) == 1


def test_more_than_the_limit_are_counted(drawn):
    pictures = [Picture("small.png", "")] * 4
    page = write(Section("one", pictures), Section("two", pictures), Section("three", pictures), limit=6)
    assert len(page.all("img")) == 6 and "and 2 more" in page.text and "6 more pictures are not shown" in page.text
    assert "three" not in page.text


def test_members_of_archives(drawn):
    import zipfile

    with zipfile.ZipFile("a.zip", "w") as archive:
        archive.write("wide.png")
    (member,) = find("a.zip")
    page = write(Section("g", [Picture(str(member), "", source=member)]))
    assert next(page.thumbnails()).size == (SIDE, SIDE // 2) and page.all("img")[0]["alt"] == "a.zip!/wide.png"


def test_it_appears_whole_or_not_at_all(drawn):
    def sections():
        yield Section("g", [Picture("wide.png", "")])
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_sheet(Path("s.html"), "t", "s", sections())
    with pytest.raises(InputError, match="none"):
        write_sheet(Path("none/s.html"), "t", "s", [])
    assert not list(Path().glob("*s.html*")) and not list(Path().glob(".s.html*"))


def test_a_page_takes_the_place_of_nothing_but_a_page(tmp_path):
    target = tmp_path / "a.jpg"
    target.write_bytes(b"\xff\xd8\xff")
    with pytest.raises(InputError, match=r"a\.jpg is not overwritten: it is no page of HTML"):
        check_sheet(target, overwrite=True)
    target.write_bytes(b"")
    check_sheet(target, overwrite=True)
    write_sheet(target, "t", "s", [])
    check_sheet(target, overwrite=True)
    with pytest.raises(InputError, match="exists"):
        check_sheet(target, overwrite=False)
