"""PP-LCNetV2 beside timm's: the same tensors and answers, with branches and fused, in training and after it; and the engine."""

import copy
import re

import numpy as np
import pytest
from nn.peers import assert_close, images, torch
from safetensors.torch import save_file
from weights import random_values

import lcnet
from lcnet import modelfile
from lcnet.arch import SIZES, Arch
from lcnet.config import ModelConfig, Preprocessing
from lcnet.errors import InputError, ModelFileError
from lcnet.modelfile import ModelFile
from lcnet.modelfile.branches import fused
from lcnet.nn import create_model, load_checkpoint, model_config, to_weights

pytestmark = pytest.mark.slow
NAMES = [name for name, (family, *_) in SIZES.items() if family == "lcnetv2"]
SMALL = "lcnetv2_small"


def filled(model, seed=0):
    """Random weights and statistics of batch norms, in place."""
    state = model.state_dict()
    shapes = {key: tuple(value.shape) for key, value in state.items() if not key.endswith("num_batches_tracked")}
    model.load_state_dict(state | {key: torch.from_numpy(v) for key, v in random_values(shapes, seed).items()})
    return model


def pair(timm, name=SMALL, **options):
    """(ours, timm's), with the same weights, in evaluation."""
    theirs = filled(timm.create_model(name, **options)).eval()
    ours = create_model(name, **options).eval()
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


@pytest.mark.parametrize("fused_form", [False, True], ids=["branches", "fused"])
@pytest.mark.parametrize("name", NAMES)
def test_tensors_are_timms_in_its_order(timm, name, fused_form):
    theirs, ours = (make(name, inference_mode=fused_form) for make in (timm.create_model, create_model))
    state = {key: tuple(value.shape) for key, value in theirs.state_dict().items()}
    assert list(state.items()) == [(key, tuple(value.shape)) for key, value in ours.state_dict().items()]
    assert list(ours.arch.shapes(not fused_form).items()) == [(k, v) for k, v in state.items() if "num_batches" not in k]
    count = ours.arch.parameters if fused_form else ours.arch.training_parameters
    assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in theirs.parameters()) == count


@pytest.mark.parametrize("name", NAMES)
def test_answers_are_timms(timm, name):
    ours, theirs = pair(timm, name)
    x = images(2, 64, 64)
    for mode in (False, True):
        assert_close(ours.train(mode)(x), theirs.train(mode)(x))
    found = {key: value for key, value in ours.state_dict().items() if "running" in key}
    assert all(torch.equal(value, theirs.state_dict()[key]) for key, value in found.items())


@pytest.mark.parametrize("name", NAMES)
def test_the_engine_computes_timms_answers(timm, name):
    theirs = filled(timm.create_model(name)).eval()
    arch = Arch.of(name)
    weights = {key: value.numpy() for key, value in theirs.state_dict().items() if "num_batches" not in key}
    model = ModelFile(ModelConfig(arch, Preprocessing((3, 96, 64))), fused(weights, arch, 1e-5))
    x = images(2, 96, 64)
    with torch.no_grad():
        expected, maps = theirs(x), theirs.forward_intermediates(x, intermediates_only=True)
        embeddings = theirs.forward_head(theirs.forward_features(x), pre_logits=True)
    for isa in (None, "scalar"):
        ours = lcnet.Classifier(model, threads=1, isa=isa)
        assert_close(torch.from_numpy(ours.run(x.numpy())), expected, 1e-4)
        assert_close(torch.from_numpy(ours.forward_head(ours.forward_features(x.numpy()), pre_logits=True)), embeddings, 1e-4)
    for found, wanted in zip(ours.feature_maps(x.numpy()), maps, strict=True):
        assert_close(torch.from_numpy(found), wanted, 1e-4)


def test_one_convolution_in_the_place_of_the_branches(timm):
    ours, theirs = pair(timm)
    x = images(2, 64, 96)
    expected = ours(x)
    state = {key: value for key, value in ours.state_dict().items() if "num_batches" not in key}
    assert ours.fuse() is ours and not any("dw_conv_list" in key for key in ours.state_dict())
    assert_close(ours(x), expected)
    timm.utils.reparameterize_model(theirs, inplace=True)
    for key, value in theirs.state_dict().items():
        assert_close(ours.state_dict()[key], value) if value.ndim else None
    in_numpy = fused({key: value.numpy() for key, value in state.items()}, ours.arch, 1e-5)
    assert in_numpy.keys() == to_weights(ours).keys() - {k for k in ours.state_dict() if "num_batches" in k}
    assert all(np.allclose(value, ours.state_dict()[key].numpy(), atol=1e-6) for key, value in in_numpy.items())
    assert all(p.requires_grad for p in ours.parameters())
    ours.fuse()  # again: there is nothing left to do


@pytest.mark.parametrize("indices", [None, (1, 3), (3, 0), 2])
def test_feature_maps_are_timms(timm, indices):
    options = {"features_only": True, **({} if isinstance(indices, int) or indices is None else {"out_indices": indices})}
    ours, theirs = create_model(SMALL, **options).eval(), timm.create_model(SMALL, **options).eval()
    values = filled(ours).state_dict()
    flat = {key: re.sub(r"^(stem|stages)_", r"\1.", key) for key in theirs.state_dict()}  # timm's names of the same modules
    theirs.load_state_dict({key: values[name] for key, name in flat.items()})
    assert ours.feature_info.channels() == theirs.feature_info.channels()
    assert ours.feature_info.reduction() == theirs.feature_info.reduction()
    assert ours.feature_info.module_name() == theirs.feature_info.module_name()
    x = images(2, 64, 96)
    order = np.argsort(indices) if isinstance(indices, tuple) else range(4)
    for found, expected in zip([ours(x)[i] for i in order], theirs(x), strict=True):
        assert_close(found, expected)
    whole, timms = pair(timm)
    maps = [m.forward_intermediates(x, indices=indices, intermediates_only=True) for m in (whole, timms)]
    order = np.argsort(indices) if isinstance(indices, tuple) else range(len(maps[0]))
    for found, expected in zip([maps[0][i] for i in order], maps[1], strict=True):
        assert_close(found, expected)


def test_there_is_no_dilated_form():
    with pytest.raises(InputError, match="output_stride is 8, expected none: lcnetv2_small has no dilated form"):
        create_model(SMALL, features_only=True, output_stride=8)


def test_the_head_as_timm_has_it(timm):
    ours, theirs = pair(timm, drop_rate=0.5)
    x = torch.rand(2, 768, 3, 2)
    for model in (ours.train(), theirs.train()):  # before the dropout, also in training
        assert torch.equal(model.forward_head(x, pre_logits=True), theirs.forward_head(x, pre_logits=True))
    torch.manual_seed(0)
    found = ours.forward_head(x)
    torch.manual_seed(0)
    assert_close(found, theirs.forward_head(x))
    for model in (ours, theirs):
        model.reset_classifier(0)
    assert_close(ours.eval()(images(2)), theirs.eval()(images(2)))
    ours.reset_classifier(7)
    assert ours.classifier.weight.shape == (7, 1280) and ours.arch.num_classes == 7


@pytest.mark.parametrize("options", [{"act_layer": "hard_swish"}, {"in_chans": 1, "num_classes": 5}, {"global_pool": "max"}])
def test_options_as_timm_takes_them(timm, options):
    ours, theirs = pair(timm, **options)
    x = images(2, channels=options.get("in_chans", 3))
    assert_close(ours(x), theirs(x))


def test_what_a_file_cannot_hold():
    with pytest.raises(InputError, match="act_layer=Hardswish"):  # timm changes the gate's activation too
        model_config(create_model(SMALL, act_layer="hard_swish"))
    with pytest.raises(InputError, match=r"global_pool='max'"):
        model_config(create_model(SMALL, global_pool="max"))
    assert model_config(create_model(SMALL)).arch == Arch.of(SMALL)
    assert model_config(create_model(SMALL, head_bias=True)).arch == Arch.of(SMALL, head_bias=True)


def test_fresh_weights_spread_as_timms(timm):
    ours, theirs = create_model(SMALL).state_dict(), timm.create_model(SMALL).state_dict()
    for key, value in theirs.items():
        if value.ndim > 1 and value.numel() > 4000:
            assert ours[key].std().item() == pytest.approx(value.std().item(), rel=0.1), key
        elif value.ndim == 1:
            assert torch.equal(ours[key], value), key


def test_timms_file_keeps_its_branches_in_training_and_is_fused_for_use(timm, tmp_path):
    theirs = filled(timm.create_model(SMALL)).eval()
    path = tmp_path / "timms.safetensors"
    save_file(theirs.state_dict(), path)
    x = images(2, 64, 64)
    ours = create_model(path, pretrained=True).eval()
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    assert_close(ours(x), theirs(x))
    once = create_model(path, pretrained=True, inference_mode=True).eval()
    assert not any("dw_conv_list" in key for key in once.state_dict())
    assert_close(once(x), theirs(x))
    config = modelfile.read_config(path)
    assert config.arch == Arch.of(SMALL) and "dw_conv_list" not in "".join(modelfile.read(path).weights)
    served = lcnet.load(path, threads=1)
    assert_close(torch.from_numpy(served.run(x.numpy())), theirs(x), 1e-4)
    adapted = create_model(path, pretrained=True, in_chans=1, num_classes=3)
    assert torch.allclose(adapted.stem[0].conv.weight, theirs.stem[0].conv.weight.sum(1, keepdim=True))


def test_a_model_file_is_fused_and_stays_so(tmp_path):
    trained = filled(create_model(SMALL, num_classes=4)).eval()
    path = tmp_path / "m.safetensors"
    modelfile.write(path, ModelFile(model_config(trained), to_weights(trained)))
    again = create_model(path, pretrained=True).eval()
    assert not any("dw_conv_list" in key for key in again.state_dict())
    assert_close(again(images(2)), trained(images(2)))
    assert again.state_dict()["stages.2.0.dw_conv.bias"].shape == (192,)
    with pytest.raises(ModelFileError, match="dw_conv_list"):
        load_checkpoint(again, _saved(trained, tmp_path / "branches.safetensors"))
    load_checkpoint(create_model(SMALL, num_classes=4), tmp_path / "branches.safetensors")


def _saved(model, path):
    save_file(model.state_dict(), path)
    return path


def test_gradients_with_native_depthwise_convs_are_torchs():
    """With a bias too: a fused convolution has one, and the native core's gradient is of the weight alone."""
    from lcnet.train.depthwise import use_native_gradients

    for model in (create_model(SMALL, num_classes=3), create_model(SMALL, num_classes=3).fuse()):
        plain = filled(model).to(memory_format=torch.channels_last)
        ours = copy.deepcopy(plain)
        use_native_gradients(ours)
        x = images(4, 64, 64).to(memory_format=torch.channels_last)
        expected, found = plain.train()(x), ours.train()(x)
        assert torch.equal(found, expected)
        for y in (expected, found):
            y.square().sum().backward()
        for (key, a), b in zip(plain.named_parameters(), ours.parameters(), strict=True):
            assert (a.grad - b.grad).abs().max() <= 2e-3 * a.grad.abs().max() + 1e-6, key
