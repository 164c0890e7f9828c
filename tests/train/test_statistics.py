"""Batch norm's statistics measured anew: torch's `update_bn` is the judge, and training is not to notice."""

import json
import subprocess
import sys

import numpy as np
import pytest
from coloured import small, write_classes

pytestmark = [pytest.mark.usefixtures("torch"), pytest.mark.slow]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_classes(tmp_path_factory.mktemp("data") / "colours", each=7, size=48)


@pytest.fixture
def measured(torch, folder):
    """What makes the statistics of a dataset of the folder, for so many processes, and a network with odd ones."""
    from lcnet.dataset import open_dataset
    from lcnet.nn import create_model, model_config
    from lcnet.train.distributed import Group
    from lcnet.train.loader import LoaderOptions, for_training
    from lcnet.train.loop import Machine
    from lcnet.train.recipe import Recipe
    from lcnet.train.sampler import Order
    from lcnet.train.statistics import Statistics

    dataset, recipe = open_dataset(folder).train, Recipe(input_size=32, batch_size=8, hflip=0.5)
    torch.manual_seed(0)
    model = create_model("lcnet_050", num_classes=3).train()
    preprocessing = for_training(model_config(model).preprocessing, recipe)

    def make(group=None, rank=0, world=1):
        machine, order = Machine(torch.device("cpu"), group or Group()), Order(len(dataset), 8, 0, world=world, rank=rank)
        return Statistics(dataset, recipe, preprocessing, machine, order, LoaderOptions(0))

    return make, model


def buffers(network):
    return {name: buffer.clone() for name, buffer in network.named_buffers() if "running" in name}


def test_they_are_those_of_torchs_update_bn(torch, measured):
    from lcnet.train.loader import Normalize, TrainTransform, TransformedPictures, loader_of

    make, model = measured
    statistics = make()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = statistics(model)
    assert not any(module.training for module in found.modules()) and model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    pictures = TransformedPictures(statistics.dataset, TrainTransform(statistics.recipe, statistics.preprocessing))
    normalize = Normalize(statistics.preprocessing)
    batches = [normalize(images) for images, _ in loader_of(pictures, statistics.batches(), statistics.options)]
    torch.optim.swa_utils.update_bn(batches, model)
    expected = buffers(model)
    assert all(torch.allclose(expected[name], value, rtol=1e-5, atol=1e-7) for name, value in buffers(found).items())


def test_few_pictures_come_several_times_and_many_once(measured):
    from dataclasses import replace

    from lcnet.train.sampler import Order

    statistics = measured[0]()
    (batch,) = statistics.batches()
    assert len(batch) == 64 and len({seed for _, seed in batch}) == 64  # of 21 pictures
    assert max(np.bincount([index for index, _ in batch])) <= 4
    many = replace(statistics, recipe=statistics.recipe.change({"batch_size": 512}), order=Order(20_000, 512))
    assert [len(batch) for batch in many.batches()] == [256] * 32
    assert len({index for batch in many.batches() for index, _ in batch}) == 256 * 32


def test_each_process_has_its_share_and_the_same_result(torch, measured):
    """Two processes played in turn: the second is handed what the first one gathered."""
    from lcnet.train import statistics as module
    from lcnet.train.distributed import Group

    class Recorder(Group):
        def gather(self, value):
            shares[self.rank] = value
            return shares if self.rank else [value, value]

    make, model = measured
    bigger = [[(i % 21, 7 + i) for i in range(start, start + 16)] for start in range(0, 64, 16)]

    class Four(module.Statistics):
        def batches(self):
            return bigger

    def run(group, rank, world):
        made = make(group, rank, world)
        return Four(**{name: getattr(made, name) for name in made.__dataclass_fields__})(model)

    one, shares = run(Group(), 0, 1), [None, None]
    run(Recorder(0, 2), 0, 2)
    two = run(Recorder(1, 2), 1, 2)
    assert [len(share) for share in shares] == [2, 2]
    assert all(torch.equal(value, buffers(two)[name]) for name, value in buffers(one).items())


def test_few_pictures_have_losses_of_ordinary_size(torch, folder, tmp_path):
    """Without the measured statistics the largest is above 1e9 here."""
    from lcnet.train import fit

    settings = ["epochs=5", "batch_size=4"]
    fit(folder, "quick", tmp_path / "out", settings, val_fraction=0.15, workers=0, threads=1)
    rows = [json.loads(line) for line in (tmp_path / "out" / "metrics.jsonl").open()]
    assert max(row["val_loss"] for row in rows) < 1000
    assert rows[0]["lr"] == pytest.approx(0.01 + 3 / 8 * 0.09)  # of the fourth of eight steps of warm-up


def test_the_model_file_has_them_and_the_checkpoint_has_not(torch, folder, tmp_path):
    from lcnet import modelfile
    from lcnet.train import fit

    fit(folder, "quick", tmp_path / "out", small(epochs=1), val_fraction=0, workers=0, threads=1)
    written = modelfile.read(tmp_path / "out" / "model.safetensors").weights
    kept = torch.load(tmp_path / "out" / "last.ckpt", weights_only=True)["parts"]["model"]
    same = {name: np.array_equal(value, kept[name].numpy()) for name, value in written.items()}
    assert {name: equal for name, equal in same.items() if equal == ("running" in name)} == {}


def test_trained_weights_keep_the_averages_that_came_with_them(folder, tmp_path, torch):
    from lcnet import modelfile
    from lcnet.train import fit

    fit(folder, "quick", tmp_path / "out", small(epochs=1), model="lcnet_050.cifar10", val_fraction=0, workers=0, threads=1)
    written = modelfile.read(tmp_path / "out" / "model.safetensors").weights
    kept = torch.load(tmp_path / "out" / "last.ckpt", weights_only=True)["parts"]["model"]
    assert all(np.array_equal(value, kept[name].numpy()) for name, value in written.items())


def test_two_processes_measure_and_write_one_network(folder, tmp_path):
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone", "-m", "lcnet", "train"]
    command += [str(folder), "--output", str(tmp_path / "out"), "--workers", "0", "--threads", "1", "--set", "sync_bn=true"]
    command += [argument for setting in small(epochs=3) for argument in ("--set", setting)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in (tmp_path / "out" / "metrics.jsonl").open()]
    assert len(rows) == 3 and all(row["val_loss"] < 100 for row in rows)
