"""Which kernels this build has, which of them this CPU can run, and how fast one thread can multiply and add."""

from __future__ import annotations

from .. import _native

compiler: str = _native.compiler  # of the native core, with its version


def isas() -> list[tuple[str, bool]]:
    """Every instruction set of this build, fastest first, and whether this CPU and its system have it."""
    return _native.isas()


def selected_isa() -> str:
    """The instruction set in use: the environment variable LCNET_ISA's, or the fastest. Raises `ValueError`."""
    return _native.selected_isa()


def fma_peak(seconds: float) -> float:
    """Multiply-adds a second of one thread on registers alone: the best of short bursts within `seconds`."""
    return _native.fma_peak(seconds)
