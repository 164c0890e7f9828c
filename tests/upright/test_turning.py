"""Files turned: the pixels are numpy's turn of the old ones, exactly or by how far a JPEG may round, and all else is kept."""

import io
import struct
import zlib
from itertools import product

import numpy as np
import pytest
from pages import ANGLES, TURN, XMP, back, decoded, encoded, info_of, marked, noise
from pictures import png as png_file
from PIL import Image

from lcnet.errors import ImageError
from lcnet.upright import png, rasters, tiff, turns
from lcnet.upright.refused import Refused
from lcnet.upright.turning import turned


def test_operations_are_those_of_pillow_and_of_numpy():
    from PIL import ImageOps

    pixels = noise(5, 7)
    for number in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = number
        image = Image.open(io.BytesIO(encoded(pixels, "PNG", exif=exif)))
        assert (np.asarray(ImageOps.exif_transpose(image)) == turns.applied(pixels, number)).all(), number
    for first, then in product(range(1, 9), repeat=2):
        twice = turns.applied(turns.applied(pixels, first), then)
        assert (twice == turns.applied(pixels, turns.both(first, then))).all()
    for angle, number in turns.BACK.items():
        assert (turns.applied(pixels, number) == back(pixels, angle)).all()


# PNG

KINDS = [
    (0, 1),
    (0, 2),
    (0, 4),
    (0, 8),
    (0, 16),
    (2, 8),
    (2, 16),
    (3, 1),
    (3, 2),
    (3, 4),
    (3, 8),
    (4, 8),
    (4, 16),
    (6, 8),
    (6, 16),
]


def unfiltered(data):
    """The samples' rows of bytes of a PNG that is not interlaced, by the letter of the standard."""
    width, height, depth, colour = struct.unpack(">IIBB", data[16:26])
    step = max(depth * png.CHANNELS[colour] // 8, 1)
    size = -(-width * depth * png.CHANNELS[colour] // 8)
    raw = zlib.decompress(b"".join(chunk.data for chunk in png._chunks(data) if chunk.name == b"IDAT"))
    rows, above = [], bytes(size)
    for y in range(height):
        kind, line = raw[y * (size + 1)], bytearray(raw[y * (size + 1) + 1 : (y + 1) * (size + 1)])
        for i in range(size):
            a, b, c = (line[i - step] if i >= step else 0), above[i], (above[i - step] if i >= step else 0)
            p = a + b - c
            near = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
            line[i] = (line[i] + (0, a, b, (a + b) // 2, near)[kind]) % 256
        rows.append(bytes(line))
        above = rows[-1]
    return np.array([list(row) for row in rows], np.uint8), (width, height, depth, colour)


def samples(data):
    rows, (width, height, depth, colour) = unfiltered(data)
    if depth < 8:
        bits = np.unpackbits(rows, axis=1)[:, : width * depth].reshape(height, width, depth)
        return bits @ (1 << np.arange(depth)[::-1])
    return rows.reshape(height, width, depth * png.CHANNELS[colour] // 8)


def png_of(colour, depth, height=13, width=21):
    channels = png.CHANNELS[colour]
    extra = {"PLTE": bytes(range(48)) if depth < 8 else bytes(range(256)) * 3} if colour == 3 else {}
    extra = {"pHYs": struct.pack(">IIB", 100, 200, 1), **extra, "tEXt": b"Title\0T"}
    if depth >= 8:
        return png_file(noise(height, width, channels, dtype=np.uint8 if depth == 8 else np.uint16), depth, colour, **extra)
    rows = noise(height, -(-width * depth // 8))
    data = png_file(rows, 8, 0, **extra)
    header = png.Chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)).encoded()
    return data[:8] + header + data[33:]


@pytest.mark.parametrize(("colour", "depth"), KINDS)
@pytest.mark.parametrize("angle", ANGLES)
def test_a_png_of_every_kind_is_turned_exactly(colour, depth, angle):
    data = png_of(colour, depth)
    done, how = png.turn(data, TURN[angle])
    assert how == "exact" and done[24:26] == data[24:26]
    assert (samples(done) == back(samples(data), angle)).all()
    kept = [c for c in png._chunks(done) if c.name not in (b"IHDR", b"IDAT", b"pHYs")]
    assert kept == [c for c in png._chunks(data) if c.name not in (b"IHDR", b"IDAT", b"pHYs")]
    (resolution,) = (c.data for c in png._chunks(done) if c.name == b"pHYs")
    assert struct.unpack(">II", resolution[:8]) == ((100, 200) if angle == 180 else (200, 100))


def test_a_png_with_exif_and_transparency():
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(noise(9, 7, 3), "PNG", exif=exif, transparency=(1, 2, 3), icc_profile=b"icc")
    done, _ = png.turn(data, TURN[90])
    with Image.open(io.BytesIO(done)) as image:
        assert image.getexif()[0x0112] == 1 and image.info["transparency"] == (1, 2, 3) and image.info["icc_profile"] == b"icc"
        assert (np.asarray(image) == back(turns.applied(decoded(data), 6), 90)).all()


# TIFF


def tiff_of(pixels, compression="raw", mode=None, **options):
    return encoded(pixels, "TIFF", mode, compression=compression, dpi=(300, 150), **options)


def fields_of(data):
    with Image.open(io.BytesIO(data)) as image:
        return dict(image.tag_v2)


TIFFS = {
    "grey": noise(23, 17),
    "colour": noise(23, 17, 3),
    "alpha": noise(23, 17, 4),
    "16 bits": noise(23, 17, dtype=np.uint16),
    "float": noise(23, 17).astype(np.float32),
}


@pytest.mark.parametrize("name", TIFFS)
@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"])
@pytest.mark.parametrize("angle", ANGLES)
def test_a_tiff_is_turned_exactly(name, compression, angle):
    data = tiff_of(TIFFS[name], compression)
    done, how = tiff.turn(data, {0: TURN[angle]})
    before, after = fields_of(data), fields_of(done)
    assert how == {0: "exact"} and (decoded(done) == back(decoded(data), angle)).all()
    assert after[258] == before[258] and after[262] == before[262] and after[259] == before[259]
    swapped = (before[283], before[282]) if angle != 180 else (before[282], before[283])
    assert (after[282], after[283]) == swapped


@pytest.mark.parametrize("mode", ["P", "CMYK", "LAB", "LA"])
def test_other_colours_of_tiff(mode):
    data = tiff_of(noise(23, 17, 3) if mode == "P" else noise(23, 17, {"CMYK": 4, "LAB": 3, "LA": 2}[mode]), mode=None)
    if mode in ("P", "CMYK"):
        data = tiff_of(noise(23, 17, 3), "tiff_lzw", mode=mode)
    done, _ = tiff.turn(data, {0: TURN[90]})
    assert (decoded(done) == back(decoded(data), 90)).all()
    assert fields_of(done).get(320) == fields_of(data).get(320)


@pytest.mark.parametrize("compression", ["group4", "group3", "tiff_ccitt", "raw", "tiff_lzw", "packbits"])
@pytest.mark.parametrize("photometric", [0, 1])
@pytest.mark.parametrize("angle", ANGLES)
def test_one_bit_stays_one_bit(compression, photometric, angle):
    image = Image.fromarray(noise(29, 37)).convert("1")
    out = io.BytesIO()
    image.save(out, "TIFF", compression=compression, tiffinfo={262: photometric})
    data = out.getvalue()
    done, _ = tiff.turn(data, {0: TURN[angle]})
    before, after = fields_of(data), fields_of(done)
    assert [after.get(tag, 1) for tag in (258, 259, 262, 277)] == [before.get(tag, 1) for tag in (258, 259, 262, 277)]
    assert (decoded(done) == back(decoded(data), angle)).all()


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(("kind", "channels"), [("u2", 3), ("u2", 1), ("u1", 3), ("u4", 1)])
def test_predicted_and_wide_samples_of_either_byte_order(order, kind, channels):
    pixels = noise(11, 9, channels, dtype=np.dtype(kind).type)
    data = written_tiff(pixels, order, predictor=2)
    done, _ = tiff.turn(data, {0: TURN[270]})
    assert (read_tiff(done, order, kind, channels) == back(pixels, 270)).all()


def written_tiff(pixels, order, predictor=1):
    """A TIFF of one deflated strip, by the letter of TIFF 6.0."""
    height, width, channels = pixels.shape
    size = pixels.dtype.itemsize
    rows = np.diff(pixels, axis=1, prepend=pixels[:, :1] * 0) if predictor == 2 else pixels
    strip = zlib.compress(rows.astype(pixels.dtype.newbyteorder(order)).tobytes())
    rows = [(256, width), (257, height), (258, *[8 * size] * channels), (259, 8), (262, 2 if channels == 3 else 1)]
    rows += [(273, 8), (277, channels), (278, height), (279, len(strip)), (317, predictor)]
    at = 8 + len(strip) + len(strip) % 2
    body, beyond = b"", b""
    for tag, *values in rows:
        packed = struct.pack(f"{order}{len(values)}I", *values)
        end = at + 2 + 12 * len(rows) + 4 + len(beyond)
        body += struct.pack(f"{order}HHI", tag, 4, len(values))
        body += packed if len(packed) == 4 else struct.pack(f"{order}I", end)
        beyond += packed if len(packed) > 4 else b""
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, at)
    return head + strip.ljust(at - 8, b"\0") + struct.pack(f"{order}H", len(rows)) + body + bytes(4) + beyond


def read_tiff(data, order, kind, channels):
    """The pixels of such a file, which may have several strips."""
    from lcnet.upright.ifd import Directories

    file = Directories(data)
    fields = file.entries(next(file.chain()))
    one = {tag: file.numbers(entry) for tag, entry in fields.items() if entry.kind in (1, 3, 4)}
    assert one.get(317, (1,)) == (1,)
    rows = b"".join(zlib.decompress(data[at : at + size]) for at, size in zip(one[273], one[279], strict=True))
    return np.frombuffer(rows, f"{order}{kind}").reshape(one[257][0], one[256][0], channels)


def several(*pages, **options):
    first, *rest = map(Image.fromarray, pages)
    out = io.BytesIO()
    first.save(out, "TIFF", save_all=True, append_images=rest, **options)
    return out.getvalue()


def pages_of(data):
    """Of each page the bytes of its strips, and its fields but for where these are."""
    from lcnet.upright.ifd import Directories

    file, found = Directories(data), []
    for at in file.chain():
        fields = file.entries(at)
        strips = zip(file.numbers(fields[273]), file.numbers(fields[279]), strict=True)
        said = {tag: (entry.kind, file.raw(entry)) for tag, entry in fields.items() if tag != 273}
        found.append(([data[at : at + size] for at, size in strips], said))
    return found


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "group4"])
def test_a_turned_file_is_no_larger_than_it_has_to_be(compression):
    pixels = np.asarray(Image.fromarray(marked(400, 300)[:, :, 0]).convert("1" if compression == "group4" else "L"))
    data = tiff_of(pixels, compression)
    done, _ = tiff.turn(data, {0: TURN[180]})
    assert len(done) < 1.2 * len(data)


def test_a_field_that_may_lead_somewhere_still_does():
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = "2026:01:02 03:04:05"
    data = encoded(noise(40, 30), "TIFF", exif=exif.tobytes())
    done, _ = tiff.turn(data, {0: TURN[90]})
    with Image.open(io.BytesIO(done)) as image:
        assert image.getexif().get_ifd(0x8769)[0x9003] == "2026:01:02 03:04:05"


def test_only_the_pages_that_need_it_are_turned_and_the_others_keep_their_bytes():
    pages = [noise(20, 30 + i, seed=i) for i in range(4)]
    data = several(*pages)
    done, _ = tiff.turn(data, {1: TURN[90], 3: TURN[180]})
    assert len(done) <= len(data) + 100 and pages_of(done)[::2] == pages_of(data)[::2]
    with Image.open(io.BytesIO(done)) as image:
        assert image.n_frames == 4
        for number, page in enumerate(pages):
            image.seek(number)
            wanted = back(page, {1: 90, 3: 180}.get(number, 0))
            assert (np.asarray(image) == wanted).all(), number
    again, _ = tiff.turn(done, {1: TURN[270], 3: TURN[180]})
    with Image.open(io.BytesIO(again)) as image:
        for number, page in enumerate(pages):
            image.seek(number)
            assert (np.asarray(image) == page).all()


@pytest.mark.parametrize("tag", [0, 1, 6])
def test_a_tiffs_tag(tag):
    data = tiff_of(noise(23, 17), tiffinfo={274: tag} if tag else {})
    seen = turns.applied(noise(23, 17), tag or 1)
    only, how = tiff.turn(data, {0: TURN[90]}, tag_only=True)
    assert how == {0: "tag"} and decoded(only).shape == back(seen, 90).shape and (decoded(only) == back(seen, 90)).all()
    done, _ = tiff.turn(data, {0: TURN[90]})
    assert fields_of(done)[274] == 1 and (decoded(done) == back(seen, 90)).all()


@pytest.mark.parametrize("mode", ["RGB", "L", "YCbCr"])
@pytest.mark.parametrize("size", [(96, 64), (163, 227), (600, 500)])
@pytest.mark.parametrize("angle", ANGLES)
def test_jpeg_within_tiff(mode, size, angle):
    data = tiff_of(marked(*size, angle=angle), "jpeg", mode=mode, quality=90)
    done, hows = tiff.turn(data, {0: TURN[angle]})
    before, after = fields_of(data), fields_of(done)
    one = len(before[273]) == 1
    assert hows == {0: "dct" if size == (96, 64) and one and "turbojpeg" in __import__("sys").modules else "reencoded"}
    assert [after.get(tag) for tag in (258, 259, 262, 277)] == [before.get(tag) for tag in (258, 259, 262, 277)]
    with Image.open(io.BytesIO(data)) as old, Image.open(io.BytesIO(done)) as new:
        assert new.mode == old.mode
        one, other = back(np.asarray(old.convert("RGB")).astype(int), angle), np.asarray(new.convert("RGB"))
    assert one.shape == other.shape and np.abs(one - other).mean() < (1 if hows[0] == "dct" else 8)  # of noise


def test_tiffs_that_are_left_alone():
    for data, words in (
        (tiff_of(noise(23, 17, 3), "zstd"), "method 50000 of TIFF"),
        (tiff_of(noise(23, 17), "tiff_lzw")[:-3], "cannot be changed"),
    ):
        with pytest.raises(ImageError, match=words):
            tiff.turn(data, {0: TURN[90]})


# others


def test_webp():
    data = encoded(noise(20, 30, 4), "WEBP", lossless=True, exact=True, icc_profile=b"icc", xmp=XMP)
    done, how = rasters.turn(data, TURN[90])
    assert how == "exact" and (decoded(done) == back(turns.applied(decoded(data), 6), 90)).all()  # as its XMP says
    assert info_of(done)["icc_profile"] == b"icc" and b'Orientation="1"' in info_of(done)["xmp"]
    assert rasters.turn(encoded(marked(96, 64), "WEBP"), TURN[90])[1] == "reencoded"


@pytest.mark.parametrize(
    ("kind", "mode"), [("BMP", "RGB"), ("BMP", "L"), ("BMP", "1"), ("PPM", "RGB"), ("PPM", "L"), ("GIF", "P")]
)
def test_formats_that_come_out_as_they_went_in(kind, mode):
    data = encoded(noise(21, 30, 3), kind, mode)
    done, how = rasters.turn(data, TURN[270])
    with Image.open(io.BytesIO(data)) as before, Image.open(io.BytesIO(done)) as after:
        assert how == "exact" and after.mode == before.mode
        assert (np.asarray(after.convert("RGB")) == back(np.asarray(before.convert("RGB")), 270)).all()


@pytest.mark.parametrize("kind", ["JPEG2000", "AVIF"])
def test_formats_that_are_not_written_are_refused(kind, tmp_path):
    (tmp_path / "x").write_bytes(encoded(marked(64, 64), kind))
    with pytest.raises(Refused, match=f"{kind} files are not written here"):
        turned(tmp_path / "x", {1: 90})
