"""The trained networks that people run, converted by lcnet, beside the engines that they run in elsewhere.

    make real-models
    python bench/real_models.py --models build/real-models -o results/real_models.json

The folder holds the two wheels, and if there is one the Paddle model PP-LCNet_x0_25_textline_ori_v1 as a folder. Sections:

- `speed`: every engine gets the same input, in turns. ONNX Runtime and OpenVINO run the file that people have and our export of
  it, which has its batch norms folded; Paddle Inference with oneDNN runs Paddle's own file, or one that Paddle saves of the
  weights. A setting is a process of its own. `ms` is time on the clock, `cpu_ms` the processors' time in all threads.
- `int8`: `lcnet quantize` on drawn pages or lines, judged on others.
- `hosts`: one network by what different programs feed it (bench/hosts.py), and by ours from the same PNG files.

What is not installed is left out and told. --sections names those to measure; the others stay in the file as they are.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import oriented
from hosts import hosts
from real_files import MODELS, Files, Real
from real_speed import paddle, softmax, speed

from lcnet import modelfile, quantize
from lcnet.bench import Setting, machine, peers
from lcnet.bench.peers import Run, Unavailable
from lcnet.quantize import acceptance
from lcnet.runtime import Classifier

CALIBRATION = 256  # drawn pictures, every page or line in each turn; those that judge are of other numbers


def judging(real: Real, count: int) -> Iterator[tuple[Any, int]]:
    """Draw pictures that calibration has not seen, with their classes."""
    return oriented.samples(real.kind, real.turns, CALIBRATION, count // real.turns)


# int8: calibrated on some drawn pictures, judged on others.


def quantized(files: Files, count: int) -> dict[str, Any]:
    """Quantise as the command does, keep the file, and compare on pictures that it has not seen."""
    real = files.real
    folder = files.folder / "calibration"
    folder.mkdir(exist_ok=True)
    for number, (image, _) in enumerate(oriented.samples(real.kind, real.turns, 0, CALIBRATION // real.turns)):
        image.save(folder / f"{number:05}.png", compress_level=1)
    made = quantize.quantize(files.model, folder, force=True)
    modelfile.write(files.int8, made.model)
    exact, int8 = (Classifier(m, threads=1) for m in (files.model, made.model))
    compared = acceptance.Comparison()
    for image, turn in judging(real, count):
        x = exact.preprocess(image)
        compared.add(exact.run(x), int8.run(x), [turn])
    gate, kept = made.report["gate"], [u["unit"] for u in made.report["units"] if u["runs_in"] == "fp32"]
    held_out = {k: made.report["held_out"][k] for k in ("agreement", "sqnr_db", "images")}
    sizes, units = made.report["size"], {u["unit"]: u["sqnr_db"] for u in made.report["units"]}
    return {
        "model": real.name,
        **compared.summary(True),
        "gate": gate,
        "in_float": kept,
        "held_out": held_out,
        **sizes,
        "units": units,
    }


# Hosts: one network, and what different programs make of the same picture.


def fed(files: Files, count: int) -> list[dict[str, Any]]:
    """A row a host: answers that are PaddleX's, answers that are right, and how far probabilities are from PaddleX's."""
    real, found = files.real, hosts(files.real.kind == "page")
    model = Classifier(files.model, threads=1)
    reference = answers(files)
    probabilities: dict[str, list[np.ndarray]] = {name: [] for name in (*found, "lcnet")}
    truth = []
    for image, turn in judging(real, count):
        data = io.BytesIO()
        image.save(data, "PNG", compress_level=1)
        pixels = np.asarray(image)
        truth.append(turn)
        for name, host in found.items():
            probabilities[name].append(reference(host(pixels)[None])[0])
        probabilities["lcnet"].append(softmax(model.run(model.preprocess(data.getvalue())))[0])
    table = {name: np.stack(rows) for name, rows in probabilities.items()}
    return [compared(real.name, name, p, table["PaddleX"], np.array(truth)) for name, p in table.items()]


def answers(files: Files) -> Run:
    """What is not ours: ONNX Runtime on the file that people have, Paddle Inference on Paddle's."""
    setting = Setting(1, 1, "fp32", 0, 0)
    if files.original.is_dir():
        return paddle(files, setting)[0]
    return peers.onnxruntime_graph(files.original.read_bytes, setting)[0]


def compared(model: str, host: str, found: np.ndarray, expected: np.ndarray, truth: np.ndarray) -> dict[str, Any]:
    best = expected.argmax(1)
    moved = np.abs(found - expected).max(1)
    return {
        "model": model,
        "host": host,
        "pictures": len(truth),
        "agreement": float((found.argmax(1) == best).mean()),
        "top1": float((found.argmax(1) == truth).mean()),
        "moved_mean": float(moved.mean()),
        "moved_p95": float(np.quantile(moved, 0.95)),
        "moved_most": float(moved.max()),
    }


SECTIONS = ("int8", "hosts", "speed")


def main() -> None:
    """Measure the sections that are named, and keep the rest of the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, required=True, help="the folder of `make real-models`")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--sections", default=",".join(SECTIONS))
    parser.add_argument("--only", default="", help="a part of the names of the networks to measure")
    parser.add_argument("--pictures", type=int, default=512, help="drawn pages or lines to judge by, all turns together")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=0.1, help="of each turn")
    parser.add_argument("--work", type=Path, help="a folder for files that are made, to use them again")
    given = parser.parse_args()
    result = json.loads(given.output.read_text()) if given.output.exists() else {}
    with tempfile.TemporaryDirectory() as work:
        (given.work or Path(work)).mkdir(exist_ok=True)
        for real in (m for m in MODELS if given.only in m.name):
            try:
                files = Files(real, given.models, given.work or Path(work))
            except Unavailable as error:
                print(f"{real.name}: left out, {error}", file=sys.stderr)
                continue
            measure(files, given, result)
            given.output.write_text(json.dumps(result, indent=1) + "\n")


def measure(files: Files, given: argparse.Namespace, result: dict[str, Any]) -> None:
    """Put the rows of one network into the result, in the place of those that it has had."""
    print(f"{files.real.name} ...", file=sys.stderr)
    todo: dict[str, Callable[[], list[dict[str, Any]]]] = {
        "int8": lambda: [quantized(files, given.pictures)],
        "hosts": lambda: fed(files, given.pictures),
        "speed": lambda: speed(files, given.rounds, given.seconds),
    }
    names = [real.name for real in MODELS]
    result["machine"] = machine()
    result["fonts"] = len(oriented.font_files())
    result.setdefault("files", {})[files.real.name] = files.sha256
    for section in given.sections.split(","):
        try:
            rows = todo[section]()
        except ImportError as error:
            print(f"{section}: left out, {error}", file=sys.stderr)
            continue
        others = [r for r in result.get(section, []) if r["model"] != files.real.name]
        result[section] = sorted(others + rows, key=lambda r: names.index(r["model"]))
        for row in rows:
            print({k: v for k, v in row.items() if k not in ("units", "version")})


if __name__ == "__main__":
    main()
