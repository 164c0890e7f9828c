"""Which part of a data set, train, val or test, a name stands for: a folder's, a shard's, or a table's `split`.

Data sets are handed around under a handful of names, training_set and test_images as often as train and test. Read as
classes they would train to the end and mean nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TypeVar

from ..errors import InputError

T = TypeVar("T")

# What is called eval is val in some data sets and test in others: `settle` decides.
_WORD = re.compile(
    r"(?P<train>train(?:ing)?)|(?P<val>val(?:id(?:ation)?)?|dev)|(?P<test>test(?:ing)?)|"
    r"(?P<eval>eval(?:uation)?)"
)
_SEPARATOR = r"[-_. ]?"
_FILLER = r"(?:set|data|split|part|folder|images?|imgs?|pictures?|pics?|photos?|samples?|(?:19|20)\d\d)"
_NAME = re.compile(rf"(?:{_FILLER}{_SEPARATOR}){{0,3}}(?:{_WORD.pattern})(?:{_SEPARATOR}{_FILLER}){{0,3}}")
_PICTURES = re.compile(rf"{_FILLER}(?:{_SEPARATOR}{_FILLER}){{0,2}}")
_WORDS = re.compile(r"([-_. ]+)")


def split_of(name: str) -> str | None:
    """Which part a name stands for: "train", "val", "test", or "eval", which `settle` decides; None if it is no such name."""
    found = _NAME.fullmatch(name.lower())
    return found.lastgroup if found else None


def holds_pictures(name: str) -> bool:
    """Whether a folder is called like pictures of any part: images, img, photo_data."""
    return bool(_PICTURES.fullmatch(name.lower()))


def part_in(name: str) -> str | None:
    """Which part a word in a name stands for, as in imagenet-val-000.tar or train_list.txt; None without such a word."""
    return next(filter(None, map(split_of, re.split(r"[-_.\d]+", name))), None)


def parts_among(names: Sequence[str]) -> dict[str, str]:
    """Which of the names of folders that lie together stand for a part, and for which.

    Without one for train, names that differ by that word alone count too: seg_train and seg_test.
    """
    named = {name: part for name in names if (part := split_of(name))}
    if "train" in named.values():
        return named
    whole = [found for found in _alike(names) if len({*found.values()}) > 1 and "train" in found.values()]
    return whole[0] if len(whole) == 1 else named


def parts_beside(name: str, names: Sequence[str]) -> dict[str, str]:
    """Which of the names differ from that of train by the part's word alone, itself too, and for which part they stand."""
    return next((found for found in _alike([name, *names]) if found.get(name) == "train"), {})


def _alike(names: Sequence[str]) -> Iterable[dict[str, str]]:
    """The names that are the same but for a word for a part, together, and which part that is."""
    alike: dict[tuple[str, ...], dict[str, str]] = {}
    for name in names:
        words = _WORDS.split(name.lower())
        for i, part in enumerate(map(split_of, words)):
            if part:
                alike.setdefault((*words[:i], "", *words[i + 1 :]), {})[name] = part
    return alike.values()


def settle(place: str, parts: dict[str, T]) -> dict[str, T]:
    """Give "eval" its part: val, or test beside a val. Raises `InputError` if there are all three; place: for messages."""
    if "eval" not in parts:
        return parts
    free = next((part for part in ("val", "test") if part not in parts), None)
    if free is None:
        raise InputError(f"{place} has parts for val, test and eval: expected train, val and test: remove or join one")
    return {free if part == "eval" else part: value for part, value in parts.items()}
