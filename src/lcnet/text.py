"""What a message may contain: names, values and reasons that came from outside, made short, printable and one line.

Whatever a file, a model, a server or another library says goes through here before it reaches a terminal or a file of text.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

SHORT = 80  # characters of a value that a message quotes


def shown(source: Any) -> str:
    """The name of a source as text that every encoding can write; bytes that are no UTF-8 appear as `\\xNN`."""
    name = os.fsdecode(source) if isinstance(source, (str, bytes, os.PathLike)) else str(source)
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def one_line(text: str) -> str:
    """Text as one line without control characters, which a hostile file name could send to a terminal."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def plain(source: Any) -> str:
    """The name of a source as a message can show it: printable, in one line."""
    return one_line(shown(source))


def short(text: str) -> str:
    """Text of at most `SHORT` characters, cut with an ellipsis."""
    return text if len(text) <= SHORT else text[: SHORT - 3] + "..."


def quoted(text: object) -> str:
    """Short printable ASCII of what a hostile file says."""
    return short(ascii(str(text)[: SHORT + 1])[1:-1])


def reason(error: BaseException) -> str:
    """What is wrong, in one line, without the name that an `OSError` repeats."""
    if isinstance(error, FileNotFoundError):
        return "there is no such file: check the path"
    said = getattr(error, "strerror", None) or str(error).strip().partition("\n")[0]
    return str(said or type(error).__name__)


def suggest(name: str, known: Sequence[str]) -> str:
    """Return `; did you mean 'a' or 'b'?` for the known names nearest to `name`, or an empty string."""
    import difflib

    near = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(repr(n) for n in near)}?" if near else ""
