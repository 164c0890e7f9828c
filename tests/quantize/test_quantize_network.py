"""The numpy references: fused arithmetic, the float network against the engine, the int8 one against plain loops."""

from fractions import Fraction

import numpy as np
import pytest
from quantized_models import quantized_layers, quantized_model, ready, sqnr, trained

from lcnet import _native
from lcnet.modelfile.fold import fold
from lcnet.modelfile.quantized import QuantizedLayer, from_weights
from lcnet.quantize.fma import fma
from lcnet.quantize.network import float_layers, forward, layers_in_order, mean, run
from lcnet.runtime import Classifier


def nearest(value):
    """The float32 nearest to a fraction, ties to even."""
    near = np.float32(float(value))
    around = {near, np.nextafter(near, np.float32(np.inf)), np.nextafter(near, np.float32(-np.inf))}
    return min(around, key=lambda f: (abs(Fraction(float(f)) - value), int(f.view(np.int32)) & 1))


def halfway(rng, count):
    """Products that lie exactly between two float32, and addends too small for float64 to see."""
    a, b = (2 * rng.integers(1 << 11, 1 << 12, 4 * count) + 1 for _ in "ab")
    good = (a * b >= 1 << 24) & (a * b < 1 << 25)
    a, b = (v[good][:count].astype(np.float32) for v in (a, b))
    return a, b, (rng.choice([-1, 0, 1], len(a)) * 2.0 ** rng.integers(-120, -40, len(a))).astype(np.float32)


def tiny(rng, count):
    """Results below the smallest normal float32."""
    a, b = ((rng.normal(size=count) * 2.0 ** rng.integers(-72, -62, count)).astype(np.float32) for _ in "ab")
    return a, b, (rng.normal(size=count) * 2.0 ** rng.integers(-149, -128, count)).astype(np.float32)


def ordinary(rng, count):
    return tuple((rng.normal(size=count) * 2.0 ** rng.integers(-10, 10, count)).astype(np.float32) for _ in "abc")


@pytest.mark.parametrize("values", [halfway, tiny, ordinary])
def test_fma_rounds_once(values, rng):
    a, b, c = values(rng, 500)
    assert len(a) > 100
    exact = [Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z)) for x, y, z in zip(a, b, c, strict=True)]
    np.testing.assert_array_equal(fma(a, b, c), [nearest(value) for value in exact])


def test_two_roundings_would_be_wrong(rng):
    a, b, c = halfway(rng, 500)
    twice = (a.astype(np.float64) * b + c).astype(np.float32)
    assert (twice != fma(a, b, c)).any()


def test_fma_broadcasts_and_keeps_nan():
    out = fma(np.float32([[1], [np.nan]]), np.float32([2, np.inf]), np.float32(3))
    np.testing.assert_array_equal(out, np.float32([[5, np.inf], [np.nan, np.nan]]))


def test_the_float_network_is_the_engines():
    model, x = trained(), ready(8)
    expected = Classifier(model, threads=1).run(x)
    found = forward(model.config.arch, float_layers(fold(model)), model.config.preprocessing, x)
    assert np.ptp(expected, axis=0).min() > 0.3  # the logits react
    assert np.abs(found - expected).max() < 1e-5 * np.ptp(expected)


@pytest.mark.parametrize("size", [(32, 32), (45, 33)])
def test_odd_sizes_and_embeddings(size):
    from dataclasses import replace

    model = trained()
    x = ready(2)[:, :, : size[0], : size[1]]
    arch = replace(model.config.arch, num_classes=0)
    found = forward(arch, float_layers(fold(model)), model.config.preprocessing, x)
    expected = Classifier(model, threads=1).embeddings(np.ascontiguousarray(x))
    assert np.abs(found - expected).max() < 1e-5 * np.ptp(expected)


def test_the_average_is_summed_row_by_row(rng):
    out = rng.normal(size=(3, 5, 7, 2)).astype(np.float32)
    rows = [[[np.float32(0)] * 5 for _ in range(3)] for _ in range(2)]
    for n, c, y, x in np.ndindex(2, 3, 5, 7):
        rows[n][c][y] = rows[n][c][y] + out[c, y, x, n]
    total = np.zeros((3, 2), np.float32)
    for n, c, y in np.ndindex(2, 3, 5):
        total[c, n] += rows[n][c][y]
    np.testing.assert_array_equal(mean(out), total * np.float32(1 / 210))


# The int8 network, once more in plain integers and extended precision, pixel by pixel


def plain_code(values, factor, zero):
    wide = np.longdouble(1) * values * factor + zero
    return np.clip(np.rint(wide.astype(np.float32)), 0, 255).astype(np.int64)


def plain_layer(layer, tensors, codes):
    """int64 sums with loops over the pixels; codes [H,W,C] or [C]."""
    weight, zero = tensors.weight.astype(np.int64), tensors.input_zero.astype(np.int64)
    if layer.kind in ("pointwise", "linear"):
        return (codes - zero) @ weight.reshape(len(weight), -1).T
    pad, k = weight.shape[2] // 2, weight.shape[2]
    padded = np.empty((codes.shape[0] + 2 * pad, codes.shape[1] + 2 * pad, codes.shape[2]), np.int64)
    padded[:] = zero
    padded[pad:-pad, pad:-pad] = codes
    if layer.kind == "depthwise":
        padded -= zero
    height, width = (-(-n // s) for n, s in zip(codes.shape[:2], layer.strides, strict=True))
    out = np.empty((height, width, len(weight)), np.int64)
    for y, x in np.ndindex(height, width):
        window = padded[y * layer.strides[0] :, x * layer.strides[1] :][:k, :k]
        spec = "yxc,cyx->c" if layer.kind == "depthwise" else "yxc,ocyx->o"
        out[y, x] = np.einsum(spec, window, weight[:, 0] if layer.kind == "depthwise" else weight)
    return out


def plain_gate(h6, reduce, expand):
    total = np.zeros(h6.shape[2], np.float32)
    for row in h6:
        line = np.zeros(h6.shape[2], np.float32)
        for pixel in row:
            line += pixel
        total += line
    values = total * np.float32(1 / (6 * h6.shape[0] * h6.shape[1]))
    for (weight, bias), last in ((reduce, False), (expand, True)):
        sums = bias.astype(np.float32).copy()
        for i, value in enumerate(values):
            sums = (np.longdouble(1) * weight[:, i] * value + sums).astype(np.float32)
        values = sums if last else np.maximum(sums, 0)
    return np.clip(values + np.float32(3), 0, 6) * np.float32(1 / 6)


def plain_network(model, layers, image):
    """The logits of one picture, by the letter of docs/int8.md."""
    pre, state = model.config.preprocessing, image.transpose(1, 2, 0)
    for layer in layers_in_order(model.config.arch):
        tensors = layers[layer.name]
        factor = np.float32(1 / (layer.factor * tensors.input_scale.astype(np.float64)))
        zero = np.float32([255 * m for m in pre.mean]) if layer.kind == "stem" else tensors.input_zero
        sums = plain_layer(layer, tensors, plain_code(state, factor, zero))
        value = (np.longdouble(1) * sums.astype(np.float32) * tensors.scale + tensors.bias).astype(np.float32)
        if layer.name == "classifier":
            return value
        state = value * np.clip(value + np.float32(3), np.float32(0), np.float32(6))
        if layer.gate:
            state = state * plain_gate(state, *(layers[f"{layer.unit}.se.conv_{part}"] for part in ("reduce", "expand")))
        if layer.pooled:
            state = mean(state.transpose(2, 0, 1)[..., None])[:, 0]
    raise AssertionError


def test_the_int8_network_is_exact():
    model, x = trained(), ready(3)[:, :, :45, :38]
    layers = quantized_layers(model, ready(32))
    found = forward(model.config.arch, layers, model.config.preprocessing, np.ascontiguousarray(x))
    np.testing.assert_array_equal(found, [plain_network(model, layers, image) for image in x])


def test_codes_are_the_pixels():
    model, x = trained(), ready(2)
    layers = quantized_layers(model, ready(16), bias_correction=False)
    from lcnet.quantize.network import code

    layer = layers_in_order(model.config.arch)[0]
    codes = code(layer, layers[layer.name], x.transpose(1, 2, 3, 0), model.config.preprocessing)
    pixels = np.clip(np.rint(ready_pixels(x, model.config.preprocessing)), 0, 255)
    np.testing.assert_array_equal(codes.transpose(3, 0, 1, 2), pixels)


def ready_pixels(x, pre):
    mean_, std = (np.asarray(v, np.float64)[:, None, None] for v in (pre.mean, pre.std))
    return 255 * (x * std + mean_)


def test_wide_layers_add_up_exactly(rng):
    """1280 inputs of the largest codes and weights exceed what float32 counts exactly."""
    from lcnet.quantize.network import Layer, pre_activation

    weight = rng.integers(100, 128, (7, 1280)).astype(np.int8)
    ones = np.ones(1280, np.float32)
    tensors = QuantizedLayer(weight, np.ones(7, np.float32), np.zeros(7, np.float32), ones, np.zeros(1280, np.uint8))
    state = rng.integers(200, 256, (1280, 3)).astype(np.float32)
    sums = weight.astype(np.int64) @ state.astype(np.int64)
    assert sums.min() > 1 << 24
    np.testing.assert_array_equal(
        pre_activation(Layer("conv_head", "linear", "conv_head", factor=1), tensors, state, trained().config.preprocessing),
        sums.astype(np.float32),
    )


@pytest.mark.parametrize("isa", [name for name, here in _native.isas() if here])
def test_the_kernels_are_the_reference_to_the_bit(isa):
    model, x = quantized_model(), ready(9, seed=3)
    layers = from_weights(model.weights)
    expected = forward(model.config.arch, layers, model.config.preprocessing, x)
    for threads in (1, 2):
        np.testing.assert_array_equal(Classifier(model, threads, isa).run(x), expected)
    assert Classifier(model).precision == "int8"


UNITS = tuple(dict.fromkeys(layer.unit for layer in layers_in_order(trained().config.arch) if layer.unit != "conv_stem"))


@pytest.mark.parametrize("isa", [name for name, here in _native.isas() if here])
@pytest.mark.parametrize(
    ("kept", "tolerance"),
    [(UNITS, 1e-5), (UNITS[-2:], 1e-5), (UNITS[-1:], 1e-5)]
    + [(UNITS[part], 1e-2) for part in (slice(1), slice(1, 3), slice(8, 13), slice(-3, -1))],
)
def test_parts_in_float(kept, tolerance, isa):
    """Only float sums may differ from the reference; where codes follow them, some of these may round the other way."""
    model, x = quantized_model(kept=kept), ready(9, seed=3)[:, :, :57, :45]
    layers = from_weights(model.weights)
    expected = forward(model.config.arch, layers, model.config.preprocessing, x)
    for threads in (1, 2):
        classifier = Classifier(model, threads, isa)
        assert np.abs(classifier.run(x) - expected).max() < tolerance * np.ptp(expected)
        one = classifier.run(x[:1])  # by all threads together
        np.testing.assert_allclose(one, classifier.run(x)[:1], atol=1e-5 * np.ptp(expected))


def test_what_else_a_network_with_parts_in_float_gives():
    model, x = quantized_model(kept=("blocks.1.1", "blocks.2.0", "conv_head")), ready(2, seed=3)
    exact, mixed = Classifier(trained(), threads=1), Classifier(model, threads=1)
    for expected, found in zip(exact.feature_maps(x), mixed.feature_maps(x), strict=True):
        assert sqnr(expected, found) > 20
    assert sqnr(exact.embeddings(x), mixed.embeddings(x)) > 20
    np.testing.assert_array_equal(mixed.forward_head(mixed.forward_features(x)), mixed.run(x))


def test_every_step_is_seen_once():
    model, x = trained(), ready(1)
    names = [layer.name for layer, _, _ in run(model.config.arch, float_layers(fold(model)), model.config.preprocessing, x)]
    assert names == [name for name, _, _ in model.config.arch.conv_costs(64, 64) if ".se." not in name]
