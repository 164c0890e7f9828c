"""Small JPEG files of every kind that our decoder takes, for `jpeg_test` to damage: python seeds.py FOLDER."""

import sys
from pathlib import Path

import numpy as np
from PIL import Image


def write_seeds(folder: Path) -> list[Path]:
    """Write them, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    rng, paths = np.random.default_rng(0), []
    for i, subsampling in enumerate(("grey", "4:4:4", "4:2:2", "4:2:0") * 3):
        few = rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)
        image = Image.fromarray(few).resize((33 + 5 * i, 60 - 3 * i), Image.Resampling.BICUBIC)
        options = {"quality": (30, 75, 97)[i // 4], "optimize": bool(i % 2), "restart_marker_blocks": (0, 3, 5)[i % 3]}
        if subsampling == "grey":
            image = image.convert("L")
        else:
            options["subsampling"] = subsampling
        paths.append(folder / f"{i}.jpg")
        image.save(paths[-1], "JPEG", **options)
    return paths


if __name__ == "__main__":
    write_seeds(Path(sys.argv[1]))
