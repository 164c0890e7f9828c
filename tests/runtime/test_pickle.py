"""A Classifier in other processes: pickled, copied, spawned and through joblib, from a file and from memory."""

import copy
import multiprocessing
import pickle
import shutil
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
from weights import pictures, random_weights

import lcnet
from lcnet import hub
from lcnet.arch import Arch
from lcnet.config import Labels, ModelConfig
from lcnet.errors import ModelFileError
from lcnet.modelfile import ModelFile

X = pictures(2, 48, 48)


@pytest.fixture
def path(tmp_path):
    return shutil.copy(hub.locate("lcnet_050.cifar10").path, tmp_path / "model.safetensors")


def in_memory():
    config = ModelConfig(Arch(0.25, num_classes=3), labels=Labels(("a", "b", "c")))
    return lcnet.Classifier(ModelFile(config, random_weights(config.arch)), threads=1, isa="scalar")


def again(model):
    return pickle.loads(pickle.dumps(model))


def test_from_a_file_its_path_and_options_travel(path):
    model = lcnet.load(path, threads=2, isa="scalar", decode="fast", max_pixels=1000)
    assert len(pickle.dumps(model)) < 2000
    other = again(model)
    assert np.array_equal(other.run(X), model.run(X)) and other.config == model.config
    for name in ("threads", "isa", "precision", "decode", "max_pixels"):
        assert getattr(other, name) == getattr(model, name)


def test_what_was_left_to_the_machine_is_left_to_the_next_one(path, monkeypatch):
    data = pickle.dumps(lcnet.load(path))
    monkeypatch.setenv("LCNET_ISA", "scalar")
    assert pickle.loads(data).isa == "scalar"


def test_from_memory_the_weights_travel():
    model = in_memory()
    other = again(again(model))
    assert np.array_equal(other.run(X), model.run(X)) and other.labels == model.labels and other.isa == "scalar"


def test_a_file_that_has_changed_or_gone_is_told(path):
    data = pickle.dumps(lcnet.load(path))
    with open(path, "ab") as file:
        file.write(b"\0")
    with pytest.raises(ModelFileError, match=r"model\.safetensors has changed since the model was loaded"):
        pickle.loads(data)
    path.unlink()
    with pytest.raises(ModelFileError, match=r"model\.safetensors: cannot be read: there is no such file"):
        pickle.loads(data)


def test_a_copy_is_the_same_as_nothing_in_it_changes(path):
    model = lcnet.load(path)
    assert copy.copy(model) is model and copy.deepcopy({"model": [model]})["model"][0] is model


def test_a_relative_path_holds_elsewhere(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    data = pickle.dumps(lcnet.load("model.safetensors"))
    monkeypatch.chdir("/")
    assert pickle.loads(data).arch.name == "lcnet_050"


@pytest.mark.slow
def test_spawned_processes_get_it(path):
    model = lcnet.load(path, threads=1)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert np.array_equal(pool.submit(model.run, X).result(), model.run(X))


@pytest.mark.slow
def test_joblib_gets_it(path):
    joblib = pytest.importorskip("joblib", reason="joblib (of scikit-learn) is not installed")
    model = lcnet.load(path, threads=1)
    found = joblib.Parallel(n_jobs=2)(joblib.delayed(model.embeddings)(x[None]) for x in X)
    assert np.array_equal(np.concatenate(found), model.embeddings(X))
