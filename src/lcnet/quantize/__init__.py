"""From a float model file to an int8 one, with the proof that it still answers as before: `lcnet quantize`.

Owns the order of the work: ranges from calibration pictures, int8 layers, bias correction, each part's damage, the gate. numpy
and the runtime are all it needs. docs/int8.md is the account of the scheme, `lcnet.modelfile.quantized` knows its form.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..arch import HARD_SIGMOID_SLOPE
from ..config import Quantization
from ..dataset.reading import reading_of
from ..errors import InputError, RefusedError
from ..modelfile import ModelFile
from ..modelfile.fold import fold
from ..modelfile.quantized import Layers, to_weights, unit_of
from ..renamed import renamed
from ..runtime import Classifier
from ..sources.formats import MAX_PIXELS
from . import acceptance, correction, pictures, ranges, scheme, sensitivity
from .network import float_layers, forward, layers_in_order

TARGET_DB = 28.0  # as long as the outputs are noisier, parts of the network are moved back to float
SENSITIVITY_IMAGES = 32

__getattr__ = renamed(__name__, {"Options": "QuantizeOptions"})


class GateError(RefusedError):
    """A quantised model that is not good enough to be kept. `outcome` is what was made and measured."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__("the int8 model is not kept: " + "; ".join(outcome.report["gate"]["reasons"]))
        self.outcome = outcome


@dataclass(frozen=True)
class QuantizeOptions:
    """How to quantise. The defaults are the best of what was measured (docs/int8.md)."""

    images: int = 128
    ranges: str = "minmax"
    equalization: float = scheme.EQUALIZATION
    bias_correction: bool = True
    max_drop: float = 0.5  # points of top-1
    labels_from_names: str | None = None  # of the labelled pictures, as `lcnet.dataset.open_dataset` takes it
    max_pixels: int = MAX_PIXELS  # of a picture; larger ones cannot be read
    label_separator: str = "|"  # this and `columns`: as labels_from_names
    columns: str | None = None

    def __post_init__(self) -> None:
        low, high = pictures.FEWEST, pictures.MOST
        if not isinstance(self.images, int) or not low <= self.images <= high:
            raise InputError(f"images is {self.images!r}, expected a whole number from {low} to {high}")
        if self.ranges not in ranges.METHODS:
            raise InputError(f"ranges is {self.ranges!r}, expected {' or '.join(ranges.METHODS)}")
        if not 0 <= self.equalization <= 1:
            raise InputError(f"equalization is {self.equalization!r}, expected a number from 0 to 1")
        if not 0 <= self.max_drop <= 100:
            raise InputError(f"max_drop is {self.max_drop!r}, expected points of top-1, 0 to 100")

    def to_json(self) -> dict[str, Any]:
        """Plain values by the keys that reports and model files have; there the word is spelled `equalisation`."""
        values = {{"equalization": "equalisation"}.get(key, key): value for key, value in asdict(self).items()}
        del values["max_pixels"]  # of what may be read, not of how it is quantized
        return values


@dataclass(frozen=True)
class Outcome:
    """The quantised model and everything that was measured of it, as JSON."""

    model: ModelFile
    report: dict[str, Any]


def quantize(
    model: ModelFile,
    data: Any,
    evaluation: Path | None = None,
    options: QuantizeOptions | None = None,
    force: bool = False,
    tell: Callable[[str], None] = lambda text: None,
) -> Outcome:
    """Quantise a float model and measure the result.

    data: pictures as `lcnet.sources.find` takes them, folders with all below; copies and near-copies count once. evaluation:
    labelled data as `lcnet.dataset.open_dataset` takes it; what is like a calibration picture is left out. tell: is told what
    is being done. Raises `InputError` for data or a model that will not do, and `GateError` if the result should not be kept;
    with `force` neither that nor near-copies alone, as of one scene, stop it.
    """
    options = options or QuantizeOptions()
    if model.config.quantization:
        raise InputError("the model is quantised already: take the float model that it was made from")
    _check_mean(model)
    labeled = pictures.labeled(evaluation, model.config, **reading_of(options)) if evaluation else None
    tell("looking for pictures that differ")
    preprocessing, most = model.config.preprocessing, options.max_pixels
    chosen = pictures.choose(data, options.images, preprocessing, most, force)
    judged = pictures.judged_by(labeled, chosen, preprocessing, most, force) if labeled is not None else None
    job = _QuantizeJob(model, options, chosen.calibrating, tell)
    layers, kept, damages = job.quantized()
    made = _model(model, layers, kept, {})
    verdict = _judge(model, made, chosen, judged, options, tell)
    report = {"pictures": chosen.report} | job.report(damages, kept) | verdict | {"size": _sizes(model, made)}
    made = _model(model, layers, kept, _summary(report, options))
    outcome = Outcome(made, report)
    if verdict["gate"]["reasons"] and not force:
        raise GateError(outcome)
    return outcome


def _check_mean(model: ModelFile) -> None:
    mean = model.config.preprocessing.mean
    if not all(0 <= m <= 1 for m in mean):
        raise InputError(f"preprocessing.mean is {mean}, expected numbers from 0 to 1: in int8 the mean pixel is the border")


class _QuantizeJob:
    """One model's way from calibration pictures to int8 layers."""

    def __init__(self, model: ModelFile, options: QuantizeOptions, calibrating: list[Any], tell: Callable[[str], None]) -> None:
        self.arch, self.preprocessing = model.config.arch, model.config.preprocessing
        self.options, self.sources, self.tell = options, calibrating, tell
        self.exact: Layers = float_layers(fold(model))
        self.problems: list[str] = []
        self.used = 0

    def quantized(self) -> tuple[Layers, tuple[str, ...], list[sensitivity.Damage]]:
        """Make the layers: all in int8, then with the worst parts in float for as long as it takes."""
        statistics = self.statistics()
        plain = self.rounded(statistics)
        x = self.some(correction.picture_limit(self.arch, self.preprocessing))
        few = x[:SENSITIVITY_IMAGES]
        self.tell("measuring what each part costs")
        damages = sensitivity.measure(self.arch, self.exact, plain, self.preprocessing, few)
        kept: tuple[str, ...] = ()
        while True:
            layers = self.corrected(plain, kept, x)
            unit = sensitivity.worst(damages, kept)
            if unit is None or self.good(layers, few):
                return layers, kept, damages
            self.tell(f"{unit} stays in float: it costs more than it saves")
            kept += (unit,)

    def statistics(self) -> ranges.Statistics:
        """Stream all calibration pictures through the float network."""
        self.tell(f"finding ranges on {len(self.sources)} pictures")

        def counted() -> Any:
            for x in pictures.batches(self.sources, self.preprocessing, self.problems, max_pixels=self.options.max_pixels):
                self.used += len(x)
                yield x

        found = ranges.collect(self.arch, self.exact, self.preprocessing, counted())
        fewest = pictures.FEWEST - pictures.FEWEST // 4
        pictures.check_enough(self.used, len(self.sources), fewest, self.problems, "calibrate")
        return found

    def rounded(self, statistics: ranges.Statistics) -> Layers:
        """Every layer in int8, without bias correction."""
        out: Layers = dict(self.exact)
        for layer in layers_in_order(self.arch):
            tensors = self.exact[layer.name]
            assert isinstance(tensors, tuple)
            if layer.kind == "stem":
                out[layer.name] = scheme.quantize_stem(tensors, self.preprocessing)
            else:
                lo, hi = ranges.choose(layer, statistics.histograms[layer.name], self.options.ranges)
                out[layer.name] = scheme.quantize_layer(layer, tensors, lo, hi, self.options.equalization)
        return out

    def some(self, limit: int) -> np.ndarray:
        """The first calibration pictures that can be read, as ready input."""
        parts, count = [], 0
        for x in pictures.batches(self.sources, self.preprocessing, [], max_pixels=self.options.max_pixels):
            parts.append(x)
            count += len(x)
            if count >= limit:
                break
        return np.concatenate(parts)[:limit]

    def corrected(self, plain: Layers, kept: tuple[str, ...], x: np.ndarray) -> Layers:
        """The int8 layers, those of the parts `kept` replaced by float, with corrected biases."""
        layers = {name: self.exact[name] if unit_of(name) in kept else tensors for name, tensors in plain.items()}
        if not self.options.bias_correction:
            return layers
        self.tell(f"correcting biases on {len(x)} pictures")
        return correction.corrected(self.arch, self.exact, layers, self.preprocessing, x)

    def good(self, layers: Layers, x: np.ndarray) -> bool:
        """Whether int8 does well enough on pictures that it was made with."""
        compared = acceptance.Comparison()
        expected, found = (forward(self.arch, by_name, self.preprocessing, x) for by_name in (self.exact, layers))
        compared.add(expected, found)
        return compared.sqnr_db >= TARGET_DB and 100 * compared.lost / len(x) <= self.options.max_drop

    def report(self, damages: list[sensitivity.Damage], kept: tuple[str, ...]) -> dict[str, Any]:
        """What was done, as JSON."""
        rows = [
            {
                "unit": d.unit,
                "runs_in": "fp32" if d.unit in kept else "int8",
                "sqnr_db": round(d.sqnr_db, 2),
                "macs": round(d.macs, 5),
            }
            for d in damages
        ]
        calibration = {"images": self.used, "left_out": len(self.problems), "problems": self.problems[:5]}
        return {"options": self.options.to_json(), "calibration": calibration, "units": rows}


def _model(model: ModelFile, layers: Layers, kept: tuple[str, ...], verdict: dict[str, Any]) -> ModelFile:
    arch = replace(model.config.arch, hard_sigmoid_slope=HARD_SIGMOID_SLOPE)  # the layers are folded
    config = replace(model.config, arch=arch, quantization=Quantization(float_layers=kept, verdict=verdict))
    return ModelFile(config, to_weights(layers, config.arch))


def _judge(
    model: ModelFile,
    made: ModelFile,
    chosen: pictures.Chosen,
    judged: pictures.Judged | None,
    options: QuantizeOptions,
    tell: Callable[[str], None],
) -> dict[str, Any]:
    """Run both models on what calibration did not see, and time them."""
    exact, int8 = (_run(Classifier(m, threads=1)) for m in (model, made))
    side = _SideBySide(model, exact, int8, options.max_pixels)
    tell(f"comparing with fp32 on {len(chosen.held_out)} held-out pictures")
    held_out, told = side.compare([(source, None) for source in chosen.held_out], chosen.distinct, [], False)
    out: dict[str, Any] = {"held_out": told, "evaluation": None}
    evaluation = None
    if judged is not None:
        tell(f"comparing with fp32 on {len(judged.samples)} labelled pictures")
        evaluation, told = side.compare(judged.samples, judged.distinct, judged.problems, True)
        out["evaluation"] = told | judged.report
    x = np.random.default_rng(0).normal(size=(1, *model.config.preprocessing.input_size)).astype(np.float32)
    out["latency"] = acceptance.latency(exact, int8, x) | {"threads": 1, "batch": 1, "clock": acceptance.CLOCK}
    why = [*chosen.reasons, *(judged.reasons if judged else [])]
    why += acceptance.one_answer(evaluation or held_out, side.classes)
    why += acceptance.reasons(held_out, evaluation, out["latency"], options.max_drop)
    doubts = acceptance.doubts(evaluation or held_out, told["distinct"], side.classes)
    return out | {"gate": {"passed": not why, "reasons": why, "doubts": doubts}}


class _SideBySide:
    """Both models, to be compared on some pictures and on others."""

    def __init__(self, model: ModelFile, exact: acceptance.Run, int8: acceptance.Run, max_pixels: int) -> None:
        self.exact, self.int8, self.max_pixels = exact, int8, max_pixels
        self.preprocessing, self.classes = model.config.preprocessing, model.config.arch.num_classes

    def compare(
        self, marked: list[tuple[Any, Any]], distinct: int, problems: list[str], with_classes: bool
    ) -> tuple[acceptance.Comparison, dict[str, Any]]:
        """Compare on pictures, which may be marked with their class; `problems` are those of others left out before."""
        problems = list(problems)
        batches = pictures.groups(marked, self.preprocessing, problems, max_pixels=self.max_pixels)
        found = acceptance.compare(self.exact, self.int8, batches, with_classes)
        pictures.check_enough(found.images, len(marked), pictures.JUDGED_FEWEST, problems, "judge the result")
        told = found.summary(bool(self.classes)) | {"distinct": min(distinct, found.images), "left_out": len(problems)}
        return found, told


def _run(classifier: Classifier) -> acceptance.Run:
    return classifier.run if classifier.arch.num_classes else classifier.embeddings


def _sizes(model: ModelFile, made: ModelFile) -> dict[str, int]:
    return {name: sum(v.nbytes for v in m.weights.values()) for name, m in (("fp32_bytes", model), ("int8_bytes", made))}


def _summary(report: dict[str, Any], options: QuantizeOptions) -> dict[str, Any]:
    """What the file says of its making: no times and no names, so that the same model and pictures give the same file."""
    latency = report["latency"]
    return {
        "passed": report["gate"]["passed"],
        "faster": latency["int8_ms"] < latency["fp32_ms"],
        "options": options.to_json(),
        "distinct_images": report["pictures"]["distinct"],
        "doubts": report["gate"]["doubts"],
        "calibration_images": report["calibration"]["images"],
        "held_out": report["held_out"],
        "evaluation": report["evaluation"] and {k: v for k, v in report["evaluation"].items() if k != "leaks"},
    }
