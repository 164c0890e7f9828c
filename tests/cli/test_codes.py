"""The exit codes: one table, the same of every command."""

import os
import signal
import subprocess
import sys

import pytest
from click.testing import CliRunner
from labelled import animals
from pictures import encoded, picture

from lcnet import errors, stop
from lcnet.cli import COMMANDS, codes, main
from lcnet.cli.codes import DONE, FAILED, INCOMPLETE, INTERRUPTED, MEANINGS, READER_GONE, REFUSED, TERMINATED, USAGE

MODEL = ["-m", "lcnet_050.cifar10", "--threads", "1"]


def code_of(*arguments):
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    return result.exit_code


def test_the_table_is_what_shells_know():
    assert [DONE, INCOMPLETE, USAGE, REFUSED, FAILED] == [0, 1, 2, 3, 4]
    assert stop.code(KeyboardInterrupt()) == INTERRUPTED == 130 and stop.code(stop.Terminated()) == TERMINATED == 143
    assert READER_GONE == 128 + signal.SIGPIPE == 141
    assert list(MEANINGS) == sorted(MEANINGS) and len(MEANINGS) == 8


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unknown_option_is_usage(command):
    assert code_of(command, "--no-such-option") == USAGE


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.InputError("x"), FAILED),
        (errors.ImageError("x"), FAILED),
        (errors.MissingExtraError("x"), FAILED),
        (OSError(28, "No space left on device"), FAILED),
        (MemoryError(), FAILED),
        (errors.RefusedError("x"), REFUSED),
        (codes.Misuse("x"), USAGE),
        (codes.Failure("x"), FAILED),
        (KeyboardInterrupt(), INTERRUPTED),
        (stop.Terminated(), TERMINATED),
    ],
)
def test_every_error_has_a_code(monkeypatch, error, code):
    def fail(*_):
        raise error

    monkeypatch.setattr("lcnet.zoo.search", fail)
    assert code_of("models") == code


def test_what_a_gate_refuses_says_so_by_its_kind():
    from lcnet.export import ExportError
    from lcnet.quantize import GateError

    assert issubclass(ExportError, errors.RefusedError) and issubclass(GateError, errors.RefusedError)


def test_an_export_that_computes_something_else_is_refused(tmp_path, monkeypatch):
    onnx = pytest.importorskip("lcnet.export.onnx")
    pytest.importorskip("onnx", reason="onnx (extra: export) is not installed")
    from lcnet.export import ExportError

    def differs(*_):
        raise ExportError("it differs")

    monkeypatch.setattr(onnx, "parity", differs)
    assert code_of("export", "lcnet_050.cifar10", tmp_path / "m.onnx") == REFUSED
    assert os.listdir(tmp_path) == []


def test_pictures_that_cannot_be_read_are_told_by_every_command(tmp_path):
    animals(tmp_path / "data", count=3)
    good = next((tmp_path / "data").rglob("*.*"))
    assert code_of("classify", good, *MODEL) == DONE
    (good.parent / "bad.png").write_bytes(b"broken")
    for command in (["classify"], ["embed", "-o", tmp_path / "e.npz"], ["features", "-o", tmp_path / "f.npz"]):
        assert code_of(*command, good.parent, *MODEL) == INCOMPLETE
    evaluate = ["evaluate", "lcnet_050.cifar10", tmp_path / "photos", "--threads", 1]
    for label in ("cat", "dog"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        (tmp_path / "photos" / label / "a.png").write_bytes(encoded(picture(seed=len(label)), "PNG"))
    assert code_of(*evaluate) == code_of("check-data", tmp_path / "photos") == DONE
    assert code_of("pack", tmp_path / "photos", tmp_path / "a") == DONE
    (tmp_path / "photos" / "cat" / "b.png").write_bytes(b"broken")
    assert code_of(*evaluate) == code_of("pack", tmp_path / "photos", tmp_path / "b") == FAILED
    assert code_of(*evaluate, "--skip-unreadable") == INCOMPLETE
    assert code_of("pack", tmp_path / "photos", tmp_path / "b", "--skip-unreadable") == INCOMPLETE
    assert code_of("check-data", tmp_path / "photos") == INCOMPLETE


def test_a_bug_is_told_in_full_and_is_no_half_success():
    program = "import sys\nfrom lcnet import zoo, __main__\nzoo.search = None\nsys.argv = ['lcnet', 'models']\n__main__.main()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == FAILED and "TypeError" in done.stderr


@pytest.mark.parametrize(("environment", "code"), [({}, INCOMPLETE), ({"RANK": "0"}, DONE)])
def test_training_tells_of_pictures_that_it_left_out_but_to_torchrun(torch, tmp_path, monkeypatch, environment, code):
    from lcnet.train import training

    fitted = training.Fit(tmp_path / "model.safetensors", 1, 1, {}, ("bad.png",))
    monkeypatch.setattr(training, "fit", lambda *_, **__: fitted)
    monkeypatch.delenv("RANK", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert code_of("train", tmp_path, "-o", tmp_path / "run") == code
