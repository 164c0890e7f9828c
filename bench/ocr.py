"""The classifier of text lines inside RapidOCR: its own, its recipe for PP-LCNet, and ours, on the lines of one page.

    make real-models
    python bench/ocr.py --models build/real-models -o results/ocr.json

The folder holds the wheels, and if there is one the Paddle model PP-LCNet_x0_25_textline_ori_v1 as a folder. `rapidocr` brings
the detector, which cuts the lines out of a drawn page. Two sections:

- `speed`: what stands at `RapidOCR.text_cls` gets the page's lines, all of them in turns, with one thread and with two; each
  number of threads is a process of its own. `cpu_ms` is the processors' time in all threads.
- `answers`: drawn lines (bench/oriented.py), upright and on their heads, by the same rule as there: what says 180 degrees with
  a confidence of 0.9 is turned. RapidOCR's recipe runs the same weights as ours.

Two to three minutes, and the first time with quantising more; --work keeps the int8 files.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import oriented
from real_files import MODELS, Files
from real_models import quantized

from lcnet.bench import machine
from lcnet.bench.peers import Unavailable
from lcnet.export.onnx import to_onnx
from lcnet.ocr import TextLineOrientation

PAGE, LEAST = 1, 0.9
JUDGED = 100_000  # the number of the first line that judges, far from those that int8 was calibrated on
NAMES = {"PP-LCNet_x0_25_textline_ori, first release": "x0_25", "PP-LCNet_x1_0_textline_ori": "x1_0"}
Answers = Callable[[list[np.ndarray]], list[tuple[str, float]]]


def rapidocr(threads: int, **options: Any) -> Any:
    """An engine of RapidOCR's with so many threads."""
    from rapidocr import RapidOCR

    params = {"EngineConfig.onnxruntime.intra_op_num_threads": threads, "Global.log_level": "error"}
    return RapidOCR(params=params | {f"Cls.{name}": value for name, value in options.items()})


def page_lines() -> list[np.ndarray]:
    """The lines of a drawn page as RapidOCR's detector cuts them out, blue first."""
    page = np.ascontiguousarray(np.asarray(oriented.page(PAGE))[:, :, ::-1])
    lines, _ = rapidocr(2).detect_and_crop(page, {})
    return list(lines)


def with_softmax(files: Files) -> Path:
    """The network as ONNX that ends in probabilities, as RapidOCR expects it; the published file where that is one."""
    if files.original.suffix == ".onnx":
        return files.original
    import onnx

    path, model = files.folder / "softmax.onnx", to_onnx(files.model)
    (out,) = model.graph.output
    model.graph.node.append(onnx.helper.make_node("Softmax", [out.name], ["probs"], axis=1))
    out.name = "probs"
    onnx.save(model, path)
    return path


def classifiers(found: list[Files], threads: int) -> Iterator[tuple[str, Answers]]:
    """Everything that can stand at `RapidOCR.text_cls`, by name: from lines to label and score of each."""
    from rapidocr.utils.typings import OCRVersion

    yield "RapidOCR, its own (MobileNetV3)", answering(rapidocr(threads)._load_cls_model())
    for files in found:
        name, options = NAMES[files.real.name], {"ocr_version": OCRVersion.PPOCRV5, "model_path": str(with_softmax(files))}
        yield f"RapidOCR, {name}", answering(rapidocr(threads, **options)._load_cls_model())
        yield f"lcnet, {name}", ours(files.float, threads)
        yield f"lcnet, {name}, both ways", ours(files.float, threads, both_ways=True)
        yield f"lcnet, {name}, int8", ours(files.int8, threads)
        yield f"lcnet, {name}, int8, both ways", ours(files.int8, threads, both_ways=True)


def answering(classifier: Any) -> Answers:
    return lambda lines: [(label, float(score)) for label, score in classifier(lines).cls_res]


def ours(path: Path, threads: int, both_ways: bool = False) -> Answers:
    """As docs/ocr.md puts it there: the lines are turned, too."""
    ask = TextLineOrientation(path, channel_order="bgr", threads=threads, both_ways=both_ways)
    return lambda lines: [(str(d.answer.angle), d.answer.confidence) for d in ask.upright(lines, LEAST)]


def speed(found: list[Files], lines: list[np.ndarray], threads: int, rounds: int) -> list[dict[str, Any]]:
    """A row a classifier; for a process of its own."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])
    runs = dict(classifiers(found, threads))
    wall: dict[str, list[float]] = {name: [] for name in runs}
    cpu: dict[str, list[float]] = {name: [] for name in runs}
    before = os.getloadavg()[0]
    for number in range(rounds + 1):
        for name, run in runs.items():
            used, start = time.process_time(), time.perf_counter()
            run(lines)
            if number:  # the first round warms up
                wall[name].append(1e3 * (time.perf_counter() - start))
                cpu[name].append(1e3 * (time.process_time() - used))
    load = [round(before, 1), round(os.getloadavg()[0], 1)]
    said = {"threads": threads, "lines": len(lines), "rounds": rounds, "load": load}
    return [{"classifier": name, **said, **spread("ms", wall[name]), **spread("cpu_ms", cpu[name])} for name in runs]


def spread(what: str, times: list[float]) -> dict[str, float]:
    """Median, and the 10th and 90th percentile."""
    low, median, high = np.percentile(times, [10, 50, 90]).round(3).tolist()
    return {what: median, f"{what}_low": low, f"{what}_high": high}


def answers(found: list[Files], count: int) -> list[dict[str, Any]]:
    """A row a classifier: right answers, upright lines that it turns, and lines on their heads that it leaves so."""
    upright = [np.ascontiguousarray(np.asarray(oriented.line(JUDGED + n))[:, :, ::-1]) for n in range(count)]
    down = [np.ascontiguousarray(line[::-1, ::-1]) for line in upright]
    rows = []
    for name, run in classifiers(found, 1):
        first, second = run(upright), run(down)
        right = sum("180" not in label for label, _ in first) + sum("180" in label for label, _ in second)
        turned, left = sum(map(turns, first)), sum(not turns(answer) for answer in second)
        row = {"classifier": name, "lines": count, "right": right / (2 * count), "turned": turned, "left": left}
        rows.append(row)
        print(row)
    return rows


def turns(answer: tuple[str, float]) -> bool:
    """RapidOCR's rule."""
    return "180" in answer[0] and answer[1] >= LEAST


def files_of(models: Path, work: Path) -> Iterator[Files]:
    """The text-line networks that are there, quantised, the smallest first."""
    for name in NAMES:
        try:
            files = Files(next(m for m in MODELS if m.name == name), models, work)
        except Unavailable as error:
            print(f"{name}: left out, {error}", file=sys.stderr)
            continue
        if not files.int8.exists():
            quantized(files, 64)
        yield files


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, required=True, help="the folder of `make real-models`")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--lines", type=int, default=400, help="drawn lines to judge by, each upright and on its head")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--work", type=Path, help="a folder for files that are made, to use them again")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        (given.work or Path(work)).mkdir(exist_ok=True)
        found = list(files_of(given.models, given.work or Path(work)))
        lines, rows = page_lines(), []
        for threads in (1, 2):
            with ProcessPoolExecutor(1, get_context("spawn")) as pool:
                rows += pool.submit(speed, found, lines, threads, given.rounds).result()
        for row in rows:
            print(f"{row['threads']} threads {row['classifier']:<40} {row['ms']:8.2f} ms, cpu {row['cpu_ms']:8.2f} ms")
        result = {
            "machine": machine(),
            "versions": {name: version(name) for name in ("rapidocr", "onnxruntime")},
            "fonts": len(oriented.font_files()),
            "files": {NAMES[files.real.name]: files.sha256 for files in found},
            "speed": rows,
            "answers": answers(found, given.lines),
        }
    given.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
