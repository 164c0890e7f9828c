"""The runtime against timm, against itself in threads, and with input that cannot be used."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from weights import pictures, random_weights, reacting_weights

import lcnet
from lcnet import _native, hub, modelfile, zoo
from lcnet.arch import WIDTHS, Arch
from lcnet.config import Decision, ModelConfig, Preprocessing
from lcnet.modelfile import ModelFile

pytestmark = pytest.mark.slow

TIMM_WIDTHS = ("lcnet_035", "lcnet_050", "lcnet_075", "lcnet_100", "lcnet_150")
INPUTS = [(1, 224, 224), (5, 64, 64), (1, 160, 256), (2, 33, 97)]


def supported_isas():
    return [name for name, supported in _native.isas() if supported]


def classifier(arch=Arch(0.25, num_classes=10), weights=None, **options):  # noqa: B008
    return lcnet.Classifier(ModelFile(ModelConfig(arch), weights or random_weights(arch)), **options)


def range_error(found, expected):
    """Largest difference as a part of the expected values' range."""
    assert found.shape == expected.shape
    return np.abs(found - expected).max() / np.ptp(expected)


@pytest.fixture(scope="module")
def peers(timm, torch):
    """name -> (timm model, timm features model, ours by ISA), all with the same weights."""
    made = {}

    def make(name):
        if name not in made:
            weights = reacting_weights(Arch(WIDTHS[name]))
            state = {k: torch.from_numpy(v) for k, v in weights.items()}
            model, features = timm.create_model(name).eval(), timm.create_model(name, features_only=True).eval()
            model.load_state_dict(state, strict=False)
            features.load_state_dict({k: v for k, v in state.items() if k in features.state_dict()}, strict=False)
            ours = {isa: classifier(Arch(WIDTHS[name]), weights, isa=isa) for isa in supported_isas()}
            made[name] = model, features, ours
        return made[name]

    return make


@pytest.mark.parametrize("size", INPUTS, ids=lambda s: "x".join(map(str, s)))
@pytest.mark.parametrize("name", TIMM_WIDTHS)
def test_everything_equals_timm(peers, torch, name, size):
    model, features, ours = peers(name)
    x = pictures(*size)
    with torch.no_grad():
        several = model(torch.from_numpy(pictures(4, 96, 96))).numpy()
        unpooled = model.forward_features(torch.from_numpy(x))
        logits = model.forward_head(unpooled).numpy()
        embeddings = model.forward_head(unpooled, pre_logits=True).numpy()
        maps = [m.numpy() for m in features(torch.from_numpy(x))]
    assert np.median(np.ptp(several, axis=0)) > 0.1 * np.ptp(several), "the weights do not react to the image"
    for isa, our in ours.items():
        assert our.isa == isa
        assert range_error(our.run(x), logits) < 1e-4
        assert range_error(our.embeddings(x), embeddings) < 1e-4
        assert range_error(our.forward_features(x), unpooled.numpy()) < 1e-4
        assert range_error(our.forward_head(unpooled.numpy()), logits) < 1e-4
        assert range_error(our.forward_head(unpooled.numpy(), pre_logits=True), embeddings) < 1e-4
        for found, expected in zip(our.feature_maps(x), maps, strict=True):
            assert range_error(found, expected) < 1e-4


def test_trained_checkpoint_equals_timm(timm, torch):
    weights = modelfile.read(hub.locate("lcnet_050.cifar10").path).weights
    model = timm.create_model("lcnet_050", num_classes=10).eval()
    model.load_state_dict({k: torch.from_numpy(v) for k, v in weights.items()}, strict=False)
    x = pictures(3, 64, 64)
    with torch.no_grad():
        expected = model(torch.from_numpy(x)).numpy()
    assert range_error(lcnet.load("lcnet_050.cifar10").run(x), expected) < 1e-4


def test_widths_that_timm_lacks_equal_our_torch_module(torch):
    for width in (0.25, 2.0, 2.5):
        arch = Arch(width, in_chans=4, num_classes=7)
        weights = reacting_weights(arch)
        model = lcnet.create_model(arch.name, in_chans=4, num_classes=7).eval()
        model.load_state_dict({k: torch.from_numpy(v) for k, v in weights.items()}, strict=False)
        x = pictures(2, 64, 96, channels=4)
        config = ModelConfig(arch, Preprocessing((4, 64, 96), mean=(0.5,) * 4, std=(0.5,) * 4))
        with torch.no_grad():
            expected = model(torch.from_numpy(x)).numpy()
        assert range_error(lcnet.Classifier(ModelFile(config, weights)).run(x), expected) < 1e-4


@pytest.mark.parametrize("height, width", [(32, 32), (33, 32), (32, 331), (47, 63), (64, 35), (199, 331), (417, 50)])
def test_threads_and_batches_do_not_change_results(height, width):
    one, many = classifier(threads=1), classifier(threads=3)
    x = pictures(4, height, width)
    expected = [one.run(x[i : i + 1]) for i in range(4)]
    for model in (one, many):
        assert np.array_equal(model.run(x), np.concatenate(expected))
        assert np.array_equal(model.run(x[:1]), expected[0])
    for found, single in zip(many.feature_maps(x[:1]), one.feature_maps(x), strict=True):
        assert np.array_equal(found[0], single[0])


def test_one_model_many_threads_never_crosses_answers():
    model = classifier(threads=2)
    inputs = [pictures(1 + i % 3, 32 + 8 * (i % 4), 48, seed=i) for i in range(8)]
    expected = [model.run(x) for x in inputs]
    wrong = []

    def work(i):
        for _ in range(60):
            if not np.array_equal(model.run(inputs[i]), expected[i]):
                wrong.append(i)

    workers = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    assert wrong == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_can_use_the_model():
    model = classifier(threads=2)
    x = pictures(1, 64, 64)
    expected = model.run(x)
    child = os.fork()
    if child == 0:
        os._exit(0 if np.array_equal(model.run(x), expected) else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert np.array_equal(model.run(x), expected)


def test_many_shapes_keep_few_arenas():
    model = classifier(threads=2)
    for i in range(300):
        model.run(np.zeros((1, 3, 32 + i % 60, 32 + i % 41), np.float32))
    assert model._engine.cached_arenas <= 8


def test_nan_and_inf_pass_through():
    model = classifier(Arch(0.25, num_classes=10), threads=1)
    x = pictures(2, 64, 64)
    x[0, 1, 30, 30] = np.nan
    out = model.run(x)
    assert np.isnan(out[0]).any() and np.isfinite(out[1]).all()
    x[0, 1, 30, 30] = np.inf
    assert not np.isfinite(model.run(x)[0]).all()


@pytest.mark.parametrize(
    "x, words",
    [
        (np.zeros((1, 3, 31, 64), np.float32), "from 32 up"),
        (np.zeros((1, 4, 64, 64), np.float32), r"expected float32 \[N,3,H,W\]"),
        (np.zeros((3, 64, 64), np.float32), "shape"),
        (np.zeros((1, 3, 64, 64), np.float64), "dtype float64"),
        (np.zeros((1, 3, 64, 64), np.uint8), "dtype uint8"),
        ("photo.jpg", "dtype"),
    ],
)
def test_unusable_input_is_named(x, words):
    with pytest.raises(lcnet.InputError, match=words):
        classifier(Arch(0.25), threads=1).run(x)


def test_unusable_options_are_named():
    with pytest.raises(lcnet.InputError, match="threads is 0"):
        classifier(threads=0)
    with pytest.raises(lcnet.InputError, match="unknown ISA 'mmx': this build has"):
        classifier(isa="mmx")
    model = classifier(Arch(0.25, num_classes=0), threads=1)
    with pytest.raises(lcnet.InputError, match="no classifier"):
        model.run(pictures(1, 32, 32))
    assert model.embeddings(pictures(1, 32, 32)).shape == (1, 1280)
    with pytest.raises(lcnet.InputError, match="out_indices has 5"):
        model.feature_maps(pictures(1, 32, 32), [5])
    with pytest.raises(lcnet.InputError, match="top_k is 0"):
        model.classify(pictures(1, 32, 32), top_k=0)


def test_isa_can_be_forced(monkeypatch):
    monkeypatch.setenv("LCNET_ISA", "scalar")
    assert classifier(Arch(0.25)).isa == "scalar"
    monkeypatch.setenv("LCNET_ISA", "mmx")
    with pytest.raises(lcnet.InputError, match="mmx"):
        classifier(Arch(0.25))


def test_classify_gives_labels_in_order_of_probability():
    model = lcnet.load("lcnet_050.cifar10", threads=1)
    image = np.random.default_rng(0).integers(0, 256, (70, 50, 3), dtype=np.uint8)
    (result,) = model.classify(image, top_k=3)
    assert len(result.top) == 3 and result.label == result.top[0].label
    assert [p.probability for p in result.top] == sorted((p.probability for p in result.top), reverse=True)
    probs = model.probs([image, image])
    assert probs.shape == (2, 10) and np.allclose(probs.sum(axis=1), 1, atol=1e-6)
    assert result.top[0].index == probs[0].argmax() and result.label == model.labels.names[probs[0].argmax()]
    assert len(model.classify([image] * 40, top_k=99)) == 40  # more than a chunk; more than there are classes
    assert model.classify([]) == []
    assert model.embeddings([]).shape == (0, 1280) and model.feature_maps([])[4].shape == (0, 256, 4, 4)


def test_temperature_flattens_probabilities():
    weights = random_weights(Arch(0.25, num_classes=10))
    x = pictures(1, 64, 64)
    sharp = lcnet.Classifier(ModelFile(ModelConfig(Arch(0.25, num_classes=10)), weights)).probs(x)
    config = ModelConfig(Arch(0.25, num_classes=10), decision=Decision(temperature=4.0))
    flat = lcnet.Classifier(ModelFile(config, weights)).probs(x)
    expected = sharp ** (1 / 4)
    assert np.allclose(flat, expected / expected.sum(), atol=1e-6)


def test_accuracy_of_the_bundled_checkpoint(cifar10_test):
    model = lcnet.load("lcnet_050.cifar10")
    right = total = 0
    for index, name in enumerate(model.labels.names):
        paths = sorted((cifar10_test / name).iterdir())
        right += int((model.logits(paths).argmax(axis=1) == index).sum())
        total += len(paths)
    published, _ = zoo.find("lcnet_050.cifar10").accuracy["cifar10_subset"]
    assert total == 5000
    assert abs(100 * right / total - published) < 0.1


EXITING = """
import threading, time, numpy, lcnet
model, x = lcnet.load("lcnet_050.cifar10", threads={threads}), numpy.zeros((8, 3, 96, 96), numpy.float32)
def work():
    while True:
        model.run(x)
for _ in range(3):
    threading.Thread(target=work, daemon=True).start()
time.sleep(0.2)
"""


@pytest.mark.parametrize("threads", [1, 2])
def test_a_process_may_end_while_daemon_threads_are_in_native_calls(threads):
    """The end of the interpreter ends whoever asks for its lock by unwinding the stack, which C++ takes for an error."""
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", EXITING.format(threads=threads)], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
