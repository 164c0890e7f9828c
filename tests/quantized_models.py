"""A trained model, pictures for it, and int8 models made of it quickly, for the tests of lcnet.quantize."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
from PIL import Image
from weights import pictures

from lcnet import hub, modelfile
from lcnet.config import Quantization
from lcnet.modelfile import ModelFile
from lcnet.modelfile.fold import fold
from lcnet.modelfile.quantized import to_weights, unit_of
from lcnet.quantize import correction, ranges, scheme
from lcnet.quantize.network import float_layers, layers_in_order


@lru_cache
def trained():
    """The bundled CIFAR-10 model, for pictures of 64 pixels: its logits react to them, as random weights' do not."""
    return resized(bundled(), 64)


def bundled():
    """The same for pictures of the size that it was made for."""
    return modelfile.read(hub.BUNDLED / "lcnet_050.cifar10.safetensors")


def resized(model, size):
    """The same model for square pictures of another size."""
    preprocessing = replace(model.config.preprocessing, input_size=(3, size, size))
    return ModelFile(replace(model.config, preprocessing=preprocessing), model.weights)


@lru_cache
def small():
    """The same for pictures of 48 pixels: half of the work."""
    return resized(trained(), 48)


def ready(count, seed=1, size=64):
    """Ready input whose pixels are whole numbers from 0 to 255, as pictures' are."""
    pre = trained().config.preprocessing
    mean, std = (np.asarray(v, np.float32)[:, None, None] for v in (pre.mean, pre.std))
    pixels = np.clip(np.rint(pictures(count, size, size, seed=seed) * 60 + 120), 0, 255).astype(np.float32)
    return (pixels / np.float32(255) - mean) / std


def quantized_layers(model, x, kept=(), method="minmax", equalization=scheme.EQUALIZATION, bias_correction=True):
    """Int8 layers of a model, calibrated on ready input; the parts `kept` stay float."""
    arch, pre, exact = model.config.arch, model.config.preprocessing, float_layers(fold(model))
    seen = ranges.collect(arch, exact, pre, np.split(x, len(x) // 16))
    layers = dict(exact)
    for layer in layers_in_order(arch):
        if layer.kind == "stem":
            layers[layer.name] = scheme.quantize_stem(exact[layer.name], pre)
        elif unit_of(layer.name) not in kept:
            lo, hi = ranges.choose(layer, seen.histograms[layer.name], method)
            layers[layer.name] = scheme.quantize_layer(layer, exact[layer.name], lo, hi, equalization)
    return correction.corrected(arch, exact, layers, pre, x) if bias_correction else layers


@lru_cache
def quantized_model(size=64, kept=(), count=32):
    """An int8 model file of the trained model, for square pictures of `size` pixels."""
    model = resized(trained(), size)
    layers = quantized_layers(model, ready(count, size=size), kept)
    config = replace(model.config, quantization=Quantization(float_layers=tuple(kept)))
    return ModelFile(config, to_weights(layers, config.arch))


def sqnr(expected, found):
    """Signal to noise in dB."""
    noise = ((found - expected).astype(np.float64) ** 2).sum()
    return 10 * np.log10((expected.astype(np.float64) ** 2).sum() / noise)


def save(folder, count, seed=0, size=(64, 64), suffix=".png"):
    """Pictures of smooth blobs, by the names 000.png, 001.png, ..."""
    folder.mkdir(parents=True, exist_ok=True)
    pixels = np.clip(pictures(count, *size, seed=seed) * 60 + 120, 0, 255).astype(np.uint8)
    for number, image in enumerate(pixels.transpose(0, 2, 3, 1)):
        Image.fromarray(image).save(folder / f"{number:03}{suffix}")
    return folder
