"""Ctrl-C while training: the step is finished first, so that what is written can be resumed; a second one stops at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any


@contextmanager
def stoppable(alone: bool, note: Callable[[str], None]) -> Iterator[Callable[[], bool]]:
    """Yield a function that says whether Ctrl-C was pressed. Elsewhere than in a lone process's main thread it never says so.

    Of several processes each would stop at another step, and torchrun ends them all anyhow. A handler that a program has
    put there stays.
    """
    pressed = False

    def press(*_: Any) -> None:
        nonlocal pressed
        pressed = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with suppress(RuntimeError):  # the stream may be in the middle of a line
            note("stopping after this step, and after a validation that has begun; Ctrl-C again stops at once")

    main = threading.current_thread() is threading.main_thread()
    if not (alone and main and signal.getsignal(signal.SIGINT) is signal.default_int_handler):
        yield lambda: False
        return
    signal.signal(signal.SIGINT, press)
    try:
        yield lambda: pressed
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
