"""`make test-wheels`: every wheel in dist/ that a Python here can take, installed from nothing, without a compiler, and used.

A new environment, a PATH without a compiler, the wheel and its dependencies: seconds from `pip install` to the first answer,
the size of what was installed, and the tests that need no more than the wheel. Wheels for ARM run in an emulated Python, named
by --emulated: `qemu-aarch64 -L ROOT ROOT/usr/bin/python3.13`, ROOT being Debian's packages for arm64 unpacked.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
MODEL = "lcnet_050.cifar10"  # bundled
ALIKE = 1e-5  # of probabilities: kernels with fused multiply-adds and those without differ in the last bits
BASE = 20e6  # bytes that lcnet itself may take once installed
SUITE = ("tests/runtime", "tests/image", "tests/modelfile", "tests/sources", "tests/test_files.py", "tests/test_package.py")
EMULATED = ("tests/modelfile/test_modelfile.py",)  # in one process, in a minute or two
QUIETLY = ("-m", "not alone", "-n", "2", "--dist", "loadfile")
TESTS = ("pytest", "pytest-xdist", "hypothesis")  # what the suite runs on; what else it would use it skips

PICTURE = "import sys; from PIL import Image; Image.linear_gradient('L').convert('RGB').save(sys.argv[1])"
ANSWER = """
import json, sys, time
start = time.perf_counter()
import lcnet
model = lcnet.load(sys.argv[1])
probs = [p.probability for p in sorted(model.classify(sys.argv[2], top_k=10)[0].top)]
print(json.dumps({"isa": model.isa, "probs": probs, "seconds": time.perf_counter() - start}))
"""
TAGS = """
import json, platform, sys
print(json.dumps(["cp%d%d" % sys.version_info[:2], platform.machine(), platform.python_version()]))
"""


def main() -> None:
    """Try every wheel for every Python, print a line each, and write the results."""
    parser = argparse.ArgumentParser(description="Install the wheels without a compiler, and use them.")
    parser.add_argument("--python", nargs="*", default=["python3.11", "python3.12"])
    parser.add_argument("--emulated", nargs="*", default=[], help="commands that run a Python of another processor")
    parser.add_argument("--wheels", type=Path, default=ROOT / "dist")
    parser.add_argument("--no-tests", action="store_true", help="only install and classify")
    parser.add_argument("-o", "--output", type=Path)
    chosen = parser.parse_args()
    wheels = sorted(chosen.wheels.glob("*.whl"))
    rows = [tried(python, wheels, not chosen.no_tests) for python in chosen.python]
    rows += [emulated(shlex.split(command), wheels) for command in chosen.emulated]
    first, *others = (row.pop("probs") for row in rows)
    if any(abs(p - q) > ALIKE for other in others for p, q in zip(first, other, strict=True)):
        sys.exit("the wheels answer differently")
    done = {"date": f"{datetime.now(UTC):%F}", "wheels": [size(wheel) for wheel in wheels], "tried": rows}
    if chosen.output:
        chosen.output.write_text(json.dumps(done, indent=1) + "\n")


def size(wheel: Path) -> dict[str, Any]:
    """How large a wheel and its compiled module are."""
    members = zipfile.ZipFile(wheel).infolist()
    native = next(m for m in members if "/_native." in m.filename and not m.filename.endswith(".pyi"))
    unpacked = sum(m.file_size for m in members)
    if unpacked > BASE:
        sys.exit(f"{wheel.name} is {unpacked} bytes once installed, expected at most {BASE:.0f}")
    return {"wheel": wheel.name, "bytes": wheel.stat().st_size, "installed": unpacked, "native": native.file_size}


def tried(python: str, wheels: list[Path], tests: bool) -> dict[str, Any]:
    """What came of the wheel that is for this Python."""
    tag, machine, version = json.loads(run(python, "-c", TAGS))
    wheel = taken(wheels, tag, machine)
    with tempfile.TemporaryDirectory() as folder:
        installed(python, Path(folder) / "warm", wheel)  # so that the dependencies are in pip's cache
        inside = environment(python, Path(folder) / "environment")
        start = time.perf_counter()
        install(inside, wheel)
        answer = first_answer([str(inside)], Path(folder) / "picture.png", without_compiler(inside))
        row = {"python": version, "machine": machine, "wheel": wheel.name, "seconds": round(time.perf_counter() - start, 1)}
        row |= {"isa": answer["isa"], "probs": answer["probs"]}
        if tests:
            row["tests"] = suite(inside, without_compiler(inside))
    print({key: value for key, value in row.items() if key != "probs"}, flush=True)
    return row


def installed(python: str, folder: Path, wheel: Path) -> Path:
    """The interpreter of a new environment that has the wheel and its dependencies."""
    inside = environment(python, folder)
    install(inside, wheel)
    return inside


def environment(python: str, folder: Path) -> Path:
    """The interpreter of a new environment."""
    run(python, "-m", "venv", folder)
    inside = folder / "bin" / "python"
    inside.with_name("bash").symlink_to(shutil.which("bash") or "/bin/bash")  # which tests call
    return inside


def install(inside: Path, wheel: Path) -> None:
    """The wheel and its dependencies, none of which may be built."""
    run(inside, "-m", "pip", "install", "-q", "--only-binary", ":all:", wheel, **without_compiler(inside))


def without_compiler(inside: Path) -> dict[str, str]:
    """Variables under which only the environment's own programs are found."""
    return {"PATH": str(inside.parent), "CC": "", "CXX": ""}


def first_answer(python: list[str], picture: Path, variables: dict[str, str]) -> dict[str, Any]:
    """What a picture is taken for."""
    run(*python, "-c", PICTURE, picture, **variables)
    answer: dict[str, Any] = json.loads(run(*python, "-c", ANSWER, MODEL, picture, **variables))
    return answer


def suite(inside: Path, variables: dict[str, str]) -> str:
    """How many tests of the suite passed with the installed wheel; all must that are not skipped."""
    run(inside, "-m", "pip", "install", "-q", *TESTS, **variables)
    told = run(inside, "-m", "pytest", "-q", "-p", "no:cacheprovider", *QUIETLY, *SUITE, **variables)
    counts = re.search(r"\d+ passed.*?(?= in )", told)
    assert counts, told
    return counts[0]


def emulated(command: list[str], wheels: list[Path]) -> dict[str, Any]:
    """The same for a Python of another processor, which has no pip: this one's fetches what it needs and unpacks it."""
    tag, machine, version = json.loads(run(*command, "-c", TAGS))
    wheel = taken(wheels, tag, machine)
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder) / "site"
        platforms = [f"--platform=manylinux_{minor}_{machine}" for minor in ("2_17", "2_27", "2_28")]
        for_it = ["--python-version", tag.removeprefix("cp").replace("3", "3.", 1), "--implementation", "cp", *platforms]
        run(sys.executable, "-m", "pip", "install", "-q", "--target", site, "--only-binary", ":all:", *for_it, wheel, *TESTS)
        answer = first_answer(command, Path(folder) / "picture.png", {"PYTHONPATH": str(site)})
        tests = run(*command, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *EMULATED, PYTHONPATH=str(site))
    counts = re.search(r"\d+ passed.*?(?= in )", tests)
    row = {"python": version, "machine": f"{machine}, emulated", "wheel": wheel.name, "isa": answer["isa"]}
    row |= {"probs": answer["probs"], "tests": counts and counts[0]}
    print({key: value for key, value in row.items() if key != "probs"}, flush=True)
    return row


def taken(wheels: list[Path], tag: str, machine: str) -> Path:
    """The wheel that pip would take."""
    fitting = [wheel for wheel in wheels if machine in wheel.name and (f"-{tag}-" in wheel.name or "-abi3-" in wheel.name)]
    fitting = [wheel for wheel in fitting if "abi3" not in wheel.name or int(tag[3:]) >= 12]
    if not fitting:
        sys.exit(f"no wheel is for {tag} on {machine}: make wheels first")
    return fitting[0]


def run(*command: str | Path, **variables: str) -> str:
    """What a program prints. It ends this one, with what it said, if it fails."""
    code, said = outcome(*command, **variables)
    if code:
        sys.exit(f"{shlex.join(str(part)[:60] for part in command)} failed:\n{said[-8000:]}")
    return said


def outcome(*command: str | Path, **variables: str) -> tuple[int, str]:
    """A program's exit code and what it printed; if it failed, its errors too."""
    outside = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([str(part) for part in command], cwd=ROOT, env=outside | variables, capture_output=True, text=True)
    return done.returncode, done.stdout + (done.stderr if done.returncode else "")


if __name__ == "__main__":
    main()
