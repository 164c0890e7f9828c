"""What may be wrong with a data set: pictures that cannot be read, copies, leaks into val or test, labels at odds.

Reads and decodes every picture once, in threads, and keeps some 150 bytes of each. Errors would stop training; warnings make
its result or its measurement doubtful; remarks are worth knowing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from ..cpus import usable_cpus
from ..errors import ImageError
from ..sources.formats import MAX_PIXELS
from ..sources.passed import Passed
from .copies import Copies, blocks
from .look import CMYK, DEEP, FRAMES, ROTATED, SMALL, TINY, TRANSPARENT, UNREADABLE, Look, look
from .parallel import in_order
from .parts import split_of
from .samples import Dataset, Splits, class_counts

FEW = 10  # pictures of a class in train
UNEVEN = 10  # times as many pictures of one class as of another

ERROR, WARNING, REMARK = LEVELS = ("error", "warning", "remark")
TRAITS = {
    DEEP: ("16-bit", "pictures of more than 8 bits a channel: they are scaled to 8"),
    CMYK: ("cmyk", "CMYK pictures: they are converted to RGB without a colour profile"),
    ROTATED: ("rotated", "pictures that their EXIF orientation turns upright"),
    TRANSPARENT: ("transparent", "pictures with transparency: they are laid on a background"),
    FRAMES: ("animated", "pictures of several frames or pages: the first is taken"),
    SMALL: ("tiny", f"pictures with a side of less than {TINY} pixels"),
}


@dataclass(frozen=True)
class Finding:
    """One kind of thing that was found, and all places."""

    kind: str
    level: str  # of LEVELS
    text: str
    items: list[dict[str, Any]]


@dataclass(frozen=True)
class Report:
    """What there is and what was found, the worst first."""

    pictures: dict[str, int]  # by part
    classes: list[dict[str, Any]]  # name, and the number of pictures by part
    multi_label: bool
    findings: list[Finding] = field(default_factory=list)

    @property
    def stops_training(self) -> bool:
        """Whether training would end with an error."""
        return any(finding.level == ERROR for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {**asdict(self), "stops_training": self.stops_training}


def check(
    splits: Splits,
    advance: Callable[[], None] = lambda: None,
    workers: int | None = None,
    max_pixels: int = MAX_PIXELS,
    passed: Passed | None = None,
) -> Report:
    """Look at every picture and at the labels. `advance` is called once a picture; `passed`: what was not taken of the data."""
    parts = splits.parts()
    counts = {name: class_counts(part).tolist() for name, part in parts.items()}
    classes = [{"name": label, **{name: counts[name][i] for name in parts}} for i, label in enumerate(splits.train.classes)]
    seen = _Seen(parts, advance, workers or usable_cpus(), max_pixels)
    found = [*seen.unreadable(), *_copies(seen), *_labels(parts, classes), *seen.traits(), *_left_out(passed)]
    found.sort(key=lambda finding: LEVELS.index(finding.level))
    return Report({name: len(part) for name, part in parts.items()}, classes, splits.train.multi_label, found)


class _Seen:
    """What was seen of each picture, all parts in a row."""

    def __init__(self, parts: dict[str, Dataset], advance: Callable[[], None], workers: int, max_pixels: int) -> None:
        self.max_pixels = max_pixels
        self.parts = list(parts.items())
        self.ends = np.cumsum([len(part) for part in parts.values()])
        self.copies, self.errors = Copies(), dict[int, str]()
        for i, seen in enumerate(in_order(self._look, range(int(self.ends[-1])), workers)):
            self.copies.add(seen)
            if seen.error:
                self.errors[i] = seen.error
            advance()
        self.kinds = np.array(self.copies.traits)

    def _look(self, index: int) -> Look:
        part, _, row = self._place(index)
        try:
            return look(part.read(row), self.max_pixels)
        except ImageError as error:
            return Look(bytes(32), error=str(error).removeprefix(f"{part.names[row]}: "))

    def _place(self, index: int) -> tuple[Dataset, str, int]:
        number = int(np.searchsorted(self.ends, index, "right"))
        name, part = self.parts[number]
        return part, name, index - int(self.ends[number]) + len(part)

    def item(self, index: int) -> dict[str, Any]:
        """Say which picture this is."""
        part, name, row = self._place(index)
        target = part.targets[row]
        labels = [part.classes[i] for i in (np.flatnonzero(target) if part.multi_label else [target])]
        return {"file": part.names[row], "part": name, "labels": labels}

    def unreadable(self) -> Iterator[Finding]:
        """The pictures that would stop training."""
        items = [{**self.item(i), "reason": text} for i, text in self.errors.items()]
        if items:
            yield Finding("unreadable", ERROR, "pictures that cannot be read", items)

    def traits(self) -> Iterator[Finding]:
        """The pictures with a trait that there is a rule for."""
        for bit, (kind, text) in TRAITS.items():
            items = [self.item(int(i)) for i in np.flatnonzero(self.kinds & bit)]
            if items:
                yield Finding(kind, REMARK, text, items)


def _left_out(passed: Passed | None) -> Iterator[Finding]:
    rows = [{"kind": kind, "files": count, "advice": what} for kind, count, what in passed.rows()] if passed else []
    pictures, others = [row for row in rows if row["advice"]], [row for row in rows if not row["advice"]]
    if pictures:
        yield Finding("untaken-pictures", WARNING, "kinds of pictures that are not taken", pictures)
    if others:
        yield Finding("untaken-files", REMARK, "kinds of other files, which are not taken", others)
    for kind, (text, names) in passed.remarks.items() if passed else ():
        yield Finding(kind, REMARK, text, [{"names": [name]} for name in names])
    if passed and passed.stray:
        yield Finding("stray", WARNING, "pictures in no class's folder, which are not taken", [{"files": passed.stray}])


def _copies(seen: _Seen) -> Iterator[Finding]:
    readable = np.flatnonzero(seen.kinds != UNREADABLE)
    exact = seen.copies.same_bytes(readable)
    yield from _divided(seen, _groups(readable, exact), "copies", "copies of one picture")
    distinct = readable[np.unique(exact)]
    yield from _divided(
        seen, _groups(distinct, seen.copies.chains(distinct)), "near-copies", "pictures that nearly are the same"
    )


def _groups(indices: np.ndarray, group: np.ndarray) -> list[list[int]]:
    """The members of each group of more than one, in their order."""
    return sorted(indices[members].tolist() for members in blocks(group))


def _divided(seen: _Seen, groups: list[list[int]], kind: str, text: str) -> Iterator[Finding]:
    """Sort groups of copies by how bad they are: of several labels, in several parts, or neither."""
    sorted_out: dict[str, list[dict[str, Any]]] = {"labels": [], "parts": [], "": []}
    for group in groups:
        pictures = [seen.item(i) for i in group]
        several = [key for key in ("labels", "part") if len({str(picture[key]) for picture in pictures}) > 1]
        for key in several or [""]:
            sorted_out["parts" if key == "part" else key].append({"pictures": pictures})
    ends = {"labels": (WARNING, " with different labels"), "parts": (WARNING, " in different parts"), "": (REMARK, "")}
    for key, items in sorted_out.items():
        if items:
            level, end = ends[key]
            yield Finding(f"{kind}-{key}" if key else kind, level, text + end, items)


def _labels(parts: dict[str, Dataset], classes: list[dict[str, Any]]) -> Iterator[Finding]:
    few = [c for c in classes if c["train"] < FEW]
    if few:
        yield Finding("few", WARNING, f"classes with fewer than {FEW} pictures in train", few)
    for part in [name for name in parts if name != "train"]:
        absent = [c for c in classes if not c[part]]
        if absent:
            yield Finding(f"absent-{part}", REMARK, f"classes without pictures in {part}", absent)
    alike: dict[str, list[str]] = {}
    for c in classes:
        alike.setdefault(re.sub(r"[\s_-]+", "", c["name"]).casefold(), []).append(c["name"])
    parted = [c for c in classes if split_of(c["name"])]
    if parted:
        yield Finding("part-names", WARNING, "classes that are called like parts of a data set", parted)
    same = [{"names": names} for names in alike.values() if len(names) > 1]
    if same:
        yield Finding("alike", WARNING, "names of classes that differ by case, spaces, - and _ only", same)
    by_size = sorted(classes, key=lambda c: c["train"])
    if by_size[-1]["train"] > UNEVEN * by_size[0]["train"]:
        yield Finding(
            "uneven",
            REMARK,
            f"the largest class has more than {UNEVEN} times the pictures of the smallest",
            [by_size[-1], by_size[0]],
        )
