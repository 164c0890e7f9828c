"""Lists of class names as projects write them -> names in logit order, or a refusal that names the file and the line.

Text: a name a line; an id, a tab and a name; or a number on every line, before the name or behind it. JSON: a list, or an
object one way round or the other (`id2label`, `class_to_idx`), also inside a Hugging Face or timm `config.json`. Numbers
are 0 to K-1, each once. What could be meant in two ways is refused: a wrong name for a right answer is the worst outcome.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from ..config import Labels, from_json
from ..errors import InputError, ModelFileError
from ..text import one_line, plain, reason, short

# Where an object keeps its list, in the order of looking: ours, timm's, Hugging Face's, torchvision's and fastai's.
HOLDERS = ("label_names", "id2label", "label2id", "class_to_idx", "idx_to_class", "names", "classes", "labels", "categories")
_HEADERS = frozenset(
    (
        "id",
        "idx",
        "index",
        "number",
        "class",
        "class_id",
        "class_index",
        "label",
        "label_id",
        "name",
        "class_name",
        "label_name",
    )
)
_NUMBER = re.compile(r"\s*[0-9]{1,9}\s*")
_DIGITS = "0123456789"
_SEPARATORS = (",", ";", ":", "\t")
_AS_JSON = "a JSON list of the names is never ambiguous"


class Line(NamedTuple):
    """A line that has a number, or a part of one."""

    number: int
    name: str


def read_label_list(path: str | os.PathLike[str]) -> Labels:
    """Read the names of the classes in logit order. Raises `InputError` naming the file, the line and what was expected."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
        if text.lstrip()[:1] in ("[", "{"):
            return labels_from_json(json.loads(text, object_pairs_hook=_once))
        return labels_from_lines(text)
    except (OSError, ValueError, RecursionError, ModelFileError) as error:
        raise InputError(f"{plain(path)}: no list of labels: {one_line(reason(error))}") from None


def labels_from_lines(text: str) -> Labels:
    """Read one class a line. Raises `ValueError` naming the line."""
    # Not splitlines(), which also splits at characters that a name may contain.
    lines = [line.rstrip("\r") for line in text.rstrip("\r\n").split("\n")]
    for at, line in enumerate(lines, 1):
        if not line.strip():
            raise ValueError(f"line {at} is empty: expected a class's name on every line")
    return _numbered(lines) or _unnumbered(lines)


def _numbered(lines: list[str]) -> Labels | None:
    """The names by their numbers, or None if the lines have none."""
    first = 1 if len(lines) > 1 and _is_header(lines[0]) else 0
    body = lines[first:]
    if all(map(_NUMBER.fullmatch, body)):
        return None
    ways = [[parse(line) for line in body] for parse in (_before, _behind, _spaced)]
    whole = [way for way in ways if sorted(row.number for row in way if row) == list(range(len(body)))]
    if len(whole) > 1:
        raise ValueError(f"line {first + 1} ({_shown(body[0])}) has two numbers, and so have all: expected one; {_AS_JSON}")
    # A number behind a space is mostly part of the name, as of cars and aircraft: it counts only where all fit.
    chosen = whole[0] if whole else max(ways[:2], key=lambda way: sum(row is not None for row in way))
    return _ordered(chosen, body, first + 1) if any(chosen) else None


def _before(line: str) -> Line | None:
    text = line.strip()
    rest = text.lstrip(_DIGITS)
    digits, after = text[: len(text) - len(rest)], rest.lstrip()
    name = after[1:].lstrip() if after.startswith(_SEPARATORS) else after if rest != after else ""
    return _line(digits, name)


def _behind(line: str) -> Line | None:
    name, digits = _split_digits(line)
    name = name.rstrip(" ")
    return _line(digits, name[:-1].rstrip()) if name.endswith(_SEPARATORS) else None


def _spaced(line: str) -> Line | None:
    name, digits = _split_digits(line)
    spaced = name.endswith(" ") and not name.rstrip().endswith(_SEPARATORS)
    return _line(digits, name.rstrip()) if spaced else None


def _split_digits(line: str) -> tuple[str, str]:
    text = line.strip()
    name = text.rstrip(_DIGITS)
    return name, text[len(name) :]


def _line(digits: str, name: str) -> Line | None:
    return Line(int(digits), _unquoted(name)) if 0 < len(digits) < 10 and name else None


def _ordered(found: list[Line | None], body: list[str], first: int) -> Labels:
    without = next((i for i, line in enumerate(found) if line is None), None)
    if without is not None:
        have = next(i for i, line in enumerate(found) if line)
        raise ValueError(
            f"line {first + without} ({_shown(body[without])}) has no number, but line {first + have}"
            f" ({_shown(body[have])}) has: expected one on every line or on none; {_AS_JSON}"
        )
    rows = [(f"line {first + i} ({_shown(body[i])})", line.number, line.name) for i, line in enumerate(found) if line]
    for where, _, name in rows:
        if _NUMBER.fullmatch(name):
            raise ValueError(f"{where} has two numbers, and either could be the name: expected a number and a name; {_AS_JSON}")
    return Labels(_by_number(rows))


def _by_number(rows: Iterable[tuple[str, int, Any]]) -> tuple[Any, ...]:
    """What the rows (where, number, name) name, in the order of the numbers, which must be 0 to K-1."""
    rows = list(rows)
    places: dict[int, str] = {}
    for where, number, _ in rows:
        if number in places:
            raise ValueError(
                f"{where} has the number {number}, as {places[number]} has: expected 0 to {len(rows) - 1}, each once"
            )
        places[number] = where
    for where, number, _ in rows:
        if not 0 <= number < len(rows):
            gap = next(i for i in range(len(rows)) if i not in places)
            raise ValueError(
                f"{where} has the number {number}, and none is {gap}: expected 0 to {len(rows) - 1}, as there are"
                f" {len(rows)} names; {_AS_JSON}"
            )
    return tuple(name for _, _, name in sorted(rows, key=lambda row: row[1]))


def _unnumbered(lines: list[str]) -> Labels:
    if all(map(_NUMBER.fullmatch, lines)) and [int(n) for n in lines] != list(range(len(lines))):
        raise ValueError(
            f"line 1 ({_shown(lines[0])}) is a number, as all are: expected names; if numbers are the names, {_AS_JSON}"
        )
    rows = [line.split("\t") for line in lines]
    columns = len(rows[0])
    for at, row in enumerate(rows, 1):
        if len(row) != columns or columns > 2 or not row[-1].strip():
            raise ValueError(f"line {at} ({_shown(lines[at - 1])}): expected a name, or an id, a tab and a name, on every line")
    return Labels(tuple(row[-1] for row in rows), tuple(row[0] for row in rows) if columns == 2 else None)


def _is_header(line: str) -> bool:
    words = [_unquoted(word.strip()).lower() for word in re.split(r"[,;\t]", line)]
    return len(words) == 2 and set(words) <= _HEADERS


def _unquoted(text: str) -> str:
    """A field of a CSV without its quotes."""
    return text[1:-1].replace('""', '"') if len(text) > 1 and text[0] == text[-1] == '"' else text


def _shown(text: str) -> str:
    return repr(short(text))


def labels_from_json(data: Any) -> Labels:
    """Read a list of names, or an object of one of the usual forms. Raises `ValueError` or `ModelFileError`."""
    if isinstance(data, list):
        return _from_list(data)
    if isinstance(data.get("ids"), list) or (isinstance(data.get("names"), list) and len(data) == 1):
        return from_json(Labels, data, "labels")
    holders = [key for key in HOLDERS if isinstance(data.get(key), (dict, list)) and data[key]]
    if not holders:
        return _from_object(data)
    names = labels_from_json(data[holders[0]])
    for key in holders[1:]:
        if labels_from_json(data[key]).names != names.names:
            raise ValueError(f"{holders[0]} and {key} differ: expected one list of names")
    return _described(names, data.get("label_descriptions"))


def _described(names: Labels, texts: Any) -> Labels:
    """timm's config.json has ids for names, and the names in a table of their own."""
    if isinstance(texts, dict) and all(name in texts for name in names.names):
        return from_json(Labels, {"names": [texts[n] for n in names.names], "ids": list(names.names)}, "labels")
    return names


def _from_list(data: list[Any]) -> Labels:
    if data and all(isinstance(row, dict) and type(row.get("id")) is int for row in data):  # COCO's categories
        return from_json(
            Labels, {"names": list(_by_number((_shown(str(r.get("name"))), r["id"], r.get("name")) for r in data))}, "labels"
        )
    return from_json(Labels, {"names": data}, "labels")


def _from_object(data: dict[str, Any]) -> Labels:
    """Read number -> name (or Keras's [id, name]), or name -> number."""
    forwards, backwards = all(map(_NUMBER.fullmatch, data)), all(_whole(value) is not None for value in data.values())
    if not data or forwards == backwards:
        raise ValueError(
            'expected a list of names, {"0": "cat", ...} or {"cat": 0, ...}'
            + (": these are numbers on both sides" if data and forwards else _odd_one(data))
        )
    if backwards:
        return Labels(_by_number((_shown(key), _whole(value) or 0, key) for key, value in data.items()))
    names = _by_number((_shown(key), int(key), value) for key, value in data.items())
    if all(isinstance(name, list) and len(name) == 2 for name in names):
        return from_json(Labels, {"names": [n[1] for n in names], "ids": [n[0] for n in names]}, "labels")
    return from_json(Labels, {"names": list(names)}, "labels")


def _odd_one(data: dict[str, Any]) -> str:
    odd = [key for key, value in data.items() if not _NUMBER.fullmatch(key) and _whole(value) is None]
    return f": {_shown(odd[0])} is neither" if odd else ""


def _whole(value: Any) -> int | None:
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return int(value)
    return value if type(value) is int else None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys are different; JSON leaves open what the same one twice means."""
    out = dict(pairs)
    if len(out) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"{_shown(next(key for key in keys if keys.count(key) > 1))} stands there twice: expected it once")
    return out
