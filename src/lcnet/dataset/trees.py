"""What folders are to the rules, on disk and in an archive: anything that can list them, and how they are walked."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Protocol

from ..text import plain
from .samples import Names, Store

LISTING = "_classes.csv"  # the name under which Roboflow exports a part's table

Entries = tuple[list[str], list[str]]


class Tree(Protocol):
    """Folders with pictures in them. A folder is named from the root, "" itself, with "/" between."""

    def entries(self, folder: str) -> Entries:
        """Return the names of the pictures and of the folders in it, both sorted, without hidden ones."""

    def identity(self, folder: str) -> Hashable:
        """Return what is equal for folders that are the same by another way."""

    def prefix(self, folder: str) -> str:
        """Return what comes before a picture's name in messages."""

    def store(self, names: Names) -> Store:
        """Return what reads these pictures."""

    def listing(self, folder: str) -> bytes | None:
        """Return the bytes of the folder's `LISTING`; None without one."""


def join(folder: str, name: str) -> str:
    """The folder of this name in a folder."""
    return f"{folder}/{name}" if folder else name


def walk(tree: Tree, folder: str, seen: set[Hashable]) -> Iterator[tuple[str, list[str]]]:
    """Yield a folder and those in it, each with its pictures; each real folder once, whatever links there are."""
    stack = [folder]
    while stack:
        folder = stack.pop()
        identity = tree.identity(folder)
        if identity in seen:
            continue
        seen.add(identity)
        samples, folders = tree.entries(folder)
        yield folder, samples
        stack.extend(join(folder, name) for name in reversed(folders))


def has_pictures(tree: Tree, folder: str) -> bool:
    """Whether there is a picture in it or in a folder below."""
    return any(samples for _, samples in walk(tree, folder, set()))


def shown_folder(tree: Tree, folder: str) -> str:
    """What messages call a folder."""
    return plain(tree.prefix(folder).rstrip("/") or "/")
