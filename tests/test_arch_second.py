"""PP-LCNetV2 as data: published counts, timm's shapes, what its model file says, and names."""

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import save_file
from weights import random_values, random_weights

import lcnet
from lcnet import modelfile, zoo
from lcnet.arch import FAMILIES, SIZES, Arch
from lcnet.cli import main
from lcnet.config import ModelConfig
from lcnet.errors import InputError, ModelFileError
from lcnet.hub import download
from lcnet.modelfile import ModelFile, parse_config
from lcnet.modelfile.description import write_config

# In training and fused, multiply-adds in millions, channels of the maps: run with timm 1.0.31.
COUNTS = {
    "lcnetv2_small": (4_128_552, 4_092_840, 280.3, (96, 192, 384, 768)),
    "lcnetv2_base": (6_687_208, 6_624_232, 593.9, (128, 256, 512, 1024)),
    "lcnetv2_large": (10_542_120, 10_444_200, 1082.1, (160, 320, 640, 1280)),
}
SHITU = {
    "num_classes": 0,
    "head_channels": 512,
    "head_bias": True,
    "head_activation": "none",
    "stage_strides": ((1, 1), (2, 2), (2, 2), (2, 2), (1, 1)),
}
BASE = Arch.of("lcnetv2_base")


@pytest.mark.parametrize("name", COUNTS)
def test_counts(name):
    arch = Arch.of(name)
    training, fused, macs, channels = COUNTS[name]
    assert (arch.training_parameters, arch.parameters, arch.feature_channels) == (training, fused, channels)
    assert round(arch.macs() / 1e6, 1) == macs
    assert arch.reductions == ((4, 4), (8, 8), (16, 16), (32, 32)) and arch.name == name and arch.usual
    assert [shape[1:] for shape in arch.feature_shapes(224, 160)] == [(56, 40), (28, 20), (14, 10), (7, 5)]


@pytest.mark.parametrize("size", [(224, 224), (97, 64)])
def test_multiply_adds_of_every_layer(timm, torch, size):
    model = timm.create_model("lcnetv2_small", inference_mode=True).eval()
    found = {}

    def count(name):
        def hook(module, _, out):
            each = module.weight[0].numel()
            found[name] = each * out.numel(), (*out.shape[1:], 1, 1)[:3]

        return hook

    for name, module in model.named_modules():
        if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)):
            module.register_forward_hook(count(name))
    model(torch.zeros(1, 3, *size))
    arch = Arch.of("lcnetv2_small")
    layers = {conv.layer: conv.conv for conv in arch.convs()}
    assert {layers[layer]: (macs, shape) for layer, macs, shape in arch.conv_costs(*size)} == found


def test_what_the_blocks_are():
    blocks = dict(BASE.blocks())
    assert list(blocks) == ["stem.1", *(f"stages.{s}.{b}" for s, n in enumerate((2, 2, 6, 2)) for b in range(n))]
    assert [name for name, block in blocks.items() if block.shortcut] == ["stages.3.1"]
    assert {name for name, block in blocks.items() if block.mid_channels} == {f"stages.2.{b}" for b in range(6)}
    assert {block.branches for name, block in blocks.items() if name in ("stages.2.0", "stages.3.0")} == {(5, 3)}
    assert {block.branches for name, block in blocks.items() if name in ("stages.2.1", "stages.3.1")} == {(5, 3, 1)}
    assert all(bool(block.se_channels) == name.startswith("stages.2") for name, block in blocks.items())
    first = BASE.stages[3][0]
    assert (first.in_channels, first.mid_channels, first.out_channels, first.se_channels) == (256, 256, 512, 64)


def test_embeddings_of_shitu():
    arch = Arch.of("lcnetv2_base", **SHITU)
    assert (arch.head_hidden_size, arch.usual, arch.reductions) == (512, False, ((4, 4), (8, 8), (16, 16)))
    assert dict(arch.blocks())["stages.3.0"].branches == (5, 3)  # PaddleClas makes it strided, and then takes the stride away
    assert arch.shapes()["conv_head.bias"] == (512,) and "conv_head.bias" not in BASE.shapes()


REFUSED = [
    ({"family": "lcnetv3"}, "family is 'lcnetv3', expected 'lcnet' or 'lcnetv2'"),
    ({"depths": (2, 2, 6)}, r"depths is \(2, 2, 6\), expected 4 whole numbers from 1 to 64"),
    ({"depths": (2, 2, 0, 2)}, "depths"),
    ({"gate": "tanh"}, "gate is 'tanh', expected 'hard_sigmoid' or 'sigmoid'"),
    ({"hard_sigmoid_slope": 0.2}, "hard_sigmoid_slope is 0.2, expected the usual one, as the gate is a sigmoid"),
    ({"head_activation": "relu"}, "head_activation is 'relu', expected 'same' or 'none'"),
    ({"head_bias": 1}, "head_bias is 1, expected true or false"),
    ({"stage_strides": ((1, 1),) * 6}, "stage_strides .* expected 5 pairs"),
    ({"head_channels": 0, "classifier_input": ("blocks.5",)}, "expected stages in their order, 'stem' to 'stages.3'"),
]


@pytest.mark.parametrize(("changes", "words"), REFUSED)
def test_networks_that_cannot_be(changes, words):
    with pytest.raises(ValueError, match=words):
        replace(BASE, **changes)


def test_the_first_family_has_no_depths():
    with pytest.raises(ValueError, match=r"depths is \(2,\), expected none in this family"):
        Arch(0.5, depths=(2,))


# The model file


def test_what_a_file_says(tmp_path):
    written = json.loads(write_config(ModelConfig(Arch.of("lcnetv2_small", num_classes=3))))
    needs = ["strides", "activation", "family", "gate", "head_bias"]
    assert (written["format_version"], list(written["needs"])) == (2, needs)
    assert written["architecture"] == {
        "family": "lcnetv2",
        "width": 0.75,
        "in_chans": 3,
        "num_classes": 3,
        "bn_eps": 1e-05,
        "stem_stride": [2, 2],
        "stage_strides": [[1, 1], [2, 2], [2, 2], [2, 2], [2, 2]],
        "activation": "relu",
        "depths": [2, 2, 4, 2],
        "gate": "sigmoid",
        "head_bias": False,
    }
    shitu = json.loads(write_config(ModelConfig(Arch.of("lcnetv2_base", **SHITU))))
    assert set(shitu["needs"]) == {"strides", "head", "activation", "family", "gate", "head_activation"}


@pytest.mark.parametrize("other", [{}, SHITU, {"num_classes": 5, "head_channels": 0, "classifier_input": ("stages.1",)}])
def test_a_file_is_read_again(tmp_path, other):
    arch = Arch.of("lcnetv2_small", **other)
    model = ModelFile(ModelConfig(arch), random_weights(arch))
    modelfile.write(tmp_path / "m.safetensors", model)
    found = modelfile.read(tmp_path / "m.safetensors")
    assert found.config == model.config and found.weights.keys() == model.weights.keys()


WRONG = [
    ({"family": "lcnetv3"}, "architecture.family is 'lcnetv3', expected 'lcnet' or 'lcnetv2'"),
    ({"width": 0.5}, "architecture.width is 0.5, expected one of 0.75, 1.0, 1.25"),
    ({"depths": [2, 2]}, "architecture.depths"),
    ({"depths": "2264"}, "architecture.depths"),
    ({"gate": "hard"}, "architecture.gate"),
    ({"head_bias": "no"}, "architecture.head_bias"),
    ({"head_activation": None}, "not among the needs"),
]


@pytest.mark.parametrize(("changes", "words"), WRONG)
def test_files_that_are_refused(changes, words):
    data = json.loads(write_config(ModelConfig(BASE)))
    data["architecture"] |= changes
    with pytest.raises(ModelFileError, match=words):
        parse_config(json.dumps(data))
    del data["architecture"]["depths"], data["needs"]["family"]
    data["architecture"]["family"] = "lcnetv2"
    with pytest.raises(ModelFileError):
        parse_config(json.dumps(data))


def plain_file(path, arch, branches, **changes):
    """timm's file, without a description."""
    save_file(random_values(arch.shapes(branches)) | changes, path)
    return path


def test_plain_files_are_known_by_their_tensors(tmp_path):
    for arch in (BASE, Arch.of("lcnetv2_large", 1, 7), Arch.of("lcnetv2_small", num_classes=3, depths=(1, 3, 2, 1))):
        assert modelfile.infer_arch(arch.shapes(branches=True)) == modelfile.infer_arch(arch.shapes()) == arch
    config = modelfile.read_config(plain_file(tmp_path / "m.safetensors", Arch.of("lcnetv2_small"), True))
    assert config.arch == Arch.of("lcnetv2_small") and len(config.labels.names) == 1000
    wide = Arch.of("lcnetv2_base").shapes() | {"stem.0.conv.weight": (48, 3, 3, 3)}
    with pytest.raises(ModelFileError, match="no PP-LCNetV2 has a stem of 48 and 1024 channels before the head"):
        modelfile.infer_arch(wide)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"stages.3.0.dw_conv_list.0.bn.running_var": -1.0}, "running_var has negative values"),
        ({"stages.3.0.dw_conv_list.1.conv.weight": np.nan}, "1.conv.weight has .* NaN"),
        ({"stages.3.0.dw_conv_list.1.bn.weight": 3e38}, r"stages.3.0.dw_conv(_list)?.* (overflows|NaN or Inf)"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_damaged_branches_are_refused(tmp_path, changes, words):
    arch = Arch.of("lcnetv2_small", num_classes=2)
    values = {key: np.full(arch.shapes(True)[key], value, np.float32) for key, value in changes.items()}
    with pytest.raises(ModelFileError, match=words):
        modelfile.read(plain_file(tmp_path / "m.safetensors", arch, True, **values))


def test_branches_belong_to_no_described_file(tmp_path):
    arch = Arch.of("lcnetv2_small", num_classes=2)
    with pytest.raises(ModelFileError, match=r"stages.2.0.dw_conv.weight is missing"):
        modelfile.to_bytes(ModelFile(ModelConfig(arch), random_values(arch.shapes(branches=True))))


def test_timms_description_beside_its_file(tmp_path):
    folder, path = tmp_path, plain_file(tmp_path / "model.safetensors", Arch.of("lcnetv2_small"), True)
    cfg = {"tag": "paddle_in1k", "interpolation": "bicubic", "crop_pct": 0.875, "input_size": [3, 224, 224]}

    def read(**args):
        told = {"architecture": "lcnetv2_small", "num_classes": 1000, "model_args": args, "pretrained_cfg": cfg}
        (folder / "config.json").write_text(json.dumps(told))
        return modelfile.read_config(path)

    told = read(scale=0.75, depths=[2, 2, 4, 2], inference_mode=False, act_layer="relu", head_hidden_size=1280)
    assert told.arch == Arch.of("lcnetv2_small") and told.provenance["source"] == "lcnetv2_small.paddle_in1k"
    for args in ({"scale": 1.0}, {"depths": [1, 1, 1, 1]}, {"act_layer": "hard_swish"}, {"bn_eps": 1e-3}, {"pad_type": "same"}):
        with pytest.raises(ModelFileError, match=f"model_args has {next(iter(args))}="):
            read(**args)


def test_downloads_for_timm(tmp_path, timm, torch):
    """A folder that timm loads: of our own file, too, whose branches are fused."""
    arch = Arch.of("lcnetv2_small")
    for number, branches in enumerate((True, False)):
        path = plain_file(tmp_path / f"{number}.safetensors", arch, branches)
        download(path, tmp_path / str(number))
        told = json.loads((tmp_path / str(number) / "config.json").read_text())
        assert told.get("model_args", {}) == ({} if branches else {"inference_mode": True})
        assert told["pretrained_cfg"]["first_conv"] == "stem.0.conv"
        theirs = timm.create_model(f"local-dir:{tmp_path / str(number)}", pretrained=True)
        assert any("dw_conv_list" in key for key in theirs.state_dict()) == branches


# Names


def test_names():
    names = [name for name in SIZES if name.startswith("lcnetv2")]
    assert names == list(FAMILIES["lcnetv2"].sizes) and set(names) < set(lcnet.list_models())
    assert [zoo.find(name).name for name in names] == [
        "lcnetv2_small.paddle_in1k",
        "lcnetv2_base.ssld_in1k",
        "lcnetv2_large.paddle_in1k",
    ]
    base = zoo.find("lcnetv2_base.ssld_in1k")
    assert base.accuracy["imagenet"] == (80.07, 94.87) and base.hub_id == "timm/lcnetv2_base.ssld_in1k"
    assert base.config().arch == BASE and len(base.config().labels.names) == 1000
    with pytest.raises(InputError, match=r"no weights 'lcnetv2_base.none': lcnetv2_base has lcnetv2_base.paddle_in1k"):
        zoo.find("lcnetv2_base.none")
    with pytest.raises(InputError, match="PP-ShiTuV2_rec is one of PaddleX's"):
        zoo.find("PP-ShiTuV2_rec")


def test_names_are_timms(timm):
    for options in ({}, {"pretrained": True}):
        assert lcnet.list_models("lcnetv2*", **options) == timm.list_models("lcnetv2*", **options)
    assert all(lcnet.is_model(name) for name in timm.list_models("lcnetv2*"))


def test_what_info_says():
    text = CliRunner().invoke(main, ["info", "lcnetv2_base"]).output
    assert "parameters     6,624,232; 6,687,208 while training, with the branches" in text
    assert "stages.2.0.conv_pw2" in text and "network  " not in text
    facts = json.loads(CliRunner().invoke(main, ["info", "lcnetv2_base", "--format", "json"]).output)
    assert facts["architecture"]["gate"] == "sigmoid" and facts["training_parameters"] == 6_687_208


def test_what_info_says_of_a_network_of_embeddings(tmp_path):
    arch = Arch.of("lcnetv2_base", **SHITU)
    modelfile.write(tmp_path / "m.safetensors", ModelFile(ModelConfig(arch), random_weights(arch)))
    text = CliRunner().invoke(main, ["info", str(tmp_path / "m.safetensors")]).output
    network = next(line for line in text.splitlines() if line.startswith("network"))
    assert "512 channels in the head" in network and "head activation none; the head has a bias" in network
