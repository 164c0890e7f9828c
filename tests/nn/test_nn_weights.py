"""Weights in and out: adaptation as timm does it, checkpoints that must fit, files that timm reads, hub names."""

from dataclasses import replace

import numpy as np
import pytest
from nn.peers import assert_close, images, tensors, torch

from lcnet import hub, modelfile
from lcnet.arch import Arch
from lcnet.config import Labels, ModelConfig, Preprocessing
from lcnet.errors import InputError, ModelFileError
from lcnet.nn import create_model, load_checkpoint, model_config, to_weights

pytestmark = pytest.mark.slow


def overlay(**fields):
    return {"pretrained": True, "pretrained_cfg_overlay": fields}


def write(path, arch, weights=None, **description):
    weights = weights or {k: v.numpy() for k, v in tensors(arch.width, arch.in_chans, arch.num_classes).items()}
    preprocessing = Preprocessing().with_channels(arch.in_chans)
    config = ModelConfig(arch, **{"preprocessing": preprocessing, **description})
    modelfile.write(path, modelfile.ModelFile(config, weights))
    return path


@pytest.fixture(scope="module")
def model_path(tmp_path_factory):
    labels = Labels(("a", "b", "c"))
    return write(tmp_path_factory.mktemp("weights") / "three.safetensors", Arch(0.5, 3, 3), labels=labels, bn_eps=0.01)


@pytest.mark.parametrize("channels", [1, 2, 4, 7])
@torch.no_grad()
def test_input_channels_are_adapted_as_timm_does(timm, channels):
    ours = create_model("lcnet_050", in_chans=channels, **overlay(state_dict=tensors())).eval()
    theirs = timm.create_model("lcnet_050", in_chans=channels, **overlay(state_dict=dict(tensors()))).eval()
    assert ours.conv_stem.weight.shape == (8, channels, 3, 3)
    assert torch.equal(ours.conv_stem.weight, theirs.conv_stem.weight)
    assert_close(ours(images(2, channels=channels)), theirs(images(2, channels=channels)))


@torch.no_grad()
def test_weights_for_one_channel_are_adapted_to_three(timm):
    gray = {"state_dict": dict(tensors(in_chans=1)), "input_size": (1, 224, 224)}
    ours, theirs = (create("lcnet_050", in_chans=3, **overlay(**gray)) for create in (create_model, timm.create_model))
    assert torch.equal(ours.conv_stem.weight, theirs.conv_stem.weight)


@pytest.mark.parametrize("classes", [0, 10])
@torch.no_grad()
def test_another_number_of_classes_leaves_the_fresh_classifier(timm, classes):
    ours = create_model("lcnet_050", num_classes=classes, **overlay(state_dict=tensors())).eval()
    theirs = timm.create_model("lcnet_050", num_classes=classes, **overlay(state_dict=dict(tensors()))).eval()
    for key, value in ours.state_dict().items():
        if not key.startswith("classifier") and key in tensors():
            assert torch.equal(value, tensors()[key])
    if classes:
        bound = 1 / np.sqrt(classes)
        assert 0.99 * bound < ours.classifier.weight.abs().max() <= bound
        assert not ours.classifier.bias.any()
        theirs.classifier.load_state_dict(ours.classifier.state_dict())
    assert_close(ours(images()), theirs(images()))


def test_the_overlays_tensors_are_neither_kept_nor_changed():
    given = {k: v.clone() for k, v in tensors().items()}
    model = create_model("lcnet_050", in_chans=1, num_classes=5, **overlay(state_dict=given))
    assert "state_dict" not in model.pretrained_cfg
    assert given.keys() == tensors().keys()
    assert all(torch.equal(v, tensors()[k]) for k, v in given.items())


def test_a_classifier_that_fits_is_kept_whatever_the_description_says():
    model = create_model("lcnet_050", num_classes=10, **overlay(state_dict=tensors(num_classes=10)))
    assert torch.equal(model.classifier.weight, tensors(num_classes=10)["classifier.weight"])


def test_pretrained_weights_that_do_not_fit_are_refused():
    no_classifier = {k: v for k, v in tensors().items() if not k.startswith("classifier")}
    with pytest.raises(ModelFileError, match=r"classifier.bias is missing; classifier.weight is missing"):
        create_model("lcnet_050", **overlay(state_dict=no_classifier))
    with pytest.raises(ModelFileError, match=r"classifier.bias has shape \[10\], expected \[1000\]"):
        create_model("lcnet_050", **overlay(state_dict=tensors(num_classes=10)))
    with pytest.raises(ModelFileError, match=r"and 1\d\d more"):
        create_model("lcnet_100", **overlay(state_dict=tensors()))
    with pytest.raises(ModelFileError, match=r"conv_head.weight has shape \[1280, 256, 1, 1\], expected \[1280, 512, 1, 1\]"):
        create_model("lcnet_050", global_pool="catavgmax", **overlay(state_dict=tensors()))
    with pytest.raises(ModelFileError, match=r"conv_stem.weight has shape \[216\]"):
        create_model("lcnet_050", **overlay(state_dict={**tensors(), "conv_stem.weight": torch.zeros(216)}))


@torch.no_grad()
def test_a_file_in_the_overlay_is_loaded_and_adapted(model_path, timm):
    ours = create_model("lcnet_050", num_classes=3, in_chans=1, **overlay(file=str(model_path)))
    assert torch.equal(ours.classifier.weight, tensors(num_classes=3)["classifier.weight"])
    theirs = timm.create_model("lcnet_050", in_chans=1, num_classes=3, **overlay(file=str(model_path), num_classes=3))
    assert torch.equal(ours.conv_stem.weight, theirs.conv_stem.weight)


@pytest.mark.parametrize("form", ["path", "text", "local-dir"])
def test_a_model_file_by_its_path_describes_itself(model_path, tmp_path, form):
    (tmp_path / "model.safetensors").write_bytes(model_path.read_bytes())
    name = {"path": model_path, "text": str(model_path), "local-dir": f"local-dir:{tmp_path}"}[form]
    model = create_model(name, pretrained=True)
    assert (model.pretrained_cfg["architecture"], model.num_classes) == ("lcnet_050", 3)
    assert model.pretrained_cfg["label_names"] == ("a", "b", "c")
    assert model.bn1.eps == 0.01
    assert all(torch.equal(model.state_dict()[k], v) for k, v in tensors(num_classes=3).items())
    fresh = create_model(name, num_classes=4)
    assert fresh.num_classes == 4
    assert not torch.equal(fresh.conv_stem.weight, model.conv_stem.weight)
    with pytest.raises(InputError, match="pretrained_cfg_overlay"):
        create_model(name, pretrained_cfg={"num_classes": 3})


def test_names_with_weights_go_through_the_hub(monkeypatch, tmp_path):
    asked = []
    path = write(tmp_path / "hub.safetensors", Arch(0.5), bn_eps=0.002)

    def locate(name, cache_dir=None):
        asked.append((name, cache_dir))
        return hub.Located(path, None, "test")

    monkeypatch.setattr(hub, "locate", locate)
    model = create_model("lcnet_050", pretrained=True, cache_dir=tmp_path)
    assert all(torch.equal(model.state_dict()[k], v) for k, v in tensors().items())
    assert model.bn1.eps == 0.002, "the weights know the epsilon that they were trained with"
    assert create_model("lcnet_050", pretrained=True, bn_eps=0.1).bn1.eps == 0.1
    create_model("hf-hub:someone/model@v1", num_classes=2)
    create_model("lcnet_050.cifar10", pretrained=True, pretrained_cfg_overlay={"hf_hub_id": "me/mine"}, num_classes=2)
    create_model("lcnet_050")
    assert asked == [
        ("lcnet_050.ra2_in1k", tmp_path),
        ("lcnet_050.ra2_in1k", None),
        ("hf-hub:someone/model@v1", None),
        ("hf-hub:me/mine", None),
    ]


def test_bundled_weights():
    if not hub.BUNDLED.joinpath("lcnet_050.cifar10.safetensors").is_file():
        pytest.skip("this checkout has no bundled weights")
    model = create_model("lcnet_050.cifar10", pretrained=True)
    stored = modelfile.read(hub.locate("lcnet_050.cifar10").path)
    assert model.num_classes == len(stored.config.labels.names) == 10
    assert all(np.array_equal(value, stored.weights[key]) for key, value in to_weights(model).items() if "bn" in key)


def save(path, state, suffix):
    if suffix == "safetensors":
        from safetensors.torch import save_file

        save_file({k: v.contiguous() for k, v in state.items()}, path)
    else:
        torch.save(state, path)


@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_checkpoints_with_and_without_wrappers_prefixes(tmp_path, suffix):
    for i, prefix in enumerate(("", "module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.")):
        path = tmp_path / f"{i}.{suffix}"
        save(path, {prefix + k: v for k, v in tensors().items()}, suffix)
        model = create_model("lcnet_050", checkpoint_path=path)
        assert all(torch.equal(model.state_dict()[k], v) for k, v in tensors().items())


def test_training_checkpoints_give_the_averaged_weights_unless_told_otherwise(tmp_path):
    path = tmp_path / "last.pth.tar"
    plain, averaged = (tensors(num_classes=n) for n in (4, 5))
    torch.save({"epoch": 3, "state_dict": plain, "state_dict_ema": averaged, "metric": 1.5}, path)
    model = create_model("lcnet_050", num_classes=5, checkpoint_path=path)
    assert torch.equal(model.classifier.weight, averaged["classifier.weight"])
    other = create_model("lcnet_050", num_classes=4)
    load_checkpoint(other, path, use_ema=False)
    assert torch.equal(other.classifier.weight, plain["classifier.weight"])


def test_checkpoints_are_not_adapted(tmp_path):
    path = tmp_path / "checkpoint.pth"
    torch.save(tensors(), path)
    with pytest.raises(ModelFileError, match=r"checkpoint.pth: .*classifier.bias has shape \[1000\], expected \[5\]"):
        create_model("lcnet_050", num_classes=5, checkpoint_path=path)
    with pytest.raises(ModelFileError, match=r"conv_stem.weight has shape \[8, 3, 3, 3\], expected \[8, 1, 3, 3\]"):
        create_model("lcnet_050", in_chans=1, checkpoint_path=path)
    with pytest.raises(ModelFileError, match=r"conv_head.bias does not belong to the model"):
        create_model("lcnet_050", features_only=True, checkpoint_path=path)
    with pytest.raises(ModelFileError, match=r"missing.pth"):
        create_model("lcnet_050", checkpoint_path=tmp_path / "missing.pth")


def test_a_refused_checkpoint_changes_nothing(tmp_path):
    torch.save({k: v for k, v in tensors().items() if k != "classifier.bias"}, tmp_path / "part.pth")
    model = create_model("lcnet_050")
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with pytest.raises(ModelFileError, match=r"classifier.bias is missing"):
        load_checkpoint(model, tmp_path / "part.pth")
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_feature_extractors_have_checkpoints_of_their_own(tmp_path):
    trunk = {k: v for k, v in tensors().items() if not k.startswith(("conv_head", "classifier"))}
    for suffix in ("safetensors", "pth"):
        save(tmp_path / f"trunk.{suffix}", trunk, suffix)
        model = create_model("lcnet_050", features_only=True, checkpoint_path=tmp_path / f"trunk.{suffix}")
        assert all(torch.equal(model.state_dict()[k], v) for k, v in trunk.items())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_model_files_written_from_a_model_are_read_by_timm(timm, tmp_path, dtype):
    model = create_model("lcnet_050", num_classes=3)
    model(images())  # moves the statistics and the counters
    path = tmp_path / "ours.safetensors"
    labels = Labels(("x", "y", "z"))
    modelfile.write(path, modelfile.ModelFile(model_config(model, labels=labels), to_weights(model.to(dtype))))
    theirs = timm.create_model("lcnet_050", num_classes=3, checkpoint_path=str(path)).state_dict()
    assert len(theirs) == 174
    assert theirs["bn1.num_batches_tracked"] == 1
    assert all(torch.equal(v.to(theirs[k].dtype), theirs[k]) for k, v in model.state_dict().items())
    stored = modelfile.read_config(path)
    assert (stored.arch, stored.labels, stored.bn_eps) == (Arch(0.5, 3, 3), labels, 1e-5)


def test_to_weights_are_copies():
    model = create_model("lcnet_035")
    weights = to_weights(model)
    with torch.no_grad():
        model.conv_stem.weight.zero_()
        model.bn1.num_batches_tracked += 1
    assert weights["conv_stem.weight"].any()
    assert weights["bn1.num_batches_tracked"] == 0
    assert {v.dtype for v in weights.values()} == {np.dtype(np.float32), np.dtype(np.int64)}


def test_model_config_takes_the_description_of_the_model():
    config = model_config(create_model("lcnet_050.cifar10", num_classes=4, bn_eps=0.01))
    assert config.preprocessing == Preprocessing((3, 128, 128), crop_pct=1.0, crop_mode="squash")
    assert (config.arch, config.bn_eps, config.labels) == (Arch(0.5, 3, 4), 0.01, None)
    model = create_model("lcnet_050", in_chans=1)
    assert model_config(model).preprocessing == Preprocessing().with_channels(1)
    own = replace(Preprocessing().with_channels(1), mean=(0.2,))
    assert model_config(model, own).preprocessing == own
    model.reset_classifier(6)
    assert model_config(model).arch.num_classes == 6


@pytest.mark.parametrize(
    "options",
    [{"global_pool": "max"}, {"act_layer": "silu"}, {"head_bias": False}, {"features_only": True}],
    ids=lambda o: next(iter(o)),
)
def test_model_config_refuses_what_the_runtime_does_not_have(options):
    with pytest.raises(InputError, match="model file"):
        model_config(create_model("lcnet_035", **options))


def test_a_files_preprocessing_is_that_of_the_model_made_of_it(tmp_path):
    """Also what timm has no name for, so that fine-tuning goes on with the pixels that the weights know."""
    pre = Preprocessing((3, 64, 96), "bilinear", 1.0, "squash", exif=False, resize="opencv", alpha="drop", channel_order="bgr")
    path = write(tmp_path / "model.safetensors", Arch(0.25, num_classes=3), preprocessing=pre)
    assert model_config(create_model(str(path), pretrained=True)).preprocessing == pre
