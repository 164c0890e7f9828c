"""Feature extraction equals timm's: maps, indices, output strides, `feature_info`; and orders are the asker's."""

import pytest
from nn.peers import assert_close, images, pair, tensors, torch

from lcnet.errors import InputError
from lcnet.nn import create_model

PROPERTIES = ("channels", "reduction", "module_name")


@pytest.fixture(scope="module")
def twins(timm):
    return pair(timm)


@pytest.mark.parametrize("stride", [2, 4, 8, 16, 32])
@torch.no_grad()
def test_output_stride_equals_timm(timm, stride):
    ours, theirs = pair(timm, features_only=True, output_stride=stride)
    maps, expected = ours(images(1, 96, 160)), theirs(images(1, 96, 160))
    assert ours.feature_info.info == theirs.feature_info.info
    for mine, other, reduction in zip(maps, expected, ours.feature_info.reduction(), strict=True):
        assert mine.shape[2:] == (96 // reduction, 160 // reduction)
        assert_close(mine, other)


def test_state_dict_is_timms_without_the_head(timm):
    ours, theirs = (create("lcnet_075", features_only=True) for create in (create_model, timm.create_model))
    expected = [(k, v.shape) for k, v in theirs.state_dict().items()]
    assert len(expected) == 170
    assert [(k, v.shape) for k, v in ours.state_dict().items()] == expected


@pytest.mark.parametrize("indices", [None, (0, 2, 4), (1,), (-1,), [-4, -2], 1, 3, 5])
@torch.no_grad()
def test_out_indices_equal_timm(timm, indices):
    ours, theirs = pair(timm, features_only=True, out_indices=indices)
    maps, expected = ours(images(1)), theirs(images(1))
    for mine, other in zip(maps, expected, strict=True):
        assert_close(mine, other)
    for name in PROPERTIES:
        assert getattr(ours.feature_info, name)() == getattr(theirs.feature_info, name)()
    assert ours.feature_info.channels() == [m.shape[1] for m in maps]


@torch.no_grad()
def test_unordered_out_indices_give_maps_and_facts_in_the_order_asked_for(timm):
    ours, theirs = pair(timm, features_only=True, out_indices=(4, 0, -4))
    maps, in_network_order = ours(images(1)), theirs(images(1))
    assert ours.feature_info.reduction() == [32, 2, 4] == [64 // m.shape[2] for m in maps]
    for mine, other in zip(maps, (in_network_order[2], in_network_order[0], in_network_order[1]), strict=True):
        assert_close(mine, other)


@torch.no_grad()
def test_an_index_asked_for_twice_comes_twice():
    model = create_model("lcnet_035", features_only=True, out_indices=(1, 1, 0)).eval()
    maps = model(images(1))
    assert [m.shape[1] for m in maps] == model.feature_info.channels() == [24, 24, 16]
    assert torch.equal(maps[0], maps[1])


def test_stages_after_the_last_map_do_not_run():
    model = create_model("lcnet_035", features_only=True, out_indices=(1,)).train()
    model(images(2))
    counters = {k: int(v) for k, v in model.state_dict().items() if k.endswith("num_batches_tracked")}
    assert counters["blocks.1.1.bn2.num_batches_tracked"] == 1
    assert counters["blocks.2.0.bn1.num_batches_tracked"] == 0


@pytest.mark.parametrize("indices", [(5,), (0, -6), 6, 0, -1, ()])
def test_indices_out_of_range_are_refused(indices):
    with pytest.raises(InputError, match="feature"):
        create_model("lcnet_035", features_only=True, out_indices=indices)
    with pytest.raises(InputError, match="feature"):
        create_model("lcnet_035").forward_intermediates(images(1), indices)


def test_feature_info_has_timms_interface(timm):
    options = {"features_only": True, "out_indices": (1, 3)}
    ours, theirs = (create("lcnet_050", **options).feature_info for create in (create_model, timm.create_model))
    assert ours.get_dicts() == theirs.get_dicts()
    assert ours.get_dicts(keys=["num_chs"]) == theirs.get_dicts(keys=["num_chs"]) == [{"num_chs": 32}, {"num_chs": 128}]
    assert ours.get_dicts(idx=[0, 4]) == theirs.get_dicts(idx=[0, 4])
    assert ours.get_dicts(keys=["stage"], idx=4) == theirs.get_dicts(keys=["stage"], idx=4) == {"stage": 6}
    assert ours.get("stage", 3) == theirs.get("stage", 3) == 5
    for name in PROPERTIES:
        for idx in (None, 2, [0, 4]):
            assert getattr(ours, name)(idx) == getattr(theirs, name)(idx)
    assert (len(ours), ours[4], ours.out_indices) == (len(theirs), theirs[4], theirs.out_indices)


def test_feature_info_of_the_classifier(twins):
    ours, theirs = twins
    assert [{k: v for k, v in row.items() if k != "index"} for row in ours.feature_info] == theirs.feature_info
    modules = dict(ours.named_modules())
    assert all(name in modules for name in ours.feature_info.module_name())


@pytest.mark.parametrize("options", [{}, {"extra_blocks": True}], ids=["maps", "extra_blocks"])
@pytest.mark.parametrize("indices", [None, 2, [0], [1, -1], [-3]])
@torch.no_grad()
def test_forward_intermediates_equals_timm(twins, indices, options):
    ours, theirs = twins
    last, maps = ours.forward_intermediates(images(2), indices, **options)
    expected_last, expected = theirs.forward_intermediates(images(2), indices, **options)
    assert_close(last, expected_last)
    for stop_early in (False, True):
        only = {"stop_early": stop_early, "intermediates_only": True}
        alone = ours.forward_intermediates(images(2), indices, **only, **options)
        for mine, again, other in zip(maps, alone, expected, strict=True):
            assert_close(mine, other)
            assert torch.equal(mine, again)


@torch.no_grad()
def test_forward_intermediates_follows_the_order_asked_for(twins):
    ours, theirs = twins
    maps = ours.forward_intermediates(images(1), [4, 0], intermediates_only=True)
    expected = theirs.forward_intermediates(images(1), [0, 4], intermediates_only=True)
    assert_close(maps[0], expected[1])
    assert_close(maps[1], expected[0])


def test_forward_intermediates_refuses_what_it_cannot_do(twins):
    with pytest.raises(InputError, match="'NLC'"):
        twins[0].forward_intermediates(images(1), output_fmt="NLC")
    with pytest.raises(InputError, match="intermediates_only"):
        twins[0].forward_intermediates(images(1), stop_early=True)


@torch.no_grad()
def test_pretrained_weights_lose_their_head(timm):
    model = create_model(
        "lcnet_050", pretrained=True, features_only=True, pretrained_cfg_overlay={"state_dict": tensors()}
    ).eval()
    _, theirs = pair(timm, features_only=True)
    for mine, other in zip(model(images(1)), theirs(images(1)), strict=True):
        assert_close(mine, other)


def test_descriptions_of_a_feature_extractor_are_timms(timm):
    ours, theirs = (create("lcnet_050", features_only=True) for create in (create_model, timm.create_model))
    for name in ("default_cfg", "pretrained_cfg"):
        assert getattr(ours, name) == {k: v for k, v in getattr(theirs, name).items() if k != "url"}
    assert ours.in_chans == 3
