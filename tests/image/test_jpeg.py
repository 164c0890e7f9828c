"""Our decoder of JPEG files against Pillow's: the same pixels to the bit on every ISA, or none, and then the same outcome."""

import io
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from drawn_jpegs import by_pillow, drawn, saved, with_frame
from pictures import encoded
from PIL import Image

from lcnet import _native
from lcnet.config import Preprocessing
from lcnet.errors import ImageError, InputError
from lcnet.image import batch, decode, jpeg, pixels

ISAS = [isa for isa, here in _native.isas() if here and isa not in ("avx512vnni", "avx512bf16")]
SAMPLINGS = ("grey", "4:4:4", "4:2:2", "4:2:0", "4:4:0")


def ours(data, shape, isa=""):
    out = np.full(shape, 7, np.uint8)
    return out if _native.decode_jpeg(data, out, isa=isa) else None


def check(data, ours_too=True):
    expected = by_pillow(data)
    for isa in ISAS:
        found = ours(data, expected.shape, isa)
        assert (found is not None) == ours_too
        if found is not None:
            np.testing.assert_array_equal(found, expected)


def is_narrow(sampling, width):
    """Of which libjpeg-turbo makes something else than of others."""
    return sampling in ("4:2:2", "4:2:0") and width <= 4


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_every_size(sampling):
    for width in range(1, 71):
        height = width * 29 % 70 + 1
        data = saved(drawn(width, height, width), sampling, quality=width + 25, optimize=bool(width % 2))
        check(data, not is_narrow(sampling, width))


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_every_quality(sampling):
    for quality in range(1, 101, 3):
        check(saved(drawn(37, 26, quality), sampling, quality=quality))


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_partial_units_at_the_bottom_and_on_the_right(sampling):
    if sampling == "4:4:0":
        data = saved(drawn(48, 24), sampling)
        for width, height in [(17, 33), (24, 34), (18, 47), (23, 48), (20, 40)]:
            check(with_frame(data, width, height, 0x12))
    else:
        for size in range(31, 50):
            check(saved(drawn(size, 81 - size, size), sampling))


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_restarts(sampling):
    for blocks in range(1, 12):
        check(saved(drawn(50, 40, blocks), sampling, restart_marker_blocks=blocks))
    check(saved(drawn(50, 40), sampling, restart_marker_rows=1))


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_the_hardest_contrasts(sampling):
    """Black and white at random: coefficients are as large as an encoder makes them, and codes as long."""
    rng = np.random.default_rng(1)
    for quality in (1, 5, 30, 75, 95, 100):
        image = np.repeat(rng.integers(0, 2, (33, 41, 1), dtype=np.uint8) * 255, 3, axis=2)
        colours = rng.integers(0, 2, (33, 41, 3), dtype=np.uint8) * 255
        for picture in (image, colours):
            check(saved(picture, sampling, quality=quality))


def test_wide_and_high_pictures():
    for width, height in [(3001, 3), (6, 2000), (1, 1500), (2500, 1)]:
        for sampling in ("grey", "4:4:4", "4:2:0"):
            if not is_narrow(sampling, width):
                check(saved(drawn(width, height), sampling))


def test_tables_with_codes_of_every_length():
    """Optimised for one picture of many contrasts, the words of rare numbers are as long as words may be."""
    rng = np.random.default_rng(5)
    image = drawn(240, 240, 3, 2)
    image[:40] = rng.integers(0, 256, (40, 240, 3))
    data = saved(image, "4:4:4", quality=97, optimize=True)
    assert max(i + 1 for t in tables(data) for i, n in enumerate(t[1:17]) if n) > 12
    check(data)


def segments(data):
    """(place, marker, contents) of what comes before the scan, and the scan's header."""
    at = 2
    while True:
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        yield at, data[at + 1], data[at + 4 : at + 2 + length]
        if data[at + 1] == 0xDA:
            return
        at += 2 + length


def tables(data):
    return [contents for _, marker, contents in segments(data) if marker == 0xC4]


def replaced(data, marker, at, value):
    """One byte of the first segment with this marker."""
    start = next(place for place, found, _ in segments(data) if found == marker) + 4 + at
    return data[:start] + bytes([value]) + data[start + 1 :]


def scan_of(data):
    place, _, contents = list(segments(data))[-1]
    return place + 4 + len(contents)


def without(data, marker):
    place, _, contents = next(s for s in segments(data) if s[1] == marker)
    return data[:place] + data[place + 4 + len(contents) :]


IMAGE = drawn(60, 44)
PLAIN = saved(IMAGE, "4:2:0")
RESTARTS = saved(IMAGE, "4:4:4", restart_marker_blocks=3)
FIRST_RESTART = RESTARTS.index(b"\xff\xd0", scan_of(RESTARTS))
APP14 = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0"

NOT_OURS = {
    "progressive": encoded(IMAGE, "JPEG", progressive=True),
    "CMYK": encoded(Image.fromarray(IMAGE).convert("CMYK"), "JPEG"),
    "stored as RGB": encoded(IMAGE, "JPEG", keep_rgb=True),
    "RGB by Adobe's marker": without(PLAIN, 0xE0).replace(b"\xff\xdb", APP14 + b"\0\xff\xdb", 1),
    "YCCK's transform": without(PLAIN, 0xE0).replace(b"\xff\xdb", APP14 + b"\2\xff\xdb", 1),
    "arithmetic": PLAIN.replace(b"\xff\xc0", b"\xff\xc9", 1),
    "lossless": PLAIN.replace(b"\xff\xc0", b"\xff\xc3", 1),
    "12 bits": replaced(PLAIN, 0xC0, 0, 12),
    "no pixels": replaced(replaced(PLAIN, 0xC0, 1, 0), 0xC0, 2, 0),
    "another sampling": replaced(PLAIN, 0xC0, 7, 0x41),
    "samplings of differences": replaced(PLAIN, 0xC0, 10, 0x21),
    "two components of one name": replaced(PLAIN, 0xC0, 12, 2),
    "an unknown table of quanta": replaced(PLAIN, 0xC0, 8, 3),
    "an unknown code": replaced(PLAIN, 0xDA, 2, 0x22),
    "one component of three": replaced(PLAIN, 0xDA, 0, 1),
    "part of the coefficients": replaced(PLAIN, 0xDA, 8, 5),
    "a quantum of zero": replaced(PLAIN, 0xDB, 5, 0),
    "quanta of 16 bits": replaced(PLAIN, 0xDB, 0, 0x10),
    "too many words": replaced(PLAIN, 0xC4, 1, 3),
    "a number of 16 bits": replaced(PLAIN, 0xC4, 17, 16),
    "cut short": PLAIN[: len(PLAIN) // 2],
    "without its end": PLAIN[:-2],
    "ended by another start": PLAIN[:-1] + b"\xd8",
    "a byte too many": PLAIN[:-2] + b"\0" + PLAIN[-2:],
    "filled up": PLAIN[:-2] + b"\xff" + PLAIN[-2:],
    "a byte too few": PLAIN[:-3] + PLAIN[-2:],
    "a second scan": PLAIN[:-2] + PLAIN[scan_of(PLAIN) - 14 :],
    "a height to come": PLAIN[:-2] + b"\xff\xdc\0\4\0\x2c" + PLAIN[-2:],
    "an end too early": PLAIN[: scan_of(PLAIN) + 20] + b"\xff\xd9" + PLAIN[scan_of(PLAIN) + 20 :],
    "another restart": RESTARTS[: FIRST_RESTART + 1] + b"\xd3" + RESTARTS[FIRST_RESTART + 2 :],
    "a restart too early": RESTARTS[: FIRST_RESTART - 4] + RESTARTS[FIRST_RESTART:],
    "a restart too late": RESTARTS[:FIRST_RESTART] + b"\x55" + RESTARTS[FIRST_RESTART:],
    "noise": PLAIN[: scan_of(PLAIN)] + bytes(b % 251 for b in range(7, 5000, 13)) + b"\xff\xd9",
    "ones": PLAIN[: scan_of(PLAIN)] + b"\xff\0" * 400 + b"\xff\xd9",
    "nothing coded": PLAIN[: scan_of(PLAIN)] + b"\xff\xd9",
    "another marker first": PLAIN[:2] + b"\xff\x01" + PLAIN[2:],
    "filled before a marker": PLAIN[:2] + b"\xff" + PLAIN[2:],
    "numbers beyond 16 bits": replaced(
        saved(np.tile(IMAGE[:8, :8] // 128 * 255, (5, 5, 1)), "4:4:4", quality=100), 0xDB, 1, 255
    ),
}


def outcome(data, monkeypatch, own):
    with monkeypatch.context() as patch:
        if not own:
            patch.setattr(jpeg, "decoded", lambda *_: None)
        try:
            return decode(data, max_pixels=1 << 24)
        except ImageError as error:
            return str(error)


@pytest.mark.parametrize("kind", NOT_OURS)
def test_whatever_is_odd_is_pillows(kind, monkeypatch):
    data = NOT_OURS[kind]
    for isa in ISAS:
        for shape in ((44, 60, 3), (40, 40, 3)):
            assert ours(data, shape, isa) is None
    monkeypatch.setattr(jpeg, "wanted", lambda: True)
    expected, found = (outcome(data, monkeypatch, own) for own in (False, True))
    assert type(found) is type(expected)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    "data",
    [
        PLAIN + b"behind the end",
        PLAIN.replace(b"\xff\xdb", b"\xff\xfe\0\6text\xff\xdb", 1),
        without(PLAIN, 0xE0).replace(b"\xff\xdb", APP14 + b"\1\xff\xdb", 1),
        without(PLAIN, 0xE0),
        PLAIN.replace(b"\xff\xc0", b"\xff\xc1", 1),
        encoded(IMAGE, "JPEG", icc_profile=b"x" * 70000),
        replaced(saved(IMAGE, "grey"), 0xC0, 7, 0x22),
    ],
    ids=["more behind", "comment", "Adobe's YCbCr", "no JFIF", "extended", "a profile", "grey with factors"],
)
def test_what_is_sound_is_ours(data):
    check(data)


def test_another_size_is_none():
    assert ours(PLAIN, (44, 61, 3)) is None
    assert ours(PLAIN, (43, 60, 3)) is None
    assert ours(PLAIN, (44, 60, 1)) is None
    with pytest.raises(ValueError, match="channels"):
        ours(PLAIN, (44, 60, 4))


def test_sides_that_libjpeg_refuses():
    data = with_frame(saved(drawn(16, 8), "4:4:4"), 65501, 1, 0x11)
    assert ours(data, (1, 65501, 3)) is None


@pytest.fixture
def taken(monkeypatch):
    """Which calls gave pixels of ours."""
    calls, real = [], jpeg.decoded

    def decoded(*arguments):
        calls.append((found := real(*arguments)) is not None)
        return found

    monkeypatch.setattr(jpeg, "wanted", lambda: True)
    monkeypatch.setattr(jpeg, "decoded", decoded)
    return calls


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_turned_by_exif(orientation, mode, taken, monkeypatch):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(Image.fromarray(IMAGE).convert(mode), "JPEG", exif=exif)
    for channels in (1, 3):
        preprocessing = Preprocessing((channels, 32, 32), mean=(0.5,) * channels, std=(0.5,) * channels)
        found = decode(data, preprocessing)
        with monkeypatch.context() as patch:
            patch.setattr(jpeg, "decoded", lambda *_: None)
            expected = decode(data, preprocessing)
        np.testing.assert_array_equal(found, expected)
    assert taken == [True, True]


def test_every_source_and_none_of_the_callers_images(tmp_path, taken):
    path, expected = tmp_path / "a.jpg", by_pillow(PLAIN)
    path.write_bytes(PLAIN)
    with path.open("rb") as file:
        file.seek(9)
        for source in (path, PLAIN, bytearray(PLAIN), memoryview(PLAIN), file, io.BytesIO(PLAIN)):
            np.testing.assert_array_equal(decode(source), expected)
    assert taken == [True] * 6
    with Image.open(path) as image:
        np.testing.assert_array_equal(decode(image), expected)
        assert not image.tile  # read by Pillow, as its owner expects
    assert len(taken) == 6


def test_a_file_that_gives_its_bytes_in_parts(taken):
    class Slow:
        def __init__(self):
            self.file = io.BytesIO(PLAIN)

        def read(self, size=-1):
            return self.file.read(min(size, 300) if size > 0 else size)

        def __getattr__(self, name):
            return getattr(self.file, name)

    np.testing.assert_array_equal(decode(Slow()), by_pillow(PLAIN))
    assert taken == [False]


def test_memory_that_is_used_again(taken):
    """For who asks for it, in the same thread, and not without a bound."""
    first, second = (drawn(60, 44, seed) for seed in (1, 2))
    kept = [decode(saved(image, "4:4:4")) for image in (first, second)]
    passing = [decode(saved(image, "4:4:4"), passing=True) for image in (second, first)]
    np.testing.assert_array_equal(passing[0], kept[0])  # where the second has been
    np.testing.assert_array_equal(passing[1], kept[0])
    assert not np.array_equal(kept[0], kept[1])
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(decode, saved(second, "4:4:4"), passing=True).result()
    np.testing.assert_array_equal(other, kept[1])
    np.testing.assert_array_equal(passing[1], kept[0])
    large = saved(drawn(1400, 1000), "4:2:0")
    assert not np.shares_memory(decode(large, passing=True), decode(large, passing=True))
    assert all(taken)


def test_who_is_shown_a_picture_may_decode_another(taken):
    first, second = (saved(drawn(60, 44, seed), "4:4:4") for seed in (1, 2))
    expected, shown = batch(first), []

    def seen(image):
        shown.append(np.asarray(image))
        batch(second)

    np.testing.assert_array_equal(batch(first, seen=seen), expected)
    np.testing.assert_array_equal(shown[0], by_pillow(first))


def test_what_threads_decode_at_once_stays_their_own(taken):
    files = [saved(drawn(60 + seed, 44, seed), "4:2:0") for seed in range(40)]
    expected = [batch(data) for data in files]
    with ThreadPoolExecutor(4) as pool:
        for found in (list(pool.map(batch, files * 5)), [batch(data) for data in files * 5]):
            for x, same in zip(found, expected * 5, strict=True):
                np.testing.assert_array_equal(x, same)
    assert all(taken)


def test_a_word_that_says_nothing_is_refused(monkeypatch):
    monkeypatch.setenv("LCNET_JPEG", "pilow")
    with pytest.raises(InputError, match="LCNET_JPEG is 'pilow', expected own or pillow"):
        jpeg.wanted.__wrapped__()


def test_the_fast_way_is_pillows(taken):
    data = saved(drawn(200, 160), "4:2:0")
    preprocessing = Preprocessing((3, 64, 64))
    x = batch(data, preprocessing, fast=True)
    assert taken == [False]
    same = batch(saved(drawn(70, 66), "4:2:0"), preprocessing, fast=True)
    assert taken == [False, True] and same.shape == x.shape


def test_too_many_pixels_are_refused_first(taken):
    with pytest.raises(ImageError, match="max_pixels"):
        decode(PLAIN, max_pixels=100)
    assert not taken


@pytest.mark.parametrize(
    ("said", "isa", "turbo", "version", "expected"),
    [
        ("", "avx2", True, "3.1.0", True),
        ("", "avx2", True, "2.1.5", True),
        ("", "avx2", True, "2.0.6", False),
        ("", "avx2", False, None, False),
        ("", "scalar", True, "3.1.0", False),
        ("", "neon", True, "3.1.0", False),  # for which there are no kernels
        ("own", "scalar", True, "3.1.0", True),
        ("own", "scalar", False, None, False),
        ("pillow", "avx2", True, "3.1.0", False),
    ],
)
def test_when_it_is_tried(said, isa, turbo, version, expected, monkeypatch):
    class Core:
        HAVE_LIBJPEGTURBO = turbo
        libjpeg_turbo_version = version

    monkeypatch.setenv("LCNET_JPEG", said)
    monkeypatch.setattr(_native, "selected_isa", lambda: isa)
    monkeypatch.setattr(Image, "core", Core)
    assert jpeg.wanted.__wrapped__() is expected


def test_an_isa_that_is_not_to_be_had_is_told_as_ever():
    code = f"import lcnet.image as i; print(i.decode({PLAIN!r}).shape); i.batch({PLAIN!r})"
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"LCNET_ISA": "abacus"}, capture_output=True, text=True
    )
    assert done.stdout == "(44, 60, 3)\n"
    assert "InputError: unknown ISA 'abacus'" in done.stderr


def test_pixels_of_a_page_that_is_shrunk_are_pillows(taken):
    with Image.open(io.BytesIO(PLAIN)) as image:
        assert pixels.pixels_of(image, Preprocessing(), short_side=10).shape == (11, 15, 3)
    assert not taken
