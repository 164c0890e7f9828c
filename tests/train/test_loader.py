import io

import numpy as np
import pytest
from coloured import small, write_classes
from PIL import Image

from lcnet.config import Preprocessing
from lcnet.errors import ImageError, InputError

pytestmark = pytest.mark.usefixtures("torch")


@pytest.fixture
def folder(tmp_path):
    return write_classes(tmp_path / "colours", each=6, size=50)


def loader(folder, recipe, workers=0, seed=0, preprocessing=None):
    from lcnet.dataset import open_dataset
    from lcnet.train.loader import LoaderOptions, TrainLoader, for_training
    from lcnet.train.sampler import Order

    dataset = open_dataset(folder).train
    order = Order(len(dataset), recipe.batch_size, seed)
    prepared = for_training(preprocessing or Preprocessing(), recipe)
    return TrainLoader(dataset, recipe, prepared, order, LoaderOptions(workers))


def recipe(**values):
    from lcnet.train.recipe import parse_settings
    from lcnet.train.recipes import recipe

    return recipe("quick").change(parse_settings(small(**values)))


@pytest.mark.parametrize("values", [{}, {"randaugment": "rand-m9-inc1"}, {"crop": "shifted"}, {"vflip": 0.5}])
def test_batches_depend_on_seed_and_epoch_but_not_on_workers(torch, folder, values):
    chosen = recipe(**values)
    alone, helped, other = (loader(folder, chosen, *args) for args in ((0, 1), (2, 1), (0, 2)))
    first = list(alone.epoch(3))
    assert len(first) == 2 and all(x.dtype == torch.uint8 and x.shape == (8, 3, 32, 32) for x, _ in first)
    assert all(x.is_contiguous(memory_format=torch.channels_last) for x, _ in first)
    for (x, y), (other_x, other_y) in zip(first, helped.epoch(3), strict=True):
        assert torch.equal(x, other_x) and torch.equal(y, other_y)
    assert not all(torch.equal(x, z) for (x, _), (z, _) in zip(first, other.epoch(3), strict=True))
    assert not all(torch.equal(x, z) for (x, _), (z, _) in zip(first, alone.epoch(4), strict=True))


def test_a_whole_crop_is_the_plain_resize(torch, folder):
    from lcnet.dataset import open_dataset
    from lcnet.train.loader import TrainTransform

    dataset = open_dataset(folder).train
    chosen = recipe(scale="[1.0,1.0]", ratio="[1.0,1.0]", hflip=0.0, interpolation="bicubic")
    pixels = TrainTransform(chosen, Preprocessing())(dataset, 0, 5)
    with Image.open(io.BytesIO(dataset.read(0))) as image:
        expected = np.asarray(image.resize((32, 32), Image.Resampling.BICUBIC))
    assert np.array_equal(pixels, expected)


def test_flips_are_as_frequent_as_asked(folder):
    from lcnet.dataset import open_dataset
    from lcnet.train.loader import TrainTransform

    dataset = open_dataset(folder).train
    still = {"scale": "[1.0,1.0]", "ratio": "[1.0,1.0]", "interpolation": "bilinear"}
    plain = TrainTransform(recipe(hflip=0.0, **still), Preprocessing())(dataset, 0, 0)
    transform = TrainTransform(recipe(hflip=0.25, **still), Preprocessing())
    flipped = [np.array_equal(transform(dataset, 0, seed), plain[:, ::-1]) for seed in range(400)]
    assert 70 <= sum(flipped) <= 130


def test_large_jpegs_are_decoded_at_a_fraction_and_cropped_alike(tmp_path):
    from lcnet.dataset import open_dataset
    from lcnet.train.loader import TrainTransform

    y, x = np.mgrid[0:600, 0:800]
    smooth = np.stack([x / 800, y / 600, (x + y) / 1400], axis=2)
    for name in ("a", "b"):
        (tmp_path / "jpeg" / name).mkdir(parents=True)
        (tmp_path / "png" / name).mkdir(parents=True)
        image = Image.fromarray((255 * smooth).astype(np.uint8))
        image.save(tmp_path / "jpeg" / name / "0.jpg", quality=98)
        image.save(tmp_path / "png" / name / "0.png")
    transform = TrainTransform(recipe(scale="[0.2,0.9]"), Preprocessing())
    jpeg, png = (open_dataset(tmp_path / kind).train for kind in ("jpeg", "png"))
    for seed in range(20):
        a, b = (transform(data, 0, seed).astype(int) for data in (jpeg, png))
        assert np.abs(a - b).max() <= 12  # of 255; a crop a few pixels off would differ by less than a wrong one


@pytest.mark.parametrize("fields", [{}, {"interpolation": "bilinear", "resize": "opencv", "channel_order": "bgr"}])
def test_validation_pictures_are_those_of_the_finished_model(torch, folder, fields):
    from lcnet.dataset import open_dataset
    from lcnet.image import prepare
    from lcnet.image.pixels import decode
    from lcnet.train.loader import LoaderOptions, Normalize, test_loader

    dataset, preprocessing = open_dataset(folder).train, Preprocessing((3, 32, 32), **fields)
    batches = test_loader(dataset, preprocessing, 4, range(1, 18, 2), LoaderOptions(0))
    seen = torch.cat([Normalize(preprocessing)(x) for x, _ in batches])
    expected = np.stack([prepare(decode(dataset.read(i)), preprocessing) for i in range(1, 18, 2)])
    assert np.abs(seen.numpy() - expected).max() < 1e-5
    assert seen.is_contiguous(memory_format=torch.channels_last)


def test_the_mean_colour_is_filled_in_as_pixels_are_ordered():
    from lcnet.train.loader import TrainTransform

    preprocessing = Preprocessing((3, 32, 32), channel_order="bgr", mean=(0.0, 0.5, 1.0))
    assert TrainTransform(recipe(randaugment="rand-m9"), preprocessing).randaugment.fill == (255, 128, 0)


def test_an_unreadable_picture_is_named(folder):
    for i in range(3):  # an epoch of two batches leaves two of the 18 out
        (folder / "red" / f"{i:03}.png").write_bytes(b"no picture")
    with pytest.raises(ImageError, match=r"red.00\d\.png: it is not a picture"):
        list(loader(folder, recipe()).epoch(0))


def test_randaugment_of_odd_channels_is_refused(tmp_path, rng):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(4):
            np.save(tmp_path / name / f"{i}.npy", rng.integers(0, 255, (40, 40, 5), dtype=np.uint8))
    five = Preprocessing().with_channels(5)
    with pytest.raises(InputError, match="these have 5 channels"):
        list(loader(tmp_path, recipe(randaugment="rand-m9"), preprocessing=five).epoch(0))
    with pytest.raises(ImageError, match="it has 5 channels, the network takes 4"):
        list(loader(tmp_path, recipe(), preprocessing=Preprocessing().with_channels(4)).epoch(0))
