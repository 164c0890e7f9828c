"""The torch module of networks that are not timm's: against plain torch, from a model file, back into one, and in training."""

import copy
from dataclasses import replace

import numpy as np
import pytest
from weights import pictures

from lcnet.errors import InputError
from lcnet.modelfile import ModelFile, read, write

plain_torch = pytest.importorskip("plain_torch", reason="torch (extra: train) is not installed")
import torch  # noqa: E402

from lcnet.nn import LCNet, create_model, model_config, to_weights  # noqa: E402

NETWORKS = plain_torch.NETWORKS


def made(name, tmp_path):
    arch = NETWORKS[name]
    network = plain_torch.plain_network(arch, plain_torch.varied(pictures(12, 64, 96, arch.in_chans)))
    write(tmp_path / "m.safetensors", plain_torch.model_file(network, (80, 160)))
    return network, tmp_path / "m.safetensors"


@pytest.mark.parametrize("name", NETWORKS)
def test_from_a_model_file_and_back(tmp_path, name):
    network, path = made(name, tmp_path)
    model = create_model(path, pretrained=True).eval()
    assert isinstance(model, LCNet) and model.arch == NETWORKS[name]
    x = plain_torch.varied(pictures(2, 70, 130, model.in_chans, seed=2))
    logits, embeddings, maps = network.results(x)
    with torch.no_grad():
        found = model(torch.from_numpy(x)).numpy()
        _, features = model.forward_intermediates(torch.from_numpy(x))
    expected = embeddings if logits is None else logits
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.ptp(expected))
    for map_, stage in zip(features, model.arch.feature_stages, strict=True):
        np.testing.assert_allclose(map_.numpy(), maps[stage], atol=1e-5 * np.ptp(maps[stage]))
    pairs = [r if isinstance(r, tuple) else (r, r) for r in model.feature_info.reduction()]
    assert tuple(pairs) == model.arch.reductions
    again = ModelFile(model_config(model), to_weights(model))
    stored = read(path)
    assert again.config.arch == stored.config.arch and again.config.bn_eps == stored.config.bn_eps
    assert all(np.array_equal(again.weights[key], value) for key, value in stored.weights.items())


def test_other_classes_for_the_same_trunk(tmp_path):
    for name in ("first release", "probe", "pooled"):
        _, path = made(name, tmp_path)
        model = create_model(path, pretrained=True, num_classes=9)
        assert model.arch == replace(NETWORKS[name], num_classes=9)
        assert model.classifier.weight.shape == (9, NETWORKS[name].head_hidden_size)
        model.reset_classifier(0)
        assert model(torch.zeros(1, 3, 40, 40)).shape == (1, NETWORKS[name].head_hidden_size)


def test_features_only_and_output_stride(tmp_path):
    network, path = made("line", tmp_path)
    x = torch.from_numpy(pictures(1, 80, 160))
    features = create_model(path, pretrained=True, features_only=True).eval()
    with torch.no_grad():
        for found, stage in zip(features(x), features.arch.feature_stages, strict=True):
            np.testing.assert_allclose(found.numpy(), network.results(x.numpy())[2][stage], atol=1e-4)
    kept = create_model(path, features_only=True, output_stride=8)
    assert [tuple(m.shape[2:]) for m in kept(x)] == [(40, 80), (20, 80), (10, 80), (10, 80), (10, 80)]
    assert kept.feature_info.reduction() == [2, (4, 2), (8, 2), (8, 2), (8, 2)]


def test_activations_that_a_file_can_hold():
    assert model_config(create_model("lcnet_025", act_layer="relu")).arch.activation == "relu"
    assert model_config(create_model("lcnet_025")).arch.activation == "hard_swish"


def test_pooling_that_does_not_fit():
    from lcnet.nn.layers import Style

    probe = NETWORKS["probe"]
    for pool, arch in (("catavgmax", probe), ("", replace(probe, num_classes=0))):
        with pytest.raises(InputError, match=f"global_pool='{pool}' needs a head, and this network has none"):
            LCNet(arch, Style.of(arch), pool)
    model = LCNet(probe, Style.of(probe))
    with pytest.raises(InputError, match=r"reads blocks.1, blocks.2, blocks.4: run the whole network"):
        model.forward_head(torch.zeros(1, 176, 2, 2))


@pytest.mark.parametrize("name", [n for n in NETWORKS if NETWORKS[n].num_classes])
def test_gradients_with_native_depthwise_convs_are_torchs(name):
    from lcnet.nn.layers import Style
    from lcnet.train.depthwise import DepthwiseConv2d, use_native_gradients

    torch.manual_seed(0)
    arch = NETWORKS[name]
    plain = LCNet(arch, Style.of(arch)).to(memory_format=torch.channels_last)
    ours = copy.deepcopy(plain)
    use_native_gradients(ours)
    assert sum(isinstance(m, DepthwiseConv2d) for m in ours.modules()) == len(list(arch.blocks()))
    x = torch.randn(4, arch.in_chans, 40, 64).to(memory_format=torch.channels_last)
    for model in (plain, ours):
        model(x).square().sum().backward()
    for (key, a), b in zip(plain.named_parameters(), ours.named_parameters(), strict=True):
        bound = 1e-3 * a.grad.abs().max() if "conv_dw" in key else 0  # all else is torch's
        assert (a.grad - b[1].grad).abs().max() <= bound, key
