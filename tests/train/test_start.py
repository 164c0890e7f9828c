"""Where training starts: what it takes from trained weights, what it says of that, and what a run leaves that never began."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from coloured import small, write_classes

import lcnet
from lcnet import hub, modelfile
from lcnet.config import Labels, Preprocessing
from lcnet.errors import InputError

pytestmark = [pytest.mark.usefixtures("torch"), pytest.mark.slow]

START = "lcnet_050.cifar10"
HOW = {"workers": 0, "threads": 1}
OWN = Preprocessing((3, 48, 64), "bilinear", 0.9, "squash", (0.4, 0.5, 0.6), (0.3, 0.2, 0.1))
QUICKLY = ["epochs=1", "batch_size=8", "freeze_epochs=0"]


@pytest.fixture(scope="module")
def bundled():
    return modelfile.read(hub.locate(START).path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_classes(tmp_path_factory.mktemp("data") / "colours", each=10)


@pytest.fixture(scope="module")
def weights(bundled, tmp_path_factory):
    """A start with a size of its own, not square, and the classes red, x2, ..., blue."""
    labels = Labels(("red", *(f"x{i}" for i in range(8)), "other"), (*(f"n{i}" for i in range(9)), "blue"))
    path = tmp_path_factory.mktemp("start") / "start.safetensors"
    modelfile.write(path, modelfile.ModelFile(replace(bundled.config, preprocessing=OWN, labels=labels), bundled.weights))
    return path


def fit(*args, **kwargs):
    from lcnet.train import fit
    from lcnet.train.events import Events

    told = []

    class Notes(Events):
        def note(self, text):
            told.append(text)

    return fit(*args, events=Notes(), **{**HOW, **kwargs}), told


def test_trained_weights_bring_their_preprocessing_and_the_recipe_finetune(folder, weights, tmp_path):
    _, told = fit(folder, None, tmp_path / "out", QUICKLY, model=str(weights))
    assert modelfile.read_config(tmp_path / "out" / "model.safetensors").preprocessing == OWN
    asked, recipe = (json.loads((tmp_path / "out" / "recipe.json").read_text())[key] for key in ("asked", "recipe"))
    assert (asked["input_size"], recipe["input_size"], recipe["crop_pct"]) == (0, [48, 64], 0.9)
    assert recipe["optimizer"] == "adamw" and not any("warning" in note for note in told)


@pytest.mark.parametrize(
    ("settings", "found", "said"),
    [
        (["input_size=40"], {"input_size": (3, 40, 40)}, "input_size 40x40, the weights were trained for input_size 48x64"),
        (["input_size=48x40"], {"input_size": (3, 48, 40)}, "input_size 48x40, the weights"),
        (
            ["crop_pct=1"],
            {"crop_pct": 1.0},
            "crop_pct 1, the weights were trained for crop_pct 0.9: --set crop_pct=0 takes theirs",
        ),
        (["input_size=40", "test_size=48x64"], {}, None),
        (["crop=shifted"], {}, None),
    ],
)
def test_what_the_recipe_says_itself_wins_with_a_warning(folder, weights, tmp_path, settings, found, said):
    _, told = fit(folder, None, tmp_path / "out", [*QUICKLY, *settings], model=str(weights))
    assert modelfile.read_config(tmp_path / "out" / "model.safetensors").preprocessing == replace(OWN, **found)
    warnings = [note for note in told if note.startswith("warning:")]
    assert len(warnings) == bool(said) and all(said in note for note in warnings)


def test_rows_of_known_classes_are_carried_over_by_name_and_id(folder, weights, bundled, tmp_path):
    frozen = [*QUICKLY, "lr=0", "warmup_lr=0", "freeze=trunk"]
    _, told = fit(folder, None, tmp_path / "out", frozen, model=str(weights))
    rows = modelfile.read(tmp_path / "out" / "model.safetensors").weights["classifier.weight"]
    theirs = bundled.weights["classifier.weight"]
    assert np.array_equal(rows[[0, 2]], theirs[[9, 0]])  # blue by its id, red by its name
    assert not (rows[1] == theirs).all(1).any()
    assert "classifier: rows of 2 classes are carried over (blue, red), 1 begin fresh (green)" in told


def test_a_name_of_two_classes_is_none_of_them():
    from lcnet.train.start import _rows

    assert _rows(Labels(("crane", "dog", "crane"), ("a", "b", "c"))) == {"dog": 1, "a": 0, "b": 1, "c": 2}


def test_a_start_that_knows_all_classes_is_epoch_0_and_kept_if_nothing_is_better(folder, bundled, tmp_path):
    labels = Labels(("blue", "x", "red", "green", *"abcdef"))
    path = tmp_path / "start.safetensors"
    modelfile.write(path, modelfile.ModelFile(replace(bundled.config, labels=labels), bundled.weights))
    worse = [*QUICKLY, "epochs=2", "lr=10", "clip_grad=0", "input_size=32", "freeze=none"]
    done, _ = fit(folder, None, tmp_path / "out", worse, model=str(path), val_fraction=0.3)
    assert (done.best_epoch, done.epochs) == (0, 2)
    found = modelfile.read(tmp_path / "out" / "model.safetensors").weights
    assert all(np.array_equal(found[k], v) for k, v in bundled.weights.items() if not k.startswith("classifier."))
    assert np.array_equal(found["classifier.weight"], bundled.weights["classifier.weight"][[0, 3, 2]])
    rows = [json.loads(line) for line in (tmp_path / "out" / "metrics.jsonl").open()]
    assert [row["epoch"] for row in rows] == [0, 1, 2] and rows[0]["train_loss"] is None
    assert done.metrics["top1"] == rows[0]["val_top1"]
    last = modelfile.read(tmp_path / "out" / "last.safetensors")
    assert last.config.provenance["metrics"]["epoch"] == 2 and lcnet.load(tmp_path / "out" / "last.safetensors").labels


def test_a_start_that_can_be_beaten_is(tmp_path):
    """What knows all classes but gives each the row of another is wrong most of the time."""
    data = write_classes(tmp_path / "data", each=24)
    settings = small(epochs=10, lr=0.01, batch_size=8)
    first, _ = fit(data, "quick", tmp_path / "first", settings, model=START, val_fraction=0.5)
    known = modelfile.read(first.model)
    turned = {k: np.roll(v, 1, 0) if k.startswith("classifier.") else v for k, v in known.weights.items()}
    modelfile.write(tmp_path / "turned.safetensors", modelfile.ModelFile(known.config, turned))
    done, _ = fit(data, "quick", tmp_path / "out", settings, model=str(tmp_path / "turned.safetensors"), val_fraction=0.5)
    rows = [json.loads(line) for line in (tmp_path / "out" / "metrics.jsonl").open()]
    assert rows[0]["val_top1"] < 0.5 < done.metrics["top1"] and done.best_epoch > 0


def test_random_weights_are_said_first_with_the_command_that_has_others(folder, tmp_path):
    _, told = fit(folder, None, tmp_path / "out", small(epochs=1))
    assert told[0].startswith("lcnet_050 begins from random weights; `lcnet train ")
    assert "-m lcnet_050.ra2_in1k` begins from trained ones; 27 pictures are few" in told[0]
    rows = json.loads((Path(__file__).parents[2] / "results" / "finetune.json").read_text())["curve"]
    measured = next(row for row in rows if row["pictures"] == 2000)
    assert told[0].endswith(f": of 2,000 they had {measured['random']:.0%} right, trained ones {measured['finetune']:.0%}")
    assert json.loads((tmp_path / "out" / "recipe.json").read_text())["recipe"]["optimizer"] == "sgd"  # quick


def test_a_run_that_never_began_leaves_an_earlier_one_as_it_was(folder, tmp_path):
    from lcnet.errors import ImageError

    fit(folder, "quick", tmp_path / "out", small(epochs=1))
    before = {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir() if p.is_file()}
    data = write_classes(tmp_path / "data", each=4)
    (data / "red" / "001.png").write_bytes(b"no picture")
    with pytest.raises(ImageError):
        fit(data, "quick", tmp_path / "out", small(epochs=1), overwrite=True, val_fraction=0)
    assert before == {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir() if p.is_file()}


def test_names_of_starts_mean_the_same_from_every_folder(tmp_path, monkeypatch):
    from lcnet.train.start import placed

    monkeypatch.chdir(tmp_path)
    for name in ("m.safetensors", "lcnet_050.cifar10"):
        (tmp_path / name).touch()
    assert placed("m.safetensors") == str(tmp_path / "m.safetensors")
    assert placed("./lcnet_050.cifar10") == str(tmp_path / "lcnet_050.cifar10")
    assert placed("local-dir:.") == f"local-dir:{tmp_path}"
    for name in ("lcnet_050.cifar10", "lcnet_050", "hf-hub:owner/repo", "other", "~/m.safetensors", "local-dir:nowhere"):
        assert placed(name) == name


@pytest.mark.parametrize("size", ["31", "5000", "32x31", "32x32x32", "x", "", "[]", "1.5", "true", "32x-32", '"٣٢"'])
def test_sizes_that_no_recipe_has(size):
    from lcnet.train.recipes import recipe

    with pytest.raises(InputError, match=r"input_size is .* expected 32 to 4096 pixels, a number or HxW, or 0"):
        recipe("quick", [f"input_size={size}"])
