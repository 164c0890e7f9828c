"""Engines in turns on one network that people run: ours and our exports end in logits, the files of others in probabilities."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from typing import Any

import numpy as np
import paddle_peer
from real_files import Files

from lcnet import modelfile
from lcnet.bench import Setting, peers
from lcnet.bench.peers import Run, Unavailable

ALIKE = 1e-4  # of probabilities on the same tensor, far above rounding
LAX = {"lcnet bf16": 0.1, "lcnet int8": 0.5}
REST = 0.3  # seconds before each turn: threads of Intel's OpenMP, which Paddle brings, spin for 0.2 behind a call


def softmax(logits: np.ndarray) -> np.ndarray:
    e = np.exp(logits - logits.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def engines(files: Files, setting: Setting) -> dict[str, Callable[[], tuple[Run, str]]]:
    """Everything that can run this network, to be made in the process that measures."""
    model = files.model
    found: dict[str, Callable[[], tuple[Run, str]]] = {
        "lcnet": lambda: peers.ours(model, setting),
        "lcnet bf16": lambda: peers.ours(model, replace(setting, precision="bf16")),
        "onnxruntime": lambda: peers.onnxruntime(model, setting),
        "openvino": lambda: peers.openvino(model, setting),
    }
    if files.int8.exists():
        found["lcnet int8"] = lambda: peers.ours(modelfile.read(files.int8), replace(setting, precision="int8"))
    if files.original.suffix == ".onnx":
        found["onnxruntime, their file"] = lambda: peers.onnxruntime_graph(files.original.read_bytes, setting)
        found["openvino, their file"] = lambda: peers.openvino_graph(files.original.read_bytes, setting)
    found["paddle"] = lambda: paddle(files, setting)
    return found


def paddle(files: Files, setting: Setting) -> tuple[Run, str]:
    """Paddle's own file where it is one, else what Paddle saves of the weights."""
    if files.original.is_dir():
        return paddle_peer.predictor(files.original, setting.threads)
    return paddle_peer.predictor(paddle_peer.save(files.model, files.folder), setting.threads)


def measured(files: Files, setting: Setting, rounds: int, seconds: float) -> list[dict[str, Any]]:
    """One row an engine that is here and gives the same answers, in a process that has nothing else to do."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-setting.threads :])
    x = np.random.default_rng(0).normal(size=(setting.batch, 3, setting.height, setting.width)).astype(np.float32)
    ready = dict(_ready(engines(files, setting), x))
    load = os.getloadavg()[0]
    wall, cpu = in_turns({name: run for name, (run, _, _) in ready.items()}, x, rounds, seconds)
    loads = [round(load, 1), round(os.getloadavg()[0], 1)]
    return [
        {
            "model": files.real.name,
            "size": [setting.height, setting.width],
            "threads": setting.threads,
            "batch": setting.batch,
            "engine": name,
            "version": version,
            "difference": difference,
            **spread("ms", wall[name]),
            **spread("cpu_ms", cpu[name]),
            "calls": len(wall[name]),
            "load": loads,
        }
        for name, (_, version, difference) in ready.items()
    ]


def _ready(makers: dict[str, Callable[[], tuple[Run, str]]], x: np.ndarray) -> Iterator[tuple[str, tuple[Run, str, float]]]:
    """Engines that can be made, with the largest difference of their probabilities from our fp32 ones."""
    expected = None
    for name, make in makers.items():
        try:
            run, version = make()
        except (ImportError, Unavailable) as error:
            print(f"{name}: left out, {error}", file=sys.stderr)
            continue
        found = np.array(run(x))
        found = found if name == "paddle" or name.endswith("their file") else softmax(found)
        expected = found if expected is None else expected
        difference = float(np.abs(found - expected).max())
        if not difference <= LAX.get(name, ALIKE):
            raise SystemExit(f"{name}: its probabilities differ from ours by {difference:.1e}")
        yield name, (run, version, difference)


def in_turns(runs: dict[str, Run], x: np.ndarray, rounds: int, seconds: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """Milliseconds of every call, on the clock and of the processors; the first round and call of a turn warm up."""
    wall: dict[str, list[float]] = {name: [] for name in runs}
    cpu: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            if len(x) > 1:
                time.sleep(REST)
                run(x)
            end = time.perf_counter() + seconds
            while (start := time.perf_counter()) < end:
                used = time.process_time()
                run(x)
                if number:
                    cpu[name].append(1e3 * (time.process_time() - used))
                    wall[name].append(1e3 * (time.perf_counter() - start))
    return wall, cpu


def spread(what: str, times: list[float]) -> dict[str, float]:
    """Median, and the 10th and 90th percentile."""
    low, median, high = np.percentile(times, [10, 50, 90]).round(4).tolist()
    return {what: median, f"{what}_low": low, f"{what}_high": high}


def speed(files: Files, rounds: int, seconds: float) -> list[dict[str, Any]]:
    _, height, width = files.model.config.preprocessing.input_size
    rows = []
    for threads, batch in files.real.settings:
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            setting = Setting(threads, batch, "fp32", height, width)
            rows += pool.submit(measured, files, setting, rounds, seconds).result()
    return rows
