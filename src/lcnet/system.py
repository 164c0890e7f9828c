"""What systems do differently: locks, signals, forks, mapped files, pipes, processors. A leaf that imports next to nothing.

POSIX is what lcnet is written for; each function says what Windows does in its place. No other module asks which system
this is, or names what only one of them has.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

WINDOWS = sys.platform == "win32"
SIGPIPE = int(getattr(signal, "SIGPIPE", 13))  # where there is none, the number that it has elsewhere

_NEITHER = 5.0  # seconds for which a file in use is waited for: a scanner looks at each new one
_INVALID = 22  # Windows' number for a pipe whose reader has gone, besides the usual one
_LOCKED = 1 << 62  # the byte that a lock of Windows covers: locks forbid reading there, and no file is as long


def lock(descriptor: int) -> None:
    """Lock an open file or folder for this process until it is closed, however the process ends.

    Raises `BlockingIOError` if another process has it, `OSError` on a disk that knows no locks.
    """
    if sys.platform != "win32":
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return
    import msvcrt

    before = os.lseek(descriptor, 0, os.SEEK_CUR)
    os.lseek(descriptor, _LOCKED, os.SEEK_SET)
    try:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    except PermissionError as error:
        raise BlockingIOError(error.errno, error.strerror) from None
    finally:
        os.lseek(descriptor, before, os.SEEK_SET)


def files_at_once(count: int) -> None:
    """Let this process have so many files open, as far as it may without asking anybody; on Windows there is no such bound."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def opened(path: str | os.PathLike[str], new: bool = False) -> int:
    """Open a file to read and write, creating it if need be, or anew; it may be renamed, replaced and removed meanwhile."""
    if sys.platform != "win32":
        return os.open(path, os.O_RDWR | os.O_CREAT | (os.O_TRUNC if new else 0), 0o666)
    import _winapi
    import msvcrt

    shared, always, anew, normal = 1 | 2 | 4, 4, 2, 0x80
    access = _winapi.GENERIC_READ | _winapi.GENERIC_WRITE
    handle = _winapi.CreateFile(os.fspath(path), access, shared, 0, anew if new else always, normal, 0)
    return msvcrt.open_osfhandle(handle, os.O_BINARY | os.O_NOINHERIT)


def to_hold(path: Path) -> int | None:
    """Open a file or a folder to lock it; None for a folder of Windows, which cannot be opened."""
    return None if WINDOWS and path.is_dir() else os.open(path, os.O_RDONLY)


def replace(source: Path, target: Path) -> None:
    """Rename a file over another, or onto a free name. On Windows that waits for whoever has one of them open."""
    until = time.monotonic() + _NEITHER
    while True:
        try:
            source.replace(target)
        except PermissionError:
            if not WINDOWS or time.monotonic() > until:
                raise
            time.sleep(0.05)
        else:
            return


def contents(path: str | os.PathLike[str]) -> memoryview:
    """All bytes of a file that is not empty, read as they are used. On Windows, where that would keep it, read at once."""
    with open(path, "rb", opener=at_once) as file:
        if WINDOWS:
            return memoryview(file.read())
        import mmap

        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def at_once(path: str, flags: int) -> int:
    """An opener of `open` that does not wait for the writer of a named pipe; Windows has none among its files."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def readable(descriptor: int, seconds: float) -> bool:
    """Whether a pipe has something to read, or its end, within this time. On Windows the reading itself waits, for ever."""
    if WINDOWS:
        return True
    import select

    waiting = select.poll()
    waiting.register(descriptor, select.POLLIN)
    return bool(waiting.poll(1000 * seconds))


def writable(descriptor: int) -> None:
    """Wait until a pipe takes something. On Windows the writing itself waits."""
    if not WINDOWS:
        import select

        select.select([], [descriptor], [])


def reader_gone(error: OSError) -> bool:
    """Whether that is why writing failed: nobody reads this pipe any more."""
    return isinstance(error, BrokenPipeError) or (WINDOWS and error.errno == _INVALID)


def in_children(then: Callable[[], None]) -> None:
    """Have `then` called in every process that is forked from this one. Windows forks none."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=then)


def interrupt(number: int) -> None:
    """Send a signal to the main thread, from any."""
    if hasattr(signal, "pthread_kill"):
        from threading import main_thread

        signal.pthread_kill(main_thread().ident or 0, number)
    else:
        signal.raise_signal(number)  # Python's handlers run in the main thread


@contextmanager
def deaf(number: int) -> Iterator[None]:
    """Keep a signal from processes that begin meanwhile. Windows cannot."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def processors() -> int:
    """How many processors this process is allowed, or the machine has where that cannot be told."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def on_processors(count: int) -> Iterator[None]:
    """Run on this many processors, the last ones: interrupts and whatever else runs prefer the first. Only Linux can."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[-count:])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def give_way(nice: int) -> None:
    """Let this thread work after the first one, by so much of `nice`, where threads have priorities of their own: Linux."""
    if sys.platform == "linux":
        with suppress(OSError):
            first = os.getpriority(os.PRIO_PROCESS, os.getpid())
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), first + nice)


def processor_name() -> str:
    """What this processor is called, with its family and model where the system tells."""
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            fields = dict(line.split(":", 1) for line in file.read().split("\n\n")[0].splitlines() if ":" in line)
    except OSError:
        import platform

        return platform.processor() or platform.machine()
    facts = {key.strip(): value.strip() for key, value in fields.items()}
    return f"{facts.get('model name', '?')} (family {facts.get('cpu family')}, model {facts.get('model')})"
