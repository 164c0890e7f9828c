"""The numbers of the architecture against published tables and timm, and the zoo's names."""

import re

import numpy as np
import pytest
from sample_data import SHARED_DATA

import lcnet
from lcnet import zoo
from lcnet.arch import WIDTHS, Arch, conv_size, round_channels
from lcnet.config import Preprocessing
from lcnet.convert.describe import config_of
from lcnet.errors import InputError
from lcnet.labels import load_labels

# width: trunk, PaddleClas's parameters, ours, batch-norm running values, multiply-adds and activations at 224.
COUNTS = {
    0.25: (76_344, 1_521_184, 1_522_464, 2_752, 16_773_440, 733_208),
    0.35: (136_810, 1_643_090, 1_644_370, 3_840, 27_357_832, 1_041_018),
    0.5: (270_896, 1_879_576, 1_880_856, 5_472, 44_731_008, 1_263_432),
    0.75: (584_488, 2_357_008, 2_358_288, 8_224, 94_786_496, 1_994_360),
    1.0: (1_016_160, 2_952_520, 2_953_800, 10_944, 155_700_480, 2_524_584),
    1.5: (2_235_792, 4_499_832, 4_501_112, 16_416, 334_188_416, 3_785_736),
    2.0: (3_929_792, 6_521_512, 6_522_792, 21_888, 580_194_816, 5_046_888),
    2.5: (6_098_160, 9_017_560, 9_018_840, 27_360, 893_719_680, 6_308_040),
}
# width: stem, output of the six stages, squeeze-and-excite widths of the last two blocks.
CHANNELS = {
    0.25: (8, (8, 16, 32, 64, 64, 128), (16, 32)),
    0.35: (8, (16, 24, 48, 88, 88, 176), (22, 44)),
    0.5: (8, (16, 32, 64, 128, 128, 256), (32, 64)),
    0.75: (16, (24, 48, 96, 192, 192, 384), (48, 96)),
    1.0: (16, (32, 64, 128, 256, 256, 512), (64, 128)),
    1.5: (24, (48, 96, 192, 384, 384, 768), (96, 192)),
    2.0: (32, (64, 128, 256, 512, 512, 1024), (128, 256)),
    2.5: (40, (80, 160, 320, 640, 640, 1280), (160, 320)),
}
# width: millions of multiply-adds at 176, 192, 256 and 288.
MACS = {
    0.5: (28.87, 33.30, 57.92, 72.87),
    0.75: (60.58, 70.13, 123.23, 155.47),
    1.0: (99.30, 114.95, 202.72, 256.01),
    1.5: (212.57, 246.22, 435.69, 550.72),
}
TIMM_NAMES = ("lcnet_035", "lcnet_050", "lcnet_075", "lcnet_100", "lcnet_150")


def test_every_width_is_in_the_tables():
    assert list(WIDTHS.values()) == list(COUNTS) == list(CHANNELS)


@pytest.mark.parametrize("width", COUNTS)
def test_counts(width):
    arch = Arch(width)
    trunk, paddle, ours, running, macs, activations = COUNTS[width]
    assert arch.parameters == ours
    assert arch.parameters - 1280 == paddle
    assert arch.parameters - 1_281_000 - 1280 * (arch.num_features + 1) == trunk
    assert arch.macs() == macs
    assert arch.activations() == activations
    statistics = {k: s for k, s in arch.shapes().items() if "running" in k}
    assert sum(s[0] for s in statistics.values()) == running
    learnable = [s for k, s in arch.shapes().items() if k not in statistics]
    assert sum(int(np.prod(s)) for s in learnable) == ours


@pytest.mark.parametrize("width", MACS)
def test_multiply_adds_at_other_sizes(width):
    found = [round(Arch(width).macs(size, size) / 1e6, 2) for size in (176, 192, 256, 288)]
    assert found == pytest.approx(MACS[width], abs=0.0101)


def test_parts_of_the_half_width():
    costs = {name: macs for name, macs, _ in Arch(0.5).conv_costs(224, 224)}
    stages = (2.509, 6.172, 5.494, 5.557, 15.354, 5.328)
    parts = {"conv_stem": 2.710, "conv_head": 0.328, "classifier": 1.280}
    parts |= {f"blocks.{i}.": macs for i, macs in enumerate(stages)}
    for part, expected in parts.items():
        assert sum(m for n, m in costs.items() if n.startswith(part)) / 1e6 == pytest.approx(expected, abs=6e-4), part
    assert len(costs) == 27 + 4 + 2


@pytest.mark.parametrize("width", CHANNELS)
def test_channels(width):
    arch = Arch(width)
    stem, stages, gates = CHANNELS[width]
    assert arch.stem_channels == stem
    assert tuple(stage[-1].out_channels for stage in arch.stages) == stages
    assert tuple(block.se_channels for _, block in arch.blocks() if block.se_channels) == gates
    assert arch.feature_channels == tuple(stages[i] for i in (0, 1, 2, 4, 5))
    assert arch.num_features == stages[-1]


@pytest.mark.parametrize(
    ("channels", "rounded"), [(1, 8), (11.2, 16), (12, 16), (11.99, 16), (20, 24), (100, 104), (91, 88), (97.7, 96)]
)
def test_rounding(channels, rounded):
    """Ties go up; 11.2 would lose more than a tenth at 8."""
    assert round_channels(channels) == rounded


def test_rounding_never_loses_a_tenth():
    values = np.arange(0.5, 2000, 0.1)
    found = np.array([round_channels(v) for v in values])
    assert (found % 8 == 0).all()
    assert (found >= 0.9 * values).all()
    assert (found - np.maximum(values, 8) < 12).all()
    assert (np.diff(found) >= 0).all()


def test_table_of_the_blocks():
    rows = [(n, b.in_channels, b.out_channels, b.kernel, b.stride, bool(b.se_channels)) for n, b in Arch(0.5).blocks()]
    assert rows == [
        ("blocks.0.0", 8, 16, 3, 1, False),
        ("blocks.1.0", 16, 32, 3, 2, False),
        ("blocks.1.1", 32, 32, 3, 1, False),
        ("blocks.2.0", 32, 64, 3, 2, False),
        ("blocks.2.1", 64, 64, 3, 1, False),
        ("blocks.3.0", 64, 128, 3, 2, False),
        ("blocks.3.1", 128, 128, 5, 1, False),
        *((f"blocks.4.{i}", 128, 128, 5, 1, False) for i in range(4)),
        ("blocks.5.0", 128, 256, 5, 2, True),
        ("blocks.5.1", 256, 256, 5, 1, True),
    ]


def test_arguments_change_the_ends_only():
    plain, other = Arch(0.5).shapes(), Arch(0.5, in_chans=1, num_classes=7).shapes()
    changed = {k: other[k] for k in plain if other[k] != plain[k]}
    expected = {"conv_stem.weight": (8, 1, 3, 3), "classifier.weight": (7, 1280), "classifier.bias": (7,)}
    assert changed == expected
    assert Arch(0.5, num_classes=0).parameters == 599_856
    assert set(plain) - set(Arch(0.5, num_classes=0).shapes()) == {"classifier.weight", "classifier.bias"}


def test_names():
    assert [Arch(w).name for w in WIDTHS.values()] == list(WIDTHS)
    assert Arch(0.6).name == "lcnet (width 0.6)"


@pytest.mark.parametrize(("size", "out"), [(32, 1), (33, 2), (224, 7), (225, 8), (1, 1)])
def test_final_size_is_a_32nd_rounded_up(size, out):
    assert Arch(0.5).feature_shapes(size, 224)[-1] == (256, out, 7)
    assert conv_size(size, 1) == size


@pytest.mark.parametrize("name", TIMM_NAMES)
def test_shapes_and_order_of_timms_state_dict(timm, name):
    state = timm.create_model(name).state_dict()
    counters = [k for k in state if k.endswith("num_batches_tracked")]
    assert len(counters) == 27
    assert len(state) == 174
    ours = list(Arch(WIDTHS[name]).shapes().items())
    assert ours == [(k, tuple(v.shape)) for k, v in state.items() if k not in counters]


@pytest.mark.parametrize("size", [(33, 65), (224, 97), (31, 1)])
def test_feature_shapes_as_timm_has_them(timm, torch, size):
    model = timm.create_model("lcnet_050", features_only=True).eval()
    with torch.no_grad():
        maps = model(torch.zeros(1, 3, *size))
    assert Arch(0.5).feature_shapes(*size) == tuple(tuple(m.shape[1:]) for m in maps)
    assert Arch(0.5).feature_channels == tuple(model.feature_info.channels())


def test_costs_as_the_convolutions_of_timm_have_them(timm, torch):
    model = timm.create_model("lcnet_075").eval()
    found = {}

    def count(name):
        def hook(module, _, out):
            fan_in = module.weight[0].numel()
            found[name] = (fan_in * out.numel(), tuple(out.shape[1:]) if out.ndim == 4 else (out.shape[1], 1, 1))

        return hook

    for name, module in model.named_modules():
        if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)):
            module.register_forward_hook(count(name))
    with torch.no_grad():
        model(torch.zeros(1, 3, 97, 64))
    assert {n: (m, s) for n, m, s in Arch(0.75).conv_costs(97, 64)} == found


# Labels


def test_imagenet_labels_as_timm_has_them(timm):
    info = timm.data.ImageNetInfo()
    labels = load_labels("imagenet1k")
    assert list(labels.ids) == info.label_names()
    assert list(labels.names) == info.label_descriptions()


def test_label_tables():
    imagenet, cifar = load_labels("imagenet1k"), load_labels("cifar10")
    assert (len(imagenet.names), len(cifar.names)) == (1000, 10)
    assert (imagenet.ids[0], imagenet.names[0]) == ("n01440764", "tench, Tinca tinca")
    assert cifar.names[3] == "cat"
    assert cifar.ids is None


# Zoo


def test_a_bare_name_stands_for_timms_default_tag():
    assert zoo.find("lcnet_050") is zoo.find("lcnet_050.ra2_in1k")
    assert zoo.find("lcnet_150").name == "lcnet_150.untrained"
    bare = zoo.find("lcnet_250")
    assert (bare.name, bare.pretrained, bare.labels) == ("lcnet_250", False, None)
    assert bare.arch == Arch(2.5)


def test_default_tags_are_timms(timm):
    for name in TIMM_NAMES:
        assert timm.models.get_pretrained_cfg(name).tag == zoo.find(name).name.partition(".")[2]


def test_preprocessing_is_timms(timm):
    for name in TIMM_NAMES:
        expected = timm.data.resolve_data_config(pretrained_cfg=timm.models.get_pretrained_cfg(name).to_dict())
        fields = ("input_size", "interpolation", "crop_pct", "crop_mode", "mean", "std")
        assert Preprocessing.from_timm(expected) == zoo.find(name).preprocessing
        assert {f: getattr(zoo.find(name).preprocessing, f) for f in fields} == {f: expected[f] for f in fields}


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("lcnet_050.ra3_in1k", "no weights 'lcnet_050.ra3_in1k': lcnet_050 has .*lcnet_050.ra2_in1k"),
        ("lcnet_05", "unknown model 'lcnet_05'; did you mean .*'lcnet_050'"),
        ("LCNET_050", "unknown model"),
        ("resnet50", "unknown model 'resnet50': `lcnet models` lists all"),
        ("", "unknown model ''"),
        ("lcnet_050.", "no weights"),
    ],
)
def test_unknown_names(name, match):
    with pytest.raises(InputError, match=match):
        zoo.find(name)


PADDLEOCR = ["PP-LCNet_x0_25_textline_ori", "PP-LCNet_x1_0_doc_ori", "PP-LCNet_x1_0_table_cls", "PP-LCNet_x1_0_textline_ori"]
ELSEWHERE = ("lcnet_025", "lcnet_200", "lcnet_250")  # widths that timm has not


@pytest.mark.parametrize(
    "pattern",
    ["lcnet_*", "lcnet_0*", "*_050", "lcnet_050.*", "lcnet_???.ra2*", "LCNET*", "lcnet_100.", ["lcnet_05*", "lcnet_100*"]],
)
def test_names_of_models_are_listed_as_timm_lists_them(timm, pattern):
    """In timm's order; what it has not is the bundled checkpoint, and PaddleClas's widths and weights."""

    def same(theirs, ours):
        known = [n for n in ours if not n.startswith(ELSEWHERE) and "paddle" not in n and "cifar10" not in n]
        assert known == [n for n in theirs if n.startswith("lcnet_")]

    for options in ({}, {"pretrained": True}, {"include_tags": True}, {"pretrained": True, "include_tags": False}):
        same(timm.list_models(pattern, **options), lcnet.list_models(pattern, **options))
    for excluded in ("*_100", "*_100.*", ["*_075", "lcnet_050*"], "", None, "none"):
        options = {"exclude_filters": excluded}
        same(timm.list_pretrained(pattern, **options), lcnet.list_pretrained(pattern, **options))


def test_names_of_models_and_of_weights():
    assert lcnet.list_models() == sorted(zoo.SIZES) and lcnet.list_models("resnet*") == lcnet.list_pretrained("resnet*") == []
    assert lcnet.list_models("lcnet_0*", exclude_filters=["*_0?5"]) == ["lcnet_050"]
    weights = ["lcnet_050.cifar10", "lcnet_050.ra2_in1k", "lcnet_075.ra2_in1k", "lcnet_100.ra2_in1k"]
    weights += ["lcnetv2_base.paddle_in1k", "lcnetv2_base.ssld_in1k", "lcnetv2_large.paddle_in1k", "lcnetv2_small.paddle_in1k"]
    assert lcnet.list_pretrained() == lcnet.list_models(pretrained=True) == [*PADDLEOCR, *weights]
    assert lcnet.list_pretrained("lcnet_050") == weights[:2]
    assert lcnet.list_pretrained(exclude_filters=["lcnet_050", "PP-*"]) == weights[2:]
    assert lcnet.list_pretrained("PP-*x1_0*") == PADDLEOCR[1:] and lcnet.list_models("PP-*") == []
    assert all(lcnet.is_model(name) for entry in map(zoo.find, PADDLEOCR) for name in (entry.name, *entry.aliases))
    assert all(zoo.find(name).pretrained and lcnet.is_model(name) for name in weights)
    assert lcnet.list_models(pretrained=True, include_tags=False) == [
        *("lcnet_050", "lcnet_075", "lcnet_100"),
        *("lcnetv2_base", "lcnetv2_large", "lcnetv2_small"),
    ]


def test_names_are_models_where_timm_says_so(timm):
    names = (
        "lcnet_050",
        "lcnet_050.ra2_in1k",
        "lcnet_050.nothing",
        "lcnet_0",
        "",
        "hf-hub:timm/lcnet_050.ra2_in1k",
        "LCNET_050",
    )
    assert [lcnet.is_model(n) for n in names] == [timm.is_model(n) for n in names]
    assert lcnet.is_model("lcnet_250") and not lcnet.is_model("resnet50")


def test_search():
    everything = [e.name for e in zoo.search()]
    assert sorted(everything) == sorted(e.name for e in zoo.ENTRIES)
    archs = [e.arch_name for e in zoo.search()]
    assert archs[:-4] == sorted(archs[:-4]) and everything[-4:] == PADDLEOCR
    assert [e.name for e in zoo.search("textline_ori")] == [PADDLEOCR[0], PADDLEOCR[3]]
    assert [e.name for e in zoo.search("table_*")] == [PADDLEOCR[2]]  # by its short name
    assert [e.name for e in zoo.search("lcnet_075")] == ["lcnet_075.ra2_in1k", "lcnet_075.paddle_in1k"]
    assert {e.name for e in zoo.search("lcnet_*ssld*")} == {f"lcnet_{w}.paddle_ssld_in1k" for w in ("025", "050", "100", "250")}
    assert [e.name for e in zoo.search("*_15?.un*")] == ["lcnet_150.untrained"]
    pretrained = {e.name for e in zoo.search(pretrained=True)}
    second = {name for name in pretrained if name.startswith("lcnetv2_")}
    assert pretrained - set(PADDLEOCR) - second == {
        "lcnet_050.ra2_in1k",
        "lcnet_075.ra2_in1k",
        "lcnet_100.ra2_in1k",
        "lcnet_050.cifar10",
    }
    assert zoo.search("lcnet_999") == []


@pytest.mark.parametrize(
    ("name", "results", "accuracy"),
    [
        ("lcnet_050.ra2_in1k", "imagenet", (63.138, 84.402)),
        ("lcnet_050.ra2_in1k", "v2", (50.050, 73.430)),
        ("lcnet_075.ra2_in1k", "real", (76.053, 92.083)),
        ("lcnet_075.ra2_in1k", "r_clean", (87.01, 96.55)),
        ("lcnet_100.ra2_in1k", "imagenet", (72.130, 90.376)),
        ("lcnet_100.ra2_in1k", "sketch", (21.285, 38.889)),
        ("lcnet_100.ra2_in1k", "a_clean", (88.76, 96.71)),
        ("lcnet_025.paddle_in1k", "imagenet", (51.86, 75.65)),
        ("lcnet_150.paddle_in1k", "imagenet", (73.71, 91.53)),
        ("lcnet_250.paddle_ssld_in1k", "imagenet", (80.82, 95.33)),
        ("lcnet_025.paddle_ssld_in1k", "imagenet", (53.43, None)),
        ("doc_ori", "paddle", (99.06, None)),
        ("textline_ori", "paddle", (99.42, None)),
        ("textline_ori_025", "paddle", (98.85, None)),
        ("table_cls", "paddle", (94.2, None)),
    ],
)
def test_published_accuracy(name, results, accuracy):
    assert zoo.find(name).accuracy[results] == accuracy


def test_places_of_the_weights():
    half = zoo.find("lcnet_050")
    assert (half.hub_id, half.size) == ("timm/lcnet_050.ra2_in1k", 7_560_712)
    assert half.revision == "7d724d70bd001f453d812e733aa9b1931a69f6c2"
    assert half.sha256 == "d4f14612fea88f058cbd73123ebc8b5ed17d12a66d158dc93668af16d62fd3a9"
    root = "https://paddle-imagenet-models-name.bj.bcebos.com/dygraph/legendary_models/PPLCNet_"
    urls = {e.name: e.url for e in zoo.ENTRIES if e.url}
    assert urls["lcnet_035.paddle_in1k"] == f"{root}x0_35_pretrained.pdparams"
    assert urls["lcnet_100.paddle_ssld_in1k"] == f"{root}x1_0_ssld_pretrained.pdparams"
    assert urls["lcnet_200.paddle_in1k"] == f"{root}x2_0_pretrained.pdparams"
    assert len(urls) == 12
    for entry in zoo.ENTRIES:
        assert sum(bool(x) for x in (entry.hub_id, entry.bundled, entry.url)) == (not entry.name.endswith("untrained"))
        assert re.fullmatch(r"[0-9a-f]{64}", entry.sha256 or "0" * 64)


@pytest.mark.parametrize("alias", ["doc_ori", "textline_ori", "textline_ori_025", "table_cls"])
def test_short_names_stand_for_what_is_published(alias):
    entry = zoo.find(alias)
    assert entry is zoo.find(entry.name) and entry.aliases == (alias,)
    assert entry.hub_id == f"PaddlePaddle/{entry.name}" and entry.paddle and entry.latency


def test_no_two_weights_share_a_name():
    names = zoo._names()
    assert len(set(names)) == len(names)
    assert not set(names) & (set(zoo.ELSEWHERE) | set(zoo.NO_LCNETS))


def test_paddles_own_files_say_what_the_zoo_says():
    folder = SHARED_DATA / "paddle" / "PP-LCNet_x1_0_doc_ori_graph_only"
    if not folder.is_dir():
        pytest.skip("the samples of Paddle's files are not beside the checkout")
    said, entry = config_of(folder / "inference.yml"), zoo.find("doc_ori")
    assert said.labels == entry.config().labels
    assert Preprocessing(**said.preprocessing) == entry.preprocessing


def test_every_entry_describes_itself():
    for entry in zoo.ENTRIES:
        config = entry.config()
        assert config.arch == entry.arch
        assert config.provenance == {"source": entry.name}
        assert (config.labels is None) == (entry.labels is None)
        assert set(entry.accuracy) <= set(zoo.SETS)
        assert all(t is None or 0 < t <= 100 for pair in entry.accuracy.values() for t in pair)


def test_feature_maps_come_after_the_blocks_that_make_them():
    arch = Arch(0.5)
    blocks = [block for _, block in arch.blocks()]
    assert tuple(blocks[i - 1].out_channels for i in arch.feature_indices) == arch.feature_channels
    strides = [2 * np.prod([block.stride for block in blocks[:i]]) for i in arch.feature_indices]
    assert strides == [2, 4, 8, 16, 32]


@pytest.mark.parametrize("width", WIDTHS.values())
def test_the_head_has_one_size_at_every_width(width):
    arch = Arch(width)
    assert arch.shapes()["classifier.weight"] == (1000, arch.head_hidden_size) == (1000, 1280)
