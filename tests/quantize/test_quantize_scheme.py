"""Ranges, equalisation, rounding, bias correction, and what each part costs."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from quantized_models import quantized_layers, ready, sqnr, trained

from lcnet.config import Preprocessing
from lcnet.modelfile import ModelFile
from lcnet.modelfile.fold import fold
from lcnet.modelfile.quantized import SMALLEST_SCALE
from lcnet.quantize import correction, ranges, scheme, sensitivity
from lcnet.quantize.network import Layer, float_layers, forward, layers_in_order, pre_activation

pytestmark = pytest.mark.slow

POINTWISE, DEPTHWISE = Layer("p", "pointwise", "b"), Layer("d", "depthwise", "b")


def histogram(values, parts=3):
    out = ranges.Histogram.empty(len(values))
    for part in np.array_split(values, parts, axis=1):
        out.add(part)
    return out


def activations(rng, channels=4, count=3000, scale=1.0):
    x = rng.normal(size=(channels, count)) * np.linspace(1, 8, channels)[:, None] * scale
    return (x * np.clip(x + 3, 0, 6) / 6).astype(np.float32)


def test_histograms_grow_without_losing_counts(rng):
    values = np.sort(activations(rng), axis=1)  # every part is larger than those before it
    found = histogram(values, parts=7)
    assert (found.counts.sum(axis=1) == values.shape[1]).all()
    np.testing.assert_array_equal(found.low, np.minimum(values.min(axis=1), 0))
    np.testing.assert_array_equal(found.high, values.max(axis=1))
    for channel in range(len(values)):
        edges = ranges.LOWEST + np.arange(ranges.BINS + 1) * found.width[channel] / ranges.BINS
        expected = np.histogram(values[channel], edges)[0]
        moved = np.abs(np.cumsum(expected - found.counts[channel])).max()
        assert moved <= 2  # a value on an edge may fall to either side
        assert found.width[channel] / 2 <= values[channel].max() - ranges.LOWEST < found.width[channel]


def test_the_order_of_pictures_does_not_matter(rng):
    values = activations(rng)
    first, second = histogram(values), histogram(values[:, ::-1], parts=5)
    np.testing.assert_array_equal(first.counts, second.counts)


@pytest.mark.parametrize("method", ranges.METHODS)
def test_ranges_hold_zero_and_nearly_everything(method, rng):
    values = activations(rng)
    lo, hi = ranges.choose(DEPTHWISE, histogram(values), method)
    assert (lo <= 0).all() and (lo >= ranges.LOWEST).all() and (hi > 0).all()
    inside = (values >= lo[:, None] - 1e-3) & (values <= hi[:, None])
    assert inside.mean() > (0.9 if method == "mse" else 0.999)


def test_minmax_leaves_headroom(rng):
    values = activations(rng)
    for layer, factor in ((DEPTHWISE, 1.25), (Layer("conv_head", "linear", "conv_head"), 1.5)):
        lo, hi = ranges.choose(layer, histogram(values), "minmax")
        np.testing.assert_allclose(hi, values.max(axis=1) * factor, rtol=1e-6)
        np.testing.assert_allclose(lo, np.maximum(values.min(axis=1) * factor, -0.375), rtol=1e-6)


def test_least_squares_cuts_a_lone_peak(rng):
    values = activations(rng, count=100_000)
    values[0, 7] = 400
    lo, hi = ranges.choose(DEPTHWISE, histogram(values), "mse")
    assert hi[0] < 390

    def error(top):
        scale = (top - lo[0]) / 255
        return ((np.clip(np.rint((values[0] - lo[0]) / scale), 0, 255) * scale + lo[0] - values[0]) ** 2).sum()

    assert error(hi[0]) < error(400)


def test_silent_channels_keep_a_range(rng):
    values = activations(rng)
    values[2] = 0
    lo, hi = ranges.choose(POINTWISE, histogram(values), "minmax")
    assert hi[2] - lo[2] >= np.median(hi - lo) / 65
    quantized = scheme.quantize_layer(POINTWISE, (rng.normal(size=(5, 4)).astype(np.float32), np.zeros(5)), lo, hi)
    assert np.isfinite(quantized.scale).all() and (quantized.input_scale > 0).all()


def test_nothing_but_zeros_can_be_quantized():
    lo, hi = ranges.choose(POINTWISE, histogram(np.zeros((3, 50), np.float32)), "minmax")
    quantized = scheme.quantize_layer(POINTWISE, (np.zeros((2, 3), np.float32), np.ones(2, np.float32)), lo, hi)
    assert (quantized.input_scale > 0).all()
    assert (quantized.scale == 1).all()
    assert not quantized.weight.any()


@pytest.mark.parametrize("size", [0.0, 1e-45, 3e-38, 1.269e-28])
def test_channels_whose_weights_decayed_to_nothing_have_codes_of_zero(size, rng):
    weight = rng.normal(size=(3, 4, 3, 3)).astype(np.float32)
    weight[1] = np.float32(size)
    with np.errstate(all="raise", under="ignore"):
        codes, scale = scheme.rounded(weight)
    assert (scale >= SMALLEST_SCALE).all() and not codes[1].any() and scale[1] == 1
    np.testing.assert_allclose(codes * scale[:, None, None, None], weight, atol=scale[[0, 2]].max() / 2)


@pytest.mark.parametrize("layer", [POINTWISE, DEPTHWISE])
def test_weights_are_rounded_to_the_nearest_code(layer, rng):
    shape, columns = ((6, 4), (1, 4)) if layer is POINTWISE else ((4, 1, 3, 3), (4, 1, 1, 1))
    weight = rng.normal(size=shape).astype(np.float32)
    quantized = scheme.quantize_layer(
        layer, (weight, np.zeros(shape[0])), *ranges.choose(layer, histogram(activations(rng)), "minmax")
    )
    scale = quantized.scale.reshape(-1, *(1,) * (weight.ndim - 1)).astype(np.float64)
    error = np.abs(quantized.weight * scale - weight * quantized.input_scale.reshape(columns).astype(np.float64))
    assert (error <= scale / 2 * 1.0001).all()
    assert (np.abs(quantized.weight.astype(int)).reshape(len(weight), -1).max(axis=1) == 127).all()


def test_equalization_evens_columns_and_never_narrows_a_range(rng):
    weight = (rng.normal(size=(16, 4)) * [1, 0.1, 0.01, 0]).astype(np.float32)
    lo, hi = np.full(4, -0.375), np.full(4, 2.0)
    plain, even = (scheme.quantize_layer(POINTWISE, (weight, np.zeros(16)), lo, hi, e) for e in (0.0, 0.5))
    ratio = even.input_scale / plain.input_scale
    np.testing.assert_allclose(ratio[1:3], np.sqrt(np.abs(weight).max() / np.abs(weight).max(axis=0)[1:3]), rtol=1e-5)
    assert ratio[0] == 1
    assert ratio[3] == scheme.MOST_EQUALIZED
    assert ((255 - even.input_zero.astype(float)) * even.input_scale >= 2 - 0.51 * even.input_scale).all()


def test_the_stem_takes_pixels():
    pre = Preprocessing(mean=(0.1, 0.5, 0.9), std=(0.2, 0.3, 0.1))
    rng = np.random.default_rng(3)
    weight, bias = rng.normal(size=(5, 3, 3, 3)).astype(np.float32), rng.normal(size=5).astype(np.float32)
    quantized = scheme.quantize_stem((weight, bias), pre)
    np.testing.assert_array_equal(quantized.input_zero, [26, 128, 230])
    pixels = rng.integers(0, 256, (3, 8, 8, 2)).astype(np.float64)
    mean, std = (np.asarray(v)[:, None, None, None] for v in (pre.mean, pre.std))
    x = ((pixels / 255 - mean) / std).astype(np.float32)
    layer = layers_in_order(trained().config.arch)[0]
    found, expected = (pre_activation(layer, stem, x, pre) for stem in (quantized, (weight, bias)))
    assert sqnr(expected, found) > 38


def test_bias_correction_takes_back_the_mean_shift():
    model, x = trained(), ready(48)
    arch, pre, exact = model.config.arch, model.config.preprocessing, float_layers(fold(model))
    plain = quantized_layers(model, x, bias_correction=False)
    shifted = dict(plain)
    name = "blocks.2.0.conv_pw"
    shifted[name] = replace(plain[name], bias=plain[name].bias + np.float32(0.3))
    fixed, again = (correction.corrected(arch, exact, layers, pre, x) for layers in (plain, shifted))
    for name in fixed:  # whatever the shift was, the result is the same
        if name in plain and hasattr(fixed[name], "scale"):
            np.testing.assert_allclose(again[name].bias, fixed[name].bias, atol=2e-3)
    other = ready(32, seed=5)
    expected = forward(arch, exact, pre, other)
    before, after = (sqnr(expected, forward(arch, layers, pre, other)) for layers in (shifted, again))
    assert after > before + 1


def test_the_corrections_memory_is_bounded():
    arch = trained().config.arch
    assert correction.picture_limit(arch, Preprocessing()) * 112 * 112 * 16 * 4 <= correction.MEMORY
    assert correction.picture_limit(arch, Preprocessing(input_size=(3, 4096, 4096))) == correction.FEWEST


def wild(model, seed=0, spread=1.2):
    """The same network with channels of very different ranges: batch norms scaled, what follows scaled back.

    Hard-swish is no multiple of itself, so the function changes; the classifier's logits still react to pictures.
    """
    rng, weights = np.random.default_rng(seed), {k: v.copy() for k, v in model.weights.items()}
    names = [name for name, _ in model.config.arch.blocks()]
    pairs = [(f"{n}.bn1", f"{n}.conv_pw") for n in names]
    pairs += [(f"{a}.bn2", f"{b}.conv_dw") for a, b in pairwise(names)]
    for norm, conv in pairs:
        factor = np.exp(np.abs(rng.normal(0, spread, len(weights[f"{norm}.weight"])))).astype(np.float32)
        for key in ("weight", "bias"):
            weights[f"{norm}.{key}"] *= factor
        weights[f"{conv}.weight"] /= factor[:, None, None, None] if conv.endswith("dw") else factor[None, :, None, None]
    return ModelFile(model.config, weights)


@pytest.mark.parametrize("seed", [0, 1])
def test_wild_channel_ranges_stay_above_25_db(seed):
    model = wild(trained(), seed)
    arch, pre, exact = model.config.arch, model.config.preprocessing, float_layers(fold(model))
    seen = ranges.collect(arch, exact, pre, [ready(32)])
    spans = [h.high.max() / np.median(h.high) for h in seen.histograms.values()]
    assert np.median(spans) > 4
    layers, x = quantized_layers(model, ready(64)), ready(48, seed=7)
    expected = forward(arch, exact, pre, x)
    assert np.ptp(expected, axis=0).min() > 0.1
    assert sqnr(expected, forward(arch, layers, pre, x)) > 25


def test_a_rescaling_that_folds_away_changes_nothing(rng):
    """A conv and its batch norm's statistics scaled together are the same folded layer."""
    model, weights = trained(), dict(trained().weights)
    for name, _ in model.config.arch.blocks():
        factor = np.exp2(rng.integers(0, 9, len(weights[f"{name}.bn1.weight"]))).astype(np.float32)
        weights[f"{name}.conv_dw.weight"] = weights[f"{name}.conv_dw.weight"] * factor[:, None, None, None]
        weights[f"{name}.bn1.running_mean"] = weights[f"{name}.bn1.running_mean"] * factor
        weights[f"{name}.bn1.running_var"] = (weights[f"{name}.bn1.running_var"] + np.float32(1e-5)) * factor**2 - np.float32(
            1e-5
        )
    scaled, x = ModelFile(model.config, weights), ready(32)
    a, b = (forward(model.config.arch, quantized_layers(m, x), model.config.preprocessing, x) for m in (model, scaled))
    assert sqnr(a, b) > 28


def test_sensitivity_finds_the_part_that_was_harmed():
    model, x = trained(), ready(16)
    arch, pre, exact = model.config.arch, model.config.preprocessing, float_layers(fold(model))
    layers = quantized_layers(model, ready(32))
    before = {d.unit: d for d in sensitivity.measure(arch, exact, layers, pre, x)}
    assert list(before) == ["conv_stem", *(name for name, _ in arch.blocks()), "conv_head", "classifier"]
    assert abs(sum(d.macs for d in before.values()) - 1) < 1e-9
    name = "blocks.3.1.conv_dw"
    harmed = {**layers, name: replace(layers[name], scale=layers[name].scale * np.float32(1.5))}
    damages = sensitivity.measure(arch, exact, harmed, pre, x)
    assert sensitivity.worst(damages, ()) == "blocks.3.1"
    assert sensitivity.worst(damages, ("blocks.3.1",)) != "blocks.3.1"
    for damage in damages:  # the others are as before
        if damage.unit != "blocks.3.1":
            assert damage.noise == before[damage.unit].noise


def test_few_parts_stay_in_float_and_never_the_stem():
    damages = [sensitivity.Damage("conv_stem", 1, 0.1), sensitivity.Damage("conv_head", 0.1, 0.9)]
    assert sensitivity.worst(damages, ()) is None
    many = [sensitivity.Damage(f"blocks.{i}.0", 1.0, 0.1) for i in range(5)]
    assert sensitivity.worst(many, ("a", "b", "c")) is None
