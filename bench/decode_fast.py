"""What decode="fast" changes on a folder of photographs: the bundled model's classes, and grey levels at 224 pixels."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

import lcnet
from lcnet import image
from lcnet.bench import machine
from lcnet.config import Preprocessing


def main() -> None:
    """Compare the two ways of decoding and print the differences as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    photos = sorted(arguments.photos.glob("*.jpg"))
    exact, fast = (lcnet.load("lcnet_050.cifar10", decode=mode).probs(photos) for mode in ("exact", "fast"))
    grey = 255 * np.array(Preprocessing().std, np.float32)[:, None, None]
    levels = np.abs(image.batch(photos, fast=True) - image.batch(photos)) * grey
    changed = levels.max(axis=(1, 2, 3)) > 0
    result = {
        "machine": machine(),
        "photographs": len(photos),
        "bundled_model_top1_agreement": float((exact.argmax(1) == fast.argmax(1)).mean()),
        "bundled_model_largest_probability_difference": float(np.abs(exact - fast).max()),
        "at_224_decoded_smaller": int(changed.sum()),
        "at_224_mean_grey_levels_where_smaller": float(levels[changed].mean()),
    }
    print(json.dumps(result, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
