"""What `lcnet train` gains at its defaults: `finetune` from the bundled weights, and against random weights.

DATA has a part test/ of pictures that the bundled lcnet_050.cifar10 has not seen (cifar10-subset.zip). Parts, on one thread:

known    8 classes x 60 pictures, three subsets of five seeds each; all other pictures of these classes are held out. `start` is
         the bundled model with 8 of its 10 classes, `end` model.safetensors, `last` the last epoch, kept or not
dusk     the same where every picture is grey, dark and noisy, one seed a subset
foreign  the same with names that the start does not know, so that its classifier begins fresh, against random weights
curve    160, 480 and 2000 pictures of all ten classes, the start again with other names, against random weights; 1000 held out

Prints a line a run; --json FILE keeps the numbers, and those in it of the parts that were not asked for.
"""

from __future__ import annotations

import argparse
import io
import json
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import lcnet
from lcnet import hub, modelfile
from lcnet.bench import machine
from lcnet.config import Labels
from lcnet.dataset import Dataset, open_dataset
from lcnet.train import RECIPES, fit

START = "lcnet_050.cifar10"
CLASSES, EACH, SUBSETS, SEEDS, HELD, SIZES = 8, 60, 3, 5, 1000, (160, 480, 2000)

View = Callable[[bytes, str], bytes]  # a file and its name to what is seen of it


def dusk(data: bytes, name: str) -> bytes:
    """A picture in grey, of six tenths of its light, with noise."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    grey = np.asarray(Image.open(io.BytesIO(data)).convert("L"), np.float32)
    dark = np.clip(0.6 * grey + rng.normal(0, 6, grey.shape), 0, 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(dark).convert("RGB").save(out, "PNG")
    return out.getvalue()


def as_it_is(data: bytes, name: str) -> bytes:
    """No other picture."""
    return data


class Pictures:
    """Some classes of the data: `each` pictures of them to be trained on, and the rest, or `held` of it in all, held out."""

    def __init__(self, data: Dataset, classes: list[int], each: int, seed: int, view: View, held: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.data, self.view, self.names = data, view, [data.classes[c] for c in classes]
        mixed = [rng.permutation(np.flatnonzero(data.targets == c)) for c in classes]
        self.train = [indices[:each] for indices in mixed]
        self.held = [indices[-held // len(classes) :] if held else indices[each:] for indices in mixed]
        self.targets = np.repeat(np.arange(len(classes)), [len(indices) for indices in self.held])
        self.bytes = [self._read(i) for indices in self.held for i in indices]

    def _read(self, index: int) -> bytes:
        return self.view(self.data.read(index), self.data.names[index])

    def write(self, folder: Path) -> Path:
        """Write what is trained on, one folder a class."""
        for name, indices in zip(self.names, self.train, strict=True):
            (folder / name).mkdir(parents=True)
            for i in indices:
                (folder / name / f"{i}.{'png' if self.view is dusk else 'jpg'}").write_bytes(self._read(i))
        return folder

    def top1(self, model: str | Path) -> float:
        """The share of the held-out pictures that a model has right, of these classes alone."""
        network = lcnet.load(model, threads=1)
        assert network.labels
        columns = [network.labels.names.index(name) for name in self.names]
        logits = np.concatenate([network.logits(self.bytes[i : i + 64]) for i in range(0, len(self.bytes), 64)])
        return float((logits[:, columns].argmax(1) == self.targets).mean())


def trained(folder: Path, output: Path, model: str, seed: int) -> dict[str, Any]:
    """Train at the defaults."""
    began = time.monotonic()
    done = fit(folder, output=output, model=model, seed=seed, workers=0, threads=1)
    return {"best_epoch": done.best_epoch, "epochs": done.epochs, "seconds": round(time.monotonic() - began)}


def subsets(data: Dataset, view: View) -> Iterator[tuple[int, Pictures]]:
    """The three subsets of classes and pictures."""
    for subset in range(SUBSETS):
        classes = sorted(np.random.default_rng(subset).permutation(len(data.classes))[:CLASSES].tolist())
        yield subset, Pictures(data, classes, EACH, subset, view)


def same_classes(data: Dataset, folder: Path, view: View, seeds: int) -> Iterator[dict[str, Any]]:
    """Rows of a start that knows the classes."""
    for subset, pictures in subsets(data, view):
        photos, start = pictures.write(folder / f"photos{subset}"), pictures.top1(START)
        for seed in range(seeds):
            run = folder / f"run{subset}-{seed}"
            told = trained(photos, run, START, seed)
            end, last = (pictures.top1(run / name) for name in ("model.safetensors", "last.safetensors"))
            row = {"subset": subset, "seed": seed, "held_out": len(pictures.bytes)}
            yield {**row, "start": start, "end": end, "last": last, **told}


def renamed(folder: Path) -> str:
    """The bundled weights with labels that no data has."""
    model = modelfile.read(hub.locate(START).path)
    names = tuple(f"class {i}" for i in range(model.config.arch.num_classes))
    config = replace(model.config, labels=Labels(names))
    modelfile.write(folder / "renamed.safetensors", modelfile.ModelFile(config, model.weights))
    return str(folder / "renamed.safetensors")


def against_random(pictures: Pictures, folder: Path, seed: int) -> dict[str, Any]:
    """One row: from weights that do not know the names, and from random ones."""
    folder.mkdir(parents=True)
    photos = pictures.write(folder / "photos")
    row: dict[str, Any] = {"held_out": len(pictures.bytes)}
    for name, model in (("finetune", renamed(folder)), ("random", "lcnet_050")):
        told = trained(photos, folder / name, model, seed)
        row |= {name: pictures.top1(folder / name / "model.safetensors"), f"{name}_seconds": told["seconds"]}
    return row


def foreign(data: Dataset, folder: Path) -> Iterator[dict[str, Any]]:
    """Rows of the three subsets."""
    for subset, pictures in subsets(data, as_it_is):
        yield {"subset": subset, **against_random(pictures, folder / str(subset), subset)}


def curve(data: Dataset, folder: Path) -> Iterator[dict[str, Any]]:
    """Rows of more and more pictures."""
    classes = list(range(len(data.classes)))
    for size in SIZES:
        pictures = Pictures(data, classes, size // len(classes), 0, as_it_is, HELD)
        yield {"pictures": size, **against_random(pictures, folder / str(size), 0)}


PARTS: dict[str, Callable[[Dataset, Path], Iterator[dict[str, Any]]]] = {
    "known": lambda data, folder: same_classes(data, folder, as_it_is, SEEDS),
    "dusk": lambda data, folder: same_classes(data, folder, dusk, 1),
    "foreign": foreign,
    "curve": curve,
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--part", action="append", choices=PARTS, help="Only these parts.")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    data = open_dataset(arguments.data).test
    assert data is not None, "DATA has no part test/"
    for part in arguments.part or PARTS:
        rows = []
        with tempfile.TemporaryDirectory() as temporary:
            for row in PARTS[part](data, Path(temporary)):
                rows.append(row)
                print(part, *(f"{k} {v:.4f}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()), flush=True)
        if arguments.json:
            keep(arguments.json, part, rows)


def keep(path: Path, part: str, rows: list[dict[str, Any]]) -> None:
    """Put the rows of a part into the file."""
    told = json.loads(path.read_text()) if path.exists() else {}
    told |= {"start": START, "epochs": RECIPES["finetune"].recipe.epochs, "machine": machine(), part: rows}
    path.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
