"""Whether this checkout can be released: `make release-check`, or with the tag that is to be, `TAG=v1.2.3 make release-check`.

One version everywhere, a README that renders, and a source distribution that builds, installs and classifies in an environment
of its own. Prints a line a check and exits with 1 if one fails.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from pypi_readme import LINK, absolute

ROOT = Path(__file__).parents[1]
SDIST = ("LICENSE", "THIRD_PARTY_NOTICES.md", "README.md", "CMakeLists.txt", "native/bind.cpp", "src/lcnet/_native.pyi")
WHEEL = ("lcnet/py.typed", "lcnet/_native.pyi", "lcnet/labels/imagenet1k.tsv", "lcnet/bundled/lcnet_050.cifar10.safetensors")
LICENSES = ("licenses/LICENSE", "licenses/THIRD_PARTY_NOTICES.md")


class CheckError(Exception):
    """What keeps it from being released."""


def project_version() -> str:
    """The version of pyproject.toml, from which every other is to follow."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])


def check_versions(version: str, tag: str) -> None:
    """pyproject.toml, CITATION.cff, the newest section of the changelog and the tag name one version."""
    cited = re.search(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    section = re.search(r"^## (\S+), (\S+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    found = {
        "CITATION.cff": cited and cited[1],
        "the newest section of CHANGELOG.md": section and section[1],
        "the tag": tag.removeprefix("v") if tag else version,
    }
    for name, other in found.items():
        if other != version:
            raise CheckError(f"{name} says {other}, pyproject.toml {version}")
    if tag and section and not re.fullmatch(r"\d{4}-\d\d-\d\d", section[2]):
        raise CheckError(f"CHANGELOG.md says '{version}, {section[2]}', expected the date of the release")


def check_links(version: str, _: str) -> None:
    """Every relative link of the README leads somewhere, and none is left where it is shown elsewhere."""
    text = (ROOT / "README.md").read_text()
    for target in (found["target"] for found in LINK.finditer(text)):
        if not re.match(r"[a-z]+:|#", target) and not (ROOT / target.partition("#")[0]).exists():
            raise CheckError(f"README.md links to {target}, which is not there")
    for found in LINK.finditer(absolute(text, "https://example.org/lcnet", f"v{version}")):
        if not re.match(r"[a-z]+:|#", found["target"]):
            raise CheckError(f"README.md has a link to {found['target']} that stays relative")


def check_distributions(version: str, _: str) -> None:
    """The sdist has what a build needs, a wheel built from nothing else has what a user needs, and both render on an index."""
    with tempfile.TemporaryDirectory() as folder:
        run("-m", "build", "--outdir", folder, str(ROOT))  # the wheel is built from the unpacked sdist
        (sdist,), (wheel,) = Path(folder).glob("*.tar.gz"), Path(folder).glob("*.whl")
        with tarfile.open(sdist) as archive:
            check_members("the sdist", [name.partition("/")[2] for name in archive.getnames()], SDIST)
        names = zipfile.ZipFile(wheel).namelist()
        check_members("the wheel", names, (*WHEEL, *(f"lcnet-{version}.dist-info/{name}" for name in LICENSES)))
        run("-m", "twine", "check", "--strict", str(sdist), str(wheel))
        check_installed(wheel, Path(folder) / "environment", version)


def check_members(what: str, found: list[str], expected: tuple[str, ...]) -> None:
    """Raise `CheckError` for members that are not there."""
    if missing := sorted(set(expected) - set(found)):
        raise CheckError(f"{what} lacks {', '.join(missing)}")


def check_installed(wheel: Path, environment: Path, version: str) -> None:
    """The wheel alone, in an environment of its own, knows its version and classifies."""
    run("-m", "venv", str(environment))
    run("-m", "pip", "install", "--quiet", "-c", str(ROOT / "constraints.txt"), str(wheel), python=environment / "bin/python")
    said = run("-m", "lcnet", "--version", python=environment / "bin/python")
    if version not in said:
        raise CheckError(f"the installed package says {said.strip()!r}, expected {version}")
    picture = environment / "picture.png"
    run("-c", f"from PIL import Image; Image.new('RGB', (64, 48)).save({str(picture)!r})", python=environment / "bin/python")
    run("-m", "lcnet", "classify", str(picture), "-m", "lcnet_050.cifar10", python=environment / "bin/python")


def run(*arguments: str, python: Path = Path(sys.executable)) -> str:
    """Run Python, in a folder without lcnet's sources; raise `CheckError` with what it said if it fails."""
    done = subprocess.run([str(python), *arguments], cwd=tempfile.gettempdir(), capture_output=True, text=True)
    if done.returncode:
        raise CheckError(f"python {' '.join(arguments)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


CHECKS: tuple[Callable[[str, str], None], ...] = (check_versions, check_links, check_distributions)


def failures(version: str, tag: str) -> Iterator[str]:
    """Run each check, print what it is and yield what failed."""
    for check in CHECKS:
        assert check.__doc__
        try:
            check(version, tag)
        except CheckError as error:
            print(f"FAILED  {check.__doc__}\n        {error}")
            yield str(error)
        else:
            print(f"ok      {check.__doc__}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tag", default="", help="the tag that is to be released, such as v1.2.3")
    raise SystemExit(bool(list(failures(project_version(), parser.parse_args().tag))))


if __name__ == "__main__":
    main()
