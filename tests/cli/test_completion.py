"""What a shell completes, by the protocol that click's scripts speak: right, quick, and without a network."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lcnet import zoo
from lcnet.cli import COMMANDS, main

DOC = (Path(__file__).parents[2] / "docs" / "completion.md").read_text(encoding="utf-8")
HEAVY = ("numpy", "PIL", "torch", "safetensors", "huggingface_hub", "lcnet._native", "socket", "asyncio")
# What the process has loaded is written when it ends; a socket ends it at once.
WATCH = """
import atexit, os, sys
sys.addaudithook(lambda event, _: os._exit(99) if event.startswith("socket.") else None)
atexit.register(lambda: open(os.environ["LOADED"], "w").write("\\n".join(sys.modules)))
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shell")
    (folder / "sitecustomize.py").write_text(WATCH)
    (folder / "lcnet").write_text(f'#!/bin/sh\nexec {sys.executable} -m lcnet "$@"\n')
    (folder / "lcnet").chmod(0o755)
    return folder


def run(place, command, **environment):
    kept = {**os.environ, **environment, "LOADED": str(place / "loaded"), "PATH": f"{place}{os.pathsep}{os.environ['PATH']}"}
    kept["PYTHONPATH"] = os.pathsep.join([str(place), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(command, capture_output=True, text=True, env=kept, timeout=60, cwd=place)
    assert (done.returncode, done.stderr) == (0, ""), (done.returncode, done.stderr)
    return done.stdout


def completed(place, line):
    """The values for the last word of a line, which may be empty; what is a file is left to the shell."""
    words = line.split(" ")
    told = run(
        place, [sys.executable, "-m", "lcnet"], _LCNET_COMPLETE="bash_complete", COMP_WORDS=line, COMP_CWORD=str(len(words) - 1)
    )
    assert not set((place / "loaded").read_text().split("\n")) & set(HEAVY)
    return [row.partition(",")[2] if row.startswith("plain") else row for row in told.split()]


MODELS = sorted({*zoo.list_models(), *(name for e in zoo.search() for name in (e.name, *e.aliases))})
OF_050 = [name for name in MODELS if name.startswith("lcnet_050")]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("lcnet ", list(COMMANDS)),
        ("lcnet e", ["embed", "evaluate", "export"]),
        ("lcnet --ver", ["--version"]),
        ("lcnet classify --max-p", ["--max-pixels"]),
        ("lcnet classify --precision ", ["fp32", "bf16"]),
        ("lcnet classify a.jpg -m lcnet_050", [*OF_050, "file,lcnet_050"]),
        ("lcnet classify a.jpg --model=lcnet_050", [*OF_050, "file,lcnet_050"]),
        ("lcnet classify a", ["file,a"]),
        ("lcnet info lcnet_050", [*OF_050, "file,lcnet_050"]),
        ("lcnet info doc", ["doc_ori", "file,doc"]),
        ("lcnet evaluate ", [*MODELS, "file,"]),
        ("lcnet evaluate lcnet_050 ", ["file,"]),
        ("lcnet evaluate -m lcnet_050 ", ["file,"]),
        ("lcnet evaluate -m lcnet_050", [*OF_050, "file,lcnet_050"]),
        ("lcnet export -m lcnet_050 ", ["file,"]),
        ("lcnet train data --recipe fi", ["finetune", "file,fi"]),
        ("lcnet recipes qu", ["quick", "file,qu"]),
        ("lcnet download --t", []),  # --to is an old spelling
    ],
)
def test_what_is_completed(place, line, expected):
    found = completed(place, line)
    assert found == expected


def test_every_option_that_help_shows_is_completed(place):
    for command in ("train", "evaluate", "bench"):
        shown = {o for p in main.get_command(None, command).params if not getattr(p, "hidden", False) for o in p.opts}
        assert {o for o in shown if o.startswith("--")} < set(completed(place, f"lcnet {command} --"))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_lines_of_the_documentation_give_a_script_of_the_shell(place, shell):
    (line,) = re.findall(rf"`([^`]*{shell}_source[^`]*)` \|", DOC)
    command = re.search(r"_LCNET_COMPLETE=\w+ lcnet", line)[0]
    script = run(place, ["sh", "-c", command])
    assert f"_LCNET_COMPLETE={shell}_complete" in script and len(script) > 300
    if program := shutil.which(shell):
        subprocess.run([program, "-n"], input=script, text=True, check=True)


def test_bash_completes_as_documented(place):
    """The documented line in a real bash, whose completion function is then called as Tab does."""
    (line,) = re.findall(r"`(eval[^`]*bash_source[^`]*)`", DOC)
    tab = "COMP_WORDS=(lcnet ev); COMP_CWORD=1; _lcnet_completion lcnet ev lcnet; echo ${COMPREPLY[@]}"
    assert run(place, ["bash", "-c", f"{line}\n{tab}"]) == "evaluate\n"


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_starts_light(place, command):
    run(place, [sys.executable, "-m", "lcnet", *filter(None, [command]), "--help"])
    loaded = set((place / "loaded").read_text().split("\n"))
    assert "lcnet.cli" in loaded and not loaded & {*HEAVY, "lcnet.runtime", "concurrent.futures", "multiprocessing", "email"}
