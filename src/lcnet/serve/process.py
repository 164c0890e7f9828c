"""What a server asks of the system for its own process: few arenas of memory, many open files, free memory given back.

glibc gives each thread an arena of its own and keeps in it what was freed; with pictures of all sizes that grows for hours.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import signal
import sys
from contextlib import suppress
from importlib import import_module
from time import monotonic
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .service import Service

ARENAS = 2
IDLE = 1.0  # seconds without a request after which memory is given back
BUSY = 5.0  # seconds after which it is given back although there is no pause
FILES = 65_536
SWITCH = 0.0005  # seconds
GARBAGE = 10_000  # objects that are made before it is looked which of them are of no use
HANGUP = getattr(signal, "SIGHUP", None)  # which not every system has
_M_ARENA_MAX = -8  # malloc.h


def _libc(name: str) -> Any:
    """A function of glibc's; None elsewhere."""
    try:
        return getattr(ctypes.CDLL(None), name, None)
    except (OSError, TypeError):
        return None


def frugal() -> None:
    """Few arenas, one thread of numpy's own, many open files: before numpy is imported and threads start."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the server multiplies no matrices with it
    mallopt = _libc("mallopt")
    if mallopt:
        mallopt(_M_ARENA_MAX, ARENAS)
    with suppress(ImportError, OSError, ValueError):
        resource = import_module("resource")
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, FILES) if hard >= 0 else FILES, hard))


def responsive() -> None:
    """Let the event loop be asked before the threads that work; when all that stays is loaded.

    The interpreter lets a thread go on for 5 ms while another waits, which is more than most requests take. What is there for
    good is not looked through for garbage again and again.
    """
    sys.setswitchinterval(SWITCH)
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE)


class Trim:
    """Gives free memory back: in a pause after requests, now and then without one, and after a model was replaced."""

    def __init__(self, service: Service) -> None:
        self._service, self._trim = service, _libc("malloc_trim")
        self._seen, self._last, self._changed = (0, 0), monotonic(), monotonic()

    def tick(self) -> None:
        """Look whether it is time, from the event loop."""
        now, seen = monotonic(), (self._service.served, self._service.swaps)
        swapped = seen[1] != self._seen[1]
        if seen != self._seen:
            self._seen, self._changed = seen, now
        due = now - self._changed >= IDLE or now - self._last >= BUSY
        if self._trim and (swapped or (due and self._last < self._changed)):
            self._last = now
            asyncio.get_running_loop().run_in_executor(None, self._trim, 0)  # up to 20 ms, without the interpreter's lock
