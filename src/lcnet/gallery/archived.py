"""Pictures of a gallery that lie in archives, found again there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from ..sources import find
from ..sources.found import Found
from .places import file_of


def inside_archives(paths: Iterable[str]) -> dict[str, Found]:
    """Of these paths those that are in archives, as something to decode; an archive is gone through once."""
    wanted: dict[str, set[str]] = defaultdict(set)
    for path in paths:
        if (file := file_of(path)) != path:
            wanted[file].add(path)
    return {one.name: one for file, names in wanted.items() for one in _members(file) if one.name in names}


def _members(archive: str) -> Iterable[Found]:
    for source in find(archive):
        if isinstance(source, Found):
            source.prepare()
            yield source
