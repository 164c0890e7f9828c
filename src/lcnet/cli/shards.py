"""What --shard takes of the pictures that the options name: all are counted and hashed first, then every N-th is taken."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..sources import find, is_archive, open_list, picture, read_list
from ..sources.found import problem
from ..sources.passed import Passed

if TYPE_CHECKING:
    from ..results.part import Listing, Part, Shard

_NO_PICTURE = "it is an archive, which has many pictures: a list in shards names pictures, one a row"


def surveyed(given: dict[str, Any]) -> Listing:
    """Count the rows of the whole list, and hash it: a list's bytes, or the names of what is found. Raises `InputError`."""
    from ..results.part import Hashed, Listing, of_names

    if given["files_from"] is None:
        listing = of_names(_found(given, Passed()))
    else:
        with open_list(given["files_from"]) as file:
            hashed = Hashed(file)
            total = sum(1 for _ in read_list(hashed))
        listing = Listing(total, hashed.digest.hexdigest())
    if not listing.total:
        raise InputError("the list has no pictures: there is nothing to take a shard of")
    return listing


def shard_of(given: dict[str, Any], shard: Shard, passed: Passed) -> Iterator[Any]:
    """The pictures of one shard, in the order of the list. Names in a list are not looked at: a row is a picture."""
    if given["files_from"] is None:
        yield from shard.pick(_found(given, passed))
        return
    with open_list(given["files_from"]) as file:
        for name in shard.pick(read_list(file)):
            yield problem(name, _NO_PICTURE, name) if is_archive(name) else picture(name)


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
