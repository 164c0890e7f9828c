"""Write scikit-learn's 1,797 handwritten digits as pictures: FOLDER/train/0 ... FOLDER/test/9, every fifth one in test."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits


def write_digits(folder: Path, step: int = 1) -> None:
    """Write every `step`-th digit, grey PNGs of 8x8 pixels."""
    digits = load_digits()
    for i in range(0, len(digits.target), step):
        target = folder / ("test" if i // step % 5 == 4 else "train") / str(digits.target[i])
        target.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.clip(digits.images[i] * 16, 0, 255).astype(np.uint8)).save(target / f"{i:04}.png")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: digits.py FOLDER")
    write_digits(Path(sys.argv[1]))
