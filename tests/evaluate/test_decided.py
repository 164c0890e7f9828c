"""Defaults and groups are measured as they are answered, and thresholds found as they are used."""

from types import SimpleNamespace

import numpy as np
import pytest

from lcnet.arch import Arch
from lcnet.cli.evaluate import table
from lcnet.config import Decision, Labels, ModelConfig
from lcnet.evaluate import Answers, measure, write_report
from lcnet.evaluate.decisions import Spec, choose
from lcnet.groups import Group
from lcnet.runtime.decision import accepted, probabilities, rules


def answers(logits, targets, decision, names, **changes):
    config = ModelConfig(Arch(0.25, num_classes=len(names)), labels=Labels(tuple(names)), decision=decision)
    count, every = len(logits), np.arange(len(logits))
    data = SimpleNamespace(names=[f"{i}.png" for i in range(count)])
    given = {"columns": np.arange(len(names)), "present": np.ones(len(names), bool), "indices": every, "sides": 0 * every}
    return Answers(config, data, logits.astype(np.float32), targets, **(given | changes))


@pytest.fixture
def smoke(rng):
    """Two classes, the second in one picture of five, with logits that overlap."""
    targets = (rng.random(3000) < 0.2).astype(np.int64)
    score = rng.normal(0, 1, 3000) + 1.5 * targets
    return np.stack([np.zeros(3000), score - 1.5], axis=1), targets


@pytest.mark.parametrize("spec", [Spec("fpr", 0.3), Spec("fpr", 0.02), Spec("recall", 0.95), Spec("precision", 0.9)])
def test_the_threshold_of_two_classes_with_a_default_is_an_operating_point(smoke, spec):
    """Also below 0.5, where the other class would be the most probable one."""
    logits, targets = smoke
    made = answers(logits, targets, Decision(default="clear"), ("clear", "smoke"))
    decision, found = choose(made, False, spec)
    assert set(decision.thresholds) == {"smoke"} and decision.default == "clear" and not found.missed
    told = probabilities(made.logits, decision)[:, 1] >= decision.thresholds["smoke"]
    share = {"fpr": told[targets == 0].mean(), "recall": told[targets == 1].mean(), "precision": targets[told].mean()}[
        spec.kind
    ]
    assert spec.bound - 0.01 < share <= spec.bound if spec.kind == "fpr" else spec.bound <= share < spec.bound + 0.02
    evaluation = measure(made, decision)
    assert evaluation.summary["answered"].value == 1
    assert evaluation.summary["answered_right"].value == pytest.approx((told == targets).mean())
    clear, smoke = evaluation.to_json()["classes"]
    assert (clear["decided"]["predicted"], smoke["decided"]["predicted"]) == (int((~told).sum()), int(told.sum()))
    assert smoke["decided"]["threshold"] == decision.thresholds["smoke"] and clear["decided"]["threshold"] is None
    assert evaluation.to_json()["decision"] == {"temperature": None, "thresholds": decision.thresholds, "default": "clear"}


def test_one_of_more_classes_or_the_default(rng):
    names, targets = ("a", "b", "c"), rng.integers(0, 3, 2000)
    logits = rng.normal(0, 1, (2000, 3)) + 2 * np.eye(3)[targets]
    decision = Decision(None, {"a": 0.7, "b": 0.7}, default="c")
    made = answers(logits, targets, decision, names)
    probs = probabilities(made.logits, decision)
    best = probs.argmax(axis=1)
    told = np.where((probs.max(axis=1) >= 0.7) | (best == 2), best, 2)
    evaluation = measure(made)
    assert evaluation.summary["answered_right"].value == pytest.approx((told == targets).mean())
    assert [row["decided"]["predicted"] for row in evaluation.to_json()["classes"]] == np.bincount(told).tolist()
    assert evaluation.summary["top1"].value == pytest.approx((best == targets).mean()), "whatever is decided"
    found, _ = choose(made, False, Spec("precision", 0.9))
    assert set(found.thresholds) == {"a", "b"}


@pytest.fixture
def cars(rng):
    names = ("red", "blue", "white", "van", "bus", "dirty")
    there = np.zeros((800, 6), np.uint8)
    there[np.arange(800), rng.integers(0, 3, 800)] = rng.random(800) < 0.9
    there[np.arange(800), 3 + rng.integers(0, 2, 800)] = 1
    there[:, 5] = rng.random(800) < 0.3
    groups = (Group("color", names[:3], otherwise="Color unknown"), Group("type", names[3:5], at_least_one=True))
    decision = Decision(None, dict.fromkeys(names[:3], 0.6), True, groups=groups)
    return rng.normal(0, 1.5, (800, 6)) + 3 * there - 1.5, there, decision, names


def test_groups_are_measured_together(cars, tmp_path):
    logits, there, decision, names = cars
    made = answers(logits, there, decision, names)
    chosen = accepted(probabilities(made.logits, decision), rules(made.config))
    assert (chosen[:, 3:5].sum(axis=1) == 1).all() and (chosen[:, :3].sum(axis=1) <= 1).all()
    evaluation = measure(made)
    assert evaluation.summary["exact"].value == pytest.approx((chosen == there).all(axis=1).mean())
    found = evaluation.to_json()
    assert [row["predicted"] for row in found["classes"]] == chosen.sum(axis=0).tolist()
    for row, part in zip(found["groups"], (slice(0, 3), slice(3, 5)), strict=True):
        assert row["support"] == there[:, part].any(axis=1).sum() and row["predicted"] == chosen[:, part].any(axis=1).sum()
        assert row["right"]["value"] == pytest.approx((chosen[:, part] == there[:, part]).all(axis=1).mean())
    assert [row["name"] for row in found["groups"]] == ["color", "type"]
    text = table(evaluation, {"model": "m", "split": "test", "data": "d"})
    assert "exactly right" in text and "\ntype                 800      800 " in text
    without = measure(made, Decision(multi_label=True)).to_json()
    assert without["groups"] == [] and "Groups" not in text


def test_of_restricted_classes_the_groups_have_what_is_left(cars):
    logits, there, decision, names = cars
    kept = np.array([0, 2, 3, 5])
    made = answers(logits, there, decision, names)
    part = answers(logits[:, kept], there[:, kept], decision, names, columns=kept, present=np.ones(4, bool), restricted=True)
    found = measure(part).to_json()
    assert [row["label"] for row in found["classes"]] == ["red", "white", "van", "dirty"]
    assert found["classes"][2]["predicted"] == 800, "the only type that is left"
    probs = probabilities(made.logits, decision)
    best = np.where(probs[:, 0] >= probs[:, 2], 0, 2)
    assert found["classes"][0]["predicted"] == ((best == 0) & (probs[:, 0] >= 0.6)).sum()
    assert found["classes"][1]["predicted"] == ((best == 2) & (probs[:, 2] >= 0.6)).sum()


def test_the_report_has_the_groups(cars, tmp_path):
    logits, there, decision, names = cars
    made = answers(logits, there, decision, names)
    made.dataset.read = lambda index: b""
    write_report(tmp_path / "report", measure(made))
    page = (tmp_path / "report/report.html").read_text(encoding="utf-8")
    assert "<h2>Groups</h2>" in page and "exactly right" in page
