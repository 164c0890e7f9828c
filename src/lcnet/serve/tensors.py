"""Tensors of the Open Inference Protocol, version 2: in JSON, or by its binary extension behind the JSON."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..text import quoted
from .bodies import Picture, from_base64, parsed
from .refusals import Refused

FLOATS, BYTES = "FP32", "BYTES"
LENGTH = "inference-header-content-length"


@dataclass(frozen=True)
class Tensor:
    """An input as it came: `data` is what JSON has, or bytes of the binary extension."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: Any

    def floats(self) -> np.ndarray:
        """Float32 of its shape. Raises `Refused`."""
        count = math.prod(self.shape)
        if isinstance(self.data, bytes):
            found = np.frombuffer(self.data, "<f4") if len(self.data) == 4 * count else np.empty(0, np.float32)
        else:
            try:
                found = np.array(self.data, np.float32).ravel()
            except (TypeError, ValueError, OverflowError):
                raise Refused("argument", f"the data of {quoted(self.name)} are no numbers") from None
        if len(found) != count or not np.isfinite(found).all():
            raise Refused("argument", f"{quoted(self.name)} has not the {count} finite numbers that its shape says")
        return found.reshape(self.shape)

    def pictures(self) -> list[Picture]:
        """Encoded pictures, a file an element. Raises `Refused`."""
        if isinstance(self.data, bytes):
            found = list(map(Picture, _elements(self.data)))
        else:
            flat = [e for item in self.data for e in (item if isinstance(item, list) else [item])]
            if not all(isinstance(element, str) for element in flat):
                raise Refused("argument", f"the data of {quoted(self.name)} are no texts: send pictures as base64")
            found = list(map(from_base64, flat))
        if len(found) != math.prod(self.shape):
            raise Refused("argument", f"{quoted(self.name)} has {len(found)} elements, its shape says {math.prod(self.shape)}")
        return found


def _elements(data: bytes) -> list[bytes]:
    """The elements of a binary tensor of BYTES: a length as uint32 before each. Raises `Refused`."""
    found, at = [], 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "little")
        if at + 4 + size > len(data):
            raise Refused("bad_request", "the lengths of a BYTES tensor do not fit its data")
        found.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    return found


@dataclass(frozen=True)
class Inference:
    """A request: its tensors, and which outputs it wants, each by name with its parameters."""

    id: str | None
    inputs: tuple[Tensor, ...]
    outputs: dict[str, dict[str, Any]] | None
    binary: bool  # all outputs


def inference(body: bytes, json_length: str | None) -> Inference:
    """What a request's body says. json_length: of the JSON, before the binary tensors. Raises `Refused`."""
    if json_length is not None and not (json_length.isascii() and json_length.isdigit() and len(json_length) < 12):
        raise Refused("bad_request", f"{LENGTH} is no number")
    cut = len(body) if json_length is None else int(json_length)
    data = parsed(body[:cut], numbers=True)
    rest = body[cut:]
    if not isinstance(data, dict) or not isinstance(data.get("inputs"), list) or len(data["inputs"]) > 8:
        raise Refused("argument", "expected an object with a list of inputs")
    tensors = []
    for given in data["inputs"]:
        tensor, rest = _tensor(given, rest)
        tensors.append(tensor)
    if rest:
        raise Refused("bad_request", f"there are {len(rest)} bytes behind the tensors")
    id_ = data.get("id")
    if id_ is not None and not (isinstance(id_, str) and len(id_) <= 256):
        raise Refused("argument", "the id is expected as a text of at most 256 characters")
    return Inference(id_, tuple(tensors), _outputs(data.get("outputs")), _parameters(data).get("binary_data_output") is True)


def _tensor(given: Any, rest: bytes) -> tuple[Tensor, bytes]:
    good = isinstance(given, dict) and isinstance(given.get("name"), str) and isinstance(given.get("shape"), list)
    if not good or not all(type(side) is int and 0 <= side < 1 << 31 for side in given["shape"]) or len(given["shape"]) > 8:
        raise Refused("argument", "an input is an object with name, datatype, shape and data")
    size = _parameters(given).get("binary_data_size")
    if size is None:
        data = given.get("data")
        if not isinstance(data, list):
            raise Refused("argument", f"the input {quoted(given['name'])} has no list of data")
    elif type(size) is not int or not 0 <= size <= len(rest):
        raise Refused("bad_request", f"the input {quoted(given['name'])} has not the bytes that binary_data_size says")
    else:
        data, rest = rest[:size], rest[size:]
    return Tensor(given["name"], str(given.get("datatype")), tuple(given["shape"]), data), rest


def _parameters(given: Any) -> dict[str, Any]:
    found = given.get("parameters")
    return found if isinstance(found, dict) else {}


def _outputs(given: Any) -> dict[str, dict[str, Any]] | None:
    if given is None:
        return None
    if not isinstance(given, list) or not all(isinstance(o, dict) and isinstance(o.get("name"), str) for o in given):
        raise Refused("argument", "outputs is expected as a list of objects with a name")
    return {output["name"]: _parameters(output) for output in given}


def output(name: str, rows: np.ndarray | list[list[str]], binary: bool) -> tuple[dict[str, Any], bytes]:
    """An output's JSON, and its bytes if it is binary. rows: float32 [N,...], or texts [N,K]."""
    if isinstance(rows, np.ndarray):
        said: dict[str, Any] = {"name": name, "datatype": FLOATS, "shape": list(rows.shape)}
        values: list[Any] = [] if binary else rows.ravel().tolist()
        packed = rows.astype("<f4", copy=False).tobytes() if binary else b""
    else:
        said = {"name": name, "datatype": BYTES, "shape": [len(rows), len(rows[0])]}
        values = [text for row in rows for text in row]
        packed = b"".join(struct.pack("<I", len(text)) + text for text in map(str.encode, values))
    if not binary:
        return {**said, "data": values}, b""
    return {**said, "parameters": {"binary_data_size": len(packed)}}, packed


def flat(values: Sequence[Any]) -> np.ndarray:
    """Rows of all pictures, float32 [N,K]."""
    return np.stack(values).astype(np.float32, copy=False)
