"""From a file to its label, side by side with timm + torch and with a script of ONNX Runtime, Pillow and numpy.

    python bench/whole_way.py PHOTOS_FOLDER [--json FILE]

Sections: `photo`, the average photograph of the folder, bytes in memory to the five best classes, one thread, with the time
of each step; `large`, a 3000 x 2250 JPEG made from one of them; `folder`, 1,000 files on two processors against a timm
DataLoader; `process`, a new process that classifies one file. Random weights: they are as fast as trained ones. Every section
alternates the contestants and reports medians. timm needs torchvision's Python half; see tests/conftest.py.
"""

from __future__ import annotations

import argparse
import compileall
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import lcnet
from lcnet import image as lcnet_image
from lcnet import modelfile, zoo
from lcnet.bench import machine
from lcnet.bench.weights import random_model
from lcnet.export.onnx import to_onnx
from lcnet.image import pixels

Job = Callable[[bytes], Any]


class Timm:
    """timm's model and transform, on torch, as its model card shows."""

    def __init__(self, threads: int) -> None:
        import torch

        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import timm
        torch.set_num_threads(threads)
        self.keep, self.torch = library, torch
        self.model = timm.create_model("lcnet_050").eval()
        config = timm.data.resolve_model_data_config(self.model)  # type: ignore[attr-defined, unused-ignore]
        self.transform = timm.data.create_transform(**config, is_training=False)  # type: ignore[attr-defined, unused-ignore]

    def __call__(self, data: bytes) -> Any:
        x = self.transform(Image.open(io.BytesIO(data)).convert("RGB"))
        with self.torch.inference_mode():
            return self.torch.topk(self.model(x.unsqueeze(0)).softmax(dim=1), k=5)


class OnnxScript:
    """What people write by hand: Pillow, numpy, one ONNX Runtime session."""

    def __init__(self, path: str, threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.mean, self.std = (np.array(v, np.float32) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))

    def __call__(self, data: bytes) -> Any:
        picture = Image.open(io.BytesIO(data)).convert("RGB")
        scale = 256 / min(picture.size)
        size = [max(256, int(n * scale)) for n in picture.size]
        picture = picture.resize(size, Image.Resampling.BICUBIC)
        left, top = (size[0] - 224) // 2, (size[1] - 224) // 2
        x = np.asarray(picture.crop((left, top, left + 224, top + 224)), np.float32) / 255
        logits = self.session.run(None, {"input": ((x - self.mean) / self.std).transpose(2, 0, 1)[None]})[0][0]
        return np.argsort(-logits)[:5]


def alternate(jobs: dict[str, Job], inputs: list[bytes], rounds: int) -> dict[str, float]:
    """Median over the rounds of each job's mean milliseconds an input; the first round warms up."""
    samples: dict[str, list[float]] = {name: [] for name in jobs}
    for number in range(rounds + 1):
        for name, job in jobs.items():
            start = time.perf_counter()
            for data in inputs:
                job(data)
            if number:
                samples[name].append((time.perf_counter() - start) / len(inputs) * 1e3)
    return {name: statistics.median(times) for name, times in samples.items()}


def contestants(model_path: str, onnx_path: str, threads: int) -> dict[str, Job]:
    """Everything that goes from bytes to classes."""
    exact = lcnet.load(model_path, threads=threads)
    fast = lcnet.load(model_path, threads=threads, decode="fast")
    return {
        "lcnet": lambda data: exact.classify(data, top_k=5),
        "lcnet fast": lambda data: fast.classify(data, top_k=5),
        "timm": Timm(threads),
        "onnxruntime script": OnnxScript(onnx_path, threads),
    }


def steps(model_path: str, inputs: list[bytes], rounds: int) -> dict[str, float]:
    """Where our own time goes, in milliseconds an input."""
    model = lcnet.load(model_path, threads=1)
    pre = model.preprocessing
    decoded = {data: pixels.decode(data, pre) for data in inputs}
    ready = {data: lcnet_image.prepare(decoded[data], pre)[None] for data in inputs}
    pillow = {data: Image.fromarray(decoded[data]) for data in inputs}
    jobs: dict[str, Job] = {
        "decode": lambda data: pixels.decode(data, pre),
        "resize, crop, normalise": lambda data: lcnet_image.prepare(decoded[data], pre),
        "network": lambda data: model.run(ready[data]),
        "the same resize by Pillow and numpy": lambda data: by_pillow(pillow[data]),
    }
    return alternate(jobs, inputs, rounds)


def by_pillow(picture: Image.Image) -> np.ndarray:
    """Resize, crop and normalise as timm does, without torch."""
    scale = 256 / min(picture.size)
    size = [256 if n == min(picture.size) else int(n * scale) for n in picture.size]
    left, top = round((size[0] - 224) / 2), round((size[1] - 224) / 2)
    x = np.asarray(picture.resize(size, Image.Resampling.BICUBIC).crop((left, top, left + 224, top + 224)))
    x = x.transpose(2, 0, 1).astype(np.float32) / np.float32(255)
    mean, std = (np.array(v, np.float32)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    return (x - mean) / std


def pin(processors: int) -> None:
    """Run on the last processors only; the first serve interrupts."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-processors:])


def folder(model_path: str, photos: list[Path], files: int, rounds: int) -> dict[str, float]:
    """Seconds for many files on two processors: our stream, and a timm DataLoader of two workers and batches of 32."""
    paths = [photos[i % len(photos)] for i in range(files)]
    model, peer = lcnet.load(model_path, threads=2), Timm(2)

    def ours() -> int:
        return sum(1 for _ in model.stream(paths, top_k=5))

    def theirs() -> int:
        loader = peer.torch.utils.data.DataLoader(Files(paths, peer.transform), batch_size=32, num_workers=2)
        with peer.torch.inference_mode():
            return sum(len(peer.torch.topk(peer.model(x).softmax(dim=1), k=5)[0]) for x in loader)

    samples: dict[str, list[float]] = {"lcnet stream": [], "timm DataLoader": []}
    for _ in range(rounds):
        for name, job in (("lcnet stream", ours), ("timm DataLoader", theirs)):
            start = time.perf_counter()
            assert job() == files
            samples[name].append(time.perf_counter() - start)
    return {name: statistics.median(times) for name, times in samples.items()}


class Files:
    """A map-style dataset over picture files."""

    def __init__(self, paths: list[Path], transform: Any) -> None:
        self.paths, self.transform = paths, transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Any:
        return self.transform(Image.open(self.paths[index]).convert("RGB"))


TIMM_PROCESS = """
import sys, warnings, torch
library = torch.library.Library("torchvision", "DEF")
for name in ("nms", "qnms"):
    library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
warnings.simplefilter("ignore")
import timm
from PIL import Image
model = timm.create_model("lcnet_050").eval()
transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model), is_training=False)
with torch.inference_mode():
    x = transform(Image.open(sys.argv[1]).convert("RGB")).unsqueeze(0)
    print(torch.topk(model(x).softmax(dim=1), k=5))
"""


# Starts commands from a small process: a child's peak memory counts what it had before it became the command.
STARTER = """
import os, subprocess, sys, time
start = time.perf_counter()
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
_, status, usage = os.wait4(child.pid, 0)
print(time.perf_counter() - start, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6)
sys.exit(status != 0)
"""


def process(model_path: str, photo: Path, rounds: int) -> dict[str, dict[str, float]]:
    """Seconds and megabytes of a new process, the commands in turn."""
    python = sys.executable
    compileall.compile_dir(Path(lcnet.__file__).parent, quiet=1)  # as pip does when it installs
    commands = {
        "import numpy, PIL.Image": [python, "-c", "import numpy, PIL.Image"],
        "lcnet classify": [str(Path(python).with_name("lcnet")), "classify", str(photo), "--model", model_path],
        "timm script": [python, "-c", TIMM_PROCESS, str(photo)],
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    megabytes: dict[str, float] = {}
    for number in range(rounds + 1):
        for name, command in commands.items():
            starter = [python, "-S", "-c", STARTER, *command]
            spent, megabytes[name] = map(float, subprocess.run(starter, capture_output=True, check=True).stdout.split())
            if number:
                seconds[name].append(spent)
    return {name: {"seconds": statistics.median(seconds[name]), "megabytes": megabytes[name]} for name in commands}


def large_photo(photos: Iterable[Path]) -> bytes:
    """A 3000 x 2250 JPEG of what is in the largest photograph."""
    source = max(photos, key=lambda p: p.stat().st_size)
    data = io.BytesIO()
    Image.open(source).convert("RGB").resize((3000, 2250), Image.Resampling.LANCZOS).save(data, "JPEG", quality=90)
    return data.getvalue()


def main() -> None:
    """Measure everything and print it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    photos = sorted(arguments.photos.glob("*.jpg"))
    inputs = [p.read_bytes() for p in photos]
    result: dict[str, Any] = {"machine": machine(), "photographs": len(photos)}
    with tempfile.TemporaryDirectory() as work:
        model = random_model(zoo.find("lcnet_050").config())
        model_path, onnx_path = f"{work}/lcnet_050.safetensors", f"{work}/lcnet_050.onnx"
        modelfile.write(model_path, model)
        Path(onnx_path).write_bytes(to_onnx(model).SerializeToString())
        result["process"] = process(model_path, photos[len(photos) // 2], arguments.rounds * 2)
        pin(2)
        result["folder"] = folder(model_path, photos, arguments.files, 3) | {"files": arguments.files}
        pin(1)
        jobs = contestants(model_path, onnx_path, 1)
        result["photo"] = alternate(jobs, inputs, arguments.rounds)
        result["large"] = alternate(jobs, [large_photo(photos)], arguments.rounds)
        result["steps"] = steps(model_path, inputs, arguments.rounds)
    text = json.dumps(result, indent=2)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
