"""Our reader of protobuf against protobuf itself, by messages of ONNX; and what it refuses, in bounded time and memory."""

import struct
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lcnet.convert.onnx import MODEL
from lcnet.convert.wire import BYTES, DOUBLE, FLOAT, INT, TEXT, Budget, Field, read
from lcnet.errors import ModelFileError

onnx = pytest.importorskip("onnx", reason="onnx (extra: export) is not installed")

INT64 = st.integers(-(2**63), 2**63 - 1)
FLOAT32 = st.floats(width=32)
ATTRIBUTE = {1: Field("name", TEXT), 2: Field("f", FLOAT), 3: Field("i", INT), 4: Field("s", BYTES)}
ATTRIBUTE |= {7: Field("floats", FLOAT, many=True), 8: Field("ints", INT, many=True), 20: Field("type", INT)}


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=20), FLOAT32, INT64, st.binary(max_size=40), st.lists(FLOAT32, max_size=9), st.lists(INT64, max_size=9))
def test_every_value_as_protobuf_reads_it(name, f, i, s, floats, ints):
    proto = onnx.AttributeProto(name=name, f=f, i=i, s=s, floats=floats, ints=ints)
    found = read(proto.SerializeToString(), ATTRIBUTE)
    assert (found["name"], found["i"], bytes(found["s"]), found["ints"], found["type"]) == (name, i, s, ints, None)
    np.testing.assert_array_equal(np.float32([found["f"], *found["floats"]]), np.float32([f, *floats]))


@settings(max_examples=100, deadline=None)
@given(st.lists(INT64, max_size=9), st.lists(st.floats(), max_size=9))
def test_lists_of_numbers_in_both_forms(ints, doubles):
    table = {1: Field("dims", INT, many=True), 10: Field("double_data", DOUBLE, many=True)}
    proto = onnx.TensorProto(dims=ints, double_data=doubles).SerializeToString()
    unpacked = b"".join(b"\x08" + _varint(n) for n in ints) + b"".join(b"\x51" + struct.pack("<d", d) for d in doubles)
    for data in (proto, unpacked):
        found = read(data, table)
        assert found["dims"] == ints
        np.testing.assert_array_equal(found["double_data"], doubles)


def _varint(value):
    value &= 2**64 - 1
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def test_unknown_fields_are_skipped_and_the_last_of_a_number_counts():
    known = onnx.ModelProto(ir_version=3)
    data = b"\xf8\x7f\x01" + onnx.ModelProto(doc_string="x" * 300).SerializeToString() + b"\x08\x02" + known.SerializeToString()
    assert read(data, MODEL)["ir_version"] == onnx.ModelProto.FromString(data).ir_version == 3


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\x08", "no end"),
        (b"\x08" + b"\xff" * 10, "more than 64 bits"),
        (b"\x08" + b"\x80" * 9 + b"\x02", "more than 64 bits"),
        (b"\x12\x05abc", "5 bytes, and 3 are left"),
        (b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01abc", "are left"),
        (b"\x15\x00", "4 bytes, and 1 are left"),
        (b"\x13\x14", "wire type 3"),
        (b"\x00\x01", "the number 0"),
        (b"\x12\x01\xff", "producer_name is no UTF-8"),
        (b"\x0a\x01a", "ir_version is of wire type 2"),
        (b"\x3a\x00\x3a\x00", "graph is there twice"),
        (b"\x3a\x02\x08\x01", "node is of wire type 0"),
    ],
)
def test_damaged_messages(data, words):
    with pytest.raises(ModelFileError, match=words):
        read(data, MODEL)


def test_as_many_fields_as_a_network_needs_and_no_more():
    data = b"\x08\x01" * 300_000
    began = time.monotonic()
    with pytest.raises(ModelFileError, match="more than 131072 fields"):
        read(data, MODEL)
    with pytest.raises(ModelFileError, match="fields"):
        read(
            b"\x42" + _varint(11) + b"\x12\x09" + b"\x01" * 9,
            {8: Field("x", {2: Field("n", INT, many=True)}, many=True)},
            Budget(10),
        )
    assert time.monotonic() - began < 20


def test_depth_is_the_tables_not_the_files():
    data = b""
    while len(data) < 1 << 16:  # a message in a message in a message, which a table that stops above does not enter
        data = b"\x3a" + _varint(len(data)) + data
    budget = Budget()
    left = budget.left
    assert bytes(read(data, {7: Field("inner", BYTES)}, budget)["inner"]) in data
    assert left - budget.left == 1
