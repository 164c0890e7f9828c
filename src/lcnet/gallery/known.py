"""What a gallery has, for whoever looks for copies of it among other pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

from ..dataset.scan import Known
from ..sources.stamp import stamp_of
from .places import file_of
from .store import AT_ONCE, Store


def known_pictures(path: Path) -> Iterator[Known]:
    """Every picture of a gallery whose file is not another now, one of those of the same bytes, by path. Raises `GalleryError`.

    Files that are gone are known still: the gallery remembers what they were.
    """
    seen: set[bytes] = set()
    with closing(Store(path)) as store:
        for key, stamp, content in store.pictures():
            name = store.place.path(key)
            if content.sha256 in seen or (stamp is not None and stamp_of(file_of(name)) not in (None, stamp)):
                continue
            seen.add(content.sha256)
            size = stamp[0] if stamp else 0
            yield Known(name, content.sha256, content.pixels, content.hash, content.plain, size)


def new_only(path: Path, sources: Iterable[Any]) -> Iterator[Any]:
    """Of the pictures that are found those that a gallery has not, or not as they are now. Raises `GalleryError`."""
    rest = iter(sources)
    with closing(Store(path)) as store:
        while some := [(store.place.key(source), source) for source in islice(rest, AT_ONCE)]:
            known = store.stamps(key for key, _ in some)
            yield from (source for key, source in some if key not in known or known[key] != stamp_of(source))
