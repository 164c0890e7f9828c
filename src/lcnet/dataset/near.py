"""Which of many difference hashes are nearly equal, without comparing each with each.

Hashes of 128 bits that differ in at most 6 have at least 2 of their 8 words of 16 bits in common. So for each of the 28
pairs of words only those are compared that agree in both.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

LIMIT = 6  # bits
MAX_STEP = 4096  # of equals in two words, how far apart in their order are compared: a bound where most are alike
BLOCK = 256  # hashes compared with all others at a time

_ONES = np.array([i.bit_count() for i in range(1 << 16)], np.uint8)


def near_groups(codes: np.ndarray) -> np.ndarray:
    """Group hashes, uint8 [N,16], through chains of near ones: int64 [N], the index of each group's first."""
    whole = np.ascontiguousarray(codes).view("V16").reshape(-1)
    _, first, inverse = np.unique(whole, return_index=True, return_inverse=True)
    roots = _Roots(len(first))
    words = np.ascontiguousarray(codes[first]).view(np.uint16)
    for a, b in combinations(range(8), 2):
        _join(words, words[:, a].astype(np.uint32) << 16 | words[:, b], roots)
    group = roots.root[inverse.reshape(-1)]
    lowest = np.full(len(first), len(codes))
    np.minimum.at(lowest, group, np.arange(len(codes)))
    return lowest[group]


def scenes(codes: np.ndarray, limit: int) -> np.ndarray:
    """Do what `near_groups` does for a larger limit: each is compared with each, so twice as many take four times as long."""
    bits = np.unpackbits(codes, axis=1).astype(np.float32)  # so that a matrix product counts the bits that two have in common
    ones, roots = bits.sum(1), _Roots(len(codes))
    for start in range(0, len(codes), BLOCK):
        part, rest = slice(start, start + BLOCK), slice(start, None)
        near = ones[part, None] + ones[rest] - 2 * (bits[part] @ bits[rest].T) <= limit
        while (apart := near & (roots.root[part, None] != roots.root[rest])).any():
            columns = np.flatnonzero(apart.any(0))
            roots.unite(start + apart[:, columns].argmax(0), start + columns)
    return roots.root


def near_to(codes: np.ndarray, others: np.ndarray, limit: int = LIMIT) -> np.ndarray:
    """Which hashes, uint8 [N,16], differ from one of `others`, [M,16], in at most `limit` bits: bool [N]. Takes N x M steps."""
    words, found = np.ascontiguousarray(codes).view(np.uint16), np.zeros(len(codes), bool)
    for other in np.ascontiguousarray(others).view(np.uint16):
        found |= _ONES[words ^ other].sum(1) <= limit
    return found


def _join(words: np.ndarray, keys: np.ndarray, roots: _Roots) -> None:
    """Unite what is near, of hashes with equal keys. words: uint16 [M,8]."""
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    places = np.arange(len(keys))
    neighbors = np.flatnonzero(keys[1:] == keys[:-1])
    for step in range(1, MAX_STEP):
        if (roots.root[order[neighbors]] == roots.root[order[neighbors + 1]]).all():
            return  # and so all of equal keys are together, as the frames of one scene soon are
        places = places[: np.searchsorted(places, len(keys) - step)]
        places = places[keys[places] == keys[places + step]]
        if not len(places):
            return
        left, right = order[places], order[places + step]
        apart = roots.root[left] != roots.root[right]
        left, right = left[apart], right[apart]
        near = _ONES[words[left] ^ words[right]].sum(1) <= LIMIT
        roots.unite(left[near], right[near])


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
