"""Defaults and groups of a decision layer in a model file: what is written, and what is refused."""

import json
import math
import re
import time
from dataclasses import asdict, fields, replace
from pathlib import Path

import pytest
from stored import ARCH, described, description, refused
from weights import random_weights

from lcnet.arch import Arch
from lcnet.config import Decision, Labels, ModelConfig
from lcnet.convert.decisions import TASKS
from lcnet.errors import ModelFileError
from lcnet.groups import MAX_GROUPS, Group
from lcnet.modelfile import ModelFile, parse_config, read, write
from lcnet.modelfile.description import write_config

SPECIFICATION = (Path(__file__).parents[2] / "docs/model-file.md").read_text(encoding="utf-8")
LABELS = {"names": ["cat", "dog"]}


@pytest.fixture(scope="module")
def weights():
    return random_weights(ARCH)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def group(**changes):
    return {k: v for k, v in ({"name": "g", "labels": ["cat"]} | changes).items() if v is not ...}


def groups(*given, **decision):
    return {"multi_label": True, "groups": list(given), **decision}


@pytest.mark.parametrize("name", TASKS)
def test_decisions_of_every_task_come_back(name):
    task = TASKS[name]
    config = ModelConfig(Arch(0.25, num_classes=len(task.labels)), labels=Labels(task.labels), decision=task.decision())
    assert parse_config(write_config(config), len(task.labels)) == config


def test_they_are_stored(path, weights):
    decision = Decision(2.0, {"dog": 0.9}, True, groups=(Group("g", ("dog", "cat"), "each", otherwise="-"),))
    for chosen in (decision, Decision(None, {"dog": 0.25}, default="cat")):
        config = ModelConfig(ARCH, labels=Labels(("cat", "dog")), decision=chosen)
        write(path, ModelFile(config, weights))
        assert read(path).config == config


def test_defaults_of_a_group():
    text = json.dumps(described_by(groups(group())))
    assert parse_config(text).decision.groups == (Group("g", ("cat",), "best", False, None, None),)


def described_by(decision, labels=LABELS):
    needs = {k.removesuffix("_temperature"): "0.1.0" for k in ("default", "groups", "turns_temperature") if k in decision}
    full = description(labels=labels, decision=decision)
    return full | ({"format_version": 2, "needs": needs} if needs else {})


def test_what_older_readers_read_is_as_it_was(weights):
    """A decision without a default or groups does not mention them."""
    config = ModelConfig(ARCH, labels=Labels(("cat", "dog")), decision=Decision(1.5, {"cat": 0.5}, True))
    data = json.loads(write_config(config))
    assert data["format_version"] == 1
    assert data["decision"] == {"temperature": 1.5, "thresholds": {"cat": 0.5}, "multi_label": True}
    data = json.loads(write_config(replace(config, decision=Decision(default="cat"))))
    assert (data["format_version"], data["needs"]) == (2, {"default": "0.1.0"})
    assert data["decision"] == {"temperature": None, "thresholds": None, "multi_label": False, "default": "cat"}


@pytest.mark.parametrize("field", ["default", "groups"])
def test_their_needs_are_listed(path, weights, field):
    """A reader that does not know them must not answer without them."""
    decision = {"default": "cat"} if field == "default" else groups(group())
    described(path, weights, description(labels=LABELS, decision=decision))
    refused(path, f"decision.{field} is there, but '{field}' is not among the needs")


def test_the_temperature_of_turns(path, weights):
    """It is stored, and a reader that does not know it is told so; without it nothing is said of it."""
    config = ModelConfig(ARCH, labels=Labels(("cat", "dog")), decision=Decision(turns_temperature=0.5))
    write(path, ModelFile(config, weights))
    assert read(path).config == config
    data = json.loads(write_config(config))
    assert (data["format_version"], data["needs"], data["decision"]["turns_temperature"]) == (2, {"turns": "0.1.0"}, 0.5)
    described(path, weights, description(labels=LABELS, decision={"turns_temperature": 0.5}))
    refused(path, "decision.turns_temperature is there, but 'turns' is not among the needs")


def test_the_specification_lists_the_fields_of_a_group():
    section = SPECIFICATION.partition("## Defaults and groups")[2].partition("\n## ")[0]
    table = dict(re.findall(r"^\| `(\w+)` \| .* \| (.*?) \|$", section, re.M))
    assert list(table) == [field.name for field in fields(Group)]
    usual = asdict(Group("g", ("cat",)))
    assert {k: json.loads(v.strip("`")) for k, v in table.items() if v != "required"} == {
        k: usual[k] for k in table if k not in ("name", "labels")
    }
    example = json.loads("".join(re.findall(r"^    (.*)$", section, re.M)))
    named = tuple(dict.fromkeys(label for g in example["groups"] for label in g["labels"]))
    read_again = parse_config(
        json.dumps(
            described_by(example, {"names": list(named)})
            | {"architecture": ModelConfig(Arch(0.25, num_classes=len(named))).to_json()["architecture"]}
        )
    )
    assert read_again.decision.groups == tuple(
        replace(g, names=None) for g in TASKS["person_attribute"].decision().groups if g.name in ("gender", "age", "upper")
    )


REFUSED = [
    ({"turns_temperature": 0}, "decision.turns_temperature is 0, expected a number above 0"),
    ({"turns_temperature": True}, "decision.turns_temperature is True, expected a number above 0"),
    ({"turns_temperature": "1"}, "decision.turns_temperature is '1', expected a number above 0"),
    ({"default": "bird"}, "decision.default has 'bird', which is none of the labels"),
    ({"default": 1}, "decision.default is 1, expected a label"),
    ({"default": ["cat"]}, "decision.default is "),
    ({"default": "cat", "multi_label": True}, "decision.default is 'cat', expected a label, or null, as in every multi-label"),
    ({"groups": [group()]}, "decision.multi_label is False, expected true, as there are groups"),
    ({"groups": []}, rf"decision.groups is \(\), expected a list of 1 to {MAX_GROUPS} groups"),
    (groups(), "decision.groups is "),
    ({"groups": {"g": ["cat"]}}, "decision.groups is "),
    ({"groups": "cat"}, "decision.groups is 'cat'"),
    (groups("cat"), "decision.groups is str, expected a JSON object"),
    (groups(None), "decision.groups is NoneType, expected a JSON object"),
    (groups([group()]), "decision.groups is list, expected a JSON object"),
    (groups(group(label=["cat"])), "decision.groups has an unknown key 'label'; did you mean 'labels'"),
    (groups(group(labels=...)), "decision.groups: .*labels"),
    (groups(group(name=...)), "decision.groups: .*name"),
    (groups(group(name="")), "decision.groups.name is '', expected a text"),
    (groups(group(name=3)), "decision.groups.name is 3"),
    (groups(group(labels=[])), r"decision.groups.'g'.labels is \(\), expected a list of at least one label"),
    (groups(group(labels="cat")), "decision.groups.'g'.labels is 'cat'"),
    (groups(group(labels={"cat": 1})), "decision.groups.'g'.labels is {'cat': 1}"),
    (groups(group(labels=[["cat"]])), "decision.groups.'g'.labels is "),
    (groups(group(labels=["cat", 1])), "decision.groups.'g'.labels is "),
    (groups(group(labels=["cat", "cat"])), "expected labels that are there once"),
    (groups(group(labels=["cat", "cow"])), "decision.groups has 'cow', which is none of the labels"),
    (groups(group(), group(name="h")), "decision.groups has the label 'cat' in two groups"),
    (groups(group(), group(labels=["dog"])), "decision.groups has 'g' twice"),
    (groups(group(take="all")), "decision.groups.'g'.take is 'all', expected 'best' or 'each'"),
    (groups(group(take=["best"])), "decision.groups.'g'.take is "),
    (groups(group(take=None)), "decision.groups.'g'.take is None"),
    (groups(group(at_least_one=1)), "decision.groups.'g'.at_least_one is 1, expected true or false"),
    (groups(group(otherwise="")), "decision.groups.'g'.otherwise is '', expected a text"),
    (groups(group(otherwise=0)), "decision.groups.'g'.otherwise is 0"),
    (
        groups(group(otherwise="no", at_least_one=True)),
        "otherwise is 'no', expected a text, or null where there is at least one",
    ),
    (groups(group(names=["a", "b"])), r"decision.groups.'g'.names is \('a', 'b'\), expected 1 texts"),
    (groups(group(names="a")), "decision.groups.'g'.names is 'a'"),
    (groups(group(names=[])), "decision.groups.'g'.names is "),
    (groups(group(names=[None])), "decision.groups.'g'.names is "),
    (groups(group(name="a\0")), "decision.groups.name is 'a.*, expected a text without control characters"),
    (groups(group(name="a\nb")), "decision.groups.name is 'a.*, expected a text without control characters"),
    (groups(group(otherwise="a\0")), "decision.groups has .*, expected Unicode text"),
    (groups(group(names=["\0"])), "decision.groups has .*, expected Unicode text"),
    (groups(group(threshold=0.5)), "decision.groups has an unknown key 'threshold'"),
    (groups(group(), thresholds={"cat": 2}), "decision.thresholds is "),
    (groups(group(), default="cat"), "decision.default is 'cat'"),
]


@pytest.mark.parametrize(("decision", "match"), REFUSED)
def test_what_is_refused(path, weights, decision, match):
    described(path, weights, described_by(decision))
    refused(path, match)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e999"])
def test_numbers_that_are_none(path, weights, value):
    text = json.dumps(described_by(groups(group(at_least_one="X")))).replace('"X"', value)
    described(path, weights, text)
    refused(path, "is not JSON|at_least_one is")


@pytest.mark.parametrize("decision", [{"default": "cat"}, groups(group())])
def test_labels_of_several_classes_cannot_be_meant(path, weights, decision):
    described(path, weights, described_by(decision, {"names": ["cat", "cat"]}))
    refused(path, "'cat' of the decision is 'the label of several classes', expected that of one")
    described(path, weights, described_by({"thresholds": {"cat": 0.5}}, {"names": ["cat", "cat"]}))
    assert read(path).config.decision.thresholds == {"cat": 0.5}


@pytest.mark.parametrize("decision", [{"default": "cat"}, groups(group())])
def test_without_labels_nothing_can_be_named(path, weights, decision):
    described(path, weights, described_by(decision, None))
    refused(path, "'cat', which is none of the labels")


def test_no_more_groups_than_anybody_asks_for(path, weights):
    """Many thousand fit into a description; they are refused before they are looked at."""
    many = groups(*(group(name=str(i), labels=["cat"]) for i in range(25_000)))
    described(path, weights, described_by(many))
    started = time.perf_counter()
    refused(path, f"decision.groups is .*, expected a list of 1 to {MAX_GROUPS} groups")
    assert time.perf_counter() - started < 5
    million = '{"format_version":1,"decision":{"groups":[' + ",".join(["{}"] * 1_000_000) + "]}}"
    described(path, weights, million)
    refused(path, "its 'lcnet' metadata has .* bytes, expected at most")


def test_as_many_groups_as_there_may_be():
    names = tuple(f"l{i}" for i in range(MAX_GROUPS + 1))
    each = tuple(Group(name, (name,)) for name in names)
    config = ModelConfig(Arch(0.25, num_classes=len(names)), labels=Labels(names))
    full = replace(config, decision=Decision(multi_label=True, groups=each[:-1]))
    assert parse_config(write_config(full)) == full
    with pytest.raises(ModelFileError, match="expected a list of 1 to 1024 groups"):
        Decision(multi_label=True, groups=each)


@pytest.mark.parametrize("value", [math.nan, math.inf, -0.1, 1.1, "0.5", None, True])
def test_thresholds_of_groups_are_numbers(value):
    with pytest.raises(ModelFileError, match=r"decision\.thresholds is"):
        Decision(None, {"cat": value}, True, groups=(Group("g", ("cat",)),))
