"""A data set made small and quick to read: its pictures scaled once, in tar shards, with the same classes, parts and order.

Written under a temporary name and renamed when all is done and has been opened again, so that no half of it is ever in
place. The same pictures give the same bytes, whatever the number of threads.
"""

from __future__ import annotations

import json
import os
import re
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..cpus import usable_cpus
from ..errors import ImageError, InputError
from ..files import check_folder, replacing_folder
from ..sources.formats import MAX_PIXELS
from ..text import plain
from .labels import CLASSES
from .parallel import in_order
from .samples import Dataset, Splits
from .shrink import shrink
from .tars import BLOCK

SHORTER, QUALITY, SHARD_SIZE = 288, 95, 256 << 20


@dataclass
class Packed:
    """What was written."""

    pictures: dict[str, int] = field(default_factory=dict)  # by part
    shards: int = 0
    bytes: int = 0  # of the shards
    skipped: list[str] = field(default_factory=list)  # why pictures were left out, each with its name


@dataclass(frozen=True)
class Watcher:
    """What is called meanwhile: after each picture, and with the error of one that is left out."""

    advance: Callable[[], None] = lambda: None
    skipped: Callable[[str], None] = lambda text: None


def pack(
    splits: Splits,
    out: str | os.PathLike[str],
    shorter: int = SHORTER,
    quality: int = QUALITY,
    shard_size: int = SHARD_SIZE,
    overwrite: bool = False,
    skip_unreadable: bool = False,
    watcher: Watcher = Watcher(),
    workers: int | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Packed:
    """Write a folder of shards that `open_dataset` opens: train-000000.tar and so on, and classes.txt.

    shorter: pixels of the shorter side at most. quality: of JPEG, 1 to 100. shard_size: bytes at most, but one picture at
    least. An unreadable picture, or one of more than `max_pixels`, raises `ImageError` unless `skip_unreadable`.
    Raises `InputError` for the rest.
    """
    for name, value, least, most in (
        ("shorter", shorter, 1, 65500),
        ("quality", quality, 1, 100),
        ("shard_size", shard_size, 1, 1 << 50),
    ):
        if not isinstance(value, int) or not least <= value <= most:
            raise InputError(f"{name} is {value!r}, expected a whole number from {least} to {most}")
    target = Path(out)
    check_target(target, overwrite)
    listing = _listing(splits.train.classes)
    job = _PackJob(
        partial(shrink, shorter=shorter, quality=quality, max_pixels=max_pixels),
        shard_size,
        skip_unreadable,
        watcher,
        workers or usable_cpus(),
    )
    with replacing_folder(target) as folder:
        (folder / CLASSES).write_bytes(listing)
        for part, dataset in splits.parts().items():
            job.write(dataset, folder, part)
        _check_written(folder, target, job.packed)
    return job.packed


def check_target(target: Path, overwrite: bool) -> None:
    """Raise `InputError` if `target` is in the way: of another pack only `overwrite` takes the place, of all else nothing."""
    check_folder(target, overwrite, _foreign)


def _foreign(folder: Path) -> str:
    other = next((p.name for p in sorted(folder.iterdir()) if not _is_ours(p)), None)
    return "" if other is None else f"it holds {plain(other)}, which lcnet pack did not write"


def _is_ours(path: Path) -> bool:
    return path.is_file() and (path.name == CLASSES or path.suffix == ".tar")


def _listing(classes: tuple[str, ...]) -> bytes:
    for name in classes:
        if not name or "\n" in name or name.endswith("\r") or re.search("[\ud800-\udc7f\udd00-\udfff]", name):
            raise InputError(f"the class {name!r} has a name that is no line of {CLASSES}: rename it")
    return "".join(f"{name}\n" for name in classes).encode("utf-8", "surrogateescape")


class _PackJob:
    """How pictures become shards, and how many were written."""

    def __init__(
        self, shrink: Callable[[bytes], tuple[str, bytes]], shard_size: int, skip: bool, watcher: Watcher, workers: int
    ) -> None:
        self.shrink, self.shard_size, self.skip, self.watcher, self.workers = shrink, shard_size, skip, watcher, workers
        self.packed = Packed()

    def write(self, dataset: Dataset, folder: Path, part: str) -> None:
        """Write the shards of one part."""
        shards = _Shards(folder, part, self.shard_size)
        done = in_order(partial(self._shrunk, dataset), range(len(dataset)), self.workers)
        count = 0
        try:
            for index, (suffix, data, error) in enumerate(done):
                if error:
                    self.packed.skipped.append(error)
                    self.watcher.skipped(error)
                else:
                    shards.add(f"{count:08}", [(suffix, data), _label(dataset, index)])
                    count += 1
                self.watcher.advance()
        finally:
            shards.close()
        self.packed.pictures[part] = count
        self.packed.shards += shards.number
        self.packed.bytes += shards.bytes

    def _shrunk(self, dataset: Dataset, index: int) -> tuple[str, bytes, str]:
        """A picture's suffix, its bytes, and the error if it is to be skipped."""
        try:
            data = dataset.read(index)
            try:
                return (*self.shrink(data), "")
            except ImageError as error:
                raise ImageError(f"{plain(dataset.names[index])}: {error}") from None
        except ImageError as error:
            if not self.skip:
                raise ImageError(f"{error} (--skip-unreadable goes on without such pictures)") from None
            return "", b"", str(error)


def _label(dataset: Dataset, index: int) -> tuple[str, bytes]:
    target = dataset.targets[index]
    if dataset.multi_label:
        return ".json", json.dumps({"label": np.flatnonzero(target).tolist()}).encode()
    return ".cls", b"%d" % target


class _Shards:
    """Writes samples to one tar archive after another."""

    def __init__(self, folder: Path, part: str, limit: int) -> None:
        self.folder, self.part, self.limit = folder, part, limit
        self.number = self.bytes = self.filled = 0
        self.file: BinaryIO | None = None

    def add(self, key: str, members: list[tuple[str, bytes]]) -> None:
        """Append one sample, all in the same archive."""
        blocks = b"".join(_member(key + suffix, data) for suffix, data in members)
        if self.file and self.filled + len(blocks) + 2 * BLOCK > self.limit:
            self.close()
        if not self.file:
            self.file = open(self.folder / f"{self.part}-{self.number:06}.tar", "xb")  # noqa: SIM115
            self.number += 1
        self.file.write(blocks)
        self.filled += len(blocks)

    def close(self) -> None:
        """End the archive that is open."""
        if self.file:
            with self.file as file:
                file.write(bytes(2 * BLOCK))
                file.flush()
                os.fsync(file.fileno())
            self.bytes += self.filled + 2 * BLOCK
            self.file, self.filled = None, 0


def _member(name: str, data: bytes) -> bytes:
    info = tarfile.TarInfo(name)  # its time is 0 and its owner root, so that equal pictures give equal shards
    info.size = len(data)
    return info.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-len(data) % BLOCK)


def _check_written(temporary: Path, target: Path, packed: Packed) -> None:
    from . import open_dataset

    gone = [part for part, count in packed.pictures.items() if not count]
    if gone:
        raise InputError(f"{plain(target)} is not written: no picture of {gone[0]} can be read")
    try:
        open_dataset(temporary)
    except InputError as error:  # a class that only had unreadable pictures
        raise InputError(str(error).replace(plain(temporary), plain(target))) from None
