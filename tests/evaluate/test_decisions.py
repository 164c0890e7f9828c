"""The decision layer: found so that it holds what was asked for, stored, and obeyed by the runtime and `classify`."""

import csv
import io
import json
import warnings
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from weights import pictures, random_weights

import lcnet
from lcnet import hub, modelfile
from lcnet.arch import Arch
from lcnet.cli import main
from lcnet.config import Decision, Labels, ModelConfig, Preprocessing
from lcnet.errors import InputError
from lcnet.evaluate import Answers, decisions, measure
from lcnet.evaluate.decisions import Candidates, Spec, choose, find_thresholds, fit_temperature, parse_spec, threshold
from lcnet.modelfile import ModelFile
from lcnet.runtime import decision as decide

NAMES = ("cat", "dog", "bird", "frog")


def config(decision=Decision(), names=NAMES):  # noqa: B008
    labels = Labels(tuple(names)) if names else None
    return ModelConfig(Arch(0.25, num_classes=4), Preprocessing((3, 32, 32)), labels, decision)


def answers(logits, targets, decision=Decision(), names=NAMES, **changes):  # noqa: B008
    number = logits.shape[1]
    every = np.arange(len(logits))

    unseen = SimpleNamespace(names=[f"{i}.png" for i in range(len(logits))])
    return Answers(
        config(decision, names),
        unseen,
        logits.astype(np.float32),
        targets,
        np.arange(number),
        np.ones(number, bool),
        every,
        np.full(len(logits), 32),
        **changes,
    )


@pytest.fixture
def blurred(rng):
    """2,000 pictures of four classes whose logits are twice as large as the noise in them justifies."""
    targets = rng.integers(0, 4, 2000)
    logits = rng.normal(size=(2000, 4))
    logits[np.arange(2000), targets] += 2
    return answers(2 * 2 * logits, targets)  # the likelihood ratio of N(2, 1) and N(0, 1) has slope 2


# From logits to an answer


def test_probabilities_against_their_definition(rng):
    logits = rng.normal(0, 5, (50, 7)).astype(np.float32)
    exact = np.exp(logits.astype(np.float64) / 1.7)
    found = decide.probabilities(logits, Decision(1.7))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, exact / exact.sum(axis=1, keepdims=True), rtol=1e-5)
    found = decide.probabilities(logits, Decision(1.7, multi_label=True))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, exact / (1 + exact), rtol=1e-5)


@pytest.mark.parametrize("multi_label", [False, True])
def test_extreme_logits_neither_warn_nor_overflow(multi_label):
    logits = np.array([[-3e38, 0, 3e38], [-1000, -999, 1000]], np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = decide.probabilities(logits[1:], Decision(0.01, multi_label=multi_label))
    assert np.isfinite(found).all() and found[0, 2] == 1


def model(decision, names=NAMES):
    return lcnet.Classifier(ModelFile(config(decision, names), random_weights(Arch(0.25, num_classes=4))), threads=1)


def test_a_result_below_its_threshold_is_unknown():
    x = pictures(1, 32, 32)
    (free,) = model(Decision()).classify(x, 3)
    assert free.known and free.labels == (free.top[0].label,) == (free.label,) and free.accepted == free.top[:1]
    best = free.top[0]
    (held,) = model(Decision(thresholds={best.label: best.probability})).classify(x, 3)
    assert held == free, "a probability that equals the threshold is accepted"
    above = float(np.nextafter(np.float32(best.probability), np.float32(1)))
    (unknown,) = model(Decision(thresholds={best.label: above})).classify(x, 3)
    assert (unknown.known, unknown.label, unknown.labels, unknown.accepted) == (False, "unknown", (), ())
    assert unknown.top == free.top and unknown.probability == free.probability
    other = next(n for n in NAMES if n != best.label)
    assert model(Decision(thresholds={other: 1.0})).classify(x, 3) == [free]


def test_a_multi_label_model_accepts_every_label_that_reaches_its_threshold():
    x = pictures(1, 32, 32)
    probs = model(Decision(multi_label=True)).probs(x)[0]
    logits = model(Decision()).logits(x)[0].astype(np.float64)
    np.testing.assert_allclose(probs, 1 / (1 + np.exp(-logits)), rtol=1e-5)
    order = np.argsort(-probs)
    limits = dict.fromkeys(NAMES, 0.0) | {NAMES[order[1]]: 1.0}
    (result,) = model(Decision(None, limits, True)).classify(x, 1)
    assert result.labels == tuple(NAMES[k] for k in order if k != order[1]) and len(result.top) == 1
    (none,) = model(Decision(None, dict.fromkeys(NAMES, 1.0), True)).classify(x, 1)
    assert none.label == "unknown" and not none.known
    (half,) = model(Decision(multi_label=True)).classify(x, 4)
    assert set(half.labels) == {n for n, p in zip(NAMES, probs, strict=True) if p >= 0.5}


def test_what_is_no_number_is_unknown():
    (result,) = model(Decision()).classify(np.full((1, 3, 32, 32), np.nan, np.float32), 2)
    assert not result.known


# Temperature


def test_the_temperature_is_the_best_of_a_fine_grid(blurred):
    found = fit_temperature(blurred)
    grid = np.geomspace(0.5, 8, 2001)
    z, y = blurred.logits.astype(np.float64), blurred.targets
    losses = [(np.log(np.exp(z / t).sum(axis=1)) - z[np.arange(len(z)), y] / t).mean() for t in grid]
    assert found == pytest.approx(grid[np.argmin(losses)], rel=2e-3)
    assert found == pytest.approx(2, rel=0.1), "what the data was made with"
    before, after = measure(blurred), measure(blurred, Decision(found))
    assert after.summary["calibration_error"].value < 0.3 * before.summary["calibration_error"].value
    assert after.summary["loss"].value == pytest.approx(min(losses), abs=1e-4)


def test_the_temperature_of_a_multi_label_model(rng):
    logits = rng.normal(0, 2, (3000, 4))
    there = (rng.random((3000, 4)) < 1 / (1 + np.exp(-logits / 1.5))).astype(np.uint8)
    found = fit_temperature(answers(logits, there, Decision(multi_label=True)))
    assert found == pytest.approx(1.5, rel=0.1)


def test_temperatures_that_do_not_exist(rng):
    right = answers(10 * np.eye(4).repeat(5, axis=0), np.arange(4).repeat(5))
    wrong = answers(-10 * np.eye(4).repeat(5, axis=0), np.arange(4).repeat(5))
    for made in (right, wrong):
        with pytest.raises(InputError, match="no temperature fits: the answers to these 20 pictures"):
            fit_temperature(made)


# Thresholds


@pytest.mark.parametrize(
    "text, spec",
    [
        ("fpr<=0.01", Spec("fpr", 0.01)),
        (" precision >= 95% ", Spec("precision", 0.95)),
        ("recall>=1", Spec("recall", 1)),
        ("fpr<=1e-3", Spec("fpr", 0.001)),
        ("0.5", Spec("fixed", 0.5)),
        (" 85 % ", Spec("fixed", 0.85)),
        ("0", Spec("fixed", 0)),
    ],
)
def test_specifications(text, spec):
    assert parse_spec(text) == spec
    assert parse_spec(str(spec)) == spec


@pytest.mark.parametrize(
    "text",
    [
        "",
        "fpr",
        "fpr>=0.1",
        "recall<=0.5",
        "precision>=1.5",
        "fpr<=-1",
        "fpr<=x",
        "fpr<=.",
        "f1>=0.5",
        "fpr<=0.1 ; x",
        "<=0.5",
        "1.5",
        "-1",
    ],
)
def test_wrong_specifications(text):
    with pytest.raises(InputError, match=r"is none of fpr<=X, precision>=X, recall>=X \(.*\) and X, with X from 0 to 1"):
        parse_spec(text)


def counts(candidates, t):
    """Answers, and right ones, at threshold t, by definition."""
    passed = candidates.scores >= t
    return int(passed.sum()), int((passed & candidates.right).sum())


def holds(candidates, spec, t):
    answered, right = counts(candidates, t)
    if spec.kind == "fpr":
        return answered - right <= spec.bound * candidates.negatives + 1e-6
    if spec.kind == "precision":
        return answered > 0 and right >= spec.bound * answered - 1e-6
    return right >= spec.bound * candidates.positives - 1e-6


@pytest.mark.parametrize("kind", ["fpr", "precision", "recall"])
@pytest.mark.parametrize("levels", [5, 1 << 20])
def test_thresholds_are_the_best_that_hold(rng, kind, levels):
    """Against all thresholds that make a difference, on scores with many ties and with hardly any."""
    held = 0
    for _ in range(60):
        size = int(rng.integers(1, 40))
        scores = (rng.integers(0, levels, size) / levels).astype(np.float32)
        right = rng.random(size) < 0.2 + 0.6 * scores
        candidates = Candidates(scores, right, int(right.sum()) + 3, int((~right).sum()) + 20)
        spec = Spec(kind, float(rng.choice([0.0, 0.01, 0.1, 0.5, 0.8, 1.0])))
        found = threshold(candidates, spec)
        possible = [t for t in (0.0, *np.unique(scores).tolist(), 1.0) if holds(candidates, spec, t)]
        assert found.held == bool(possible) and 0 <= found.value <= 1
        if found.held:
            held += 1
            assert holds(candidates, spec, found.value)
            best = max(possible) if kind == "recall" else min(possible)
            assert counts(candidates, found.value) == counts(candidates, best)
        else:
            assert found.value == (0.0 if kind == "recall" else 1.0)
    assert held > 15


def test_a_threshold_is_short_and_between_two_pictures():
    candidates = Candidates(np.float32([0.9, 0.61234, 0.61, 0.3]), np.array([True, True, False, False]), 2, 2)
    assert threshold(candidates, Spec("precision", 1.0)) == (0.611, True)
    assert threshold(candidates, Spec("fpr", 1.0)) == (0.0, True)
    assert threshold(Candidates(np.float32([1, 1]), np.array([True, False]), 1, 9), Spec("fpr", 0)) == (1.0, False)


@pytest.mark.parametrize(
    "candidates, kind",
    [
        (Candidates(np.zeros(0, np.float32), np.zeros(0, bool), 5, 5), "precision"),
        (Candidates(np.ones(2, np.float32), np.zeros(2, bool), 0, 5), "recall"),
        (Candidates(np.ones(2, np.float32), np.ones(2, bool), 5, 0), "fpr"),
    ],
)
def test_what_cannot_be_measured_gets_no_threshold(candidates, kind):
    assert threshold(candidates, Spec(kind, 0.5)) is None


def test_found_thresholds_hold_on_the_same_pictures(blurred):
    for temperature in (False, True):
        decision, found = choose(blurred, temperature, Spec("fpr", 0.02))
        assert set(decision.thresholds) == set(NAMES) and not found.missed and not found.unmeasured
        assert (decision.temperature is not None) == temperature
        probs = decide.probabilities(blurred.logits, decision)
        answered = decide.accepted(probs, decide.rules(config(decision)))
        for k in range(4):
            others = blurred.targets != k
            assert 0.015 < answered[others, k].mean() <= 0.02
        summary = measure(blurred, decision).summary
        known = answered.any(axis=1)
        assert summary["answered"].value == known.mean()
        assert summary["answered_right"].value == (probs.argmax(axis=1) == blurred.targets)[known].mean()
        rows = measure(blurred, decision).to_json()["classes"]
        assert all(row["decided"]["fpr"] <= 0.02 for row in rows)
        assert [row["decided"]["threshold"] for row in rows] == list(decision.thresholds.values())


def test_thresholds_of_a_multi_label_model_are_of_each_label_alone(rng):
    logits = rng.normal(0, 2, (800, 4))
    there = (rng.random((800, 4)) < 1 / (1 + np.exp(-logits))).astype(np.uint8)
    made = answers(logits, there, Decision(multi_label=True))
    decision, _ = choose(made, False, Spec("precision", 0.9))
    assert decision.multi_label
    probs = decide.probabilities(made.logits, decision)
    for k, name in enumerate(NAMES):
        assert there[probs[:, k] >= decision.thresholds[name], k].mean() >= 0.9
        assert there[probs[:, k] >= decision.thresholds[name] - 0.05, k].mean() < 0.93


def test_a_number_is_the_threshold_of_every_label(blurred):
    decision, found = choose(blurred, False, Spec("fixed", 0.85))
    assert decision.thresholds == dict.fromkeys(NAMES, 0.85) and not found.missed and not found.unmeasured
    confidence = decide.probabilities(blurred.logits, decision).max(axis=1)
    assert measure(blurred, decision).summary["answered"].value == (confidence >= 0.85).mean()
    assert Spec("fixed", 0.5).fitted is False and Spec("fpr", 0.5).fitted is True


def test_classes_of_one_name_share_the_safer_threshold(blurred):
    alone = find_thresholds(blurred, Decision(), Spec("fpr", 0.01)).by_label
    shared = answers(blurred.logits, blurred.targets, names=("cat", "dog", "cat", "frog"))
    assert find_thresholds(shared, Decision(), Spec("fpr", 0.01)).by_label["cat"] == max(alone["cat"], alone["bird"])
    alone = find_thresholds(blurred, Decision(), Spec("recall", 0.5)).by_label
    assert find_thresholds(shared, Decision(), Spec("recall", 0.5)).by_label["cat"] == min(alone["cat"], alone["bird"])


def test_refused_decisions(blurred):
    old = answers(blurred.logits, blurred.targets, Decision(thresholds={"cat": 0.5}))
    with pytest.raises(InputError, match="hold for its present temperature: find them again with --threshold"):
        choose(old, True, None)
    assert set(choose(old, True, Spec("fpr", 0.01))[0].thresholds) == set(NAMES)
    with pytest.raises(InputError, match="leave out --restrict and --real"):
        choose(replace(blurred, restricted=True), True, None)
    with pytest.raises(InputError, match="this model has no labels"):
        choose(answers(blurred.logits, blurred.targets, names=None), False, Spec("fpr", 0.1))


# Storing


def test_stored_and_obeyed(tmp_path):
    path = tmp_path / "model.safetensors"
    weights = random_weights(Arch(0.25, num_classes=4))
    modelfile.write(path, ModelFile(replace(config(), provenance={"source": "test"}), weights))
    located = hub.locate(path)
    assert decisions.target(located, None) == path.resolve()
    decisions.store(located, path, Decision(2.0, {"cat": 0.75}), {"pictures": 7})
    again = modelfile.read(path)
    assert again.config == replace(
        config(Decision(2.0, {"cat": 0.75})), provenance={"source": "test", "decision": {"pictures": 7}}
    )
    assert all(np.array_equal(again.weights[k], v) for k, v in weights.items()) and len(again.weights) == len(weights)
    assert [p.name for p in tmp_path.iterdir()] == ["model.safetensors"]


def test_shared_files_are_never_changed(tmp_path, monkeypatch):
    bundled = hub.locate("lcnet_050.cifar10")
    with pytest.raises(InputError, match=r"is shared .* name a file with --output"):
        decisions.target(bundled, None)
    with pytest.raises(InputError, match="is shared"):
        decisions.target(hub.locate(bundled.path), None)
    assert decisions.target(bundled, tmp_path / "x") == tmp_path / "x"
    with pytest.raises(InputError, match="there is no folder"):
        decisions.target(bundled, tmp_path / "no" / "x")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    cached = tmp_path / "model.safetensors"
    cached.write_bytes(bundled.path.read_bytes())
    with pytest.raises(InputError, match="is shared"):
        decisions.target(hub.locate(cached), None)


@pytest.fixture
def strict(tmp_path):
    """A model that accepts nothing, the same of several labels, one that accepts two labels, and a picture."""
    weights = random_weights(Arch(0.25, num_classes=4))
    two = {"cat": 0.0, "dog": 0.0, "bird": 1.0, "frog": 1.0}
    layers = {
        "none": Decision(None, dict.fromkeys(NAMES, 1.0)),
        "free": Decision(),
        "two": Decision(None, two, True),
        "many": Decision(None, dict.fromkeys(NAMES, 1.0), True),
    }
    for name, decision in layers.items():
        modelfile.write(tmp_path / f"{name}.safetensors", ModelFile(config(decision), weights))
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    return tmp_path


def shown(folder, name, *options):
    arguments = ["classify", folder / "a.png", "-m", folder / f"{name}.safetensors", "--threads", 1, *options]
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_classify_says_unknown(strict):
    free, none = shown(strict, "free", "-k", 2), shown(strict, "none", "-k", 2)
    file, _, classes = free.rstrip("\n").partition("  ")
    assert none == f"{file}  unknown ({classes})\n" and "unknown" not in classes
    assert shown(strict, "many").partition("  ")[2].startswith("unknown (")
    answer, _, others = shown(strict, "two").partition("  ")[2].partition(" (")
    assert {word for word in answer.split() if "%" not in word} == {"cat", "dog"}
    assert "bird" in others and "frog" in others


def test_classify_as_json_and_csv(strict):
    for name, labels in (("none", 0), ("free", 1), ("two", 2)):
        (row,) = json.loads(shown(strict, name, "-f", "json"))
        assert row["known"] == bool(labels) and len(row["labels"]) == labels
        rows = list(csv.DictReader(io.StringIO(shown(strict, name, "-f", "csv"))))
        assert [r["label"] for r in rows if r["accepted"] == "true"] == row["labels"]
        assert {r["accepted"] for r in rows} <= {"true", "false"}
    shown(strict, "two", "-o", strict / "x.npz")
    saved = np.load(strict / "x.npz")
    assert {saved["labels"][i] for i in saved["indices"][saved["accepted"]]} == {"cat", "dog"}
