"""Ways to damage bytes: blind ones, and such as know numbers, lines, and words of a format. All by one `random.Random`."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

Mutator = Callable[[random.Random, bytes, Sequence[bytes], Sequence[bytes]], bytes]

ODD_NUMBERS = (b"0", b"-1", b"1", b"255", b"65536", b"2147483647", b"4294967296", b"99999999999999999999", b"1e400", b"NaN")
ODD_TEXTS = (
    b"",
    b"\0",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"\r",
    b"\n",
    b'"',
    b"{",
    b"[" * 2000,
    b"../..",
    b"null",
    b"\xef\xbb\xbf",
)
BEGINNING = 256  # bytes in which most formats say what the rest is


def _place(rng: random.Random, data: bytes) -> int:
    """Anywhere, and half of the time in the beginning or at the end, where the structure is."""
    top = len(data)
    near = rng.randrange(4)
    if near == 0:
        top = min(top, BEGINNING)
    return max(len(data) - rng.randint(1, BEGINNING), 0) if near == 1 else rng.randint(0, top)


def flip(rng: random.Random, data: bytes, *_: Sequence[bytes]) -> bytes:
    """Turn one bit over."""
    changed, at = bytearray(data), _place(rng, data)
    if at < len(data):
        changed[at] ^= 1 << rng.randrange(8)
    return bytes(changed)


def overwrite(rng: random.Random, data: bytes, *_: Sequence[bytes]) -> bytes:
    """Put noise over a few bytes."""
    at, count = _place(rng, data), rng.randint(1, 16)
    return data[:at] + rng.randbytes(count) + data[at + count :]


def truncate(rng: random.Random, data: bytes, *_: Sequence[bytes]) -> bytes:
    """Cut the end off."""
    return data[: _place(rng, data)]


def delete(rng: random.Random, data: bytes, *_: Sequence[bytes]) -> bytes:
    """Take a piece out."""
    at = _place(rng, data)
    return data[:at] + data[at + rng.randint(1, 64) :]


def repeat(rng: random.Random, data: bytes, *_: Sequence[bytes]) -> bytes:
    """Have a piece several times."""
    at, count = _place(rng, data), rng.randint(1, 64)
    return data[:at] + data[at : at + count] * rng.choice((2, 3, 50)) + data[at + count :]


def splice(rng: random.Random, data: bytes, seeds: Sequence[bytes], _: Sequence[bytes]) -> bytes:
    """Go on with another seed."""
    other = rng.choice(seeds)
    return data[: _place(rng, data)] + other[_place(rng, other) :]


def field(rng: random.Random, data: bytes, *_: Sequence[bytes]) -> bytes:
    """Put a number at its limits, in one of the ways in which binary formats write it."""
    size, order = rng.choice((1, 2, 4, 8)), rng.choice(("little", "big"))
    top = 1 << (8 * size)
    value = rng.choice((0, 1, top - 1, top // 2, top // 2 - 1, rng.randrange(top)))
    at = _place(rng, data)
    return data[:at] + value.to_bytes(size, order) + data[at + size :]


def number(rng: random.Random, data: bytes, *_: Sequence[bytes]) -> bytes:
    """Change a number that is written in digits."""
    at = _place(rng, data)
    begin = next((i for i in range(at, min(at + 200, len(data))) if 48 <= data[i] <= 57), None)
    if begin is None:
        return data
    end = next((i for i in range(begin, len(data)) if not 48 <= data[i] <= 57), len(data))
    return data[:begin] + rng.choice(ODD_NUMBERS) + data[end:]


def line(rng: random.Random, data: bytes, *_: Sequence[bytes]) -> bytes:
    """Move, drop, double or join lines, as editors and careless scripts do."""
    lines = data.split(b"\n")
    at, to = rng.randrange(len(lines)), rng.randrange(len(lines))
    kind = rng.randrange(4)
    if kind == 0:
        lines[at], lines[to] = lines[to], lines[at]
    elif kind == 1:
        del lines[at]
    elif kind == 2:
        lines.insert(to, lines[at])
    return (b"\r\n" if kind == 3 else b"\n").join(lines)


def word(rng: random.Random, data: bytes, _: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    """Insert a word of the format, or put another in its place."""
    there = [w for w in words if w in data]
    new = rng.choice((*words, *ODD_TEXTS))
    if there and rng.random() < 0.5:
        parts = data.split(rng.choice(there))
        at = rng.randrange(1, len(parts)) if len(parts) > 1 else 0
        old = data[: sum(map(len, parts[:at]))]
        return old + new + data[len(old) :]
    at = _place(rng, data)
    return data[:at] + new + data[at:]


MUTATORS: tuple[Mutator, ...] = (flip, overwrite, truncate, delete, repeat, splice, field, field, number, line, word)


def mutated(rng: random.Random, seeds: Sequence[bytes], words: Sequence[bytes] = ()) -> bytes:
    """Damage one of the seeds, most often once, sometimes in several ways."""
    data = rng.choice(seeds)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        data = rng.choice(MUTATORS)(rng, data, seeds, words)
    return data
