"""All vectors of a gallery as one mapped file, and the exact search in it. Derived: written whole, and again when it is stale.

A query is first compared with one bit a value, whether that is above the mean of all unit vectors: 160 bytes a vector, and
one pass. The best of these, at least `LEAST` and `TIMES` as many as are wanted, are then compared by cosine. Short vectors have
few bits, which say less: of those more are compared, as many as have the values of so many of the usual length.

The bits lie word by word, [words][N]: so numpy's loops run over vectors, which are many, and not over words, which are few.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from .. import system
from ..errors import InputError
from ..files import replacing
from .coding import Coding
from .store import State, Store

LEAST, TIMES = 100, 10  # candidates: at least so many, and so many times as many as are wanted
USUAL = 1280  # values of a vector; of shorter ones there are more candidates
BLOCK = 1 << 13  # vectors whose bits are counted at a time: what is counted stays in the cache
EXACT = 1 << 11  # vectors that are decoded at a time
ENDING = ".matrix"

_HEADER = 4096  # bytes, of JSON and spaces
_ALIGN = 64


class Near(NamedTuple):
    """What was found: contents of the gallery, the nearest first."""

    contents: np.ndarray  # int64 [n], ids
    similarities: np.ndarray  # float32 [n], cosines


class Matrix:
    """N vectors ready to be searched. `state` says of what; every method may be called by any thread."""

    def __init__(self, data: memoryview, coding: Coding) -> None:
        """Take apart what `fill` has written. Raises `ValueError` for anything else."""
        head = json.loads(bytes(data[:_HEADER]))
        self.state, self.count, self.coding = State(*head["state"]), int(head["count"]), coding
        shapes = _shapes(self.count, coding)
        if head["coding"] != [coding.name, coding.dimension] or len(data) != _end(shapes):
            raise ValueError("it is another's")
        parts = {name: _part(data, *place) for name, place in _places(shapes).items()}
        self.vectors, self.contents, self.mean = parts["vectors"], parts["contents"], parts["mean"]
        self.lengths, self.bits = parts["lengths"], parts["bits"]

    def nearest(self, query: np.ndarray, count: int, allowed: np.ndarray | None = None, exact: bool = False) -> Near:
        """The `count` vectors nearest to a query, float32 [D], by cosine, and all that are as near as the last of these.

        allowed: bool [N], which may be found at all.

        exact: compare with all, and not only with those that are near by their bits. Raises `InputError` for a query that
        points nowhere.
        """
        unit = unit_of(query, self.coding.dimension)
        rows = np.arange(self.count) if allowed is None else np.flatnonzero(allowed)
        most = max(LEAST, TIMES * count) * max(1, USUAL // self.coding.dimension)
        if not exact and len(rows) > most:
            rows = self._candidates(unit, most, rows if allowed is not None else None)
        cosines = self._cosines(unit, rows)
        order = np.lexsort((rows, -cosines))
        order = order[: np.searchsorted(-cosines[order], -cosines[order[:count][-1:]], "right").sum()]
        return Near(self.contents[rows[order]], cosines[order])

    def _candidates(self, unit: np.ndarray, most: int, rows: np.ndarray | None) -> np.ndarray:
        """The `most` vectors, of those at `rows`, that differ from the query in the fewest bits."""
        apart = differing(self.bits, words_of(unit[None], self.mean)[:, 0])
        apart = apart if rows is None else apart[rows]
        limit = int(np.searchsorted(np.cumsum(np.bincount(apart)), most))
        sure, equal = np.flatnonzero(apart < limit), np.flatnonzero(apart == limit)
        best = np.concatenate([sure, equal[: most - len(sure)]])
        return best if rows is None else rows[best]

    def _cosines(self, unit: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """The similarity of some vectors, float32 [n]."""
        found = np.empty(len(rows), np.float32)
        for start in range(0, len(rows), EXACT):
            some = rows[start : start + EXACT]
            with np.errstate(over="ignore", invalid="ignore"):  # as a damaged scale may make
                vectors = self.coding.decode(self.vectors[some])
                # Not by BLAS, which adds up the same numbers in another order in other rows: what is equal stays equal.
                found[start : start + EXACT] = np.einsum("ij,j->i", vectors, unit) * self.lengths[some]
        return np.clip(np.nan_to_num(found), -1, 1)


def unit_of(query: np.ndarray, dimension: int) -> np.ndarray:
    """A query of length 1, float32 [D]. Raises `InputError`."""
    if query.shape != (dimension,):
        raise InputError(f"a vector has shape {list(query.shape)}, the gallery's have {dimension} values")
    length = np.linalg.norm(query.astype(np.float64))
    if not np.isfinite(length) or not length:
        raise InputError("a vector has NaN or Inf, or no value but 0: nothing is near to it")
    return (query / length).astype(np.float32)


def differing(bits: np.ndarray, query: np.ndarray) -> np.ndarray:
    """In how many bits vectors differ from a query: uint16 [N] of uint64 [words,N] and uint64 [words]."""
    starts = range(0, bits.shape[1], BLOCK)
    parts = [_ones(bits[:, start : start + BLOCK] ^ query[:, None]).sum(0, dtype=np.uint16) for start in starts]
    return np.concatenate(parts) if parts else np.zeros(0, np.uint16)


def _ones(words: np.ndarray) -> np.ndarray:
    """How many bits are set in each, uint8; numpy before 2.0 looks it up."""
    if hasattr(np, "bitwise_count"):
        return np.bitwise_count(words)
    return _table()[words.view(np.uint16).reshape(*words.shape, 4)].sum(-1, dtype=np.uint8)


@cache
def _table() -> np.ndarray:
    """How many bits are set in each number of 16 bits."""
    return np.array([i.bit_count() for i in range(1 << 16)], np.uint8)


def words_of(units: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """The bits of unit vectors, float32 [n,D], about a mean: uint64 [words,n]."""
    above = np.zeros((len(units), -(-units.shape[1] // 64) * 64), bool)
    above[:, : units.shape[1]] = units > mean
    return np.ascontiguousarray(np.packbits(above, axis=1).view(np.uint64).T)


def matrix_of(store: Store) -> Matrix:
    """The matrix of a gallery as it is now: from its file, which is written first if it is stale, or in memory if it cannot be.

    To be called within `Store.view`. Raises `GalleryError`.
    """
    path, state = store.path.with_name(store.path.name + ENDING), store.state()
    found = _read(path, store.coding)
    if found is not None and found.state == state:
        return found
    try:
        if store.writes:
            with replacing(path) as file:
                fill(file, store, state)
            return Matrix(system.contents(path), store.coding)
    except InputError:  # a full disk is no reason not to search
        pass
    memory = BytesIO()
    fill(memory, store, state)
    return Matrix(memory.getbuffer(), store.coding)


def _read(path: Path, coding: Coding) -> Matrix | None:
    """What stands at a path, None if that is no matrix of such vectors."""
    try:
        return Matrix(system.contents(path), coding)
    except (OSError, ValueError, KeyError, TypeError, ArithmeticError, RecursionError):
        return None


def fill(file: BinaryIO, store: Store, state: State) -> None:
    """Write the vectors of a gallery as a matrix into a file that can be sought."""
    count, coding = store.counts()[1], store.coding
    places = _places(_shapes(count, coding))
    head = json.dumps({"state": state, "count": count, "coding": [coding.name, coding.dimension]})
    file.write(head.encode().ljust(_HEADER))
    contents, lengths = np.zeros(count, "<i8"), np.zeros(count, "<f4")
    total, done = np.zeros(coding.dimension), 0
    for ids, codes in store.vectors():
        file.write(codes.tobytes())
        vectors = coding.decode(codes)
        rows = slice(done, done + len(ids))
        contents[rows], lengths[rows] = ids, _inverse_lengths(vectors)
        total += (vectors * lengths[rows, None]).sum(0)
        done += len(ids)
    mean = (total / max(1, count)).astype("<f4")
    bits = np.empty((places["bits"][1][0], count), "<u8")
    done = 0
    for ids, codes in store.vectors():  # again, now that the mean is known
        rows = slice(done, done + len(ids))
        bits[:, rows] = words_of(coding.decode(codes) * lengths[rows, None], mean)
        done += len(ids)
    for name, values in (("contents", contents), ("lengths", lengths), ("mean", mean), ("bits", bits)):
        file.seek(places[name][0])
        file.write(values.tobytes())
    file.truncate(_end(_shapes(count, coding)))


def _inverse_lengths(vectors: np.ndarray) -> np.ndarray:
    """1 over the length of each, 0 of what has none or is no number."""
    lengths = np.linalg.norm(vectors, axis=1)
    return np.divide(1, lengths, out=np.zeros_like(lengths), where=(lengths > 0) & np.isfinite(lengths))


_Shapes = dict[str, tuple[tuple[int, ...], str]]


def _shapes(count: int, coding: Coding) -> _Shapes:
    """What a matrix is made of, in this order."""
    return {
        "vectors": ((count, coding.width), "u1"),
        "contents": ((count,), "<i8"),
        "lengths": ((count,), "<f4"),  # 1 over them
        "mean": ((coding.dimension,), "<f4"),
        "bits": ((-(-coding.dimension // 64), count), "<u8"),
    }


def _places(shapes: _Shapes) -> dict[str, tuple[int, tuple[int, ...], str]]:
    """Where in the file each part begins."""
    found, at = {}, _HEADER
    for name, (shape, dtype) in shapes.items():
        found[name] = (at, shape, dtype)
        at += -(-_size(shape, dtype) // _ALIGN) * _ALIGN
    return found


def _end(shapes: _Shapes) -> int:
    at, shape, dtype = list(_places(shapes).values())[-1]
    return at + max(1, _size(shape, dtype))


def _size(shape: Iterable[int], dtype: str) -> int:
    return int(np.prod([*shape, np.dtype(dtype).itemsize]))


def _part(data: memoryview, at: int, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    return np.frombuffer(data, dtype, int(np.prod(shape)), at).reshape(shape)
