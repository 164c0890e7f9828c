"""The sigmoid in float32 as the kernels compute it, to the bit (native/kernels/sigmoid.h says how)."""

from __future__ import annotations

import numpy as np

from .fma import fma

LARGEST = 87.0  # exp of it and of its negative are normal numbers
LOG2E = np.asarray(1.44269504, np.float32)
ROUND = np.asarray(1.5 * 2**23, np.float32)  # adding it leaves no bits after the point
LN2_HIGH, LN2_LOW = np.asarray(0.693359375, np.float32), np.asarray(-2.12194440e-4, np.float32)
EXP = tuple(np.asarray(np.float32(1) / np.float32(n)) for n in (5040, 720, 120, 24, 6, 2, 1, 1))


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-x)) of float32 values."""
    z = -np.clip(x, np.float32(-LARGEST), np.float32(LARGEST))
    n = fma(z, LOG2E, ROUND) - ROUND
    r = fma(n, -LN2_LOW, fma(n, -LN2_HIGH, z))
    exp = np.full_like(r, EXP[0])
    for term in EXP[1:]:
        exp = fma(exp, r, term)
    power = np.ldexp(np.float32(1), np.nan_to_num(n).astype(np.int32))
    return EXP[-1] / fma(exp, power, EXP[-1])
