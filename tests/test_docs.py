"""The documentation is true: tables equal their measurements, commands exist, the examples run."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from lcnet.cli import COMMANDS, every_command, main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_tables_equal_their_measurements():
    done = subprocess.run([sys.executable, ROOT / "bench/readme_tables.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_pages_of_commands_and_names_are_as_the_code_is(torch):
    done = subprocess.run([sys.executable, ROOT / "scripts/reference.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_command_is_in_the_readme_and_every_command_of_the_readme_exists():
    shown = set(re.findall(r"^lcnet ([\w-]+)", README, re.M))
    assert shown <= set(COMMANDS)
    assert {c for c in COMMANDS if f"lcnet {c}" not in README} == set()


def test_sizes_of_wheels_are_those_that_were_measured():
    page = (ROOT / "docs/install.md").read_text(encoding="utf-8")
    for row in json.loads((ROOT / "results/wheels.json").read_text(encoding="utf-8"))["wheels"]:
        machine = "x86-64" if "x86_64" in row["wheel"] else "ARM"
        assert re.search(rf"^\| Linux, {machine}.*\| {row['bytes'] / 1e6:.1f} MB \|", page, re.M), row


def test_links_lead_somewhere():
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\((?!http|#)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_options_in_the_readme_exist():
    commands = every_command()
    for line in re.findall(r"^lcnet [^\n#]+", README, re.M):
        words = line.split()
        command = commands.get(" ".join(words[1:3])) or commands[words[1]]
        known = {option for p in command.params for option in p.opts}
        for option in (w.partition("=")[0] for w in words[2:] if w.startswith("-")):
            assert option in known, line


@pytest.mark.parametrize("section", ["Image classification", "Feature map extraction", "Image embeddings"])
def test_the_runtime_examples_run(section, tmp_path, monkeypatch):
    """As printed, but with the bundled model in place of the one that needs the hub."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name in ("cat.jpg", "dog.png"):
        Image.fromarray(rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)).save(name)
    code = README.split(f"### {section}\n", 1)[1].split("```python\n", 1)[1].split("```", 1)[0]
    load = 'import lcnet\nmodel = lcnet.load("lcnet_050.cifar10")\n'
    exec(load + code.replace("lcnet_050.ra2_in1k", "lcnet_050.cifar10"), {})


def test_the_torch_example_runs(torch, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (60, 80), "teal").save("cat.jpg")
    code = README.split("## Coming from timm\n", 1)[1].split("```python\n", 1)[1].split("```", 1)[0]
    values = {}
    exec(code.replace("lcnet_050.ra2_in1k", "lcnet_050.cifar10"), values)
    assert values["top5_probabilities"].shape == (1, 5) and values["top5_class_indices"].shape == (1, 5)


def test_help_of_every_command_is_one_screen():
    for command in [*COMMANDS, *every_command()]:
        result = CliRunner().invoke(main, [*command.split(), "--help"])
        assert result.exit_code == 0 and len(result.output.splitlines()) < 70


def test_the_demo_takes_pictures_and_folders(tmp_path):
    Image.new("RGB", (60, 80), "teal").save(tmp_path / "teal.jpg")
    command = [sys.executable, ROOT / "scripts/demo.py", tmp_path, tmp_path / "teal.jpg", tmp_path / "none.jpg"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("teal.jpg") == 2 and "none.jpg" in done.stderr
