"""Fused multiply-add in float32, as the hardware does it: the exact product and sum, rounded once."""

from __future__ import annotations

import numpy as np

_HALF = 1 << 28  # of the 29 bits that float64 has more than float32
_REST = (1 << 29) - 1
_SIZE = (1 << 63) - 1  # all but the sign
_SMALLEST = int(np.float64(np.finfo(np.float32).tiny).view(np.int64))  # below it float32 has fewer bits


def fma(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Return a * b + c in float32, rounded once to nearest even; the arguments are float32 and broadcast.

    A product of two float32 is exact in float64. Its sum with c is rounded there first, and rounding that again to float32
    goes wrong only where the float64 lies exactly between two float32: there the first error decides.
    """
    product = np.multiply(a, b, dtype=np.float64)
    total = product + c
    bits = total.view(np.int64)
    size = bits & _SIZE
    where = np.nonzero(((size & _REST) == _HALF) | ((size < _SMALLEST) & (size != 0)))
    if where[0].size:
        addend = np.broadcast_to(np.asarray(c, np.float64), total.shape)[where]
        total[where] = _to_odd(product[where], addend, total[where])
    return total.astype(np.float32)


def _to_odd(product: np.ndarray, addend: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Round product + addend to odd, which makes a second rounding harmless (Boldo and Melquiond 2008)."""
    back = total - product
    error = (product - (total - back)) + (addend - back)  # Knuth's two-sum: exact
    bits = total.view(np.int64)
    away = (error > 0) == (total > 0)
    even = (bits & 1) == 0
    return np.where((error != 0) & np.isfinite(error) & even, bits + np.where(away, 1, -1), bits).view(np.float64)
