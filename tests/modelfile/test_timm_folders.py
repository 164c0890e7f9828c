"""What timm's `save_for_hf` writes, loaded from the folder: the same logits, or a refusal that names the option."""

import inspect
import json

import numpy as np
import pytest
from PIL import Image
from weights import pictures, reacting_weights

import lcnet
from lcnet.arch import WIDTHS, Arch
from lcnet.config import Preprocessing
from lcnet.convert import convert
from lcnet.errors import ModelFileError
from lcnet.modelfile.timm_config import HARMLESS_ARGS, OPTIONS

pytestmark = pytest.mark.slow

TOLERANCE = 1e-4  # of the range of the logits


@pytest.fixture
def save(timm, torch, tmp_path):
    """Save timm's network with these options, its weights reacting to pictures where they are of the usual shapes."""

    def run(name="lcnet_035", model_config=None, model_args=None, **options):
        model = timm.create_model(name, **options).eval()
        arch = Arch(WIDTHS[name.partition(".")[0]], model.in_chans, model.num_classes)
        own = model.state_dict()
        usual = {k: torch.from_numpy(v) for k, v in reacting_weights(arch).items()}
        model.load_state_dict(own | {k: v for k, v in usual.items() if k in own and v.shape == own[k].shape})
        timm.models.save_for_hf(model, tmp_path, model_config, model_args, safe_serialization=True)
        return model

    return run


def change(folder, edit):
    path = folder / "config.json"
    data = json.loads(path.read_text())
    path.write_text(json.dumps(edit(data) or data))


def assert_same(torch, theirs, folder):
    model = lcnet.load(f"local-dir:{folder}", threads=1)
    x = pictures(3, 64, 64, theirs.in_chans)
    with torch.no_grad():
        expected = theirs(torch.from_numpy(x)).numpy()
    found = model.run(x) if theirs.num_classes else model.embeddings(x)
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE * np.ptp(expected))
    return model


PLAIN = [
    {},
    {"num_classes": 10},
    {"num_classes": 0},
    {"in_chans": 1},
    {"in_chans": 4, "num_classes": 3},
    {"global_pool": "avg"},
    {"global_pool": "AVG"},
    {"global_pool": "fast"},
    {"global_pool": "fastavg"},
    {"act_layer": "hard_swish"},
    {"act_layer": "Hardswish"},
    {"bn_eps": 1e-5},
    {"bn_eps": 1e-2},
    {"bn_momentum": 0.01},
    {"drop_rate": 0.2},
    {"drop_path_rate": 0.1},
    {"fix_stem": False},
    {"name": "lcnet_075", "fix_stem": True},
    {"pad_type": ""},
    {"pad_type": "symmetric"},
    {"se_from_exp": True},
    {"se_from_exp": False},
    {"head_bias": True},
    {"head_norm": False},
    {"layer_scale_init_value": 1e-5},
    {"features_only": False},
    {"pruned": False},
    {"feature_cfg": {}},
    {"scriptable": True},
    {"exportable": True},
    {"no_jit": True},
    {"device": "cpu"},
    {"name": "lcnet_050.ra2_in1k"},
    {"model_args": {"drop_rate": 0.1, "drop_path_rate": 0.1}},
    {"num_classes": 7, "in_chans": 1, "act_layer": "hard_swish", "global_pool": "fast", "bn_eps": 1e-3},
]


@pytest.mark.parametrize("options", PLAIN, ids=str)
def test_a_plain_network_gives_timms_logits(save, torch, tmp_path, options):
    assert_same(torch, save(**options), tmp_path)


OTHER = [
    ({"global_pool": "max"}, "global_pool='max', expected 'avg'"),
    ({"global_pool": "avgmax"}, "global_pool='avgmax', expected 'avg'"),
    ({"global_pool": "catavgmax"}, "global_pool='catavgmax', expected 'avg'"),
    ({"global_pool": "fastmax"}, "global_pool='fastmax', expected 'avg'"),
    ({"global_pool": "", "num_classes": 0}, "global_pool='', expected 'avg'"),
    ({"act_layer": "relu"}, "act_layer='relu', expected 'hard_swish'"),
    ({"act_layer": ""}, "act_layer='', expected 'hard_swish'"),
    ({"fix_stem": True}, "fix_stem=True, expected false"),
    ({"pad_type": "same"}, "pad_type='same', expected ''"),
    ({"pad_type": "VALID"}, "pad_type='VALID', expected ''"),
    ({"pad_type": 1}, "pad_type=1, expected ''"),
    ({"head_bias": False}, "head_bias=False, expected true"),
    ({"head_norm": True}, "head_norm=True, expected false"),
    ({"aa_layer": "avg"}, "aa_layer='avg', expected null"),
    ({"aa_layer": ""}, "aa_layer='', expected null"),
]


@pytest.mark.parametrize(("options", "words"), OTHER, ids=[str(options) for options, _ in OTHER])
def test_another_network_is_refused_by_name(save, tmp_path, options, words):
    save(**options)
    change(tmp_path, lambda data: data.pop("global_pool", None) and None)  # it repeats what model_args say
    with pytest.raises(ModelFileError) as caught:
        lcnet.load(f"local-dir:{tmp_path}")
    text = str(caught.value)
    assert f"model_args has {words}: the runtime has only plain LCNets, run this one with timm" in text
    assert text.isprintable()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("norm_layer", "layernorm2d"),
        ("se_layer", "ese"),
        ("stem_size", 32),
        ("num_features", 960),
        ("output_stride", 8),
        ("channel_multiplier", 0.7),
        ("round_chs_fn", "x"),
        ("block_args", []),
        ("bn_tf", True),
        ("img_size", 64),
        ("act_layer", None),
        ("head_bias", None),
        ("features_only", True),
        ("pruned", True),
        ("dtype", "bfloat16"),
    ],
)
def test_what_timm_itself_would_not_load_is_refused_by_name(save, tmp_path, key, value):
    """Or, of a null activation, would load as another network: as one with ReLU."""
    save()
    change(tmp_path, lambda data: data["model_args"].update({key: value}))
    with pytest.raises(ModelFileError, match=f"model_args has {key}={value!r}, expected ".replace("[", r"\[")):
        lcnet.load(f"local-dir:{tmp_path}")


def test_a_null_activation_is_relu_in_timm(save, timm, torch, tmp_path):
    save()
    change(tmp_path, lambda data: data["model_args"].update(act_layer=None))
    assert isinstance(timm.create_model(f"local-dir:{tmp_path}").act2, torch.nn.ReLU)


def test_every_option_of_timms_network_is_known(timm):
    """Known, or not to be had: so that a new one is not refused, or let through, unawares. `dtype` is never saved."""
    known = {*HARMLESS_ARGS, *OPTIONS, "dtype"}
    for name in inspect.signature(timm.models.mobilenetv3.MobileNetV3).parameters:
        if name not in known:
            with pytest.raises(TypeError):
                timm.create_model("lcnet_035", **{name: 1})


OVERLAYS = [
    {},
    {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.4, 0.3)},
    {"mean": (0.4,), "std": (0.6,)},
    {"crop_pct": 0.95},
    {"crop_pct": 1.0, "crop_mode": "squash"},
    {"crop_mode": "border"},
    {"interpolation": "bilinear"},
    {"input_size": (3, 96, 128)},
    {"test_input_size": (3, 288, 288), "test_crop_pct": 1.0},
    {"custom_load": True},
    {"min_input_size": (3, 32, 32), "license": "mit", "description": "d", "notes": ("n",), "tag": "mine"},
]


@pytest.mark.parametrize("overlay", OVERLAYS, ids=str)
def test_preprocessing_is_timms(save, timm, torch, tmp_path, rng, overlay):
    theirs = save(pretrained_cfg_overlay=overlay)
    model = assert_same(torch, theirs, tmp_path)
    reloaded = timm.create_model(f"local-dir:{tmp_path}", pretrained=True).eval()
    picture = Image.fromarray(rng.integers(0, 256, (15, 20, 3), np.uint8)).resize((200, 150), Image.Resampling.BICUBIC)
    x = timm.data.create_transform(**timm.data.resolve_model_data_config(reloaded))(picture)
    with torch.no_grad():
        expected = reloaded(x[None]).numpy()
    np.testing.assert_allclose(model.logits([picture]), expected, rtol=0, atol=TOLERANCE * np.ptp(expected))


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("mean", [0.4, [0.4], [0.3, 0.4, 0.5], [0.1, 0.2]])
def test_statistics_of_other_channels_are_averaged_as_timm_does(save, timm, tmp_path, channels, mean):
    """Before 1.0.31 timm kept those of the weights before they were adapted."""
    save(in_chans=channels)
    change(tmp_path, lambda data: data["pretrained_cfg"].update(mean=mean, std=mean))
    reloaded = timm.create_model(f"local-dir:{tmp_path}")
    expected = timm.data.model_config.resolve_input_data_config(reloaded)
    found = lcnet.load(f"local-dir:{tmp_path}").preprocessing
    np.testing.assert_allclose([found.mean, found.std], [expected["mean"], expected["std"]], rtol=1e-6)


EXTRAS = {
    "license": "mit",
    "tag": "mine",
    "custom_load": False,
    "head_init_scale": 1.0,
    "num_features": 176,
    "do_pooling": True,
    "model_type": "timm_wrapper",
    "torch_dtype": "float32",
    "label_offset": 1,
}


def test_extra_keys_at_the_top_are_ignored_as_timm_ignores_them(save, timm, torch, tmp_path):
    theirs = save(model_config=EXTRAS)
    assert json.loads((tmp_path / "config.json").read_text())["head_init_scale"] == 1.0
    assert timm.create_model(f"local-dir:{tmp_path}", pretrained=True) is not None
    assert_same(torch, theirs, tmp_path)


NAMES = ["n1", "n2", "n3"]


@pytest.mark.parametrize(
    "labels",
    [
        {"model_config": {"label_names": NAMES}},
        {"model_config": {"labels": NAMES}},
        {"model_config": {"label_names": {2: "n3", 0: "n1", 1: "n2"}}},
        {"pretrained_cfg_overlay": {"label_names": NAMES, "num_classes": 3}},
    ],
    ids=str,
)
def test_label_names(save, torch, tmp_path, labels):
    model = assert_same(torch, save(num_classes=3, **labels), tmp_path)
    assert model.labels.names == ("n1", "n2", "n3")


def test_label_descriptions(save, tmp_path):
    texts = {"n1": "cat", "n2": "dog", "n3": "emu"}
    save(num_classes=3, model_config={"label_names": NAMES, "label_descriptions": texts})
    labels = lcnet.load(f"local-dir:{tmp_path}").labels
    assert (labels.names, labels.ids) == (("cat", "dog", "emu"), ("n1", "n2", "n3"))


def flat(data):
    """timm's older form of the same: one object, the labels under `labels`."""
    labels = {"labels": data["label_names"]} if "label_names" in data else {}
    top = {key: data[key] for key in ("architecture", "num_classes", "num_features")}
    return {**top, **data["pretrained_cfg"], **labels}


def test_the_flat_form_says_the_same(save, timm, torch, tmp_path):
    overlay = {"mean": (0.4, 0.5, 0.6), "crop_pct": 0.9, "tag": "mine"}
    theirs = save(num_classes=3, pretrained_cfg_overlay=overlay, model_config={"label_names": NAMES})
    nested = lcnet.load(f"local-dir:{tmp_path}").config
    change(tmp_path, flat)
    assert timm.create_model(f"local-dir:{tmp_path}", pretrained=True).num_classes == 3
    assert assert_same(torch, theirs, tmp_path).config == nested


@pytest.mark.parametrize(
    ("name", "tag", "source"),
    [
        ("lcnet_035.ra2_in1k", None, "lcnet_035.ra2_in1k"),
        ("lcnet_035.ra2_in1k", "mine", "lcnet_035.mine"),
        ("lcnet_035", "mine", "lcnet_035.mine"),
        ("lcnet_035", None, "lcnet_035"),
    ],
)
def test_an_architecture_with_a_tag(save, timm, torch, tmp_path, name, tag, source):
    theirs = save()

    def edit(data):
        data["architecture"], data["pretrained_cfg"]["tag"] = name, tag

    change(tmp_path, edit)
    assert timm.create_model(f"local-dir:{tmp_path}", pretrained=True) is not None
    assert assert_same(torch, theirs, tmp_path).config.provenance == {"source": source}


def test_a_pickle_that_timm_saved_is_converted_by_its_config(timm, save, torch, tmp_path):
    """`save_for_hf` writes one unless it is told otherwise."""
    theirs = save(num_classes=3, bn_eps=1e-2, pretrained_cfg_overlay={"crop_pct": 0.9})
    (tmp_path / "model.safetensors").unlink()
    timm.models.save_for_hf(theirs, tmp_path)
    convert(tmp_path / "pytorch_model.bin", tmp_path / "out.safetensors")
    (tmp_path / "config.json").unlink()
    config = assert_same(torch, theirs, tmp_path).config
    assert (config.bn_eps, config.preprocessing) == (1e-2, Preprocessing(crop_pct=0.9, interpolation="bilinear"))
