"""int8 of PP-LCNetV2: against the reference in numpy to the bit, parts in float, and its sigmoid against libm's."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from quantized_models import quantized_layers, sqnr
from weights import pictures

from lcnet import Classifier
from lcnet.config import Quantization, quantizable_units
from lcnet.families import LCNETV2
from lcnet.modelfile import ModelFile, read, write
from lcnet.modelfile.fold import fold
from lcnet.modelfile.quantized import from_weights, to_weights
from lcnet.quantize import sensitivity
from lcnet.quantize.network import float_layers, forward
from lcnet.quantize.sigmoid import sigmoid
from lcnet.runtime.kernels import isas

plain_v2 = pytest.importorskip("plain_v2", reason="torch (extra: train) is not installed")
from plain_torch import varied  # noqa: E402

NETWORKS = plain_v2.V2_NETWORKS
ISAS = [name for name, here in isas() if here]
SIZE = (48, 64)


def ready(model, count, size=SIZE, seed=1):
    """Input whose pixels are whole numbers from 0 to 255."""
    pre = model.config.preprocessing
    x = varied(pictures(count, *size, model.config.arch.in_chans, seed), seed)
    pixels = np.clip(np.rint(x * 40 + 120), 0, 255).astype(np.float32)
    mean, std = (np.asarray(v, np.float32)[:, None, None] for v in (pre.mean, pre.std))
    return (pixels / np.float32(255) - mean) / std


@lru_cache
def network(name):
    arch = NETWORKS[name]
    return plain_v2.PlainV2(arch, varied(pictures(12, *SIZE, arch.in_chans))).model_file(SIZE)


@lru_cache
def made(name, kept=()):
    """The same in int8, but for some parts."""
    model = network(name)
    layers = quantized_layers(model, ready(model, 32), kept)
    arch = replace(model.config.arch, hard_sigmoid_slope=1 / 6)
    return ModelFile(replace(model.config, arch=arch, quantization=Quantization(float_layers=kept)), to_weights(layers, arch))


def outputs(model, x, **options):
    classifier = Classifier(model, **options)
    return classifier.run(x) if model.config.arch.num_classes else classifier.embeddings(x)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_isa_equals_the_reference_to_the_bit(name):
    int8 = made(name)
    for size in (SIZE, (33, 47)):
        x = ready(int8, 3, size, seed=7)
        expected = forward(int8.config.arch, from_weights(int8.weights), int8.config.preprocessing, x)
        assert np.ptp(expected, axis=0).max() > 0
        for isa in ISAS:
            for threads in (1, 3):
                np.testing.assert_array_equal(outputs(int8, x, isa=isa, threads=threads), expected)
                np.testing.assert_array_equal(outputs(int8, x[:1], isa=isa, threads=threads), expected[:1])


@pytest.mark.parametrize("name", NETWORKS)
def test_parts_may_stay_in_float(name):
    """Blocks on both sides of the boundary: two pointwise layers, and a shortcut behind codes and behind floats."""
    units = quantizable_units(NETWORKS[name])
    kept = tuple(u for u in units if u in ("stem.1", "stages.2.1", "stages.3.1", "conv_head"))
    int8, exact = made(name, kept), network(name)
    x = ready(int8, 3, seed=7)
    expected = forward(int8.config.arch, from_weights(int8.weights), int8.config.preprocessing, x)
    for isa in ISAS:
        found = outputs(int8, x, isa=isa, threads=2)
        assert np.abs(found - expected).max() < 0.02 * np.ptp(expected)  # where a float layer rounds otherwise, codes differ
    assert max(map(sqnr, outputs(exact, x, threads=1), expected)) > 15


@pytest.mark.parametrize("name", NETWORKS)
def test_int8_is_near_float(name):
    """On most pictures: of random ones some are far outside what calibration has seen."""
    x = ready(made(name), 16, seed=9)
    pairs = zip(outputs(network(name), x, threads=1), outputs(made(name), x, threads=1), strict=True)
    assert np.median([sqnr(exact, found) for exact, found in pairs]) > 15


def test_what_a_part_costs_is_measured_behind_its_shortcut():
    model, int8 = network("v2"), made("v2")
    exact, x = float_layers(fold(model)), ready(model, 4)
    damages = sensitivity.measure(model.config.arch, exact, from_weights(int8.weights), model.config.preprocessing, x)
    assert [d.unit for d in damages] == ["conv_stem", *quantizable_units(model.config.arch)]
    alone = exact | {k: v for k, v in from_weights(int8.weights).items() if k.startswith("stages.3.1.")}
    outs = [forward(model.config.arch, layers, model.config.preprocessing, x) for layers in (exact, alone)]
    noise = ((outs[1] - outs[0]).astype(float) ** 2).sum() / (outs[0].astype(float) ** 2).sum()
    assert next(d.noise for d in damages if d.unit == "stages.3.1") == pytest.approx(noise, rel=1e-3)


def test_a_quantised_file_can_be_read_again(tmp_path, monkeypatch):
    monkeypatch.setitem(LCNETV2.sizes, "tiny", (0.25, ()))
    int8 = made("v2", ("stages.2.0",))
    write(tmp_path / "v2.safetensors", int8)
    x = ready(int8, 2)
    np.testing.assert_array_equal(outputs(read(tmp_path / "v2.safetensors"), x, threads=1), outputs(int8, x, threads=1))


def test_the_sigmoid_is_libms():
    x = np.concatenate([np.linspace(-120, 120, 100001), [0, -0.0, 1e-30, 1e30, -1e30, np.inf, -np.inf]]).astype(np.float32)
    truth = 1 / (1 + np.exp(-np.clip(x, -700, 700).astype(np.float64)))
    assert np.abs(sigmoid(x) - truth).max() < 1e-7
    inner = np.abs(x) < 87
    assert (np.abs(sigmoid(x) / truth - 1))[inner].max() < 1e-6
    assert np.isnan(sigmoid(np.float32([np.nan]))).all()
