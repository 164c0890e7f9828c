"""What --shard takes of the pictures that the options name: all are counted and hashed first, then every N-th is taken."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..sources import find, is_archive, open_list, picture, read_list
from ..sources.found import problem
from ..sources.passed import Passed
from ..text import plain

if TYPE_CHECKING:
    from ..results.part import Hashed, Listing, Names, Part, Shard

_NO_PICTURE = "it is an archive, which has many pictures: a list in shards names pictures, one a row"


def surveyed(given: dict[str, Any]) -> Listing:
    """Count the rows of the whole list, and hash it: a list's bytes, or the names of what is found. Raises `InputError`."""
    from ..results.part import Hashed, Listing, of_names

    if given["files_from"] is None:
        listing = of_names(_found(given, Passed()))
    else:
        _refuse_pipe(given["files_from"])
        with open_list(given["files_from"]) as file:
            hashed = Hashed(file)
            total = sum(1 for _ in read_list(hashed))
        listing = Listing(total, hashed.digest.hexdigest())
    if not listing.total:
        raise InputError("the list has no pictures: there is nothing to take a shard of")
    return listing


def _refuse_pipe(name: str) -> None:
    if os.path.exists(name) and not (os.path.isfile(name) or os.path.isdir(name)):  # noqa: PTH110, PTH112, PTH113
        raise InputError(f"--shard needs a list that every shard can read again: name a file instead of {plain(name)}, a pipe")


class ShardRows:
    """The rows of one shard, by reading the list once more, which has to be as it was when it was surveyed."""

    def __init__(self, given: dict[str, Any], shard: Shard, passed: Passed, listing: Listing) -> None:
        from ..results.part import Names

        self.given, self.shard, self.passed, self.listing = given, shard, passed, listing
        self.seen: Hashed | Names = Names()

    def __iter__(self) -> Iterator[Any]:
        """The pictures, in the order of the list. Names in a list are not looked at: a row is a picture."""
        from ..results.part import Hashed, Names

        if self.given["files_from"] is None:
            self.seen = names = Names()
            yield from self.shard.pick(names.passing(_found(self.given, self.passed)))
            return
        with open_list(self.given["files_from"]) as file:
            self.seen = hashed = Hashed(file)
            for name in self.shard.pick(read_list(hashed)):
                yield problem(name, _NO_PICTURE, name) if is_archive(name) else picture(name)

    def check(self) -> None:
        """Raise `InputError` if what has been read to its end was another list."""
        if self.seen.digest.hexdigest() != self.listing.sha256:
            raise InputError("the list, or a folder, changed while this shard ran: begin again with one that stays as it is")


def _found(given: dict[str, Any], passed: Passed) -> Any:
    return find(list(given["images"]), given["recursive"], given["max_member"] << 20, passed)


def is_complete(path: Path, part: Part) -> bool:
    """Whether a shard's file is there and whole. Raises `InputError` if it is of something else."""
    from ..results import begun
    from ..results.part import read

    if not path.exists() or begun.beside(path, ".resume").exists():
        return False
    begun.refuse_another(path, read(path).begun_with, part.begun_with)
    return True
