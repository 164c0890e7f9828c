"""Galleries: the embeddings of pictures in one file, to find the pictures that look like one.

    import lcnet.gallery
    with lcnet.gallery.open("photos.gallery") as gallery:
        for match in gallery.search("cat.jpg", k=5)[0]:
            print(match.similarity, match.path)

The file is an SQLite database; what searches map lies beside it, and is made again when it is stale. docs/gallery.md.
"""

from __future__ import annotations

import os
from typing import Any

from ..errors import GalleryError
from .about import About
from .coding import CODINGS
from .gallery import Gallery, Match
from .store import Store, check_target

__all__ = ["About", "Gallery", "GalleryError", "Match", "create", "open"]


def open(path: str | os.PathLike[str], model: str | None = None, **options: Any) -> Gallery:
    """Open a gallery, also in a folder that cannot be written to; its model is loaded when it is first needed.

    model: a name or path for that of the gallery if it is not where it was; any other is refused then. options: `threads`,
    `isa` and `max_pixels` of `lcnet.load`. Raises `GalleryError`.
    """
    return Gallery(Store(path), model, **options)


def create(
    path: str | os.PathLike[str],
    model: str | os.PathLike[str] = "lcnet_050",
    *,
    precision: str = "fp32",
    coding: str = "int8",
    overwrite: bool = False,
    **options: Any,
) -> Gallery:
    """Make an empty gallery and open it.

    model, precision, options: as `lcnet.load` takes them. coding: `int8`, 1.3 KB an embedding of 1280 values, or `fp16`,
    2.6 KB. overwrite: empty the gallery that stands there. Raises what `lcnet.load` raises, `InputError`, `GalleryError`.
    """
    from pathlib import Path

    from ..errors import InputError
    from ..runtime import load

    if coding not in CODINGS:
        raise InputError(f"coding is {coding!r}, expected {' or '.join(CODINGS)}")
    check_target(Path(path), overwrite)
    loaded = load(model, precision=precision, **options)
    gallery = Gallery(Store.create(path, About.of(os.fspath(model), loaded, coding), overwrite), **options)
    gallery.__dict__["model"] = loaded  # the cached property
    return gallery
