"""Our int8 against other post-training quantisers: the same weights, calibration pictures and test pictures.

    python bench/int8.py --calibration cifar10/train --eval cifar10/test --json results/int8.json

The peers are ONNX Runtime's static quantisation (QDQ, weights per channel, all three calibrations) and OpenVINO with NNCF
(default settings), as their manuals say. Accuracy, agreement with our fp32 and signal to noise of the logits come with the
latency of one picture on one thread, in turns. A peer that is not installed is left out and told. With --speed the latency
alone is measured for architectures at their own input size too, with random weights.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from lcnet import hub, modelfile, quantize, zoo
from lcnet.bench import machine
from lcnet.bench.weights import random_model
from lcnet.export.onnx import to_onnx
from lcnet.image import batch
from lcnet.modelfile import ModelFile
from lcnet.quantize import acceptance, pictures
from lcnet.runtime import Classifier

Run = Callable[[np.ndarray], np.ndarray]  # one picture, float32 [1,C,H,W], to logits


class Calibration(list[Any]):
    """The pictures of a folder that `lcnet quantize` calibrates on: every engine gets the same ones."""

    def __init__(self, folder: Path, images: int, model: ModelFile) -> None:
        super().__init__(pictures.choose(folder, images, model.config.preprocessing).calibrating)
        self.folder, self.images = folder, images


def ours(model: ModelFile, calibration: Calibration, method: str) -> Run:
    options = quantize.QuantizeOptions(images=calibration.images, ranges=method)
    return Classifier(quantize.quantize(model, calibration.folder, None, options, force=True).model, threads=1).run


def ort_session(data: bytes | str) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return lambda x: session.run(None, {"input": x})[0]


def ort_static(model: ModelFile, calibration: Calibration, method: str) -> Run:
    """ONNX Runtime's quantize_static; `method`: MinMax, Entropy or Percentile (its default of 99.999)."""
    from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.inputs = inputs(model, calibration)

        def get_next(self) -> dict[str, np.ndarray] | None:
            x = next(self.inputs, None)
            return None if x is None else {"input": x}

    with tempfile.TemporaryDirectory() as folder:
        plain, ready, done = (f"{folder}/{name}.onnx" for name in ("plain", "ready", "done"))
        Path(plain).write_bytes(to_onnx(model).SerializeToString())
        quant_pre_process(plain, ready, skip_symbolic_shape=True)
        quantize_static(
            ready,
            done,
            Reader(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=getattr(CalibrationMethod, method),
        )
        return ort_session(Path(done).read_bytes())


def openvino(model: ModelFile, calibration: Calibration | None) -> Run:
    """OpenVINO, with calibration pictures after nncf.quantize."""
    import openvino as ov

    network = ov.Core().read_model(to_onnx(model).SerializeToString())
    network.reshape([1, *model.config.preprocessing.input_size])
    if calibration:
        import nncf

        network = nncf.quantize(network, nncf.Dataset(list(inputs(model, calibration))), subset_size=len(calibration))
    hints = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    request = ov.Core().compile_model(network, "CPU", hints).create_infer_request()

    def run(x: np.ndarray) -> np.ndarray:
        request.set_input_tensor(ov.Tensor(x, shared_memory=True))
        request.infer()
        return request.get_output_tensor().data

    return run


ENGINES: dict[str, Callable[[ModelFile, Calibration], Run]] = {
    "lcnet fp32": lambda model, _: Classifier(model, threads=1).run,
    "lcnet int8": lambda model, calibration: ours(model, calibration, "minmax"),
    "lcnet int8 mse": lambda model, calibration: ours(model, calibration, "mse"),
    "onnxruntime fp32": lambda model, _: ort_session(to_onnx(model).SerializeToString()),
    "onnxruntime int8 minmax": lambda model, calibration: ort_static(model, calibration, "MinMax"),
    "onnxruntime int8 entropy": lambda model, calibration: ort_static(model, calibration, "Entropy"),
    "onnxruntime int8 percentile": lambda model, calibration: ort_static(model, calibration, "Percentile"),
    "openvino fp32": lambda model, _: openvino(model, None),
    "openvino nncf int8": lambda model, calibration: openvino(model, calibration),
}


def inputs(model: ModelFile, sources: list[Any]) -> Iterator[np.ndarray]:
    for source in sources:
        yield batch([source], model.config.preprocessing)


FASTEST = tuple(
    name for name in ENGINES if not name.endswith(("mse", "entropy", "percentile"))
)  # others are as fast as one here


def built(model: ModelFile, calibration: Calibration, engines: Iterable[str] = tuple(ENGINES)) -> dict[str, Run]:
    runs = {}
    for name in engines:
        make = ENGINES[name]
        try:
            print(f"{name} ...", file=sys.stderr)
            runs[name] = make(model, calibration)
        except ImportError as error:
            print(f"{name}: left out, {error}", file=sys.stderr)
    return runs


def compare(model: ModelFile, runs: dict[str, Run], test: list[tuple[Any, int]]) -> dict[str, acceptance.Comparison]:
    found = {name: acceptance.Comparison() for name in runs}
    for labels, x in pictures.groups(test, model.config.preprocessing, [], size=1):
        expected = runs["lcnet fp32"](x)
        for name, run in runs.items():
            found[name].add(expected, run(x), labels)
    return found


def latencies(runs: dict[str, Run], x: np.ndarray, rounds: int, seconds: float) -> dict[str, list[float]]:
    """Milliseconds of every call; the engines take turns, and the first round warms up."""
    samples: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            end = time.perf_counter() + seconds
            while (start := time.perf_counter()) < end:
                run(x)
                if number:
                    samples[name].append(1e3 * (time.perf_counter() - start))
    return samples


def row(name: str, found: acceptance.Comparison, times: list[float]) -> dict[str, Any]:
    measured = {key.replace("_int8", ""): value for key, value in found.summary(True).items() if key != "top1_fp32"}
    return {"engine": name, **measured, **spread(times)}


def speed(name: str, calibration: Calibration, rounds: int) -> list[dict[str, Any]]:
    """Latencies of an architecture with random weights."""
    model = random_model(zoo.find(name).config())
    runs = built(model, calibration, FASTEST)
    size = model.config.preprocessing.input_size
    x = np.random.default_rng(0).normal(size=(1, *size)).astype(np.float32)
    times = latencies(runs, x, rounds, 0.1)
    return [{"model": name, "size": size[1], "engine": e, **spread(times[e])} for e in runs]


def spread(times: list[float]) -> dict[str, float]:
    """Median, and the 10th and 90th percentile, in milliseconds."""
    low, median, high = np.percentile(times, [10, 50, 90]).round(4).tolist()
    return {"ms": median, "low": low, "high": high}


def table(rows: list[dict[str, Any]]) -> str:
    lines = [f"{'engine':<28} {'top-1':>7} {'agreement':>10} {'SQNR dB':>8} {'ms':>8}"]
    lines += [f"{r['engine']:<28} {r['top1']:>6.2f}% {r['agreement']:>9.2%} {r['sqnr_db']:>8.1f} {r['ms']:>8.3f}" for r in rows]
    return "\n".join(lines)


def draw(result: dict[str, Any], path: Path) -> None:
    """Top-1 against latency, a point an engine."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(8, 4.5))
    for r in result["engines"]:
        own, int8 = r["engine"].startswith("lcnet"), "int8" in r["engine"]
        axis.plot(r["ms"], r["top1"], "o" if int8 else "s", color="tab:red" if own else "tab:gray", markersize=8)
        axis.annotate(r["engine"], (r["ms"], r["top1"]), xytext=(3, 6), textcoords="offset points", fontsize=8, rotation=30)
    axis.margins(x=0.15, y=0.25)
    axis.set_xlabel(f"milliseconds a picture of {result['size']}x{result['size']}, one thread")
    axis.set_ylabel(f"top-1 on {result['test_images']} test pictures, %")
    axis.set_title(f"{result['model']}: circles int8, squares fp32 ({result['machine']['cpu']})", fontsize=9)
    figure.tight_layout()
    figure.savefig(path, dpi=150)


def versions() -> dict[str, str]:
    """Of the peers that are installed."""
    found = {}
    for name in ("onnxruntime", "openvino", "nncf"):
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def main() -> None:
    """Quantise by every engine that is here, compare, time, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="lcnet_050.cifar10")
    parser.add_argument("--calibration", type=Path, required=True, help="a folder of pictures")
    parser.add_argument("--eval", type=Path, required=True, help="labelled pictures, as `lcnet evaluate` takes them")
    parser.add_argument("--images", type=int, default=128, help="calibration pictures; as many are held out from our own")
    parser.add_argument("--limit", type=int, help="of the test pictures, evenly spaced")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--speed", default="", help="architectures to time at their own size, with commas between")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path, help="draw top-1 against latency here")
    given = parser.parse_args()
    found = hub.locate(given.model)
    model = modelfile.read(found.path, found.config)
    test = pictures.labeled(given.eval, model.config)
    test = test[:: max(1, len(test) // given.limit)] if given.limit else test
    calibration = Calibration(given.calibration, given.images, model)
    runs = built(model, calibration)
    compared = compare(model, runs, test)
    x = batch([test[0][0].open()], model.config.preprocessing)
    times = latencies(runs, x, given.rounds, 0.1)
    rows = [row(name, compared[name], times[name]) for name in runs]
    print(table(rows))
    faster = [r for name in given.speed.split(",") if name for r in speed(name, calibration, given.rounds)]
    for r in faster:
        print(f"{r['model']:<12} {r['size']} {r['engine']:<28} {r['ms']:>8.3f} ms")
    result = {
        "machine": machine() | versions(),
        "model": given.model,
        "size": x.shape[-1],
        "calibration_images": len(calibration),
        "test_images": len(test),
        "engines": rows,
        "speed": faster,
    }
    if given.json:
        given.json.write_text(json.dumps(result, indent=2) + "\n")
    if given.plot:
        draw(result, given.plot)


if __name__ == "__main__":
    main()
