"""How Ctrl-C and SIGTERM end a command: in one line, with the exit codes by which a shell knows them.

Owns the handlers of a process that is `lcnet`; as a library lcnet touches no signal. Imports next to nothing: it is there
before everything else, whose import may be interrupted.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from . import system

AGAIN = 0.01  # seconds after which a signal comes again that fell where Python raises nothing


class Terminated(KeyboardInterrupt):
    """SIGTERM: whatever puts things in order after Ctrl-C does so after this too."""


_asked: list[KeyboardInterrupt] = []  # what the signals so far have raised
_unbroken: list[bool] = []  # something for each write that is under way


def asked() -> KeyboardInterrupt | None:
    """What the first signal raised. An import that it fell into may have made another exception of it."""
    return _asked[0] if _asked else None


def code(stop: KeyboardInterrupt) -> int:
    """The exit code: 128 and the signal's number."""
    return 128 + (signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT)


def raised_by(number: int) -> KeyboardInterrupt:
    """What a signal raises."""
    return Terminated() if number == signal.SIGTERM else KeyboardInterrupt()


def raises(number: int) -> bool:
    """Whether a signal raises what it should, by Python's handler or the one of `raised`, and no other program's is there."""
    return signal.getsignal(number) in (signal.default_int_handler, _raise)


def at_once() -> None:
    """Let a signal end this process on the spot, as long as nothing is under way that would have to be put in order.

    An exception would be a traceback here: from an import, or from Python's own end. A signal that is ignored, as by `nohup`
    or `&`, or that has another handler, stays so.
    """
    system.in_children(_as_python_does)
    sys.unraisablehook = _unraisable
    _replace({signal.default_int_handler, signal.SIG_DFL}, _end)


@contextmanager
def raised() -> Iterator[None]:
    """Meanwhile let signals raise `KeyboardInterrupt` and `Terminated`, in a process that has called `at_once`."""
    _replace({_end}, _raise)
    try:
        yield
    finally:
        _replace({_raise}, _end)


@contextmanager
def unbroken() -> Iterator[None]:
    """Meanwhile a signal waits, and comes again right after: what is written is not written twice for one that fell into it."""
    _unbroken.append(True)
    try:
        yield
    finally:
        _unbroken.pop()


def _replace(before: set[Any], handler: Any) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) in before:
            signal.signal(number, handler)


def _end(number: int, _: object) -> None:
    with suppress(OSError):
        os.write(2, b"lcnet: stopped\n")
    os._exit(128 + number)


def _raise(number: int, _: object) -> None:
    if _unbroken:
        _again(number)
        return
    _asked.append(raised_by(number))
    raise _asked[-1]


def _as_python_does() -> None:
    """A worker is not the command: it says nothing."""
    for number, default in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL)):
        if signal.getsignal(number) in (_end, _raise):
            signal.signal(number, default)


def _unraisable(told: Any) -> None:
    """What is raised in a `__del__` or a callback goes no further: a signal must, and without a traceback."""
    if not isinstance(told.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(told)
        return
    _again(signal.SIGTERM if isinstance(told.exc_value, Terminated) else signal.SIGINT)


def _again(number: int) -> None:
    from threading import Timer

    Timer(AGAIN, system.interrupt, [number]).start()
