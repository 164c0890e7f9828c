"""Model files that would exhaust memory, crash what reads them later, or answer NaN: each bound of the specification."""

import json
import os
import re
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from quantized_models import quantized_model
from stored import ARCH, described, description, refused
from weights import random_weights

import lcnet
from lcnet.config import Decision, Labels, ModelConfig, Preprocessing
from lcnet.errors import ModelFileError
from lcnet.modelfile import ModelFile, read, read_config, to_bytes, write
from lcnet.modelfile import description as texts

pytestmark = pytest.mark.slow

SPECIFICATION = Path(__file__).parents[2] / "docs" / "model-file.md"
LABELS = {"names": ["cat", "dog"], "ids": None}


@pytest.fixture(scope="module")
def weights():
    return random_weights(ARCH)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def rewritten(path, edit):
    """Change the header's text."""
    data = path.read_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    text = edit(data[8:end].decode()).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[end:])


def peak_of(code, limit="4000000"):
    """Run Python and return what it printed, and the most memory it had, in MiB; more than `limit` KiB it is not given."""
    # Not ru_maxrss, which begins with the memory of the process that started this one.
    code += '\nimport re; print(int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) >> 10)'
    command = f"ulimit -v {limit}; exec {sys.executable} -c '{code}'"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True, env=environment)
    *told, peak = done.stdout.splitlines()
    return "\n".join(told), int(peak)


READ = """
from lcnet import modelfile
try:
    modelfile.read("{}", mapped=True)
except modelfile.ModelFileError as error:
    print(error)
"""


# The header


@pytest.mark.parametrize("extra", ['"note":1', '"x":[[],{"y":null}]', '"__metadata__":"z"'])
def test_other_keys_of_a_tensor_mean_nothing(path, weights, extra):
    write(path, ModelFile(ModelConfig(ARCH), weights))
    rewritten(path, lambda text: text.replace('"dtype":"F32"', f'{extra},"dtype":"F32"'))
    for mapped in (True, False):
        found = read(path, mapped=mapped)
        assert all(np.array_equal(found.weights[key], value) for key, value in weights.items())
    assert lcnet.load(path, threads=1).run(np.zeros((1, 3, 32, 32), np.float32)).shape == (1, 2)


@pytest.mark.parametrize(
    "find, put",
    [
        ('"bn1.bias":', '"bn1.bias":{"dtype":"F32","shape":[8],"data_offsets":[0,32]},"bn1.bias":'),
        ('"__metadata__":', '"__metadata__":{"a":"b"},"__metadata__":'),
        ('"bn1.bias":{', '"bn1.bias":{"note":1,"note":2,'),
        ('"bn1.bias":{', '"bn1.bias":{"note":{"a":1,"a":2},'),
        ('"__metadata__":{', '"__metadata__":{"x":"1","x":"2",'),
    ],
)
def test_a_key_that_is_there_twice(path, weights, find, put):
    write(path, ModelFile(ModelConfig(ARCH), weights))
    rewritten(path, lambda text: text.replace(find, put, 1))
    refused(path, "is there twice in one object|not a valid safetensors file")


@pytest.mark.parametrize("header", ["entries", "nested"])
def test_a_header_out_of_proportion_takes_no_memory(path, header):
    entry = '{"dtype":"F32","shape":[0],"data_offsets":[0,0]}'
    inner = f'"a":{{"x":[{"[]," * 10_000_000}1],{entry[1:]}' if header == "nested" else ""
    text = inner or ",".join(f'"t{i}":{entry}' for i in range(500_000))
    data = ("{" + text + "}").encode()
    path.write_bytes(struct.pack("<Q", len(data)) + data)
    told, peak = peak_of(READ.format(path))
    assert f"its header has {len(data)} bytes, expected at most 2097152 for the tensors" in told and peak < 200


def test_a_header_longer_than_its_classes_warrant(path, weights):
    big = {**weights, "x": np.zeros(8 << 20, np.float32)}
    described(path, big, description())
    rewritten(path, lambda text: text.replace('"dtype"', f'"note":[{"[]," * 2_000_000}1],"dtype"', 1))
    refused(path, r"x \[8388608\] does not belong to the network")
    described(path, weights, description())
    rewritten(path, lambda text: text + " " * (3 * texts.longest(2) - len(text)))
    assert read(path, mapped=True).config.arch == ARCH
    rewritten(path, lambda text: text + " ")
    refused(path, f"its header has {3 * texts.longest(2) + 1} bytes, expected at most {3 * texts.longest(2)} for 2 classes")


# The description


def test_the_longest_description(path, weights):
    """Labels may be long: it is the length of all of it that is bounded."""
    most, empty = texts.longest(2), len(json.dumps(description(provenance={"x": ""})))
    described(path, weights, description(provenance={"x": "a" * (most - empty)}))
    assert read(path).config.provenance == {"x": "a" * (most - empty)}
    described(path, weights, description(provenance={"x": "a" * (most - empty + 1)}))
    refused(path, f"metadata has {most + 1} bytes, expected at most {most} for 2 classes")
    described(path, weights, json.dumps(description(provenance={"x": "é" * (most // 2)}), ensure_ascii=False))
    refused(path, "expected at most")
    with pytest.raises(ModelFileError, match="expected at most"):
        write(path, ModelFile(ModelConfig(ARCH, provenance={"x": "a" * most}), weights))


def test_more_classes_may_have_longer_descriptions(path):
    arch = replace(ARCH, num_classes=3000)
    long = {
        key: np.zeros(shape, np.float32) if "classifier" in key else np.ones(shape, np.float32)
        for key, shape in arch.shapes().items()
    }
    labels = Labels(tuple(f"{i} " + "x" * 1000 for i in range(3000)))
    write(path, ModelFile(ModelConfig(arch, labels=labels), long))
    assert read(path, mapped=True).config.labels == labels and read_config(path).labels == labels


def test_classes_without_weights_make_no_room(path, weights):
    """A shape with a 0 claims as many classes as it likes and brings nothing."""
    tensors = {**weights, "classifier.weight": np.zeros((1 << 40, 0), np.float32)}
    described(path, tensors, description(provenance={"x": "a" * (2 << 20)}))
    refused(path, "expected at most 1048576 for 0 classes")


def test_nested_lists_take_little_memory(path, weights):
    inner = "[[]" + ",[]" * 7_000_000 + "]"
    text = json.dumps(description())[: -len("{}}")] + f'{{"a":{inner}}}}}'
    tensors = {**weights, "x": np.zeros(8 << 20, np.float32)}  # so that the header is not out of proportion
    described(path, tensors, text)
    told, peak = peak_of(READ.format(path))
    assert "metadata has 21" in told and "expected at most 1050624 for 2 classes" in told and peak < 400


def test_the_most_nested_lists_that_are_read_take_bounded_memory(path, weights):
    inner = "[[]" + ",[]" * ((texts.longest(2) - 1000) // 3) + "]"
    described(path, weights, json.dumps(description())[: -len("{}}")] + f'{{"a":{inner}}}}}')
    told, peak = peak_of(READ.format(path))
    assert not told and peak < 250


def test_very_many_labels(path, weights):
    described(path, weights, description(labels={"names": ["x"] * 200_000}))
    refused(path, "200000 labels for 2 classes")


@pytest.mark.parametrize(
    "text",
    [
        '{"format_version":1,"format_version":1,"architecture":{}}',
        '{"format_version":1,"architecture":{"family":"lcnet","width":0.25,"in_chans":3,"num_classes":2,"num_classes":2}}',
        '{"format_version":1,"provenance":{"a":[{"b":1,"b":2}]}}',
    ],
)
def test_keys_of_the_description_that_are_there_twice(path, weights, text):
    described(path, weights, text)
    refused(path, "is not JSON: the key '.*' is there twice in one object")


@pytest.mark.parametrize("number", ["1e999", "-1e400", "1" + "0" * 400 + ".5"])
def test_numbers_that_no_number_can_be(path, weights, number):
    described(path, weights, json.dumps(description())[: -len("{}}")] + f'{{"a":{number}}}}}')
    refused(path, "more than a number can be")


@pytest.mark.parametrize("bad", ["\\ud800", "a\\udfffb", "\\udc80"])
@pytest.mark.parametrize("where", ["labels", "ids", "thresholds", "provenance", "key", "verdict", "family"])
def test_text_that_cannot_be_written(path, weights, bad, where):
    fields = {
        "labels": {"labels": {"names": ["BAD", "dog"]}},
        "ids": {"labels": {"names": ["cat", "dog"], "ids": ["n1", "BAD"]}},
        "thresholds": {"labels": LABELS, "decision": {"thresholds": {"BAD": 0.5}}},
        "provenance": {"provenance": {"a": [["BAD"]]}},
        "key": {"provenance": {"BAD": 1}},
        "verdict": {"quantization": {"verdict": {"x": "BAD"}}},
        "family": {"architecture": {"family": "BAD"}},
    }[where]
    described(path, weights, json.dumps(description(**fields)).replace("BAD", bad))
    refused(path, "which is no Unicode: half of a UTF-16 pair")
    with pytest.raises(ModelFileError, match="no Unicode"):
        read_config(path)


def test_pairs_are_no_halves(path, weights):
    described(path, weights, json.dumps(description(labels={"names": ["\U0001f600", "dog"]})))
    assert read(path).config.labels.names[0] == "\U0001f600"


@pytest.mark.parametrize("bad", ["\ud800", "a\0", "\0"])
def test_labels_that_no_file_of_results_could_hold(path, weights, bad):
    with pytest.raises(ModelFileError, match=r"labels\.names has .*expected Unicode text without U\+0000"):
        Labels(("cat", bad))
    with pytest.raises(ModelFileError, match=r"labels\.ids has"):
        Labels(("cat", "dog"), ("n1", bad))


# Numbers that float32 makes something else of


@pytest.mark.parametrize("value", [0, -1, 1e-300, 1e-45, 1e-39, 9.9e-7, 1.1e6, 1e39, 1e300, 10**18])
@pytest.mark.parametrize("field", ["std", "temperature"])
def test_what_numbers_are_divided_by(path, weights, field, value):
    part = {"preprocessing": {"std": [1, value, 1]}} if field == "std" else {"decision": {"temperature": value}}
    described(path, weights, description(**part))
    refused(path, rf"{field} is .*, expected .*above 0, (from )?1e-06 to 1e\+06")


@pytest.mark.parametrize("value", [1e-6, 1e6, 1])
def test_the_edges_of_what_numbers_are_divided_by_give_answers(weights, value):
    config = ModelConfig(ARCH, Preprocessing((3, 32, 32), std=(value,) * 3), Labels(("a", "b")), Decision(value))
    for multi in (False, True):
        changed = replace(config, decision=replace(config.decision, multi_label=multi))
        model = lcnet.Classifier(ModelFile(changed, weights), threads=1)
        probs = model.probs(np.full((40, 40, 3), 200, np.uint8))
        assert np.isfinite(probs).all() and (multi or abs(probs.sum() - 1) < 1e-6)


@pytest.mark.parametrize("value", [1.1e6, -1.1e6, 1e39, 10**18])
def test_means_far_out(path, weights, value):
    described(path, weights, description(preprocessing={"mean": [0, value, 0]}))
    refused(path, r"preprocessing\.mean is .*, expected 3 numbers from -1e\+06 to 1e\+06")


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e999", "-0.1", "1.1", '"0.5"', "null", "true"])
def test_thresholds(path, weights, value):
    text = json.dumps(description(labels=LABELS, decision={"thresholds": {"cat": "X"}})).replace('"X"', value)
    described(path, weights, text)
    refused(path, "decision.thresholds is|is not JSON")


# Sizes


@pytest.mark.parametrize(
    "size, good",
    [
        ([3, 4096, 4096], True),
        ([3, 65536, 256], True),
        ([3, 4097, 4096], False),
        ([3, 65536, 65536], False),
        ([3, 65537, 32], False),
        ([3, 31, 224], False),
        ([3, 224, 1], False),
        ([3, 32, 32], True),
    ],
)
def test_sizes_that_can_be_run(path, weights, size, good):
    described(path, weights, description(preprocessing={"input_size": size}))
    if good:
        assert read(path).config.preprocessing.input_size == tuple(size)
    else:
        refused(path, r"preprocessing\.input_size is ")


def test_values_of_an_input_are_bounded_with_its_channels():
    half = (0.5,) * 1024
    Preprocessing((1024, 256, 256), mean=half, std=half)
    with pytest.raises(ModelFileError, match="at most 16777216 pixels, and 67108864 values"):
        Preprocessing((1024, 256, 257), mean=half, std=half)


def test_the_largest_input_takes_the_memory_that_is_stated(path, weights):
    write(path, ModelFile(ModelConfig(ARCH, Preprocessing((3, 4096, 4096), crop_pct=0.01)), weights))
    code = 'import lcnet, numpy; print(len(lcnet.load("{}", threads=1).logits([numpy.zeros((60, 50, 3), numpy.uint8)] * 3)))'
    told, peak = peak_of(code.format(path))
    assert told == "3" and peak < 900


# Weights


@pytest.mark.parametrize(
    "changes, layer",
    [
        ({"bn1.weight": 1e30, "conv_stem.weight": 1e30}, "conv_stem"),
        ({"blocks.3.1.bn1.running_var": 0, "blocks.3.1.bn1.weight": 3e38}, r"blocks\.3\.1\.conv_dw"),
        ({"blocks.5.1.bn2.running_mean": 3e38, "blocks.5.1.bn2.weight": 3e38}, r"blocks\.5\.1\.conv_pw"),
    ],
)
def test_batch_norms_that_overflow_when_they_are_folded(path, weights, changes, layer):
    tensors = {k: np.full_like(v, changes[k]) if k in changes else v for k, v in weights.items()}
    described(path, tensors, description())
    refused(path, rf": {layer} overflows float32 with its batch norm .* folded in: the weights are damaged")
    with pytest.raises(ModelFileError, match=layer):
        to_bytes(ModelFile(ModelConfig(ARCH), tensors))


def test_weights_that_fit_and_overflow_together_give_no_answer(path, weights, tmp_path):
    tensors = {k: v * np.float32(1e12) if k.endswith("conv_pw.weight") else v for k, v in weights.items()}
    write(path, ModelFile(ModelConfig(ARCH, Preprocessing((3, 32, 32)), Labels(("a", "b"))), tensors))
    model, picture = lcnet.load(path, threads=2), np.full((40, 40, 3), 200, np.uint8)
    for ask in (model.classify, model.logits, model.embeddings, model.feature_maps):
        with pytest.raises(ModelFileError, match="the network gives NaN or Inf: its weights are damaged"):
            ask(picture)
    found = list(model.stream(iter([picture] * 5), errors="yield"))
    assert [str(item.error) for item in found] == [
        "image array: the network gives NaN or Inf: its weights are damaged, or far too large for its input"
    ] * 5


def test_only_the_picture_that_overflows_is_told(weights):
    class Odd(lcnet.Classifier):
        def logits(self, images):
            if (np.asarray(images) > 2).any():
                raise ModelFileError("too bright")
            return super().logits(images)

    model = Odd(ModelFile(ModelConfig(ARCH, Preprocessing((3, 32, 32))), weights), threads=2)
    dark, bright = (np.full((40, 40, 3), value, np.uint8) for value in (0, 255))
    found = list(model.stream(iter([dark, bright, dark, dark] * 6), "logits", errors="yield"))
    assert [str(item.error) for item in found] == ["None", "image array: too bright", "None", "None"] * 6


def test_numbers_that_are_no_numbers_come_out_as_they_go_in(weights):
    model = lcnet.Classifier(ModelFile(ModelConfig(ARCH), weights), threads=1)
    assert np.isnan(model.run(np.full((1, 3, 32, 32), np.nan, np.float32))).all()


@pytest.mark.parametrize(
    "key, value, match",
    [
        ("conv_head.scale", 1e31, "conv_head can overflow float32: its scale or its bias"),
        ("blocks.2.0.conv_pw.bias", 1e38, r"blocks\.2\.0\.conv_pw can overflow float32"),
        ("classifier.input_scale", 1e31, r"classifier\.input_scale has values above 1\.0e\+30"),
        ("conv_head.input_scale", 1e-31, "values below 1.0e-30"),
    ],
)
def test_quantised_scales_whose_products_overflow(path, key, value, match):
    model = quantized_model()
    weights = {k: v.copy() for k, v in model.weights.items()}
    weights[key][0] = value
    with pytest.raises(ModelFileError, match=match):
        to_bytes(ModelFile(model.config, weights))


def test_the_specification_states_each_bound():
    text = " ".join(SPECIFICATION.read_text(encoding="utf-8").split())
    for bound in (
        "1,048,576 bytes, and 1,024 for each class",
        "three times that",
        "2,097,152 bytes more than twice",
        "16,777,216",
        "67,108,864",
        "65536",
        "1e-6 to 1e6",
        "-1e6 to 1e6",
        "1e-30",
        "1e30",
        "U+0000",
    ):
        assert bound in text, bound
    assert re.search(r"\| a key that is in one object twice", text)
