"""How many known copies `lcnet duplicates` finds, by kind, and how many of what it finds are none; and how fast it groups.

    python bench/duplicates.py --photos PHOTOS -o results/gallery.json

Originals are photographs (any folder of them) and drawn pages, receipts and drawings, each with one copy of every kind. They
are looked at as the command does, with hashes and with the embeddings of `--model` besides. A pair is a member of a group and
the one to keep: wrong if these are of different originals. `--others` names pictures without copies among them, which only
may be mistaken. Times are of one thread: 100,000 hashes, and 100,000 embeddings, of pictures of which one in ten has a copy,
and 100,000 files that are all one picture. What else is in the file of results stays.
"""

from __future__ import annotations

import os

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import argparse
import io
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from page_kinds import draw
from PIL import Image, ImageDraw, ImageEnhance, ImageFont

import lcnet
from lcnet.bench import machine
from lcnet.cli.duplicate_rows import embedded
from lcnet.cli.duplicates import short_side
from lcnet.dataset.copies import MIN_COSINE, MIN_SIMILARITY, WIDE, Copies
from lcnet.dataset.look import Look
from lcnet.dataset.scan import Scan
from lcnet.sources import find

DRAWN = ("columns", "tables", "scans", "receipts", "drawings", "Cyrillic")
COUNT = 100_000
WIDTH, INSIDE = 1280, 64  # of the embeddings; in how many dimensions they lie, but for noise


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def scaled(image: Image.Image, times: float) -> Image.Image:
    return image.resize((round(image.width * times), round(image.height * times)), Image.Resampling.LANCZOS)


def cropped(image: Image.Image, part: float) -> Image.Image:
    """Without this part of its width and of its height, more of it at the right and the top."""
    width, height = round(image.width * part), round(image.height * part)
    left, top = width // 3, 2 * height // 3
    return image.crop((left, top, image.width - width + left, image.height - height + top))


def watermarked(image: Image.Image) -> Image.Image:
    image = image.copy()
    size = max(8, image.height // 10)
    pen, font = ImageDraw.Draw(image, "RGBA"), ImageFont.load_default(size)
    pen.text(
        (image.width // 20, image.height * 3 // 4),
        "(c) a name 2026",
        (255, 255, 255, 150),
        font,
        stroke_width=1,
        stroke_fill=(0, 0, 0, 90),
    )
    return image


KINDS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "JPEG quality 30": lambda image: jpeg(image, 30),
    "JPEG quality 10": lambda image: jpeg(image, 10),
    "half as large": lambda image: scaled(image, 0.5),
    "a third, JPEG 70": lambda image: jpeg(scaled(image, 1 / 3), 70),
    "twice as large": lambda image: scaled(image, 2),
    "brighter by 30%": lambda image: ImageEnhance.Brightness(image).enhance(1.3),
    "darker by 40%": lambda image: ImageEnhance.Brightness(image).enhance(0.6),
    "more contrast": lambda image: ImageEnhance.Contrast(image).enhance(1.4),
    "grey": lambda image: image.convert("L").convert("RGB"),
    "watermarked": watermarked,
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "2% cut off": lambda image: cropped(image, 0.02),
    "5% cut off": lambda image: cropped(image, 0.05),
    "10% cut off": lambda image: cropped(image, 0.1),
    "20% cut off": lambda image: cropped(image, 0.2),
    "40% cut off": lambda image: cropped(image, 0.4),
}


def originals(photos: Path | None, drawn: int) -> Iterator[tuple[str, Image.Image]]:
    for path in sorted(photos.iterdir()) if photos else ():
        yield f"photo {path.stem}", Image.open(path).convert("RGB")
    for kind in DRAWN:
        for number in range(drawn):
            yield f"{kind} {number}", draw(kind, number).convert("RGB")


def write(folder: Path, photos: Path | None, drawn: int) -> int:
    """An original and its copies a folder, numbered; returns how many originals there are."""
    count = 0
    for count, (_, image) in enumerate(originals(photos, drawn), 1):
        place = folder / f"{count:05}"
        place.mkdir()
        image.save(place / "original.png")
        for kind, change in KINDS.items():
            change(image).save(place / f"{kind}.jpg", quality=88)
    return count


def accuracy(folder: Path, others: Path | None, model: Any) -> dict[str, Any]:
    """What is found with the options as they are, by hash and by embeddings besides, and how much of it is right."""
    sources = list(find([folder, *([others] if others else [])], recursive=True))
    started = time.process_time()
    for _ in Scan(Copies(), workers=1).run(sources[:200]):
        pass
    hashed = time.process_time()
    embedded(model, Scan(Copies(), short_side=short_side(model), workers=1).run(sources[:200]), lambda: None, 64)
    ended = time.process_time()
    scan = Scan(Copies(), short_side=short_side(model))
    vectors = embedded(model, scan.run(sources), lambda: None, 64)
    some = min(200, len(sources))
    return {
        "pictures": len(sources),
        "megapixels": float(np.prod(np.reshape(scan.copies.shapes, (-1, 2))[:200], axis=1).mean()) / 1e6,
        "hash": judged(folder, scan, None) | {"look_ms": 1e3 * (hashed - started) / some},
        "embedding": judged(folder, scan, vectors) | {"look_ms": 1e3 * (ended - hashed) / some},
    }


def judged(folder: Path, scan: Scan, vectors: np.ndarray | None) -> dict[str, Any]:
    """How many pairs of a member and the one to keep are right, and which copies are in a group with one of their own."""
    wrong, right, started = [], 0, time.process_time()
    found: dict[Path, set[str]] = defaultdict(set)
    for group in scan.copies.groups(vectors=vectors):
        first, *names = [Path(scan.sources[i].name) for i in group.members]
        for name in names:
            if name.parent == first.parent != folder and name.is_relative_to(folder):
                right += 1
                found[name.parent] |= {name.stem, first.stem}
            else:
                wrong.append([str(name), str(first)])
    count = len(list(folder.iterdir()))
    return {
        "pairs": right + len(wrong),
        "wrong": len(wrong),
        "precision": right / max(right + len(wrong), 1),
        "recall": {kind: sum(kind in stems for stems in found.values()) / count for kind in KINDS},
        "mistakes": wrong[:20],
        "group_cpu_seconds": time.process_time() - started,
    }


def speed(embeddings: bool, copies_of: int) -> dict[str, Any]:
    """Grouping of made-up pictures, `copies_of` of each tenth one together; hashes as of other pictures, and embeddings."""
    rng = np.random.default_rng(0)
    firsts = np.arange(COUNT)
    firsts[COUNT - COUNT // 10 :] = 9 * np.arange(COUNT // 10)
    firsts *= copies_of != COUNT
    codes = rng.integers(0, 256, (COUNT, 16), dtype=np.uint8)[firsts]
    codes ^= np.packbits(rng.random((COUNT, 128)) < 0.02, axis=1)
    thumbs = np.repeat(rng.integers(0, 256, (COUNT, 64), dtype=np.uint8), 18, axis=1)[firsts]
    thumbs = np.clip(thumbs + rng.normal(0, 4, thumbs.shape).astype(np.int16), 0, 255).astype(np.uint8)
    seen = Copies()
    for i in range(COUNT):
        digest = i.to_bytes(32, "big")
        seen.add(Look(digest, 0, codes[i].tobytes(), "", bytes(16), thumbs[i].tobytes(), (300, 400), digest[::-1]))
    vectors = unit(rng, firsts) if embeddings else None
    started, cpu = time.perf_counter(), time.process_time()
    groups = list(seen.groups(vectors=vectors))
    return {
        "pictures": COUNT,
        "embeddings": embeddings,
        "copies": int((firsts != np.arange(COUNT)).sum()),
        "found": sum(len(group.members) - 1 for group in groups),
        "groups": len(groups),
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - cpu,
    }


def unit(rng: np.random.Generator, firsts: np.ndarray) -> np.ndarray:
    """Embeddings as clusters have them, float16 of unit length; of copies nearly the same."""
    axes = rng.normal(size=(INSIDE, WIDTH)).astype(np.float32) / INSIDE**0.5
    centers, own = rng.normal(size=(200, INSIDE)).astype(np.float32), np.arange(len(firsts)) % 200
    vectors = np.empty((len(firsts), WIDTH), np.float16)
    points = (centers[own] + rng.normal(0, 0.7, (len(firsts), INSIDE)).astype(np.float32))[firsts]
    for start in range(0, len(firsts), 4096):
        part = points[start : start + 4096] @ axes
        part += rng.normal(0, 0.15, part.shape).astype(np.float32)
        vectors[start : start + 4096] = part / np.linalg.norm(part, axis=1, keepdims=True)
    return vectors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--photos", type=Path, help="a folder of photographs")
    parser.add_argument("--others", type=Path, help="a folder of pictures without copies")
    parser.add_argument("--drawn", type=int, default=4, help="of each kind of drawn pictures")
    parser.add_argument("--model", default="lcnet_050.cifar10")
    parser.add_argument("--output", "-o", type=Path, default=Path("results/gallery.json"))
    given = parser.parse_args()
    result: dict[str, Any] = {"machine": machine(), "model": given.model}
    result["rules"] = {"bits": WIDE, "similarity": MIN_SIMILARITY, "cosine": MIN_COSINE}
    with TemporaryDirectory() as folder:
        result["originals"] = write(Path(folder), given.photos, given.drawn)
        result |= accuracy(Path(folder), given.others, lcnet.load(given.model, threads=1))
        print(json.dumps(result, indent=1), flush=True)
    result["speed"] = [speed(embeddings, number) for embeddings in (False, True) for number in (2, COUNT)]
    print(json.dumps(result["speed"], indent=1))
    whole = json.loads(given.output.read_text()) if given.output.exists() else {}
    given.output.write_text(json.dumps(whole | {"duplicates": result}, indent=1) + "\n")


if __name__ == "__main__":
    main()
