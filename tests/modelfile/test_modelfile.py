"""The model file: exact bytes, round trips, what is refused and how it is said, and files without a description."""

import copy
import hashlib
import json
import os
import pickle
import re
import struct
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from stored import ARCH, described, description, refused
from weights import random_weights

from lcnet.arch import Arch
from lcnet.config import Decision, Labels, ModelConfig, Preprocessing
from lcnet.errors import InputError, ModelFileError
from lcnet.labels import load_labels
from lcnet.modelfile import ModelFile, is_pickled, read, read_config, write

SPECIFICATION = Path(__file__).parents[2] / "docs" / "model-file.md"
FULL = ModelConfig(
    ARCH,
    Preprocessing((3, 64, 96), "lanczos", 1, "border", (0.1, 0.2, 0.3), (1.0, 2.0, 3.0), False, (0, 1, 2)),
    Labels(("Käse", 'a "quoted"\nname'), ("n1", "n2")),
    Decision(1.5, {"Käse": 0.25}),
    1e-3,
    {"source": "test", "nested": {"a": [1, None, True, 2.5]}},
)


@pytest.fixture(scope="module")
def weights():
    return random_weights(ARCH)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


# Exact bytes


def test_the_specification_gives_the_exact_file(tmp_path, monkeypatch):
    text = SPECIFICATION.read_text(encoding="utf-8").partition("## A file to the byte")[2]
    monkeypatch.chdir(tmp_path)
    exec(re.search(r"```python\n(.*?)```", text, re.S)[1], {})
    data = Path("example.safetensors").read_bytes()
    size, header, digest = re.search(r"has (\d+) bytes, its header (\d+), and its sha256 is\n`(\w+)`", text).groups()
    assert (len(data), struct.unpack("<Q", data[:8])[0]) == (int(size), int(header))
    assert hashlib.sha256(data).hexdigest() == digest
    stored = json.loads(data[8 : 8 + int(header)])["__metadata__"]["lcnet"]
    assert stored == re.search(r"```json\n(.*?)```", text, re.S)[1].replace("\n", "")
    dump = re.findall(r"^([0-9a-f]{8})  ((?:[0-9a-f]{2} +){16})", text, re.M)
    assert len(dump) == 6
    for offset, row in dump:
        assert data[int(offset, 16) :][:16] == bytes.fromhex(row)


def test_the_specification_lists_every_field_and_default():
    section = SPECIFICATION.read_text(encoding="utf-8").partition("## Description")[2].partition("## ")[0]
    table = dict(re.findall(r"^\| `([\w.]+)` \| .* \| (.*?) \|$", section, re.M))
    written = {"format_version": 1, **replace(FULL, decision=Decision()).to_json()}
    nested = ("architecture", "labels", "preprocessing", "decision")
    fields = {f"{k}.{n}" for k in nested for n in written[k]} | set(written)
    assert set(table) == fields
    assert table.pop("labels") == "`null`"
    defaults = json.loads(json.dumps(ModelConfig(ARCH, labels=Labels(("a", "b"))).to_json()))
    for name, default in table.items():
        if default != "`{}`" and not default.startswith("required"):
            at, _, leaf = name.rpartition(".")
            assert defaults[at][leaf] == json.loads(default.strip("`")), name


def test_a_reader_written_from_the_specification(path, weights):
    counters = {"bn1.num_batches_tracked": np.array(7)}
    write(path, ModelFile(FULL, weights | counters))
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    stored = json.loads(header.pop("__metadata__")["lcnet"])
    assert data[8:9] == b"{"
    assert length % 8 == 0
    assert stored["labels"]["names"] == list(FULL.labels.names)
    end = 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        begin, stop = entry["data_offsets"]
        dtype = {"F32": "<f4", "I64": "<i8"}[entry["dtype"]]
        values = np.frombuffer(data[8 + length + begin : 8 + length + stop], dtype).reshape(entry["shape"])
        np.testing.assert_array_equal(values, (weights | counters)[name])
        assert begin == end
        end = stop
    assert 8 + length + end == len(data)


def test_round_trip_is_byte_identical(path, weights, tmp_path):
    counters = {"bn1.num_batches_tracked": np.array(7)}
    write(path, ModelFile(FULL, weights | counters))
    model = read(path)
    assert model.config == FULL
    assert read_config(path) == FULL
    assert model.weights["bn1.num_batches_tracked"].shape == ()
    write(tmp_path / "again", model)
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_writing_does_not_depend_on_order_or_layout(path, weights, tmp_path):
    write(path, ModelFile(FULL, weights))
    shuffled = {k: np.asfortranarray(weights[k]) for k in sorted(weights, reverse=True)}
    assert not shuffled["classifier.weight"].flags.c_contiguous
    write(tmp_path / "again", ModelFile(FULL, shuffled))
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_only_what_is_required(path, weights):
    required = {"family": "lcnet", "width": 0.25, "in_chans": 3, "num_classes": 2}
    described(path, weights, {"format_version": 1, "architecture": required})
    assert read(path).config == ModelConfig(ARCH)


def test_timm_loads_our_file_strictly(timm, torch, path):
    arch = Arch(0.5, num_classes=3)
    expected = random_weights(arch)
    write(path, ModelFile(ModelConfig(arch), expected))
    model = timm.create_model("lcnet_050", num_classes=3)
    timm.models.load_checkpoint(model, str(path), strict=True)
    state = model.state_dict()
    for key, value in expected.items():
        np.testing.assert_array_equal(state[key].numpy(), value)


def test_timms_own_file(timm, torch, path):
    model = timm.create_model("lcnet_050")
    pytest.importorskip("safetensors.torch").save_file(model.state_dict(), path)
    assert path.stat().st_size == 7_560_712
    read_back = read(path)
    assert len(read_back.weights) == 174
    for key, value in model.state_dict().items():
        np.testing.assert_array_equal(read_back.weights[key], value.numpy())
    assert read_back.config.labels == load_labels("imagenet1k")
    assert read_back.config.preprocessing == Preprocessing()
    write(path, read_back)
    model.load_state_dict(pytest.importorskip("safetensors.torch").load_file(path), strict=True)


def test_messages_do_not_repeat_control_characters(path, weights):
    described(path, weights | {"\x1b[31mred": np.ones(1, np.float32)}, description())
    refused(path, r"\\x1b\[31mred \[1\] does not belong to the network")


# Refused tensors


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"bn1.weight": None}, r"bn1\.weight is missing \(expected \[8\]\)"),
        ({"bn1.weight": np.ones(9)}, r"bn1\.weight has shape \[9\], expected \[8\]"),
        ({"extra": np.ones((2, 3))}, r"extra \[2, 3\] does not belong to the network"),
        ({"x.num_batches_tracked": np.array(1)}, "x.num_batches_tracked .* does not belong"),
        ({"bn1.num_batches_tracked": np.array([1])}, r"bn1\.num_batches_tracked has shape \[1\], expected a scalar"),
        ({"classifier.weight": np.ones((3, 1280)), "classifier.bias": np.ones(3)}, "do not fit lcnet_025 with 2 classes"),
        ({f"x{i}": np.ones(1) for i in range(9)}, "and 4 more"),
    ],
)
def test_tensors_that_do_not_fit(path, weights, changes, match):
    changed = {k: v if v.dtype == np.int64 else v.astype(np.float32) for k, v in changes.items() if v is not None}
    tensors = {k: v for k, v in weights.items() if k not in changes} | changed
    described(path, tensors, description())
    refused(path, match)
    with pytest.raises(ModelFileError, match=match):
        write(path, ModelFile(ModelConfig(ARCH), tensors))


@pytest.mark.parametrize(
    ("key", "value", "match"),
    [
        ("blocks.5.1.se.conv_reduce.bias", np.nan, r"se\.conv_reduce\.bias has 1 NaN or Inf values of 32"),
        ("conv_head.weight", -np.inf, r"conv_head\.weight has 1 NaN or Inf values of 163840"),
        ("blocks.0.0.bn2.running_var", -0.5, r"bn2\.running_var has negative values"),
    ],
)
def test_damaged_values(path, weights, key, value, match):
    tensors = copy.deepcopy(weights)
    tensors[key].flat[3] = value
    described(path, tensors, description())
    refused(path, match)
    with pytest.raises(ModelFileError, match=match):
        write(path, ModelFile(ModelConfig(ARCH), tensors))


@pytest.mark.parametrize(("key", "dtype", "stored"), [("bn1.bias", "f8", "F64"), ("bn1.num_batches_tracked", "f4", "F32")])
def test_other_types(path, weights, key, dtype, stored):
    tensors = weights | {key: np.zeros(() if key.endswith("tracked") else 8, dtype)}
    described(path, tensors, description())
    refused(path, f"{key} has dtype {stored}, expected .*: `lcnet convert`")
    with pytest.raises(ModelFileError, match=f"{key} has dtype float"):
        write(path, ModelFile(ModelConfig(ARCH), tensors))


@pytest.mark.parametrize(
    "provenance",
    [{"x": float("nan")}, {"x": "\ud800"}, {"x": Path("a")}, {"x": b"a"}],
    ids=["nan", "surrogate", "path", "bytes"],
)
def test_descriptions_that_cannot_be_stored(path, weights, provenance):
    with pytest.raises(ModelFileError, match="description cannot be stored as JSON"):
        write(path, ModelFile(ModelConfig(ARCH, provenance=provenance), weights))
    assert not path.exists()


def test_nothing_is_written_that_could_not_be_read(path):
    arch = Arch(0.25, in_chans=1025, num_classes=0)
    config = ModelConfig(arch, Preprocessing().with_channels(1025))
    with pytest.raises(ModelFileError, match=r"architecture\.in_chans is 1025"):
        write(path, ModelFile(config, random_weights(arch)))


# Refused containers


def container(header, data=bytes(8), length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


ONE = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}


@pytest.mark.parametrize(
    "data",
    [
        b"\x01\x02",
        bytes(8),
        container({"a": ONE}, bytes(4), length=1 << 63),
        container({"a": ONE}, bytes(4), length=100_000_001),
        container({"a": ONE}, bytes(4), length=1000),
        container({"a": ONE}, bytes(3)),
        container({"a": ONE}, bytes(5)),
        container({"a": ONE, "b": ONE}, bytes(4)),
        container({"a": ONE, "b": ONE | {"data_offsets": [2, 6]}}, bytes(6)),
        container({"a": ONE, "b": ONE | {"data_offsets": [8, 12]}}, bytes(12)),
        container({"a": ONE | {"data_offsets": [4, 0]}}, bytes(4)),
        container({"a": ONE | {"shape": [1 << 40, 1 << 40]}}, bytes(4)),
        container({"a": ONE | {"shape": [-1]}}, bytes(4)),
        container({"a": ONE | {"dtype": "F31"}}, bytes(4)),
        container({"__metadata__": {"lcnet": 3}, "a": ONE}, bytes(4)),
        container(b'{"a":' + b"[" * 5000),
        container(b'{"\xff": 1}'),
        container(b"not JSON"),
    ],
)
def test_broken_containers(path, data):
    path.write_bytes(data)
    refused(path, "not a valid safetensors file")


def test_a_file_cut_anywhere(path, weights, tmp_path):
    write(path, ModelFile(FULL, weights))
    data = path.read_bytes()
    cut = tmp_path / "cut"
    for size in (7, 8, 9, 1000, len(data) // 2, len(data) - 1):
        cut.write_bytes(data[:size])
        refused(cut, "not a valid safetensors file .*cut short")


def test_an_empty_container(path):
    path.write_bytes(container({}, b""))
    refused(path, "conv_stem.weight and conv_head.weight are needed")


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickles_are_told_about_convert(path, protocol):
    path.write_bytes(pickle.dumps({"x": np.ones(3)}, protocol))
    refused(path, r"pickled checkpoint, not loaded: run `lcnet convert .*/model\.safetensors OUT\.safetensors`")


def test_archives_are_told_about_convert(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}.")
    refused(path, "pickled checkpoint, not loaded: run `lcnet convert")


@pytest.mark.parametrize("length", [0x4B50, 0x280, 0x380, 0x480, 0x580, 0x10280])
def test_header_lengths_that_look_like_pickles(path, weights, length):
    """The length's low bytes are `PK`, or those of a pickle: the file is safetensors all the same."""
    write(path, ModelFile(FULL, weights))
    data = path.read_bytes()
    old = int.from_bytes(data[:8], "little")
    if length >= old:
        path.write_bytes(struct.pack("<Q", length) + data[8 : 8 + old].ljust(length) + data[8 + old :])
        assert read(path).config == FULL
    assert not is_pickled(struct.pack("<Q", length), length + 8)
    assert is_pickled(struct.pack("<Q", length), length + 7)


def test_unreadable_paths(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    wanted = {"none": "no such file", ".": "Is a directory", "file/x": "Not a directory", "nul\0": "null byte"}
    for name, reason in wanted.items():
        with pytest.raises(ModelFileError, match=f"cannot be read: .*{reason}"):
            read(f"{tmp_path}/{name}")


# Writing


def test_a_failure_while_writing_leaves_the_old_file(path, weights, monkeypatch):
    path.write_bytes(b"old")
    seen = []

    def full(descriptor):
        seen.extend(p for p in path.parent.iterdir() if p != path)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match=r"model\.safetensors cannot be written: No space left"):
        write(path, ModelFile(FULL, weights))
    assert len(seen) == 1
    assert list(path.parent.iterdir()) == [path]
    assert path.read_bytes() == b"old"


def test_an_interruption_leaves_the_old_file(path, weights, monkeypatch):
    path.write_bytes(b"old")

    def interrupted(source, target):
        assert source.stat().st_size > 1_000_000
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(path, ModelFile(FULL, weights))
    assert list(path.parent.iterdir()) == [path]
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("name", ["", "none/model", "file/model", "nul\0"])
def test_unwritable_paths(tmp_path, weights, name):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match=r"cannot be written|no name of a file"):
        write(f"{tmp_path}/{name}", ModelFile(FULL, weights))
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_mapped_tensors_are_the_same_and_cannot_be_changed(path, weights):
    counter = {"bn1.num_batches_tracked": np.array(7, np.int64)}
    write(path, ModelFile(FULL, weights | counter))
    whole, mapped = read(path), read(path, mapped=True)
    assert mapped.config == whole.config and mapped.weights.keys() == whole.weights.keys()
    for key, value in whole.weights.items():
        assert np.array_equal(mapped.weights[key], value) and mapped.weights[key].dtype == value.dtype
        assert mapped.weights[key].shape == value.shape and not mapped.weights[key].flags.writeable
