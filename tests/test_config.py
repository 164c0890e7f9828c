"""What a model file says besides its weights: which descriptions are refused, and where a missing one comes from."""

import json
from dataclasses import replace

import numpy as np
import pytest
from stored import ARCH, described, description, refused, save
from weights import random_weights

from lcnet.arch import WIDTHS, Arch
from lcnet.config import Labels, ModelConfig, Preprocessing
from lcnet.errors import ModelFileError
from lcnet.labels import load_labels
from lcnet.modelfile import ModelFile, infer_arch, read, read_config, write


@pytest.fixture(scope="module")
def weights():
    return random_weights(ARCH)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


# Refused descriptions


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"format_version": 3}, "format_version is 3, expected 1 or 2: a newer lcnet"),
        ({"format_version": 0}, "format_version is 0"),
        ({"format_version": True}, "format_version is True"),
        ({"format_version": ...}, "format_version is None"),
        ({"weights": {}}, r"unknown key 'weights' \(known: architecture"),
        ({"label": {}}, "unknown key 'label'; did you mean 'labels'"),
        ({"architecture": ...}, "architecture is NoneType, expected a JSON object"),
        ({"labels": {"names": ["a"]}}, "1 labels for 2 classes"),
        ({"labels": {"names": "ab"}}, "labels.names is 'ab', expected a list of texts"),
        ({"labels": {"names": ["a", 1]}}, "labels.names"),
        ({"labels": {"names": ["a", "b"], "ids": ["1"]}}, "labels.ids is '1 ids', expected 2 ids"),
        ({"labels": {}}, "labels: .*names"),
        ({"labels": ["a", "b"]}, "labels is list, expected a JSON object"),
        ({"decision": {"temperature": 0}}, "decision.temperature is 0, expected a number above 0"),
        ({"decision": {"thresholds": {"a": 0.5}}}, "decision.thresholds has 'a', which is none of the labels"),
        ({"decision": {"thresholds": [1]}}, "decision: "),
        ({"labels": {"names": ["a", "b"]}, "decision": {"thresholds": {"a": 1.5}}}, "decision.thresholds"),
        ({"decision": {"multi_label": 1}}, "decision.multi_label is 1, expected true or false"),
        ({"decision": {"threshold": {}}}, "decision has an unknown key 'threshold'; did you mean 'thresholds'"),
        ({"provenance": []}, "provenance is .*, expected an object"),
    ],
)
def test_refused_descriptions(path, weights, changes, match):
    described(path, weights, description(**changes))
    refused(path, match)


@pytest.mark.parametrize(
    ("field", "value", "match"),
    [
        ("family", "resnet", "architecture.family is 'resnet', expected 'lcnet'"),
        ("width", 0.3, "architecture.width is 0.3, expected one of 0.25, 0.35"),
        ("width", True, "architecture.width is True"),
        ("in_chans", 0, "architecture.in_chans is 0"),
        ("num_classes", 2.0, "architecture.num_classes is 2.0"),
        ("num_classes", -1, "architecture.num_classes is -1"),
        ("bn_eps", 0, "architecture.bn_eps is 0, expected a number between 0 and 1"),
        ("bn_eps", None, "architecture.bn_eps is None"),
        ("depth", 3, "architecture has an unknown key 'depth'"),
    ],
)
def test_refused_architectures(path, weights, field, value, match):
    described(path, weights, description(architecture=ModelConfig(ARCH).to_json()["architecture"] | {field: value}))
    refused(path, match)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("input_size", [1, 224, 224]),
        ("input_size", [3, 0, 224]),
        ("input_size", [3, 224]),
        ("input_size", 224),
        ("input_size", [3, 65537, 1]),
        ("input_size", [3, 2.5, 1]),
        ("interpolation", "random"),
        ("crop_pct", 0),
        ("crop_pct", True),
        ("crop_pct", "1"),
        ("crop_pct", int("9" * 400)),
        ("crop_mode", "tile"),
        ("mean", [0.5]),
        ("mean", [None] * 3),
        ("std", [1, 0, 1]),
        ("exif", 1),
        ("background", [0, 0, 256]),
        ("background", [0, 0]),
        ("mean", {"a": 1}),
    ],
)
def test_refused_preprocessing(path, weights, field, value):
    described(path, weights, description(preprocessing={field: value}))
    refused(path, rf"preprocessing: |preprocessing\.({field}|mean) is ")


def test_channels_that_the_network_does_not_have(path, weights):
    gray = {"input_size": [1, 224, 224], "mean": [0.5], "std": [0.5]}
    described(path, weights, description(preprocessing=gray))
    refused(path, r"preprocessing\.input_size is \(1, 224, 224\), expected 3 channels as the network has")


PADDLE = {"interpolation": "bilinear", "resize": "opencv", "alpha": "drop", "channel_order": "bgr"}
NEEDED = {"resize": "0.1.0", "alpha": "0.1.0", "channel_order": "0.1.0"}


def test_preprocessing_of_a_later_reader_is_written_where_it_is_needed(path, weights):
    plain = ModelConfig(ARCH, Preprocessing())
    assert not {*NEEDED} & {*plain.to_json()["preprocessing"]} and "needs" not in plain.to_json()
    for fields in ({"alpha": "drop"}, {"channel_order": "bgr"}, PADDLE):
        config = ModelConfig(ARCH, Preprocessing(**fields))
        said = config.to_json()
        assert said["needs"] == {name: release for name, release in NEEDED.items() if name in fields}
        assert said["preprocessing"] == plain.to_json()["preprocessing"] | fields
        write(path, ModelFile(config, weights))
        assert read(path).config == config


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"resize": "cv2"}, "preprocessing.resize is 'cv2', expected pillow or opencv"),
        (
            {"resize": "opencv", "interpolation": "bicubic"},
            "preprocessing.interpolation is 'bicubic', expected 'bilinear', since",
        ),
        ({"resize": "opencv"}, "preprocessing.interpolation is 'bicubic'"),
        ({"alpha": True}, "preprocessing.alpha is True, expected composite or drop"),
        ({"channel_order": "rbg"}, "preprocessing.channel_order is 'rbg', expected rgb or bgr"),
    ],
)
def test_refused_preprocessing_of_a_later_reader(path, weights, fields, match):
    described(path, weights, description(format_version=2, needs=NEEDED, preprocessing=fields))
    refused(path, match)


def test_only_three_channels_have_another_order():
    with pytest.raises(ModelFileError, match="channel_order is 'bgr', expected 'rgb', since the network takes 1 channels"):
        Preprocessing((1, 224, 224), mean=(0.5,), std=(0.5,), channel_order="bgr")
    assert Preprocessing(channel_order="bgr").with_channels(1).channel_order == "rgb"


def test_misspelt_preprocessing(path, weights):
    described(path, weights, description(preprocessing={"crop_pc": 1}))
    refused(path, "preprocessing has an unknown key 'crop_pc'; did you mean 'crop_pct'")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "lcnet",
        '{"format_version": 1,}',
        '{"format_version": NaN}',
        '{"format_version": ' + "9" * 5000 + "}",
        '{"format_version": 1, "provenance": {"x": Infinity}}',
    ],
)
def test_text_that_is_no_json(path, weights, text):
    described(path, weights, text)
    refused(path, "its 'lcnet' metadata is not JSON")


@pytest.mark.parametrize("depth", [32, 33, 500, 5000, 100_000])
def test_nesting_is_bounded(path, weights, depth):
    """The description itself and `provenance` are the first two levels."""
    inner = "[" * (depth - 2) + "]" * (depth - 2)
    described(path, weights, json.dumps(description())[: -len("{}}")] + f'{{"a": {inner}}}}}')
    if depth == 32:
        assert read(path).config.arch == ARCH
    else:
        refused(path, "its 'lcnet' metadata is nested more than 32 levels deep")


@pytest.mark.parametrize("text", ["[]", "1", '"text"', "null"])
def test_json_that_is_no_object(path, weights, text):
    described(path, weights, text)
    refused(path, "metadata is .*, expected a JSON object")


# Files without a description


@pytest.mark.parametrize("width", WIDTHS.values())
def test_the_architecture_follows_from_the_shapes(width):
    for arch in (Arch(width), Arch(width, 1, 0), Arch(width, 4, 7)):
        assert infer_arch(arch.shapes()) == arch


def test_other_networks_are_not_inferred():
    with pytest.raises(ModelFileError, match="this is no LCNet in timm's keys"):
        infer_arch({"conv1.weight": (8, 3, 3, 3)})
    for name in ("conv1.conv.weight", "model.conv_stem.weight"):
        with pytest.raises(ModelFileError, match="names of a checkpoint: run `lcnet convert"):
            infer_arch({name: (8, 3, 3, 3)})
    with pytest.raises(ModelFileError, match="no LCNet has a stem of 8 and 100 channels"):
        infer_arch({"conv_stem.weight": (8, 3, 3, 3), "conv_head.weight": (1280, 100, 1, 1)})


def test_plain_file_of_another_task(path, weights):
    save(path, weights)
    config = read(path).config
    assert (config.arch, config.labels) == (ARCH, None)
    assert config.provenance == {
        "source": "model.safetensors",
        "assumed": ["input_size", "interpolation", "crop_pct", "crop_mode", "mean", "std"],
        "note": "assumed, as nothing says otherwise: input_size 224x224, interpolation bicubic, crop_pct 0.875,"
        " crop_mode center, mean 0.485,0.456,0.406, std 0.229,0.224,0.225; labels unknown",
    }


def test_plain_file_with_one_channel(path):
    arch = Arch(0.25, 1, 2)
    save(path, random_weights(arch))
    assert read(path).config.preprocessing == Preprocessing((1, 224, 224), mean=(0.5,), std=(0.5,))


@pytest.mark.parametrize(("width", "interpolation"), [(0.25, "bicubic"), (0.35, "bilinear"), (1.5, "bilinear")])
def test_plain_file_with_1000_classes(path, width, interpolation):
    """timm's default for its untrained widths is bilinear."""
    arch = Arch(width)
    save(path, {k: np.ones(s, np.float32) for k, s in arch.shapes().items()})
    config = read_config(path)
    assert config.labels == load_labels("imagenet1k")
    assert config.preprocessing == Preprocessing(interpolation=interpolation)


def test_a_default_describes_a_plain_file(path, weights):
    default = ModelConfig(ARCH, Preprocessing((3, 64, 64)), Labels(("cat", "dog")))
    save(path, weights)
    assert read(path, default).config == default
    write(path, ModelFile(ModelConfig(ARCH), weights))
    assert read(path, default).config == ModelConfig(ARCH)


HUB_CONFIG = {
    "architecture": "lcnet_050",
    "num_classes": 1000,
    "num_features": 1280,
    "pretrained_cfg": {
        "tag": "ra2_in1k",
        "custom_load": False,
        "input_size": [3, 224, 224],
        "fixed_input_size": False,
        "interpolation": "bicubic",
        "crop_pct": 0.875,
        "crop_mode": "center",
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
        "num_classes": 1000,
        "pool_size": [7, 7],
        "first_conv": "conv_stem",
        "classifier": "classifier",
    },
}


def beside(path, config):
    (path.parent / "config.json").write_text(config if isinstance(config, str) else json.dumps(config), "utf-8")


def test_the_hubs_config_json(path):
    arch = Arch(0.5)
    save(path, {k: np.ones(s, np.float32) for k, s in arch.shapes().items()})
    text = json.dumps(HUB_CONFIG, indent=2)
    assert len(text) == 573
    beside(path, text)
    expected = ModelConfig(arch, Preprocessing(), load_labels("imagenet1k"))
    assert read(path).config == replace(expected, provenance={"source": "lcnet_050.ra2_in1k"})


def test_a_flat_config_json(path, weights):
    """timm's older form has no `pretrained_cfg`, and calls the labels `labels`."""
    save(path, weights)
    flat = {"architecture": "lcnet_025", "num_classes": 2, "input_size": [3, 96, 96], "crop_pct": 1.0, "labels": ["a", "b"]}
    beside(path, flat)
    config = read(path).config
    assert config.preprocessing == Preprocessing((3, 96, 96), crop_pct=1.0)
    assert config.labels == Labels(("a", "b"))
    note = "interpolation bicubic, crop_mode center, mean 0.485,0.456,0.406, std 0.229,0.224,0.225"
    assert config.provenance["source"] == "lcnet_025"
    assert config.provenance["note"] == f"assumed, as nothing says otherwise: {note}"


def test_label_descriptions_and_harmless_arguments(path, weights):
    save(path, weights)
    args = {"drop_rate": 0.2, "bn_eps": 1e-3, "pad_type": None}
    names = {"label_names": ["n1", "n2"], "label_descriptions": {"n2": "dog", "n1": "cat"}}
    top = {"architecture": "lcnet_025", "num_classes": 2, "model_args": args, **names}
    beside(path, top | {"pretrained_cfg": {"num_classes": 1000}})
    config = read(path).config
    assert config.labels == Labels(("cat", "dog"), ("n1", "n2"))
    assert config.bn_eps == 1e-3


@pytest.mark.parametrize(
    ("config", "match"),
    [
        ({"global_pool": "max"}, "config.json: it has global_pool='max', expected 'avg'"),
        ({"architecture": "lcnet_25"}, "'lcnet_25' is not an LCNet; did you mean .*'lcnet_025'"),
        ({"architecture": None}, "None is not an LCNet"),
        ({"architecture": []}, "not of the form that timm writes"),
        ({"architecture": "lcnet_050"}, "do not fit lcnet_050"),
        ({"num_classes": 3}, "do not fit lcnet_025 with 3 classes"),
        ({"num_classes": "2"}, "num_classes is '2', expected a whole number"),
        ({"label_names": ["a"]}, "1 labels for 2 classes"),
        ({"label_names": ["a", 2]}, "labels.names"),
        ({"model_args": []}, None),
        ({"model_args": [1]}, "not of the form that timm writes"),
        ({"model_args": {"bn_eps": "x"}}, r"architecture\.bn_eps is 'x'"),
        ({"pretrained_cfg": 3}, "not of the form that timm writes"),
        ({"pretrained_cfg": {"input_size": 3}}, "not of the form that timm writes"),
        ({"pretrained_cfg": {"crop_pct": "a"}}, "crop_pct is 'a'"),
        ({"pretrained_cfg": {"mean": "a"}}, "not of the form that timm writes"),
        ({"pretrained_cfg": {"mean": [10**400]}}, "not of the form that timm writes"),
        ({"pretrained_cfg": {"mean": {"a": 1}}}, "not of the form that timm writes"),
        ({"label_names": "ab"}, "label_names is 'ab', expected a list of texts"),
        ({"label_names": {"0": "a", "2": "c"}}, "label_names has none for class 1, expected a name for each of 2 classes"),
        ({"label_names": {"0": "a", "1": "b", "2": "c"}}, "label_names has more, expected a name for each of 2"),
        ({"model_args": {"num_classes": 3}}, "model_args has num_classes=3, expected 2 as the weights have"),
        ({"model_args": {"in_chans": 1}}, "model_args has in_chans=1, expected 3 as the weights have"),
        ({"model_args": {"bn_eps": 0}}, r"architecture\.bn_eps is 0"),
        ({"pretrained_cfg": {"label_offset": 1}}, "pretrained_cfg has label_offset=1, expected null"),
        ("[]", "expected a JSON object, found list"),
        ("{", "cannot be read as JSON"),
        ("[" * 100_000, "cannot be read as JSON"),
    ],
)
def test_odd_config_json(path, weights, config, match):
    save(path, weights)
    beside(path, config if isinstance(config, str) else {"architecture": "lcnet_025", "num_classes": 2} | config)
    if match is None:
        assert read(path).config.arch == ARCH
    else:
        refused(path, match)
