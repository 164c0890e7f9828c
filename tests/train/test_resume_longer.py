"""Resuming for another number of epochs, or a run that is complete: what goes on, what is refused, and what is said."""

import json
import shutil

import pytest
from click.testing import CliRunner
from coloured import small, write_classes

from lcnet.cli import main
from lcnet.errors import ModelFileError

pytestmark = [pytest.mark.usefixtures("torch"), pytest.mark.slow]

HOW = {"val_fraction": 0.25, "workers": 0, "threads": 1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_classes(tmp_path_factory.mktemp("data") / "colours", each=6)


@pytest.fixture(scope="module")
def cosine(torch, folder, tmp_path_factory):
    """A finished run of two epochs by the default schedule."""
    from lcnet.train import fit

    output = tmp_path_factory.mktemp("run") / "out"
    fit(folder, "quick", output, small(), **HOW)
    return output


def ends(torch, output):
    saved = torch.load(output / "last.ckpt", weights_only=True)
    rows = [json.loads(line) for line in (output / "metrics.jsonl").open()]
    return saved, [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def tensors(value):
    if isinstance(value, dict):
        for item in value.values():
            yield from tensors(item)
    elif hasattr(value, "shape"):
        yield value


class Told:
    """Notes what a run tells."""

    def __new__(cls):
        from lcnet.train.events import Events

        class Notes(Events):
            def __init__(self):
                self.notes = []

            def note(self, text):
                self.notes.append(text)

        return Notes()


@pytest.mark.parametrize("schedule", ["constant", "step"])
def test_more_epochs_are_the_run_that_had_them_from_its_start(torch, folder, tmp_path, schedule):
    from lcnet.train import fit

    settings = small(schedule=schedule, decay_epochs=1.5, decay_rate=0.5, ema=0.9, warmup_epochs=1)
    fit(folder, "quick", tmp_path / "whole", [*settings, "epochs=4"], **HOW)
    fit(folder, "quick", tmp_path / "parts", [*settings, "epochs=2"], **HOW)
    told = Told()
    done = fit(folder, "quick", tmp_path / "parts", [*settings, "epochs=4"], resume=True, events=told, **HOW)
    assert done.epochs == 4
    assert f"the run had 2 epochs, now it has 4: schedule '{schedule}' gives each epoch the same rate" in told.notes[0]
    (whole, rows), (parts, other_rows) = ends(torch, tmp_path / "whole"), ends(torch, tmp_path / "parts")
    assert rows == other_rows and whole["place"] == parts["place"] and whole["identity"] == parts["identity"]
    assert all(torch.equal(a, b) for a, b in zip(tensors(whole["parts"]), tensors(parts["parts"]), strict=True))
    files = [(tmp_path / name / "model.safetensors").read_bytes()[-5000:] for name in ("whole", "parts")]
    assert files[0] == files[1]
    with pytest.raises(ModelFileError, match=r"the run is in epoch 4 already, now epochs is 3: --set epochs=4 or more"):
        fit(folder, "quick", tmp_path / "parts", [*settings, "epochs=3"], resume=True, **HOW)


def test_a_cosine_is_not_stretched(folder, cosine):
    from lcnet.train import fit

    before = {p.name: p.read_bytes() for p in cosine.iterdir() if p.is_file()}
    with pytest.raises(ModelFileError) as caught:
        fit(folder, "quick", cosine, small(epochs=5), resume=True, **HOW)
    message = str(caught.value)
    assert "recipe epochs=2, now it is 5, on which every rate of schedule 'cosine' depends" in message
    assert f"--model {cosine / 'model.safetensors'} with another --output begins a new run from its weights" in message
    assert before == {p.name: p.read_bytes() for p in cosine.iterdir() if p.is_file()}


def test_that_way_is_one(folder, cosine, tmp_path):
    from lcnet.train import fit

    assert fit(folder, "quick", tmp_path / "more", small(), model=str(cosine / "model.safetensors"), **HOW).epochs == 2


@pytest.mark.parametrize(
    ("values", "message"),
    [({"metric": "loss"}, "the run had metric 'top1', now it is 'loss'"), ({"seed": 3}, "the run had seed 0, now it is 3")],
)
def test_what_would_change_a_number_is_refused(folder, cosine, values, message):
    from lcnet.train import fit

    with pytest.raises(ModelFileError, match=message):
        fit(folder, "quick", cosine, small(), resume=True, **{**HOW, **values})


def test_other_validation_pictures_are_refused(tmp_path, torch):
    from lcnet.train import fit

    write_classes(tmp_path / "data" / "train", each=6)
    write_classes(tmp_path / "data" / "val", each=3)
    fit(tmp_path / "data", "quick", tmp_path / "out", small(epochs=1), workers=0, threads=1)
    (tmp_path / "data" / "val" / "red" / "000.png").unlink()
    with pytest.raises(ModelFileError, match="the run had validation"):
        fit(tmp_path / "data", "quick", tmp_path / "out", small(epochs=1), resume=True, workers=0, threads=1)


def test_a_complete_run_says_so_and_loses_nothing(torch, folder, cosine, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(cosine, copy)
    command = ["train", str(folder), "--output", str(copy), "--val-fraction", "0.25", "--resume", "--threads", "1"]
    command += ["--workers", "1", "--patience", "9", "--checkpoint-minutes", "3"]  # which change no number
    command += [argument for setting in small() for argument in ("--set", setting)]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    assert "the run is complete, all 2 epochs are done: --model " in done.stderr and "from epoch" not in done.stderr
    for name in ("model.safetensors", "last.ckpt", "metrics.jsonl", "report/metrics.json"):
        if (cosine / name).exists():
            assert (copy / name).read_bytes() == (cosine / name).read_bytes(), name


def test_a_run_that_patience_ended_says_so(folder, tmp_path, torch):
    from lcnet.train import fit

    fit(folder, "quick", tmp_path / "out", small(epochs=6, lr=0.0), patience=2, **HOW)
    told = Told()
    done = fit(folder, "quick", tmp_path / "out", small(epochs=6, lr=0.0), patience=2, resume=True, events=told, **HOW)
    assert f"the run is complete: --patience ended it after {done.epochs} of 6 epochs" in told.notes
