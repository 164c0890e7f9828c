"""OpenCV's bilinear resize, ours against cv2's own, on one thread, and what sets it apart from Pillow's: prints JSON.

    python bench/resize_opencv.py > results/resize_opencv.json

Two of each: the resize by itself, and from decoded pixels to the network's input as PaddleX makes it (resize, crop, normalise).
The two take turns, and every resize is compared to the bit. Without --photos PATH the photographs are left out: of these, how
many OpenCV decodes to the same bits as Pillow does, and by how many grey levels the crops of other hosts and filters differ.
"""

from __future__ import annotations

import argparse
import json
import os
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from resize import commit, describe, timed

from lcnet.bench import machine
from lcnet.config import Preprocessing
from lcnet.image import decode, prepare, resize, resize_crop

PAGE = Preprocessing(interpolation="bilinear", resize="opencv", alpha="drop")
LINE = replace(PAGE, input_size=(3, 80, 160), crop_pct=1.0, crop_mode="squash")

# Name, height and width of the picture, preprocessing, height and width of the whole scaled picture.
CASES = [
    ("photo", (375, 500), PAGE, (256, 341)),
    ("page", (3508, 2480), PAGE, (362, 256)),
    ("screen", (1080, 1920), PAGE, (256, 455)),
    ("small", (96, 128), PAGE, (256, 341)),
    ("text line", (48, 640), LINE, (80, 160)),
]


def as_paddlex(pixels: np.ndarray, p: Preprocessing, size: tuple[int, int]) -> np.ndarray:
    """Resize, crop, normalise with OpenCV as PaddleX does: uint8 [H,W,3] to float32 [3,height,width]."""
    _, height, width = p.input_size
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    scaled = cv2.resize(pixels, size[::-1], interpolation=cv2.INTER_LINEAR)[top : top + height, left : left + width]
    planes = [plane.astype(np.float32) for plane in cv2.split(scaled)]
    for plane, mean, std in zip(planes, p.mean, p.std, strict=True):
        plane *= 1 / 255 / std
        plane += -mean / std
    return np.ascontiguousarray(np.asarray(cv2.merge(planes)).transpose(2, 0, 1))


def measure(shape: tuple[int, int], p: Preprocessing, size: tuple[int, int], rounds: int, seconds: float) -> dict[str, Any]:
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    calls: dict[str, Callable[[], np.ndarray]] = {
        "lcnet_resize": lambda: resize(pixels, size, "bilinear", library="opencv"),
        "cv2_resize": lambda: cv2.resize(pixels, size[::-1], interpolation=cv2.INTER_LINEAR),
        "lcnet_input": lambda: prepare(pixels, p),
        "cv2_input": lambda: as_paddlex(pixels, p, size),
    }
    ours, theirs, our_input, their_input = (call() for call in calls.values())
    samples: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            samples[name] += timed(call, seconds)
    ms = {name: describe(times) for name, times in samples.items()}
    ratios = {
        f"ratio_{what}": round(ms[f"cv2_{what}"]["median"] / ms[f"lcnet_{what}"]["median"], 2) for what in ("resize", "input")
    }
    same = {"identical": bool(np.array_equal(ours, theirs)), "input_difference": float(np.abs(our_input - their_input).max())}
    return {**{f"{name}_ms": values for name, values in ms.items()}, **ratios, **same}


def look_at(path: Path) -> dict[str, Any]:
    """OpenCV's decoding against Pillow's, and grey levels between crops: their mean, and the 95th percentile of pictures."""
    others = {
        "pillow bilinear": replace(PAGE, resize="pillow"),
        "pillow bicubic": replace(PAGE, resize="pillow", interpolation="bicubic"),
    }
    levels: dict[str, list[float]] = {name: [] for name in (*others, "decode fast")}
    same = 0
    with zipfile.ZipFile(path) as photos:
        for name in photos.namelist():
            data = photos.read(name)
            pixels = decode(data, PAGE)
            same += np.array_equal(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1], pixels)
            crop = resize_crop(pixels, PAGE).astype(int)
            for other, p in others.items():
                levels[other].append(np.abs(resize_crop(pixels, p) - crop).mean())
            small = decode(data, PAGE, needed=lambda h, w: (round(256 * h / min(h, w)), round(256 * w / min(h, w))))
            if small.shape != pixels.shape:
                levels["decode fast"].append(np.abs(resize_crop(small, PAGE) - crop).mean())
        count = len(photos.namelist())
    said = {
        name: {
            "pictures": len(values),
            "mean": round(float(np.mean(values)), 2),
            "p95": round(float(np.quantile(values, 0.95)), 2),
        }
        for name, values in levels.items()
    }
    return {"pictures": count, "decoded_identically": int(same), "levels_from_opencv": said}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--photos", type=Path, help="a zip archive of photographs")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=0.1, help="of each turn")
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    cv2.setNumThreads(1)
    rows = [
        {"case": name, "picture": shape, "scaled": size, **measure(shape, p, size, arguments.rounds, arguments.seconds)}
        for name, shape, p, size in CASES
    ]
    facts = {**machine(), "commit": commit(), "opencv": cv2.__version__, "numpy": np.__version__, "threads": 1}
    photos = {"photographs": look_at(arguments.photos)} if arguments.photos else {}
    print(json.dumps({"machine": facts, "timings": rows, **photos}, indent=2))


if __name__ == "__main__":
    main()
