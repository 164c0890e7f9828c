"""A zip archive of class folders, read in place: nothing is extracted, no member's name is used as a path.

All may be in one common folder at the top. Members that are links, encrypted or packed in another way than by deflate are
listed, and told of when they are read.
"""

from __future__ import annotations

import os
import re
import stat
import zipfile
from collections.abc import Callable, Container, Hashable
from typing import Any

import numpy as np

from ..errors import InputError
from ..sources.found import MAX_MEMBER
from ..sources.passed import Passed
from ..sources.zipped import GROWS, grows, overlapping
from ..text import plain, reason
from .folders import open_tree
from .samples import Names, Splits, Store, is_sample
from .stores import DEFLATED, ENCRYPTED, LINK, OVERLAPPING, STORED, UNKNOWN, Zipped
from .trees import LISTING, Entries

MAX_DEPTH = 64  # folders in folders
_FAR = 1 << 62  # beyond any file: zip's numbers may have a bit more than int64 holds


def open_zip(path: str, rule: re.Pattern[str] | None = None, passed: Passed | None = None) -> Splits:
    """Open a zip archive; `rule` as in `open_tree`; `passed` is told of what is not taken. Raises `InputError`."""
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
        shared = overlapping(infos)
        readable = (info.file_size for i, info in enumerate(infos) if i not in shared and _name(info.filename))
        if grows((size for size in readable if size <= MAX_MEMBER), os.stat(path).st_size):  # noqa: PTH116
            raise ValueError(GROWS)
    except Exception as error:  # whatever zipfile raises for hostile bytes
        raise InputError(f"{plain(path)}: this archive cannot be read: {reason(error)}") from None
    passed = Passed() if passed is None else passed
    for info in infos:
        folder = info.filename.endswith("/")  # not is_dir(), which looks at the last letter of a name without any
        if not (folder or _name(info.filename) or _is_hidden(info.filename)):
            passed.add(info.filename)
    members = {name: info for info in infos if (name := _name(info.filename))}
    return open_tree(Zip(path, members, {infos[index].header_offset for index in shared}), rule, passed)


def _name(member: str) -> str:
    """The path of a member within the archive, "" if it is no picture or listing, hidden, or too deep to be sound."""
    parts = [part for part in member.split("/") if part not in ("", ".")]
    taken = is_sample(member) or parts[-1:] == [LISTING]
    return "" if _is_hidden(member) or len(parts) > MAX_DEPTH or not taken else "/".join(parts)


def _is_hidden(member: str) -> bool:
    return any(part.startswith(".") for part in member.split("/") if part != ".")


class Zip:
    """The folders of an archive, as its members' names tell them."""

    def __init__(self, path: str, members: dict[str, zipfile.ZipInfo], shared: Container[int] = ()) -> None:
        """shared: the offsets of members that reach into the next."""
        self.shared = shared
        self.path, self.members = path, {name: info for name, info in members.items() if is_sample(name)}
        self.listings = {name: info for name, info in members.items() if not is_sample(name)}
        self.folders: dict[str, tuple[list[str], set[str]]] = {"": ([], set())}
        for name in self.members:
            folder, _, base = name.rpartition("/")
            self._add(folder)[0].append(base)
        self.top = self._common_top()

    def _add(self, folder: str) -> tuple[list[str], set[str]]:
        if folder not in self.folders:
            self.folders[folder] = ([], set())
            above, _, base = folder.rpartition("/")
            self._add(above)[1].add(base)
        return self.folders[folder]

    def _common_top(self) -> str:
        """The one folder that holds all, if it can hold classes; else ""."""
        samples, below = self.folders[""]
        if samples or len(below) != 1:
            return ""
        (only,) = below
        inside, deeper = self.folders[only]
        return f"{only}/" if len(deeper) > 1 or (deeper and not inside) else ""

    def entries(self, folder: str) -> Entries:
        """List a folder."""
        samples, below = self.folders[(self.top + folder).rstrip("/")]
        return sorted(samples), sorted(below)

    def identity(self, folder: str) -> Hashable:
        """Its name: there are no links."""
        return folder

    def prefix(self, folder: str) -> str:
        """The archive's path, !/ and the folder."""
        inside = (self.top + folder).rstrip("/")
        return f"{self.path}!/{inside}/" if inside else f"{self.path}!/"

    def listing(self, folder: str) -> bytes | None:
        """Read the member, if there is one."""
        info = self.listings.get(f"{self.top}{folder}/{LISTING}".replace("//", "/").lstrip("/"))
        if info is None:
            return None
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(info) as file:
                data = file.read(MAX_MEMBER + 1)
        except Exception as error:  # whatever zipfile raises for hostile bytes
            raise InputError(f"{plain(self.prefix(folder))}{LISTING}: it cannot be read: {reason(error)}") from None
        if len(data) > MAX_MEMBER:
            raise InputError(f"{plain(self.prefix(folder))}{LISTING}: it has more than {MAX_MEMBER >> 20} MiB")
        return data

    def store(self, names: Names) -> Store:
        """The places of these members."""
        skip = len(self.path) + 2
        found = [self.members[name[skip:]] for name in names]

        def column(dtype: Any, value: Callable[[zipfile.ZipInfo], int]) -> np.ndarray:
            return np.fromiter((min(value(info), _FAR) for info in found), dtype, len(found))

        return Zipped(
            self.path,
            offset=column(np.int64, lambda info: info.header_offset),
            packed=column(np.int64, lambda info: info.compress_size),
            size=column(np.int64, lambda info: info.file_size),
            crc=column(np.uint32, lambda info: info.CRC),
            method=column(np.uint8, self._method),
        )

    def _method(self, info: zipfile.ZipInfo) -> int:
        if info.header_offset in self.shared:
            return OVERLAPPING
        if info.flag_bits & 1:
            return ENCRYPTED
        if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
            return LINK
        return info.compress_type if info.compress_type in (STORED, DEFLATED) else UNKNOWN
