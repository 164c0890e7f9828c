"""Pickles read as data: opcodes become plain values, and nothing that a pickle names is ever imported or called.

Owns a small pickle machine (protocols 0 to 5) over the standard library's opcode parser. A name is a `Global`, an
object is a `Placeholder` that remembers its class and drops its state, and a call is looked up in the caller's table; a
call that is not there is refused by name. It never recurses and never copies what it reads, so its memory is linear in
the file's size.
"""

from __future__ import annotations

import pickletools
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from ..errors import ModelFileError
from ..text import quoted

MAX_STEPS = 1 << 22  # opcodes; a training checkpoint of the family has about 20,000
DAMAGED = (ArithmeticError, AttributeError, LookupError, MemoryError, TypeError, ValueError, struct.error)

Call = Callable[..., Any]


@dataclass(frozen=True)
class Global:
    """A class or function that the pickle names, such as `torch.FloatStorage`: the name, not the thing."""

    path: str


@dataclass(frozen=True)
class Placeholder:
    """An object that is not rebuilt: what its class is called, and nothing of its state."""

    path: str


NAMESPACES = ("argparse.Namespace", "types.SimpleNamespace")


class Record:
    """A value that takes the state which the pickle gives it; any other object drops its state."""

    def build(self, state: Any) -> None:
        """Take the state. Raises one of `DAMAGED` if it is not of the expected form."""
        raise NotImplementedError


class Namespace(Record):
    """An argparse.Namespace as plain data: what was set in it. It shares the pickle's own dictionary, and copies none."""

    def __init__(self) -> None:
        self.state: dict[Any, Any] = {}

    def build(self, state: Any) -> None:
        """State: a dictionary."""
        if not isinstance(state, dict):
            raise TypeError("a dictionary is needed")
        self.state = state


def interpret(stream: BinaryIO, calls: Mapping[str, Call], persistent: Call | None = None) -> Any:
    """Read one pickle from `stream`, which is left behind its end, into plain values.

    `calls`: path of a callable -> function that does its harmless equivalent. `persistent`: what a persistent id stands
    for. Raises `ModelFileError` that names what was refused, or says that the pickle is damaged.
    """
    machine = _Machine(calls, persistent)
    try:
        for step, (opcode, arg, _) in enumerate(pickletools.genops(stream)):
            if step == MAX_STEPS:
                raise ModelFileError(f"the pickle has more than {MAX_STEPS} steps: no checkpoint of an LCNet has")
            machine.step(opcode.name, arg)
        return machine.stack.pop()
    except DAMAGED as error:
        reason = quoted(str(error) or type(error).__name__)
        raise ModelFileError(f"the pickle is damaged or cut short ({reason}): get the file again") from None


def describe(value: Any) -> str:
    """Say what `value` is, for an error message, without showing (or walking through) its contents."""
    if isinstance(value, (Global, Placeholder)):
        return f"{'the name' if isinstance(value, Global) else 'an object of class'} {quoted(value.path)}"
    return f"of type {type(value).__name__}"


def _dict_key(key: Any) -> Any:
    # Tuples that share their members take exponential time to hash, and a long integer is hashed anew each time.
    good = isinstance(key, (str, bytes, float, type(None))) or (isinstance(key, int) and key.bit_length() < 64)
    if not good:
        raise ModelFileError(f"the pickle has a dictionary key {describe(key)}: texts and numbers are expected")
    return key


def _path(module: Any, name: Any) -> str:
    if not (isinstance(module, str) and isinstance(name, str)):
        raise ModelFileError("the pickle names something by a value that is no text")
    return f"{module}.{name}"


class _Machine:
    """The pickle machine's stack, marks and memo. `op_<opcode>` methods take the opcode's argument."""

    def __init__(self, calls: Mapping[str, Call], persistent: Call | None) -> None:
        self.calls = calls
        self.persistent = persistent
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def step(self, name: str, arg: Any) -> None:
        if name in _PUSHES:
            self.stack.append(arg)
        elif name in _MAKES:
            self.stack.append(_MAKES[name]())
        elif name in _OPERATIONS:
            _OPERATIONS[name](self, arg)
        elif name not in ("PROTO", "FRAME", "STOP"):
            raise ModelFileError(f"the pickle uses {name}, which no checkpoint needs: refused")

    def since_mark(self) -> list[Any]:
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def call(self, function: Any, args: Any) -> None:
        if not isinstance(function, Global):
            raise ModelFileError(f"the pickle calls something {describe(function)}: refused")
        if function.path not in self.calls:
            raise ModelFileError(
                f"the pickle calls {quoted(function.path)}: refused, and nothing was executed. If you"
                " trust it, load it where it was made and save its state dict alone"
            )
        try:
            self.stack.append(self.calls[function.path](*args))
        except DAMAGED:
            raise ModelFileError(f"the pickle calls {quoted(function.path)} with arguments that do not fit") from None

    def placeholder(self, cls: Any) -> None:
        if not isinstance(cls, Global):
            raise ModelFileError(f"the pickle makes an object of something {describe(cls)}: refused")
        self.stack.append(Namespace() if cls.path in NAMESPACES else Placeholder(cls.path))

    def extend(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, Placeholder):
            _a(list, target).extend(items)

    def update(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, Placeholder):
            _a(dict, target).update(zip(map(_dict_key, items[::2]), items[1::2], strict=True))

    def op_mark(self, _: None) -> None:
        self.marks.append(len(self.stack))

    def op_pop(self, _: None) -> None:
        if self.marks and self.marks[-1] == len(self.stack):
            self.marks.pop()
        else:
            self.stack.pop()

    def op_pop_mark(self, _: None) -> None:
        self.since_mark()

    def op_dup(self, _: None) -> None:
        self.stack.append(self.stack[-1])

    def op_tuple(self, _: None) -> None:
        self.stack.append(tuple(self.since_mark()))

    def op_tuple1(self, _: None) -> None:
        self.stack[-1:] = [(self.stack[-1],)]

    def op_tuple2(self, _: None) -> None:
        self.stack[-2:] = [(self.stack[-2], self.stack[-1])]

    def op_tuple3(self, _: None) -> None:
        self.stack[-3:] = [(self.stack[-3], self.stack[-2], self.stack[-1])]

    def op_list(self, _: None) -> None:
        self.stack.append(self.since_mark())

    def op_dict(self, _: None) -> None:
        items = self.since_mark()
        self.stack.append({})
        self.update(items)

    def op_append(self, _: None) -> None:
        self.extend([self.stack.pop()])

    def op_appends(self, _: None) -> None:
        self.extend(self.since_mark())

    def op_setitem(self, _: None) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self.update([key, value])

    def op_setitems(self, _: None) -> None:
        self.update(self.since_mark())

    def op_put(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    def op_memoize(self, _: None) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def op_get(self, index: int) -> None:
        self.stack.append(self.memo[index])

    def op_global(self, path: str) -> None:
        self.stack.append(Global(_path(*path.split(" ", 1))))

    def op_stack_global(self, _: None) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self.stack.append(Global(_path(module, name)))

    def op_reduce(self, _: None) -> None:
        args, function = self.stack.pop(), self.stack.pop()
        self.call(function, _a(tuple, args))

    def op_inst(self, path: str) -> None:
        self.call(Global(_path(*path.split(" ", 1))), self.since_mark())

    def op_obj(self, _: None) -> None:
        function, *args = self.since_mark()
        self.call(function, args)

    def op_newobj(self, _: None) -> None:
        _, cls = self.stack.pop(), self.stack.pop()
        self.placeholder(cls)

    def op_newobj_ex(self, _: None) -> None:
        _, _, cls = self.stack.pop(), self.stack.pop(), self.stack.pop()
        self.placeholder(cls)

    def op_build(self, _: None) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, Record):
            target.build(state)
        elif not isinstance(target, (dict, Placeholder)):
            raise ModelFileError(f"the pickle sets the state of something {describe(target)}: refused")

    def op_binpersid(self, _: None) -> None:
        if self.persistent is None:
            raise ModelFileError("the pickle has a persistent id, which only torch checkpoints have: refused")
        self.stack.append(self.persistent(self.stack.pop()))


def _a(kind: type, value: Any) -> Any:
    if not isinstance(value, kind):
        raise ModelFileError(f"the pickle fills something {describe(value)} where a {kind.__name__} is expected")
    return value


_PUSHES = frozenset(
    (
        "INT",
        "BININT",
        "BININT1",
        "BININT2",
        "LONG",
        "LONG1",
        "LONG4",
        "FLOAT",
        "BINFLOAT",
        "STRING",
        "BINSTRING",
        "SHORT_BINSTRING",
        "UNICODE",
        "BINUNICODE",
        "SHORT_BINUNICODE",
        "BINUNICODE8",
        "BINBYTES",
        "SHORT_BINBYTES",
        "BINBYTES8",
        "BYTEARRAY8",
    )
)
_MAKES: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_SET": list,  # sets are kept as lists: hashing their members is never needed
}
_OPERATIONS: dict[str, Callable[[_Machine, Any], None]] = {
    name.removeprefix("op_").upper(): method for name, method in vars(_Machine).items() if name.startswith("op_")
} | {
    "BINPUT": _Machine.op_put,
    "LONG_BINPUT": _Machine.op_put,
    "BINGET": _Machine.op_get,
    "LONG_BINGET": _Machine.op_get,
    "ADDITEMS": _Machine.op_appends,
    "FROZENSET": _Machine.op_list,
}
