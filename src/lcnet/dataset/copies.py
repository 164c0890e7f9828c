"""The finder of copies: of the same bytes, of the same pixels, nearly the same. Pictures come one by one; groups at the end.

Groups stand around a representative, the one to keep: most pixels, then most bytes, then the first to come. Every member of a
group of near copies is confirmed against it by pixels. Chains, in which the first and the last may be unlike, are for those who
divide pictures, so that no copy is on another side. Some 150 bytes of each picture are in memory; thumbnails are in a temporary
file.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from tempfile import TemporaryFile, gettempdir
from typing import NamedTuple

import numpy as np

from ..errors import InputError
from ..text import plain
from .look import PLAIN, UNREADABLE, Look
from .near import LIMIT, Near, apart, cosines_above, hashes_within, linked, near_groups
from .thumbs import THUMB, as_part, similarities

BYTES, PIXELS, NEAR = KINDS = ("bytes", "pixels", "near")
WIDE = 12  # bits of 128 in which hashes of near copies differ at most: other pictures do in 14 or more, or hardly ever
MIN_SIMILARITY = 0.93
MIN_COSINE = 0.9
MOST_COMPARED = 150_000  # each with each, two minutes; among more those of which `near_groups` makes candidates

ThumbOf = Callable[[int], tuple[bytes, tuple[int, int]] | None]


class Group(NamedTuple):
    """Copies by their numbers, the one to keep first, and how similar each is to that."""

    kind: str  # of KINDS
    members: list[int]
    similar: list[float]


class Rows:
    """Rows of equal length in a temporary file, which are mapped once all are there."""

    def __init__(self, length: int, dtype: type = np.uint8) -> None:
        self.length, self.dtype, self.count = length, np.dtype(dtype), 0
        with _told():
            self.file = TemporaryFile(buffering=1 << 20)  # noqa: SIM115

    def add(self, rows: bytes, count: int = 1) -> None:
        """Add one or several, as their bytes."""
        with _told():
            self.file.write(rows)
        self.count += count

    def mapped(self) -> np.ndarray:
        """All of them: [N,length], read from the file as they are used."""
        with _told():
            self.file.flush()
        shape = (self.count, self.length)
        return np.memmap(self.file, self.dtype, "r", shape=shape) if self.count else np.empty(shape, self.dtype)


@contextmanager
def _told() -> Iterator[None]:
    """Make an `InputError` that says where of what the system says of a temporary file."""
    try:
        yield
    except OSError as error:
        why = f"a temporary file in {plain(gettempdir())} cannot be written: {error.strerror}"
        raise InputError(f"{why}; TMPDIR names another folder") from None


class Copies:
    """What was seen of each picture, in the order in which they came, which gives them their numbers."""

    def __init__(self, min_similarity: float = MIN_SIMILARITY, thumb_of: ThumbOf = lambda _: None) -> None:
        """thumb_of: a known picture's thumbnail, height and width, by its number, asked for if it may be a near copy."""
        self.least, self.thumb_of = min_similarity, thumb_of
        self.digests, self.pixels, self.codes, self.mirrored = bytearray(), bytearray(), bytearray(), bytearray()
        self.shapes, self.sizes, self.traits, self.order = array("i"), array("q"), array("H"), array("b")
        self.thumbs = Rows(THUMB)

    def __len__(self) -> int:
        return len(self.sizes)

    def add(self, look: Look, size: int = 1, last: bool = False) -> None:
        """Add a picture. size: bytes; last: it comes after others of as many pixels and bytes, as what cannot be kept alone."""
        self._add(look, size, int(last))

    def add_known(self, digest: bytes, pixels: bytes, code: bytes, plain: bool = False) -> None:
        """Add a picture that is there already, and so is the one to keep: SHA-256 of bytes and of pixels, difference hash.

        pixels may be empty, where nobody knows. plain: it has too few shades for the hash to say anything.
        """
        self._add(Look(digest, PLAIN * plain, code, pixels=pixels), 1, -1)

    def _add(self, look: Look, size: int, order: int) -> None:
        self.digests += look.digest
        self.pixels += look.pixels[:16].ljust(16, b"\0")
        self.codes += look.code
        self.mirrored += look.mirrored
        self.shapes.extend(look.shape)
        self.sizes.append(size)
        self.traits.append(look.traits if not look.error else UNREADABLE)
        self.order.append(order)
        self.thumbs.add(look.thumb)

    def digest(self, number: int) -> bytes:
        """The SHA-256 of the bytes of a picture."""
        return bytes(self.digests[32 * number : 32 * number + 32])

    def same_bytes(self, some: np.ndarray) -> np.ndarray:
        """Of the pictures with these numbers, the place of the first with the same bytes: int64 [M]."""
        return _first_equal(_rows(self.digests, 32)[some])

    def chains(self, some: np.ndarray) -> np.ndarray:
        """Of the pictures with these numbers, through chains of near copies, the place of each chain's first: int64 [M]."""
        group = np.arange(len(some))
        patterned = np.flatnonzero((np.array(self.traits)[some] & (PLAIN | UNREADABLE)) == 0)
        group[patterned] = patterned[_NearCopies(self, some[patterned], None).chains()]
        return group

    def groups(self, kinds: Sequence[str] = KINDS, vectors: np.ndarray | None = None) -> Iterator[Group]:
        """All groups with something new in them, by kind: of each only the representative is compared any further.

        vectors: embeddings of unit length, [N,D], zeros for pictures without: more candidates of near copies.
        """
        some, traits = self._ranked(), np.array(self.traits)
        some = yield from self._equal(BYTES, some, self.same_bytes(some), kinds)
        some = some[traits[some] != UNREADABLE]
        if {PIXELS, NEAR} & set(kinds):
            some = yield from self._equal(PIXELS, some, self._same_pixels(some), kinds)
        if NEAR in kinds:
            some = some[(traits[some] & PLAIN) == 0]
            yield from filter(self._is_new, _NearCopies(self, some, vectors).stars())

    def _ranked(self) -> np.ndarray:
        """The numbers of all that are not empty: what is known first, then the one to keep before its copies."""
        order, sizes = np.array(self.order), np.array(self.sizes)
        counts = np.array(self.shapes, np.int64).reshape(-1, 2).prod(1)
        ranked = np.lexsort((order > 0, -sizes, -counts, order >= 0))
        return ranked[sizes[ranked] > 0]

    def _same_pixels(self, some: np.ndarray) -> np.ndarray:
        """Do what `same_bytes` does for pixels; those of which nobody knows the pixels are like no other."""
        pixels, place = _rows(self.pixels, 16)[some], np.arange(len(some))
        told = place[pixels.any(1)]
        place[told] = told[_first_equal(pixels[told])]
        return place

    def _is_new(self, group: Group) -> bool:
        """Whether not all of a group were known: what was comes first, so its last tells."""
        return self.order[group.members[-1]] >= 0

    def _equal(
        self, kind: str, some: np.ndarray, place: np.ndarray, kinds: Sequence[str]
    ) -> Generator[Group, None, np.ndarray]:
        """Yield the groups of several, if they were asked for; returns the first of each."""
        if kind in kinds:
            groups = (Group(kind, some[members].tolist(), [1.0] * len(members)) for members in blocks(place))
            yield from filter(self._is_new, groups)
        return some[np.unique(place)]


def blocks(group: np.ndarray) -> Iterator[np.ndarray]:
    """The places of each group of more than one, in their order; group: int64 [N]."""
    order = np.argsort(group, kind="stable")
    for members in np.split(order, np.flatnonzero(np.diff(group[order])) + 1):
        if len(members) > 1:
            yield members


def _rows(data: bytearray, length: int) -> np.ndarray:
    return np.frombuffer(bytes(data), np.uint8).reshape(-1, length)


def _first_equal(rows: np.ndarray) -> np.ndarray:
    """Of each row the place of the first that is equal: uint8 [N,L] to int64 [N]."""
    whole = np.ascontiguousarray(rows).view(f"V{rows.shape[1]}").reshape(-1)
    _, first, inverse = np.unique(whole, return_index=True, return_inverse=True)
    return first[inverse.reshape(-1)]


class _NearCopies:
    """Near copies among some of the pictures, known here by their places among these."""

    def __init__(self, copies: Copies, some: np.ndarray, vectors: np.ndarray | None) -> None:
        self.copies, self.some, self.least = copies, some, copies.least
        self.codes, self.mirrored = _rows(copies.codes, 16)[some], _rows(copies.mirrored, 16)[some]
        self.shapes = np.array(copies.shapes, np.int64).reshape(-1, 2)[some]
        self.known = np.array(copies.order)[some] < 0
        self.vectors = vectors
        self.thumbs = copies.thumbs.mapped()
        self.filled: dict[int, tuple[bytes, tuple[int, int]] | None] = {}

    def chains(self) -> np.ndarray:
        """Through chains of confirmed pairs: int64 [M], the place of each one's first."""
        if not len(self.some):
            return self.some
        if len(self.some) > MOST_COMPARED and self.vectors is None:
            return near_groups(self.codes, WIDE, self.confirm, self.mirrored)
        return linked(len(self.some), self._candidates(), self.confirm)

    def _candidates(self) -> Near:
        by_hash = hashes_within(self.codes, WIDE, self.mirrored)
        if self.vectors is None:
            return by_hash
        by_vector = cosines_above(self.vectors, self.some, MIN_COSINE)
        return lambda rows, columns: by_hash(rows, columns) | by_vector(rows, columns)

    def stars(self) -> Iterator[Group]:
        """Around representatives, which come first by rank: so the places are."""
        for members in blocks(self.chains()):
            while len(members) > 1:
                first, others = members[0], members[1:]
                found = np.zeros(len(others), np.float32)
                candidates = np.flatnonzero(self._may_be(first, others))
                found[candidates] = self.similar(np.full(len(candidates), first), others[candidates])
                good = found >= self.least
                if good.any():
                    numbers = self.some[[first, *others[good]]].tolist()
                    yield Group(NEAR, numbers, [1.0, *np.round(found[good].astype(float), 4).tolist()])
                members = others[~good]

    def _may_be(self, first: int, others: np.ndarray) -> np.ndarray:
        one, mirror = self.codes[first], self.mirrored[first]
        bits = np.minimum(apart(self.codes[others], one), apart(self.mirrored[others], one))
        found = np.minimum(bits, apart(self.codes[others], mirror)) <= WIDE
        if self.vectors is not None:
            whole = self.vectors[self.some[[first, *others]]].astype(np.float32)
            found |= whole[1:] @ whole[0] >= MIN_COSINE
        return found

    def confirm(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Which pairs of places are alike enough: bool [P]."""
        return self.similar(left, right) >= self.least

    def similar(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """How alike pairs of places are: as they are, mirrored, or one as a part of the other: float32 [P]."""
        (a, lost), (b, gone) = self._thumbs(left), self._thumbs(right)
        found = similarities(a, b)
        weak = np.flatnonzero(found < self.least)
        found[weak] = np.maximum(found[weak], similarities(a[weak], b[weak], mirrored=True))
        lost |= gone
        for i in np.flatnonzero((found < self.least) & ~lost).tolist():
            found[i] = max(found[i], as_part(a[i], b[i], self.shapes[left[i]], self.shapes[right[i]]))
        bits = apart(self.codes[left[lost]], self.codes[right[lost]])
        found[lost] = np.where(bits <= LIMIT, 1 - bits / 128, 0)
        return found

    def _thumbs(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The thumbnails, and which are not to be had any more."""
        rows, lost = np.array(self.thumbs[self.some[places]]), np.zeros(len(places), bool)
        for i in np.flatnonzero(self.known[places]).tolist():
            place = int(places[i])
            if place not in self.filled:
                self.filled[place] = self.copies.thumb_of(int(self.some[place]))
            found = self.filled[place]
            if found is None:
                lost[i] = True
            else:
                rows[i], self.shapes[place] = np.frombuffer(found[0], np.uint8), found[1]
        return rows, lost
