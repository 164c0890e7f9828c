"""ONNX files -> `Graph`, without the package onnx: any version of the format whose operators the family uses.

Weights may be initializers, Constant nodes or external data in the file's own folder. Owns the format and no network. Refused
are model-local functions, sparse tensors and whatever lies outside the folder.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from ..errors import ModelFileError
from ..text import quoted, reason
from .graph import Graph, Node, checked
from .tensors import bfloat16
from .wire import BYTES, DOUBLE, FLOAT, INT, TEXT, Budget, Field, read

MAX_EXTERNAL = 1 << 30  # bytes of a file of weights beside the graph
_STRINGS = {1: Field("key", TEXT), 2: Field("value", TEXT)}
_TENSOR = {
    1: Field("dims", INT, many=True),
    2: Field("data_type", INT),
    4: Field("float_data", FLOAT, many=True),
    5: Field("int32_data", INT, many=True),
    7: Field("int64_data", INT, many=True),
    8: Field("name", TEXT),
    9: Field("raw_data", BYTES),
    10: Field("double_data", DOUBLE, many=True),
    13: Field("external_data", _STRINGS, many=True),
    14: Field("data_location", INT),
}
_ATTRIBUTE = {
    1: Field("name", TEXT),
    2: Field("f", FLOAT),
    3: Field("i", INT),
    4: Field("s", BYTES),
    5: Field("t", _TENSOR),
    7: Field("floats", FLOAT, many=True),
    8: Field("ints", INT, many=True),
    20: Field("type", INT),
}
_NODE = {
    1: Field("input", TEXT, many=True),
    2: Field("output", TEXT, many=True),
    3: Field("name", TEXT),
    4: Field("op_type", TEXT),
    5: Field("attribute", _ATTRIBUTE, many=True),
    7: Field("domain", TEXT),
}
_DIMENSION = {1: Field("dim_value", INT), 2: Field("dim_param", TEXT)}
_SHAPE = {1: Field("dim", _DIMENSION, many=True)}
_VALUE = {1: Field("name", TEXT), 2: Field("type", {1: Field("tensor_type", {2: Field("shape", _SHAPE)})})}
_GRAPH = {
    1: Field("node", _NODE, many=True),
    5: Field("initializer", _TENSOR, many=True),
    11: Field("input", _VALUE, many=True),
    12: Field("output", _VALUE, many=True),
    15: Field("sparse_initializer", BYTES, many=True),
}
MODEL = {
    1: Field("ir_version", INT),
    2: Field("producer_name", TEXT),
    3: Field("producer_version", TEXT),
    7: Field("graph", _GRAPH),
    8: Field("opset_import", {1: Field("domain", TEXT), 2: Field("version", INT)}, many=True),
    14: Field("metadata_props", _STRINGS, many=True),
    25: Field("functions", BYTES, many=True),
}
# TensorProto.DataType -> how raw bytes are read, and which list has the values where there are none.
_DTYPES = {
    1: ("<f4", "float_data"),
    2: ("<u1", "int32_data"),
    3: ("<i1", "int32_data"),
    6: ("<i4", "int32_data"),
    7: ("<i8", "int64_data"),
    9: ("?", "int32_data"),
    10: ("<f2", "int32_data"),
    11: ("<f8", "double_data"),
    16: ("<u2", "int32_data"),
}
_HALVES = (10, 16)  # float16 and bfloat16, whose bits stand in int32_data
_EXTERNAL = 1  # data_location
_CONSTANT = ("value", "value_float", "value_floats", "value_int", "value_ints")
_PLAIN = ("", "ai.onnx")  # domains: operators of others are another's, whatever they are called
# AttributeProto.AttributeType -> the field with its value.
_ATTRIBUTES = {1: "f", 2: "i", 3: "s", 4: "t", 6: "floats", 7: "ints"}


@dataclass(frozen=True)
class Onnx:
    """A graph and what the file says beside it."""

    graph: Graph
    metadata: Mapping[str, str]
    producer: str
    opset: int
    files: Mapping[str, bytes]  # of weights beside it


def read_onnx(data: bytes, folder: Path) -> Onnx:
    """Read an ONNX model whose external data, if it has any, lies in `folder`. Raises `ModelFileError`."""
    model = read(data, MODEL, Budget())
    graph = model["graph"]
    if graph is None or not model["opset_import"]:
        raise ModelFileError("this is no ONNX model: it has no graph, or says no version of its operators")
    if model["functions"] or graph["sparse_initializer"]:
        raise ModelFileError("it has functions of its own, or sparse tensors: export it again with these inlined, or dense")
    files = _Files(folder)
    nodes: list[Node] = []
    tensors: dict[str, np.ndarray] = {}
    for proto in graph["initializer"]:
        tensors[proto["name"] or ""] = _array(proto, files)
    for proto in graph["node"]:
        _add(proto, nodes, tensors, files)
    inputs = {v["name"]: _sizes(v) for v in graph["input"] if v["name"] and v["name"] not in tensors}
    outputs = tuple(v["name"] for v in graph["output"] if v["name"])
    found = checked(Graph(tuple(nodes), tensors, inputs, outputs))
    metadata = {entry["key"] or "": entry["value"] or "" for entry in model["metadata_props"]}
    producer = " ".join(filter(None, (model["producer_name"], model["producer_version"])))
    opset = next((o["version"] or 0 for o in model["opset_import"] if (o["domain"] or "") in _PLAIN), 0)
    return Onnx(found, metadata, producer, opset, files.read)


def _add(proto: dict[str, Any], nodes: list[Node], tensors: dict[str, np.ndarray], files: _Files) -> None:
    """A node; a constant becomes an array."""
    attributes = dict(_attributes(proto["attribute"], files))
    domain, op = proto["domain"] or "", proto["op_type"] or ""
    if op == "Constant" and domain in _PLAIN and len(proto["output"]) == 1:
        value = next((v for k, v in attributes.items() if k in _CONSTANT), None)
        if value is None or proto["output"][0] in tensors:
            raise ModelFileError(f"the constant {quoted(proto['output'][0])} has no value, or several")
        tensors[proto["output"][0]] = np.asarray(value)
        return
    name = op if domain in _PLAIN else f"{domain}.{op}"
    nodes.append(Node(name, tuple(proto["input"]), tuple(proto["output"]), attributes, proto["name"] or ""))


def _attributes(protos: list[dict[str, Any]], files: _Files) -> Iterator[tuple[str, Any]]:
    for proto in protos:
        kind = _ATTRIBUTES.get(proto["type"] or _type_of(proto))
        value = proto[kind] if kind else None
        if kind == "s":
            value = bytes(value or b"").decode("utf-8", "replace")
        elif kind == "t" and value is not None:
            value = _array(value, files)
        yield proto["name"] or "", value


def _type_of(proto: dict[str, Any]) -> int:
    """The type of an attribute that does not state it, as files from before 2018."""
    return next((number for number, kind in _ATTRIBUTES.items() if proto[kind] not in (None, [])), 0)


def _sizes(value: dict[str, Any]) -> tuple[int | None, ...]:
    tensor = (value["type"] or {}).get("tensor_type") or {}
    return tuple(d["dim_value"] or None for d in (tensor.get("shape") or {"dim": []})["dim"])


def _array(proto: dict[str, Any], files: _Files) -> np.ndarray:
    """The values of a tensor, of which there must be as many as its shape says."""
    name, kind, shape = quoted(proto["name"] or "a constant"), proto["data_type"], tuple(proto["dims"])
    if kind not in _DTYPES:
        raise ModelFileError(f"{name} has ONNX's data type {kind}, expected floats or whole numbers")
    dtype, listed = np.dtype(_DTYPES[kind][0]), _DTYPES[kind][1]
    if proto["data_location"] == _EXTERNAL:
        values = _raw(name, files.view(name, proto["external_data"]), dtype)
    elif proto["raw_data"] is not None:
        values = _raw(name, proto["raw_data"], dtype)
    else:
        values = _listed(name, proto[listed], dtype, kind in _HALVES)
    if any(size < 0 for size in shape) or _count(shape) != values.size:
        raise ModelFileError(f"{name} has {values.size} values, expected those of the shape {list(shape)[:8]}")
    return bfloat16(values.reshape(shape)) if kind == 16 else values.reshape(shape)


def _count(shape: tuple[int, ...]) -> int:
    count = 1
    for size in shape[:33]:
        count *= size
    return count if len(shape) <= 32 else -1


def _raw(name: str, data: memoryview, dtype: np.dtype[Any]) -> np.ndarray:
    if len(data) % dtype.itemsize:
        raise ModelFileError(f"{name} has {len(data)} bytes, which is no whole number of values")
    return np.frombuffer(data, dtype)


def _listed(name: str, values: list[Any], dtype: np.dtype[Any], bits: bool) -> np.ndarray:
    try:
        return np.array(values, np.uint16).view(dtype) if bits else np.array(values, dtype)
    except (OverflowError, ValueError):
        raise ModelFileError(f"{name} has values that its data type cannot have") from None


class _Files:
    """The files of external data, each read once, and only out of the folder that the graph lies in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.read: dict[str, bytes] = {}

    def view(self, name: str, entries: list[dict[str, Any]]) -> memoryview:
        """The bytes of one tensor."""
        said = {entry["key"]: entry["value"] or "" for entry in entries}
        data = self._file(said.get("location", ""))
        start, size = _number(said, "offset", 0), _number(said, "length", -1)
        size = len(data) - start if size < 0 else size
        if start > len(data) or size > len(data) - start:
            raise ModelFileError(f"{name} lies outside of {quoted(said.get('location'))}, which has {len(data)} bytes")
        return memoryview(data)[start : start + size]

    def _file(self, location: str) -> bytes:
        if location not in self.read:
            self.read[location] = _beside(self.folder, location)
            if sum(map(len, self.read.values())) > MAX_EXTERNAL:
                raise ModelFileError(f"its weights take more than {MAX_EXTERNAL >> 20} MiB: no LCNet's do")
        return self.read[location]


def _number(said: dict[str, str], key: str, default: int) -> int:
    text = said.get(key) or str(default)
    if not (text.lstrip("-").isascii() and text.lstrip("-").isdigit() and len(text) < 19) or int(text) < min(default, 0):
        raise ModelFileError(f"the {key} of a tensor in another file is {quoted(text)}, expected a whole number")
    return int(text)


def _beside(folder: Path, location: str) -> bytes:
    """A plain file in the folder, by the path that a graph says: no link out of it, no device, nothing absolute."""
    parts = PurePosixPath(location).parts
    if not parts or location.startswith("/") or ".." in parts or "\\" in location or "\0" in location or ":" in location:
        raise ModelFileError(f"its weights are in {quoted(location)}, which is outside of its folder: refused")
    try:
        path = folder.joinpath(*parts).resolve()
        state = path.stat()
        if not path.is_relative_to(folder.resolve()) or not stat.S_ISREG(state.st_mode) or state.st_size > MAX_EXTERNAL:
            raise ModelFileError(f"its weights are in {quoted(location)}, which is no file in its folder: refused")
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise ModelFileError(
            f"its weights are in {quoted(location)} beside it, which cannot be read ({quoted(reason(error))}): put it there"
        ) from None
