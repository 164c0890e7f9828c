"""The classifier computes what timm's does: logits, embeddings, feature maps, state dict, options that matter."""

import pytest
from nn.peers import TIMM_WIDTHS, assert_close, assert_reacts, images, pair, tensors, torch
from sample_data import SHARED_DATA

from lcnet.arch import WIDTHS, Arch
from lcnet.nn import create_model

pytestmark = pytest.mark.slow

SIZES = ((64, 64), (160, 256), (224, 224))


@pytest.fixture(scope="module", params=TIMM_WIDTHS)
def twins(timm, request):
    return pair(timm, request.param)


@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[0]}x{s[1]}")
@pytest.mark.parametrize("batch", [1, 5])
@torch.no_grad()
def test_everything_between_image_and_logits_equals_timm(twins, size, batch):
    ours, theirs = twins
    x = images(5, *size)[:batch]
    last, maps = ours.forward_intermediates(x)
    expected_last, expected = theirs.forward_intermediates(x)
    assert len(maps) == len(expected) == 5
    for mine, other in zip(maps, expected, strict=True):
        assert_close(mine, other)
    assert_close(last, expected_last)
    assert_close(ours.forward_head(last, pre_logits=True), theirs.forward_head(expected_last, pre_logits=True))
    logits = ours.forward_head(last)
    assert_close(logits, theirs.forward_head(expected_last))
    if batch > 1:
        assert_reacts(logits)


@torch.no_grad()
def test_forward_features_and_head_make_up_forward(timm):
    ours, theirs = pair(timm)
    x = images(2)
    features = ours.forward_features(x)
    assert_close(features, theirs.forward_features(x))
    assert torch.equal(ours.forward_head(features), ours(x))
    assert_close(ours(x), theirs(x))


@pytest.mark.parametrize("name", WIDTHS)
def test_state_dict_has_timms_keys_shapes_and_order(timm, name):
    from timm.models.mobilenetv3 import _gen_lcnet  # create_model knows five of the eight widths

    theirs, ours = _gen_lcnet(name, WIDTHS[name]), create_model(name)
    expected = [(k, v.shape, v.dtype) for k, v in theirs.state_dict().items()]
    assert len(expected) == 174
    assert [(k, v.shape, v.dtype) for k, v in ours.state_dict().items()] == expected
    ours.load_state_dict(theirs.state_dict(), strict=True)
    theirs.load_state_dict(create_model(name).state_dict(), strict=True)
    assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]
    assert sum(p.numel() for p in ours.parameters()) == Arch(WIDTHS[name]).parameters


@pytest.mark.parametrize("name", ["lcnet_025", "lcnet_200", "lcnet_250"])
@torch.no_grad()
def test_widths_that_timm_does_not_register_compute_the_same(timm, name):
    from timm.models.mobilenetv3 import _gen_lcnet

    theirs, ours = _gen_lcnet(name, WIDTHS[name]).eval(), create_model(name).eval()
    for model in (theirs, ours):
        model.load_state_dict(tensors(WIDTHS[name]))
    logits = ours(images(3))
    assert_close(logits, theirs(images(3)))
    assert_reacts(logits)


@torch.no_grad()
def test_trained_checkpoint_gives_timms_logits_on_photographs(timm, cifar10_test):
    image = pytest.importorskip("PIL.Image")
    import numpy as np

    path = SHARED_DATA / "interim-lcnet_050-cifar10.safetensors"
    if not path.is_file():
        pytest.skip(f"the trained checkpoint {path.name} is not beside the checkout")
    files = [sorted(folder.iterdir())[i] for folder in sorted(cifar10_test.iterdir()) for i in range(2)]
    pixels = np.stack([np.asarray(image.open(f).convert("RGB").resize((64, 64), image.BICUBIC)) for f in files])
    x = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255
    x = (x - torch.tensor((0.485, 0.456, 0.406)).view(3, 1, 1)) / torch.tensor((0.229, 0.224, 0.225)).view(3, 1, 1)
    ours = create_model("lcnet_050", num_classes=10, checkpoint_path=path).eval()
    theirs = timm.create_model("lcnet_050", num_classes=10, checkpoint_path=str(path)).eval()
    logits = ours(x)
    assert_close(logits, theirs(x))
    assert_close(ours.forward_features(x), theirs.forward_features(x))
    right = (logits.argmax(1) == torch.arange(10).repeat_interleave(2)).sum()
    assert right >= 13, "a trained network that gets 83% of such images right should get 13 of these 20"


@pytest.mark.parametrize("pool", ["avg", "max", "avgmax", "catavgmax"])
@torch.no_grad()
def test_pooling_equals_timm(timm, pool):
    ours, theirs = pair(timm, global_pool=pool)
    assert ours.conv_head.in_channels == (512 if pool == "catavgmax" else 256)
    assert_close(ours(images()), theirs(images()))
    if pool != "avg":
        other, _ = pair(timm)
        assert (other(images()) - ours(images())).abs().max() > 0.01, "the pooling must make a difference"


@torch.no_grad()
def test_embeddings_without_classifier_and_without_pooling(timm):
    for options, shape in (({}, (5, 1280)), ({"global_pool": ""}, (5, 1280, 2, 2))):
        ours, theirs = pair(timm, num_classes=0, **options)
        assert ours(images()).shape == shape
        assert_close(ours(images()), theirs(images()))
        assert_close(
            ours.forward_head(ours.forward_features(images()), pre_logits=True),
            theirs.forward_head(theirs.forward_features(images()), pre_logits=True),
        )


@pytest.mark.parametrize("layer", ["relu", "silu", "gelu", "HARD_SWISH", "hardswish", torch.nn.Tanh])
@torch.no_grad()
def test_activation_equals_timm(timm, layer):
    if layer is torch.nn.Tanh:  # timm wants every class to take `inplace`; its name leads it to one that does
        ours = create_model("lcnet_050", act_layer=layer).eval()
        theirs = timm.create_model("lcnet_050", act_layer="tanh").eval()
        theirs.load_state_dict(ours.state_dict())
    else:
        ours, theirs = pair(timm, act_layer=layer)
    assert_close(ours(images(2)), theirs(images(2)))


@torch.no_grad()
def test_bn_eps_and_head_bias_equal_timm(timm):
    ours, theirs = pair(timm, bn_eps=0.05, head_bias=False)
    assert "conv_head.bias" not in ours.state_dict()
    assert_close(ours(images()), theirs(images()))
    plain = create_model("lcnet_050", head_bias=False).eval()
    plain.load_state_dict(ours.state_dict())
    assert (plain(images()) - ours(images())).abs().max() > 0.01, "the epsilon must make a difference"


def test_a_training_step_moves_running_statistics_and_gradients_as_timms(timm):
    ours, theirs = (m.train() for m in pair(timm, bn_momentum=0.3, drop_path_rate=0.5))
    for model in (ours, theirs):
        model(images()).square().mean().backward()
    moved = {k: v for k, v in ours.state_dict().items() if "running" in k}
    before = tensors()
    for key, value in moved.items():
        assert not torch.equal(value, before[key])
        assert_close(value, theirs.state_dict()[key])
    assert ours.state_dict()["blocks.5.1.bn2.num_batches_tracked"] == 1
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert_close(mine.grad, other.grad, tolerance=1e-3)  # sums over the batch in another order


def test_dropout_acts_on_the_embeddings_as_in_timm(timm):
    ours, theirs = pair(timm, drop_rate=0.5)
    assert ours.drop_rate == 0.5
    x = torch.rand(5, 256, 2, 2) * 3
    still = ours.forward_head(x, pre_logits=True)
    assert_close(still, theirs.forward_head(x, pre_logits=True))
    results = []
    for model in (ours.train(), theirs.train()):
        torch.manual_seed(3)
        embeddings = model.forward_head(x, pre_logits=True)
        torch.manual_seed(3)
        results.append((embeddings, model.forward_head(x)))
    assert_close(results[0][0], results[1][0])
    assert_close(results[0][1], results[1][1])
    zeroed = (results[0][0] == 0).float().mean() - (still == 0).float().mean()
    assert 0.4 < zeroed < 0.6
    kept = results[0][0] != 0
    assert torch.allclose(results[0][0][kept], 2 * still[kept])
