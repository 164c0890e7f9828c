"""The head after creation: `reset_classifier`, poolings that do and do not fit, fresh weights, attributes."""

import math

import pytest
from nn.peers import assert_close, images, pair, torch

from lcnet.errors import InputError
from lcnet.nn import create_model


@torch.no_grad()
def test_reset_classifier_keeps_trunk_and_head_and_makes_torchs_linear(timm):
    ours, theirs = pair(timm)
    before = ours.state_dict()
    ours.reset_classifier(7)
    theirs.reset_classifier(7)
    after = ours.state_dict()
    assert [(k, v.shape) for k, v in after.items()] == [(k, v.shape) for k, v in theirs.state_dict().items()]
    assert all(torch.equal(after[k], before[k]) for k in before if not k.startswith("classifier"))
    bound = 1 / math.sqrt(1280)  # torch's default for 1280 inputs; the network's own rule would give 1/sqrt(7)
    assert 0.99 * bound < ours.classifier.weight.abs().max() <= bound
    assert 0 < ours.classifier.bias.abs().max() <= bound
    assert not ours.classifier.training
    assert (ours.num_classes, ours.get_classifier()) == (7, ours.classifier)
    theirs.load_state_dict(after)
    assert_close(ours(images()), theirs(images()))


def test_reset_classifier_keeps_dtype_and_training_mode():
    model = create_model("lcnet_035").to(torch.float64).train()
    model.reset_classifier(3)
    assert model.classifier.weight.dtype == torch.float64
    assert model.classifier.training and model.global_pool.training
    model.eval().reset_classifier(4)
    assert not model.classifier.training and not model.global_pool.training
    assert model(images(2).double()).shape == (2, 4)


@torch.no_grad()
def test_reset_to_nothing_and_back(timm):
    ours, theirs = pair(timm, global_pool="max")
    theirs.reset_classifier(0)
    ours.reset_classifier(0)
    embeddings = ours(images())
    assert embeddings.shape == (5, 1280)
    assert_close(embeddings, theirs(images()))
    theirs.reset_classifier(0, "")
    ours.reset_classifier(0, "")
    assert ours(images()).shape == (5, 1280, 2, 2)
    assert_close(ours(images()), theirs(images()))
    ours.reset_classifier(7)  # timm keeps '' here and fails in forward
    assert ours.global_pool.pool_type == "max"
    assert ours(images()).shape == (5, 7)
    ours.reset_classifier(0)
    assert torch.equal(ours(images()), embeddings)


def test_a_model_made_without_pooling_gets_the_mean_with_its_classes():
    model = create_model("lcnet_035", num_classes=0, global_pool="")
    model.reset_classifier(3)
    assert (model.global_pool.pool_type, model(images(2)).shape) == ("avg", (2, 3))


@torch.no_grad()
def test_reset_classifier_changes_the_pooling_if_told(timm):
    ours, theirs = pair(timm)
    for pool in ("max", "avg", "avgmax"):
        theirs.reset_classifier(0, pool)
        ours.reset_classifier(0, pool)
        assert_close(ours(images()), theirs(images()))
    ours.reset_classifier(0, "")
    ours.reset_classifier(7)
    assert ours.global_pool.pool_type == "avgmax"


def test_no_classes_without_pooling():
    with pytest.raises(InputError, match="num_classes=0"):
        create_model("lcnet_035", global_pool="")
    model = create_model("lcnet_035")
    with pytest.raises(InputError, match="num_classes=0"):
        model.reset_classifier(5, "")
    assert (model.num_classes, model.global_pool.pool_type) == (1000, "avg"), "a refusal must not change the model"


def test_a_pooling_of_another_width_does_not_fit():
    narrow, wide = create_model("lcnet_035"), create_model("lcnet_035", global_pool="catavgmax")
    with pytest.raises(InputError, match="176 channels"):
        narrow.reset_classifier(5, "catavgmax")
    for pool in ("avg", ""):
        with pytest.raises(InputError, match="352 channels"):
            wide.reset_classifier(0, pool)
    wide.reset_classifier(5)
    assert wide(images(2)).shape == (2, 5)


@pytest.mark.parametrize("classes", [-1, 2.5, "7"])
def test_impossible_numbers_of_classes(classes):
    with pytest.raises(InputError, match="num_classes"):
        create_model("lcnet_035", num_classes=classes)
    with pytest.raises(InputError, match="num_classes"):
        create_model("lcnet_035").reset_classifier(classes)


def test_attributes_are_timms(timm):
    for options in ({}, {"num_classes": 10, "in_chans": 1, "drop_rate": 0.3}):
        ours, theirs = pair(timm, "lcnet_075", **options)
        for name in ("num_classes", "num_features", "head_hidden_size", "in_chans", "drop_rate"):
            assert getattr(ours, name) == getattr(theirs, name)


def test_fresh_weights_have_timms_statistics(timm):
    torch.manual_seed(0)
    ours, theirs = (create("lcnet_100") for create in (create_model, timm.create_model))
    expected = dict(theirs.named_parameters())
    for name, value in ours.named_parameters():
        other = expected[name]
        if value.ndim == 1:
            assert torch.equal(value, other)
            continue
        # Both were drawn: the error of the ratio of two standard deviations is 1/sqrt(n), taken five times.
        assert abs(value.std() / other.std() - 1) < 5 / math.sqrt(value.numel())
        assert abs(value.mean()) < 5 * other.std() / math.sqrt(value.numel())
        assert not torch.equal(value, other)
    bound = 1 / math.sqrt(1000)
    assert 0.999 * bound < ours.classifier.weight.abs().max() <= bound
    assert ours.blocks[5][1].conv_dw.weight.abs().max() > 3 * math.sqrt(2 / 25), "convs are normal, not uniform"
