"""PP-LCNetV2 in the native core: all that the family leaves open against plain torch, its own networks against timm."""

from functools import lru_cache

import numpy as np
import pytest
from weights import pictures

from lcnet import Classifier
from lcnet.arch import Arch
from lcnet.config import ModelConfig
from lcnet.modelfile import ModelFile
from lcnet.runtime.kernels import isas

plain_v2 = pytest.importorskip("plain_v2", reason="torch (extra: train) is not installed")
from plain_torch import varied  # noqa: E402

NETWORKS = plain_v2.V2_NETWORKS
ISAS = [name for name, here in isas() if here]
SIZES = ((64, 96), (33, 47))


@lru_cache
def made(name):
    """A network's model file, and for each size pictures with their results in plain torch."""
    arch = NETWORKS[name]
    model = plain_v2.PlainV2(arch, varied(pictures(12, 64, 96, arch.in_chans)))
    inputs = {size: varied(pictures(3, *size, arch.in_chans, seed=5), 1) for size in SIZES}
    return model.model_file(SIZES[0]), {size: (x, *model.results(x)) for size, x in inputs.items()}


def close(found, expected, tolerance=1e-4):
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= tolerance * np.ptp(expected)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("name", NETWORKS)
def test_everything_equals_plain_torch(name, isa):
    model, results = made(name)
    arch = model.config.arch
    for threads in (1, 3):
        classifier = Classifier(model, threads=threads, isa=isa)
        for x, logits, embeddings, maps in results.values():
            assert np.ptp(embeddings, axis=0).max() > 0.05 * np.ptp(embeddings)  # or nothing would be proved
            for images in (1, 3):
                close(classifier.embeddings(x[:images]), embeddings[:images])
                if arch.num_classes:
                    close(classifier.run(x[:images]), logits[:images])
                found = classifier.feature_maps(x[:images])
                assert len(found) == len(arch.feature_stages)
                for map_, stage in zip(found, arch.feature_stages, strict=True):
                    close(map_, maps[stage][:images])


@pytest.mark.parametrize("name", NETWORKS)
def test_bfloat16_is_near(name):
    if "avx512bf16" not in ISAS:
        pytest.skip("this CPU has no bfloat16 arithmetic")
    model, results = made(name)
    x, _, embeddings, _ = results[SIZES[0]]
    close(Classifier(model, threads=2, isa="avx512bf16", precision="bf16").embeddings(x), embeddings, 0.1)


def test_the_head_alone():
    for name in ("v2", "v2 plain head"):
        model, results = made(name)
        x, logits, embeddings, _ = results[33, 47]
        classifier = Classifier(model, threads=1)
        features = classifier.forward_features(x)
        close(classifier.forward_head(features), logits)
        close(classifier.forward_head(features, pre_logits=True), embeddings)


@pytest.mark.parametrize("name", ["lcnetv2_small", "lcnetv2_base"])
def test_timms_networks(torch, timm, name):
    torch.manual_seed(0)
    theirs = timm.create_model(name, num_classes=10).train()
    for module in theirs.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    x = torch.from_numpy(pictures(4, 64, 64))
    with torch.no_grad():
        theirs(torch.from_numpy(pictures(12, 96, 96, seed=2)))
        expected = theirs.eval()(x).numpy()
    for module in theirs.modules():
        if hasattr(module, "reparameterize"):
            module.reparameterize()
    weights = {k: v.detach().numpy() for k, v in theirs.state_dict().items() if not k.endswith("num_batches_tracked")}
    found = Classifier(ModelFile(ModelConfig(Arch.of(name, num_classes=10)), weights), threads=1).run(x.numpy())
    assert np.ptp(expected, axis=0).max() > 0.05 * np.ptp(expected)
    close(found, expected)
