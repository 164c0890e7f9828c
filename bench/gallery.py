"""Galleries, measured: how fast pictures go in, how fast and how truly the nearest are found.

    python bench/gallery.py PICTURES PHOTOS [-o results/gallery.json]

PICTURES: a folder of many small pictures, such as the 30,000 of the CIFAR-10 subset; PHOTOS: some photographs. Sections:
`search`, embeddings of PICTURES by the bundled network and of their views (mirrored; the middle 28 of 32 pixels; a third
brighter), 100,000 in all: recall@10 of leave-one-out queries among the pictures alone, and the time of a query among all, on
one thread, also of plain float32 numpy. `build`: 10,000 files of 320 pixels (PHOTOS scaled, no two of the same bytes) through
`lcnet_050` at 224 with random weights, against `Classifier.stream` on the same files; then once more, when all are unchanged,
and 100,000 unchanged files of one content. Other sections of the file are kept.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance

import lcnet
import lcnet.gallery
from lcnet import modelfile, zoo
from lcnet.bench import machine
from lcnet.bench.weights import random_model
from lcnet.gallery.about import About
from lcnet.gallery.matrix import Matrix
from lcnet.gallery.store import Content, Row, Store

BUNDLED = "lcnet_050.cifar10"
ALL = 100_000  # vectors
QUERIES = 1000
K = 10
FILES = 10_000

VIEWS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "middle 28 of 32 pixels": lambda image: image.crop((2, 2, image.width - 2, image.height - 2)).resize(image.size),
    "a third brighter": lambda image: ImageEnhance.Brightness(image).enhance(4 / 3),
}


def views(files: list[Path], view: Callable[[Image.Image], Image.Image]) -> Iterator[np.ndarray]:
    for file in files:
        with Image.open(file) as image:
            yield np.asarray(view(image.convert("RGB")))


def embedded(files: list[Path]) -> tuple[np.ndarray, dict[str, int]]:
    """The embeddings of the pictures and of their views, float32 [ALL,D], and how many there are of each."""
    model = lcnet.load(BUNDLED)
    parts, counts, left = [], {}, ALL
    for name, view in {"as they are": lambda image: image, **VIEWS}.items():
        rows = [item.value for item in model.stream(islice(views(files, view), left), "embeddings")]
        parts.append(np.stack(rows) if rows else np.empty((0, 1280), np.float32))
        counts[name], left = len(rows), left - len(rows)
    return np.concatenate(parts), counts


def gallery_of(path: Path, vectors: np.ndarray, coding: str) -> Store:
    """A gallery of vectors whose pictures do not matter."""
    store = Store.create(path, About(BUNDLED, "0" * 64, "{}", "fp32", vectors.shape[1], coding))
    for start in range(0, len(vectors), 5000):
        store.put([_row(i, vectors[i]) for i in range(start, min(start + 5000, len(vectors)))])
    return store


def _row(number: int, vector: np.ndarray) -> Row:
    digest = number.to_bytes(32, "big")
    return Row(f"{number:06}.jpg", (1, 1), digest, Content(digest, digest, digest[:16], False), vector)


def matrix_of(store: Store) -> tuple[Matrix, float]:
    """The matrix of a gallery, and the seconds that writing it took."""
    from lcnet.gallery import matrix

    with store.view():
        started = time.perf_counter()
        found = matrix.matrix_of(store)
        return found, time.perf_counter() - started


def recalls(vectors: np.ndarray, folder: Path) -> dict[str, Any]:
    """Recall@10 of queries that are pictures, each left out of what it finds, against exact float32."""
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    queries = np.random.default_rng(0).choice(len(vectors), QUERIES, replace=False)
    exact = units[queries] @ units.T
    exact[np.arange(QUERIES), queries] = -2
    truth = np.argpartition(-exact, K, axis=1)[:, :K]
    found: dict[str, Any] = {"vectors": len(vectors), "queries": QUERIES}
    for coding in ("int8", "fp16"):
        store = gallery_of(folder / f"recall-{coding}", vectors, coding)
        matrix, _ = matrix_of(store)
        near = (matrix.nearest(vectors[query], K + 1).contents - 1 for query in queries)  # ids count from 1
        found[coding] = sum(map(_hits, near, queries.tolist(), truth)) / (QUERIES * K)
        store.close()
    return found


def _hits(near: np.ndarray, query: int, good: np.ndarray) -> int:
    return len(set([i for i in near.tolist() if i != query][:K]) & set(good.tolist()))


def timed(job: Callable[[np.ndarray], Any], queries: np.ndarray) -> dict[str, float]:
    """Milliseconds of a query: median, what 95 of 100 stay below, and the median of this thread's processor time."""
    job(queries[0])
    samples, spent = [], []
    for query in queries:
        started, before = time.perf_counter(), time.thread_time()
        job(query)
        samples.append(1e3 * (time.perf_counter() - started))
        spent.append(1e3 * (time.thread_time() - before))
    p50, p95, cpu = statistics.median(samples), float(np.percentile(samples, 95)), statistics.median(spent)
    return {"p50_ms": round(p50, 2), "p95_ms": round(p95, 2), "cpu_p50_ms": round(cpu, 2)}


def search(pictures: list[Path], folder: Path) -> dict[str, Any]:
    vectors, counts = embedded(pictures)
    result: dict[str, Any] = {"machine": machine(), "model": BUNDLED, "vectors": len(vectors), "of": counts}
    result["recall@10"] = recalls(vectors[: counts["as they are"]], folder)
    queries = vectors[np.random.default_rng(1).choice(len(vectors), 200, replace=False)]
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    result["numpy float32"] = timed(lambda q: np.argpartition(-(units @ q), K)[:K], queries[:50])
    for coding in ("int8", "fp16"):
        path = folder / f"all-{coding}"
        store = gallery_of(path, vectors, coding)
        matrix, seconds = matrix_of(store)
        store.close()
        with lcnet.gallery.open(path) as gallery:
            result[coding] = {
                "matrix": timed(partial(matrix.nearest, count=K), queries),
                "gallery": timed(partial(gallery.search, k=K), queries),
                "every vector": timed(partial(matrix.nearest, count=K, exact=True), queries[:10]),
                "matrix_seconds": round(seconds, 2),
                "file_bytes": path.stat().st_size,
                "matrix_bytes": path.with_name(path.name + ".matrix").stat().st_size,
            }
    return result


def many_files(photos: list[Path], folder: Path) -> Path:
    """`FILES` JPEG files of 320 pixels, each with other bytes behind its end, which no decoder reads."""
    folder.mkdir()
    bases = []
    for photo in photos:
        with Image.open(photo) as image:
            image.thumbnail((320, 320))
            file = io.BytesIO()
            image.convert("RGB").save(file, "JPEG", quality=90)
        bases.append(file.getvalue())
    for i in range(FILES):
        (folder / f"{i:05}.jpg").write_bytes(bases[i % len(bases)] + b"%d" % i)
    return folder


def build(photos: list[Path], folder: Path) -> dict[str, Any]:
    modelfile.write(folder / "model.safetensors", random_model(zoo.find("lcnet_050").config()))
    files, model = many_files(photos, folder / "files"), str(folder / "model.safetensors")
    result: dict[str, Any] = {"machine": machine(), "files": FILES, "bytes": sum(f.stat().st_size for f in files.iterdir())}
    stream = lcnet.load(model)
    result["stream"] = _run(lambda: sum(1 for _ in stream.stream(str(files), "embeddings")))
    with lcnet.gallery.create(folder / "g", model) as gallery:
        result["build"] = _run(lambda: sum(1 for _ in gallery.add(str(files))))
        result["matrix_seconds"] = _run(gallery.refresh)["seconds"]
        result["unchanged"] = _run(lambda: sum(1 for _ in gallery.add(str(files))))
        result["file_bytes"] = (folder / "g").stat().st_size
        copies = folder / "copies"
        copies.mkdir()
        first = next(iter(files.iterdir()))
        for i in range(ALL):
            (copies / f"{i:06}.jpg").symlink_to(first)
        result["100,000 files of one content"] = _run(lambda: sum(1 for _ in gallery.add(str(copies))))
        result["100,000 unchanged"] = _run(lambda: sum(1 for _ in gallery.add(str(copies))))
    return result


def _run(job: Callable[[], Any]) -> dict[str, float]:
    started, spent = time.perf_counter(), time.process_time()
    job()
    return {"seconds": round(time.perf_counter() - started, 2), "cpu_seconds": round(time.process_time() - spent, 2)}


def main() -> None:
    """Measure, print, and put the sections into the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("photos", type=Path)
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--only", choices=["search", "build"])
    arguments = parser.parse_args()
    jobs = {"search": (search, arguments.pictures), "build": (build, arguments.photos)}
    found: dict[str, Any] = {}
    for name, (job, folder) in jobs.items():
        if arguments.only in (None, name):
            with tempfile.TemporaryDirectory() as place:
                found[name] = job(sorted(folder.rglob("*.jpg")), Path(place))
            print(json.dumps({name: found[name]}, indent=2), flush=True)
    if arguments.output:
        before = json.loads(arguments.output.read_text()) if arguments.output.is_file() else {}
        arguments.output.write_text(json.dumps({**before, **found}, indent=2) + "\n")


if __name__ == "__main__":
    main()
