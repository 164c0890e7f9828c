"""Protobuf's wire format, read by a table of the fields that are wanted, and never more than the file is worth.

Owns the bytes of messages and nothing of what they mean. A table says of each field what it is called and how it is read;
what is not in it is skipped, and a message inside a message is read only where the table has one, so that a file decides
neither how deep the reader goes nor how much it makes of a byte. Texts and numbers are counted, arrays stay where they lie.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ..errors import ModelFileError

MAX_FIELDS = 1 << 17  # of a file, numbers in lists counted one by one: the largest graph of the family has some 20,000
VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
INT, FLOAT, DOUBLE, TEXT, BYTES = "int", "float", "double", "text", "bytes"
_NUMBERS = {FLOAT: (FIXED32, struct.Struct("<f")), DOUBLE: (FIXED64, struct.Struct("<d"))}
_ALIEN = "the file is damaged, or none of this kind"

Table = Mapping[int, "Field"]


class Field(NamedTuple):
    """What a field is called, how its value is read, and whether there may be many of them."""

    name: str
    kind: str | Table
    many: bool = False


class Budget:
    """How many fields may still be read."""

    def __init__(self, left: int = MAX_FIELDS) -> None:
        self.left = left

    def spend(self, count: int) -> None:
        """Count them. Raises `ModelFileError`."""
        self.left -= count
        if self.left < 0:
            raise ModelFileError(f"it has more than {MAX_FIELDS} fields: no graph of an LCNet has")


def read(data: bytes | memoryview, table: Table, budget: Budget | None = None) -> dict[str, Any]:
    """Read one message: name -> value, a list where there may be many, None where it is not there.

    `bytes` are views of `data`. Of a value that is there twice the last counts, as in every reader of protobuf; a message
    there twice is refused, as readers differ. Raises `ModelFileError`.
    """
    budget = budget or Budget()
    out: dict[str, Any] = {field.name: [] if field.many else None for field in table.values()}
    for number, wire, value in _fields(memoryview(data), budget):
        field = table.get(number)
        if field is not None:
            _take(out, field, wire, value, budget)
    return out


def _take(out: dict[str, Any], field: Field, wire: int, value: Any, budget: Budget) -> None:
    if field.many:
        out[field.name] += _values(field, wire, value, budget)
        return
    if not isinstance(field.kind, str) and out[field.name] is not None:
        raise ModelFileError(f"{field.name} is there twice: {_ALIEN}")
    (out[field.name],) = _values(field, wire, value, budget) or [out[field.name]]


def _values(field: Field, wire: int, value: Any, budget: Budget) -> list[Any]:
    """The values of one field: one, or of numbers as many as are packed in it."""
    kind = field.kind
    if not isinstance(kind, str):
        return [read(_length(field, wire, value), kind, budget)]
    if kind in (TEXT, BYTES):
        found = _length(field, wire, value)
        return [found if kind == BYTES else _text(field, found)]
    if wire == LENGTH and field.many:
        return _packed(kind, value, budget)
    if kind == INT:
        return [_signed(value)] if wire == VARINT else _odd(field, wire)
    expected, form = _NUMBERS[kind]
    return [form.unpack(value)[0]] if wire == expected else _odd(field, wire)


def _odd(field: Field, wire: int) -> Any:
    raise ModelFileError(f"{field.name} is of wire type {wire}: {_ALIEN}")


def _length(field: Field, wire: int, value: Any) -> memoryview:
    found: memoryview = value if wire == LENGTH else _odd(field, wire)
    return found


def _text(field: Field, value: memoryview) -> str:
    try:
        return str(value, "utf-8")
    except UnicodeDecodeError:
        raise ModelFileError(f"{field.name} is no UTF-8: {_ALIEN}") from None


def _packed(kind: str, value: memoryview, budget: Budget) -> list[Any]:
    if kind == INT:
        out, at = [], 0
        while at < len(value):
            number, at = _varint(value, at)
            out.append(_signed(number))
            budget.spend(1)
        return out
    form = _NUMBERS[kind][1]
    if len(value) % form.size:
        raise ModelFileError(f"a list of numbers has {len(value)} bytes: {_ALIEN}")
    budget.spend(len(value) // form.size)
    return [number for (number,) in form.iter_unpack(value)]


def _fields(data: memoryview, budget: Budget) -> Iterator[tuple[int, int, Any]]:
    """Every field as (number, wire type, value): a number, or a view of its bytes."""
    at = 0
    while at < len(data):
        budget.spend(1)
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        if number == 0:
            raise ModelFileError(f"a field has the number 0: {_ALIEN}")
        if wire == VARINT:
            value, at = _varint(data, at)
            yield number, wire, value
            continue
        size, at = _size(data, at, wire)
        if size > len(data) - at:
            raise ModelFileError(f"a field has {size} bytes, and {len(data) - at} are left: the file is damaged or cut short")
        yield number, wire, data[at : at + size]
        at += size


def _size(data: memoryview, at: int, wire: int) -> tuple[int, int]:
    if wire == LENGTH:
        return _varint(data, at)
    if wire not in (FIXED64, FIXED32):
        raise ModelFileError(f"a field is of wire type {wire}: {_ALIEN}")
    return (8 if wire == FIXED64 else 4), at


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """A number of up to 64 bits, seven in a byte, the low ones first; and where it ends."""
    value = 0
    for i, byte in enumerate(data[at : at + 10]):
        value |= (byte & 127) << 7 * i
        if byte < 128:
            if value >> 64:
                break
            return value, at + i + 1
    raise ModelFileError("a number has more than 64 bits, or no end: the file is damaged or cut short")


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value
