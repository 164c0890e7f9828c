"""Which pictures show the same, so that each counts once: copies by their pixels, near-copies by `lcnet.dataset.near`.

A model that is judged by the pictures that it was calibrated on, or by others like them, always looks good. Every picture is
decoded once, a large JPEG at a fraction of its size, in threads; some 40 bytes of each are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Any, NamedTuple

import numpy as np

from ..config import Preprocessing
from ..cpus import usable_cpus
from ..dataset.look import CODE, difference_hash
from ..dataset.near import near_groups, near_to, scenes
from ..dataset.parallel import in_order
from ..errors import ImageError
from ..image import decode, resize
from ..sources.found import Found
from ..text import shown

_ENOUGH = 72  # pixels a side to compute a difference hash from
# Bits of 128. Frames of a moved camera differ in up to a dozen, pictures of different things hardly ever in so few; and a
# picture too many that is passed over costs little here, other than where near-copies are faults to be told.
SAME_SCENE = 12
MOST_COMPARED = 50_000  # each with each, which takes seconds; among more only those are found that `near_groups` finds


@dataclass(frozen=True)
class Looks:
    """What tells pictures apart, a row each. `plain`: with too few shades for a hash to say anything, as fog or night."""

    digests: np.ndarray  # uint8 [N,16], of the pixels
    codes: np.ndarray  # uint8 [N,CODE]
    plain: np.ndarray  # bool [N]

    def __len__(self) -> int:
        return len(self.plain)

    def take(self, indices: Any) -> Looks:
        """Some of them, in the order given."""
        return Looks(self.digests[indices], self.codes[indices], self.plain[indices])

    def groups(self, near: bool) -> np.ndarray:
        """Group copies, and near-copies through chains if `near`: int64 [N], the index of each group's first."""
        _, first, inverse = np.unique(_whole(self.digests), return_index=True, return_inverse=True)
        group = first.copy()
        if near:
            patterned = first[~self.plain[first]]
            group[~self.plain[first]] = patterned[_near(self.codes[patterned])]
        lowest = np.full(len(self), len(self))
        np.minimum.at(lowest, group[inverse.reshape(-1)], np.arange(len(self)))
        return lowest[group[inverse.reshape(-1)]]

    def like(self, others: Looks, near: bool) -> np.ndarray:
        """Which have a copy among `others`, or a near-copy if `near`: bool [N]."""
        found = np.isin(_whole(self.digests), _whole(others.digests))
        if near:
            found |= ~self.plain & near_to(self.codes, others.codes[~others.plain], SAME_SCENE)
        return found


def look_at(
    sources: Sequence[Any], preprocessing: Preprocessing, problems: list[str], max_pixels: int
) -> tuple[np.ndarray, Looks]:
    """Look at pictures: the indices of those that can be used, int64 [M], and what tells these apart, M rows.

    What cannot be read, or is of one colour and so shows no ranges, is added to `problems`.
    """
    kept, looks = [], []
    work = partial(_look, preprocessing=preprocessing, max_pixels=max_pixels)
    for index, seen in enumerate(in_order(work, sources, usable_cpus())):
        if seen.problem:
            problems.append(seen.problem)
        else:
            kept.append(index)
            looks.append(seen)
    digests = np.frombuffer(b"".join(seen.digest for seen in looks), np.uint8)
    codes = np.frombuffer(b"".join(seen.code for seen in looks), np.uint8)
    plain = np.array([seen.plain for seen in looks], bool)
    return np.array(kept, np.int64), Looks(digests.reshape(-1, 16), codes.reshape(-1, CODE), plain)


class _Look(NamedTuple):
    digest: bytes = b""
    code: bytes = b""
    plain: bool = False
    problem: str = ""


def _look(source: Any, preprocessing: Preprocessing, max_pixels: int) -> _Look:
    try:
        opened = source.open() if isinstance(source, Found) else source
        pixels = decode(opened, preprocessing, max_pixels, needed=lambda height, width: (_ENOUGH, _ENOUGH))
        small = resize(pixels, (9, 9), "bilinear")  # the hash's own grid: all channels of a large picture become gray there
    except ImageError as error:
        return _Look(problem=str(error))
    if (pixels == pixels[:1, :1]).all():
        return _Look(problem=f"{shown(source)}: all of one colour")
    code, plain = difference_hash(small.mean(axis=2, keepdims=True).astype(np.uint8))
    size = b"%d %d" % pixels.shape[:2]
    return _Look(sha256(size + np.ascontiguousarray(pixels).tobytes()).digest()[:16], code, plain)


def _near(codes: np.ndarray) -> np.ndarray:
    return scenes(codes, SAME_SCENE) if len(codes) <= MOST_COMPARED else near_groups(codes)


def _whole(digests: np.ndarray) -> np.ndarray:
    """Rows of 16 bytes as one value each, which can be sorted."""
    return np.ascontiguousarray(digests).view(np.dtype("S16")).reshape(-1)
