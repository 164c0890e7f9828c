"""Pictures, lists and archives at addresses, through fsspec and the package of their protocol.

Names are taken as they are: nothing in them is decoded, chained or expanded but the `*`, `?` and `[` of an argument. A folder
is gone through as one of this machine is; pictures are fetched ahead of the one that is worked on, a few at the same time.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from functools import lru_cache
from typing import Any, BinaryIO, TypeAlias
from zlib import crc32

from ..errors import ImageError, MissingExtraError
from ..text import plain, reason
from .address import PROTOCOLS, not_read, protocol
from .found import Found, is_archive, problem
from .passed import Passed
from .stamp import Stamp

MOST = 256 << 20  # bytes of one picture
AT_ONCE = 16  # pictures that are fetched at the same time
UNKNOWN = 4 << 20  # bytes that a picture is taken for whose size nobody has said

Place: TypeAlias = tuple[Any, str]  # a file system, and what something is called there


def read(address: str, place: Place | None = None) -> bytes:
    """The bytes of one picture. Raises `ImageError` without its name, and `MissingExtraError`."""
    try:
        files, path = place or _place(address)
        data = bytes(files.cat_file(path, start=0, end=MOST + 1))
    except (ImageError, MissingExtraError):
        raise
    except Exception as error:  # whatever a protocol's package raises
        raise ImageError(f"it cannot be read: {_why(error)}") from error
    if len(data) > MOST:
        raise ImageError(f"it has more than {MOST} bytes, the limit for a picture at an address")
    return data


def opened(address: str) -> BinaryIO:
    """Open a list or an archive, which can be sought. Raises `OSError` and `MissingExtraError`."""
    try:
        files, path = _place(address)
        file: BinaryIO = files.open(path, "rb")
        return file
    except (MissingExtraError, OSError):
        raise
    except Exception as error:
        raise OSError(0, _why(error)) from error


def one(address: str) -> Found:
    """What is at an address, whatever it is called. Raises `MissingExtraError`."""
    why = not_read(address)
    if why:
        return problem(address, why, hides=True)
    try:
        _place(address)  # what is missing is told once, and not of each picture
    except MissingExtraError:
        raise
    except Exception as error:
        return problem(address, f"it cannot be read: {_why(error)}", hides=True)
    return Remote(address)


def find(address: str, recursive: bool, passed: Passed, globs: bool, taken: Any) -> Iterator[Any]:
    """Yield the pictures at an address: it, what a pattern matches, or what a folder has, in the order of `sources.find`.

    Without `globs` a folder ends in `/`, so that nobody is asked about the others. taken: whether a name is a picture's.
    """
    single = one(address)
    if single.hides:
        yield single
        return
    try:
        yield from _found(address, recursive, passed, globs, taken)
    except Exception as error:
        yield problem(address, f"this folder cannot be read: {_why(error)}", hides=True)


class Remote(Found):
    """One picture at an address, which is fetched ahead, while those before it are worked on."""

    __slots__ = ("_future", "place")

    def __init__(self, address: str, place: Place | None = None, size: int | None = None, stamp: Stamp | None = None) -> None:
        """place: where whoever listed it has found it."""
        super().__init__(address, self._fetched, UNKNOWN if size is None else min(size, MOST))
        self.stamp, self.place = stamp, place
        self._future: Future[bytes] | None = None

    def prepare(self) -> None:
        """Begin to fetch."""
        self._future = _pool().submit(read, self.name, self.place)

    def _fetched(self) -> bytes:
        future, self._future = self._future, None
        try:
            return future.result() if future is not None else read(self.name, self.place)
        except ImageError as error:
            raise ImageError(f"{self.name}: {error}") from error


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(AT_ONCE, "lcnet fetcher")


def _place(address: str) -> Place:
    """The file system of an address, and what the address is called there. Raises `ImageError` and `MissingExtraError`."""
    why = not_read(address)
    if why:
        raise ImageError(why)
    kind = _kind(protocol(address))
    options = kind._get_kwargs_from_urls(address)
    return kind(**options), str(kind._strip_protocol(address))


@lru_cache(maxsize=32)
def _kind(name: str) -> Any:
    try:
        import fsspec
    except ImportError:
        raise MissingExtraError(f"{name}:// addresses need fsspec: pip install 'lcnet[remote]'") from None
    try:
        return fsspec.get_filesystem_class(name)
    except ImportError:
        raise MissingExtraError(f"{name}:// addresses need {PROTOCOLS[name]}: pip install {PROTOCOLS[name]}") from None


def _found(address: str, recursive: bool, passed: Passed, globs: bool, taken: Any) -> Iterator[Any]:
    files, path = _place(address)
    if globs and any(c in path for c in "*?[") and not files.exists(path):
        matches = [found for found in sorted(files.glob(path, detail=True).items()) if "/." in path or "/." not in found[0]]
        if not matches:
            yield problem(address, "nothing matches this pattern", hides=True)
        for name, entry in matches:
            one = _address(address, files, name)
            yield from (
                _walk(one, files, name, recursive, passed, taken)
                if _is_folder(entry)
                else [_picture(one, (files, name), entry)]
            )
    elif address.endswith("/") or (globs and files.isdir(path)):
        yield from _walk(address, files, path, recursive, passed, taken)
    else:
        yield address if is_archive(address) else Remote(address)


def _walk(address: str, files: Any, top: str, recursive: bool, passed: Passed, taken: Any) -> Iterator[Any]:
    """The pictures of a folder, sorted, then those of its folders."""
    folders = [top]
    while folders:
        folder = folders.pop()
        entries = sorted(files.ls(folder, detail=True), key=lambda entry: str(entry["name"]))
        below = []
        for entry in entries:
            name = str(entry["name"]).rstrip("/")
            base = name.rpartition("/")[2]
            if name == folder.rstrip("/") or base.startswith("."):
                continue
            if _is_folder(entry):
                below.append(name)
            elif taken(base):
                yield _picture(_address(address, files, name), (files, name), entry)
            else:
                passed.add(base)
        if recursive:
            folders.extend(reversed(below))
        elif below:
            passed.leave(_address(address, files, folder))


def _is_folder(entry: dict[str, Any]) -> bool:
    return entry.get("type") == "directory"


def _address(like: str, files: Any, name: str) -> str:
    """The address of what a file system calls by this name, in the words of the one that was given."""
    return f"{like.partition('://')[0]}://{name.removeprefix('/') if like.partition('://')[2][:1] != '/' else name}"


def _picture(address: str, place: Place, entry: dict[str, Any]) -> Found | str:
    if is_archive(address):
        return address
    size = entry.get("size")
    return Remote(address, place, size if isinstance(size, int) else None, _stamp(entry))


def _stamp(entry: dict[str, Any]) -> Stamp | None:
    """What tells that a picture has changed: its size, and its time or whatever the store has in its place."""
    keys = ("LastModified", "last_modified", "mtime", "updated", "created", "ETag", "etag")
    when = next((entry[key] for key in keys if entry.get(key) is not None), None)
    size = entry.get("size")
    if when is None or not isinstance(size, int):
        return None
    return size, int(when.timestamp() * 1e9) if isinstance(when, datetime) else crc32(str(when).encode())


def _why(error: BaseException) -> str:
    return plain(reason(error))
