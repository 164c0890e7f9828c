"""Splitting a data set in two, the same way every time, with every class and all copies of a picture on one side.

Copies are found by size, then by a few bytes, and only then by all, so that few pictures are read in full.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from hashlib import sha256

import numpy as np

from ..cpus import usable_cpus
from ..errors import ImageError, InputError
from .parallel import in_order
from .samples import Dataset

_CHUNK = 512  # pictures a task: one for each would take more memory than all names


def split(dataset: Dataset, fraction: float = 0.1, seed: int = 0) -> tuple[Dataset, Dataset]:
    """Return two parts, (train, val), `fraction` of each class in the second; both keep the order they had.

    Pictures of equal bytes stay together. Of a class with two distinct pictures or more each side has one; a class with
    one keeps it in train, and so do copies that have different labels. Of several labels a picture, only the whole is
    divided so. Raises `InputError` if there is nothing to divide.
    """
    if not (isinstance(fraction, (int, float)) and 0 < fraction < 1):
        raise InputError(f"fraction is {fraction!r}, expected a number between 0 and 1")
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise InputError(f"seed is {seed!r}, expected a whole number")
    groups = duplicate_groups(dataset)
    rng = random.Random(seed)
    order = np.array([rng.random() for _ in range(len(dataset))])  # the same numbers in every Python
    single = dataset.targets if not dataset.multi_label else np.zeros(len(dataset), np.int64)
    strata = _strata(single, groups)
    anchored = set(single[strata < 0].tolist())
    in_val = np.zeros(len(dataset), bool)
    for members in _blocks(strata):
        stratum = int(strata[members[0]])
        if stratum >= 0:
            in_val[_chosen(members, groups, order, fraction, stratum in anchored)] = True
    if not in_val.any():
        raise InputError("there is nothing to split off: no class has two distinct pictures")
    return dataset.subset(np.flatnonzero(~in_val)), dataset.subset(np.flatnonzero(in_val))


def duplicate_groups(dataset: Dataset) -> np.ndarray:
    """Return int64 [N]: for each picture the index of the first that has the same bytes; unreadable ones stand alone."""
    groups = np.zeros(len(dataset), np.int64)
    for facet in (lambda i: b"%d" % dataset.size(i), dataset.mark, dataset.read):
        groups = _refined(groups, facet)
    return groups


def _refined(groups: np.ndarray, facet: Callable[[int], bytes]) -> np.ndarray:
    """Divide the groups of several pictures by what `facet` gives for each."""
    alike = np.flatnonzero(np.bincount(groups, minlength=len(groups))[groups] > 1)
    refined = np.arange(len(groups))
    if len(alike):
        marks = digests(facet, alike)
        keys = (marks[:, 1], marks[:, 0], groups[alike])
        order = np.lexsort(keys)  # stable: the first of each run has the lowest index
        new = np.any([np.diff(key[order]) != 0 for key in keys], axis=0)
        firsts = np.flatnonzero(np.concatenate([[True], new]))
        runs = np.diff([*firsts, len(alike)])
        refined[alike[order]] = np.repeat(alike[order[firsts]], runs)
    return refined


def digests(facet: Callable[[int], bytes], indices: np.ndarray) -> np.ndarray:
    """Return uint64 [M,2]: the first half of the SHA-256 of what `facet` gives for each; of unreadable ones any."""

    def work(start: int) -> bytes:
        return b"".join(_digest(facet, int(i)) for i in indices[start : start + _CHUNK])

    workers = max(4, usable_cpus())  # more than processors: they wait for the disk
    parts = in_order(work, range(0, len(indices), _CHUNK), workers)
    return np.frombuffer(b"".join(parts), np.uint64).reshape(-1, 2)


def _digest(facet: Callable[[int], bytes], index: int) -> bytes:
    try:
        data = facet(index)
    except ImageError:
        data = b"unreadable picture %d" % index
    return sha256(data).digest()[:16]


def _strata(targets: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The class of each picture, int64 [N]; -1 for copies that have several."""
    low, high = np.full(len(groups), np.iinfo(np.int64).max), np.full(len(groups), -1)
    np.minimum.at(low, groups, targets)
    np.maximum.at(high, groups, targets)
    return np.where(low[groups] == high[groups], targets, -1)


def _blocks(values: np.ndarray) -> list[np.ndarray]:
    """The indices of each distinct value."""
    order = np.argsort(values, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(values[order])) + 1)


def _chosen(members: np.ndarray, groups: np.ndarray, order: np.ndarray, fraction: float, anchored: bool) -> np.ndarray:
    """Choose whole groups up to the fraction, but one at least and, unless the class is `anchored` in train, not all."""
    ids, group, sizes = np.unique(groups[members], return_inverse=True, return_counts=True)
    most, left = len(ids) - (not anchored), max(1, round(fraction * len(members)))
    taken: list[int] = []
    for i in np.argsort(order[ids], kind="stable").tolist():
        if len(taken) < most and sizes[i] <= left:
            taken.append(i)
            left -= int(sizes[i])
    if not taken and most:
        taken = [int(np.argmin(sizes))]
    return members[np.isin(group, taken)]
