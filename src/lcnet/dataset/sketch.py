"""Knowing pictures again: a sample of a data set's digests, small enough for a model file to say what it was trained on.

A picture is in the sample if a hash of its size in bytes is below a bound, so that choosing takes no reading, and a picture
is known by the first bytes of its SHA-256, wherever it lies and whatever it is called. Of up to `MOST` pictures all are in it.
Pictures that were encoded anew, as `lcnet pack` does, are others.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np

from .samples import Dataset
from .split import digests

MOST = 512  # pictures in a sample
WIDTH = 6  # bytes of a digest: among millions of pictures none is taken for another
WHOLE = 1 << 32  # hashes of sizes are below it


@dataclass(frozen=True)
class Sketch:
    """The digests of those pictures of a data set whose size has a hash below `below`."""

    below: int
    known: frozenset[bytes]

    def knows(self, data: bytes | memoryview) -> bool | None:
        """Whether an encoded picture is in the data set; None if the sample cannot tell."""
        if not self.covers(len(data)):
            return None
        return sha256(data).digest()[:WIDTH] in self.known

    def covers(self, size: int) -> bool:
        """Whether pictures of that many bytes are in the sample."""
        return _key(sha256(b"%d" % size).digest()) < self.below

    def to_json(self) -> dict[str, Any]:
        """Plain values, for the provenance of a model."""
        text = b64encode(b"".join(sorted(self.known))).decode()
        return {"pictures": len(self.known), "sample": {"below": self.below, "sha256": text}}

    @classmethod
    def from_json(cls, value: Any) -> Sketch | None:
        """Read what `to_json` gives; None for anything else: a provenance is free to say what it likes."""
        try:
            below, known = value["sample"]["below"], b64decode(value["sample"]["sha256"], validate=True)
        except (TypeError, KeyError, ValueError, binascii.Error):
            return None
        if type(below) is not int or not 0 < below <= WHOLE or not known or len(known) % WIDTH:
            return None
        return cls(below, frozenset(known[i : i + WIDTH] for i in range(0, len(known), WIDTH)))


def sketch(dataset: Dataset) -> Sketch | None:
    """Return the sample of a data set; None if none is small enough, as of many pictures that are all of one size.

    Takes the size of every picture, and reads those that are in the sample. Unreadable ones are in none.
    """
    hashes = digests(lambda i: b"%d" % dataset.size(i), np.arange(len(dataset)))
    keys = np.ascontiguousarray(hashes).view(">u4").reshape(len(dataset), 4)[:, 0].astype(np.int64)
    below = WHOLE if len(keys) <= MOST else int(np.sort(keys)[MOST])
    chosen = np.flatnonzero(keys < below)
    if not len(chosen):
        return None
    found = digests(dataset.read, chosen)
    return Sketch(below, frozenset(row.tobytes()[:WIDTH] for row in found))


def _key(digest: bytes) -> int:
    return int.from_bytes(digest[:4], "big")
