"""Networks of the family that are not timm's: strides by axis, no head, pooled maps, ReLU, slopes; against plain torch."""

from functools import lru_cache

import numpy as np
import pytest
from weights import pictures

from lcnet import Classifier
from lcnet.errors import InputError
from lcnet.runtime.kernels import isas

plain_torch = pytest.importorskip("plain_torch", reason="torch (extra: train) is not installed")
NETWORKS = plain_torch.NETWORKS
ISAS = [name for name, here in isas() if here]
SIZES = ((80, 160), (33, 47), (64, 32))


@lru_cache
def made(name):
    """A network in plain torch, its model file, and for each size pictures with their results."""
    arch = NETWORKS[name]
    model = plain_torch.plain_network(arch, plain_torch.varied(pictures(12, 64, 96, arch.in_chans)))
    inputs = {size: plain_torch.varied(pictures(3, *size, arch.in_chans, seed=5), 1) for size in SIZES}
    return plain_torch.model_file(model, (80, 160)), {size: (x, *model.results(x)) for size, x in inputs.items()}


def close(found, expected, tolerance=1e-4):
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= tolerance * np.ptp(expected)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_answers_depend_on_the_picture(name):
    """Or all that follows would prove little."""
    for _, logits, embeddings, _ in made(name)[1].values():
        out = embeddings if logits is None else logits
        assert np.ptp(out, axis=0).max() > 0.05 * np.ptp(out)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("name", NETWORKS)
def test_everything_equals_plain_torch(name, threads, isa):
    model, results = made(name)
    arch, classifier = model.config.arch, Classifier(model, threads=threads, isa=isa)
    for x, logits, embeddings, maps in results.values():
        for images in (1, 3):
            close(classifier.embeddings(x[:images]), embeddings[:images])
            if arch.num_classes:
                close(classifier.run(x[:images]), logits[:images])
            found = classifier.feature_maps(x[:images])
            assert len(found) == len(arch.reductions)
            for map_, stage in zip(found, arch.feature_stages, strict=True):
                close(map_, maps[stage][:images])


@pytest.mark.parametrize("name", [n for n in NETWORKS if NETWORKS[n].num_classes])
def test_bfloat16_is_near(name):
    if "avx512bf16" not in ISAS:
        pytest.skip("this CPU has no bfloat16 arithmetic")
    model, results = made(name)
    x, logits, _, _ = results[80, 160]
    close(Classifier(model, threads=2, isa="avx512bf16", precision="bf16").run(x), logits, 0.1)


def test_the_head_alone():
    for name in ("line", "first release", "relu"):
        model, results = made(name)
        x, logits, embeddings, _ = results[33, 47]
        classifier = Classifier(model, threads=1)
        features = classifier.forward_features(x)
        close(classifier.forward_head(features), logits)
        close(classifier.forward_head(features, pre_logits=True), embeddings)
    probe = Classifier(made("probe")[0], threads=1)
    with pytest.raises(InputError, match=r"reads blocks.1, blocks.2, blocks.4: the last map is not enough"):
        probe.forward_head(probe.forward_features(made("probe")[1][33, 47][0]))


def test_a_slope_near_a_sixth_counts_as_what_it_is():
    """PaddlePaddle's 0.16666670143604279 is two float32 above 1/6: folded into the gates, not rounded away."""
    model, results = made("first release")
    from dataclasses import replace

    config = replace(model.config, arch=replace(model.config.arch, hard_sigmoid_slope=1 / 6))
    x, logits, _, _ = results[80, 160]
    other = Classifier(replace(model, config=config), threads=1).run(x)
    difference = np.abs(Classifier(model, threads=1).run(x) - other).max()
    assert 0 < difference < 1e-4 * np.ptp(logits)
