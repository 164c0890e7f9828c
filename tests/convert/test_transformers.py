"""transformers' PP-LCNet: the folder that it writes, in both of its namings, by its own outputs where it is installed."""

import json

import foreign
import numpy as np
import pytest
from safetensors.numpy import save_file
from weights import random_weights

from lcnet import modelfile
from lcnet.arch import Arch
from lcnet.convert import convert
from lcnet.convert.transformers import timm_key
from lcnet.errors import ModelFileError

TEXT_LINE = Arch(0.25, num_classes=2, stage_strides=((1, 1), (2, 1), (2, 1), (2, 1), (1, 1), (2, 1)))
BLOCKS = [
    [[3, 16, 32, 1, False]],
    [[3, 32, 64, [2, 1], False], [3, 64, 64, 1, False]],
    [[3, 64, 128, [2, 1], False], [3, 128, 128, 1, False]],
    [[3, 128, 256, [2, 1], False], *([5, 256, 256, 1, False] for _ in range(5))],
    [[5, 256, 512, [2, 1], True], [5, 512, 512, 1, True]],
]
CONFIG = {
    "model_type": "pp_lcnet",
    "scale": 0.25,
    "reduction": 4,
    "hidden_dropout_prob": 0.2,
    "class_expand": 1280,
    "hidden_act": "hardswish",
    "block_configs": BLOCKS,
    "id2label": {"0": "0_degree", "1": "180_degree"},
}
PREPROCESSOR = {
    "image_processor_type": "PPLCNetImageProcessor",
    "image_mean": [0.406, 0.456, 0.485],
    "image_std": [0.225, 0.224, 0.229],
    "rescale_factor": 1 / 255,
    "resample": 2,
    "do_center_crop": False,
    "size": {"width": 160, "height": 80},
    "resize_short": None,
}
PARTS = {"conv_dw": "depthwise_convolution.convolution", "bn1": "depthwise_convolution.normalization"}
PARTS |= {"conv_pw": "pointwise_convolution.convolution", "bn2": "pointwise_convolution.normalization"}
NEW = {
    "se.conv_reduce": "squeeze_excitation_module.convolutions.0",
    "se.conv_expand": "squeeze_excitation_module.convolutions.2",
}
OLD = {"se.conv_reduce": "squeeze_excitation_module.convolution1", "se.conv_expand": "squeeze_excitation_module.convolution2"}


def named(weights, new=True):
    """timm-named weights by transformers' names: their fourth stage is timm's fourth and fifth."""
    root = "encoder" if new else "embedder"
    out = {}
    for key, value in weights.items():
        part, _, leaf = key.rpartition(".")
        heads = {"conv_stem": f"{root}.convolution.convolution", "bn1": f"{root}.convolution.normalization"}
        heads |= {"conv_head": "last_convolution", "classifier": "head" if new else "fc"}
        if part in heads:
            name = heads[part]
        else:
            _, stage, block, rest = part.split(".", 3)
            stage, block = {"4": ("3", int(block) + 2), "5": ("4", int(block))}.get(stage, (stage, int(block)))
            name = f"encoder.blocks.{stage}.layers.{block}.{(PARTS | (NEW if new else OLD))[rest]}"
        if key != "conv_head.bias":
            out[f"{name}.{leaf}"] = value
    return out


def folder(tmp_path, new=True, config=None, preprocessor=PREPROCESSOR, arch=TEXT_LINE):
    weights = random_weights(arch) | {"conv_head.bias": np.zeros(1280, np.float32)}
    save_file(named(weights, new), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(CONFIG | (config or {})))
    if preprocessor:
        (tmp_path / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    return weights


@pytest.mark.parametrize("new", [True, False])
def test_a_folder(tmp_path, new):
    weights = folder(tmp_path, new)
    made = convert(tmp_path, tmp_path / "out.safetensors")
    assert made.config.arch == TEXT_LINE
    assert made.config.labels.names == ("0_degree", "180_degree")
    pre = made.config.preprocessing
    assert (pre.input_size, pre.crop_mode, pre.interpolation) == ((3, 80, 160), "squash", "bilinear")
    assert (pre.resize, pre.alpha, pre.channel_order) == ("opencv", "drop", "rgb")
    assert (pre.mean, pre.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert "transformers feeds BGR" in made.config.provenance["note"]
    assert made.config.provenance["dropout_scale"] == 0.8
    expected = weights | {"classifier.weight": weights["classifier.weight"] * np.float32(0.8)}
    foreign.assert_equal(made.weights, expected)
    assert modelfile.read(tmp_path / "out.safetensors").config == made.config
    assert convert(tmp_path / "model.safetensors", tmp_path / "two.safetensors").config == made.config


def test_usual_blocks_and_a_crop(tmp_path):
    arch = Arch(0.25, num_classes=4)
    crop = PREPROCESSOR | {"do_center_crop": True, "crop_size": 224, "resize_short": 256, "size": {"height": 256, "width": 256}}
    labels = {"id2label": {"0": "0", "1": "90", "2": "180", "3": "270"}, "block_configs": None}
    folder(tmp_path, config=labels, preprocessor=crop, arch=arch)
    config = convert(tmp_path, tmp_path / "out.safetensors").config
    assert config.arch == arch
    assert (config.preprocessing.crop_pct, config.preprocessing.crop_mode) == (0.875, "center")


def test_what_is_not_said_is_asked_for(tmp_path):
    folder(tmp_path, preprocessor=None, config={"id2label": None})
    with pytest.raises(ModelFileError, match=r"give --input-size, --interpolation, .*--labels; or --config"):
        convert(tmp_path, tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"scale": 0.3}, "describes no LCNet of the family: scale"),
        ({"reduction": 8}, "reduction is another"),
        ({"hidden_act": "gelu"}, "gelu"),
        ({"hidden_dropout_prob": 1}, "hidden_dropout_prob"),
        ({"block_configs": BLOCKS[:3]}, "describes no LCNet"),
        ({"block_configs": [[[5, 16, 32, 1, False]], *BLOCKS[1:]]}, "block 0 of stage 0"),
        ({"block_configs": 3}, "describes no LCNet"),
        ({"stem_stride": 4}, "stem_stride"),
        ({"class_expand": 512}, "conv_head.weight has shape"),
        ({"id2label": {"0": "a"}}, "1 labels for 2 classes"),
        ({"id2label": {"7": "a", "9": "b"}}, "config.json or preprocessor_config.json is not as transformers writes it"),
    ],
)
def test_other_configurations(tmp_path, config, words):
    folder(tmp_path, config=config)
    with pytest.raises(ModelFileError, match=words):
        convert(tmp_path, tmp_path / "out.safetensors")


def test_tensors_of_other_names():
    with pytest.raises(ModelFileError, match=r"x\.weight is none of the tensors"):
        timm_key("x.weight")


def test_outputs_of_transformers_itself(tmp_path, timm, torch, rng):  # timm: the operators that torchvision may lack
    peer = pytest.importorskip("transformers", reason="transformers, the test-only peer, is not installed")
    if not hasattr(peer, "PPLCNetConfig"):
        pytest.skip("this transformers has no PP-LCNet")
    config = peer.PPLCNetConfig(scale=0.25, block_configs=BLOCKS, id2label={0: "a", 1: "b"}, label2id={"a": 0, "b": 1})
    model = peer.PPLCNetForImageClassification(config).eval()
    weights = random_weights(TEXT_LINE)
    model.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in named(weights).items()}, strict=False)
    model.save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(PREPROCESSOR))
    made = convert(tmp_path, tmp_path / "out.safetensors")
    x = rng.standard_normal((2, 3, 80, 160)).astype(np.float32)
    expected = model(torch.from_numpy(x)).last_hidden_state.detach().numpy()
    found = foreign.forward(made.weights, made.config.arch, x)
    np.testing.assert_allclose(found, expected, atol=2e-5 * np.abs(expected).max())
