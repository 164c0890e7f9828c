"""`lcnet bench`: what cannot be is said before the work, what engines print is lost, and what is done is shown."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from click.testing import CliRunner

from lcnet.bench import Timing, apart, conditions, peers
from lcnet.cli import main
from lcnet.cli.bench import Screen
from lcnet.errors import InputError, LcnetError

FAST = ["bench", "lcnet_050.cifar10", "--size", "32", "--rounds", "1"]


def run(*arguments, code=0):
    done = CliRunner().invoke(main, [*FAST, *map(str, arguments)])
    assert done.exit_code == code, done.output + repr(done.exception)
    return done


@pytest.fixture
def unmeasured(monkeypatch):
    monkeypatch.setattr(apart, "compare_apart", lambda *_: pytest.fail("something was measured"))


@pytest.fixture
def measured(monkeypatch):
    """What would be measured, at once: the engines and the setting of every comparison."""
    row = Timing("lcnet", "0", "m", 32, 32, 1, 1, "fp32", 1.0, 0.99, 1.01, 9, 1.0, 0.0, 1e3, 1.0, None)
    seen = []

    def compare(model, name, engines, setting, rounds, report, progress):
        seen.append((name, engines, setting))
        return [replace(row, engine=engine) for engine in engines]

    monkeypatch.setattr(apart, "compare_apart", compare)
    monkeypatch.setattr("os.getloadavg", lambda: (0.1, 0.1, 0.1))
    return seen


def without(monkeypatch, *modules):
    for place in ("lcnet.bench.conditions.find_spec", "lcnet.cli.bench.find_spec"):
        monkeypatch.setattr(place, lambda name: None if name in modules else name)


def test_every_engine_says_what_it_needs():
    assert set(conditions.NEEDS) == {"lcnet", *peers.PEERS}


def test_an_engine_that_is_named_has_to_be_there(monkeypatch, unmeasured):
    without(monkeypatch, "ncnn", "onnx")
    done = run("--engines", "lcnet,ncnn", code=4)
    assert done.stderr == "Error: ncnn cannot be measured: ncnn not installed: pip install ncnn\n"
    assert "onnx not installed" in run("--engines", "onnxruntime", code=4).stderr
    done = run("--engines", "onnxrutime", code=2)
    assert "unknown engine 'onnxrutime'; did you mean 'onnxruntime'" in done.stderr and done.stderr.count("\n") == 1


def test_a_compiler_that_torch_needs_is_asked_for_too(monkeypatch, unmeasured, torch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert "a C++ compiler" in run("--engines", "torch.compile", code=4).stderr


def test_of_all_engines_those_are_measured_that_are_here(monkeypatch, measured):
    without(monkeypatch, "ncnn", "openvino", "torch")
    done = run()
    assert done.stderr.startswith("lcnet: not here, and left out: openvino, ncnn, torch, torch.compile\n")
    assert [engines for _, engines, _ in measured] == [["lcnet", "onnxruntime"]]


def test_files_are_asked_for_before_the_work_and_never_replaced_unasked(tmp_path, monkeypatch, unmeasured):
    (tmp_path / "r.json").write_text("precious")
    assert "exists" in run("-o", tmp_path / "r.json", code=4).stderr
    assert "there is no folder" in run("-o", tmp_path / "no" / "r.json", code=4).stderr
    assert "expected a name that ends in .json" in run("-o", tmp_path / "r.txt", code=2).stderr
    without(monkeypatch, "matplotlib")
    assert "pip install 'lcnet[bench]'" in run("-o", tmp_path / "r.svg", code=4).stderr
    assert [p.name for p in tmp_path.iterdir()] == ["r.json"] and (tmp_path / "r.json").read_text() == "precious"


def test_numbers_are_written_and_old_spellings_warn(tmp_path, measured):
    run("--engines", "lcnet", "-o", tmp_path / "a.json", "-o", tmp_path / "b.json")
    done = run("--engines", "lcnet", "--json", tmp_path / "a.json", "--overwrite")
    assert "--json is called --output" in done.stderr
    for name in "ab":
        assert json.loads((tmp_path / f"{name}.json").read_text())["timings"][0]["engine"] == "lcnet"


def test_models_by_place_and_by_option(measured):
    CliRunner().invoke(main, ["bench", "lcnet_050.cifar10", "lcnet_035", "--engines", "lcnet"])
    CliRunner().invoke(main, ["bench", "-m", "lcnet_050.cifar10", "-m", "lcnet_035", "--engines", "lcnet"])
    assert [name for name, _, _ in measured] == ["lcnet_050.cifar10", "lcnet_035"] * 2
    done = CliRunner().invoke(main, ["bench", "lcnet_050.cifar10", "-m", "lcnet_035"])
    assert done.exit_code == 2 and "MODEL is named twice" in done.output


@pytest.mark.parametrize(("load", "said"), [(0.3, False), (1.7, True)])
def test_a_busy_machine_is_told_in_one_line(monkeypatch, measured, load, said):
    monkeypatch.setattr("os.getloadavg", lambda: (load, 0, 0))
    monkeypatch.setattr(conditions, "usable_cpus", lambda: 4)
    lines = run("--engines", "lcnet").stderr.splitlines()
    assert len(lines) == 1 + said and ("busy (load 1.7 on" in lines[0]) == said
    monkeypatch.setattr(conditions, "usable_cpus", lambda: 16)
    assert conditions.load() == ""
    monkeypatch.delattr("os.getloadavg")
    assert conditions.load() == ""


def test_times_that_spread_are_told(monkeypatch, measured):
    row = apart.compare_apart(None, "m", ["lcnet"], None, 1, None, None)[0]
    assert conditions.unsteady([]) == conditions.unsteady([row, replace(row, high=1.2)]) == ""
    wide = [row, replace(row, engine="torch", low=0.5, high=1.0)]
    assert conditions.unsteady(wide).startswith("the times of torch differ 2.0-fold: something else was running")
    monkeypatch.setattr(apart, "compare_apart", lambda *_: wide)
    assert "differ 2.0-fold" in run("--engines", "lcnet").stderr
    monkeypatch.setattr("os.getloadavg", lambda: (1.7, 0, 0))
    assert "differ" not in run("--engines", "lcnet").stderr  # once is enough


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_sees_what_is_being_done(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    screen = Screen("1 of 2: m")
    screen.show("round 1 of 15")
    screen.say("torch: left out")
    screen.clear()
    assert sys.stderr.getvalue() == "\r\x1b[K1 of 2: m: starts\r\x1b[K1 of 2: m: round 1 of 15\r\x1b[Klcnet: torch: left out\n"


NOISE = "import os, sys, warnings\nfor n in (1, 2): os.write(n, b'NOISE')\nprint('NOISE')\nwarnings.warn('NOISE')\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "exit_code", "words"),
    [
        (NOISE, 0, "ncnn: left out, it failed: AttributeError: module 'ncnn' has no attribute 'Net'"),
        (f"{NOISE}raise ValueError('a' * 999)", 0, f"ncnn: left out, it failed: ValueError: {'a' * 200}\n"),
        (f"{NOISE}raise ImportError('broken')", 0, "ncnn: left out, it is not installed (broken)"),
        (f"{NOISE}os._exit(7)", 4, "Error: the process that measures has died, by one of the engines"),
    ],
)
def test_what_an_engine_prints_is_lost_and_how_it_fails_is_told(tmp_path, monkeypatch, code, exit_code, words):
    (tmp_path / "ncnn.py").write_text(code)
    path = {"PYTHONPATH": f"{tmp_path}:{':'.join(filter(None, sys.path))}"}
    command = [sys.executable, "-m", "lcnet", *FAST, "--engines", "ncnn"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **path}, timeout=120)
    assert done.returncode == exit_code and words in done.stderr, done.stderr
    assert "NOISE" not in done.stdout + done.stderr and "Traceback" not in done.stderr
    assert ("lcnet 0" in done.stdout) == (exit_code == 0)


@pytest.mark.slow
def test_ctrl_c_ends_it_in_one_line():
    command = [sys.executable, "-m", "lcnet", *FAST[:2], "--engines", "lcnet", "--rounds", "10000"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while "1 of 1" not in process.stderr.readline():
        pass
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    out, told = process.communicate(timeout=30)
    assert (process.returncode, out, told) == (130, "", "lcnet: stopped\n")


@pytest.mark.slow
def test_an_error_of_the_measuring_process_is_ours(monkeypatch):
    from lcnet.bench import Setting
    from lcnet.bench.weights import random_model
    from lcnet.zoo import find

    model, told = random_model(find("lcnet_025").config()), []
    setting = Setting(1, 1, "fp32", 32, 32)
    with pytest.raises(InputError, match="unknown engine 'x'"):
        apart.compare_apart(model, "m", ["x"], setting, 1, print, told.append)
    rows = apart.compare_apart(model, "m", ["lcnet"], setting, 2, print, told.append)
    assert [row.engine for row in rows] == ["lcnet"]
    assert told == ["lcnet gets ready", "warms up", "round 1 of 2", "round 2 of 2"] and issubclass(InputError, LcnetError)
