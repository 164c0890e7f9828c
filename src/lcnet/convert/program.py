"""Paddle's two formats of a graph, `inference.json` (PIR) and `inference.pdmodel` (ProgramDesc), as one list of operators.

Owns the formats: what an operator is called and computes is `operators`'. Inputs come in an order that is ours, by slots in
the old format and by their places in the new one.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterator, Mapping
from typing import Any, NamedTuple

from ..errors import ModelFileError
from ..text import quoted
from .pdiparams import TENSOR, Declared
from .wire import DOUBLE, FLOAT, INT, TEXT, Field, read

MAX_JSON = 4 << 20  # bytes; real ones have 100 kB, and Python needs fifty for each
MAX_PROGRAM = 32 << 20  # bytes; real ones have 600 kB, most of it where in Python each operator was called
_FORM = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError)


class Operator(NamedTuple):
    """One operator as the file has it: inputs by slot (ProgramDesc) or by number (PIR)."""

    kind: str
    inputs: Mapping[str | int, str]
    outputs: Mapping[str | int, str]
    attributes: Mapping[str, Any]


class Program(NamedTuple):
    """A graph in Paddle's words."""

    format: str
    operators: list[Operator]
    parameters: dict[str, Declared]
    shapes: dict[str, tuple[int, ...]]  # of values, where they are stated: of the input


# PIR


def read_pir(data: bytes) -> Program:
    """Read `inference.json`. Raises `ModelFileError`."""
    if len(data) > MAX_JSON:
        raise ModelFileError(f"it has {len(data)} bytes: no graph of an LCNet has more than {MAX_JSON}")
    try:
        root = json.loads(data)
        if root["base_code"]["magic"] != "pir":
            raise ValueError("its magic is another")
        (region,) = root["program"]["regions"]
        (block,) = region["blocks"]
        return _pir(block["ops"], root["base_code"]["version"])
    except _FORM as error:
        raise ModelFileError(f"it is no graph as Paddle writes it in JSON (PIR): {quoted(error)}") from None


def _pir(ops: list[dict[str, Any]], version: Any) -> Program:
    program = Program(f"paddle pir {int(version)}", [], {}, {})
    names: dict[int, str] = {}
    for op in ops:
        outputs = op["O"] if isinstance(op["O"], list) else [op["O"]]
        if op["#"] == "p":
            name = _text(op["A"][3])
            if name in program.parameters:
                raise ValueError(f"the parameter {name} is there twice")
            names[_whole(outputs[0]["%"])] = name
            program.parameters[name] = Declared(
                tuple(map(_whole, outputs[0]["TT"]["D"][1])), _PIR_TYPES.get(_pir_type(outputs[0]))
            )
        else:
            program.operators.append(_pir_operator(op, outputs, names))
    return program


def _pir_operator(op: dict[str, Any], outputs: list[dict[str, Any]], names: Mapping[int, str]) -> Operator:
    def name(value: dict[str, Any]) -> str:  # 0: an input that is left out
        number = _whole(value["%"])
        return names.get(number, f"%{number}") if number else ""

    inputs: dict[str | int, str] = {i: name(value) for i, value in enumerate(op["I"])}
    kind = _text(op["#"]).partition(".")[2]
    made: dict[str | int, str] = {i: name(value) for i, value in enumerate(outputs)}
    return Operator(kind, inputs, made, dict(_pir_attributes(op["A"])))


def _pir_attributes(found: list[dict[str, Any]]) -> Iterator[tuple[str, Any]]:
    for entry in found:
        value = entry["AT"].get("D")
        if entry["AT"]["#"].endswith("a_array"):
            value = [item.get("D") for item in value]
        yield _text(entry["N"]), value


def _pir_type(output: dict[str, Any]) -> str:
    return _text(output["TT"]["D"][0]["#"]).partition(".")[2]


_PIR_TYPES = {
    "t_bool": 0,
    "t_i16": 1,
    "t_i32": 2,
    "t_i64": 3,
    "t_f16": 4,
    "t_f32": 5,
    "t_f64": 6,
    "t_ui8": 20,
    "t_i8": 21,
    "t_bf16": 22,
}


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} where a text is expected")
    return value


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise TypeError(f"{type(value).__name__} where a whole number is expected")
    return value


# ProgramDesc

_ATTRIBUTE = {
    1: Field("name", TEXT),
    2: Field("type", INT),
    3: Field("i", INT),
    4: Field("f", FLOAT),
    5: Field("s", TEXT),
    6: Field("ints", INT, many=True),
    7: Field("floats", FLOAT, many=True),
    10: Field("b", INT),
    13: Field("l", INT),
    15: Field("longs", INT, many=True),
    19: Field("float64", DOUBLE),
}
_VALUES = tuple(field.name for number, field in _ATTRIBUTE.items() if number > 2)
_SLOT = {1: Field("parameter", TEXT), 2: Field("arguments", TEXT, many=True)}
_OPERATOR = {
    1: Field("inputs", _SLOT, many=True),
    2: Field("outputs", _SLOT, many=True),
    3: Field("type", TEXT),
    4: Field("attributes", _ATTRIBUTE, many=True),
}
_VARIABLE = {
    1: Field("name", TEXT),
    2: Field("type", {1: Field("type", INT), 3: Field("lod_tensor", {1: Field("tensor", TENSOR)})}),
    3: Field("persistable", INT),
}
PROGRAM = {1: Field("blocks", {3: Field("vars", _VARIABLE, many=True), 4: Field("ops", _OPERATOR, many=True)}, many=True)}
LOD_TENSOR = 7  # the type of parameters; the holders of inputs and outputs are persistable too


def read_program(data: bytes) -> Program:
    """Read `inference.pdmodel`. Raises `ModelFileError`."""
    if len(data) > MAX_PROGRAM:
        raise ModelFileError(f"it has {len(data)} bytes: no graph of an LCNet has more than {MAX_PROGRAM}")
    blocks = read(data, PROGRAM)["blocks"]
    if len(blocks) != 1 or not blocks[0]["ops"]:
        raise ModelFileError(f"it has {len(blocks)} blocks of operators, expected one: this is no LCNet's inference.pdmodel")
    program = Program("paddle ProgramDesc", [], {}, {})
    for variable in blocks[0]["vars"]:
        _declare(program, variable)
    names: dict[str, str] = {}
    made: set[str] = set()
    program.operators.extend(_operator(op, program.parameters, names, made) for op in blocks[0]["ops"])
    return program


def _declare(program: Program, variable: dict[str, Any]) -> None:
    name, kind = variable["name"] or "", variable["type"] or {}
    tensor = (kind.get("lod_tensor") or {}).get("tensor")
    if kind.get("type") != LOD_TENSOR or tensor is None:
        return
    if not variable["persistable"]:
        program.shapes[name] = tuple(tensor["dims"])
    elif name in program.parameters:
        raise ModelFileError(f"the parameter {quoted(name)} is there twice: the graph is damaged")
    else:
        program.parameters[name] = Declared(tuple(tensor["dims"]), tensor["data_type"])


def _operator(op: dict[str, Any], parameters: Container[str], names: dict[str, str], made: set[str]) -> Operator:
    """An operator whose outputs have names of their own: one that is written again gets another name from here on."""
    inputs: dict[str | int, str] = {
        slot["parameter"] or "": names.get(slot["arguments"][0], slot["arguments"][0])
        for slot in op["inputs"]
        if slot["arguments"]
    }
    outputs: dict[str | int, str] = {}
    for slot in op["outputs"]:
        for name in slot["arguments"][:1]:
            if name in parameters:  # statistics that a training would go on with
                continue
            fresh = name if name not in made else f"{name}@{len(made)}"
            made.add(fresh)
            names[name] = fresh
            outputs[slot["parameter"] or ""] = fresh
    return Operator(op["type"] or "", inputs, outputs, {a["name"] or "": _value(a) for a in op["attributes"]})


def _value(attribute: dict[str, Any]) -> Any:
    return next((attribute[name] for name in _VALUES if attribute[name] not in (None, [])), None)
