import json
import math
from dataclasses import replace

import numpy as np
import pytest
from coloured import small, write_classes
from PIL import Image

import lcnet
from lcnet.errors import ImageError, InputError, ModelFileError, TrainingError

pytestmark = [pytest.mark.usefixtures("torch"), pytest.mark.slow]


START = "lcnet_050.cifar10"
SETTINGS = small(epochs=6, ema=0.5, lr=0.01)


@pytest.fixture
def fit(torch):
    from lcnet.train import fit

    def run(*args, **kwargs):
        return fit(*args, **{"workers": 0, "threads": 1, **kwargs})

    return run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_classes(tmp_path_factory.mktemp("data") / "colours")


@pytest.fixture(scope="module")
def trained(torch, folder, tmp_path_factory):
    """One run with all its parts, from the bundled weights: random ones would need more steps to tell colours apart."""
    from lcnet.train import fit

    output = tmp_path_factory.mktemp("run") / "out"
    done = fit(folder, "quick", output, SETTINGS, val_fraction=0.25, model=START, workers=1, threads=1)
    return done, output


def rows_of(output):
    return [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]


def test_the_folder_holds_what_the_documentation_says(torch, trained):
    done, output = trained
    names = {p.name for p in output.iterdir()}
    assert names == {"model.safetensors", "last.safetensors", "last.ckpt", "metrics.jsonl", "recipe.json", "report"}
    assert "report.html" in {p.name for p in (output / "report").iterdir()}
    rows = rows_of(output)
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert rows[-1]["train_loss"] < rows[0]["train_loss"]
    best = rows[done.best_epoch - 1]
    assert done.epochs == 6 and best["val_top1"] == done.metrics["top1"]
    assert all(row["val_loss"] > best["val_loss"] for row in rows[done.best_epoch :] if row["val_top1"] >= best["val_top1"])
    last = lcnet.modelfile.read(output / "last.safetensors")
    assert last.config.provenance["metrics"] == rows[-1]
    average = torch.load(output / "last.ckpt", weights_only=True)["parts"]["ema"]["module"]
    assert all(np.array_equal(last.weights[key], value.numpy()) for key, value in average.items())


def test_the_model_file_serves_what_was_validated(trained, folder):
    from lcnet.dataset import open_dataset, split

    done, _ = trained
    model = lcnet.load(done.model)
    assert model.labels.names == ("blue", "green", "red")
    assert model.preprocessing.input_size == (3, 32, 32)
    _, val = split(open_dataset(folder).train, 0.25, 0)
    answers = np.concatenate([model.logits([val.read(i)]) for i in range(len(val))]).argmax(1)
    assert (answers == val.targets).mean() == pytest.approx(done.metrics["top1"])
    assert done.metrics["top1"] > 0.6  # three colours; a third would be chance


def test_the_recipe_file_repeats_the_run(trained, folder, fit, tmp_path, torch):
    _, output = trained
    fit(folder, str(output / "recipe.json"), tmp_path / "again", val_fraction=0.25, model=START)
    ours, theirs = (torch.load(f / "last.ckpt", weights_only=True)["parts"] for f in (output, tmp_path / "again"))
    for part in ("model", "ema"):
        flat = [dict(_tensors(parts[part])) for parts in (ours, theirs)]
        assert all(torch.equal(flat[0][key], flat[1][key]) for key in flat[0])


def _tensors(value, name=""):
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _tensors(item, f"{name}/{key}")
    elif hasattr(value, "shape"):
        yield name, value


def test_workers_and_accumulated_parts_change_no_picture(folder, fit, tmp_path):
    losses = []
    for i, values in enumerate(({"workers": 0}, {"workers": 2})):
        fit(folder, "quick", tmp_path / str(i), small(epochs=1, erasing=0.5, randaugment="rand-m9-inc1"), **values)
        losses.append(rows_of(tmp_path / str(i))[0]["train_loss"])
    assert losses[0] == losses[1]


def test_data_without_validation_keeps_the_last_epoch(folder, fit, tmp_path):
    done = fit(folder, "quick", tmp_path / "out", small(epochs=2), val_fraction=0)
    assert done.best_epoch == 2 and done.metrics == {}
    assert not (tmp_path / "out" / "report").exists()
    lcnet.load(done.model)


def test_own_validation_folders_are_used(fit, tmp_path):
    write_classes(tmp_path / "data" / "train", each=8)
    write_classes(tmp_path / "data" / "val", each=3, seed=1)
    fit(tmp_path / "data", "quick", tmp_path / "out", small(epochs=1))
    recipe = json.loads((tmp_path / "out" / "recipe.json").read_text())
    assert (recipe["train_images"], recipe["val_images"]) == (24, 9)
    assert recipe["classes"] == ["blue", "green", "red"]


def test_several_labels_a_picture_make_a_multi_label_model(fit, tmp_path):
    write_classes(tmp_path / "pictures", each=8)
    lines = ["path,label"]
    for name, labels in (("blue", "cold"), ("green", "cold|plant"), ("red", "warm")):
        lines += [f"pictures/{name}/{i:03}.png,{labels}" for i in range(8)]
    (tmp_path / "table.csv").write_text("\n".join(lines) + "\n")
    done = fit(tmp_path / "table.csv", "quick", tmp_path / "out", small(epochs=2), val_fraction=0.25)
    assert set(done.metrics) == {"loss", "mAP"}
    model = lcnet.load(done.model)
    assert model.config.decision.multi_label and model.labels.names == ("cold", "plant", "warm")
    probs = model.probs([np.zeros((40, 40, 3), np.uint8)])
    logits = model.logits([np.zeros((40, 40, 3), np.uint8)])
    np.testing.assert_allclose(probs, 1 / (1 + np.exp(-logits)), rtol=1e-5)


@pytest.mark.parametrize("channels", [1, 5])
def test_other_numbers_of_channels(fit, tmp_path, rng, channels):
    for name, level in (("dark", 60), ("light", 190)):
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in range(6):
            pixels = np.clip(rng.normal(level, 20, (36, 36, channels)), 0, 255).astype(np.uint8)
            if channels == 1:
                Image.fromarray(pixels[:, :, 0]).save(tmp_path / "data" / name / f"{i}.png")
            else:
                np.save(tmp_path / "data" / name / f"{i}.npy", pixels)
    settings = small(epochs=1, batch_size=4)
    done = fit(tmp_path / "data", "quick", tmp_path / "out", settings, in_chans=channels, val_fraction=0.2)
    assert lcnet.load(done.model).preprocessing.input_size == (channels, 32, 32)


def test_a_trained_model_is_a_start_whose_classifier_is_kept_for_the_same_labels(trained, folder, fit, tmp_path, torch):
    done, _ = trained
    before = lcnet.modelfile.read(done.model).weights
    settings = small(epochs=1, lr=0.0)
    fit(folder, "quick", tmp_path / "same", settings, model=str(done.model), val_fraction=0)
    same = lcnet.modelfile.read(tmp_path / "same" / "model.safetensors").weights
    assert all(np.array_equal(before[k], same[k]) for k in ("classifier.weight", "conv_stem.weight"))
    other = write_classes(tmp_path / "other", each=4, classes=("blue", "red"))
    fit(other, "quick", tmp_path / "two", small(epochs=1, batch_size=4), model=str(done.model), val_fraction=0)
    assert lcnet.modelfile.read(tmp_path / "two" / "model.safetensors").weights["classifier.weight"].shape == (2, 1280)


def test_a_frozen_trunk_stays_as_it_was_to_its_statistics(folder, fit, tmp_path):
    from lcnet import hub

    start = "lcnet_050.cifar10"
    before = lcnet.modelfile.read(hub.locate(start).path).weights
    settings = small(epochs=2, lr=0.01, freeze='"trunk"', freeze_epochs=1)
    fit(folder, "quick", tmp_path / "one", [*settings, "epochs=1"], model=start, val_fraction=0)
    frozen = lcnet.modelfile.read(tmp_path / "one" / "model.safetensors").weights
    trunk = [key for key in before if not key.startswith("classifier.")]
    assert all(np.array_equal(before[key], frozen[key]) for key in trunk)
    fit(folder, "quick", tmp_path / "two", settings, model=start, val_fraction=0)
    thawed = lcnet.modelfile.read(tmp_path / "two" / "model.safetensors").weights
    assert not np.array_equal(before["conv_stem.weight"], thawed["conv_stem.weight"])


def test_more_pictures_a_step_than_there_are_become_fewer_at_a_lower_rate(fit, tmp_path):
    data = write_classes(tmp_path / "data", each=4)
    fit(data, "quick", tmp_path / "out", ["epochs=1", "input_size=32", "batch_size=48", "lr=0.4"], val_fraction=0)
    recipe = json.loads((tmp_path / "out" / "recipe.json").read_text())["recipe"]
    assert recipe["batch_size"] == 12 and math.isclose(recipe["lr"], 0.1)


def test_early_stop(folder, fit, tmp_path):
    done = fit(folder, "quick", tmp_path / "out", small(epochs=9, lr=0.0, ema=0.0), patience=2, metric="top1")
    assert done.epochs == 3 and done.best_epoch == 1


def test_a_loss_that_is_no_number_stops_with_advice(folder, fit, tmp_path):
    with pytest.raises(TrainingError, match=r"loss became (nan|inf).*epoch 1.*--set lr=.*clip_grad"):
        fit(folder, "quick", tmp_path / "out", small(lr=1e20))


def test_an_unreadable_picture_stops_training_with_its_name(fit, tmp_path):
    data = write_classes(tmp_path / "data", each=4)
    broken = data / "green" / "001.png"
    broken.write_bytes(broken.read_bytes()[:200])
    for workers in (0, 2):
        with pytest.raises(ImageError, match=r"green.001\.png: ") as caught:
            fit(data, "quick", tmp_path / "new" / "out", small(epochs=1), val_fraction=0, workers=workers)
        assert len(str(caught.value).splitlines()) == 1 and not (tmp_path / "new").exists()
    fit(data, "quick", tmp_path / "skip", small(epochs=1), val_fraction=0, skip_unreadable=True)
    recipe = json.loads((tmp_path / "skip" / "recipe.json").read_text())
    assert recipe["train_images"] == 11
    assert len(recipe["left_out"]) == 1 and "001.png" in recipe["left_out"][0]


def test_bad_requests_are_refused_before_anything_is_written(folder, fit, tmp_path, monkeypatch):
    out = tmp_path / "out"
    refused = [
        ({"settings": ["lerning_rate=1"]}, r"no key 'lerning_rate'"),
        ({"settings": ["epochs=0"]}, r"epochs is 0"),
        ({"settings": ["epochs"]}, r"key=value"),
        ({"settings": ["lr=high"]}, r"lr is 'high', expected a number"),
        ({"settings": ["randaugment=rand-q9"]}, r"rand"),
        ({"recipe": "quik"}, r"quick"),
        ({"metric": "top2"}, r"metric is 'top2'"),
        ({"model": "lcnet_051"}, r"lcnet_05"),
        ({"model": "lcnet_050.paddle_in1k"}, r"no weights to start from"),
        ({"device": "gpu9"}, r"device is 'gpu9'"),
        ({"amp": "fp16", "device": "cpu"}, r"needs a GPU"),
        ({"accumulate": 5, "settings": small()}, r"batch_size is 8.*--set batch_size="),
        ({"data": tmp_path / "nowhere"}, r"nowhere"),
        ({"resume": True}, r"nothing to resume"),
    ]
    for values, message in refused:
        arguments = {"recipe": "quick", "settings": small(), "data": folder, **values}
        with pytest.raises(InputError, match=message):
            fit(arguments.pop("data"), arguments.pop("recipe"), out, arguments.pop("settings"), **arguments)
        assert not out.exists(), message


def test_an_output_folder_in_use_is_left_alone(trained, folder, fit):
    _, output = trained
    before = {p.name: p.stat().st_mtime_ns for p in output.iterdir()}
    with pytest.raises(InputError, match=r"--resume goes on with it, --overwrite begins anew"):
        fit(folder, "quick", output, small())
    assert before == {p.name: p.stat().st_mtime_ns for p in output.iterdir()}


def test_an_output_that_cannot_be_written_is_an_error(folder, fit, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write there"):
        fit(folder, "quick", tmp_path / "file" / "out", small())


def test_a_checkpoint_of_another_run_is_refused(trained, folder, fit):
    _, output = trained
    for values, message in [
        ({"settings": small(epochs=6, ema=0.5, lr=0.05)}, "recipe lr=0.01, now it is 0.05"),
        ({"model": "lcnet_100"}, "lcnet_100"),
        ({"seed": 1}, "seed"),
    ]:
        arguments = {"settings": SETTINGS, "model": START, **values}
        with pytest.raises(ModelFileError, match=message):
            fit(folder, "quick", output, arguments.pop("settings"), resume=True, val_fraction=0.25, **arguments)


def test_labels_from_names_are_a_part_of_the_run(torch, fit, folder, tmp_path):
    data = tmp_path / "flat"
    data.mkdir()
    for path in folder.rglob("*.*"):
        (data / f"{path.parent.name}.{path.name}").write_bytes(path.read_bytes())
    arguments = {"settings": small(), "val_fraction": 0.25}
    done = fit(data, "quick", tmp_path / "out", labels_from_names="auto", **arguments)
    model = lcnet.load(done.model)
    assert model.labels.names == ("blue", "green", "red") and model.config.provenance["labels_from_names"] == "auto"
    assert json.loads((tmp_path / "out/recipe.json").read_text())["labels_from_names"] == "auto"
    fit(data, "quick", tmp_path / "out", labels_from_names="auto", resume=True, **arguments)
    with pytest.raises(ModelFileError, match="labels_from_names 'auto', now it is"):
        fit(data, "quick", tmp_path / "out", labels_from_names="([a-z]+)", resume=True, **arguments)


def test_options_of_a_table_are_a_part_of_the_run(torch, fit, folder, tmp_path):
    rows = [f'{path},"{path.parent.name}, x",y' for path in sorted(folder.rglob("*.*"))]
    (tmp_path / "t.csv").write_text("\n".join(["a,b,c", *rows]))
    options = {"label_separator": ",", "columns": "path=a,label=b"}
    arguments = {"settings": small(), "val_fraction": 0.25}
    done = fit(tmp_path / "t.csv", "quick", tmp_path / "out", **options, **arguments)
    model = lcnet.load(done.model)
    assert model.labels.names == ("blue", "green", "red", "x") and model.config.decision.multi_label
    assert {key: model.config.provenance.get(key) for key in options} == options
    assert "labels_from_names" not in model.config.provenance
    said = json.loads((tmp_path / "out/recipe.json").read_text())
    assert {key: said[key] for key in options} == options
    with pytest.raises(ModelFileError, match="columns 'path=a,label=b', now it is"):
        fit(tmp_path / "t.csv", "quick", tmp_path / "out", resume=True, **{**options, "columns": "label=b,path=a"}, **arguments)
    with pytest.raises(ModelFileError, match="label_separator ',', now it is"):
        fit(tmp_path / "t.csv", "quick", tmp_path / "out", resume=True, **{**options, "label_separator": ", "}, **arguments)


def test_a_damaged_checkpoint_is_refused(trained, folder, fit, tmp_path):
    import shutil

    _, output = trained
    copy = tmp_path / "copy"
    shutil.copytree(output, copy)
    data = (copy / "last.ckpt").read_bytes()
    (copy / "last.ckpt").write_bytes(data[: len(data) // 2])
    with pytest.raises(ModelFileError, match="no checkpoint of this training run"):
        fit(folder, "quick", copy, SETTINGS, resume=True, val_fraction=0.25, model=START)


def test_a_network_that_is_not_timms_trains_and_stays_what_it_is(fit, folder, tmp_path):
    import plain_torch
    from weights import pictures

    from lcnet.modelfile import read, write

    arch = plain_torch.NETWORKS["first release"]
    network = plain_torch.plain_network(arch, plain_torch.varied(pictures(12, 64, 96)))
    write(tmp_path / "start.safetensors", plain_torch.model_file(network, (80, 160)))
    done = fit(
        folder,
        "quick",
        tmp_path / "out",
        small(epochs=1, lr=0.01),
        val_fraction=0.25,
        model=str(tmp_path / "start.safetensors"),
    )
    model = read(tmp_path / "out" / "model.safetensors")
    assert model.config.arch == replace(arch, num_classes=model.config.arch.num_classes) != arch
    assert model.config.bn_eps == plain_torch.EPS and math.isfinite(done.metrics["loss"])
