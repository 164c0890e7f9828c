"""A model knows what it was trained on: such pictures are told of, and what training set aside is found again."""

import json
import shutil
import zipfile
from dataclasses import replace

import pytest
from click.testing import CliRunner
from coloured import small, write_classes

import lcnet
from lcnet import modelfile
from lcnet.cli import main
from lcnet.dataset import open_dataset, split
from lcnet.evaluate import evaluate
from lcnet.evaluate.trained import held_out, sketch_of

pytestmark = [pytest.mark.usefixtures("torch"), pytest.mark.slow]

TOLD = "of those that the model was trained on"


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return write_classes(tmp_path_factory.mktemp("data") / "photos", each=12)


@pytest.fixture(scope="module")
def model(torch, photos, tmp_path_factory):
    from lcnet.train import fit

    output = tmp_path_factory.mktemp("run") / "run"
    options = {"model": "lcnet_050.cifar10", "val_fraction": 0.25, "seed": 3, "workers": 0, "threads": 1}
    return fit(photos, "quick", output, small(epochs=1), **options).model


def run(*arguments):
    done = CliRunner().invoke(main, ["evaluate", *map(str, arguments), "--threads", "1"])
    assert done.exit_code == 0, done.output + repr(done.exception)
    return done


def found(*arguments):
    return json.loads(run(*arguments, "-f", "json").stdout)


def test_what_training_set_aside_is_measured_by_default(model, photos):
    done = run(model, photos)
    assert f"on val of {photos}: 9 pictures" in done.stdout and TOLD not in done.output
    assert "val is the 9 pictures that training set aside" in done.stderr
    aside = split(open_dataset(photos).train, 0.25, 3)[1]
    again = held_out(modelfile.read_config(model), open_dataset(photos).train)
    assert list(again.names) == list(aside.names)
    assert found(model, photos, "--split", "val")["trained_on"] == {"pictures": 0, "compared": 9}
    row = json.loads((model.parent / "metrics.jsonl").read_text())
    assert found(model, photos)["loss"]["value"] == pytest.approx(row["val_loss"], rel=1e-3)


def test_pictures_that_it_was_trained_on_are_told_of(model, photos, tmp_path):
    done = run(model, photos, "--split", "all", "--report", tmp_path / "report")
    assert f"note: 27 of the 36 pictures are {TOLD}" in done.stdout
    assert f"27 of the 36 pictures are {TOLD}" in (tmp_path / "report" / "report.html").read_text()
    done = run(model, photos, "--split", "all", "-f", "json")
    assert f"lcnet: warning: 27 of the 36 pictures are {TOLD}" in done.stderr
    assert json.loads(done.stdout)["trained_on"] == {"pictures": 27, "compared": 36}


def test_elsewhere_and_renamed_and_packed_away(model, photos, tmp_path):
    with zipfile.ZipFile(tmp_path / "some.zip", "w") as archive:
        for number, path in enumerate(sorted(photos.rglob("*.png"))):
            target = tmp_path / "moved" / path.parent.name / f"{number * 7 % 36}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
            archive.write(path, f"{path.parent.name}/x{number}.png")
    write_classes(tmp_path / "new", each=4, seed=9)
    for part in ("blue", "green"):
        shutil.copy(photos / part / "000.png", tmp_path / "new" / part / "more.png")
    for data in ("moved", "some.zip"):
        assert found(model, tmp_path / data, "--split", "all")["trained_on"] == {"pictures": 27, "compared": 36}
    trained = {str(n).rpartition("photos/")[2] for n in split(open_dataset(photos).train, 0.25, 3)[0].names}
    expected = len(trained & {"blue/000.png", "green/000.png"})
    done = found(model, tmp_path / "new")
    assert (done["split"], done["trained_on"]) == ("all", {"pictures": expected, "compared": 14})


def test_other_pictures_and_other_models_are_not_told_of(model, photos, tmp_path):
    write_classes(tmp_path / "new", each=12, seed=5)
    done = found(model, tmp_path / "new")
    assert (done["split"], done["trained_on"]) == ("all", {"pictures": 0, "compared": 36})
    assert not any(TOLD in note for note in done["notes"])
    for changes in ({"val_fraction": 0.5}, {"val_fraction": "x"}, {"seed": "x"}, {"seed": 4}, {"train_images": None}):
        config = modelfile.read_config(model)
        changed = replace(config, provenance=config.provenance | changes)
        assert held_out(changed, open_dataset(photos).train) is None
    unknown = replace(modelfile.read(model), config=replace(modelfile.read_config(model), provenance={}))
    assert sketch_of(unknown.config) is None
    result = evaluate(lcnet.Classifier(unknown, threads=1), open_dataset(photos).train)
    assert result.answers.seen is None and result.to_json()["trained_on"] is None


def test_a_sample_tells_how_many_of_those_compared(model, photos):
    kept = modelfile.read(model)
    some = kept.config.provenance["train_sketch"]["sample"] | {"below": 1 << 31}
    config = replace(kept.config, provenance=kept.config.provenance | {"train_sketch": {"sample": some}})
    result = evaluate(lcnet.Classifier(replace(kept, config=config), threads=1), open_dataset(photos).train)
    seen = result.answers.seen
    assert 0 < seen.compared < 36 and f"{seen.pictures} of {seen.compared} compared pictures are {TOLD}" in result.notes()[0]
