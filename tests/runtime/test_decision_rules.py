"""Defaults and groups: which answers a decision layer gives, against its definition in docs/model-file.md in plain Python."""

import json
import pickle
import re
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from weights import pictures, random_weights

import lcnet
from lcnet import modelfile
from lcnet.arch import Arch
from lcnet.cli import main
from lcnet.cli.decision_text import decision_lines
from lcnet.config import Decision, Labels, ModelConfig, Preprocessing
from lcnet.convert.decisions import ATTRIBUTES, PROCESSES, TASKS
from lcnet.groups import Group
from lcnet.labels.limits import PERSONS
from lcnet.modelfile import ModelFile
from lcnet.runtime import _largest
from lcnet.runtime.decision import accepted, answers, rules

NAMES = ("cat", "dog", "bird", "frog")


def config(decision, names=NAMES):
    return ModelConfig(Arch(0.25, num_classes=len(names)), Preprocessing((3, 32, 32)), Labels(names), decision)


def model(decision, names=NAMES):
    return lcnet.Classifier(ModelFile(config(decision, names), random_weights(Arch(0.25, num_classes=len(names)))), threads=1)


def best_of(probs, columns):
    return max(columns, key=lambda k: (probs[k], -columns.index(k)))


def defined(decision, names, probs):
    """The labels that are accepted and the groups' answers, for the probabilities of one picture."""
    limits, columns = decision.thresholds or {}, list(range(len(names)))
    if not decision.multi_label:
        best = best_of(probs, columns)
        if decision.default is None:
            return ({names[best]} if probs[best] >= limits.get(names[best], 0) else set()), {}
        if len(names) == 2:
            (other,) = set(names) - {decision.default}
            return {other if probs[names.index(other)] >= limits.get(other, 0.5) else decision.default}, {}
        return {names[best] if probs[best] >= limits.get(names[best], 0) else decision.default}, {}
    reached = [name for k, name in enumerate(names) if probs[k] >= limits.get(name, 0.5)]
    grouped = {label for group in decision.groups or () for label in group.labels}
    taken, told = {name for name in reached if name not in grouped}, {}
    for group in decision.groups or ():
        best = names[best_of(probs, [names.index(label) for label in group.labels])]
        some = [label for label in group.labels if label in reached and (group.take == "each" or label == best)]
        some = some or ([best] if group.at_least_one else [])
        taken |= set(some)
        called = dict(zip(group.labels, group.names or group.labels, strict=True))
        texts = tuple(called[label] for label in some) or ((group.otherwise,) if group.otherwise else ())
        told[group.name] = texts if group.take == "each" else (texts or (None,))[0]
    return taken, told


def random_decision(rng, names):
    """Any decision layer of labels with these names."""
    limits = {name: int(rng.integers(0, 9)) / 8 for name in names if rng.random() < 0.5} or None
    if rng.random() < 0.4:
        return Decision(None, limits, default=None if rng.random() < 0.5 else str(rng.choice(names)))
    groups, left = [], list(rng.permutation(names))
    while left and rng.random() < 0.8:
        size = int(rng.integers(1, len(left) + 1))
        labels, left = tuple(map(str, left[:size])), left[size:]
        always = bool(rng.random() < 0.5)
        otherwise = "none of them" if not always and rng.random() < 0.5 else None
        called = tuple(f"answer {label}" for label in labels) if rng.random() < 0.3 else None
        groups.append(Group(f"group {len(groups)}", labels, str(rng.choice(["best", "each"])), always, otherwise, called))
    return Decision(None, limits, True, groups=tuple(groups) or None)


def test_any_decision_layer_answers_as_it_is_defined(rng):
    seen = set()
    for _ in range(300):
        names = tuple("abcdefgh"[: int(rng.integers(1, 9))])
        decision = random_decision(rng, names)
        if decision.default is not None and len(names) == 1:
            continue
        # Eighths: many ties, and many probabilities that are exactly a threshold
        probs = (rng.integers(0, 9, (40, len(names))) / 8).astype(np.float32)
        for row, taken in zip(probs.tolist(), accepted(probs, rules(config(decision, names))), strict=True):
            chosen = {name for name, good in zip(names, taken, strict=True) if good}
            told = dict(answers(decision.groups or (), chosen))
            assert (chosen, told) == defined(decision, names, row), (decision, row)
        seen |= {(g.take, g.at_least_one, bool(g.otherwise)) for g in decision.groups or ()}
        seen |= {(decision.default is not None, min(len(names), 3))}
    assert len(seen) >= 6 + 5, "every kind of group and of default has been there"


@pytest.mark.parametrize("text", ["0.3", "0.7", "0.1", "0.9794"])
def test_a_threshold_is_not_rounded_to_float32(text):
    """float32 has no 0.7: the nearest is a little less, and does not reach it."""
    near = np.float32(text)
    probs = np.array([[near, 1 - near], [np.nextafter(near, np.float32(1)), 0]], np.float32)
    decision = Decision(None, {"a": float(text)}, True)
    found = accepted(probs, rules(config(decision, ("a", "b"))))[:, 0]
    assert found.tolist() == [float(near) >= float(text), True]


def test_an_empty_batch_has_no_answers():
    for decision in (Decision(), Decision(default="cat"), Decision(multi_label=True, groups=(Group("g", ("cat", "dog")),))):
        assert accepted(np.empty((0, 4), np.float32), rules(config(decision))).shape == (0, 4)


# Results


def test_a_model_of_two_classes_with_a_default_always_answers_one():
    x, names = pictures(1, 32, 32), ("nobody", "someone")
    p = model(Decision(), names).probs(x)[0]
    at, above = float(p[1]), float(np.nextafter(p[1], np.float32(1)))
    for threshold, index in ((at, 1), (above, 0)):
        (found,) = model(Decision(None, {"someone": threshold}, default="nobody"), names).classify(x, 1)
        assert found.known and found.label == names[index] and found.labels == (names[index],)
        assert [(a.index, a.probability) for a in found.accepted] == [(index, float(p[index]))]
        assert found.top[0].index == p.argmax()


def test_below_every_threshold_the_default_is_the_answer():
    x = pictures(1, 32, 32)
    (free,) = model(Decision()).classify(x, 4)
    default = free.top[-1].label
    (found,) = model(Decision(None, dict.fromkeys(NAMES, 1.0), default=default)).classify(x, 1)
    assert found.known and found.accepted == free.top[-1:] and found.top == free.top[:1]
    (found,) = model(Decision(default=default)).classify(x, 4)
    assert found == free


def grouped(x):
    """A decision layer with groups of every kind for the picture, and what is said of it."""
    probs = model(Decision(multi_label=True)).probs(x)[0]
    first, second, third, last = (NAMES[k] for k in np.argsort(-probs))
    limits = {first: 0.0, second: 0.0, third: 0.0, last: 1.0}
    groups = (Group("one", (last,), otherwise="no"), Group("some", (third, second), "each", names=("3", "2")))
    return Decision(None, limits, True, groups=groups), (first, second, third, last)


def test_results_have_the_answers_of_groups():
    x = pictures(1, 32, 32)
    decision, (first, second, third, _) = grouped(x)
    made = model(decision)
    (found,) = made.classify(x, 2)
    assert found.answers == {"one": "no", "some": ("3", "2")}
    assert found.labels == (first, second, third) and found.label == first and found.known
    told = json.loads(json.dumps(found.to_dict()))
    assert list(told) == ["known", "labels", "answers", "top"]
    assert told["answers"] == {"one": "no", "some": ["3", "2"]}
    assert pickle.loads(pickle.dumps(found)) == found and hash(found) == hash(made.classify(x, 2)[0])
    (streamed,) = made.stream([np.zeros((32, 32, 3), np.uint8)])
    assert set(streamed.value.answers) == {"one", "some"}


def test_without_accepted_classes_the_answers_of_groups_are_the_label():
    x, limits = pictures(1, 32, 32), dict.fromkeys(NAMES, 1.0)
    both = (Group("a", ("cat", "dog"), "each"), Group("b", ("bird", "frog"), otherwise="nothing that flies"))
    (found,) = model(Decision(None, limits, True, groups=both)).classify(x)
    assert found.answers == {"a": (), "b": "nothing that flies"}
    assert (found.known, found.label, found.labels) == (True, "nothing that flies", ())
    (found,) = model(Decision(None, limits, True, groups=(both[0], Group("b", ("bird",))))).classify(x)
    assert found.answers == {"a": (), "b": None}
    assert (found.known, found.label) == (False, "unknown")


def test_results_of_models_without_groups_are_as_they_were():
    (found,) = model(Decision()).classify(pictures(1, 32, 32), 1)
    assert found.answers == {} and list(found.to_dict()) == ["known", "labels", "top"]
    assert lcnet.Result(found.top, found.accepted) == found


# The command line


@pytest.fixture
def saved(tmp_path):
    x = pictures(1, 32, 32)
    path, picture = tmp_path / "model.safetensors", tmp_path / "a.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)).save(picture)

    def run(command, decision, *options, names=NAMES):
        arch = Arch(0.25, num_classes=len(names))
        modelfile.write(path, ModelFile(config(decision, names), random_weights(arch)))
        args = [str(path)] if command == "info" else [str(picture), "-m", str(path)]
        result = CliRunner().invoke(main, [command, *args, *options], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    run.x = x
    return run


def test_classify_prints_answers(saved):
    limits = dict.fromkeys(NAMES, 1.0)
    out = saved("classify", Decision(None, limits, default="frog"), "-k", "4")
    assert out.split()[1] == "frog" and "(" in out.split("%", 1)[1]
    groups = (Group("color", ("cat", "dog"), otherwise="Color\nunknown"), Group("extras", ("bird", "frog"), "each"))
    out = saved("classify", Decision(None, limits, True, groups=groups), "-k", "1")
    assert "  color: Color\\nunknown   extras: - (" in out
    out = saved("classify", Decision(None, dict.fromkeys(NAMES, 0.0), True, groups=groups), "-k", "1")
    assert "   extras: bird, frog   " in out and "unknown" not in out
    (row,) = json.loads(saved("classify", Decision(None, limits, True, groups=groups), "--format", "json"))
    assert row["answers"] == {"color": "Color\nunknown", "extras": []}


def test_info_says_the_decision_in_words(saved):
    groups = (
        Group("gender", ("cat",), otherwise="Male", names=("Female",)),
        Group("sides", ("dog", "bird"), "each", at_least_one=True),
        Group("rest", ("frog",), at_least_one=True),
    )
    decision = Decision(None, {"cat": 0.3, "dog": 0.25}, True, groups=groups)
    out = saved("info", decision).splitlines()
    begin = next(i for i, line in enumerate(out) if line.startswith("decision"))
    assert out[begin : begin + 4] == [
        "decision       every label by itself, but those of 3 groups together, temperature none, thresholds 2 from 0.25 to 0.3",
        "               gender: Female, from 0.3 on, otherwise Male",
        "               sides: each of dog, bird, from its threshold on (0.25 to 0.5), otherwise the best",
        "               rest: frog",
    ]
    assert json.loads(saved("info", decision, "--format", "json"))["decision"]["groups"][0]["otherwise"] == "Male"
    out = saved("info", Decision(2.0, {"yes": 0.9}, default="no"), names=("no", "yes"))
    assert "decision       yes from 0.9 on, otherwise no; temperature 2.0" in out
    out = saved("info", Decision(None, {"cat": 0.9}, default="frog"))
    assert "decision       one label, temperature none, thresholds 1 from 0.9 to 0.9, otherwise frog" in out


def test_info_states_the_limits_of_attributes_of_persons(saved):
    task = TASKS["person_attribute"]
    out = saved("info", task.decision(), names=task.labels)
    begin = out.index("limits         sex, age and clothes are guesses")
    assert "not for decisions about a person" in " ".join(out[begin:].split())
    assert "gender: Female, from 0.5 on, otherwise Male" in out
    assert json.loads(saved("info", task.decision(), "-f", "json", names=task.labels))["limits"] == PERSONS
    task = TASKS["vehicle_attribute"]
    assert "\nlimits" not in saved("info", task.decision(), names=task.labels)


def test_long_groups_are_cut_in_words():
    labels = tuple(f"l{i}" for i in range(12))
    decision = Decision(None, None, True, groups=(Group("g", labels, otherwise="none of these"),))
    *_, line = decision_lines(asdict(decision), labels)
    assert line == "g: the best of l0, l1, l2, l3, l4, l5, l6, l7 and 4 more, from 0.5 on, otherwise none of these"


# Equal probabilities


@pytest.mark.parametrize("values", [[0.1] * 40, [0.05, 0.2] * 20, [0.3, 0.1, 0.1, 0.9, 0.1, 0.3], list(range(9))])
def test_the_largest_are_in_the_order_of_classes_where_they_are_equal(values):
    """Those too that are equal to the last one taken: a sort of all of them is the definition."""
    array = np.array(values, np.float32)
    for count in range(1, len(values) + 3):
        assert _largest(array, count) == sorted(range(len(values)), key=lambda i: -array[i])[:count]


# The page about it


def test_the_examples_of_the_page_run(tmp_path, monkeypatch):
    page = (Path(__file__).parents[2] / "docs/decisions.md").read_text(encoding="utf-8")
    first, second = re.findall(r"```python\n(.*?)```", page, re.S)
    monkeypatch.chdir(tmp_path)
    made = ModelFile(config(Decision(), ("clear", "smoke")), random_weights(Arch(0.25, num_classes=2)))
    modelfile.write("smoke.safetensors", made)
    exec(first, {})
    assert modelfile.read("alarm.safetensors").config.decision == Decision(None, {"smoke": 0.2}, default="clear")
    groups = [eval(line, {"Group": Group}) for line in second.splitlines()]
    assert [g.name for g in groups] == ["color", "age", "wears", "shoes"]


def test_the_page_lists_what_paddles_post_processing_becomes():
    page = (Path(__file__).parents[2] / "docs/decisions.md").read_text(encoding="utf-8")
    table = dict(re.findall(r"^\| `(\w+)`(?:, .*?)? \| (.*?) \|$", page, re.M))
    assert set(table) - {"PostProcess"} == set(PROCESSES)
    for name, attributes in ATTRIBUTES.items():
        assert set(re.findall(r"`([a-z_]+)`", table[name])) == {asked.group.name for asked in attributes.asked}
    for name, task in TASKS.items():
        if task.point:
            threshold, rate = task.point
            assert re.search(rf"{name}\s+{threshold:g} \((a false positive rate of )?{rate:g}\)", page), name
