"""Any source to pixels: the policy of docs/pixels.md against Pillow and hand-computed values."""

import gc
import io
import os
import subprocess
import sys
import warnings
from dataclasses import replace

import numpy as np
import pytest
from pictures import encoded, picture, png
from PIL import Image, ImageOps

from lcnet.config import Preprocessing
from lcnet.errors import ImageError, InputError
from lcnet.image.pixels import decode

RGB = Preprocessing()
GREY = Preprocessing((1, 224, 224), mean=(0.5,), std=(0.5,))
BLUE = replace(RGB, background=(10, 20, 230))


def over(colour, alpha, background):
    """Exact compositing, rounded: the definition in docs/pixels.md."""
    colour, alpha = colour.astype(int), alpha.astype(int)[..., None]
    return (2 * (colour * alpha + np.array(background) * (255 - alpha)) + 255) // 510


class Unseekable(io.RawIOBase):
    def __init__(self, data):
        self._file = io.BytesIO(data)

    def readable(self):
        return True

    def readinto(self, buffer):
        return self._file.readinto(buffer)


def test_importing_imports_neither_pillow_nor_torch():
    code = "import sys, lcnet.image, lcnet.data; sys.exit(bool({'PIL', 'torch'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_kind_of_source_gives_the_same_pixels(tmp_path):
    pixels = picture()
    data = encoded(pixels, "PNG")
    path = tmp_path / "a picture.png"
    path.write_bytes(data)
    for source in (
        str(path),
        path,
        data,
        bytearray(data),
        memoryview(data),
        memoryview(data * 2)[: len(data)],
        io.BytesIO(data),
        Unseekable(data),
        Image.open(path),
        pixels,
    ):
        decoded = decode(source)
        assert decoded.dtype == np.uint8
        np.testing.assert_array_equal(decoded, pixels)


def test_a_file_object_is_read_from_its_start_and_stays_open(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(encoded(picture(), "PNG"))
    with open(path, "rb") as file:
        file.seek(30)
        np.testing.assert_array_equal(decode(file), picture())
        assert not file.closed


def test_a_path_leaves_no_open_file(tmp_path):
    path = tmp_path / "a.gif"
    path.write_bytes(encoded(picture(1)[:, :, 0], "GIF"))
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
        decode(path)
        after = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    assert before == after


OPAQUE = {
    "JPEG": ("RGB", "JPEG", {}),
    "progressive JPEG": ("RGB", "JPEG", {"progressive": True}),
    "grey JPEG": ("L", "JPEG", {}),
    "CMYK JPEG": ("CMYK", "JPEG", {"quality": 100, "subsampling": 0}),
    "palette PNG": ("P", "PNG", {}),
    "grey PNG": ("L", "PNG", {}),
    "1-bit PNG": ("1", "PNG", {}),
    "BMP": ("RGB", "BMP", {}),
    "PPM": ("RGB", "PPM", {}),
    "WebP": ("RGB", "WEBP", {}),
    "JPEG 2000": ("RGB", "JPEG2000", {}),
    "LZW TIFF": ("RGB", "TIFF", {"compression": "tiff_lzw"}),
    "CMYK TIFF": ("CMYK", "TIFF", {}),
    "YCbCr TIFF": ("YCbCr", "TIFF", {}),
    "LAB TIFF": ("LAB", "TIFF", {}),
    "GIF": ("P", "GIF", {}),
    "AVIF": ("RGB", "AVIF", {"quality": 95}),
}


@pytest.mark.parametrize("kind", OPAQUE)
def test_pictures_without_transparency_are_as_pillow_and_so_timm_read_them(kind):
    mode, format, options = OPAQUE[kind]
    Image.init()
    if format not in Image.SAVE:
        pytest.skip(f"this Pillow does not write {format}")
    data = encoded(Image.fromarray(picture()).convert(mode), format, **options)
    with Image.open(io.BytesIO(data)) as image:
        assert image.mode == mode
        expected = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(decode(data), expected)


@pytest.mark.parametrize("kind", ["JPEG", "CMYK JPEG", "YCbCr TIFF", "CMYK TIFF", "LAB TIFF"])
def test_colours_survive_their_colour_space(kind):
    mode, format, options = OPAQUE[kind]
    pixels = picture(seed=3) // 2 + 64  # inside every gamut
    image = Image.fromarray(pixels)
    decoded = decode(encoded(image.convert(mode), format, **{"quality": 100, **options} if format == "JPEG" else options))
    assert np.abs(decoded.astype(int) - pixels).mean() < 3


def test_hsv_and_lab_of_a_known_colour():
    hsv = Image.merge("HSV", [Image.new("L", (1, 1), v) for v in (85, 255, 200)])  # a third of the circle: green
    assert decode(hsv).tolist() == [[[0, 200, 0]]]
    red = decode(Image.frombytes("LAB", (1, 1), bytes([136, 80, 67])))  # CIE L*a*b* 53, 80, 67; L* of 100 is 255
    np.testing.assert_allclose(red[0, 0], [255, 0, 0], atol=12)


def transparent_pictures():
    """Name -> (source, colour [H,W,3], alpha [H,W])."""
    rgba, key = picture(4, seed=5), (3, 200, 7)
    colour, alpha = (rgba[:, :, :3].copy(), np.random.default_rng(5).permutation(24 * 36).astype(np.uint8).reshape(24, 36))
    colour[0, :5] = key
    keyed = np.where((colour == key).all(2), 0, 255)
    grey = np.repeat(colour[:, :, :1], 3, 2)
    la = np.dstack([grey[:, :, 0], alpha])
    indices = (np.arange(24 * 36).reshape(24, 36) % 4).astype(np.uint8)
    palette = Image.fromarray(indices)
    palette.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 9, 9, 255], "RGB")
    shown, opacities = np.asarray(palette.convert("RGB")), np.array([0, 100, 255, 50])
    with_alpha = palette.convert("PA")
    with_alpha.putalpha(Image.fromarray(alpha))
    sixteen = np.random.default_rng(6).integers(0, 65536, (24, 36)).astype(np.uint16)
    sixteen[0, :3] = 258, 257, 514  # neighbours in 8 bits: only the first is transparent
    sixteen_8 = np.repeat(((sixteen.astype(int) + 128) // 257)[:, :, None], 3, 2)
    return {
        "RGBA PNG": (encoded(np.dstack([colour, alpha]), "PNG"), colour, alpha),
        "RGBA lossless WebP": (encoded(np.dstack([colour, alpha]), "WEBP", lossless=True, exact=True), colour, alpha),
        "RGBA array": (np.dstack([colour, alpha]), colour, alpha),
        "LA PNG": (encoded(la, "PNG"), grey, alpha),
        "PA": (with_alpha, shown, alpha),
        "P with opacities": (encoded(palette, "PNG", transparency=bytes([0, 100, 255, 50])), shown, opacities[indices]),
        "P with one transparent": (encoded(palette, "GIF", transparency=2), shown, np.where(indices == 2, 0, 255)),
        "RGB with a key": (encoded(colour, "PNG", transparency=key), colour, keyed),
        "L with a key": (encoded(grey[:, :, 0], "PNG", transparency=3), grey, np.where(grey[:, :, 0] == 3, 0, 255)),
        "16-bit with a key": (png(sixteen, 16, 0, tRNS=b"\1\2"), sixteen_8, np.where(sixteen == 258, 0, 255)),
    }


@pytest.mark.parametrize("kind", list(transparent_pictures()))
@pytest.mark.parametrize("preprocessing", [RGB, BLUE])
def test_transparent_pictures_are_laid_on_the_background(kind, preprocessing):
    source, colour, alpha = transparent_pictures()[kind]
    assert 0 < np.count_nonzero(alpha < 255) < alpha.size
    np.testing.assert_array_equal(decode(source, preprocessing), over(colour, alpha, preprocessing.background))


def test_premultiplied_transparency_is_laid_on_the_background():
    image = Image.fromarray(np.dstack([picture(), np.full((24, 36), 255, np.uint8)]))
    np.testing.assert_array_equal(decode(image.convert("RGBa"), BLUE), picture())
    grey = Image.merge("LA", [Image.fromarray(picture()[:, :, 0]), Image.new("L", (36, 24), 0)])
    assert (decode(grey.convert("La"), BLUE) == BLUE.background).all()


def test_a_16_bit_key_for_8_bit_pixels_matches_none():
    wide = np.array([[[0x0105] * 3, [0x0500] * 3]], np.uint16)  # the key, and a pixel whose 8 bits are the key's low ones
    data = png(wide, 16, 2, tRNS=wide[0, 0].astype(">u2").tobytes())
    assert decode(data).tolist() == [[[1] * 3, [5] * 3]]


@pytest.mark.parametrize(
    "source",
    [
        Image.fromarray,
        lambda v: encoded(v, "PNG"),
        lambda v: encoded(v, "TIFF"),
        lambda v: encoded(v, "PPM"),
        lambda v: Image.frombytes("I;16B", v.shape[::-1], v.astype(">u2").tobytes()),
        lambda v: Image.fromarray(v.astype(np.int32)),
    ],
    ids=["I;16", "PNG", "TIFF", "PPM", "I;16B", "I"],
)
def test_16_bits_are_scaled_not_clipped(source):
    values = np.random.default_rng(1).integers(0, 65536, (24, 36)).astype(np.uint16)
    values[0, :6] = 0, 65535, 128, 129, 385, 386
    decoded = decode(source(values))
    np.testing.assert_array_equal(decoded, np.repeat(np.rint(values / 257).astype(int)[:, :, None], 3, 2))
    assert decoded[0, :6, 0].tolist() == [0, 255, 0, 1, 1, 2]


def test_16_bit_colour_keeps_its_high_bytes():
    values = np.random.default_rng(2).integers(0, 65536, (6, 5, 3)).astype(np.uint16)
    np.testing.assert_array_equal(decode(png(values, 16, 2)), values >> 8)


@pytest.mark.parametrize("scale", [1.0, 255.0])
def test_floats_are_0_to_1_or_0_to_255(scale):
    values = np.random.default_rng(1).random((24, 36), np.float32)
    values[0, :2] = 0, 1
    expected = np.rint(values * np.float32(255)).astype(np.uint8)
    np.testing.assert_array_equal(decode(encoded(values * np.float32(scale), "TIFF"))[:, :, 1], expected)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (np.array([[0, 70000]], np.int32), "from 0 to 70000"),
        (np.array([[-1, 9]], np.int32), "from -1 to 9"),
        (np.array([[0, 300]], np.float32), "from 0 to 300"),
        (np.array([[-0.1, 1]], np.float32), "from -0.1 to 1"),
        (np.array([[np.nan, 1]], np.float32), "nan"),
        (np.array([[0, np.inf]], np.float32), "inf"),
    ],
)
def test_values_of_no_known_range_are_refused(values, text):
    with pytest.raises(ImageError, match=text):
        decode(encoded(values, "TIFF"))


def test_one_channel_networks_get_grey():
    grey = picture(1)
    for source in (encoded(grey[:, :, 0], "PNG"), grey, grey[:, :, 0]):
        np.testing.assert_array_equal(decode(source, GREY), grey)
    luma = np.asarray(Image.fromarray(picture()).convert("L"))[:, :, None]
    np.testing.assert_array_equal(decode(picture(), GREY), luma)
    np.testing.assert_array_equal(decode(encoded(picture(), "PNG"), GREY), luma)
    clear = np.zeros((2, 2, 4), np.uint8)
    assert (decode(clear, GREY) == 255).all()
    assert decode(Image.new("LAB", (3, 2), (255, 0, 0)), GREY).shape == (2, 3, 1)


def test_grey_arrays_become_three_equal_channels():
    for source in (picture(1), picture(1)[:, :, 0]):
        np.testing.assert_array_equal(decode(source), np.repeat(picture(1), 3, 2))


@pytest.mark.parametrize("channels", [2, 4, 7])
def test_networks_of_other_channels_take_exactly_such_arrays(channels):
    preprocessing = Preprocessing((channels, 32, 32), mean=(0.5,) * channels, std=(0.5,) * channels)
    pixels = picture(channels)
    np.testing.assert_array_equal(decode(pixels, preprocessing), pixels)
    for source in (encoded(picture(), "PNG"), picture(3), picture(1)[:, :, 0]):
        with pytest.raises(InputError, match=rf"\[H,W,{channels}\]"):
            decode(source, preprocessing)


def test_views_of_arrays_are_taken_as_they_are():
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 4), dtype=np.uint8)
    pixels.flags.writeable = False
    np.testing.assert_array_equal(decode(pixels[::-2, ::3, 2::-1]), pixels[::-2, ::3, 2::-1])
    np.testing.assert_array_equal(decode(pixels[:, ::-1]), decode(np.ascontiguousarray(pixels[:, ::-1])))


def oriented(format, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(picture(seed=4), format, exif=exif)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_honoured_unless_told_otherwise(format, orientation):
    data = oriented(format, orientation)
    with Image.open(io.BytesIO(data)) as image:
        stored, upright = np.asarray(image), np.asarray(ImageOps.exif_transpose(image))
    assert (stored.shape == upright.shape) == (orientation < 5)
    np.testing.assert_array_equal(decode(data), upright)
    np.testing.assert_array_equal(decode(data, replace(RGB, exif=False)), stored)
    np.testing.assert_array_equal(decode(Image.open(io.BytesIO(data))), upright)


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_tiff_is_turned_once(orientation, compression):
    data = encoded(picture(seed=4), "TIFF", tiffinfo={0x0112: orientation}, compression=compression)
    expected = decode(oriented("PNG", orientation))
    np.testing.assert_array_equal(decode(data), expected)
    np.testing.assert_array_equal(decode(data, replace(RGB, exif=False)), expected)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_turns_nothing(orientation):
    np.testing.assert_array_equal(decode(oriented("PNG", orientation)), picture(seed=4))


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    "block", [b"II*\0", b"II*\0\xff\xff\xff\xff", b"garbage!" * 4, b"MM\0*\0\0\0\x08\0\1\1\x12\0\2\0\0\0\1\0"]
)
def test_a_damaged_exif_block_does_not_cost_the_picture(format, block):
    data = encoded(picture(), format, exif=b"Exif\0\0" + block)
    assert block in data
    np.testing.assert_array_equal(decode(data), decode(encoded(picture(), format)))


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_first_frame_of_several(format):
    first, second = (Image.fromarray(picture(seed=s)) for s in (7, 8))
    options = {"lossless": True} if format == "WEBP" else {}
    data = encoded(first, format, save_all=True, append_images=[second], **options)
    with Image.open(io.BytesIO(data)) as image:
        assert image.n_frames == 2
    np.testing.assert_array_equal(decode(data), picture(seed=7))


def test_a_padded_picture_is_the_same_without_a_copy():
    data = encoded(picture(), "PNG")
    padded = decode(data, padded=True)
    assert padded.shape == (24, 36, 4) and not padded.flags.writeable
    np.testing.assert_array_equal(padded[:, :, :3], picture())
    image = Image.open(io.BytesIO(data))
    shared = decode(image, padded=True)
    image.putpixel((3, 2), (1, 2, 3))
    assert shared[2, 3, :3].tolist() == [1, 2, 3]
    del image, data
    gc.collect()
    assert shared[2, 3, :3].tolist() == [1, 2, 3]  # the array keeps Pillow's memory


def test_a_picture_in_pieces_is_copied():
    large = Image.new("RGB", (3000, 2000), (1, 2, 3))  # 24 MB: more than one of Pillow's blocks
    assert decode(large, padded=True).shape == (2000, 3000, 3)
    grey = Image.new("L", (8, 4), 7)
    assert decode(grey, padded=True)[..., :3].tolist() == [[[7] * 3] * 8] * 4
