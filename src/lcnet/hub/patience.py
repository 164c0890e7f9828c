"""A server that answers, but next to nothing, holds nobody for ever: a limit to the time in which too little comes.

huggingface_hub and its HTTP library limit the wait for each byte only, which a byte a minute never exceeds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

WINDOW = 120.0  # seconds
LEAST = 1 << 18  # bytes in them: 17 kbit/s, less than any line on which a download of some MB ever ends
CHUNK = 1 << 15  # bytes that huggingface_hub takes at once, of which we therefore see that they came
LOOK = 0.2  # seconds between two looks, and what it takes longest to see that the work is done

T = TypeVar("T")


class TooSlow(OSError):
    """Too little came in time."""


def patiently(work: Callable[[], T], folder: Path | None = None) -> T:
    """Do what waits for a server, as long as files below `folder`, if there is one, grow fast enough. Raises `TooSlow`.

    The work is in a thread that is left then, and by Ctrl-C: it waits for a socket, and nothing else can end it. It ends
    with the process, or the server; what it still writes is in a folder that is gone, or swept later.
    """
    done: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            done.append(work())
        except BaseException as error:  # raised where it is waited for
            failed.append(error)

    thread = Thread(target=run, name="lcnet download", daemon=True)
    thread.start()
    _wait(thread, folder)
    if failed:
        raise failed[0]
    return done[0]


def _wait(thread: Thread, folder: Path | None) -> None:
    since, before = time.monotonic(), _size(folder)
    while thread.is_alive():
        thread.join(LOOK)
        now, size = time.monotonic(), _size(folder)
        if size - before >= LEAST:
            since, before = now, size
        if now - since >= WINDOW and thread.is_alive():
            came = f"{max(size - before, 0)} bytes" if folder else "no answer"
            raise TooSlow(f"{came} in {WINDOW:g} seconds, which is too slow to wait for")


def _size(folder: Path | None) -> int:
    with suppress(OSError):  # a file that is renamed meanwhile
        return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) if folder else 0
    return 0


@contextmanager
def small_steps() -> Iterator[None]:
    """Meanwhile let huggingface_hub write what comes as it comes, by plain HTTP: else a file of some MB grows once, at last."""
    from huggingface_hub import constants

    module: Any = constants
    values = {"DOWNLOAD_CHUNK_SIZE": CHUNK, "HF_HUB_DISABLE_XET": True}
    before = {name: getattr(module, name) for name in values if hasattr(module, name)}  # which there are differs by version
    try:
        for name in before:
            setattr(module, name, values[name])
        yield
    finally:
        for name, value in before.items():
            setattr(module, name, value)
