"""Parts become one file, in the order of the list: row k of it is the next one of part k mod N.

Refuses parts that are missing, doubled, of another list, model or arithmetic, or that have other rows than they should; the
file appears whole or not at all. Memory is for a few rows of each part, however many there are in all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, NoReturn, cast

from ..errors import InputError
from ..files import check_target, replacing
from ..system import files_at_once
from ..text import plain, short
from . import begun, part, resumed
from .part import Part
from .resumed import Unreadable
from .rows import Rows
from .whole import pyarrow

HELD = 64 << 20  # bytes of rows that are held at once, and at least one of each part
SMALL = 256  # bytes of a row besides its arrays, about
ROWS = 1024  # of one part that are held at most
BESIDE = 64  # files that are open beside the parts, at most
TOLD = 5  # shards that a message names


class Merged(NamedTuple):
    """What was put together."""

    rows: int
    parts: int


class _Columns(NamedTuple):
    """What is known of the rows of a CSV without their model."""

    header: tuple[str, ...]
    lines: int


def merge(paths: Sequence[Path], target: Path, overwrite: bool = False, tick: begun.Tick = begun.quietly) -> Merged:
    """Put all parts of a list together. Raises `InputError`, and `MissingExtraError` for Parquet without pyarrow."""
    part.check(target)
    check_target(target, overwrite)
    found = _in_order(paths)
    for path in paths:
        if path.suffix.lower() != target.suffix.lower():
            raise InputError(f"{plain(path)}: parts and {plain(target)} are of one format: end both alike")
        check_target(target, overwrite, source=path)
    if begun.beside(target, ".resume").exists():
        raise InputError(f"{plain(target)} is of a run that is going on or did not end: end it, or choose another name")
    ordered = [path for path, _ in found]
    files_at_once(BESIDE + 2 * len(ordered))
    with replacing(target) as file:
        if target.suffix.lower() == ".parquet":
            _parquet(file, ordered, found[0][1], target, tick)
        else:
            _text(file, ordered, found[0][1], target, tick)
    begun.beside(target, ".state").unlink(missing_ok=True)  # of what was there before
    return Merged(found[0][1].total, len(paths))


def _in_order(paths: Sequence[Path]) -> list[tuple[Path, Part]]:
    """The parts by their shards. Raises `InputError` if they are not all the parts of one list, each once."""
    if not paths:
        raise InputError("there are no parts: name the files that --shard has written")
    found: dict[int, tuple[Path, Part]] = {}
    first = paths[0], part.read(paths[0])
    for path in paths:
        one = part.read(path)
        _refuse_foreign(first, path, one)
        if one.shard.number in found:
            raise InputError(f"{plain(found[one.shard.number][0])} and {plain(path)} are both shard {one.shard}: leave one out")
        found[one.shard.number] = path, one
    of = first[1].shard.of
    if missing := [index for index in range(of) if index not in found]:
        some = ", ".join(f"{index}/{of}" for index in missing[:TOLD])
        more = f" and {len(missing) - TOLD:,} more" if len(missing) > TOLD else ""
        raise InputError(f"missing: shard {some}{more}: run {'it' if len(missing) == 1 else 'them'} first")
    return [found[index] for index in range(of)]


def _refuse_foreign(first: tuple[Path, Part], path: Path, one: Part) -> None:
    a, b = first[1], one
    pairs: dict[str, tuple[Any, Any]] = {"number of shards": (a.shard.of, b.shard.of), "rows of the list": (a.total, b.total)}
    names = [*a.made_with, *(name for name in b.made_with if name not in a.made_with)]
    pairs |= {name: (a.made_with.get(name), b.made_with.get(name)) for name in names}
    for name, (theirs, its) in pairs.items():
        if theirs != its:
            hint = "; --isa of all parts makes it one" if name == "arithmetic" else ""
            raise InputError(
                f"{plain(path)} is no part of the same: its {plain(name)} is {_said(its)}, that of {plain(first[0])} "
                f"{_said(theirs)}{hint}"
            )


def _said(value: Any) -> str:
    return plain(short(str(value)))


def _wrong(path: Path) -> NoReturn:
    raise part.wrong(path)


def _text(target: BinaryIO, paths: Sequence[Path], first: Part, whole: Path, tick: begun.Tick) -> None:
    with ExitStack() as stack:
        heads, parts = [], []
        for path in paths:
            file = stack.enter_context(open(path, "rb"))
            heads.append(file.readline() if path.suffix.lower() == ".csv" else b"")
            parts.append(
                _csv(file, stack.enter_context(open(path, "rb")), heads[-1], first.lines) if heads[-1] else _lines(file)
            )
        if len({*heads}) > 1:
            _wrong(paths[next(i for i, head in enumerate(heads) if head != heads[0])])
        target.write(heads[0])
        for row in range(first.total):
            target.write(_next(parts[row % len(parts)], paths[row % len(parts)]))
            tick(f"writing {plain(whole.name)}")
        for one, path in zip(parts, paths, strict=True):
            if _next(one, path, b""):
                _wrong(path)


def _next(rows: Iterator[bytes], path: Path, end: bytes | None = None) -> bytes:
    try:
        row = next(rows, end)
    except Unreadable:
        _wrong(path)
    return _wrong(path) if row is None else row


def _lines(file: BinaryIO) -> Iterator[bytes]:
    for line in file:
        if not line.endswith(b"\n"):
            raise Unreadable
        yield line


def _csv(file: BinaryIO, again: BinaryIO, head: bytes, lines: int) -> Iterator[bytes]:
    """The lines of each picture."""
    columns = _Columns(tuple(head.decode("utf-8", "replace").rstrip("\n").split(",")), lines)
    if "error" not in columns.header:
        raise Unreadable
    end = len(head)
    for row in resumed.rows_of(".csv", file, cast(Rows, columns), end):
        again.seek(row.start)
        yield again.read(row.end - row.start)
        end = row.end
    if again.seek(0, 2) != end:
        raise Unreadable


def _parquet(target: BinaryIO, paths: Sequence[Path], first: Part, whole: Path, tick: begun.Tick) -> None:
    pa = pyarrow()
    with ExitStack() as stack:
        try:
            files = [stack.enter_context(pa.parquet.ParquetFile(path)) for path in paths]
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"the parts cannot be opened together: {short(plain(error))}") from None
        schema = files[0].schema_arrow.remove_metadata()
        for number, (file, path) in enumerate(zip(files, paths, strict=True)):
            rows = part.Shard(number, len(files)).rows(first.total)
            if not file.schema_arrow.remove_metadata().equals(schema) or file.metadata.num_rows != rows:
                _wrong(path)
        step = max(1, min(ROWS, HELD // (len(files) * _row_size(schema))))
        parts = [_tables(pa, file, step, path) for file, path in zip(files, paths, strict=True)]
        with pa.parquet.ParquetWriter(target, schema) as writer:
            for _ in range(0, -(-first.total // len(files)), step):
                writer.write_table(_in_turn(pa, [next(one) for one in parts]))
                tick(f"writing {plain(whole.name)}")


def _row_size(schema: Any) -> int:
    return SMALL + sum(4 * getattr(field.type, "list_size", 0) for field in schema)


def _tables(pa: Any, file: Any, step: int, path: Path) -> Iterator[Any]:
    """Tables of `step` rows, then what is left, then empty ones."""
    empty = held = file.schema_arrow.remove_metadata().empty_table()
    try:
        for group in range(file.num_row_groups):  # not iter_batches, which reads far ahead
            held = pa.concat_tables([held, file.read_row_group(group).replace_schema_metadata()])
            while held.num_rows >= step:
                yield held.slice(0, step)
                held = held.slice(step)
    except (pa.ArrowException, OSError):
        _wrong(path)
    yield held
    while True:
        yield empty


def _in_turn(pa: Any, tables: Sequence[Any]) -> Any:
    """The first rows of all tables, then their second ones."""
    starts, most = [0], max(table.num_rows for table in tables)
    for table in tables:
        starts.append(starts[-1] + table.num_rows)
    order = [start + row for row in range(most) for start, end in pairwise(starts) if start + row < end]
    return pa.concat_tables(tables).combine_chunks().take(pa.array(order, pa.int64()))
