"""Batch norm folded by the native core: to the bit what the same steps in NumPy's double precision give."""

import numpy as np
import pytest
from weights import random_weights

from lcnet import _native
from lcnet.arch import Arch
from lcnet.config import ModelConfig
from lcnet.modelfile import ModelFile
from lcnet.modelfile.fold import fold
from lcnet.modelfile.values import norm_keys, scale_and_bias


def in_numpy(weights, norm, eps):
    gamma, beta, mean, var = (weights[key].astype(np.float64) for key in norm_keys(norm))
    scale = gamma / np.sqrt(var + eps)
    return scale, beta - mean * scale


def norms(rng, channels):
    """Of usual values and of extreme ones."""
    arrays = rng.standard_normal((4, channels)) * 10.0 ** rng.integers(-20, 20, (4, channels))
    return dict(zip(norm_keys("bn"), np.abs(arrays, out=arrays, where=[[0], [0], [0], [1]]).astype(np.float32), strict=True))


@pytest.mark.parametrize("eps", [1e-5, 1e-3, 0.0])
def test_scale_and_bias_to_the_bit(eps):
    weights = norms(np.random.default_rng(0), 50000)
    for found, expected in zip(scale_and_bias(weights, "bn", eps), in_numpy(weights, "bn", eps), strict=True):
        np.testing.assert_array_equal(found.view(np.uint64), expected.view(np.uint64))


def test_every_layer_to_the_bit():
    arch = Arch(0.35)
    weights, eps = random_weights(arch), 1e-5
    folded = fold(ModelFile(ModelConfig(arch), weights))
    layers = {"conv_stem": folded.stem, "conv_head": folded.head}
    convs = {conv.layer: conv for conv in arch.convs() if conv.norm}
    for block in folded.blocks:
        layers |= {f"{block.name}.conv_dw": block.depthwise, f"{block.name}.conv_pw": block.pointwise}
    assert convs.keys() <= layers.keys()
    for name, conv in convs.items():
        scale, bias = in_numpy(weights, conv.norm, eps)
        weight = (weights[f"{conv.conv}.weight"] * scale[:, None, None, None]).astype(np.float32)
        np.testing.assert_array_equal(layers[name][0].ravel().view(np.uint32), weight.ravel().view(np.uint32), err_msg=name)
        np.testing.assert_array_equal(layers[name][1].view(np.uint32), bias.astype(np.float32).view(np.uint32), err_msg=name)


def test_arrays_that_do_not_fit_are_refused():
    w, one, two = np.zeros((2, 3), np.float32), np.zeros(1, np.float32), np.zeros(2, np.float32)
    for arrays in [(one, two, two, two), (two, two, two, one)]:
        with pytest.raises(ValueError, match="does not fit"):
            _native.fold(w, *arrays, 1e-5, np.empty_like(w), np.empty(2, np.float32))
    with pytest.raises(ValueError, match="does not fit"):
        _native.fold(
            np.zeros((3, 3), np.float32), two, two, two, two, 1e-5, np.empty((3, 3), np.float32), np.empty(2, np.float32)
        )
