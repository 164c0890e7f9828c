"""The embeddings of a gallery for other programs: .npy, .parquet, .csv; float32, one row a picture, in the order of paths."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..errors import InputError
from ..files import check_target, replacing
from ..formats import csv_text, guarded, json_text
from ..text import plain, shown
from .store import Content, Store

ENDINGS = (".npy", ".parquet", ".csv")
FACTS = ("path", "sha256", "pixels", "hash", "size", "mtime_ns")
_Rows = Iterator[tuple[list[list[Any]], np.ndarray]]  # facts of some pictures, and their embeddings float32 [n,D]


def check(target: Path, overwrite: bool, gallery: Path, safe: bool) -> None:
    """Refuse, before any work, what cannot be written. Raises `InputError`."""
    ending = target.suffix.lower()
    if ending not in ENDINGS:
        raise InputError(f"{plain(target)} ends in {ending or 'nothing'}: expected {', '.join(ENDINGS)}")
    if safe and ending != ".csv":
        raise InputError(f"{plain(target)}: --csv-safe is about files that end in .csv: leave it out")
    check_target(target, overwrite, gallery)
    if ending == ".npy":
        check_target(paths_of(target), overwrite, gallery)


def paths_of(target: Path) -> Path:
    """The list of paths beside an .npy, one for each of its rows, as JSON."""
    return target.with_suffix(".paths.json")


def write(store: Store, target: Path, safe: bool = False) -> int:
    """Write a gallery's embeddings as it is now; how many. Raises `InputError`, `GalleryError`, `MissingExtraError`."""
    with store.view(), replacing(target) as file:
        count = store.counts()[0]
        if target.suffix.lower() == ".npy":
            with replacing(paths_of(target)) as names:
                _npy(file, names, store, count)
        elif target.suffix.lower() == ".parquet":
            _parquet(file, store)
        else:
            _csv(file, store, safe)
    return count


def _rows(store: Store) -> _Rows:
    pictures = store.pictures()
    for ids, codes in store.vectors(of_pictures=True):
        some = [next(pictures) for _ in ids]
        yield (
            [[shown(store.place.path(key)), *_facts(content), *(stamp or (None, None))] for key, stamp, content in some],
            (store.coding.decode(codes)),
        )


def _facts(content: Content) -> list[str]:
    return [content.sha256.hex(), content.pixels.hex(), content.hash.hex()]


def _npy(file: BinaryIO, names: BinaryIO, store: Store, count: int) -> None:
    header = {"descr": "<f4", "fortran_order": False, "shape": (count, store.coding.dimension)}
    np.lib.format.write_array_header_1_0(file, header)
    before = b"[\n"
    for facts, vectors in _rows(store):
        file.write(vectors.astype("<f4").tobytes())
        for path, *_ in facts:
            names.write(before + json_text(path).encode())
            before = b",\n"
    names.write(b"\n]\n" if count else b"[]\n")


def _csv(file: BinaryIO, store: Store, safe: bool) -> None:
    file.write(csv_text([(*FACTS, *(f"embedding_{i}" for i in range(store.coding.dimension)))]).encode())
    for facts, vectors in _rows(store):
        for (path, *rest), vector in zip(facts, vectors.tolist(), strict=True):
            row = [guarded(path) if safe else path, *rest, *(f"{value:.9g}" for value in vector)]
            file.write(csv_text([row]).encode())


def _parquet(file: BinaryIO, store: Store) -> None:
    from ..results.whole import pyarrow

    pa = pyarrow()
    kinds = [pa.string()] * 4 + [pa.int64()] * 2
    last = pa.field("embedding", pa.list_(pa.float32(), store.coding.dimension))
    schema = pa.schema([*map(pa.field, FACTS, kinds), last])
    with pa.parquet.ParquetWriter(file, schema) as writer:
        for facts, vectors in _rows(store):
            columns = [pa.array(column, kind) for column, kind in zip(zip(*facts, strict=True), kinds, strict=True)]
            lists = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
            writer.write_table(pa.table([*columns, lists], schema=schema))
