"""`lcnet train` as one meets it: options for the recipe's keys, hints, going on by --output alone, damaged pictures."""

import json
import re
import shutil
import subprocess
import sys

import pytest
from click.testing import CliRunner
from coloured import small, write_classes

from lcnet.cli import main

pytestmark = [pytest.mark.usefixtures("torch"), pytest.mark.slow]

HOW = ("--workers", "0", "--threads", "1")


def run(*arguments):
    return CliRunner().invoke(main, ["train", *map(str, arguments)])


def settings(**values):
    return [f"--set={setting}" for setting in small(**values)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_classes(tmp_path_factory.mktemp("data") / "colours", each=8)


def recipe_of(output):
    return json.loads((output / "recipe.json").read_text())["recipe"]


def test_keys_that_are_options(folder, tmp_path):
    keys = ["--epochs", 1, "--batch-size", 6, "--lr", 0.02, "--input-size", "32x48"]
    done = run(folder, "-o", tmp_path / "out", *keys, "--set=warmup_epochs=0", *HOW)
    assert done.exit_code == 0, done.output
    recipe = recipe_of(tmp_path / "out")
    assert [recipe[key] for key in ("epochs", "batch_size", "lr", "input_size")] == [1, 6, 0.02, [32, 48]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs", 3, "--set", "epochs=3"], "--epochs and --set epochs=... are the same: give one of them"),
        (["--input-size", 32, "--set", "input_size=32"], "--input-size and --set input_size=... are the same"),
        (["--weight-decay", 0.1], "No such option: --weight-decay; it is a key of the recipe: --set weight_decay=0.1"),
        (["--warmup_epochs=2"], "No such option: --warmup_epochs; it is a key of the recipe: --set warmup_epochs=2"),
        (["--hflip"], "--set hflip=VALUE"),
        (["--dropuot", 0.1], "No such option: --dropuot; did you mean the recipe's key 'dropout'? Say --set dropout=0.1"),
        (["--batchsize", 8], "--batch-size"),
        (["--epochs", "many"], "'many' is not a valid integer"),
        (["--nothing-like-it"], "No such option"),
    ],
)
def test_a_key_in_the_wrong_place_is_answered_with_the_right_one(folder, tmp_path, arguments, message):
    done = run(folder, "-o", tmp_path / "out", *arguments)
    assert done.exit_code == 2 and message in done.stderr, done.stderr
    assert not (tmp_path / "out").exists()


def test_the_old_short_form_of_recipe_works_and_warns(folder, tmp_path):
    done = run(folder, "-o", tmp_path / "out", "-r", "paddle", *settings(epochs=1), *HOW)
    assert done.exit_code == 0 and "-r is called --recipe" in done.stderr
    assert recipe_of(tmp_path / "out")["decay_biases"] is True


def test_a_damaged_picture_is_one_line_that_says_what_to_do(tmp_path):
    data = write_classes(tmp_path / "data", each=6)
    (data / "green" / "001.png").write_bytes(b"no picture")
    command = [sys.executable, "-m", "lcnet", "train", data, "-o", tmp_path / "out", "--workers", "2", "--threads", "1"]
    done = subprocess.run([*command, *settings(epochs=1)], capture_output=True, text=True)
    assert done.returncode == 4 and "Traceback" not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert re.match(
        r"Error: .*green/001\.png: .*; --skip-unreadable leaves such pictures out, `lcnet check-data .*` lists them$", last
    )
    assert not (tmp_path / "out").exists()
    again = subprocess.run([*command, *settings(epochs=1), "--skip-unreadable"], capture_output=True, text=True)
    assert again.returncode == 1 and (tmp_path / "out" / "model.safetensors").exists(), again.stderr


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A folder with photos and a run that was stopped within its first epoch, begun from there with paths that are not full."""
    folder = tmp_path_factory.mktemp("stopped")
    write_classes(folder / "photos", each=10)
    command = ["train", "photos", "-o", "run", "--seed", "3", "--val-fraction", "0.3", "--batch-size", "64", *HOW]
    command += [f"--set={setting}" for setting in small(epochs=2) if not setting.startswith("batch")]
    script = (
        "import signal\nfrom lcnet.train.loop import Run\nstep = Run._step\n"
        "Run._step = lambda *a: (signal.raise_signal(signal.SIGINT), step(*a))[1]\n"
        f"from lcnet.cli import main\nmain({command!r})"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 130, done.stderr
    assert "`lcnet train --resume --output run` goes on from last.ckpt" in done.stderr
    return folder


class TestResumingByTheFolderAlone:
    @pytest.fixture
    def begun(self, stopped, tmp_path):
        shutil.copytree(stopped / "run", tmp_path / "run")
        return tmp_path

    def test_goes_on_with_what_the_run_had(self, begun, torch):
        assert torch.load(begun / "run" / "last.ckpt", weights_only=True)["place"]["updates"] == 1
        done = run("--resume", "--output", begun / "run")
        assert done.exit_code == 0, done.output
        rows = (begun / "run" / "metrics.jsonl").read_text().splitlines()
        told = json.loads((begun / "run" / "recipe.json").read_text())
        assert len(rows) == 2 and (told["seed"], told["recipe"]["batch_size"], told["asked"]["batch_size"]) == (3, 21, 64)

    def test_takes_a_key_again_without_fitting_it_twice(self, begun):
        assert run("--resume", "-o", begun / "run", "--batch-size", 64, "--workers", 1).exit_code == 0

    def test_says_where_the_pictures_were_and_takes_where_they_are(self, stopped, begun):
        path = begun / "run" / "recipe.json"
        told = json.loads(path.read_text())
        assert told["data"] == str(stopped / "photos")
        path.write_text(json.dumps({**told, "data": str(begun / "photos")}))
        done = run("--resume", "-o", begun / "run")
        assert done.exit_code == 4
        assert f"{begun / 'photos'}: the pictures of this run are not there any more" in done.stderr
        assert "`lcnet train DATA --resume --output " in done.stderr
        assert run(stopped / "photos", "--resume", "-o", begun / "run").exit_code == 0
        assert json.loads(path.read_text())["data"] == str(stopped / "photos")

    def test_refuses_what_would_change_a_number(self, begun):
        done = run("--resume", "-o", begun / "run", "--seed", 4)
        assert done.exit_code == 4 and "the run had seed 3, now it is 4" in done.stderr

    @pytest.mark.parametrize(
        "change",
        [
            lambda told: told.clear(),
            lambda told: told.update(asked=3),
            lambda told: told["asked"].update(epochs="x"),
            lambda told: told.update(seed="x"),
            lambda told: told.update(data=None),
        ],
    )
    def test_a_damaged_record_is_one_line(self, begun, change):
        told = json.loads((begun / "run" / "recipe.json").read_text())
        change(told)
        (begun / "run" / "recipe.json").write_text(json.dumps(told))
        done = run("--resume", "-o", begun / "run")
        assert done.exit_code == 4 and "recipe.json" in done.stderr and len(done.stderr.strip().splitlines()) == 1

    def test_needs_a_run(self, tmp_path):
        for folder in (tmp_path, tmp_path / "none"):
            done = run("--resume", "-o", folder)
            assert done.exit_code == 4 and "there is no recipe.json of a run in it" in done.stderr
        assert not (tmp_path / "none").exists()


def test_without_data_it_is_a_mistake(tmp_path):
    done = run("-o", tmp_path / "out")
    assert done.exit_code == 2 and "Missing argument 'DATA'" in done.stderr


def test_what_a_terminal_sees_before_the_first_epoch(folder, tmp_path):
    """A line says what is being done, from before torch is there, and is gone when there is something to tell."""
    from io import StringIO

    from lcnet.cli.train_screen import Screen
    from lcnet.train import fit

    class Terminal(StringIO):
        def isatty(self):
            return True

    screen = Screen(Terminal())
    screen.moves = True
    fit(folder, "quick", tmp_path / "out", small(epochs=1), workers=0, threads=1, events=screen)
    shown = screen.stream.getvalue()
    order = [shown.index(text) for text in (f"reading {folder} ...", "building the network ...", "begins from random weights")]
    order += [shown.index("first pictures ..."), shown.index("epoch 1 of 1")]
    assert order == sorted(order)
    quiet = Screen(StringIO())
    quiet.doing("something")
    quiet.clear()
    assert quiet.stream.getvalue() == ""
