"""`make test-extras`: each extra of the wheel in dist/, in a clean environment, with a command that needs it.

Without the extra the command must fail and name what to install; with it, installed from the wheel, it must do what it is for.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import tomllib
from pathlib import Path

from wheels_try import MODEL, ROOT, TAGS, installed, outcome, run, taken, without_compiler

BLOCKS = (
    "import os, sys; from PIL import Image; Image.frombytes('RGB', (4, 4), os.urandom(48)).resize((64, 64)).save(sys.argv[1])"
)
MODULE = "import importlib, sys; [importlib.import_module(name) for name in sys.argv[1:]]"
HEIC = """
import sys
import pillow_heif
from PIL import Image
pillow_heif.register_heif_opener()
Image.linear_gradient("L").convert("RGB").save(sys.argv[1])
"""

# A command of each extra that needs it; {0} is a folder of ours, with a picture, and pictures in folders of two classes.
COMMANDS = {
    "train": ["train", "{0}/classes", "-o", "{0}/run", "--epochs", "1", "-m", "lcnet_035", "--input-size", "32"],
    "export": ["export", MODEL, "{0}/model.onnx"],
    "parquet": ["embed", "-m", MODEL, "{0}/picture.png", "-o", "{0}/embeddings.parquet"],
    "bench": ["bench", MODEL, "--engines", "lcnet", "--size", "32", "--rounds", "1", "-o", "{0}/chart.png"],
    "heif": ["classify", "-m", MODEL, "{0}/picture.heic"],
}
# Extras of what lies beside the package, or of a command whose model has to be fetched,
# or which does not end: they must at least be imported.
MODULES = {
    "demo": ["foolbox"],
    "pdf": ["pypdfium2", "lcnet.upright.pdf"],
    "jpeg": ["turbojpeg"],
    "serve": ["lcnet.serve.server"],
    "ocr": ["rapidocr", "lcnet.ocr"],
    "sklearn": ["lcnet.sklearn"],
    "ray": ["ray.data", "lcnet.cluster.answers"],
    "remote": ["fsspec.implementations.memory", "lcnet.sources.remote"],
}
SKIPPED = {"test", "test-serve", "test-sklearn"}  # the tests themselves are run with them


def main() -> None:
    """Try the extras that the command line names, or all."""
    parser = argparse.ArgumentParser(description="Install each extra of the wheel, and use it.")
    parser.add_argument("extras", nargs="*")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--wheels", type=Path, default=ROOT / "dist")
    chosen = parser.parse_args()
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"].keys() - SKIPPED
    if forgotten := known - COMMANDS.keys() - MODULES.keys():
        sys.exit(f"nothing here tries the extras {', '.join(sorted(forgotten))}")
    tag, machine, _ = json.loads(run(chosen.python, "-c", TAGS))
    wheel = taken(sorted(chosen.wheels.glob("*.whl")), tag, machine)
    for extra in chosen.extras or sorted(known):
        with tempfile.TemporaryDirectory() as folder:
            done = tried(chosen.python, Path(folder), wheel, extra)
        print(f"{extra} of {wheel.name}: {done}", flush=True)


def tried(python: str, folder: Path, wheel: Path, extra: str) -> str:
    """Run the command of an extra without it and with it, and say what was done. Ends this program if either goes wrong."""
    inside = installed(python, folder / "environment", wheel)
    command = [part.format(folder) for part in COMMANDS.get(extra, ())]
    pictures(inside, folder)
    asked = command and extra != "heif"  # without that nothing can write such a picture
    if asked:
        code, said = outcome(inside, "-m", "lcnet", *command)
        if code != 4 or f"pip install 'lcnet[{extra}]'" not in said:
            sys.exit(f"without {extra}: exit code {code}, {said}")
    run(inside, "-m", "pip", "install", "-q", "-c", ROOT / "constraints.txt", f"{wheel}[{extra}]", **without_compiler(inside))
    if extra == "heif":
        run(inside, "-c", HEIC, folder / "picture.heic")
    if command:
        run(inside, "-m", "lcnet", *command, **without_compiler(inside))
    run(inside, "-c", MODULE, *MODULES.get(extra, ()))
    return ("named where it lacks, " if asked else "") + ("used" if command else "imported")


def pictures(inside: Path, folder: Path) -> None:
    """A picture, and four in folders of two classes."""
    paths = [folder / "picture.png", *(folder / f"classes/{name}/{n}.png" for name in ("a", "b") for n in range(4))]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        run(inside, "-c", BLOCKS, path)


if __name__ == "__main__":
    main()
