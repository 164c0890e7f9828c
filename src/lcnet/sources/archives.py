"""Pictures in zip and tar archives, read in place: nothing is written, no link is followed, no name is used as a path.

A member is shown as `archive.zip!/member`. A link, a device, an encrypted or a damaged member, and one larger than the
limit become a `Found` that says so when it is opened; what is no picture by its suffix is passed over, archives included.
What is held in memory is bounded by the limit for a member and by `MAX_HEADER`, whatever an archive claims.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO

from ..errors import ImageError
from ..text import reason
from .address import is_address, not_read
from .formats import START
from .found import MAX_MEMBER, Found, is_picture, problem
from .passed import Passed
from .zipped import GROWS, MAX_RATIO, OVERLAPS, check_start, grows, overlapping

if TYPE_CHECKING:
    import tarfile
    import zipfile

MAX_HEADER = 1 << 20  # bytes of what a tar archive says of one member: names and extended attributes

_LINK = "a link in an archive is not followed"
_SPECIAL = "a device or pipe in an archive is not read"
_STEP = 1 << 20
_STORED, _DEFLATED = 0, 8  # zipfile expands the other methods, bzip2 and LZMA, without a bound: gigabytes from 4 kB


def members(path: Any, limit: int, passed: Passed) -> Iterator[Found]:
    """Yield the pictures of an archive in its order, of at most `limit` bytes each; nothing is raised here."""
    name = os.fspath(path)
    kind = _zip_members if name.lower().endswith(".zip") else _tar_members
    try:
        if is_address(name):
            if why := not_read(name):
                raise ValueError(why)
        elif not os.path.isfile(name) and os.path.lexists(name):  # noqa: PTH113  # a pipe would be waited for
            raise ValueError("it is no file")
        yield from kind(name, limit, passed)
    except Exception as error:  # whatever the archive modules raise for hostile bytes
        how = "cannot be read" if kind is _zip_members else "cannot be read to its end"
        yield problem(name, f"this archive {how}: {reason(error)}", file=name, hides=True)


def _open(path: str) -> BinaryIO:
    if is_address(path):
        from . import remote

        return remote.opened(path)
    return open(path, "rb")


def _size(file: Any) -> int:
    """How many bytes a file has, which is then where it was."""
    here = file.tell()
    size: int = file.seek(0, os.SEEK_END)
    file.seek(here)
    return size


def _read(file: Any, limit: int) -> bytes:
    parts, size = [], 0
    while chunk := file.read(_STEP):
        parts.append(chunk)
        size += len(chunk)
        if size > limit:
            raise ValueError(_too_large(size, limit))
    return b"".join(parts)


def _too_large(size: int, limit: int) -> str:
    return f"it has {size} bytes or more, the limit for a picture in an archive is {limit} (max_member)"


def _zip_members(path: str, limit: int, passed: Passed) -> Iterator[Found]:
    import zipfile

    archive = _Zip(zipfile.ZipFile(_open(path) if is_address(path) else path), limit)
    infos = archive.file.infolist()
    bad, size, total = overlapping(infos), _size(archive.file.fp), 0
    for index, info in enumerate(infos):
        name, kind = f"{path}!/{info.filename}", stat.S_IFMT(info.external_attr >> 16)
        if info.filename.endswith("/"):  # not is_dir(), which looks at the last letter of a name without any
            continue
        if not is_picture(info.filename):
            passed.add(info.filename)
            continue
        total += info.file_size if index not in bad and info.file_size <= limit else 0
        if grows([total], size):
            raise ValueError(GROWS)
        if kind not in (0, stat.S_IFREG):
            yield problem(name, _LINK if kind == stat.S_IFLNK else _SPECIAL, path)
        elif index in bad:
            yield problem(name, OVERLAPS, path)
        else:
            yield Found(name, partial(archive.read, info, name), file=path)


class _Zip:
    """A zip archive whose members can be read by several threads at the same time."""

    def __init__(self, file: zipfile.ZipFile, limit: int) -> None:
        from threading import Lock

        self.file, self.limit = file, limit
        self.lock = Lock()  # zipfile counts its open members without one

    def read(self, info: zipfile.ZipInfo, name: str) -> bytes:
        """Decompress one member. Raises `ImageError`."""
        try:
            if info.flag_bits & 1:
                raise ValueError("it is encrypted: extract it with its password first")
            if info.file_size > self.limit:
                raise ValueError(_too_large(info.file_size, self.limit))
            if info.compress_type not in (_STORED, _DEFLATED):
                raise ValueError(f"it is packed by method {info.compress_type}, only deflated and stored pictures are read")
            return self._decompress(info)
        except Exception as error:  # BadZipFile, zlib's, bz2's and lzma's errors, NotImplementedError, ...
            raise ImageError(f"{name}: {reason(error)}") from error

    def _decompress(self, info: zipfile.ZipInfo) -> bytes:
        with self.lock:
            member = self.file.open(info)
        try:
            start = member.read(START)
            check_start(start, info.file_size)
            return start + _read(member, self.limit)
        finally:
            with self.lock:
                member.close()


def _tar_members(path: str, limit: int, passed: Passed) -> Iterator[Found]:
    import tarfile

    with _open(path) as raw:
        file = _Metered(_decompressed(raw))
        most = max(MAX_MEMBER, MAX_RATIO * _size(raw)) if file.file is not raw else None
        with tarfile.open(fileobj=file, mode="r:") as archive:  # type: ignore[call-overload]
            for info in _headers(archive, file, most):
                if info.isdir():
                    continue
                if is_picture(info.name):
                    yield _tar_member(archive, file, info, path, limit)
                else:
                    passed.add(info.name)


def _headers(archive: tarfile.TarFile, file: _Metered, most: int | None) -> Iterator[tarfile.TarInfo]:
    before = -1
    while info := archive.next():
        if archive.offset <= before:
            raise ValueError("its headers lead backwards")
        before = archive.offset
        yield info
        archive.members.clear()  # type: ignore[attr-defined]  # which would grow with the archive
        if most is not None and before > most:
            raise ValueError(GROWS)
        file.left = MAX_HEADER
    if file.last.strip(b"\0"):  # tarfile takes a damaged header for the end
        raise ValueError("it is damaged or cut short")


def _tar_member(archive: Any, file: _Metered, info: tarfile.TarInfo, path: str, limit: int) -> Found:
    name = f"{path}!/{info.name}"
    if not info.isreg():
        return problem(name, _LINK if info.issym() or info.islnk() else _SPECIAL, path)
    if info.size > limit:
        return problem(name, _too_large(info.size, limit), path)
    file.left = info.size + MAX_HEADER
    data = _read(archive.extractfile(info), limit)
    return Found(name, lambda: data, len(data), path)


def _decompressed(raw: Any) -> Any:
    """`raw` itself, or a file of what it expands to, by its first bytes."""
    start = raw.read(6)
    raw.seek(0)
    if start.startswith(b"\x1f\x8b"):
        from gzip import GzipFile

        return GzipFile(fileobj=raw)
    if start.startswith(b"BZh"):
        from bz2 import BZ2File

        return BZ2File(raw)
    if start == b"\xfd7zXZ\0":
        from lzma import LZMAFile

        return LZMAFile(raw)
    return raw


class _Metered:
    """What tarfile reads from: gives at most `left` bytes, for a header may claim to be as long as it likes."""

    def __init__(self, file: Any) -> None:
        self.file, self.left, self.last = file, MAX_HEADER, b""
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int) -> bytes:
        """Read `size` bytes or what there is."""
        if not 0 <= size <= self.left:
            raise ValueError("what it says of a member is too long")
        self.left -= size
        self.last = self.file.read(size)
        return self.last
