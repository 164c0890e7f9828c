"""What each part of the network costs in accuracy when it alone is int8, and which parts had better stay in float."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..arch import Arch
from ..config import Preprocessing
from ..modelfile.quantized import AnyLayer
from .network import Held, Layer, after, before, layers_in_order, outputs, pre_activation, run, with_mean

CHUNK = 8  # pictures whose activations of all layers are in memory
MOST_FLOAT = 3  # parts; where more are needed, int8 is not for this network


@dataclass(frozen=True)
class Damage:
    """What one part's int8 arithmetic alone does to the outputs."""

    unit: str
    noise: float  # power of the difference, as a part of the outputs' power
    macs: float  # its part of the network's multiply-adds: about what int8 can save there

    @property
    def sqnr_db(self) -> float:
        """The same in decibels."""
        return decibels(self.noise)


def decibels(noise: float) -> float:
    """A ratio of noise to signal as a signal-to-noise ratio in dB, at most 120."""
    return float(-10 * np.log10(max(noise, 1e-12)))


def measure(
    arch: Arch, exact: Mapping[str, AnyLayer], layers: Mapping[str, AnyLayer], preprocessing: Preprocessing, x: np.ndarray
) -> list[Damage]:
    """Run ready input, float32 [N,C,H,W], with one part at a time in int8 and all else in float."""
    units = list(dict.fromkeys(layer.unit for layer in layers_in_order(arch)))
    noise, signal = np.zeros(len(units)), 0.0
    for start in range(0, len(x), CHUNK):
        expected, found = _with_each(units, arch, exact, layers, preprocessing, x[start : start + CHUNK])
        signal += _power(expected)
        noise += [_power(logits - expected) for logits in found]
    macs = _macs(arch, preprocessing)
    shares = [macs[unit] / sum(macs.values()) for unit in units]
    return [Damage(u, float(n), m) for u, n, m in zip(units, noise / max(signal, 1e-30), shares, strict=True)]


def _with_each(
    units: list[str],
    arch: Arch,
    exact: Mapping[str, AnyLayer],
    layers: Mapping[str, AnyLayer],
    preprocessing: Preprocessing,
    x: np.ndarray,
) -> tuple[np.ndarray, list[np.ndarray]]:
    """The float outputs, and those with each unit in int8: what comes before the unit is computed once for all."""
    order, inputs = layers_in_order(arch), {}
    held = Held()
    for layer, state, out in run(arch, exact, preprocessing, x):
        inputs[layer.name], last = (state, held), out
        held = with_mean(layer, out, held)
    found = []
    for unit in units:
        first = next(i for i, layer in enumerate(order) if layer.unit == unit)
        mixed = {layer.name: layers[layer.name] for layer in order if layer.unit == unit}
        found.append(_finish(order[first:], {**exact, **mixed}, preprocessing, *inputs[order[first].name]))
    return outputs(order[-1], last), found


def _power(values: np.ndarray) -> float:
    return float((values.astype(np.float64) ** 2).sum())


def _finish(
    order: list[Layer], layers: Mapping[str, AnyLayer], preprocessing: Preprocessing, state: np.ndarray, held: Held
) -> np.ndarray:
    for layer in order:
        held = before(layer, state, held)
        state = after(layer, pre_activation(layer, layers[layer.name], state, preprocessing), layers, held)
        held = with_mean(layer, state, held)
    return outputs(order[-1], state)


def _macs(arch: Arch, preprocessing: Preprocessing) -> dict[str, int]:
    cost = {name: macs for name, macs, _ in arch.conv_costs(*preprocessing.input_size[1:])}
    out: dict[str, int] = {}
    for layer in layers_in_order(arch):
        out[layer.unit] = out.get(layer.unit, 0) + cost[layer.name]
    return out


def worst(damages: list[Damage], kept: tuple[str, ...]) -> str | None:
    """The part that hurts most of those whose share of the noise is larger than that of the work, the stem excepted."""
    total = sum(damage.noise for damage in damages)
    open_ = [d for d in damages if d.unit != "conv_stem" and d.unit not in kept and d.noise > d.macs * total]
    return max(open_, key=lambda d: d.noise).unit if open_ and len(kept) < MOST_FLOAT else None
