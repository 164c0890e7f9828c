"""The tables of results/arm.json: what a network costs on ARM, counted and modelled without one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Row = Callable[..., str]


def instructions(result: dict[str, Any], row: Row) -> str:
    """Millions of instructions an image under emulation, ours and ncnn's, and what remains of ncnn's."""
    lines = [row("network", "fp32", "ncnn, fp32", "ratio", "int8, dot products", "int8, without"), row(*["---"] * 6)]
    for network in dict.fromkeys(r["network"] for r in result["instructions"]):
        found = {(r["kind"], r["isa"]): r["millions"] for r in result["instructions"] if r["network"] == network}
        ours, peer = found["fp32", "neon"], found["fp32", "-"]
        both = found["int8", "neon_dot"], found["int8", "neon"]
        lines.append(row(f"`{network}`", f"**{ours:.1f}**", f"{peer:.1f}", f"{ours / peer:.2f}", *(f"{n:.1f}" for n in both)))
    return "\n".join([*lines, "", f"Millions of instructions an image of 224x224, {result['compiler']}, {result['date']}."])


def loops(result: dict[str, Any], row: Row) -> str:
    """What the inner loops reach in llvm-mca's models, of the multiply-adds or dot products that can begin in a cycle."""
    cpus = list(dict.fromkeys(r["cpu"] for r in result["loops"]))
    lines = [row("loop", *cpus), row("---", *["---"] * len(cpus))]
    for name in dict.fromkeys(r["loop"] for r in result["loops"]):
        rows = {r["cpu"]: r for r in result["loops"] if r["loop"] == name}
        lines.append(row(name, *(f"{rows[cpu]['a_cycle']:.2f} a cycle, {rows[cpu]['of_peak']:.0%}" for cpu in cpus)))
    return "\n".join(lines)
