"""PP-LCNetV2 in `lcnet train`: with its branches from random weights and timm's, fused from a model file."""

import numpy as np
import pytest
from coloured import small, write_classes
from safetensors.numpy import save_file
from weights import random_values

import lcnet
from lcnet.arch import Arch
from lcnet.convert import convert
from lcnet.modelfile import read

pytestmark = [pytest.mark.usefixtures("torch"), pytest.mark.slow]
NAME = "lcnetv2_small"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_classes(tmp_path_factory.mktemp("data") / "colours")


@pytest.fixture(scope="module")
def run(torch, folder, tmp_path_factory):
    """A run from random weights, with an average of them."""
    from lcnet.train import fit

    output = tmp_path_factory.mktemp("run") / "out"
    settings = small(epochs=2, ema=0.5, lr=0.01)
    return fit(folder, "quick", output, settings, val_fraction=0.25, model=NAME, workers=0, threads=1), output


def state_of(torch, output, part="model"):
    parts = torch.load(output / "last.ckpt", weights_only=True)["parts"]
    state = parts["ema"]["module"] if part == "ema" else parts["model"]
    return {key: value.numpy() for key, value in state.items()}


def test_branches_are_trained_and_the_file_is_fused(torch, run):
    """Of a young run from random weights the statistics are measured anew, but nothing else is."""
    done, output = run
    arch = Arch.of(NAME, num_classes=3)
    average = state_of(torch, output, "ema")
    assert {key for key in average if "num_batches" not in key} == set(arch.shapes(branches=True))
    last = read(output / "last.safetensors")
    assert last.config.arch == arch and last.config.to_json()["needs"]["family"]
    same = [key for key in arch.shapes() if "running" not in key and ".dw_conv." not in key]
    assert all(np.array_equal(last.weights[key], average[key]) for key in same) and len(same) > 50
    assert lcnet.load(done.model, threads=1).labels.names == ("blue", "green", "red")


def test_from_a_model_file_the_one_convolution_is_trained(torch, folder, run, tmp_path):
    from lcnet.train import fit
    from lcnet.train.events import Events

    class Notes(Events):
        def __init__(self):
            self.notes = []

        def note(self, text):
            self.notes.append(text)

    told = Notes()
    settings = small(epochs=1, freeze="none")
    fit(folder, "finetune", tmp_path / "out", settings, model=str(run[0].model), workers=0, threads=1, events=told)
    state, before = state_of(torch, tmp_path / "out"), read(run[0].model).weights
    assert not any("dw_conv_list" in key for key in state)
    key = "stages.2.0.dw_conv.bias"
    assert np.abs(state[key] - before[key]).max() > 0
    assert told.notes and not any("branch" in note for note in told.notes)


@pytest.fixture(scope="module")
def tuned(torch, folder, tmp_path_factory):
    """A run from timm's weights whose trunk is frozen."""
    from lcnet.train import fit

    place = tmp_path_factory.mktemp("tuned")
    weights = random_values(Arch.of(NAME).shapes(branches=True))
    save_file(weights, place / "timm.safetensors")
    settings = small(epochs=1, freeze="trunk", freeze_epochs=0)
    fit(folder, "finetune", place / "out", settings, model=str(place / "timm.safetensors"), workers=0, threads=1)
    return place / "out", weights


def test_from_timms_file_the_branches_are_there_and_the_trunk_can_be_frozen(torch, tuned):
    output, weights = tuned
    state = state_of(torch, output)
    key = "stages.2.1.dw_conv_list.2.conv.weight"
    assert np.array_equal(state[key], weights[key]) and state["classifier.weight"].shape == (3, 1280)


def test_the_checkpoint_becomes_the_last_model_file(tuned, tmp_path):
    made = convert(tuned[0] / "last.ckpt", tmp_path / "m.safetensors")
    last = read(tuned[0] / "last.safetensors")
    assert made.config.labels == last.config.labels and made.config.arch == last.config.arch
    assert all(np.array_equal(made.weights[key], last.weights[key]) for key in last.config.arch.shapes())


def test_layers_learn_at_their_own_rate(torch):
    from lcnet.nn import create_model
    from lcnet.train.optim import layer_scales

    scales = layer_scales([name for name, _ in create_model(NAME).named_parameters()], 0.5)
    assert len(set(scales.values())) == 14  # the stem, eleven blocks, the head and the classifier
    assert scales["stem.0.conv.weight"] == 0.5**13 and scales["stem.1.pw_conv.conv.weight"] == 0.5**12
    assert scales["stages.3.1.dw_conv_list.2.bn.weight"] == 0.25 and scales["conv_head.weight"] == 0.5
