"""The tables of results/web.json: docs/browser.md's, and docs/pixels.md's of a browser's JPEG decoder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Row = Callable[..., str]
HEAD = ("network", "in", "ours, ms", "onnxruntime-web", "loading, ms", "onnxruntime-web")


def speed(result: dict[str, Any], row: Row) -> str:
    """A line a network and place: an image and loading, beside onnxruntime-web; then what both weigh."""
    lines = [row(*HEAD), row(*["---"] * len(HEAD))]
    for where, title in (("node", "Node"), ("chromium", "Chromium")):
        lines += [_line(name, title, x, row) for name, x in result[where]["models"].items()]
    return "\n".join([*lines, "", _machine(result), _weights(result["sizes"])])


def _line(name: str, title: str, x: dict[str, Any], row: Row) -> str:
    opened = x["loading"]
    theirs = f"{x['ort']['median_ms']:.1f} ({x['times_as_fast']:.1f}x)"
    loads = f"**{opened['ours']['load_ms']:.0f}**", f"{opened['ort']['load_ms']:.0f} ({opened['times_as_quick']:.0f}x)"
    return row(f"`{name}`", title, f"**{x['ours']['median_ms']:.1f}**", theirs, *loads)


def _machine(r: dict[str, Any]) -> str:
    versions = f"Node {r['node']['version'].lstrip('v')}, {r['chromium']['version']}; onnxruntime-web {r['onnxruntime_web']}"
    return (
        f"{r['cpu']}; {versions}, its WASM backend; one thread each, medians of alternating rounds at a load of "
        f"{r['load_average'][0]:.1f}, and the ratio to ours."
    )


def _weights(sizes: dict[str, Any]) -> str:
    ours = {name: x["gzip"] / 1000 for name, x in sizes["ours"].items()}
    peer = sum(x["gzip"] for x in sizes["onnxruntime_web"].values()) / 1e6
    return (
        f"By gzip the module for float networks has {ours['lcnet.relaxed.wasm']:.1f} KB, that for quantised ones too "
        f"{ours['lcnet.relaxed.int8.wasm']:.1f} KB, the JavaScript of a page {ours['index.js']:.1f} KB, and what a worker has "
        f"besides {ours['worker.js']:.1f} KB; onnxruntime-web has {peer:.1f} MB."
    )


def pixels(result: dict[str, Any], row: Row) -> str:
    """A line a kind of pictures: how far the browser's JPEG decoder is from Pillow's."""
    head = ("pictures", "files", "equal to the bit", "values that differ", "levels, mean", "most")
    lines = [row(*head), row(*["---"] * len(head))]
    for kind, x in result["chromium"]["jpeg_beside_pillow"].items():
        cells = x["files"], x["same_to_the_bit"], f"{100 * x['values_that_differ']:.2f}%", f"{x['mean']:.3f}", x["most"]
        lines.append(row(kind, *cells))
    return "\n".join([*lines, "", f"{result['chromium']['version']}; levels of 0 to 255, each colour by itself."])
