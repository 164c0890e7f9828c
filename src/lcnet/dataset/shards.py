"""WebDataset shards: uncompressed tar archives of samples, whose members come one after another and share a name.

What is before the first dot of a member's last name is the sample's, what is behind it says what the member is: a picture
by its suffix, and its label as .cls, .json or .txt. Names of classes are in a classes.txt beside the shards, one a line.
Compressed shards are refused: their pictures could not be read in any order.
"""

from __future__ import annotations

import os
import re
from array import array
from collections.abc import Iterable, Iterator
from io import FileIO
from itertools import groupby
from typing import NamedTuple

import numpy as np

from ..errors import InputError
from ..sources import ARCHIVES
from ..sources.formats import advice
from ..sources.found import suffix_of
from ..sources.passed import Passed
from ..text import plain, reason
from .joined import SEPARATOR, remark
from .labels import MAX_LABEL, Label, Labels, label_of, read_classes
from .members import LABELS, labels_among, pictures_among
from .parts import part_in, settle, split_of
from .samples import Dataset, NamesBuilder, Splits, check_parts, is_sample
from .stores import Tarred
from .tars import Member, Reader, scan

MAX_SHARDS = 1 << 16

_HIDDEN = re.compile(r"(^|/)\.[^/]").search
_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")


def shards_in(folder: str) -> list[str]:
    """The shards in a folder, or in its folders train, val and test; [] if it is none of shards."""
    tars, below = _listing(folder)
    if tars and not any(_has_data(f"{folder}/{name}") for name in below):
        return tars
    nested = [] if tars else [_listing(f"{folder}/{name}") for name in below if split_of(name)]
    return [tar for tars, folders in nested for tar in tars if not folders]


def _listing(folder: str) -> tuple[list[str], list[str]]:
    with os.scandir(folder) as found:
        entries = sorted((e for e in found if not e.name.startswith(".")), key=lambda e: e.name)
    tars = [e.path for e in entries if e.name.lower().endswith(ARCHIVES[1:]) and e.is_file()]
    return tars, [e.name for e in entries if e.is_dir()]


def _has_data(folder: str) -> bool:
    with os.scandir(folder) as entries:
        return any(e.is_dir() or is_sample(e.name) for e in entries)


def open_pattern(pattern: str, separator: str = SEPARATOR, passed: Passed | None = None) -> Splits:
    """Open the shards that a pattern names: {000..012} and {a,b} are written out, then *, ? and [] are matched."""
    from glob import glob, has_magic

    names = _braces(pattern)
    paths = [path for name in names for path in (sorted(glob(name)) if has_magic(name) else [name])]  # noqa: PTH207
    if not paths:
        raise InputError(f"{plain(pattern)}: no file matches this pattern")
    return open_shards(list(dict.fromkeys(paths)), separator, passed)


def _braces(pattern: str) -> list[str]:
    """Write out the braces of a pattern as a shell does, the innermost first."""
    found = re.search(r"\{([^{}]*)\}", pattern)
    if not found:
        return [pattern]
    numbers = re.fullmatch(r"(\d{1,9})\.\.(\d{1,9})", found[1])
    values: Iterable[str] = found[1].split(",")
    if numbers:
        values = (str(i).zfill(len(numbers[1])) for i in range(int(numbers[1]), int(numbers[2]) + 1))
    names: list[str] = []
    for value in values:
        names += _braces(pattern[: found.start()] + value + pattern[found.end() :])
        if len(names) > MAX_SHARDS:
            raise InputError(f"{plain(pattern)} names {len(names)} shards and more: expected at most {MAX_SHARDS}")
    return names


def open_shards(paths: list[str], separator: str = SEPARATOR, passed: Passed | None = None) -> Splits:
    """Open shards; separator: between several labels in a text. Raises `InputError`, naming the shard and the sample."""
    place = paths[0] if len(paths) == 1 else os.path.dirname(paths[0]) or "."  # noqa: PTH120
    labels = Labels(place, read_classes(paths), separator)
    parts = {part: _Part(shards, labels) for part, shards in _parts(place, paths).items()}
    if not any(len(part.names) for part in parts.values()):
        raise InputError(f"{plain(place)}: there is no picture in these shards: expected members such as 0001.jpg")
    empty = [name for name, part in parts.items() if not len(part.names)]
    if empty:
        raise InputError(f"{plain(place)}: there is no picture in the shards of {empty[0]}")
    table = labels.table()
    datasets = {name: part.dataset(labels, table) for name, part in parts.items()}
    check_parts(place, datasets)
    if passed is not None and not labels.listed:
        remark(datasets["train"], separator, passed)
    return Splits(**datasets)


def _parts(place: str, paths: list[str]) -> dict[str, list[str]]:
    """Sort shards by what their names, or else their folders, say that they are; all are train if that is one thing."""
    parts: dict[str, list[str]] = {}
    for path in paths:
        parts.setdefault(_part_of(path) or "", []).append(path)
    if len(parts) == 1:
        return {"train": paths}
    if "" in parts:
        raise InputError(f"{plain(parts[''][0])}: is it train, val or test? Other shards say so in their names")
    if "train" not in parts:
        raise InputError(f"{plain(place)} has shards of {' and '.join(parts)} but none of train")
    return settle(plain(place), parts)


def _part_of(path: str) -> str | None:
    folder, base = os.path.split(path)
    return part_in(base) or split_of(os.path.basename(folder))  # noqa: PTH119


class _Part:
    """The samples of some shards, as they are found."""

    def __init__(self, paths: list[str], labels: Labels) -> None:
        self.paths, self.names = paths, NamesBuilder()
        self.shard, self.offset, self.size, self.label = array("i"), array("q"), array("q"), array("i")
        for number, path in enumerate(paths):
            with _opened(path) as file:
                self._take(number, path, Reader(file), labels)

    def _take(self, number: int, path: str, reader: Reader, labels: Labels) -> None:
        try:
            for sample in _samples(reader):
                label = labels.number(_checked(sample, reader, labels.separator))
                folder, slash, base = sample.picture.name.rpartition("/")
                self.names.add(f"{path}!/{folder}{slash}", base)
                self.shard.append(number)
                self.offset.append(sample.picture.offset)
                self.size.append(sample.picture.size)
                self.label.append(label)
        except (ValueError, OSError) as error:
            raise InputError(f"{plain(path)}: {reason(error)}") from None

    def dataset(self, labels: Labels, table: np.ndarray) -> Dataset:
        """Return what was found; `table` as `Labels.table` makes it."""
        store = Tarred(
            tuple(self.paths), np.array(self.shard, np.int32), np.array(self.offset, np.int64), np.array(self.size, np.int64)
        )
        return Dataset(labels.classes, table[np.array(self.label, np.int64)], self.names.build(), store)


class _Sample(NamedTuple):
    key: str
    picture: Member
    labels: list[dict[str, Member]]  # the ones that count first first; together those of one rank


def _opened(path: str) -> FileIO:
    if os.path.lexists(path) and not os.path.isfile(path):  # noqa: PTH113  # a pipe would be waited for
        raise InputError(f"{plain(path)} is no file: expected an uncompressed .tar")
    try:
        file = FileIO(path)
    except OSError as error:
        raise InputError(f"{plain(path)}: {reason(error)}") from None
    start = file.read(6)
    if start.startswith(_COMPRESSED):
        file.close()
        raise InputError(
            f"{plain(path)} is compressed, so its pictures cannot be read in any order: expand it to a plain "
            ".tar (pictures hardly shrink)"
        )
    return file


def _samples(reader: Reader) -> Iterator[_Sample]:
    """Group members by what is before the first dot; those without a picture are passed over unless they have a class."""
    for key, group in groupby(_named(reader), lambda named: named[0]):
        kinds: dict[str, Member] = {}
        for _, kind, member in group:
            if kind in kinds:
                raise ValueError(f"sample {plain(key)} has two members {kind}")
            kinds[kind] = member
        labels = labels_among(kinds)
        pictures = pictures_among(kinds, labelled=bool(labels))
        if not (pictures or any(kind.endswith(".cls") for ranks in labels for kind in ranks)):
            continue
        if len(pictures) != 1:
            other = "".join(f" ({kind} {what})" for kind in kinds if (what := advice(kind)))
            several = f"has {'two' if len(pictures) == 2 else len(pictures)} pictures, {' and '.join(pictures)}"
            found = several if pictures else f"has a class and no picture{other}"
            raise ValueError(f"sample {plain(key)} {found}: expected one, and its label directly before or after it")
        yield _Sample(key, kinds[pictures[0]], [{kind: kinds[kind] for kind in same} for same in labels])


def _named(reader: Reader) -> Iterator[tuple[str, str, Member]]:
    """The members that are not hidden: before the first dot of the last name, the rest in small letters, the member."""
    for member in scan(reader):
        folder, slash, base = member.name.rpartition("/")
        stem, dot, kind = base.partition(".")
        if stem and not _HIDDEN(folder):
            yield folder + slash + stem, (dot + kind).lower(), member


def _checked(sample: _Sample, reader: Reader, separator: str) -> Label:
    """The first label that says something. Raises `ValueError` if there is none, or if two say it alike."""
    for same in sample.labels:
        found = {kind: label for kind, member in same.items() if (label := _label(kind, member, reader, separator))}
        if len({*found.values()}) > 1:
            raise ValueError(f"sample {plain(sample.key)} has different labels, {' and '.join(found)}: expected one")
        if found:
            return next(iter(found.values()))
    raise ValueError(f"sample {plain(sample.key)} has no label: expected {', '.join(LABELS)} directly before or after it")


def _label(kind: str, member: Member, reader: Reader, separator: str) -> Label | None:
    if not 0 <= member.size <= MAX_LABEL:
        raise ValueError(f"{plain(member.name)} has {member.size} bytes, expected a label")
    try:
        return label_of(suffix_of(kind), reader.at(member.offset, member.size), separator)
    except ValueError as error:
        raise ValueError(f"{plain(member.name)}: {error}") from None
