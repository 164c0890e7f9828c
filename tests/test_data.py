"""timm's data names, against timm's."""

import pickle
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from pictures import encoded, picture
from PIL import Image

from lcnet.config import Preprocessing
from lcnet.data import create_transform, resolve_data_config, resolve_model_data_config
from lcnet.errors import ImageError, InputError, MissingExtraError
from lcnet.image import prepare

CFG = {
    "input_size": (3, 192, 160),
    "interpolation": "bilinear",
    "crop_pct": 0.95,
    "crop_mode": "border",
    "mean": (0.5, 0.4, 0.3),
    "std": (1, 2, 3),
    "test_input_size": (3, 256, 224),
    "test_crop_pct": 1,
}
ARGS = [
    {"input_size": (3, 64, 48)},
    {"img_size": 99},
    {"img_size": 99, "in_chans": 1, "mean": [0.5], "std": [0.25]},
    {"mean": [0.1], "std": (0.9, 0.8, 0.7), "crop_mode": "squash"},
    {"input_size": [1, 32, 32], "mean": (0.5,), "std": (0.5,)},
    {"interpolation": "", "crop_pct": 0, "crop_mode": None, "mean": None, "input_size": None},
    {"interpolation": "lanczos", "crop_pct": 0.8, "lr": 1},
    {"chans": 4, "img_size": 32, "mean": [0.2], "std": [1.0]},
]


@pytest.mark.parametrize("args", [None, *ARGS])
@pytest.mark.parametrize("cfg", [None, {}, CFG, {"input_size": (3, 7, 7)}])
@pytest.mark.parametrize("use_test_size", [False, True])
def test_configs_resolve_as_in_timm(timm, args, cfg, use_test_size):
    from timm.data import resolve_data_config as theirs

    model = SimpleNamespace(pretrained_cfg={"crop_pct": 0.9, "input_size": (3, 112, 112), "test_crop_pct": 0.97})
    for given in (None, model):
        if not (args or cfg or given):
            continue
        ours = resolve_data_config(args, cfg, given, use_test_size)
        assert ours == theirs(args, cfg, given, use_test_size)
        assert list(ours) == ["input_size", "interpolation", "mean", "std", "crop_pct", "crop_mode"]
        assert given is None or resolve_model_data_config(given, args, cfg, use_test_size) == ours


def test_a_timm_model_resolves(timm):
    model = timm.create_model("lcnet_050")
    assert resolve_model_data_config(model) == timm.data.resolve_model_data_config(model)


def test_a_runtime_models_preprocessing_survives(torch):
    own = Preprocessing((3, 96, 64), "bilinear", 0.9, "squash", (0.5,) * 3, (0.25,) * 3)
    config = resolve_model_data_config(SimpleNamespace(preprocessing=own))
    assert config == resolve_data_config(pretrained_cfg={k: getattr(own, k) for k in config})
    assert create_transform(**config).preprocessing == own
    other = Preprocessing(exif=False, background=(1, 2, 3))
    config = resolve_model_data_config(SimpleNamespace(preprocessing=other))
    assert create_transform(**config).preprocessing == other
    assert "exif" not in resolve_model_data_config(SimpleNamespace(preprocessing=other), pretrained_cfg=CFG)
    paddle = Preprocessing(interpolation="bilinear", resize="opencv", alpha="drop", channel_order="bgr")
    config = resolve_model_data_config(SimpleNamespace(preprocessing=paddle))
    assert create_transform(**config).preprocessing == paddle


def test_resolving_can_be_logged(caplog):
    with caplog.at_level("INFO"):
        resolve_data_config({"img_size": 123})
        assert not caplog.records
        resolve_data_config({"img_size": 123}, verbose=True)
    assert "(3, 123, 123)" in caplog.text


@pytest.mark.parametrize(
    ("args", "text"),
    [
        ({}, "nothing was given"),
        ({"input_size": 224}, "input_size is 224"),
        ({"input_size": (224, 224)}, "three"),
        ({"img_size": 1.5}, "whole numbers"),
        ({"img_size": 32, "mean": (0.1, 0.2)}, "mean has 2 numbers"),
    ],
)
def test_impossible_configs(args, text):
    with pytest.raises(InputError, match=text):
        resolve_data_config(args)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"is_training": False},
        {"input_size": 100, "interpolation": "bicubic"},
        {"input_size": (60, 90), "crop_pct": 0.9, "crop_mode": "border"},
        {"input_size": [3, 48, 48], "mean": [0.5] * 3, "std": [0.5] * 3, "crop_mode": "squash"},
        {"crop_pct": None, "crop_mode": None, "interpolation": "nearest"},
        resolve_data_config({}, CFG),
    ],
)
def test_the_transform_makes_timms_tensors(timm, torch, config):
    pixels = np.random.default_rng(0).integers(0, 256, (130, 170, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    expected = timm.data.create_transform(**config)(image)
    ours = create_transform(**config)
    for source in (image, pixels, encoded(pixels, "PNG")):
        tensor = ours(source)
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, expected)
    array = create_transform(**config, output="numpy")(image)
    assert isinstance(array, np.ndarray)
    np.testing.assert_array_equal(array, expected.numpy())


def test_orientation_is_a_choice(timm):
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(picture(), "PNG", exif=exif)
    config = {"input_size": 32, "output": "numpy"}
    turned = np.rot90(picture(), -1)
    np.testing.assert_array_equal(create_transform(**config)(data), create_transform(**config)(turned))
    np.testing.assert_array_equal(create_transform(**config, exif=False)(data), create_transform(**config)(picture()))


def test_the_background_is_a_choice():
    clear = np.zeros((8, 8, 4), np.uint8)
    transform = create_transform(8, mean=(0,) * 3, std=(1,) * 3, background=(255, 0, 51), output="numpy")
    np.testing.assert_allclose(transform(clear)[:, 0, 0], [1, 0, 0.2])


def test_the_pixels_of_paddle_are_a_choice():
    config = {"interpolation": "bilinear", "resize": "opencv", "alpha": "drop", "channel_order": "bgr"}
    pixels = np.random.default_rng(0).integers(0, 256, (130, 170, 4), dtype=np.uint8)
    expected = prepare(pixels[:, :, :3].copy(), Preprocessing(**config))
    np.testing.assert_array_equal(create_transform(**config, output="numpy")(encoded(pixels, "PNG")), expected)
    with pytest.raises(InputError, match="interpolation is 'bicubic', expected 'bilinear'"):
        create_transform(**config | {"interpolation": "bicubic"})


def test_the_number_of_channels_comes_from_the_size_or_the_mean():
    assert create_transform(8, mean=(0.5,), std=(0.5,), output="numpy")(picture()).shape == (1, 8, 8)
    assert create_transform((1, 8, 9), mean=(0.5,), std=(0.5,), output="numpy")(picture()).shape == (1, 8, 9)


def test_worker_processes_can_be_given_it():
    transform = create_transform(32, output="numpy")
    copy = pickle.loads(pickle.dumps(transform))
    np.testing.assert_array_equal(copy(picture()), transform(picture()))


def test_a_bad_picture_is_named():
    with pytest.raises(ImageError, match=r"^/nowhere\.jpg: there is no such file"):
        create_transform(32, output="numpy")("/nowhere.jpg")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"is_training": True}, "evaluation transforms only"),
        ({"interpolatoin": "box"}, "did you mean 'interpolation'"),
        ({"num_classes": 5}, "no argument 'num_classes'"),
        ({"output": "jax"}, "expected 'torch' or 'numpy'"),
        ({"interpolation": "cubic"}, "interpolation is 'cubic'"),
        ({"crop_mode": "centre"}, "crop_mode"),
        ({"input_size": (1, 8, 8)}, "mean"),
        ({"input_size": "big"}, "input_size"),
        ({"input_size": (1,) * 4}, "input"),
        ({"mean": 0.5}, "create_transform"),
        ({"std": (0, 1, 1)}, "std"),
        ({"background": "white"}, "background"),
    ],
)
def test_arguments_that_cannot_be(arguments, text):
    with pytest.raises(InputError, match=text):
        create_transform(**{"output": "numpy", **arguments})


def test_without_torch(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert create_transform(32, output="numpy")(picture()).shape == (3, 32, 32)
    with pytest.raises(MissingExtraError, match=r"output='numpy'.*lcnet\[train\]"):
        create_transform(32)
