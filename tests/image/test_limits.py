"""Small files that would take gigabytes or minutes: each is refused by what its header says, and sound ones are not."""

import io
import struct
import time
import tracemalloc
import zlib

import numpy as np
import pytest
from pictures import encoded, picture, png
from PIL import Image

from lcnet import image as lcnet_image
from lcnet.config import Preprocessing
from lcnet.errors import ImageError
from lcnet.image import batch, limits
from lcnet.image.codestream import cut
from lcnet.image.pixels import decode

RGB = Image.fromarray(picture(height=96, width=120))


def refused(data, words):
    started = time.monotonic()
    tracemalloc.start()
    try:
        with pytest.raises(ImageError, match=words):
            decode(data)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()
    assert time.monotonic() - started < 5


@pytest.fixture
def undecoded(monkeypatch):
    """Fail if anything is decoded."""
    monkeypatch.setattr(lcnet_image.pixels, "pixels_of", lambda *a: pytest.fail("it was decoded"))


def header(width, height):
    """A PNG whose header promises a size and whose data is nearly nothing."""
    size, rest = struct.pack(">II", width, height), b"\x08\2\0\0\0"
    whole = png(np.zeros((1, 1), np.uint8), 8, 0)
    return whole[:16] + size + rest + struct.pack(">I", zlib.crc32(b"IHDR" + size + rest)) + whole[33:]


@pytest.mark.parametrize(("width", "height"), [(1, 178_956_970), (178_956_970, 1), (10, 16_000_000), (1, 70_000)])
def test_what_is_too_narrow_is_refused_before_it_is_decoded(undecoded, width, height):
    with pytest.raises(ImageError, match=f"image bytes: .*{width} x {height} pixels"):
        batch(header(width, height), Preprocessing(input_size=(3, 224, 224)))


def test_a_picture_that_fits_once_it_is_turned_is_not_refused():
    exif = Image.Exif()
    exif[0x0112] = 6
    wide = encoded(Image.new("RGB", (300, 2), "red"), "PNG", exif=exif)
    narrow = Preprocessing(input_size=(3, 400, 4), crop_pct=1.0, crop_mode="border")
    with pytest.raises(ImageError, match="would be scaled"):
        batch(encoded(Image.new("RGB", (300, 2), "red"), "PNG"), narrow)
    assert batch(wide, narrow).shape == (1, 3, 400, 4)


def test_more_pixels_may_be_allowed(monkeypatch):
    monkeypatch.setattr(limits, "PILLOW_PIXELS", 400)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 400)  # as if it were Pillow's default
    assert decode(encoded(picture(), "PNG"), max_pixels=864).shape == (24, 36, 3)
    with pytest.raises(ImageError, match=r"max_pixels = .*allow more if"):
        decode(encoded(picture(), "PNG"), max_pixels=863)


def tiff(*tags, data=b""):
    entries = [(256, 3, 1, 8), (257, 3, 1, 8), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1), (277, 3, 1, 1), *tags]
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *e) for e in entries) + bytes(4)
    return (b"II*\0\x08\0\0\0" + directory).ljust(256, b"\0") + data


def test_tiles_larger_than_the_picture():
    data = zlib.compress(bytes(1 << 16))
    refused(tiff((322, 4, 1, 46336), (323, 4, 1, 46336), (324, 4, 1, 256), (325, 4, 1, len(data)), data=data), "in tiles of")
    grey = zlib.compress(bytes([9]) * 256)
    assert decode(tiff((322, 4, 1, 16), (323, 4, 1, 16), (324, 4, 1, 256), (325, 4, 1, len(grey)), data=grey)).mean() == 9


def scans_added(jpeg, scan, count):
    return jpeg[:-2] + scan * count + jpeg[-2:]


EMPTY_SCAN = b"\xff\xda\0\x08\x01\x01\0\x01\x05\x00"


def test_a_progressive_picture_of_thousands_of_scans():
    jpeg = encoded(RGB, "JPEG", progressive=True)
    refused(scans_added(jpeg, EMPTY_SCAN, 3000), "more than 100 scans")
    assert decode(jpeg).shape == decode(scans_added(jpeg, EMPTY_SCAN, 20)).shape == (96, 120, 3)


def test_a_baseline_picture_of_thousands_of_scans():
    jpeg = encoded(RGB, "JPEG")
    first, one = b"\xff\xda\0\x0c\3", b"\xff\xda\0\x08\x01\x01\0\0\x3f\0"
    at = jpeg.index(first)
    refused(scans_added(jpeg[:at] + one + jpeg[at + 14 :], one, 3000), "more than 100 scans")


def test_scans_of_other_pictures_in_a_file_do_not_count():
    jpeg = encoded(RGB, "JPEG", progressive=True)
    thumbnail = b"\xff\xe3" + struct.pack(">H", 2 + 60_000) + (b"\xff\xda" * 30_000)
    with_both = jpeg[:2] + thumbnail + jpeg[2:] + b"\xff\xda" * 10_000  # and a film behind the end, as telephones have it
    np.testing.assert_array_equal(decode(with_both), decode(jpeg))


def bmp(width, height, codes):
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(codes), 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 1078 + len(codes), 0, 0, 1078) + head + bytes(1024) + codes


def test_run_lengths_that_one_byte_multiplies():
    refused(bmp(3_400_000, 52, b"\0\2\0\xff" * 2), "run lengths")
    refused(bmp(65000, 2700, b"\1\1\0\0" * 2700), "run lengths")
    assert decode(bmp(4, 2, b"\4\0\0\0\4\0\0\1")).shape == (2, 4, 3)


def codestream(width, height, tile=None, jp2=False, **options):
    """A JPEG 2000 picture whose header says that it is larger, and cut otherwise, than it is."""
    data = bytearray(encoded(Image.new("RGB", (64, 64)), "JPEG2000", no_jp2=not jp2, **options))
    at = data.index(b"\xff\x4f\xff\x51")
    struct.pack_into(">II", data, at + 8, width, height)
    struct.pack_into(">II", data, at + 24, *(tile or (width, height)))
    return bytes(data)


@pytest.mark.parametrize("jp2", [False, True])
@pytest.mark.parametrize(
    ("tile", "options"),
    [((1, 1), {}), (None, {"codeblock_size": (4, 4)}), (None, {"codeblock_size": (4, 4), "precinct_size": (8, 8)})],
)
def test_a_picture_cut_into_millions_of_blocks(tile, options, jp2):
    refused(codestream(9000, 9000, tile, jp2, **options), "it is cut into")


def test_how_finely_sound_pictures_are_cut():
    plain = encoded(Image.new("RGB", (300, 200)), "JPEG2000", no_jp2=True)
    assert cut(plain) == (1, 300 * 200 * 3 // 4096)
    tiled = encoded(Image.new("L", (300, 200)), "JPEG2000", tile_size=(64, 64), codeblock_size=(16, 32))
    assert cut(tiled) == (20, 300 * 200 // 512)
    fine = encoded(Image.new("L", (256, 256)), "JPEG2000", precinct_size=(64, 64), codeblock_size=(32, 32))
    assert cut(fine) == (1, 64) and decode(fine).shape == (256, 256, 3)
    for damaged in (b"", b"\xff\x4f\xff\x51", plain[:60], b"\0\0\0\x0cjP  \r\n\x87\n" * 3, b"\0\0\0\1jp2c" + plain):
        assert cut(damaged).tiles < 2


def test_markers_in_tile_parts_count_and_data_does_not():
    data = bytearray(encoded(RGB, "JPEG2000", no_jp2=True, codeblock_size=(64, 64)))
    before = cut(bytes(data))
    fine = b"\xff\x53\0\x09\0\0\5\0\0\0\0"  # COC: blocks of 4 x 4 for the first component
    at = data.index(b"\xff\x93")  # SOD
    part = data.index(b"\xff\x90") + 6
    struct.pack_into(">I", data, part, struct.unpack_from(">I", data, part)[0] + len(fine))
    assert cut(bytes(data[:at] + fine + data[at:])).blocks == 96 * 120 * 3 // 16 > before.blocks
    assert cut(bytes(data) + fine) == before


@pytest.mark.parametrize(
    "data",
    [
        b"P6 10000 10000 65535\n" + b"0" * 99,
        b"P5 9 9 99999999\n" + b"0" * 99,
        b"P2 9999 9999 1\n" + b"1 " * 99,
        b"GIF89a" + struct.pack("<HHBBB", 4, 4, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff\x21\xfe" + b"\xff" * 256 * 4000,
    ],
)
def test_other_headers_that_promise_what_is_not_there(data):
    started = time.monotonic()
    with pytest.raises(ImageError):
        decode(data)
    assert time.monotonic() - started < 10


def test_text_that_expands_is_not_kept():
    text = zlib.compress(bytes(64 << 20), 9)
    many = png(np.zeros((12, 12), np.uint8), 8, 0, zTXt=b"a\0\0" + text, iCCP=b"a\0\0" + text)
    tracemalloc.start()
    try:
        with io.BytesIO(many) as file:
            np.testing.assert_array_equal(decode(file), 0)
    except ImageError:  # which Pillow says of a text of more than 1 MiB
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 16 << 20


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "WEBP", "PNG", "JPEG"])
def test_no_check_of_pillow_s_holds_below_what_is_allowed(kind, monkeypatch):
    monkeypatch.setattr(limits, "PILLOW_PIXELS", 400)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 400)
    tiles = {"tile": (16, 16)} if kind == "TIFF" else {}
    data = encoded(RGB, kind, **tiles)
    assert decode(data, max_pixels=96 * 120).shape == (96, 120, 3)
    assert Image.MAX_IMAGE_PIXELS == 400
    with pytest.raises(Image.DecompressionBombError):
        Image.open(io.BytesIO(data))  # elsewhere it goes on holding
    with pytest.raises(ImageError, match=r"120 x 96 pixels|exceeds limit"):
        decode(data, max_pixels=96 * 120 - 1)


def test_markers_that_would_hide_scans_do_not():
    jpeg = encoded(RGB, "JPEG", progressive=True)
    refused(scans_added(jpeg, b"\xff\x01" + EMPTY_SCAN * 100, 30), "more than 100 scans")
    base = encoded(RGB, "JPEG")
    at, one = base.index(b"\xff\xda\0\x0c\3"), b"\xff\xda\0\x08\x01\x01\0\0\x3f\0"
    forged = b"\xff\xfe\0\x08\xff\xda\0\x0c\3\1"  # a comment that, before the header of one component, looks like that of three
    refused(scans_added(base[:at] + forged + one + base[at + 14 :], one, 3000), "more than 100 scans")


def test_a_later_picture_of_an_mpo_is_held_to_the_same(tmp_path):
    from lcnet.image.frames import Film
    from lcnet.image.pixels import MAX_PIXELS

    second = scans_added(encoded(RGB, "JPEG", progressive=True), EMPTY_SCAN, 300)
    data = encoded(RGB.copy(), "MPO", save_all=True, append_images=[RGB.rotate(180)])
    image = Image.open(io.BytesIO(data))
    image.seek(1)
    offset = image.offset
    table = data.index(struct.pack("<I", len(data) - offset))
    data = data[:table] + struct.pack("<I", len(second)) + data[table + 4 : offset] + second
    film = Film(io.BytesIO(data), Preprocessing(), MAX_PIXELS)
    assert film.frame(0).shape == (96, 120, 3)
    with pytest.raises(ImageError, match="more than 100 scans"):
        film.frame(1)


def test_a_codestream_that_leads_backwards_ends():
    data = bytearray(encoded(RGB, "JPEG2000", no_jp2=True))
    struct.pack_into(">I", data, data.index(b"\xff\x90") + 6, 14)
    assert cut(bytes(data)).tiles == 1
    start = data.index(b"\xff\x90")
    assert cut(bytes(data[:start]) + b"\xff\x93" + bytes(99)).tiles == 1
