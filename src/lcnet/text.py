"""What a message may contain: names, values and reasons that came from outside, made short, printable and one line.

Whatever a file, a model, a server or another library says goes through here before it reaches a terminal or a file of text.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Any

SHORT = 80  # characters of a value that a message quotes


# What UTF-8 cannot write, or a text array of numpy cannot end with; and backslashes that would read like their escapes.
_ODD = re.compile("[\0\ud800-\udfff]" r"|\\(?=x[0-9a-f]{2}|ud[89a-f][0-9a-f]{2})")


def shown(source: Any) -> str:
    r"""The name of a source as text that every format can write, and that no other name has.

    Bytes that are no UTF-8, and NUL, appear as `\xNN`, other halves of a UTF-16 pair as `\udNNN`, and a backslash before
    what looks like one of these as `\x5c`.
    """
    name = os.fsdecode(source) if isinstance(source, (str, bytes, os.PathLike)) else str(source)
    return _ODD.sub(lambda match: _escape(ord(match[0])), name)


def _escape(code: int) -> str:
    if 0xDC80 <= code <= 0xDCFF:  # a byte, as Python keeps it in the name of a file
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}"


def one_line(text: str) -> str:
    """Text as one line without control characters, which a hostile name or label could send to a terminal.

    Escaped are also the characters that turn the direction of writing, and halves of a UTF-16 pair.
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def lines(text: str) -> str:
    """The same of text that has several lines."""
    return "\n".join(map(one_line, text.split("\n")))


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
