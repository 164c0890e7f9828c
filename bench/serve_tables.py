"""The tables of results/serve.json: docs/serve.md's, and the README's short one."""

from __future__ import annotations

from collections.abc import Callable
from statistics import geometric_mean, median
from typing import Any

Row = Callable[..., str]
NAMES = {
    "lcnet": "`lcnet serve`",
    "lcnet int8": "`lcnet serve`, int8",
    "litserve": "LitServe + timm",
    "litserve, 1 thread": "LitServe + timm, 1 thread a call",
    "fastapi": "FastAPI + ONNX Runtime",
    "fastapi, 1 thread": "FastAPI + ONNX Runtime, 1 thread a call",
}


def short(result: dict[str, Any], row: Row) -> str:
    """A line a server, means over the numbers of connections: ours, LitServe as documented, FastAPI at its better setting;
    then the other settings of the peers.
    """
    lines = [row("server", "CPU a request", "requests/s", "memory", "ready in"), row(*["---"] * 5)]
    servers = {server["server"]: server for server in result["servers"]}
    for name in _ordered(result["cpu_ratios"]):
        rows = [r for r in result["load"] if r["server"] == name]
        cpu, rate = (geometric_mean(r[k] for r in rows) for k in ("cpu_ms", "per_second"))
        lines.append(row(NAMES[name], _times(name, cpu, result["cpu_ratios"]), *_size(rate, servers[name])))
    return "\n".join([*lines, "", note(result)])


def _ordered(ratios: dict[str, float]) -> list[str]:
    """The servers, those that are compared with first."""
    peers = [min((n for n in ratios if n.startswith("fastapi")), key=ratios.__getitem__, default="fastapi"), "litserve"]
    return [
        *(n for n in ("lcnet", "lcnet int8", *peers) if n in ratios),
        *(n for n in ratios if n[:5] != "lcnet" and n not in peers),
    ]


def _times(name: str, cpu: float, ratios: dict[str, float]) -> str:
    return f"**{cpu:.1f} ms**" if name.startswith("lcnet") else f"{cpu:.1f} ms ({ratios[name]:.1f}x)"


def _size(rate: float, server: dict[str, Any]) -> tuple[str, str, str]:
    return f"{rate:.0f}", f"{sum(server['peak_mb']):.0f} MB", f"{median(server['start']):.2f} s"


def note(result: dict[str, Any]) -> str:
    """What was measured, and where."""
    versions = {s["server"].partition(",")[0]: s["version"] for s in result["servers"] if s["version"]}
    found, loads = result["machine"], [r["load"] for x in result["load"] for r in x["rounds"]]
    return (
        f"`lcnet_050` with the same weights, a JPEG of 500x375 and {result['picture_bytes'] / 1000:.0f} KB, "
        f"{found['processors']} processors that the clients share, geometric means over 1, 8, 32 and 128 connections; "
        "CPU is that of all the server's processes, without the clients'. LitServe forms batches of up to 8 within 2 ms. Peers "
        f"have their default number of threads a call unless one is named. {'; '.join(versions.values())}; {found['cpu']}, "
        f"{found['isa']}, {found['date'][:10]}, load {min(loads):.1f} to {max(loads):.1f}; `bench/serve.py`."
    )


def full(result: dict[str, Any], row: Row) -> str:
    """A line a server and number of connections."""
    head = ("connections", "server", "CPU a request", "requests/s", "p50", "p99", "`/health/live` p99")
    lines = [row(*head), row(*["---"] * len(head))]
    for connections in dict.fromkeys(r["connections"] for r in result["load"]):
        for r in (r for r in result["load"] if r["connections"] == connections):
            cells = [f"{r[k]:.0f} ms" for k in ("p50", "p99", "health_p99")]
            lines.append(row(connections, NAMES[r["server"]], f"{r['cpu_ms']:.2f} ms", f"{r['per_second']:.0f}", *cells))
    return "\n".join([*lines, "", overload(result)])


def overload(result: dict[str, Any]) -> str:
    """A sentence about four times as many requests as can be answered."""
    over = result["overload"]
    return (
        "With `--queue 256`. Four times as many requests as can be answered, to a server with the default queue: "
        f"{over['kept']:.0%} of the peak of {over['peak_per_second']:.0f} a second are answered all the same, and "
        f"{over['kept_cpu']:.0%} of the peak for each second of the server's CPU time, refusals included (the clients take "
        f"{over['client_cores']:.2f} of the two processors then, and {over['peak_client_cores']:.2f} at the peak); "
        f"{over['refused_per_second']:.0f} a second are refused, half of them within {over['refused_p50']:.1f} ms (p99 "
        f"{over['refused_p99']:.0f} ms), and health answers within {over['health_p99']:.0f} ms (p99)."
    )
