"""Version 2 of the model file: what a reader must know, by name, and only where a model needs it."""

import json
import re
import struct
from dataclasses import replace
from pathlib import Path

import pytest
from stored import ARCH, described, description, refused
from weights import random_weights

from lcnet.arch import Arch
from lcnet.config import Labels, ModelConfig, Preprocessing
from lcnet.errors import ModelFileError
from lcnet.modelfile import ModelFile, parse_config, read, read_config, to_bytes, write
from lcnet.modelfile.description import write_config
from lcnet.needs import NEEDS

SPECIFICATION = Path(__file__).parents[2] / "docs" / "model-file.md"
LINE = ((1, 1), (2, 1), (2, 1), (2, 1), (1, 1), (2, 1))
HEADLESS = {"head_channels": 0, "classifier_input": ("blocks.5",)}
# What differs from timm's network, and what its file lists and has.
CASES = {
    "usual": ({}, {}, {}),
    "stem": ({"stem_stride": (1, 2)}, {"strides"}, {"stem_stride": [1, 2]}),
    "line": ({"stage_strides": LINE}, {"strides"}, {"stem_stride": [2, 2], "stage_strides": [list(s) for s in LINE]}),
    "head": ({"head_channels": 640}, {"head"}, {"head_channels": 640}),
    "relu": ({"activation": "relu"}, {"activation"}, {"activation": "relu"}),
    "slope": ({"hard_sigmoid_slope": 0.16666670143604279}, {"hard_sigmoid"}, {"hard_sigmoid_slope": 0.16666670143604279}),
    "headless": (HEADLESS, {"head", "classifier_input"}, {"head_channels": 0, "classifier_input": ["blocks.5"]}),
    "probe": (
        {"head_channels": 0, "classifier_input": ("blocks.0", "blocks.2")},
        {"head", "classifier_input", "strides"},
        {"classifier_input": ["blocks.0", "blocks.2"], "stage_strides": [[1, 1], [2, 2], [2, 2]]},
    ),
}
FIELDS = {field.partition(".")[2]: name for name, need in NEEDS.items() for field in need.fields}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


@pytest.mark.parametrize("name", CASES)
def test_a_file_lists_what_a_reader_must_know(path, name):
    options, needs, fields = CASES[name]
    arch = replace(ARCH, **options)
    config = ModelConfig(arch, Preprocessing((3, 80, 160)), Labels(("0_degree", "180_degree")), bn_eps=1e-3)
    written = json.loads(write_config(config))
    assert written["format_version"] == (2 if needs else 1)
    assert set(written.get("needs", {})) == set(needs)
    assert all(written["needs"][need] == NEEDS[need].release for need in needs)
    assert fields.items() <= written["architecture"].items()
    assert {key for key in FIELDS if key in written["architecture"]} == {k for k, need in FIELDS.items() if need in needs}
    weights = random_weights(arch)
    write(path, ModelFile(config, weights))
    found = read(path)
    assert found.config == read_config(path) == config and found.weights.keys() == weights.keys()
    assert to_bytes(found) == path.read_bytes()


def test_nothing_fixes_the_size_of_the_embeddings(path):
    for arch in (replace(ARCH, **HEADLESS), replace(ARCH, head_channels=8), replace(ARCH, **HEADLESS, num_classes=300)):
        labels = Labels(tuple(f"a name that is quite long {i}" for i in range(arch.num_classes)))
        write(path, ModelFile(ModelConfig(arch, labels=labels), random_weights(arch)))
        assert read(path).weights["classifier.weight"].shape == (arch.num_classes, arch.head_hidden_size)


def test_what_could_not_be_read_is_not_written(path):
    """Of classes with few weights a description may be longer than a header can be."""
    arch = Arch(0.25, num_classes=20_000, head_channels=0, classifier_input=("blocks.0",))
    labels = Labels(tuple(f"{i:0500}" for i in range(20_000)))
    with pytest.raises(ModelFileError, match=r"its header has \d+ bytes, expected at most"):
        write(path, ModelFile(ModelConfig(arch, labels=labels), random_weights(arch)))
    assert not path.exists()


def version_2(**changes):
    """A description that needs all of it."""
    arch = replace(ARCH, **HEADLESS, stage_strides=LINE, activation="relu", hard_sigmoid_slope=0.2)
    return {**description(), "format_version": 2, **ModelConfig(arch).to_json(), **changes}


def with_architecture(**changes):
    fields = version_2()
    architecture = {**fields["architecture"], **changes}
    return {**fields, "architecture": {k: v for k, v in architecture.items() if v is not ...}}


@pytest.mark.parametrize(
    ("needs", "match"),
    [
        ({"a later one": "0.7.0"}, r"the model needs 'a later one', which this lcnet does not know: lcnet 0\.7\.0 brings it"),
        ({"\x1b[31m": "\u202e"}, r"the model needs '\\x1b\[31m', which .*: lcnet \\u202e brings it"),
        ({"x" * 5000: "y" * 5000}, "the model needs 'xxx"),
        (["strides"], r"needs is \['strides'\], expected an object"),
        ({"strides": 1}, "expected an object from at most 64 names to the releases"),
        ({str(i): "1" for i in range(65)}, "expected an object from at most 64 names"),
        ({}, "architecture.stem_stride is there, but 'strides' is not among the needs"),
    ],
)
def test_needs_that_are_not_met(path, needs, match):
    described(path, random_weights(ARCH), version_2(needs=needs))
    refused(path, match)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"stem_stride": [3, 1]}, r"architecture.stem_stride is \(3, 1\), expected 1 or 2 down and 1 or 2 across"),
        ({"stem_stride": "ab"}, "architecture.stem_stride is 'ab'"),
        ({"stem_stride": None}, "architecture.stem_stride is None"),
        ({"stem_stride": [[[[1]]]]}, "architecture.stem_stride"),
        ({"stage_strides": [[1, 1]]}, "architecture.stage_strides is .*, expected 6 pairs"),
        ({"stage_strides": {}}, "architecture.stage_strides"),
        (
            {"stage_strides": [[1, 1]] * 6, "classifier_input": ["blocks.4"]},
            "expected 5 pairs, one for each stage that there is",
        ),
        ({"head_channels": 2.5}, "architecture.head_channels is 2.5"),
        ({"head_channels": 5}, "architecture.classifier_input is .*'embeddings'.*as there is a head"),
        ({"activation": "gelu"}, "architecture.activation is 'gelu'"),
        ({"activation": []}, "architecture.activation"),
        ({"hard_sigmoid_slope": True}, "architecture.hard_sigmoid_slope is True"),
        ({"classifier_input": "blocks.5"}, "architecture.classifier_input is 'blocks.5'"),
        ({"classifier_input": [{}]}, "architecture.classifier_input"),
        ({"split": True}, "architecture has an unknown key 'split'"),
    ],
)
def test_refused_networks(path, changes, match):
    described(path, random_weights(ARCH), with_architecture(**changes))
    refused(path, match)


def test_version_1_has_no_needs(path):
    weights = random_weights(ARCH)
    described(path, weights, description(needs={}))
    refused(path, "it has needs, but format_version is 1, expected 2")
    described(path, weights, description(architecture={**description()["architecture"], "activation": "relu"}))
    refused(path, "architecture.activation is there, but 'activation' is not among the needs")


def test_fields_of_a_listed_need_have_usual_values(path):
    config = parse_config(json.dumps(with_architecture(stem_stride=..., stage_strides=..., hard_sigmoid_slope=...)))
    assert (config.arch.stem_stride, config.arch.hard_sigmoid_slope) == ((2, 2), 1 / 6)
    usual = parse_config(json.dumps({**description(), "format_version": 2, "needs": {}}))
    assert usual == ModelConfig(ARCH)


def test_a_reader_of_version_1_refuses_the_file(path):
    """Its first check, before it looks at anything else."""
    arch = replace(ARCH, **HEADLESS)
    write(path, ModelFile(ModelConfig(arch), random_weights(arch)))
    data = path.read_bytes()
    header = json.loads(data[8 : 8 + struct.unpack("<Q", data[:8])[0]])
    assert json.loads(header["__metadata__"]["lcnet"])["format_version"] != 1


def test_the_specification_lists_every_need():
    section = SPECIFICATION.read_text(encoding="utf-8").partition("## Needs")[2].partition("## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| `([\w.]+)` \| .* \| (.*?) \|$", section, re.M)
    assert [(need, field) for need, field, _ in rows] == [(n, f) for n, need in sorted_needs() for f in need.fields]
    usual = json.loads(json.dumps(ModelConfig(Arch(1.0))._to_json()))
    for _, field, value in rows:
        part, _, key = field.partition(".")
        assert usual[part][key] == (1 / 6 if value == "1 / 6" else json.loads(value.strip("`"))), field


def sorted_needs():
    """As the specification has them: what belongs together side by side."""
    order = ("strides", "head", "classifier_input")
    return [(n, NEEDS[n]) for n in (*order, *(n for n in NEEDS if n not in order))]


def test_the_specification_shows_a_file_of_version_2(path):
    section = SPECIFICATION.read_text(encoding="utf-8").partition("## Needs")[2]
    text = re.search(r"```json\n(.*?)```", section, re.S)[1].replace("\n", "")
    assert write_config(parse_config(text)) == text


def test_gates_that_overflow_are_refused(path):
    arch = replace(ARCH, hard_sigmoid_slope=1.0)
    weights = random_weights(arch)
    weights["blocks.5.0.se.conv_expand.weight"][0, 0] = 1e38
    with pytest.raises(ModelFileError, match=r"conv_expand.weight overflows float32 with a hard-sigmoid slope of 1"):
        write(path, ModelFile(ModelConfig(arch), weights))
