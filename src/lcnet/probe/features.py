"""What the engine makes of pictures: the pooled outputs of all stages in one pass, kept in the cache, and the embeddings.

Owns the way from labelled pictures to a `Table`; a picture that cannot be read stops it, or is left out and named.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..dataset.look import CODE, PLAIN, look
from ..dataset.near import near_groups
from ..dataset.parallel import in_order
from ..errors import ImageError
from ..evaluate.run import LabeledPictures, Sample, Skipped
from ..image import decode
from ..modelfile import ModelFile
from ..runtime import Classifier
from ..sources.formats import MAX_PIXELS
from ..text import one_line, plain
from . import trunk
from .cache import Cache

if TYPE_CHECKING:
    from ..config import ModelConfig, Preprocessing

DIGEST = 32  # bytes of a sha256
_HASH = 1 + CODE  # whether a picture has too few shades for a hash, and the hash
_TAKEN = 256  # rows that are kept in the cache together
_SMALLEST = 0.6  # of a picture's area, in a crop of it
Advance = Callable[[], None]


@dataclass(frozen=True, eq=False)
class Table:
    """N pictures and D features of each, as `trunk.Columns` says."""

    values: np.ndarray  # float32 [N,D]
    digests: np.ndarray  # uint8 [N,32]: sha256 of the bytes
    copies: np.ndarray  # int64 [N]: the same of pictures of equal bytes
    groups: np.ndarray  # int64 [N]: the same of those, and of near-copies
    rows: np.ndarray  # int64 [N]: which of the pictures
    skipped: tuple[Skipped, ...] = ()

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class Engine:
    """How features are computed, and where they are kept."""

    threads: int | None = None
    isa: str | None = None
    precision: str = "fp32"
    decode: str = "exact"
    max_pixels: int = MAX_PIXELS
    cache: Path | None = None  # None: nothing is kept

    def classifier(self, model: ModelFile) -> Classifier:
        """The model ready to run."""
        return Classifier(model, self.threads, self.isa, self.precision, self.decode, self.max_pixels)


class Extractor:
    """The network of a base model, ready to give features."""

    def __init__(self, base: ModelFile, engine: Engine) -> None:
        from importlib.metadata import version

        self.engine = engine
        self.head = engine.classifier(base) if base.config.arch.head_channels else None
        whole = trunk.whole_trunk(base)
        self.network, self.columns = engine.classifier(whole), trunk.columns_of(base.config.arch)
        used = (version("lcnet"), self.network.isa, self.network.precision, self.network.decode)
        self.cache = Cache(engine.cache, trunk.made_by(whole, used))
        self.size = self.network.arch.head_hidden_size

    @property
    def config(self) -> ModelConfig:
        """The description of the network that is run."""
        return self.network.config

    def table(self, pictures: LabeledPictures, skip_unreadable: bool = False, advance: Advance = lambda: None) -> Table:
        """The features of pictures. Raises `ImageError` for the first that cannot be read, unless it is to be left out."""
        digests = self._digests(pictures)
        values = self._values(digests, lambda i: _Looked(pictures, i, self.engine.max_pixels), skip_unreadable, advance)
        rows = [i for i, value in enumerate(values) if isinstance(value, bytes)]
        skipped = tuple(value for value in values if isinstance(value, Skipped))
        if not rows:
            raise ImageError(f"none of the {len(values)} pictures can be read: {skipped[0].reason}")
        kept = np.frombuffer(b"".join(digests[i] for i in rows), np.uint8).reshape(-1, DIGEST)
        stored = [values[i] for i in rows]
        return Table(self._features(stored), kept, *_groups(stored, kept), np.array(rows, np.int64), skipped)

    def crops(self, pictures: LabeledPictures, table: Table, count: int, advance: Advance = lambda: None) -> np.ndarray:
        """The features of so many crops of each picture of a table, float32 [count,N,D]; the same every time."""
        digests = [row.tobytes() for row in table.digests]
        keys = [sha256(b"crop %d of " % k + digest).digest() for k in range(count) for digest in digests]

        def crop(number: int) -> Sample:
            index = int(table.rows[number % len(table)])
            return _Crop(pictures, index, self.engine.max_pixels, self.config.preprocessing, keys[number])

        values = self._values(keys, crop, False, advance)
        return self._features(values).reshape(count, len(table), -1)

    def _digests(self, pictures: LabeledPictures) -> list[bytes]:
        def digest(index: int) -> bytes:
            try:
                return sha256(pictures.read(index)).digest()
            except ImageError:  # told of when it is read again; nothing is found or kept by this
                return os.urandom(DIGEST)

        return list(in_order(digest, range(len(pictures)), max(4, self.network.threads)))

    def _values(
        self, keys: Sequence[bytes], source: Callable[[int], Sample], skip: bool, advance: Advance
    ) -> list[bytes | Skipped]:
        """A value a key, hash and pooled outputs: from the cache, else from the network, which is kept some at a time."""
        first = {key: i for i, key in reversed(list(enumerate(keys)))}
        found: dict[bytes, bytes | Skipped] = {k: v for k, v in self.cache.get(list(first)).items() if self._is_sound(v)}
        wanted = sorted(i for key, i in first.items() if key not in found)
        for _ in range(len(keys) - len(wanted)):
            advance()
        fresh: list[tuple[bytes, bytes]] = []
        try:
            for index, value in self._run(wanted, source):
                found[keys[index]] = value
                if isinstance(value, bytes):
                    fresh.append((keys[index], value))
                elif not skip:
                    raise ImageError(f"{value.name}: {value.reason}; mend it, or leave such pictures out (skip_unreadable)")
                if len(fresh) >= _TAKEN:
                    self.cache.put(fresh)
                    fresh = []
                advance()
        finally:
            self.cache.put(fresh)
        return [found[key] for key in keys]

    def _is_sound(self, value: bytes) -> bool:
        return len(value) == _HASH + 4 * self.size and bool(np.isfinite(np.frombuffer(value, "<f4", offset=_HASH)).all())

    def _run(self, wanted: Sequence[int], source: Callable[[int], Sample]) -> Iterator[tuple[int, bytes | Skipped]]:
        with closing(self.network.stream(map(source, wanted), "embeddings", errors="yield")) as items:
            for index, item in zip(wanted, items, strict=True):
                if item.error is None:
                    yield index, item.source.hash + np.asarray(item.value, "<f4").tobytes()
                else:
                    reason = str(item.error).removeprefix(f"{item.source}: ")
                    yield index, Skipped(plain(item.source), one_line(reason))

    def _features(self, stored: Sequence[Any]) -> np.ndarray:
        """Pooled outputs, and beside them what the head makes of the last stage's: float32 [N,D]."""
        pooled = np.frombuffer(b"".join(value[_HASH:] for value in stored), "<f4").reshape(len(stored), -1)
        if self.head is None:
            return pooled
        last = pooled[:, -self.network.arch.num_features :]
        return np.hstack([pooled, self.head.forward_head(np.ascontiguousarray(last[:, :, None, None]), pre_logits=True)])


class _Looked(Sample):
    """A picture whose hash is known once it has been opened."""

    __slots__ = ("hash", "max_pixels")

    def __init__(self, pictures: LabeledPictures, index: int, max_pixels: int) -> None:
        super().__init__(pictures, index)
        self.max_pixels, self.hash = max_pixels, bytes(_HASH)

    def open(self) -> Any:
        """Return what `Sample` does, and look at the picture meanwhile."""
        seen = look(self._read(), self.max_pixels)
        self.hash = bytes([bool(seen.traits & PLAIN)]) + seen.code
        return super().open()


class _Crop(Sample):
    """A part of a picture, of its own proportions, which the key picks."""

    __slots__ = ("hash", "key", "max_pixels", "preprocessing")

    def __init__(
        self, pictures: LabeledPictures, index: int, max_pixels: int, preprocessing: Preprocessing, key: bytes
    ) -> None:
        super().__init__(pictures, index)
        self.max_pixels, self.preprocessing, self.key, self.hash = max_pixels, preprocessing, key, bytes(_HASH)

    def open(self) -> Any:
        """Return the part's pixels, uint8 [H,W,C]."""
        pixels = decode(super().open(), self.preprocessing, self.max_pixels)
        area, down, right = (int.from_bytes(self.key[i : i + 4], "little") / 2**32 for i in (0, 4, 8))
        side = (_SMALLEST + (1 - _SMALLEST) * area) ** 0.5
        height, width = (max(1, round(n * side)) for n in pixels.shape[:2])
        top, left = int(down * (pixels.shape[0] - height + 1)), int(right * (pixels.shape[1] - width + 1))
        return np.ascontiguousarray(pixels[top : top + height, left : left + width])


def _groups(stored: Sequence[Any], digests: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Copies by their bytes, and near-copies too, by the hash of those that have one: the same number in each group."""
    whole = np.ascontiguousarray(digests).view(f"V{DIGEST}").reshape(-1)
    _, first, inverse = np.unique(whole, return_index=True, return_inverse=True)
    hashes = np.frombuffer(b"".join(stored[i][:_HASH] for i in first), np.uint8).reshape(-1, _HASH)
    near, hashed = np.arange(len(first)), np.flatnonzero(hashes[:, 0] == 0)
    if len(hashed):
        near[hashed] = hashed[near_groups(np.ascontiguousarray(hashes[hashed, 1:]))]
    inverse = inverse.reshape(-1)
    return inverse, near[inverse]
