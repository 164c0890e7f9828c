"""The exit codes, the same of every command, and the exceptions that end a command with one."""

from __future__ import annotations

import signal

import click

from ..errors import InputError
from ..system import SIGPIPE

DONE = 0
INCOMPLETE = 1
USAGE = 2
REFUSED = 3
FAILED = 4
INTERRUPTED = 128 + signal.SIGINT
READER_GONE = 128 + SIGPIPE
TERMINATED = 128 + signal.SIGTERM

MEANINGS = {
    DONE: "done; also where there was nothing to do",
    INCOMPLETE: "done, but not all of the input was good: pictures that could not be read, or what `check-data` finds",
    USAGE: "the command line cannot be meant: an unknown command or option, or options that contradict each other",
    REFUSED: "what was made is not good enough and was not kept: the gates of `quantize` and `export`",
    FAILED: "it could not run: a file that is missing, damaged or in the way, a full disk, a package that is not installed",
    INTERRUPTED: "stopped by Ctrl-C",
    READER_GONE: "the program that read the output has gone, as of `lcnet classify ... | head`",
    TERMINATED: "stopped by SIGTERM",
}


class Misuse(InputError):
    """Arguments and options that cannot be meant together, or a value that no input could make right."""


class Failure(click.ClickException):
    """What ends a command with one line: it could not run, or by another code."""

    def __init__(self, message: str, exit_code: int = FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]  # of the class for click
