"""Networks of the family that are not timm's: shapes, counts and geometry as data; what is refused."""

import math

import pytest

from lcnet.arch import Arch, reduction_name
from lcnet.config import ModelConfig, Preprocessing, quantizable_units
from lcnet.errors import ModelFileError

LINE = ((1, 1), (2, 1), (2, 1), (2, 1), (1, 1), (2, 1))
FIRST = Arch(0.25, 3, 2, (1, 2), LINE, head_channels=0, classifier_input=("blocks.5",))


def test_paddles_first_text_line_classifier_has_its_published_size():
    """79,354 values, and with 25.5 bytes an entry the 321,104 bytes of its pdiparams."""
    assert sum(math.prod(shape) for shape in FIRST.shapes().values()) == 79_354
    assert "conv_head.weight" not in FIRST.shapes() and FIRST.shapes()["classifier.weight"] == (2, 128)
    assert FIRST.parameters == 79_354 - 2 * sum(s[0] for k, s in FIRST.shapes().items() if k.endswith("running_mean"))


def test_paddles_second_one_too():
    """985,712 bytes: 146 tensors, of which the head conv has no bias in Paddle's file."""
    arch = Arch(0.25, num_classes=2, stage_strides=LINE)
    values = sum(math.prod(shape) for shape in arch.shapes().values()) - 1280
    assert abs(985_712 - 4 * values - 25.5 * 146) < 146


@pytest.mark.parametrize("name", ["line", "first release", "relu", "fine", "probe", "pooled"])
def test_shapes_and_multiply_adds_are_those_of_plain_torch(torch, name):
    import plain_torch

    arch = plain_torch.NETWORKS[name]
    model = plain_torch.PlainLCNet(arch)
    state = {k: tuple(v.shape) for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}
    assert state == arch.shapes() and list(state) == list(arch.shapes())
    assert sum(p.numel() for p in model.parameters()) == arch.parameters
    macs, outputs = {}, {}

    def count(where):
        def hook(module, inputs, out):
            weight = module.weight
            macs[where] = out.numel() * weight[0].numel()
            outputs[where] = (*out.shape[1:], 1, 1)[:3]

        return hook

    for where, module in model.named_modules():
        if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)):
            module.register_forward_hook(count(where))
    with torch.no_grad():
        _, embeddings, maps = model.eval()(torch.zeros(1, arch.in_chans, 80, 150))
    assert [(n, macs[n], outputs[n]) for n, _, _ in arch.conv_costs(80, 150)] == arch.conv_costs(80, 150)
    assert len(macs) == len(arch.conv_costs(80, 150)) and arch.macs(80, 150) == sum(macs.values())
    assert embeddings.shape[1] == arch.head_hidden_size
    assert arch.feature_shapes(80, 150) == tuple(tuple(maps[s].shape[1:]) for s in arch.feature_stages)


def test_feature_maps_are_the_last_of_each_reduction():
    assert Arch(0.5).reductions == tuple((n, n) for n in (2, 4, 8, 16, 32))
    assert FIRST.reductions == ((1, 2), (2, 2), (4, 2), (8, 2), (16, 2)) and FIRST.feature_stages == (0, 1, 2, 4, 5)
    assert [reduction_name(r) for r in FIRST.reductions] == ["1x2", "2", "4x2", "8x2", "16x2"]
    flat = Arch(0.5, stem_stride=(1, 1), stage_strides=((1, 1),) * 6)
    assert (flat.reductions, flat.feature_stages, flat.feature_indices) == (((1, 1),), (5,), (13,))


def test_stages_behind_the_last_one_read_do_not_exist():
    probe = Arch(0.5, head_channels=0, classifier_input=("blocks.1", "blocks.3"))
    assert len(probe.stages) == len(probe.stage_strides) == 4
    assert probe.num_features == 128 and probe.head_hidden_size == 32 + 128
    assert (probe.pooled_stages, probe.pooled_blocks) == ((1, 3), ("blocks.1.1", "blocks.3.1"))
    assert quantizable_units(probe)[-2:] == ("blocks.3.1", "classifier")
    whole = Arch(0.5, stage_strides=((2, 1),) * 6, head_channels=0, classifier_input=("blocks.2",))
    assert whole.stage_strides == ((2, 1),) * 3


def test_usual():
    assert Arch(0.5).usual and Arch(2.5, 1, 0).usual
    assert not FIRST.usual and not Arch(0.5, activation="relu").usual and not Arch(0.5, hard_sigmoid_slope=0.2).usual


def test_a_block_has_one_stride_only_if_both_are_the_same():
    blocks = dict(Arch(0.25, stage_strides=LINE).blocks())
    assert blocks["blocks.0.0"].stride == 1 and blocks["blocks.1.0"].strides == (2, 1)
    with pytest.raises(ValueError, match="take `strides`"):
        blocks["blocks.1.0"].stride  # noqa: B018


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"stem_stride": (3, 2)}, r"stem_stride is \(3, 2\), expected 1 or 2 down"),
        ({"stem_stride": 2}, "stem_stride is 2"),
        ({"stem_stride": (True, 2)}, "stem_stride"),
        ({"stage_strides": LINE[:5]}, "stage_strides is .*, expected 6 pairs"),
        ({"stage_strides": (*LINE, (1, 1))}, "expected 6 pairs"),
        ({"stage_strides": (1, 2, 2, 2, 1, 2)}, "stage_strides"),
        ({"head_channels": -1}, "head_channels is -1, expected a whole number from 0"),
        ({"head_channels": 1e3}, "head_channels"),
        ({"head_channels": 0}, r"classifier_input is \('embeddings',\), expected stages in their order"),
        ({"classifier_input": ("blocks.5",)}, r"expected \['embeddings'\], as there is a head"),
        ({"head_channels": 0, "classifier_input": ("blocks.2", "blocks.1")}, "stages in their order"),
        ({"head_channels": 0, "classifier_input": ("blocks.2", "blocks.2")}, "stages in their order"),
        ({"head_channels": 0, "classifier_input": ("blocks.6",)}, "'blocks.0' to 'blocks.5'"),
        ({"head_channels": 0, "classifier_input": ()}, "stages in their order"),
        ({"activation": "silu"}, "activation is 'silu', expected 'hard_swish' or 'relu'"),
        ({"hard_sigmoid_slope": 0}, "hard_sigmoid_slope is 0, expected a number above 0"),
        ({"hard_sigmoid_slope": float("nan")}, "hard_sigmoid_slope is nan"),
        ({"hard_sigmoid_slope": "0.2"}, "hard_sigmoid_slope"),
    ],
)
def test_refused(options, match):
    with pytest.raises(ValueError, match=match):
        Arch(0.25, **options)


def test_maps_that_no_memory_holds_are_refused():
    """Without strides maps stay as large as the input, 512 channels deep."""
    flat = Arch(2.5, stem_stride=(1, 1), stage_strides=((1, 1),) * 6)
    ModelConfig(flat, Preprocessing((3, 224, 224)))
    with pytest.raises(ModelFileError, match=r"input_size is \(2048, 2048\), expected maps of at most 536870912 values"):
        ModelConfig(flat, Preprocessing((3, 2048, 2048)))
    for width in (0.25, 2.5):
        ModelConfig(Arch(width), Preprocessing((3, 4096, 4096)))
