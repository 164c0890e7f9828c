"""int8 of networks that are not timm's: against the reference in numpy, which is the specification, to the bit."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from quantized_models import quantized_layers, sqnr
from weights import pictures

from lcnet import Classifier
from lcnet.config import Quantization, quantizable_units
from lcnet.modelfile import ModelFile, read, write
from lcnet.modelfile.quantized import from_weights, to_weights
from lcnet.quantize import quantize
from lcnet.quantize.network import forward
from lcnet.runtime.kernels import isas

plain_torch = pytest.importorskip("plain_torch", reason="torch (extra: train) is not installed")
NETWORKS = plain_torch.NETWORKS
ISAS = [name for name, here in isas() if here]
SIZE = (48, 64)
FLOAT = ("blocks.0.0", "blocks.2.1", "conv_head", "classifier")


def ready(model, count, size=SIZE, seed=1):
    """Input whose pixels are whole numbers from 0 to 255."""
    pre = model.config.preprocessing
    x = plain_torch.varied(pictures(count, *size, model.config.arch.in_chans, seed), seed)
    pixels = np.clip(np.rint(x * 40 + 120), 0, 255).astype(np.float32)
    mean, std = (np.asarray(v, np.float32)[:, None, None] for v in (pre.mean, pre.std))
    return (pixels / np.float32(255) - mean) / std


@lru_cache
def made(name, kept=()):
    """A float network and the same in int8."""
    arch = NETWORKS[name]
    torch_model = plain_torch.plain_network(arch, plain_torch.varied(pictures(12, 64, 96, arch.in_chans)))
    model = plain_torch.model_file(torch_model, SIZE)
    units = tuple(unit for unit in kept if unit in quantizable_units(arch))
    layers = quantized_layers(model, ready(model, 32), units)
    config = replace(model.config, arch=replace(arch, hard_sigmoid_slope=1 / 6), quantization=Quantization(float_layers=units))
    return model, ModelFile(config, to_weights(layers, arch))


def outputs(model, x, **options):
    classifier = Classifier(model, **options)
    return classifier.run(x) if model.config.arch.num_classes else classifier.embeddings(x)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("name", NETWORKS)
def test_every_isa_equals_the_reference_to_the_bit(name, isa):
    _, int8 = made(name)
    layers = from_weights(int8.weights)
    for size in (SIZE, (33, 47)):
        x = ready(int8, 3, size, seed=7)
        expected = forward(int8.config.arch, layers, int8.config.preprocessing, x)
        assert np.ptp(expected, axis=0).max() > 0
        for threads in (1, 3):
            for images in (1, 3):
                assert np.array_equal(outputs(int8, x[:images], threads=threads, isa=isa), expected[:images])


@pytest.mark.parametrize("name", NETWORKS)
def test_parts_may_stay_in_float(name):
    """Float parts round otherwise on each ISA, and now and then a code by one."""
    _, mixed = made(name, FLOAT)
    x = ready(mixed, 3, (33, 47), seed=7)
    expected = forward(mixed.config.arch, from_weights(mixed.weights), mixed.config.preprocessing, x)
    for isa in ISAS:
        for threads in (1, 3):
            found = outputs(mixed, x, threads=threads, isa=isa)
            assert np.abs(found - expected).max() <= 2e-3 * np.ptp(expected)


@pytest.mark.parametrize("name", NETWORKS)
def test_int8_is_near_float(name):
    model, int8 = made(name)
    x = ready(model, 16, seed=9)
    assert sqnr(outputs(model, x), outputs(int8, x)) > 12  # ReLU and weights at random make noise larger from block to block


def test_embeddings_and_maps_belong_together():
    for name in ("first release", "probe", "pooled"):
        for kept in ((), FLOAT):
            _, int8 = made(name, kept)
            arch, classifier = int8.config.arch, Classifier(int8, threads=2)
            x = ready(int8, 2, (40, 72), seed=3)
            maps = dict(zip(arch.feature_stages, classifier.feature_maps(x), strict=True))
            pooled = np.concatenate([maps[stage].mean((2, 3)) for stage in arch.pooled_stages], 1)
            np.testing.assert_allclose(classifier.embeddings(x), pooled, rtol=1e-4, atol=1e-5)


def test_a_slope_goes_into_the_file(tmp_path):
    """Whether a file states the slope or has it in its gates, it is the same network."""
    model, int8 = made("relu")
    slope = model.config.arch.hard_sigmoid_slope
    weights = dict(int8.weights)
    for key, value in weights.items():
        if ".se.conv_expand." in key:
            weights[key] = (value.astype(np.float64) / (6 * slope)).astype(np.float32)
    config = replace(int8.config, arch=model.config.arch)
    write(tmp_path / "stated.safetensors", ModelFile(config, weights))
    x = ready(int8, 2)
    np.testing.assert_allclose(outputs(read(tmp_path / "stated.safetensors"), x), outputs(int8, x), rtol=1e-3, atol=2e-2)


def test_the_command_keeps_what_the_network_is():
    model, _ = made("first release")
    images = [np.uint8(np.clip(p.transpose(1, 2, 0) * 60 + 120, 0, 255)) for p in pictures(64, *SIZE, seed=11)]
    from PIL import Image

    made_of = [Image.fromarray(p) for p in images]
    outcome = quantize(model, made_of, force=True)
    arch = outcome.model.config.arch
    assert arch == replace(model.config.arch, hard_sigmoid_slope=1 / 6)
    assert "conv_head" not in {row["unit"] for row in outcome.report["units"]}
