"""Reading what cannot be sought, pipes and standard input: to the end, once, and never waited on without a bound."""

from __future__ import annotations

import os
import stat
import sys
from io import BytesIO
from typing import BinaryIO

from .. import system
from ..errors import ImageError
from .address import is_address, local

WRITER = 10.0  # seconds until a named pipe has a writer that writes
SILENCE = 60.0  # seconds without a byte from whoever writes
MOST = 256 << 20  # bytes of one picture

_STEP = 1 << 16


def open_file(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a file to read; of a pipe or an address, read all first. Raises `OSError`, and `ImageError` for anything else."""
    if is_address(path):
        from . import remote

        return BytesIO(remote.read(str(path)))
    file = open(local(path), "rb", opener=_at_once)  # noqa: SIM115  # the caller closes it
    if not stat.S_ISFIFO(os.fstat(file.fileno()).st_mode):
        return file
    with file:
        return BytesIO(_drained(file.fileno(), SILENCE if _is_anonymous(path) else WRITER))


def standard_input() -> bytes:
    """Everything that standard input has. Raises `ImageError` if it is a terminal, closed, or silent."""
    stream = getattr(sys.stdin, "buffer", None)
    if stream is None:
        raise ImageError("standard input is closed: pipe a picture into it")
    try:
        number = stream.fileno()
    except OSError:  # something in memory that stands for it
        return bytes(stream.read())
    if os.isatty(number):
        raise ImageError("standard input is a terminal: pipe a picture into it")
    return _drained(number, SILENCE)


def _at_once(path: str, flags: int) -> int:
    mode = os.stat(path).st_mode  # noqa: PTH116
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISFIFO(mode)):
        raise ImageError("it is a device or socket: expected a file or a pipe")  # to open one may already do something
    return system.at_once(path, flags)


def _is_anonymous(path: str | os.PathLike[str]) -> bool:
    """Whether a shell made this pipe, which therefore has had a writer; a named one may wait for its first."""
    return os.path.realpath(path).startswith(("/proc/", "/dev/fd/"))


def _drained(number: int, patience: float) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        if not system.readable(number, patience):
            raise ImageError(f"nothing came through this pipe for {patience:g} seconds: start what writes to it first")
        try:
            part = os.read(number, _STEP)
        except BlockingIOError:
            continue
        if not part:
            return b"".join(parts)
        parts.append(part)
        size += len(part)
        patience = SILENCE
        if size > MOST:
            raise ImageError(f"it has more than {MOST} bytes, the limit for a picture in a pipe")
