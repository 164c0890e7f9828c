"""The tables of results/real_models.json: the networks that people run, beside other engines and in their hosts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Row = Callable[..., str]
ENGINES = {"lcnet": "lcnet", "lcnet bf16": "bf16", "lcnet int8": "int8"}


def speed(r: dict[str, Any], where: str, row: Row) -> str:
    """A line a network and setting of those that people run; of a peer's two files the faster one."""
    lines = [row("network", "threads, batch", *ENGINES.values(), "ONNX Runtime", "OpenVINO", "Paddle Inference")]
    lines.append(row(*["---"] * 8))
    for model, threads, batch in dict.fromkeys((x["model"], x["threads"], x["batch"]) for x in r["speed"]):
        found = [x for x in r["speed"] if (x["model"], x["threads"], x["batch"]) == (model, threads, batch)]
        ms = {x["engine"]: x["cpu_ms" if threads == 1 else "ms"] for x in found}
        cells = [f"**{ms[e]:.2f}**" if e in ms else "-" for e in ENGINES]
        for peer in ("onnxruntime", "openvino", "paddle"):
            least = min((v for e, v in ms.items() if e.startswith(peer)), default=None)
            cells.append(f"{least:.2f} ({least / ms['lcnet']:.2f}x)" if least else "-")
        lines.append(row(f"`{model.split(',')[0]}`{', first release' * (',' in model)}", f"{threads}, {batch}", *cells))
    versions = {
        x["engine"]: x["version"].split()[0] for x in r["speed"] if x["engine"] in ("onnxruntime", "openvino", "paddle")
    }
    loads = [load for x in r["speed"] for load in x["load"]]
    notes = (
        f"{where}; {', '.join(f'{k} {v}' for k, v in versions.items())}; milliseconds a call, medians of "
        "alternating rounds, and the ratio to ours in float: of one thread the processor's time, of two that on the clock, "
        f"at a load of at most {max(loads):.1f} on two processors."
    )
    return "\n".join([*lines, "", notes, *_int8(r["int8"])])


def _int8(rows: list[dict[str, Any]]) -> list[str]:
    """A sentence about what int8 keeps."""
    said = [f"`{x['model'].split(',')[0]}` {100 * x['agreement']:.1f}%, {x['sqnr_db']:.1f} dB" for x in rows]
    count = min(x["images"] for x in rows)
    return [f"Agreement of int8 with float and signal to noise, on {count} drawn pages or lines each: {'; '.join(said)}."]


def hosts(r: dict[str, Any], row: Row) -> str:
    """A line a host: how often its pixels lead to PaddleX's answer and to the right one."""
    head = ("network", "fed as by", "PaddleX's answer", "right", "probabilities moved, mean", "95%", "most")
    lines = [row(*head), row(*["---"] * len(head))]
    for x in r["hosts"]:
        moved = [f"{x[k]:.1e}" if x["host"] == "lcnet" else f"{x[k]:.3f}" for k in ("moved_mean", "moved_p95", "moved_most")]
        moved = ["", "", ""] if x["host"] == "PaddleX" else moved
        name = x["model"].split(",")[0]
        lines.append(row(f"`{name}`", x["host"], f"{100 * x['agreement']:.1f}%", f"{100 * x['top1']:.1f}%", *moved))
    return "\n".join(lines)
