"""A comparison in a process of its own, which says nothing by itself: what engines print is lost, what is to be told is sent.

Engines look at the processors once, when they are first used, and some print what they try, as torch.compile does.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection

from .. import system
from ..errors import LcnetError
from ..modelfile import ModelFile
from . import Setting, Timing, compare

Tell = Callable[[str], None]
PATIENCE = 10.0  # seconds for engines to put their threads and workers in order


def compare_apart(
    model: ModelFile, name: str, engines: Sequence[str], setting: Setting, rounds: int, report: Tell, progress: Tell
) -> list[Timing]:
    """Do what `compare` does in another process. progress: is told what is being done at the moment."""
    told = {"report": report, "progress": progress}
    context = get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_compare, args=(sender, model, name, engines, setting, rounds))
    # Ctrl-C goes to all processes of a terminal: one that begins here would end with a traceback.
    with system.deaf(signal.SIGINT), _silent():
        process.start()
    sender.close()
    try:
        while True:
            kind, value = receiver.recv()
            if kind == "rows":
                process.join(PATIENCE)
                return value
            if kind == "error":
                raise value
            told[kind](value)
    except EOFError:
        raise LcnetError("the process that measures has died, by one of the engines: name fewer with --engines") from None
    finally:
        process.kill()
        process.join()


def _compare(sender: Connection, model: ModelFile, name: str, engines: Sequence[str], setting: Setting, rounds: int) -> None:
    try:
        rows = compare(
            model,
            name,
            engines,
            setting,
            rounds,
            report=lambda text: sender.send(("report", text)),
            progress=lambda text: sender.send(("progress", text)),
        )
        sender.send(("rows", rows))
    except Exception as error:
        sender.send(("error", error))


@contextmanager
def _silent() -> Iterator[None]:
    """Let what a process that begins here prints go nowhere, and what the processes do that it starts itself."""
    kept = {stream: os.dup(stream) for stream in (1, 2)}
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        for stream in kept:
            os.dup2(nowhere, stream)
        yield
    finally:
        for stream, descriptor in kept.items():
            os.dup2(descriptor, stream)
            os.close(descriptor)
        os.close(nowhere)
