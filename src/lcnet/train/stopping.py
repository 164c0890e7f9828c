"""Ctrl-C while training: the step is finished first, so that what is written can be resumed; a second one stops at once.

So does SIGTERM where it would raise, as in the command.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from ..stop import raised_by, raises


@contextmanager
def stoppable(alone: bool, note: Callable[[str], None]) -> Iterator[Callable[[], KeyboardInterrupt | None]]:
    """Yield a function that gives what to raise if Ctrl-C was pressed. Elsewhere than in a lone process's main thread: None.

    Of several processes each would stop at another step, and torchrun ends them all anyhow. A handler that a program has
    put there stays.
    """
    pressed: KeyboardInterrupt | None = None

    def press(number: int, _: object) -> None:
        nonlocal pressed
        pressed = raised_by(number)
        restore()
        with suppress(RuntimeError):  # the stream may be in the middle of a line
            note("stopping after this step, and after a validation that has begun; Ctrl-C again stops at once")

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    lone = alone and threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM) if lone and raises(number)}
    for number in before:
        signal.signal(number, press)
    try:
        yield lambda: pressed
    finally:
        restore()
