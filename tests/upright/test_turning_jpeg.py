"""JPEG files turned: in the DCT to the coefficient, or encoded again as they were; and what they say, put right."""

import io
import struct

import numpy as np
import pytest
from pages import ANGLES, TURN, XMP, back, decoded, encoded, info_of, marked
from PIL import Image

from lcnet.errors import ImageError
from lcnet.upright import jpeg, metadata, turns


@pytest.fixture
def turbojpeg():
    return pytest.importorskip("turbojpeg", reason="turbojpeg (extra: jpeg) is not installed")


@pytest.mark.parametrize("options", [{}, {"subsampling": 0}, {"subsampling": 1}, {"progressive": True}], ids=str)
@pytest.mark.parametrize("angle", ANGLES)
def test_a_jpeg_of_whole_blocks_is_turned_in_the_dct(turbojpeg, angle, options):
    data = encoded(marked(192, 160, angle=angle), quality=80, **options)
    done, how = jpeg.turn(data, TURN[angle])
    assert how == "dct"
    before, after = decoded(data).astype(int), decoded(done).astype(int)
    assert np.abs(back(before, angle) - after).max() <= 4  # roundings of the inverse DCT and of three channels' conversion
    assert bool(info_of(done).get("progressive")) == bool(options.get("progressive"))


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_four_turns_in_the_dct_are_none_to_the_coefficient(turbojpeg, mode):
    data = encoded(marked(96, 64, seed=3), mode=mode, quality=70)
    once = done = jpeg.turn(data, TURN[90])[0]
    for _ in range(3):
        done, how = jpeg.turn(done, TURN[90])
        assert how == "dct"
    assert bare(turbojpeg, done) == bare(turbojpeg, data) != bare(turbojpeg, once)
    assert (decoded(done) == decoded(data)).all()


def bare(turbojpeg, data):
    """Its coefficients, coded in one way only."""
    return turbojpeg.transform(data, turbojpeg.OP.NONE, copynone=True, optimize=True)


@pytest.mark.parametrize("angle", ANGLES)
@pytest.mark.parametrize("options", [{}, {"subsampling": 0}, {"progressive": True}], ids=str)
def test_any_other_jpeg_is_encoded_again_by_its_own_tables(angle, options):
    smooth = np.asarray(Image.fromarray(marked(30, 20, angle=angle)).resize((163, 227), Image.Resampling.BICUBIC))
    data = encoded(smooth, quality=83, **options)
    done, how = jpeg.turn(data, TURN[angle])
    assert how == "reencoded"
    with Image.open(io.BytesIO(data)) as before, Image.open(io.BytesIO(done)) as after:
        for number, table in before.quantization.items():
            square = np.reshape(table, (8, 8))
            assert np.reshape(after.quantization[number], (8, 8)).tolist() == (square.T if angle != 180 else square).tolist()
        assert [part[1:3] for part in after.layer] == [part[1:3] for part in before.layer]
        assert bool(after.info.get("progressive")) == bool(before.info.get("progressive"))
        one, other = back(np.asarray(before).astype(int), angle), np.asarray(after).astype(int)
    assert one.shape == other.shape
    off = [np.abs(one - np.roll(other, shift, axis)).mean() for shift, axis in ((1, 0), (-1, 0), (1, 1), (-1, 1))]
    assert np.abs(one - other).mean() < 2.5 and np.abs(one - other).mean() < 0.7 * min(off)  # no row is shifted
    assert all(np.abs(one[edge] - other[edge]).mean() < 4 for edge in (0, -1))  # and none is black


@pytest.mark.parametrize("size", [(96, 64), (93, 61)])
def test_colours_that_are_not_converted_are_not(size):
    data = encoded(marked(*size, angle=90), quality=90, keep_rgb=True)
    done, _ = jpeg.turn(data, TURN[90])
    with Image.open(io.BytesIO(data)) as before, Image.open(io.BytesIO(done)) as after:
        assert [part[1:3] for part in after.layer] == [part[1:3] for part in before.layer]
        assert after.info["adobe_transform"] == before.info["adobe_transform"] == 0
    assert np.abs(back(decoded(data), 90).astype(int) - decoded(done)).mean() < 4


def test_without_the_extra_a_jpeg_is_encoded_again(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "turbojpeg", None)
    done, how = jpeg.turn(encoded(marked(96, 64, angle=90)), TURN[90])
    assert how == "reencoded" and decoded(done).shape == (96, 64, 3)


def test_what_libjpeg_makes_of_a_file_is_compared_before_it_is_kept(monkeypatch):
    class Wrong:
        OP = type("OP", (), {"ROT270": 0})

        @staticmethod
        def transform(data, how, **options):
            return encoded(marked(96, 64, mark=255))

    monkeypatch.setitem(__import__("sys").modules, "turbojpeg", Wrong)
    assert jpeg.turn(encoded(marked(96, 64, angle=90)), TURN[90])[1] == "reencoded"


def exif_with(orientation, thumbnail=b""):
    """An EXIF block as cameras write it: resolutions, an orientation, the sizes in pixels, and a thumbnail's directory."""
    tags = [(0x010F, 2, 6, 100), (0x011A, 5, 1, 106), (0x011B, 5, 1, 114), (0x0128, 3, 1, 2 << 16), (0x8769, 4, 1, 122)]
    tags = sorted([*tags, (0x0112, 3, 1, orientation << 16)] if orientation else tags)
    second = [(0x0103, 3, 1, 6 << 16), (0x0201, 4, 1, 240), (0x0202, 4, 1, len(thumbnail))]
    inner = [(0x9003, 2, 20, 210), (0xA002, 4, 1, 111), (0xA003, 3, 1, 222 << 16)]
    block = b"MM\0*" + struct.pack(">I", 8) + directory(tags, 164 if thumbnail else 0)
    block = block.ljust(100, b"\0") + b"Maker\0" + struct.pack(">4I", 300, 1, 150, 1) + directory(inner, 0)
    block = block.ljust(164, b"\0") + directory(second, 0)
    return (block.ljust(210, b"\0") + b"2026:01:02 03:04:05\0").ljust(240, b"\0") + thumbnail


def directory(tags, following):
    return struct.pack(">H", len(tags)) + b"".join(struct.pack(">HHII", *tag) for tag in tags) + struct.pack(">I", following)


def spoken(orientation=0):
    """A JPEG that says all that one can say."""
    thumbnail = encoded(marked(30, 20))
    icc = b"profile" * 20000  # several segments
    return encoded(
        marked(96, 64, angle=90),
        quality=90,
        exif=b"Exif\0\0" + exif_with(orientation, thumbnail),
        icc_profile=icc,
        xmp=XMP,
        dpi=(200, 100),
        comment=b"a comment",
    ), thumbnail


@pytest.mark.parametrize("extra", [True, False])
def test_what_a_jpeg_says_survives_and_is_put_right(extra, monkeypatch):
    if not extra:
        monkeypatch.setitem(__import__("sys").modules, "turbojpeg", None)
    data, thumbnail = spoken(1)  # which goes before what XMP says
    done, _ = jpeg.turn(data, TURN[90])
    assert thumbnail in data and thumbnail not in done
    with Image.open(io.BytesIO(data)) as before, Image.open(io.BytesIO(done)) as after:
        assert after.info["icc_profile"] == before.info["icc_profile"] and after.info["comment"] == b"a comment"
        assert after.info["jfif_density"] == before.info["jfif_density"][::-1]
        assert b'tiff:Orientation="1"' in after.info["xmp"] and b'dc:title="T"' in after.info["xmp"]
        assert b"Thumbnails" not in after.info["xmp"] and len(after.info["xmp"]) == len(XMP)
        exif, old = after.getexif(), before.getexif()
        assert exif[0x010F] == "Maker" and exif.get(0x0112, 1) == 1
        assert (exif[0x011A], exif[0x011B]) == (old[0x011B], old[0x011A]) == (150, 300)
        inner = exif.get_ifd(0x8769)
        assert (inner[0xA002], inner[0xA003]) == (222, 111) and inner[0x9003] == "2026:01:02 03:04:05"
        assert not exif.get_ifd(1)


@pytest.mark.parametrize("tag", range(1, 9))
@pytest.mark.parametrize("angle", ANGLES)
def test_a_tag_that_viewers_go_by_is_part_of_the_turn(tag, angle):
    data = encoded(marked(96, 64), quality=95, exif=b"Exif\0\0" + exif_with(tag))
    seen = turns.applied(decoded(data), tag)
    done, how = jpeg.turn(data, TURN[angle])
    with Image.open(io.BytesIO(done)) as image:
        assert image.getexif()[0x0112] == 1
        assert np.abs(back(seen, angle).astype(int) - np.asarray(image)).mean() < 3
    assert (how == "tag") == (turns.both(tag, TURN[angle]) == 1)


@pytest.mark.parametrize("tag", [0, 1, 3, 6, 8])
@pytest.mark.parametrize("kind", ["exif", "none"])
def test_only_the_tag(tag, kind):
    from PIL import ImageOps

    exif = {} if kind == "none" else {"exif": b"Exif\0\0" + exif_with(tag)}
    data = encoded(marked(96, 64), quality=95, **exif)
    done, how = jpeg.turn(data, TURN[90], tag_only=True)
    assert how == "tag" and (decoded(done) == decoded(data)).all()
    with Image.open(io.BytesIO(data)) as before, Image.open(io.BytesIO(done)) as after:
        seen = np.asarray(ImageOps.exif_transpose(before))
        assert (np.asarray(ImageOps.exif_transpose(after)) == back(seen, 90)).all()
        assert kind == "none" or after.getexif().get_ifd(0x8769)[0xA002] == 111
        assert tag == 0 or kind == "none" or len(done) == len(data)


def test_what_stands_behind_a_jpeg_stays_there_and_several_pictures_are_left_alone():
    data = encoded(marked(96, 64, angle=180)) + b"film" * 100
    assert jpeg.turn(data, TURN[180])[0].endswith(b"\xff\xd9" + b"film" * 100)
    film = io.BytesIO()
    Image.fromarray(marked()).save(film, "MPO", save_all=True, append_images=[Image.fromarray(marked(seed=1))])
    with pytest.raises(ImageError, match="more than one picture"):
        jpeg.turn(film.getvalue(), TURN[90])


def test_photoshops_resources():
    def resource(number, body):
        return b"8BIM" + struct.pack(">H", number) + b"\0\0" + struct.pack(">I", len(body)) + body + b"\0" * (len(body) % 2)

    resolution = b"x" * 8 + b"y" * 8
    before = b"Photoshop 3.0\0" + resource(1028, b"iptc!") + resource(1036, b"thumb") + resource(1005, resolution)
    after = b"Photoshop 3.0\0" + resource(1028, b"iptc!") + resource(1005, b"y" * 8 + b"x" * 8)
    assert metadata.photoshop(before, lying=True) == after
    assert metadata.photoshop(before[:-3], lying=True) == before[:-3]


@pytest.mark.parametrize("cut", range(0, 200, 7))
def test_a_damaged_exif_block_stays_as_it_is_or_is_still_one(cut):
    block = exif_with(6, b"thumb")
    bad = block[:cut]
    assert len(metadata.exif(bad, True)) == len(bad)
    for seed in range(20):
        rng = np.random.default_rng((cut, seed))
        hurt = bytearray(block)
        hurt[rng.integers(4, len(hurt))] = rng.integers(256)
        metadata.exif(bytes(hurt), True)
