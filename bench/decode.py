"""JPEG files to pixels: our decoder, Pillow and OpenCV by turns, milliseconds of one processor (medians).

Each takes bytes and leaves pixels in memory: lcnet.image.decode, PIL.Image.open and load (without a copy to numpy),
cv2.imdecode. The drawn pictures have as much detail as makes their files as large as those of photographs; --photos FOLDER
measures real ones too.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import PIL
from PIL import Image, features

from lcnet.bench import machine
from lcnet.image import decode

# name -> width, height, sampling, quality, strength of the finest detail in grey levels
DRAWN = {
    "160 x 160, 4:2:0": (160, 160, "4:2:0", 85, 8),
    "500 x 375, 4:2:0": (500, 375, "4:2:0", 88, 9),
    "500 x 375, 4:4:4": (500, 375, "4:4:4", 94, 9),
    "500 x 375, grey": (500, 375, "grey", 90, 9),
    "4000 x 3000, 4:2:0": (4000, 3000, "4:2:0", 90, 7),
}


def drawn(width: int, height: int, sampling: str, quality: int, detail: float) -> bytes:
    """A picture with detail at every scale, the less the finer, more in its brightness than in its colours."""
    rng, total = np.random.default_rng(1), np.full((height, width, 3), 128, np.float32)
    scale, strength = 1, detail
    while scale < min(width, height):
        small = rng.standard_normal((-(-height // scale), -(-width // scale), 3)).astype(np.float32)
        small = strength * (small.mean(2, keepdims=True) + 0.3 * small)
        for c in range(3):
            layer = Image.fromarray(small[:, :, c]).resize((width, height), Image.Resampling.BICUBIC)
            total[:, :, c] += np.asarray(layer)
        scale, strength = 2 * scale, 1.4 * strength
    image = Image.fromarray(np.clip(total, 0, 255).astype(np.uint8))
    options = {} if sampling == "grey" else {"subsampling": sampling}
    file = io.BytesIO()
    (image.convert("L") if sampling == "grey" else image).save(file, "JPEG", quality=quality, **options)
    return file.getvalue()


def by_pillow(data: bytes) -> None:
    Image.open(io.BytesIO(data)).load()


def decoders() -> dict[str, Callable[[bytes], Any]]:
    found: dict[str, Callable[[bytes], Any]] = {"lcnet": decode, "Pillow": by_pillow}
    try:
        import cv2
    except ImportError:
        return found
    cv2.setNumThreads(1)
    return found | {"OpenCV": lambda data: cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)}


def timed(files: list[bytes], seconds: float) -> dict[str, float]:
    """Milliseconds for all of them, a median of turns."""
    ways, turns = decoders(), 0
    times: dict[str, list[float]] = {}
    end = time.perf_counter() + seconds
    while turns < 5 or time.perf_counter() < end:
        for name, way in ways.items():
            start = time.process_time_ns()
            for data in files:
                way(data)
            times.setdefault(name, []).append((time.process_time_ns() - start) / 1e6)
        turns += 1
    return {name: round(median(all_[1:]), 4) for name, all_ in times.items()}


def line(name: str, files: list[bytes], seconds: float) -> dict[str, Any]:
    found = timed(files, seconds)
    peers = {peer: round(ms / found["lcnet"], 2) for peer, ms in found.items() if peer != "lcnet"}
    result = {"picture": name, "files": len(files), "bytes": sum(map(len, files)), "milliseconds": found, "times_ours": peers}
    print(json.dumps(result), file=sys.stderr)
    return result


def versions() -> dict[str, str]:
    found = {"Pillow": PIL.__version__, "libjpeg-turbo": str(features.version("libjpeg_turbo"))}
    if "OpenCV" in decoders():
        import cv2

        found["OpenCV"] = cv2.__version__
    return found


def main() -> None:
    """Measure every picture and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, help="a folder of JPEG files, measured as one")
    parser.add_argument("--seconds", type=float, default=8.0, help="for each picture")
    parser.add_argument("-o", "--output", type=Path, help="results/decode.json")
    arguments = parser.parse_args()
    if os.environ.get("LCNET_JPEG"):
        parser.error("LCNET_JPEG is set: it says which decoder runs")
    rows = [line(name, [drawn(*of)], arguments.seconds) for name, of in DRAWN.items()]
    if arguments.photos:
        photos = [path.read_bytes() for path in sorted(arguments.photos.glob("*.jpg"))]
        rows.append(line("photographs", photos, arguments.seconds))
    result = {"machine": machine(), "versions": versions(), "pictures": rows}
    text = json.dumps(result, indent=2) + "\n"
    if arguments.output:
        arguments.output.write_text(text)
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
