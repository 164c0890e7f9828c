"""Shared fixtures: the test-only peers, and the sample data that some machines have beside the checkout."""

import os
import sys
import warnings
import zipfile

import numpy as np
import pytest
from sample_data import SHARED_DATA

from lcnet.cpus import usable_cpus

# Tests run side by side: threads of torch, which meet hundreds of times in a step, would each time wait for the other tests
# too. Set before torch is imported, and for the processes that tests start.
os.environ["OMP_NUM_THREADS"] = "1"


def _define_torchvision_operators(torch):
    """torchvision without its compiled half lacks two operators that its Python half looks up at import."""
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library


@pytest.fixture(scope="session")
def torch():
    module = pytest.importorskip("torch", reason="torch (extra: train) is not installed")
    return module


@pytest.fixture(autouse=True)
def one_thread_of_torch():
    """Training sets the number for its whole process."""
    yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers():
    """`-n auto` counts what this process may use, not the host's cores."""
    return usable_cpus()


def pytest_collection_modifyitems(items):
    """What takes long begins first, so that no worker ends alone with it."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session")
def timm(torch):
    keep = _define_torchvision_operators(torch)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = pytest.importorskip("timm", reason="timm, the test-only peer, is not installed")
    module._lcnet_operators = keep
    return module


def _extracted(name, tmp_path_factory):
    archive = SHARED_DATA / name
    if not archive.is_file():
        pytest.skip(f"the sample data {name} is not beside the checkout")
    folder = tmp_path_factory.mktemp(archive.stem)
    with zipfile.ZipFile(archive) as file:
        file.extractall(folder)
    return folder


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """Paths of the 60 sample photographs."""
    return sorted((_extracted("photos.zip", tmp_path_factory) / "photos").glob("*.jpg"))


@pytest.fixture(scope="session")
def cifar10_test(tmp_path_factory):
    """Folder with one subfolder of test images a class."""
    archive = SHARED_DATA / "cifar10-subset.zip"
    if not archive.is_file():
        pytest.skip("the sample data cifar10-subset.zip is not beside the checkout")
    folder = tmp_path_factory.mktemp("cifar10")
    with zipfile.ZipFile(archive) as file:
        file.extractall(folder, [n for n in file.namelist() if "/test/" in f"/{n}"])
    return next(p for p in folder.rglob("test") if p.is_dir())


@pytest.fixture
def rng():
    return np.random.default_rng(0)
