"""Which of many pictures are candidates for being nearly the same: by difference hashes, by embeddings, joined in chains.

Hashes of 128 bits that differ in at most 6 have at least 2 of their 8 words of 16 bits in common. So `near_groups` compares,
for each of the 28 pairs of words, only those that agree in both. `linked` compares each with each, by matrix products.
What is a candidate may have to be confirmed: then only confirmed pairs make chains.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np

LIMIT = 6  # bits
MAX_STEP = 4096  # of equals in two words, how far apart in their order are compared: a bound where most are alike
BLOCK = 256  # hashes compared with all others at a time

Confirm = Callable[[np.ndarray, np.ndarray], np.ndarray]  # of pairs, int64 [M] twice: which are, bool [M]
Near = Callable[[slice, np.ndarray | slice], np.ndarray]  # candidates among rows and columns: bool [rows,columns]

_ONES = np.array([i.bit_count() for i in range(1 << 16)], np.uint8)
_COMPONENTS = 96  # of embeddings, for a bound of their cosine
_SAMPLE = 2048  # embeddings from which the components are found
_SLACK = 2e-3  # of float16 and float32 sums


def near_groups(
    codes: np.ndarray, limit: int = LIMIT, confirm: Confirm | None = None, mirrored: np.ndarray | None = None
) -> np.ndarray:
    """Group hashes, uint8 [N,16], through chains of near ones: int64 [N], the index of each group's first.

    Of hashes that differ in more than 6 bits not all are found. mirrored: second hashes, which may be near the others' first.
    """
    if confirm is None and mirrored is None:
        whole = np.ascontiguousarray(codes).view("V16").reshape(-1)
        _, first, inverse = np.unique(whole, return_index=True, return_inverse=True)
        group = _word_groups(codes[first], np.arange(len(first)), limit, None)[inverse.reshape(-1)]
        return _firsts(group, len(codes))
    both = codes if mirrored is None else np.concatenate([codes, mirrored])
    return _firsts(_word_groups(both, np.arange(len(both)) % max(len(codes), 1), limit, confirm), len(codes))


def _word_groups(codes: np.ndarray, ids: np.ndarray, limit: int, confirm: Confirm | None) -> np.ndarray:
    words, roots = np.ascontiguousarray(codes).view(np.uint16), _Roots(int(ids.max(initial=-1)) + 1)
    for a, b in combinations(range(8), 2):
        _join(words, words[:, a].astype(np.uint32) << 16 | words[:, b], ids, roots, limit, confirm)
    return roots.root


def _firsts(group: np.ndarray, count: int) -> np.ndarray:
    lowest = np.full(count, count)
    np.minimum.at(lowest, group, np.arange(count))
    return lowest[group]


def scenes(codes: np.ndarray, limit: int) -> np.ndarray:
    """Do what `near_groups` does for a larger limit: each is compared with each, so twice as many take four times as long."""
    return linked(len(codes), hashes_within(codes, limit))


def linked(count: int, near: Near, confirm: Confirm | None = None) -> np.ndarray:
    """Group `count` things through chains of near ones, each compared with each: int64 [N], the index of each group's first."""
    roots = _Roots(count)
    for start in range(0, count, BLOCK):
        rows = slice(start, min(start + BLOCK, count))
        columns = np.arange(start, count)
        own = roots.root[rows]
        if (own == own[0]).all():
            columns = columns[roots.root[columns] != own[0]]
        if not len(columns):
            continue
        found = near(rows, slice(start, None) if len(columns) == count - start else columns)
        _unite_found(roots, found, start, columns, confirm)
    return roots.root


def _unite_found(roots: _Roots, found: np.ndarray, start: int, columns: np.ndarray, confirm: Confirm | None) -> None:
    rows = slice(start, start + len(found))
    while (apart := found & (roots.root[rows, None] != roots.root[columns])).any():
        some = apart.any(0)
        found, columns = found[:, some], columns[some]
        first = apart[:, some].argmax(0)
        good = np.ones(len(first), bool) if confirm is None else confirm(start + first, columns)
        found[first[~good], np.flatnonzero(~good)] = False
        roots.unite(start + first[good], columns[good])


def hashes_within(codes: np.ndarray, limit: int, mirrored: np.ndarray | None = None) -> Near:
    """Candidates are hashes, uint8 [N,16], that differ in at most `limit` bits, also one from the mirrored one of the other."""
    bits = np.unpackbits(codes, axis=1).astype(np.float32)  # so that a matrix product counts the bits that two have in common
    turned = np.unpackbits(mirrored, axis=1).astype(np.float32) if mirrored is not None else None

    def within(some: np.ndarray, others: np.ndarray) -> np.ndarray:
        common = some @ others.T
        common *= -2
        common += some.sum(1)[:, None]
        common += others.sum(1)
        return common <= limit

    def near(rows: slice, columns: np.ndarray | slice) -> np.ndarray:
        found = within(bits[rows], bits[columns])
        if turned is not None:
            found |= within(bits[rows], turned[columns])
        return found

    return near


def cosines_above(vectors: np.ndarray, some: np.ndarray, least: float) -> Near:
    """Candidates are those of `some` vectors [N,D] of unit length whose cosine is at least `least`: all, and next to no others.

    In a few components of the most weight and the length of the rest, one more, a product is a bound of the cosine, by Cauchy
    and Schwarz; only where that is large enough the whole vectors are multiplied, a few thousand of which are in memory.
    """

    def whole(places: np.ndarray) -> np.ndarray:
        return vectors[some[places]].astype(np.float32)

    every = np.arange(len(some))
    sample = whole(every[:: max(1, len(some) // _SAMPLE)])
    axes = np.ascontiguousarray(np.linalg.eigh(sample.T @ sample)[1][:, -_COMPONENTS:])
    short = np.empty((len(some), axes.shape[1] + 1), np.float32)
    for start in range(0, len(some), BLOCK):
        part, few = whole(every[start : start + BLOCK]), short[start : start + BLOCK]
        few[:, :-1] = part @ axes
        few[:, -1] = np.sqrt(np.maximum(np.square(part).sum(1) - np.square(few[:, :-1]).sum(1), 0))

    def near(rows: slice, columns: np.ndarray | slice) -> np.ndarray:
        found = short[rows] @ short[columns].T >= least - _SLACK
        likely, own = np.flatnonzero(found.any(0)), whole(every[rows])
        places = every[columns][likely]
        for i in range(0, len(likely), 16 * BLOCK):
            few = slice(i, i + 16 * BLOCK)
            found[:, likely[few]] &= own @ whole(places[few]).T >= least - _SLACK
        return found

    return near


def apart(codes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """In how many bits hashes differ: uint8 [N,16], or as words, and as many, or one, to int64 [N]."""
    return _ONES[(np.ascontiguousarray(codes) ^ others).view(np.uint16)].sum(1, dtype=np.int64)


def near_to(codes: np.ndarray, others: np.ndarray, limit: int = LIMIT) -> np.ndarray:
    """Which hashes, uint8 [N,16], differ from one of `others`, [M,16], in at most `limit` bits: bool [N]. Takes N x M steps."""
    codes, found = np.ascontiguousarray(codes), np.zeros(len(codes), bool)
    for other in others:
        found |= apart(codes, other) <= limit
    return found


def _join(words: np.ndarray, keys: np.ndarray, ids: np.ndarray, roots: _Roots, limit: int, confirm: Confirm | None) -> None:
    """Unite what is near, of hashes with equal keys. words: uint16 [M,8]; ids: whose they are, in `roots`."""
    order = np.argsort(keys, kind="stable")
    keys, ids = keys[order], ids[order]
    places = np.arange(len(keys))
    neighbors = np.flatnonzero(keys[1:] == keys[:-1])
    for step in range(1, MAX_STEP):
        if (roots.root[ids[neighbors]] == roots.root[ids[neighbors + 1]]).all():
            return  # and so all of equal keys are together, as the frames of one scene soon are
        places = places[: np.searchsorted(places, len(keys) - step)]
        places = places[keys[places] == keys[places + step]]
        if not len(places):
            return
        left, right = places, places + step
        divided = roots.root[ids[left]] != roots.root[ids[right]]
        left, right = left[divided], right[divided]
        near = apart(words[order[left]], words[order[right]]) <= limit
        left, right = ids[left[near]], ids[right[near]]
        good = slice(None) if confirm is None or not len(left) else confirm(left, right)
        roots.unite(left[good], right[good])


class _Roots:
    """Disjoint sets; between calls every element points at its root."""

    def __init__(self, count: int) -> None:
        self.root = np.arange(count)

    def unite(self, left: np.ndarray, right: np.ndarray) -> None:
        """Make one set of each pair's two."""
        if not len(left):
            return
        for a, b in zip(left.tolist(), right.tolist(), strict=True):
            a, b = self._find(a), self._find(b)
            self.root[max(a, b)] = min(a, b)
        while (flat := self.root[self.root]) is not None and (flat != self.root).any():
            self.root = flat

    def _find(self, element: int) -> int:
        while (above := int(self.root[element])) != element:
            element = above
        return element
