"""Values as the text of files: CSV that every reader takes apart alike, and JSON whose text any terminal can show.

Both are exact: what is read back is what was written. Nothing here knows what the values are about.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

# What a spreadsheet may take for the start of a formula, as OWASP's page on CSV injection lists it.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
GUARD = "'"


def csv_text(rows: Iterable[Iterable[Any]]) -> str:
    """CSV by RFC 4180, but rows end in LF. None is an empty cell."""
    import csv

    lines = _Lines()
    # With this end of line every Python quotes cells with a CR or an LF; before 3.13 only those with a character of it.
    csv.writer(lines, lineterminator="\r\n").writerows(rows)
    return "".join(line[:-2] + "\n" for line in lines)


class _Lines(list[str]):
    """A file for `csv.writer`, which writes once a row."""

    write = list.append


def guarded(text: str) -> str:
    """A cell that no spreadsheet takes for a formula: with a `'` in front if it could be, or begins with one."""
    return GUARD + text if text.startswith((*FORMULA, GUARD)) else text


def unguarded(text: str) -> str:
    """What `guarded` was given."""
    return text.removeprefix(GUARD)


def nine(number: float) -> float:
    """The shortest number that is the same float32."""
    return float(f"{number:.9g}")


_ENCODER = json.JSONEncoder(ensure_ascii=False)  # `dumps` makes another each time


def json_text(value: Any, indent: int | None = None) -> str:
    """JSON in which everything that is not printable is escaped, as JSON escapes it: the values are the same."""
    text = _ENCODER.encode(value) if indent is None else json.dumps(value, ensure_ascii=False, indent=indent)
    return text if text.isprintable() else "".join(c if c.isprintable() or c == "\n" else _escaped(c) for c in text)


def _escaped(c: str) -> str:
    units = c.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4))
