"""What a gallery has, for whoever looks for copies of it among other pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from ..dataset.scan import Known, file_id
from ..sources.stamp import stamp_of
from .places import file_of
from .store import Store


def known_pictures(path: Path) -> Iterator[Known]:
    """Every picture of a gallery whose file is not another now, by path. Raises `GalleryError`.

    Files that are gone are known still: the gallery remembers what they were.
    """
    with closing(Store(path)) as store:
        for key, stamp, content in store.pictures():
            name = store.place.path(key)
            file = file_of(name)
            if stamp is not None and stamp_of(file) not in (None, stamp):
                continue
            size, archive = stamp[0] if stamp else 0, file if file != name else None
            yield Known(name, *content, size, archive, None if archive else file_id(file))


def new_only(path: Path, sources: Iterable[Any]) -> Iterator[Any]:
    """Of the pictures that are found those that a gallery has not, or not as they are now. Raises `GalleryError`."""
    with closing(Store(path)) as store:
        for source, _, stamp in store.looked_up(sources):
            if stamp is None or stamp != stamp_of(source):
                yield source
