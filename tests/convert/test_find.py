"""The network in a checkpoint is found by its tensors: under any prefix, in any dictionary, and one of several by rule."""

import foreign
import numpy as np
import pytest
from foreign import assert_equal, paddle_arrays
from weights import random_weights

from lcnet import modelfile
from lcnet.arch import Arch
from lcnet.convert import convert, load_state_dict
from lcnet.convert.checkpoint import read_checkpoint
from lcnet.errors import ModelFileError

SMALL = Arch(0.25, num_classes=3)
PREFIXES = (
    "",
    "model.",
    "net.",
    "backbone.",
    "timm_model.",
    "module.",
    "_orig_mod.",
    "module.model.",
    "model._orig_mod.module.",
    "learner.encoder.0.",
    "ema.",
    "MyNet.",
    "blocks.",
    "conv_stem.",
)


@pytest.fixture(scope="module")
def weights():
    return random_weights(SMALL)


@pytest.fixture
def save(torch, tmp_path):
    """Write a value as torch does, arrays as tensors; return the path."""

    def tensors(value):
        if isinstance(value, dict):
            return {key: tensors(v) for key, v in value.items()}
        return torch.tensor(value) if isinstance(value, np.ndarray) else value

    def write(value, name="a.pth"):
        torch.save(tensors(value), tmp_path / name)
        return tmp_path / name

    return write


def under(prefix, weights):
    return {prefix + key: value for key, value in weights.items()}


@pytest.mark.parametrize("prefix", PREFIXES)
def test_any_prefix(save, weights, tmp_path, prefix):
    path = save(under(prefix, weights))
    assert_equal(load_state_dict(path), weights)
    found = convert(path, tmp_path / "out.safetensors")
    assert_equal(modelfile.read(tmp_path / "out.safetensors").weights, weights)
    assert found.config.arch == SMALL
    assert found.config.provenance.get("prefix", "") == prefix


@pytest.mark.parametrize("prefix", ["timm_model.", "model.net."])
def test_any_prefix_in_safetensors_and_of_paddle(weights, tmp_path, prefix):
    from safetensors.numpy import save_file

    save_file(under(prefix, weights), tmp_path / "a.safetensors")
    assert_equal(load_state_dict(tmp_path / "a.safetensors"), weights)
    with pytest.raises(ModelFileError, match="names of a checkpoint: run `lcnet convert"):
        modelfile.read(tmp_path / "a.safetensors")
    (tmp_path / "a.pdparams").write_bytes(foreign.pdparams(under(prefix, paddle_arrays(weights))))
    found = load_state_dict(tmp_path / "a.pdparams", dropout_scale=1)
    assert_equal(found, weights | {"conv_head.bias": np.zeros(1280, np.float32)})


LIGHTNING = {
    "epoch": 1,
    "global_step": 10,
    "pytorch-lightning_version": "2.4.0",
    "loops": {},
    "callbacks": {"a": {"b": 1}},
    "optimizer_states": [{"state": {0: {"step": 1}}, "param_groups": []}],
    "lr_schedulers": [],
    "hyper_parameters": {"lr": 0.1},
}


@pytest.mark.parametrize(
    ("wrap", "key"),
    [
        (lambda w: {"model_state_dict": w, "optimizer_state_dict": {}, "epoch": 5, "loss": 0.1}, "model_state_dict"),
        (lambda w: {"net": w, "acc": 90.5, "epoch": 1}, "net"),
        (lambda w: {"network_fn": w}, "network_fn"),
        (lambda w: {**LIGHTNING, "state_dict": under("model.", w)}, "state_dict"),
        (lambda w: {**LIGHTNING, "state_dict": under("net.", w) | {"loss.weight": np.ones(3)}}, "state_dict"),
        (lambda w: {"checkpoint": {"state": {"model": w}}}, "checkpoint.state.model"),
        (lambda w: {"loss": np.ones(()), "weights": w}, "weights"),
        (lambda w: {"model_ema": w, "epoch": 3}, "model_ema"),
        (lambda w: {"n_averaged": np.array(7), **under("module.", w)}, None),
        (lambda w: {"swa_model_state_dict": {"n_averaged": np.array(7), **under("module.", w)}}, "swa_model_state_dict"),
    ],
)
def test_any_wrapper(save, weights, wrap, key):
    path = save(wrap(weights), "last.ckpt")
    assert_equal(load_state_dict(path), weights)
    assert read_checkpoint(path).key == key


def test_swa_as_torch_writes_it(torch, tmp_path):
    import lcnet

    model = lcnet.create_model("lcnet_025", num_classes=3)
    average = torch.optim.swa_utils.AveragedModel(model)
    with torch.no_grad():
        model.classifier.bias += 4
    average.update_parameters(model)
    average.update_parameters(model)
    torch.save(average.state_dict(), tmp_path / "swa.pth")
    assert_equal(convert(tmp_path / "swa.pth", tmp_path / "out").weights, average.module.state_dict())


@pytest.mark.parametrize(
    ("keys", "use_ema", "taken"),
    [
        (("state_dict", "state_dict_ema"), True, "state_dict_ema"),
        (("state_dict", "state_dict_ema"), False, "state_dict"),
        (("net", "ema"), True, "ema"),
        (("net", "ema"), False, "net"),
        (("model_ema", "averaged_model"), True, "model_ema"),
        (("schema", "model"), True, "model"),
        (("model", "best_model"), True, "model"),
        (("swa", "weights"), False, "weights"),
    ],
)
def test_one_of_several(save, weights, keys, use_ema, taken):
    path = save({key: weights | {"classifier.bias": np.full(3, i, np.float32)} for i, key in enumerate(keys)})
    assert load_state_dict(path, use_ema)["classifier.bias"][0] == keys.index(taken)
    assert read_checkpoint(path, use_ema).key == taken


def test_an_average_in_the_same_dictionary(save, weights):
    other = weights | {"classifier.bias": np.full(3, 9, np.float32)}
    path = save({"state_dict": under("model.", weights) | under("ema_model.module.", other)})
    assert_equal(load_state_dict(path), other)
    assert_equal(load_state_dict(path, use_ema=False), weights)


@pytest.mark.parametrize(
    ("value", "match"),
    [
        (lambda w: {"student": w, "teacher": w}, r"has 2 networks \(student; teacher\): expected one; save the one"),
        (lambda w: {"state_dict": under("a.", w) | under("b.", w)}, r"has 2 networks \(state_dict a\.\*; state_dict b\.\*\)"),
        (lambda w: w | under("module.", w), r"has 2 networks \(.*module\.\*"),
        (lambda w: {"conv1.weight": np.ones(3), "fc.weight": np.ones(3)}, "this is no LCNet .*found conv1.weight, fc.weight"),
        (lambda w: {"epoch": 3}, "epoch is of type int, expected a tensor"),
        (lambda w: {"net": {"a": "b"}}, "net is of type dict, expected a tensor"),
    ],
)
def test_what_is_none_or_could_be_either_is_refused(save, weights, tmp_path, value, match):
    with pytest.raises(ModelFileError, match=match):
        convert(save(value(weights)), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_averages_alone_do_not_stand_for_the_others(save, weights):
    with pytest.raises(ModelFileError, match=r"averaged weights only \(state_dict_ema\): leave out --no-ema"):
        load_state_dict(save({"state_dict_ema": weights}), use_ema=False)


def test_what_is_left_out_is_said(save, weights, tmp_path):
    trunk = under("backbone.", {k: v for k, v in weights.items() if not k.startswith("classifier")})
    path = save({"state_dict": trunk | {"head.weight": np.ones((3, 1280)), "head.bias": np.ones(3)}})
    config = convert(path, tmp_path / "out").config
    assert config.arch.num_classes == 0
    assert "left out, as they do not stand under 'backbone.': head.weight, head.bias" in config.provenance["note"]


def test_dictionaries_that_share_are_walked_once(tmp_path):
    """Each of 2,000 entries is the same dictionary of as many: 8 billion ways to a depth of three."""
    level = b"}"
    for depth in range(3):
        entries = b"".join(foreign.literal(f"k{i}") + b"h" + bytes((depth,)) for i in range(2000))
        level += b"q" + bytes((depth,)) + b"0}(" + entries + b"u"
    (tmp_path / "a.pdparams").write_bytes(foreign.program(level))
    with pytest.raises(ModelFileError, match="of type dict, expected a tensor"):
        load_state_dict(tmp_path / "a.pdparams")
