"""Where pictures are: files, folders, globs, lists of paths, and archives read in place. What is in them is not looked at.

Everything is found lazily, in an order that is the same every time; in memory are at most the names of one folder, or of
what one glob matches, since they are sorted. What cannot be listed becomes a `Found` that says why when it is opened.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from ..errors import InputError
from ..text import plain, reason
from .address import is_address, local
from .found import ARCHIVES as ARCHIVES
from .found import MAX_MEMBER, is_picture, problem
from .found import is_archive as is_archive
from .passed import Passed

MAX_LOOKED = 100_000  # files and folders that are counted only to tell how many pictures there are
MAX_PATH = 1 << 16  # bytes of one line of a list

_CHUNK = 1 << 16


class Readable(Protocol):
    """What a list is read from."""

    def read(self, size: int, /) -> bytes:
        """Read at most so many bytes."""


def find(
    images: Any, recursive: bool = False, max_member: int = MAX_MEMBER, passed: Passed | None = None, also: str = ""
) -> Iterable[Any]:
    """Find the pictures in what is given, lazily: one source, or an iterable of them, which may never end.

    A path may be a file, a folder (the pictures in it by their suffix, with `recursive` also below it, without hidden
    ones), a glob pattern, or a zip or tar archive; every other source is passed on as it is. Yields paths, `Found` and what
    was passed on; for one plain picture, a list of it. `passed` is told of what is not taken.
    """
    if isinstance(images, (list, tuple)) and len(images) == 1 and _is_one(images[0]):
        images = images[0]
    if _is_one(images):
        if not isinstance(images, (str, os.PathLike)) or _is_plain_file(images):
            return [images]
        images = [images]
    passed = Passed() if passed is None else passed
    return _pictures(_files(images, recursive, passed, also=also), max_member, passed)


def find_listed(
    paths: Iterable[str], recursive: bool = False, max_member: int = MAX_MEMBER, passed: Passed | None = None, also: str = ""
) -> Iterator[Any]:
    """Find the pictures that a list names, as `find` does, but take `*`, `?` and `[` as parts of a name."""
    passed = Passed() if passed is None else passed
    return _pictures(_files(paths, recursive, passed, globs=False, also=also), max_member, passed)


def picture(name: str) -> Any:
    """The one picture that a path or an address names, whatever there is."""
    if is_address(name):
        from . import remote

        return remote.one(name)
    return local(name)


def count(paths: Iterable[Any], recursive: bool = False) -> int | None:
    """Return how many sources `find` will yield for these paths, or None if only reading a whole archive would tell."""
    total = 0
    for path in _files(paths, recursive, Passed()):
        if not is_archive(path):
            total += 1
        elif not os.fspath(path).lower().endswith(".zip"):
            return None
        else:
            total += sum(1 for _ in _pictures([path], MAX_MEMBER, Passed()))
    return total


def count_below(folders: Iterable[str]) -> tuple[int, bool]:
    """How many pictures lie in the folders of these folders, and whether `MAX_LOOKED` entries were enough to count all."""
    found = looked = 0
    for top in folders:
        for folder, below, names in os.walk(top):
            below[:] = [name for name in below if not name.startswith(".")]
            looked += len(below) + len(names)
            found += sum(map(is_picture, names)) if folder != top else 0
            if looked > MAX_LOOKED:
                return found, False
    return found, True


def open_list(name: str) -> BinaryIO:
    """Open a list of paths, here or at an address. Raises `InputError`."""
    try:
        if is_address(name):
            from . import remote

            return remote.opened(name)
        return open(local(name), "rb")
    except OSError as error:
        raise InputError(f"the list {plain(name)}: {reason(error)}") from None


def read_list(file: Readable) -> Iterator[str]:
    """Yield the paths of a list as they come, one a line, or separated by NULs if the list's beginning has one.

    Blank lines are skipped. Raises `InputError` if what should be a path has more than `MAX_PATH` bytes.
    """
    read = getattr(file, "raw", file).read  # a raw read returns what a pipe has, without waiting for a full buffer
    rest, separator = b"", b""
    while chunk := read(_CHUNK):
        rest += chunk
        separator = separator or next((s for s in (b"\0", b"\n") if s in rest), b"")
        *lines, rest = rest.split(separator) if separator else [rest]
        yield from _paths(lines, separator)
        if len(rest) > MAX_PATH:
            raise InputError(f"the list has a line of more than {MAX_PATH} bytes: expected one path a line")
    yield from _paths([rest], separator)


def _paths(lines: list[bytes], separator: bytes) -> Iterator[str]:
    for line in lines:
        path = line if separator == b"\0" else line.removeprefix(b"\xef\xbb\xbf").rstrip(b"\r")
        if path.strip():
            yield os.fsdecode(path)


def _is_one(images: Any) -> bool:
    if isinstance(images, (str, bytes, bytearray, memoryview, os.PathLike)) or hasattr(images, "read"):
        return True
    return getattr(images, "ndim", 4) < 4 or not hasattr(images, "__iter__")


def _is_plain_file(path: Any) -> bool:
    return os.path.isfile(path) and not is_archive(path)  # noqa: PTH113


def _pictures(files: Iterable[Any], max_member: int, passed: Passed) -> Iterator[Any]:
    for source in files:
        if is_archive(source):
            from .archives import members  # zipfile and tarfile are loaded where there is an archive only

            yield from members(source, max_member, passed)
        else:
            yield source


def _files(images: Iterable[Any], recursive: bool, passed: Passed, globs: bool = True, also: str = "") -> Iterator[Any]:
    """Expand folders and globs; archives stay what they are."""
    for source in map(local, images):
        if not isinstance(source, (str, os.PathLike)):
            yield source
        elif is_address(source):
            from . import remote

            yield from remote.find(os.fspath(source), recursive, passed, globs, partial(_is_taken, also=also))
        elif globs and _is_pattern(source):
            yield from _matches(os.fspath(source), recursive, passed, also)
        else:
            # A Path would keep a trace of every name: pathlib interns them.
            yield from _walk(source, recursive, passed, also) if os.path.isdir(source) else [source]  # noqa: PTH112


def _is_pattern(path: Any) -> bool:
    text = os.fspath(path)
    return any(c in text for c in "*?[") and not os.path.lexists(text)


def _matches(pattern: str, recursive: bool, passed: Passed, also: str) -> Iterator[Any]:
    from glob import iglob

    matches = sorted(iglob(pattern, recursive=True))  # noqa: PTH207  # pathlib refuses absolute patterns
    if not matches:
        yield problem(pattern, "no file matches this pattern", hides=True)
    yield from _files(map(Path, matches), recursive, passed, globs=False, also=also)


def _walk(top: Any, recursive: bool, passed: Passed, also: str) -> Iterator[Any]:
    """Yield the pictures of a folder, sorted, then those of its folders; each real folder once, whatever links there are."""
    seen: set[tuple[int, int]] = set()
    folders = [Path(top)]
    while folders:
        folder = folders.pop()
        try:
            status = folder.stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            names, below = _entries(folder, passed, also)
        except OSError as error:
            yield problem(str(folder), f"this folder cannot be read: {reason(error)}", str(folder), hides=True)
            continue
        yield from (folder / name for name in names)
        if recursive:
            folders.extend(folder / name for name in reversed(below))
        elif below:
            passed.leave(str(folder))


def _entries(folder: Path, passed: Passed, also: str) -> tuple[list[str], list[str]]:
    """The names of the pictures in a folder and of the folders in it, both sorted."""
    names, below = [], []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if _leads_to(entry.is_dir):
                below.append(entry.name)
                continue
            plain = _leads_to(entry.is_file) or is_broken(entry)  # a broken link is told when it is read
            if plain and _is_taken(entry.name, also):
                names.append(entry.name)
            else:
                passed.add(entry.name, special=not plain)
    return sorted(names), sorted(below)


def _leads_to(what: Callable[[], bool]) -> bool:
    """Whether an entry is, or a link leads to, such a thing; of a link that leads to itself the system says neither."""
    try:
        return what()
    except OSError:
        return False


def _is_taken(name: str, also: str) -> bool:
    return is_picture(name) or (bool(also) and name.lower().endswith(also))


def is_broken(entry: os.DirEntry[str]) -> bool:
    """Whether this is a link to nothing; one to a pipe or a device is a pipe or a device."""
    return entry.is_symlink() and not os.path.exists(entry.path)  # noqa: PTH110
