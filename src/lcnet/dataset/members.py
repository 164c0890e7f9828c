"""Which members of a shard's sample are its picture and its label, by what is behind the first dot of their names.

`.jpg` and `.cls` are; so are `.input.jpg` and `.target.cls`, and others by their last suffix where nothing else is it.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..sources.formats import is_suffix
from ..sources.found import suffix_of
from .samples import ARRAY

LABELS = (".cls", ".json", ".txt")  # the first that is there and has a label counts

_PICTURE_WORDS = frozenset(("input", "image", "img", "picture", "photo"))
_LABEL_WORDS = frozenset(("target", "label", "labels", "class", "output"))
# What counts first of a suffix alone, one behind a word for labels, and others: plain texts may be captions.
_ORDER = {".cls": (0, 0, 1), ".json": (1, 0), ".txt": (1, 0)}


def pictures_among(kinds: Iterable[str], labelled: bool) -> list[str]:
    """The members that are the picture: those of the first rank that there is, more than one if it is uncertain.

    labelled: there is a label too. Without, what is behind two suffixes is the picture only if it is called so.
    """
    ranks: list[list[str]] = [[], [], []]
    for kind in kinds:
        rank = _rank(kind, _PICTURE_WORDS)
        if is_suffix(suffix_of(kind)) or (suffix_of(kind) == ARRAY and rank < 2):  # others are features
            ranks[rank].append(kind)
    return next(filter(None, ranks if labelled else ranks[:2]), [])


def labels_among(kinds: Iterable[str]) -> list[list[str]]:
    """The members that may be the label, the ones that count first first; together those of one rank.

    Of texts and JSON that are called neither by the suffix alone nor by a word for labels nothing is known: captions.
    """
    ranks: dict[tuple[int, int], list[str]] = {}
    for kind in kinds:
        suffix = suffix_of(kind)
        order = _ORDER.get(suffix, ())
        rank = _rank(kind, _LABEL_WORDS)
        if rank < len(order):
            ranks.setdefault((LABELS.index(suffix), order[rank]), []).append(kind)
    return [ranks[key] for key in sorted(ranks)]


def _rank(kind: str, words: frozenset[str]) -> int:
    """0 for a suffix alone, 1 for one behind a word for it, 2 for others."""
    inner = kind[1:].split(".")[:-1]
    return 0 if not inner else 1 if len(inner) == 1 and inner[0] in words else 2
