"""The int8 form of a network: which tensors it has, of which type, and the layers that the runtime works with.

Owns the records and the checks of what docs/model-file.md calls a quantised file. It quantises nothing: `lcnet.quantize` does.
Batch norm is folded; every layer is either a `QuantizedLayer` or a plain (weight, bias) pair in float32.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

import numpy as np

from ..arch import HARD_SIGMOID_SLOPE, Arch, Conv
from ..config import Quantization
from ..errors import ModelFileError

STEM, HEAD, CLASSIFIER = "conv_stem", "conv_head", "classifier"
IN_BLOCKS = ("conv_dw", "conv_pw", "conv_pw2")
GATE = ".se."
DTYPES: dict[str, type[np.generic]] = {"I8": np.int8, "U8": np.uint8, "F32": np.float32, "I64": np.int64}
SMALLEST_SCALE = 1e-30  # its reciprocal is still a float32
LARGEST_SCALE = 1e30  # the same
LARGEST_WEIGHT = 127  # -128 would make the negative side longer, and two of them overflow an int16 sum


@dataclass(frozen=True)
class QuantizedLayer:
    """One layer in int8: pre-activation = scale * sum(weight * (input code - input_zero)) + bias.

    The input of channel c is coded as input / input_scale[c] + input_zero[c], rounded, 0 to 255; input_scale is folded into
    the weights already. The stem's sum takes the codes as they are, and its bias holds the rest.
    """

    weight: np.ndarray  # int8, timm's shape
    scale: np.ndarray  # float32 [out]
    bias: np.ndarray  # float32 [out]
    input_scale: np.ndarray  # float32 [in]
    input_zero: np.ndarray  # uint8 [in]


FIELDS = tuple(field.name for field in fields(QuantizedLayer))
AnyLayer = QuantizedLayer | tuple[np.ndarray, np.ndarray]
Layers = dict[str, AnyLayer]  # by the names of `Arch.convs`; the gates of squeeze-and-excite are there too


def unit_of(layer: str) -> str:
    """The unit that a layer is int8 with: its block, the stem, the head or the classifier."""
    unit, _, part = layer.rpartition(".")
    return unit if part in IN_BLOCKS else layer


def layers_of(arch: Arch, unit: str) -> tuple[str, ...]:
    """The layers of a unit that are int8 if it is."""
    return tuple(conv.layer for conv in _convs(arch) if unit_of(conv.layer) == unit)


def fields_of(layer: AnyLayer) -> tuple[np.ndarray, ...]:
    """A layer's arrays in their order: five of an int8 one, weight and bias of a float one."""
    return tuple(getattr(layer, key) for key in FIELDS) if isinstance(layer, QuantizedLayer) else layer


def shapes(arch: Arch, quantization: Quantization) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Every tensor of a quantised file: name -> (dtype as safetensors writes it, shape)."""
    out: dict[str, tuple[str, tuple[int, ...]]] = {}
    for conv in _convs(arch):
        name, weight, kept = conv.layer, conv.shape, unit_of(conv.layer) in quantization.float_layers
        out[f"{name}.weight"] = ("F32" if kept else "I8"), weight
        out[f"{name}.bias"] = "F32", weight[:1]
        if not kept:
            channels = weight[0] if name.endswith(".conv_dw") else weight[1]
            out[f"{name}.scale"] = "F32", weight[:1]
            out[f"{name}.input_scale"], out[f"{name}.input_zero"] = ("F32", (channels,)), ("U8", (channels,))
    gates = (conv for conv in arch.convs() if GATE in conv.layer)
    return out | {
        f"{conv.layer}.{what}": ("F32", shape)
        for conv in gates
        for what, shape in (("weight", conv.shape), ("bias", conv.shape[:1]))
    }


def _convs(arch: Arch) -> Iterator[Conv]:
    """Everything that can be int8."""
    return (conv for conv in arch.convs() if GATE not in conv.layer)


def check_values(weights: Mapping[str, np.ndarray]) -> None:
    """Raise `ModelFileError` for finite values that no quantiser writes: weights of -128, scales that are not above 0.

    So it does for layers whose sums could overflow float32.
    """
    for key, value in weights.items():
        if value.dtype == np.int8 and (value < -LARGEST_WEIGHT).any():
            raise ModelFileError(f"{key} has values of -128, expected {-LARGEST_WEIGHT} to {LARGEST_WEIGHT}")
        if key.endswith("scale") and not (value >= SMALLEST_SCALE).all():
            raise ModelFileError(f"{key} has values below {SMALLEST_SCALE:.1e}, expected scales above 0")
        if key.endswith("input_scale") and not (value <= LARGEST_SCALE).all():
            raise ModelFileError(f"{key} has values above {LARGEST_SCALE:.1e}, expected scales whose reciprocals are one")
        if key.endswith(".scale"):
            _check_sums(weights, key.removesuffix(".scale"))


def _check_sums(weights: Mapping[str, np.ndarray], layer: str) -> None:
    """Whatever the input, hard-swish multiplies the layer's outputs by up to 6, and none of that may become Inf."""
    most = LARGEST_WEIGHT * 255 * int(np.prod(weights[f"{layer}.weight"].shape[1:]))
    largest = weights[f"{layer}.scale"].astype(np.float64) * most + np.abs(weights[f"{layer}.bias"])
    if not (6 * largest <= float(np.finfo(np.float32).max)).all():
        raise ModelFileError(f"{layer} can overflow float32: its scale or its bias is damaged")


def from_weights(weights: Mapping[str, np.ndarray], slope: float = HARD_SIGMOID_SLOPE) -> Layers:
    """Put the tensors of a checked quantised file together to layers; matrices lose timm's two last dimensions of 1.

    slope: the file's, of its hard-sigmoids; those of the layers have 1/6.
    """
    out: Layers = {}
    for key, value in weights.items():
        name, _, what = key.rpartition(".")
        if what == "weight":
            whole = name.endswith("conv_dw") or name == STEM
            part = {"weight": value if whole else value.reshape(value.shape[:2])}
            keys = [k for k in FIELDS[1:] if value.dtype == np.int8 or k == "bias"]
            # A mapped file may have its tensors at any address, which the native core cannot take.
            part |= {k: weights[f"{name}.{k}"] for k in keys}
            part = {k: np.require(v, requirements=["C", "A"]) for k, v in part.items()}
            out[name] = QuantizedLayer(**part) if value.dtype == np.int8 else (part["weight"], part["bias"])
            if name.endswith(".se.conv_expand"):
                out[name] = sloped((part["weight"], part["bias"]), slope)
    return out


def sloped(layer: tuple[np.ndarray, np.ndarray], slope: float) -> tuple[np.ndarray, np.ndarray]:
    """The layer before a hard-sigmoid of any slope, for one of 1/6: slope * x is 1/6 of 6 * slope * x."""
    if slope == HARD_SIGMOID_SLOPE:
        return layer
    w, b = ((6 * slope * part.astype(np.float64)).astype(np.float32) for part in layer)
    return w, b


def to_weights(layers: Mapping[str, AnyLayer], arch: Arch) -> dict[str, np.ndarray]:
    """Take layers apart to the tensors of a quantised file, float weights in timm's shapes."""
    out: dict[str, np.ndarray] = {}
    shapes = {conv.layer: conv.shape for conv in arch.convs()}
    for name, layer in layers.items():
        parts = vars(layer) if isinstance(layer, QuantizedLayer) else dict(zip(("weight", "bias"), layer, strict=True))
        out |= {f"{name}.{key}": value for key, value in parts.items()}
        out[f"{name}.weight"] = out[f"{name}.weight"].reshape(shapes[name])
    return out
