"""`make arm`: the core for 64-bit ARM, built here and tested without such a machine.

The C++ tests of all ISAs run under QEMU as CPUs with and without dot products, a Raspberry Pi 3's, 4's and 5's among them: what
any of them lacks ends a test. With --python, an emulated Python (`qemu-aarch64 -L ROOT ROOT/usr/bin/python3.11`, ROOT being
Debian's arm64 packages unpacked), also the Python suite's runtime, CLI and quantize tests. What is missing is named, and
how to install it.
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
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build" / "arm"
SITE = ROOT / "build" / "arm-site"  # what an emulated Python imports
CPUS = ("cortex-a53", "cortex-a72", "cortex-a76", "max")
DOT = ("cortex-a76", "max")  # those with dot products
GOLDEN = ROOT / "tests" / "golden" / "networks.txt"
TESTS: dict[str, tuple[str, ...]] = {
    "kernels": ("60",),
    "int8": ("60",),
    "golden": (str(GOLDEN),),
    "threads": (),
    "engine": (),
    "int8_engine": (),
}
SUITE = ("tests/runtime", "tests/cli", "tests/quantize")
PACKAGES = ("numpy", "pillow", "safetensors", "huggingface_hub", "click", "pytest", "hypothesis")
NEEDED = {
    "cmake": "cmake",
    "ninja": "ninja-build",
    "aarch64-linux-gnu-g++": "g++-aarch64-linux-gnu",
    "qemu-aarch64": "qemu-user",
}
TAG = "import sys; print('%d.%d' % sys.version_info[:2])"


def main() -> None:
    """Build, run, and print a line a test."""
    parser = argparse.ArgumentParser(description="Build and test the core for 64-bit ARM, emulated.")
    parser.add_argument("--cpu", nargs="+", default=CPUS)
    parser.add_argument("--test", nargs="+", default=list(TESTS), choices=TESTS)
    parser.add_argument("--python", help="a command that runs an emulated Python: the Python suite too")
    parser.add_argument("--suite", nargs="*", default=SUITE, help="which tests of it")
    parser.add_argument("--clang", action="store_true", help="build with Clang, as wheels are")
    chosen = parser.parse_args()
    missing = [package for tool, package in NEEDED.items() if not shutil.which(tool)]
    if missing:
        sys.exit(f"the tests for ARM need {', '.join(missing)}: apt-get install {' '.join(missing)}")
    build(BUILD, chosen.clang, [f"{test}_test" for test in chosen.test], "-DLCNET_KERNEL_TESTS=ON")
    for cpu in chosen.cpu:
        for test in chosen.test:
            emulate(cpu, test)
    if chosen.python:
        python_suite(shlex.split(chosen.python), chosen.clang, list(chosen.suite))


def build(folder: Path, clang: bool, targets: list[str], *options: str) -> None:
    """Configure for ARM and build some targets."""
    toolchain = f"-DCMAKE_TOOLCHAIN_FILE={ROOT / 'cmake' / 'aarch64.cmake'}"
    compiler = f"-DLCNET_ARM_CLANG={'ON' if clang else 'OFF'}"
    run("cmake", "-S", ROOT, "-B", folder, "-G", "Ninja", toolchain, compiler, *options)
    run("cmake", "--build", folder, "--target", *targets)


def emulate(cpu: str, test: str) -> None:
    """One program on one CPU, which must have run the ISAs that the CPU has and no other."""
    start = time.perf_counter()
    told = run("qemu-aarch64", "-cpu", cpu, BUILD / f"{test}_test", *TESTS[test])
    ran_dot = bool(re.search(r"^neon_dot: (?!not)", told, re.MULTILINE))
    if "neon:" not in told or (ran_dot and cpu not in DOT):
        sys.exit(f"{test} on {cpu} ran other ISAs than this CPU has:\n{told}")
    print(f"{cpu:12} {test:12} passed in {time.perf_counter() - start:.0f} s", flush=True)


def python_suite(python: list[str], clang: bool, suite: list[str]) -> None:
    """The Python tests in an emulated Python, on a CPU without dot products and on one with them."""
    prepare(python, clang)
    for cpu in ("cortex-a53", "max"):
        start = time.perf_counter()
        as_program(shlex.join([*python[:1], "-cpu", cpu, *python[1:]]))
        told = run(
            *(*python[:1], "-cpu", cpu, *python[1:]),
            *("-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", "not alone", *suite),
            PYTHONPATH=str(SITE),
        )
        counts = re.search(r"\d+ passed.*?(?= in )", told)
        print(f"{cpu:12} Python: {counts and counts[0]} in {time.perf_counter() - start:.0f} s", flush=True)


def as_program(command: str) -> None:
    """A program that is the emulated Python, for tests that start another: the system cannot run the real one."""
    program = SITE / "python"
    program.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    program.chmod(0o755)
    (SITE / "sitecustomize.py").write_text(f"import sys\n\nsys.executable = {str(program)!r}\n")


def prepare(python: list[str], clang: bool) -> None:
    """The package with its module built for ARM, and what it depends on, into SITE."""
    version = run(*python, "-c", TAG).strip()
    if not (SITE / "numpy").exists():
        platforms = [f"--platform=manylinux_{minor}_aarch64" for minor in ("2_17", "2_27", "2_28")]
        for_it = ["--python-version", version, "--implementation", "cp", *platforms, "--only-binary", ":all:"]
        run(sys.executable, "-m", "pip", "install", "-q", "--target", SITE, *for_it, *PACKAGES)
    found = run(sys.executable, "-m", "nanobind", "--cmake_dir").strip()
    mine = (f"-Dnanobind_DIR={found}", f"-DPython_EXECUTABLE={sys.executable}")
    build(BUILD / "python", clang, ["_native"], *mine)
    module = next((BUILD / "python").glob("_native*.so"))
    shutil.copytree(ROOT / "src" / "lcnet", SITE / "lcnet", dirs_exist_ok=True, ignore=shutil.ignore_patterns("_native*.so"))
    shutil.copy(module, SITE / "lcnet" / "_native.so")
    described = SITE / "lcnet.dist-info"
    described.mkdir(exist_ok=True)
    ours = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    (described / "METADATA").write_text(f"Metadata-Version: 2.1\nName: lcnet\nVersion: {ours}\n")
    facts = {"compiler": "clang" if clang else "gcc", "python": version}
    (SITE / "built.json").write_text(json.dumps(facts) + "\n")


def run(*command: str | Path, **variables: str) -> str:
    """What a program prints. It ends this one, with what it said, if it fails."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | variables
    words = [str(part) for part in command]
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(
            f"{shlex.join(word[:60] for word in words)} failed ({done.returncode}):\n{(done.stdout + done.stderr)[-8000:]}"
        )
    return done.stdout


if __name__ == "__main__":
    main()
