"""Whether a picture is the one that it was: the size and the time of its file, or of the archive that it is in."""

from __future__ import annotations

import os
import stat
from typing import Any, TypeAlias

from .address import is_address
from .found import Found

Stamp: TypeAlias = tuple[int, int]  # bytes, and when it was last changed: nanoseconds since 1970


def place(source: Any) -> str | None:
    """The path of the file that a source is, or is in; None of what comes from elsewhere."""
    if isinstance(source, Found):
        return None if is_address(source.file) else source.file
    return os.fsdecode(source) if isinstance(source, (str, os.PathLike)) else None


def stamp_of(source: Any) -> Stamp | None:
    """The stamp of a source's file, None of what has none: pipes, standard input, what is not there."""
    if isinstance(source, Found) and source.stamp is not None:
        return source.stamp
    path = place(source)
    try:
        status = os.stat(path) if path else None  # noqa: PTH116
    except (OSError, ValueError):
        return None
    return (status.st_size, status.st_mtime_ns) if status and stat.S_ISREG(status.st_mode) else None


def is_gone(source: Any) -> bool:
    """Whether there is nothing any more where a source was."""
    path = place(source)
    return path is not None and "\0" not in path and not os.path.lexists(path)
