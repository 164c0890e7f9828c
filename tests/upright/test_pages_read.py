"""Pages as they are read: upright as viewers show them, small, one after another, with what is wrong with each."""

import io

import numpy as np
import pytest
from pages import encoded, judge, marked
from pdfs import WORDS, locked, pdf
from PIL import Image

from lcnet.errors import ImageError
from lcnet.upright import pages, turning
from lcnet.upright import pdf as pdf_files
from lcnet.upright.refused import Refused

SIDE = 64


def read(path, data, side=SIDE, **options):
    path.write_bytes(data)
    return list(pages.read(path, side, **options))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "PPM", "GIF", "AVIF", "JPEG2000"])
@pytest.mark.parametrize("angle", [0, 90, 180, 270])
def test_every_format(kind, angle, tmp_path):
    (page,) = read(tmp_path / "x", encoded(marked(*((600, 520) if kind == "JPEG" else (200, 140)), angle=angle), kind))
    assert page.number == 1 and page.pixels.shape[2] == 3 and SIDE <= min(page.pixels.shape[:2]) <= 2.3 * SIDE
    assert judge([page.pixels])[0].angle == angle


@pytest.mark.parametrize("mode", ["1", "L", "CMYK"])
def test_other_modes_are_small_too(mode, tmp_path):
    (page,) = read(tmp_path / "x.tif", encoded(marked(600, 520, angle=270), "TIFF", mode))
    assert min(page.pixels.shape[:2]) == 65 and page.pixels.shape[2] == 3 and judge([page.pixels])[0].angle == 270


@pytest.mark.parametrize("tag", [3, 6, 8])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_a_tag_is_respected(kind, tag, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = tag
    data = encoded(marked(480, 320, angle={3: 180, 6: 270, 8: 90}[tag]), kind, exif=exif)
    (page,) = read(tmp_path / "x", data)
    assert judge([page.pixels])[0].angle == 0


def tiff_with_a_bad_page():
    first, *rest = (Image.fromarray(marked(seed=i, angle=90 * i)) for i in range(3))
    out = io.BytesIO()
    first.save(out, "TIFF", save_all=True, append_images=rest, compression="tiff_lzw")
    data = bytearray(out.getvalue())
    with Image.open(io.BytesIO(data)) as image:
        image.seek(1)
        at, size = image.tag_v2[273][0], image.tag_v2[279][0]
    data[at : at + size] = b"\xff" * size
    return bytes(data)


def test_a_damaged_page_in_the_middle_hides_no_other(tmp_path):
    one, two, three = read(tmp_path / "x.tif", tiff_with_a_bad_page())
    assert [page.number for page in (one, two, three)] == [1, 2, 3]
    assert two.pixels is None and isinstance(two.error, ImageError)
    assert [judgement.angle for judgement in judge([one.pixels, three.pixels])] == [0, 180]


def test_films_are_refused_and_bad_files_told(tmp_path):
    film = io.BytesIO()
    Image.fromarray(marked()).save(film, "GIF", save_all=True, append_images=[Image.fromarray(marked(seed=1))])
    with pytest.raises(Refused, match=r"several pictures \(GIF\)"):
        read(tmp_path / "x", film.getvalue())
    for data in (b"", b"nothing", encoded(marked())[:3000], encoded(marked(), "PNG")[:3000]):
        with pytest.raises(ImageError):
            read(tmp_path / "x", data)
    with pytest.raises(ImageError, match="max_pixels = 100"):
        read(tmp_path / "x", encoded(marked()), max_pixels=100)


# PDF


@pytest.fixture
def pdfium():
    return pytest.importorskip("pypdfium2", reason="pypdfium2 (extra: pdf) is not installed")


def test_pdf_needs_its_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "pypdfium2", None)
    with pytest.raises(Refused, match=r"pip install 'lcnet\[pdf\]'"):
        read(tmp_path / "x.pdf", pdf())


def test_pages_of_a_pdf_as_viewers_show_them(pdfium, tmp_path):
    found = read(tmp_path / "x.pdf", pdf((0, 90, 180, 270) * 3))
    assert [page.number for page in found] == list(range(1, 13))
    assert [judgement.angle for judgement in judge([page.pixels for page in found])] == [0, 90, 180, 270] * 3
    assert {min(page.pixels.shape[:2]) for page in found} == {2 * SIDE}


@pytest.mark.parametrize("angle", [90, 180, 270])
def test_a_pdf_is_turned_by_its_rotation_and_nothing_else_changes(pdfium, tmp_path, angle):
    path, data = tmp_path / "x.pdf", pdf((angle, 0, angle))
    path.write_bytes(data)
    done, how = turning.turned(path, {1: angle, 3: angle})
    assert set(how.values()) == {"rotate"} and done.startswith(data)
    document = pdfium.PdfDocument(done)
    assert [page.get_rotation() for page in document] == [0, 0, 0]
    assert [page.get_textpage().get_text_bounded() for page in document] == [f"{WORDS} {i}" for i in (1, 2, 3)]
    assert pdfium.raw.FPDF_GetFormType(document) == pdfium.raw.FORMTYPE_ACRO_FORM
    path.write_bytes(done)
    assert {judgement.angle for judgement in judge([page.pixels for page in pages.read(path, SIDE)])} == {0}
    assert turning.turned(path, {1: 90})[0].startswith(done)  # once more


def test_pdfs_that_are_left_alone(pdfium, tmp_path):
    with pytest.raises(Refused, match="password"):
        read(tmp_path / "x.pdf", locked())
    with pytest.raises(ImageError, match="damaged or no PDF"):
        read(tmp_path / "x.pdf", b"%PDF-1.7\nnothing")
    assert pdf_files.is_pdf(tmp_path / "x.pdf")


@pytest.mark.parametrize("seed", range(12))
def test_damaged_pdfs(pdfium, seed, tmp_path):
    rng = np.random.default_rng(seed)
    data = bytearray(pdf((90, 0)))
    for at in rng.integers(8, len(data), 12):
        data[at] = rng.integers(256)
    path = tmp_path / "x.pdf"
    path.write_bytes(data)
    try:
        numbers = [page.number for page in pages.read(path, SIDE)]
        if numbers:
            turning.turned(path, {1: 90})
    except ImageError:
        pass
