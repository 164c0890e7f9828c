"""What a caller may say about labels when data is opened: the options, their defaults, and which kinds of data take which.

They decide what the data is, and so belong to the identity of a run and to what a model file says of its origin.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import InputError
from ..text import plain
from .columns import wanted
from .joined import SEPARATOR, check_separator
from .named import rule_of

Reading = Mapping[str, str | None]

DEFAULTS: Reading = {"labels_from_names": None, "label_separator": SEPARATOR, "columns": None}
_FOR = {
    "labels_from_names": "folders and zip archives",
    "label_separator": "tables and shards",
    "columns": "tables with a header",
}
_TAKEN = {
    "folder": ("labels_from_names",),
    "zip": ("labels_from_names",),
    "table": ("label_separator", "columns"),
    "shards": ("label_separator",),
    "pattern": ("label_separator",),
    "list": (),
}


def reading_of(options: Any) -> dict[str, Any]:
    """The options among the attributes of an object, or the values of a mapping, as arguments of `open_dataset`."""
    values = options if isinstance(options, Mapping) else vars(options)
    return {name: values[name] for name in DEFAULTS}


def given(options: Any) -> dict[str, str]:
    """Those of `reading_of` that are not left at their defaults."""
    found = reading_of(options)
    return {name: value for name, value in found.items() if value is not None and value != DEFAULTS[name]}


def check_reading(reading: Reading) -> None:
    """Raise `InputError` for an option that says nothing about any data."""
    rule_of(reading["labels_from_names"])
    check_separator(reading["label_separator"])
    wanted(reading["columns"])


def check_taken(name: str, kind: str, reading: Reading) -> None:
    """Raise `InputError` for an option that says nothing about data of this kind."""
    for option in given(reading):
        if option not in _TAKEN[kind]:
            raise InputError(
                f"{plain(name)} says its labels in its own way: leave out --{option.replace('_', '-')}, "
                f"which is for {_FOR[option]}"
            )
