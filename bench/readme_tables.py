"""Write the README's tables of measurements from results/*.json, between their markers; `--check` only compares."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"


def row(*cells: object) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


def engines() -> str:
    """A line a setting, a column an engine: milliseconds, and how many times as long as ours."""
    result = json.loads((ROOT / "results/engines.json").read_text())
    groups: dict[tuple[Any, ...], dict[str, dict[str, Any]]] = {}
    for t in result["timings"]:
        key = (t["model"], t["threads"], t["batch"], t["precision"])
        groups.setdefault(key, {})[t["engine"]] = t
    names = list(dict.fromkeys(t["engine"] for t in result["timings"]))
    versions = {t["engine"]: t["version"].split()[0].split("+")[0] for t in result["timings"]}
    lines = [row("network", "threads", "batch", *(f"{n} {versions[n]}" for n in names), "of FMA peak")]
    lines.append(row(*["---"] * (len(names) + 4)))
    for (model, threads, batch, _), found in groups.items():
        cells = [cell(found.get(name)) for name in names]
        lines.append(row(f"`{model}`", threads, batch, *cells, f"{found['lcnet']['peak_fraction']:.0%}"))
    machine = result["machine"]
    return "\n".join([*lines, "", f"{machine['cpu']}, {machine['isa']}, {machine['compiler']}, {machine['date'][:10]}; "
                      "milliseconds a call, medians of alternating rounds, and the ratio to ours."])  # fmt: skip


def cell(timing: dict[str, Any] | None) -> str:
    if timing is None:
        return "-"
    if timing["engine"] == "lcnet":
        return f"**{timing['median']:.2f}**"
    return f"{timing['median']:.2f} ({timing['ratio']:.2f}x)"


def sizes() -> str:
    """The sweep over input sizes: cost grows with the multiply-adds, without a cliff at ragged sizes."""
    result = json.loads((ROOT / "results/sizes.json").read_text())
    lines = [row("input", "MACs (M)", "ms", "GMAC/s", "of FMA peak"), row(*["---"] * 5)]
    for t in result["timings"]:
        macs = t["gmacs_per_second"] * t["median"]
        lines.append(row(f"{t['height']}x{t['width']}", f"{macs:.1f}", f"{t['median']:.3f}",
                         f"{t['gmacs_per_second']:.1f}", f"{t['peak_fraction']:.0%}"))  # fmt: skip
    return "\n".join(lines)


def training() -> str:
    """Steps and loader of training against timm's."""
    step, loader = (json.loads((ROOT / f"results/train_{name}.json").read_text()) for name in ("step", "loader"))
    lines = [row("training on a CPU", "lcnet", "timm"), row(*["---"] * 3)]
    steps = {(r["model"], r["size"], r["threads"], r["engine"]): r["images_per_second"] for r in step["rows"]}
    for (model, size, threads, engine), ours in steps.items():
        if engine == "lcnet":
            default, last = (steps[model, size, threads, e] for e in ("timm", "timm, channels-last"))
            cell = f"{default:.0f} ({ours / default:.2f}x); channels-last {last:.0f} ({ours / last:.2f}x)"
            lines.append(
                row(f"`{model}` at {size}, {threads} thread{'s' * (threads > 1)}", f"**{ours:.0f} images/s**", cell)
            )
    speeds = {r["loader"]: r["images_per_second"] for r in loader["rows"]}
    for name, ours in speeds.items():
        if name.startswith("lcnet"):
            theirs = speeds["timm, RandAugment" if "RandAugment" in name else "timm"]
            label = f"loader, one worker{name.removeprefix('lcnet')}"
            lines.append(row(label, f"**{ours:.0f} images/s**", f"{theirs:.0f} ({ours / theirs:.2f}x)"))
    return "\n".join(lines)


def int8() -> str:
    """Accuracy and latency of quantised networks, ours and the peers'."""
    r = json.loads((ROOT / "results/int8.json").read_text())
    head = row("engine", "precision", "top-1", "agreement with fp32", "signal to noise", f"ms at {r['size']}")
    lines = [head, row(*["---"] * 6)]
    for e in r["engines"]:
        engine, precision = e["engine"].split(" ", 1)
        noise = f"{e['sqnr_db']:.1f} dB" if "int8" in precision else ""
        ms = f"**{e['ms']:.3f}**" if engine == "lcnet" else f"{e['ms']:.3f}"
        lines.append(row(engine, precision, f"{e['top1']:.2f}%", f"{e['agreement']:.1%}", noise, ms))
    found = r["machine"]
    peers = ", ".join(f"{name} {found[name]}" for name in ("onnxruntime", "openvino", "nncf") if name in found)
    where = f"{found['cpu']}, {found['isa']}, {found['date'][:10]}; {peers}"
    return "\n".join(
        [*lines, "", f"`{r['model']}`, {r['test_images']} test pictures; {where}.", *int8_speed(r["speed"])]
    )


def int8_speed(rows: list[dict[str, Any]]) -> list[str]:
    """A sentence a network: our int8 against our fp32 and against the fastest int8 of the others."""
    notes = []
    for name, size in dict.fromkeys((r["model"], r["size"]) for r in rows):
        ms = {r["engine"]: r["ms"] for r in rows if r["model"] == name}
        peer = min((e for e in ms if "int8" in e and not e.startswith("lcnet")), key=ms.__getitem__)
        ours, exact = ms["lcnet int8"], ms["lcnet fp32"]
        notes.append(f"`{name}` at {size}: {ours:.2f} ms in int8, {exact:.2f} in fp32 ({exact / ours:.2f}x), "
                     f"{ms[peer]:.2f} in the fastest other int8, {peer.split()[0]}'s ({ms[peer] / ours:.2f}x).")  # fmt: skip
    return notes


def whole_way() -> str:
    """From a file to its label: ours, timm's, a script's."""
    r = json.loads((ROOT / "results/whole_way.json").read_text())
    photo, large, folder, process = r["photo"], r["large"], r["folder"], r["process"]
    ours, peer = process["lcnet classify"], process["timm script"]
    base = process["import numpy, PIL.Image"]["seconds"]
    lines = [row("job", "lcnet", 'lcnet, `decode="fast"`', "timm + torch", "ONNX Runtime script"), row(*["---"] * 5)]
    for name, times in (("average photograph, bytes to top-5", photo), ("3000x2250 JPEG, bytes to top-5", large)):
        cells = [f"{times[k]:.2f} ms ({times[k] / times['lcnet']:.2f}x)" for k in ("timm", "onnxruntime script")]
        lines.append(row(name, f"**{times['lcnet']:.2f} ms**", f"{times['lcnet fast']:.2f} ms", *cells))
    n = folder["files"]
    speed = {k: n / folder[k] for k in ("lcnet stream", "timm DataLoader")}
    lines.append(row(f"{n} files, two processors", f"**{speed['lcnet stream']:.0f} images/s**", "",
                     f"{speed['timm DataLoader']:.0f} images/s", ""))  # fmt: skip
    lines.append(row("new process, one file", f"**{ours['seconds']:.3f} s**, {ours['megabytes']:.0f} MB", "",
                     f"{peer['seconds']:.2f} s, {peer['megabytes']:.0f} MB", ""))  # fmt: skip
    steps = r["steps"]
    pillow = steps.pop("the same resize by Pillow and numpy") / steps["resize, crop, normalise"]
    rest = photo["lcnet"] - sum(steps.values())
    parts = [
        f"{k:<24} {'#' * round(v * 8):<32} {v:5.2f} ms" for k, v in (steps | {"the rest, caches cold": rest}).items()
    ]
    notes = (
        f"The resize takes 1/{pillow:.1f} of Pillow's and numpy's time for the same pixels. A new process that only imports "
        f"numpy and Pillow takes {base:.3f} s. Where our time for the average photograph goes:"
    )
    return "\n".join([*lines, "", notes, "", "```", *parts, "```"])


TABLES: dict[str, Callable[[], str]] = {
    "engines": engines,
    "sizes": sizes,
    "whole way": whole_way,
    "training": training,
    "int8": int8,
}


def render(text: str) -> str:
    """The README with every table replaced by what the results say now."""
    for name, table in TABLES.items():
        start, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        if start in text:
            before, rest = text.split(start, 1)
            text = before + start + table() + "\n" + end + rest.split(end, 1)[1]
    return text


def main() -> int:
    now = README.read_text()
    wanted = render(now)
    if "--check" in sys.argv:
        print("up to date" if now == wanted else "README.md differs from results/: run bench/readme_tables.py")
        return int(now != wanted)
    README.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
