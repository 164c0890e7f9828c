"""decode="fast": what it changes, what it must not change, and that it really decodes less."""

import io

import numpy as np
import pytest
from PIL import Image

import lcnet
from lcnet import hub, image
from lcnet.config import Preprocessing
from lcnet.image import pixels

PRE = Preprocessing()


def jpeg(height, width, orientation=None, seed=0):
    """A smooth JPEG, for which a good smaller decoding is nearly the same picture."""
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    picture = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=95, exif=exif)
    return data.getvalue()


def needed(height, width):
    return image._scaled_size(height, width, PRE)


@pytest.mark.parametrize("size, expected", [((2250, 3000), (282, 375)), ((520, 600), (260, 300)), ((511, 800), (511, 800))])
def test_large_files_are_decoded_smaller_but_not_too_small(size, expected):
    found = pixels.decode(jpeg(*size), PRE, needed=needed)
    assert found.shape[:2] == expected
    assert min(expected) >= 256  # what the resize needs


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_honoured(orientation):
    exact = image.batch(jpeg(1200, 1600, orientation), PRE)
    fast = image.batch(jpeg(1200, 1600, orientation), PRE, fast=True)
    assert np.abs(fast - exact).max() < 0.15  # a few grey levels


def test_everything_but_large_jpeg_files_stays_equal_to_the_bit():
    png = io.BytesIO()
    picture = Image.open(io.BytesIO(jpeg(1200, 1600)))
    picture.save(png, "PNG")
    for source in (png.getvalue(), jpeg(300, 400), picture, np.asarray(picture)):
        assert np.array_equal(image.batch(source, PRE, fast=True), image.batch(source, PRE))
    assert picture.size == (1600, 1200)  # the caller's own picture is left as it is


def test_model_option(monkeypatch):
    asked = []
    real = Image.Image.draft
    monkeypatch.setattr("PIL.JpegImagePlugin.JpegImageFile.draft", lambda self, *a: (asked.append(a), real(self, *a))[1])
    data = jpeg(1200, 1600)
    lcnet.load("lcnet_050.cifar10").classify(data)
    assert asked == []
    lcnet.load("lcnet_050.cifar10", decode="fast").classify(data)
    assert asked == [(None, (128, 128))]
    with pytest.raises(lcnet.InputError, match="decode is 'quick', expected exact or fast"):
        lcnet.load("lcnet_050.cifar10", decode="quick")


def test_photographs_keep_their_class(photos):
    """What docs/pixels.md states of the sample photographs, with the network that is there."""
    assert hub.locate("lcnet_050.cifar10").path.exists()
    exact, fast = (lcnet.load("lcnet_050.cifar10", decode=mode).probs(photos) for mode in ("exact", "fast"))
    assert (exact.argmax(axis=1) == fast.argmax(axis=1)).mean() >= 0.9
