"""Standard output and error of a process that is `lcnet`: what becomes of a command whose words nobody can take.

Output that cannot be written ends the command: with one line and exit code 4, or, if the reader of a pipe has gone, silently
and with 141, as it ends other programs. Messages that cannot be written are lost; the exit code still tells.
"""

from __future__ import annotations

import io
import os
import sys
from typing import Any, TextIO

import click

from .. import system
from ..stop import unbroken
from ..text import reason
from .codes import READER_GONE, Failure


class _Raw(io.FileIO):
    """Waits for a pipe that takes nothing at the moment. After the first failure nothing more is written."""

    failed = False

    def write(self, data: Any) -> int:
        """Write some of the bytes."""
        try:
            while not self.failed:
                with unbroken():
                    count = super().write(data)
                if count is not None:
                    return count
                system.writable(self.fileno())
        except OSError as error:
            self.failed = True
            self.fail(error)
        return len(data)

    def fail(self, error: OSError) -> None:
        """Do nothing."""


class _Output(_Raw):
    def fail(self, error: OSError) -> None:
        """End the command."""
        if system.reader_gone(error):
            raise click.exceptions.Exit(READER_GONE)
        raise Failure(f"standard output cannot be written: {reason(error)}")


def own() -> None:
    """Put streams of these kinds in the places of Python's."""
    _fill_closed()
    sys.stdout = _stream(_Output(1, "w", closefd=False), sys.stdout)
    sys.stderr = _stream(_Raw(2, "w", closefd=False), sys.stderr)


def on_terminal(stream: TextIO | None) -> bool:
    """Whether what is written there is seen at once; of a stream that is closed it is not."""
    return stream is not None and not stream.closed and stream.isatty()


def _fill_closed() -> None:
    """Take the numbers 0, 1 and 2 where they are free: the next file opened would have them, and get what is printed.

    To read, so that writing fails as it should.
    """
    while (number := os.open(os.devnull, os.O_RDONLY)) <= 2:
        pass
    os.close(number)


def _stream(raw: _Raw, python: TextIO | None) -> TextIO:
    settings = {"encoding": "utf-8", "errors": "backslashreplace"}
    if isinstance(python, io.TextIOWrapper):
        settings = {name: getattr(python, name) for name in ("encoding", "errors", "line_buffering", "write_through")}
    return io.TextIOWrapper(io.BufferedWriter(raw), **settings)  # type: ignore[arg-type]
