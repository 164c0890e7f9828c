"""Names, folders and the cache without a network, and copies of a model in a folder."""

import hashlib
import importlib.util
import os
import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hub_client import ARCH, DESCRIPTION, NAME, NAMES, REPO, WAYS_OUT, cache, files, fill, no_network, plain, run, server  # noqa: F401 (fixtures)
from safetensors.numpy import save
from weights import random_weights

from lcnet import hub, modelfile, zoo
from lcnet.errors import InputError, LcnetError, WeightsError

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("switch", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "offline"])
def test_offline_means_no_network(cache, files, monkeypatch, no_network, switch):
    if switch != "offline":
        monkeypatch.setenv(switch, "yes")
    offline = switch == "offline"
    with pytest.raises(WeightsError, match="not to be used") as caught:
        hub.locate("lcnet_050", offline=offline)
    text = str(caught.value)
    for part in (*WAYS_OUT, "timm/lcnet_050.ra2_in1k", zoo.find("lcnet_050").revision, str(cache)):
        assert part in text
    fill(cache, REPO, files)
    assert hub.locate(NAME, offline=offline).path.is_file()


def test_offline_weights_without_their_config_are_not_guessed_at(cache, plain, no_network):
    fill(cache, REPO, {"model.safetensors": plain})
    with pytest.raises(WeightsError, match=r"cannot get config\.json of owner/small"):
        hub.locate(NAME, offline=True)


def test_a_file_with_its_own_description_needs_no_config(cache, tmp_path, no_network):
    modelfile.write(tmp_path / "own.safetensors", modelfile.ModelFile(DESCRIPTION, random_weights(ARCH)))
    fill(cache, REPO, {"model.safetensors": (tmp_path / "own.safetensors").read_bytes()})
    found = hub.locate(NAME, offline=True)
    assert modelfile.read_config(found.path, found.config) == DESCRIPTION


def test_a_read_only_cache_serves_what_it_has(cache, files, no_network):
    snapshot = fill(cache, REPO, files)
    folders = [cache, *(p for p in cache.rglob("*") if p.is_dir())]
    before = [(p, p.stat().st_mtime_ns) for p in folders]
    try:
        [p.chmod(0o555) for p in folders]
        assert hub.locate(NAME).path == snapshot / "model.safetensors"
        assert [(p, p.stat().st_mtime_ns) for p in folders] == before
    finally:
        [p.chmod(0o755) for p in folders]


def test_a_cache_that_cannot_be_written_is_named(server, cache, tmp_path):
    (tmp_path / "file").write_text("in the way")
    inside = str(tmp_path / "file" / "hub")
    environment = {"HOME": inside, "HF_HOME": inside}
    result = run(server, cache, NAME, **environment)["results"][0]
    assert result["kind"] == "WeightsError"
    assert f"{inside}/hub cannot be written" in result["error"]
    assert "HF_HOME" in result["error"]


# Names


NONSENSE = (
    "lcnet_05",
    "lcnet_050.nothing",
    "",
    "resnet50",
    "x" * 300,
    "hf-hub:",
    "hf-hub:alone",
    "hf-hub:a/b/c",
    "hf-hub:../b",
    "hf-hub:a/b..c",
    "hf-hub:a/b@../x",
    "hf-hub:a/b@x/../../y",
    "hf-hub:a/b--c",
    "hf-hub:a/b@",
)


@pytest.mark.parametrize("name", NONSENSE)
def test_a_name_that_means_nothing_is_an_input_error(cache, no_network, name):
    with pytest.raises(InputError):
        hub.locate(name)


@pytest.mark.parametrize("prefix", ["hf-hub", "hf_hub"])
def test_both_spellings_of_the_hub_prefix_and_a_revision(cache, files, no_network, prefix):
    snapshot = fill(cache, REPO, files, revision="v1.0")
    assert hub.locate(f"{prefix}:{REPO}@v1.0").path == snapshot / "model.safetensors"


def test_a_bare_architecture_stands_for_its_default_weights(cache, plain, no_network, monkeypatch):
    entry = replace(zoo.find("lcnet_050"), size=len(plain), sha256=hashlib.sha256(plain).hexdigest())
    monkeypatch.setattr(zoo, "ENTRIES", (entry,))
    assert hub.cached(entry) is None
    snapshot = fill(cache, "timm/lcnet_050.ra2_in1k", {"model.safetensors": plain}, entry.revision, entry.revision)
    found = hub.locate("lcnet_050")
    assert found == hub.locate("lcnet_050.ra2_in1k")
    assert found.path == snapshot / "model.safetensors" == hub.cached(entry)
    assert found.config == entry.config()
    assert found.source == f"hf-hub:timm/lcnet_050.ra2_in1k@{entry.revision}"
    assert hub.cached(replace(entry, size=len(plain) + 1)) is None


def test_another_cache_folder_can_be_passed(cache, files, tmp_path, no_network):
    elsewhere = tmp_path / "elsewhere"
    snapshot = fill(elsewhere, REPO, files)
    assert hub.locate(NAME, cache_dir=elsewhere).path == snapshot / "model.safetensors"
    with pytest.raises(WeightsError):
        hub.locate(NAME, offline=True)


def test_bundled_weights_need_no_cache(tmp_path, monkeypatch, no_network):
    entry = zoo.find("lcnet_050.cifar10")
    monkeypatch.setattr(hub, "BUNDLED", tmp_path)
    assert hub.cached(entry) is None
    with pytest.raises(WeightsError, match="install lcnet again"):
        hub.locate("lcnet_050.cifar10")
    file = tmp_path / "lcnet_050.cifar10.safetensors"
    file.write_bytes(save(random_weights(entry.arch)))
    assert hub.locate("lcnet_050.cifar10") == hub.Located(file, entry.config(), "bundled")
    assert hub.cached(entry) == file


def test_paddle_weights_name_their_url_and_the_conversion(cache, no_network):
    entry = zoo.find("lcnet_250.paddle_ssld_in1k")
    with pytest.raises(WeightsError, match=r"lcnet convert PPLCNet_x2_5_ssld_pretrained\.pdparams") as caught:
        hub.locate(entry.name)
    assert entry.url in str(caught.value)
    assert hub.cached(entry) is None


@pytest.mark.parametrize("name", ["lcnet_150", "lcnet_150.untrained", "lcnet_200"])
def test_an_architecture_without_weights_says_which_have(cache, no_network, name):
    with pytest.raises(WeightsError, match="has no published weights") as caught:
        hub.locate(name)
    arch = name.partition(".")[0]
    for part in ("lcnet_050.ra2_in1k", "lcnet_050.cifar10", f"{arch}.paddle_in1k", "lcnet convert"):
        assert part in str(caught.value)


# Files and folders


def test_a_folder_prefers_model_safetensors(tmp_path, files, no_network):
    for name, data in {**files, "a.safetensors": b"", "pytorch_model.bin": b""}.items():
        (tmp_path / name).write_bytes(data)
    found = hub.locate(f"local-dir:{tmp_path}")
    assert (found.path, found.config, found.sha256) == (tmp_path / "model.safetensors", None, None)
    assert modelfile.read_config(found.path, found.config) == DESCRIPTION
    assert hub.locate(str(tmp_path)).path == found.path

    found.path.unlink()
    assert hub.locate(f"local-dir:{tmp_path}").path == tmp_path / "a.safetensors"
    (tmp_path / "b.safetensors").touch()
    with pytest.raises(WeightsError, match=r"a\.safetensors, b\.safetensors"):
        hub.locate(f"local-dir:{tmp_path}")


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pth", "x.pdparams"])
def test_a_folder_of_pickles_needs_a_conversion(tmp_path, no_network, name):
    (tmp_path / name).touch()
    with pytest.raises(WeightsError, match=f"lcnet convert .*{name} .*model.safetensors"):
        hub.locate(f"local-dir:{tmp_path}")


def test_a_folder_without_a_model_or_without_existence(tmp_path, no_network):
    with pytest.raises(WeightsError, match=r"has no model\.safetensors: expected"):
        hub.locate(f"local-dir:{tmp_path}")
    with pytest.raises(WeightsError, match="there is no such file"):
        hub.locate(f"local-dir:{tmp_path}/none")


def test_a_path_is_a_path(tmp_path, monkeypatch, no_network):
    monkeypatch.chdir(tmp_path)
    Path("mine").touch()
    Path("x.safetensors").touch()
    Path("lcnet_150").touch()
    for name in ("mine", "./mine", Path("mine"), str(tmp_path / "mine")):
        assert hub.locate(name).path.samefile("mine")
    assert hub.locate("x.safetensors") == hub.Located(Path("x.safetensors"), None, "x.safetensors")
    assert hub.locate(Path("lcnet_150")).path == Path("lcnet_150")
    with pytest.raises(WeightsError, match="no published weights"):
        hub.locate("lcnet_150")
    for name in ("none.safetensors", "./none", Path("none"), "owner/small"):
        with pytest.raises(WeightsError, match="there is no such file"):
            hub.locate(name)


# A copy for a machine without a network


def test_a_downloaded_folder_loads_with_the_same_description(server, cache, tmp_path, plain):
    to = tmp_path / "a" / "copy"
    result = run(server, cache, {"name": NAME, "to": str(to)})["results"][0]
    assert sorted(os.listdir(to)) == ["config.json", "model.safetensors"]
    assert Path(result["path"]).read_bytes() == plain
    found = hub.locate(f"local-dir:{to}", offline=True)
    assert modelfile.read_config(found.path, found.config) == DESCRIPTION


@pytest.mark.parametrize("tag", ["ra2_in1k", "cifar10"])
def test_a_zoo_copy_has_the_description_of_the_zoo(cache, tmp_path, monkeypatch, no_network, tag):
    entry = zoo.find(f"lcnet_050.{tag}")
    data = save(random_weights(entry.arch))
    entry = replace(entry, size=len(data), sha256=hashlib.sha256(data).hexdigest())
    monkeypatch.setattr(zoo, "ENTRIES", (entry,))
    monkeypatch.setattr(hub, "BUNDLED", tmp_path)
    if entry.bundled:
        (tmp_path / entry.bundled).write_bytes(data)
    else:
        fill(cache, entry.hub_id, {"model.safetensors": data}, entry.revision, entry.revision)
    path = hub.download(entry.name, tmp_path / "copy")
    assert modelfile.read_config(path) == entry.config()


def test_timm_loads_the_copy(cache, tmp_path, files, timm, torch):
    fill(cache, REPO, files)
    path = hub.download(NAME, tmp_path / "copy")
    model = timm.create_model(f"local-dir:{path.parent}", pretrained=True)
    assert (model.num_classes, model.pretrained_cfg["crop_mode"]) == (10, "squash")
    assert model.pretrained_cfg["label_names"] == list(NAMES)
    weights = random_weights(ARCH)
    np.testing.assert_array_equal(model.conv_stem.weight.detach().numpy(), weights["conv_stem.weight"])


def test_a_copy_is_hashed_again(cache, tmp_path, plain, files, no_network):
    snapshot = fill(cache, REPO, files)
    (snapshot / "model.safetensors").write_bytes(bytes([plain[0] ^ 1]) + plain[1:])
    with pytest.raises(WeightsError, match="not the file that was promised"):
        hub.download(NAME, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
    with pytest.raises(WeightsError, match="not in the cache"):
        hub.locate(NAME, offline=True)


def test_a_copy_that_cannot_be_written_is_an_error_of_ours(cache, tmp_path, files, no_network):
    fill(cache, REPO, files)
    (tmp_path / "file").touch()
    with pytest.raises(LcnetError, match="cannot copy"):
        hub.download(NAME, tmp_path / "file" / "copy")


# The cache folder


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"XDG_CACHE_HOME": "/xdg"},
        {"XDG_CACHE_HOME": ""},
        {"XDG_CACHE_HOME": "/xdg", "HF_HOME": "/home"},
        {"HF_HOME": "~/$PLACE/home"},
        {"HF_HOME": "/home", "HUGGINGFACE_HUB_CACHE": "~/old"},
        {"HF_HOME": "/home", "HF_HUB_CACHE": "~/${PLACE}", "HUGGINGFACE_HUB_CACHE": "/old"},
        {"HF_HUB_CACHE": ""},
        {"HOME": "/nowhere"},
    ],
)
def test_the_cache_folder_is_that_of_huggingface_hub(monkeypatch, environment):
    for name in ("XDG_CACHE_HOME", "HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"PLACE": "place", **environment}.items():
        monkeypatch.setenv(name, value)
    source = importlib.util.find_spec("huggingface_hub.constants").origin
    assert hub.cache_folder() == Path(runpy.run_path(source)["HF_HUB_CACHE"])
