"""Names, descriptions and options of `create_model`: what is accepted as in timm, what is refused in which words."""

import subprocess
import sys

import pytest
from nn.peers import TIMM_WIDTHS, images, tensors, torch

import lcnet
from lcnet.arch import WIDTHS
from lcnet.errors import InputError, LcnetError, WeightsError
from lcnet.nn import OptionError, create_model


@pytest.mark.parametrize("name", [*TIMM_WIDTHS, "lcnet_050.ra2_in1k", "lcnet_150.untrained"])
def test_descriptions_are_timms(timm, name):
    expected = timm.create_model(name).pretrained_cfg
    model = create_model(name)
    assert model.pretrained_cfg == {k: v for k, v in expected.items() if k != "url"}
    assert model.default_cfg is model.pretrained_cfg


@pytest.mark.parametrize("name", WIDTHS)
def test_every_width_is_a_model(name):
    model = create_model(name, num_classes=3)
    assert model.pretrained_cfg["architecture"] == name
    assert model.arch.width == WIDTHS[name]


def test_the_package_has_it():
    assert lcnet.create_model is create_model


@pytest.mark.parametrize(
    ("option", "near"), [("num_class", "num_classes"), ("droprate", "drop_rate"), ("img_size", None), ("norm_layer", None)]
)
def test_unknown_options_are_refused_naming_the_near_ones(option, near):
    with pytest.raises(OptionError, match=f"'{option}'.*options: num_classes, in_chans") as caught:
        create_model("lcnet_050", **{option: 1})
    assert isinstance(caught.value, InputError) and isinstance(caught.value, TypeError)
    assert near is None or f"did you mean '{near}'" in str(caught.value)


@pytest.mark.parametrize("option", ["out_indices", "output_stride"])
def test_options_of_the_feature_extractor_need_it(timm, option):
    for create in (create_model, timm.create_model):
        with pytest.raises(TypeError, match=option):
            create("lcnet_050", **{option: 8})


def test_options_with_the_value_none_are_not_given():
    model = create_model("lcnet_050", num_classes=None, global_pool=None, drop_rate=None, img_size=None, bn_eps=None)
    assert (model.num_classes, model.global_pool.pool_type, model.drop_rate, model.bn1.eps) == (1000, "avg", 0.0, 1e-5)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("in_chans", 0),
        ("in_chans", 1.0),
        ("drop_rate", -0.1),
        ("drop_rate", 1.1),
        ("drop_rate", "0.2"),
        ("drop_path_rate", 2),
        ("bn_eps", 0),
        ("bn_eps", 1),
        ("bn_momentum", 2),
        ("global_pool", "mean"),
        ("act_layer", "hard_swosh"),
        ("act_layer", ""),
        ("act_layer", int),
        ("act_layer", 3),
    ],
)
def test_impossible_values_are_refused_by_name(option, value):
    with pytest.raises(InputError, match=f"{option} is .*expected"):
        create_model("lcnet_050", **{option: value})


@pytest.mark.parametrize("stride", [1, 3, 64, "8"])
def test_impossible_output_strides(stride):
    with pytest.raises(InputError, match=r"output_stride is .*expected one of"):
        create_model("lcnet_050", features_only=True, output_stride=stride)


def test_near_activations_are_named():
    with pytest.raises(InputError, match="did you mean 'hard_swish'"):
        create_model("lcnet_050", act_layer="hard_swich")


@pytest.mark.parametrize("name", ["lcnet_051", "lcnet50", "lcnet_050.ra3_in1k", "resnet50", ""])
def test_unknown_names(name):
    with pytest.raises(InputError, match="lcnet"):
        create_model(name)


def test_missing_files_and_folders():
    for name in ("no/such/file.safetensors", "nothing.safetensors", "local-dir:no/such/folder"):
        with pytest.raises(LcnetError, match="no"):
            create_model(name)


@pytest.mark.parametrize("name", ["lcnet_025", "lcnet_035", "lcnet_150.untrained", "lcnet_200", "lcnet_050.paddle_in1k"])
def test_architectures_without_weights_say_so(name):
    with pytest.raises(WeightsError, match=name):
        create_model(name, pretrained=True)


def test_a_tag_given_separately_wins_over_the_names():
    cfg = create_model("lcnet_050.ra2_in1k", pretrained_cfg="cifar10").pretrained_cfg
    assert (cfg["tag"], cfg["num_classes"], cfg["input_size"]) == ("cifar10", 10, (3, 128, 128))
    with pytest.raises(InputError, match=r"lcnet_050.nonsense"):
        create_model("lcnet_050", pretrained_cfg="nonsense")


def test_a_description_given_as_a_dict_replaces_the_names(timm):
    given = {"num_classes": 7, "input_size": (1, 32, 32), "interpolation": "bilinear"}
    ours, theirs = (create("lcnet_050.ra2_in1k", pretrained_cfg=given) for create in (create_model, timm.create_model))
    assert (ours.num_classes, ours.in_chans) == (theirs.num_classes, theirs.in_chans) == (7, 1)
    theirs = {k: v for k, v in theirs.pretrained_cfg.items() if v is not None}
    assert theirs.items() <= ours.pretrained_cfg.items()
    assert "hf_hub_id" not in ours.pretrained_cfg
    with pytest.raises(WeightsError, match="lcnet_050 names no weights"):
        create_model("lcnet_050.ra2_in1k", pretrained=True, pretrained_cfg=given)


def test_an_overlay_replaces_single_fields(timm):
    overlay = {"num_classes": 7, "crop_pct": 0.9}
    ours, theirs = (create("lcnet_050", pretrained_cfg_overlay=overlay) for create in (create_model, timm.create_model))
    assert ours.pretrained_cfg == {k: v for k, v in theirs.pretrained_cfg.items() if k != "url"}
    assert ours.num_classes == theirs.num_classes == 7
    assert create_model("lcnet_050", pretrained_cfg_overlay=overlay, num_classes=3).num_classes == 3


def test_unknown_fields_of_a_description():
    for option in ("pretrained_cfg", "pretrained_cfg_overlay"):
        with pytest.raises(InputError, match="'crop_pc'; did you mean 'crop_pct'"):
            create_model("lcnet_050", **{option: {"crop_pc": 1}})


def test_drop_path_has_no_path_to_drop():
    outputs = []
    for rate in (0.0, 0.9):
        model = create_model("lcnet_035", drop_path_rate=rate).train()
        model.load_state_dict(tensors(0.35))
        outputs.append(model(images()))
    assert torch.equal(*outputs)


def test_without_torch_the_extra_is_named():
    code = (
        "import sys; sys.modules['torch'] = None\nimport lcnet.errors, lcnet\n"
        "try: import lcnet.nn\nexcept lcnet.errors.MissingExtraError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'lcnet[train]'" in done.stdout
