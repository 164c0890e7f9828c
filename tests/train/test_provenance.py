"""Model files travel: whatever writes one keeps names and numbers, never the folders of the machine that it ran on."""

import getpass
import json
import shutil

import pytest
from click.testing import CliRunner
from coloured import small, write_classes

import lcnet
from lcnet import hub, modelfile
from lcnet.cli import main

pytestmark = [pytest.mark.usefixtures("torch"), pytest.mark.slow]

USER, PROJECT = "zoe-quux", "secret-project"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The home of the user who runs everything here, with a project: `photos` to train on, and a start."""
    home = tmp_path_factory.mktemp("machine") / USER
    write_classes(home / PROJECT / "photos", each=24)
    shutil.copy(hub.BUNDLED / "lcnet_050.cifar10.safetensors", home / PROJECT / "start.safetensors")
    (home / PROJECT / "photos" / "red" / "broken.png").write_bytes(b"no picture")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HOME", "USERPROFILE"):
            patch.setenv(name, str(home))
        for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
            patch.setenv(name, USER)
        assert getpass.getuser() == USER
        yield home


@pytest.fixture(scope="module")
def trained(torch, home):
    from lcnet.train import fit

    project = home / PROJECT
    options = {"model": str(project / "start.safetensors"), "skip_unreadable": True, "workers": 0, "threads": 1}
    return fit(project / "photos", "quick", project / "run", small(lr=0.01), **options).model


def run(*arguments):
    """One of the pictures cannot be read: where it is left out, that is said by the exit code."""
    done = CliRunner().invoke(main, [*map(str, arguments)])
    assert done.exit_code == ("--skip-unreadable" in arguments), done.output
    return done


def assert_no_folders(path, home):
    data = path.read_bytes()
    for word in (str(home.parent), USER, PROJECT):
        assert word.encode() not in data, f"{path.name} has {word}"


def test_training_keeps_names_counts_and_the_recipe(trained, home):
    assert_no_folders(trained, home)
    origin = lcnet.load(trained).config.provenance
    assert (origin["data"], origin["started_from"]) == ("photos", "start.safetensors")
    assert (origin["train_images"], origin["val_images"], origin["seed"]) == (54, 18, 0)
    assert origin["recipe"]["input_size"] == 32 and origin["metrics"]["val_top1"] > 0
    assert set(origin) == {
        *("source", "data", "started_from", "seed", "val_fraction", "train_images", "val_images"),
        *("train_sketch", "recipe", "metrics"),
    }


def test_the_runs_own_record_keeps_the_paths(trained, home, torch):
    """They are needed to repeat the run, or to resume it, and docs/training.md says that they are there."""
    recipe = json.loads((trained.parent / "recipe.json").read_text())
    start = str(home / PROJECT / "start.safetensors")
    assert (recipe["data"], recipe["model"]) == (str(home / PROJECT / "photos"), start)
    assert torch.load(trained.parent / "last.ckpt", weights_only=True)["identity"]["model"] == start


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("lcnet_050", "lcnet_050"),
        ("lcnet_050.ra2_in1k", "lcnet_050.ra2_in1k"),
        ("hf-hub:owner/repo@v1", "hf-hub:owner/repo@v1"),
        ("local-dir:/home/zoe/models/birds/", "birds"),
        ("~/models/birds.safetensors", "birds.safetensors"),
    ],
)
def test_names_of_starts(name, shown):
    from lcnet.train.training import _shown

    assert _shown(name) == shown


def test_quantizing(trained, home, tmp_path):
    out = tmp_path / "int8.safetensors"
    run(
        "quantize",
        trained,
        "--data",
        home / PROJECT / "photos",
        "--eval",
        home / PROJECT / "photos",
        "--images",
        32,
        "--output",
        out,
        "--force",
    )
    assert_no_folders(out, home)


def test_a_decision_layer(trained, home, tmp_path):
    out = tmp_path / "decided.safetensors"
    run(
        "evaluate",
        trained,
        home / PROJECT / "photos",
        "--split",
        "train",
        "--temperature",
        "--threshold",
        "precision>=0.5",
        "--output",
        out,
        "--skip-unreadable",
    )
    assert_no_folders(out, home)
    assert modelfile.read(out).config.provenance["decision"]["pictures"] == 72


def test_conversion(trained, home, torch, tmp_path):
    project, out = home / PROJECT, tmp_path / "out.safetensors"
    state = {key: torch.from_numpy(value) for key, value in modelfile.read(trained).weights.items()}
    torch.save({"arch": "lcnet_050", "state_dict": state, "args": {"output": str(project)}}, project / "other.pth")
    (project / "classes.txt").write_text("a\nb\nc\n")
    for source, labels in ((project / "other.pth", project / "classes.txt"), (trained, None)):
        run("convert", source, out, "--overwrite", *(["--labels", labels] if labels else []))
        assert_no_folders(out, home)
        assert modelfile.read(out).config.provenance["file"] == source.name


def test_export(trained, home, tmp_path):
    pytest.importorskip("onnx", reason="onnx (extra: export) is not installed")
    run("export", trained, tmp_path / "model.onnx")
    assert_no_folders(tmp_path / "model.onnx", home)


def test_packing(home, tmp_path):
    run("pack", home / PROJECT / "photos", tmp_path / "packed", "--skip-unreadable")
    written = list((tmp_path / "packed").iterdir())
    assert written
    for path in written:
        assert_no_folders(path, home)


def test_downloading(home, trained, tmp_path):
    """The copy's config.json is written from the description."""
    hub.download(trained, tmp_path / "copy")
    for path in (tmp_path / "copy").iterdir():
        assert_no_folders(path, home)
