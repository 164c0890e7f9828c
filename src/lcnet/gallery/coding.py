"""Embeddings as bytes: int8 with a scale a vector and a factor for each 32 values, or fp16 with a scale a vector.

One step for the whole of an embedding is as coarse as its largest value asks for; 40 bytes more of 1,280 halve the error, and
with it the neighbors that are missed (docs/gallery.md).
"""

from __future__ import annotations

import numpy as np

BLOCK = 32  # values that have a factor of their own
CODINGS = ("int8", "fp16")
_SCALE = 4  # bytes of the scale, a little-endian float32 in front


class Coding:
    """One way to keep vectors of `dimension` values in `width` bytes each. Raises `ValueError` for a way that is none."""

    def __init__(self, name: str, dimension: int) -> None:
        if name not in CODINGS or dimension < 1:
            raise ValueError(f"{name} of {dimension} values")
        self.name, self.dimension = name, dimension
        self.blocks = -(-dimension // BLOCK) if name == "int8" else 0
        self.width = _SCALE + (self.blocks + dimension if self.blocks else 2 * dimension)

    def encode(self, vectors: np.ndarray) -> np.ndarray:
        """Code finite vectors, float32 [N,dimension]: uint8 [N,width]."""
        largest = np.abs(vectors).max(1, initial=0).astype("<f4")
        scale = np.where(largest > 0, largest, 1)[:, None]
        parts = self._int8(vectors / scale) if self.blocks else [(vectors / scale).astype("<f2")]
        return np.concatenate([part.view(np.uint8) for part in (largest[:, None], *parts)], axis=1)

    def decode(self, rows: np.ndarray) -> np.ndarray:
        """Return vectors, float32 [N,dimension], of their codes, uint8 [N,width]."""
        scale = np.ascontiguousarray(rows[:, :_SCALE]).view("<f4")
        rest = np.ascontiguousarray(rows[:, _SCALE:])
        if not self.blocks:
            return rest.view("<f2").astype(np.float32) * scale
        steps = rest[:, : self.blocks] * (scale / np.float32(127 * 255))
        values = rest[:, self.blocks :].view(np.int8).astype(np.float32)
        values *= np.repeat(steps, BLOCK, axis=1)[:, : self.dimension]
        return values

    def _int8(self, vectors: np.ndarray) -> list[np.ndarray]:
        """Factors, uint8 [N,blocks] of 1/255, and codes, int8 [N,dimension], of vectors from -1 to 1."""
        padded = np.zeros((len(vectors), self.blocks, BLOCK), np.float32)
        padded.reshape(len(vectors), -1)[:, : self.dimension] = vectors
        factors = np.ceil(np.abs(padded).max(2) * 255).clip(0, 255)
        steps = np.where(factors > 0, factors, 1)[:, :, None] / np.float32(127 * 255)
        codes = np.rint(padded / steps).clip(-127, 127).astype(np.int8)
        return [factors.astype(np.uint8), np.ascontiguousarray(codes.reshape(len(vectors), -1)[:, : self.dimension])]
