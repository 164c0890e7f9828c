"""Frames: which are taken, that they are Pillow's, and that their number and their pixels have bounds."""

import io
import struct
import zlib
from contextlib import suppress

import numpy as np
import pytest
from pictures import encoded, picture
from PIL import Image, ImageSequence

from lcnet.config import Preprocessing
from lcnet.errors import ImageError, InputError
from lcnet.image import frames
from lcnet.image.frames import ALL, Film, check_frames, chosen, has_several
from lcnet.image.pixels import MAX_PIXELS, decode

RGB = Preprocessing()
PICTURES = [Image.fromarray(picture(seed=i)) for i in range(3)]
SEVERAL = {"GIF": {}, "PNG": {}, "WEBP": {"lossless": True}, "TIFF": {}, "AVIF": {"quality": 100}, "MPO": {"quality": 95}}


def several(kind, pictures=PICTURES, **options):
    first, *others = [p.copy() for p in pictures]  # Pillow leaves options of one format in a picture for the next
    return encoded(first, kind, save_all=True, append_images=others, **{**SEVERAL[kind], **options})


def film(data, max_pixels=MAX_PIXELS):
    return Film(io.BytesIO(data), RGB, max_pixels)


@pytest.mark.parametrize("kind", SEVERAL)
def test_frames_are_what_pillow_says_that_they_are(kind):
    data = several(kind)
    opened = film(data)
    assert opened.count == 3
    expected = [np.asarray(f.convert("RGB")) for f in ImageSequence.Iterator(Image.open(io.BytesIO(data)))]
    found = [opened.frame(i) for i in range(3)]
    opened.close()
    for pixels, right, meant in zip(found, expected, PICTURES, strict=True):
        np.testing.assert_array_equal(pixels, right)
        assert np.abs(pixels.astype(int) - np.asarray(meant)).mean() < 12
    np.testing.assert_array_equal(found[0], decode(data))


@pytest.mark.parametrize("kind", SEVERAL)
def test_frames_may_be_passed_over(kind):
    one = film(several(kind))
    assert np.abs(one.frame(2).astype(int) - np.asarray(PICTURES[2])).mean() < 12


@pytest.mark.parametrize("kind", [*SEVERAL, "JPEG", "BMP"])
def test_one_picture_is_one_frame(kind):
    data = encoded(PICTURES[0], kind)
    assert film(data).count == 1
    assert not has_several(Image.open(io.BytesIO(data)))


@pytest.mark.parametrize(
    ("count", "wanted", "taken"),
    [
        (5, 1, [0]),
        (5, 2, [0, 4]),
        (5, 3, [0, 2, 4]),
        (5, 4, [0, 1, 3, 4]),
        (5, 5, [0, 1, 2, 3, 4]),
        (5, 9, [0, 1, 2, 3, 4]),
        (100, 4, [0, 33, 66, 99]),
        (3, ALL, [0, 1, 2]),
        (2, 1, [0]),
    ],
)
def test_which_frames_are_taken(count, wanted, taken):
    assert chosen(count, wanted) == taken


def test_frames_taken_are_distinct_and_reach_from_end_to_end():
    for count in range(2, 40):
        for wanted in range(2, count + 1):
            taken = chosen(count, wanted)
            assert len(set(taken)) == wanted and (taken[0], taken[-1]) == (0, count - 1) and taken == sorted(taken)


@pytest.mark.parametrize("value", [0, -1, 1.5, "some", None, True, "3"])
def test_other_choices_are_refused(value):
    with pytest.raises(InputError, match="frames is"):
        check_frames(value)


def test_transparency_and_orientation_hold_for_frames():
    clear = [Image.new("RGBA", (36, 24), (255, 0, 0, 255)), Image.new("RGBA", (36, 24), (0, 0, 0, 0))]
    opened = film(several("PNG", clear, disposal=1, blend=0))
    assert opened.frame(0)[0, 0].tolist() == [255, 0, 0] and opened.frame(1)[0, 0].tolist() == [255, 255, 255]
    exif = Image.Exif()
    exif[0x0112] = 6
    assert film(several("WEBP", exif=exif)).frame(1).shape == (36, 24, 3)


@pytest.mark.parametrize("kind", ["GIF", "TIFF"])
def test_more_frames_than_the_bound_are_not_counted_on(kind, monkeypatch):
    monkeypatch.setattr(frames, "MAX_FRAMES", 5)
    pictures = [Image.fromarray(picture(seed=i)) for i in range(9)]
    assert film(several(kind, pictures)).count == 6


def test_pages_that_lead_in_a_circle_end():
    data = bytearray(several("TIFF"))
    (first,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, first)
    (second,) = struct.unpack_from("<I", data, first + 2 + 12 * entries)
    (entries,) = struct.unpack_from("<H", data, second)
    struct.pack_into("<I", data, second + 2 + 12 * entries, first)
    assert film(bytes(data)).count == 2


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_all_frames_together_have_a_limit_of_pixels(kind, monkeypatch):
    monkeypatch.setattr(frames, "MAX_TIMES", 2)
    opened = film(several(kind), 24 * 36)
    assert opened.frame(0).shape == opened.frame(1).shape == (24, 36, 3)
    with pytest.raises(ImageError, match="more than 2 times max_pixels = 864"):
        opened.frame(2)
    with pytest.raises(ImageError, match="more than 2 times"):
        film(several(kind), 24 * 36).frame(2)  # those before have to be decoded


def test_a_page_is_held_to_the_limits_of_a_picture():
    opened = film(several("TIFF", [PICTURES[0], Image.new("RGB", (100, 100)), PICTURES[2]]), 24 * 36)
    assert opened.frame(0).shape == (24, 36, 3)
    with pytest.raises(ImageError, match="100 x 100 pixels, more than max_pixels"):
        opened.frame(1)
    assert opened.frame(2).shape == (24, 36, 3)


def test_a_header_that_promises_more_frames_than_there_are():
    data = bytearray(several("PNG"))
    at = data.index(b"acTL")
    data[at + 4 : at + 8] = struct.pack(">I", 50)
    data[at + 12 : at + 16] = struct.pack(">I", zlib.crc32(bytes(data[at : at + 12])))
    opened = film(bytes(data))
    assert opened.count == 50 and opened.frame(2).shape == (24, 36, 3)
    with pytest.raises(ImageError, match="damaged or cut short"):
        opened.frame(3)


@pytest.mark.parametrize("kind", SEVERAL)
def test_damaged_frames_raise_image_errors_only(kind, rng):
    data = several(kind)
    for _ in range(60):
        damaged = bytearray(data)
        for at in rng.integers(12, len(data), 4):
            damaged[at] = rng.integers(256)
        damaged = bytes(damaged[: rng.integers(len(data) // 2, len(data))])
        try:
            opened = film(damaged, 1 << 20)
        except Exception:
            with pytest.raises(ImageError):
                decode(damaged, max_pixels=1 << 20)
            continue
        for index in range(min(opened.count, 8)):
            with suppress(ImageError):
                assert opened.frame(index).shape[2] == 3
