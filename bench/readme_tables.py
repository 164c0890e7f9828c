"""Write the tables of measurements in README.md and docs from results/*.json, between their markers.

`--check` only compares.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import arm_tables
import cluster_tables
import duplicate_tables
import gallery_tables
import probe_tables
import real_tables
import serve_tables
import upright_tables
import web_tables

ROOT = Path(__file__).parents[1]

# What docs/speed.md says was aimed at: the fastest peer's time over ours, by results file, network, threads and batch.
GOALS = (
    ("AVX-512", "engines", "lcnet_050", 1, 1, 1.4),
    ("AVX-512", "engines", "lcnet_100", 1, 1, 1.15),
    ("AVX2 only", "engines_avx2", "lcnet_050", 1, 1, 1.2),
    ("AVX2 only", "engines_avx2", "lcnet_100", 1, 1, 1.05),
    ("AVX-512", "engines", "lcnet_050", 2, 1, 1.3),
    ("AVX-512", "engines", "lcnet_100", 2, 1, 1.1),
    ("AVX-512", "engines", "lcnet_050", 2, 32, 1.3),
    ("AVX-512", "engines", "lcnet_100", 2, 32, 1.15),
)


def row(*cells: object) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


def load(name: str) -> dict[str, Any]:
    return json.loads((ROOT / f"results/{name}.json").read_text())


def where(machine: dict[str, Any]) -> str:
    return f"{machine['cpu']}, {machine['isa']}, {machine['compiler']}, {machine['date'][:10]}"


def settings(name: str) -> dict[tuple[Any, ...], dict[str, dict[str, Any]]]:
    """The timings of each engine: (network, threads, batch, precision) -> engine -> timing."""
    groups: dict[tuple[Any, ...], dict[str, dict[str, Any]]] = {}
    for t in load(name)["timings"]:
        groups.setdefault((t["model"], t["threads"], t["batch"], t["precision"]), {})[t["engine"]] = t
    return groups


def engines(name: str = "engines") -> str:
    """A line a setting, a column an engine: milliseconds, and how many times as long as ours."""
    result = load(name)
    names = list(dict.fromkeys(t["engine"] for t in result["timings"]))
    versions = {t["engine"]: t["version"].split()[0].split("+")[0] for t in result["timings"]}
    several = len({t["precision"] for t in result["timings"]}) > 1
    head = ["network", *(["precision"] if several else []), "threads", "batch", *(f"{n} {versions[n]}" for n in names)]
    lines = [row(*head, "of FMA peak"), row(*["---"] * (len(head) + 1))]
    for (model, threads, batch, precision), found in settings(name).items():
        cells = [*([precision] if several else []), threads, batch, *(cell(found.get(name)) for name in names)]
        peak = found["lcnet"]["peak_fraction"]
        lines.append(row(f"`{model}`", *cells, "" if peak is None else f"{peak:.0%}"))
    return "\n".join(
        [*lines, "", f"{where(result['machine'])}; milliseconds a call, medians of alternating rounds, and the ratio to ours."]
    )


def engines_short() -> str:
    """Ours, the fastest peer and torch, batch 1 and 32 on one thread, and one picture on two."""
    rows = [("lcnet_050", 1, 1), ("lcnet_050", 1, 32), ("lcnet_050", 2, 1), ("lcnet_100", 1, 1), ("lcnet_100", 1, 32)]
    lines = [row("network", "threads", "batch", "lcnet", "the fastest other engine", "torch"), row(*["---"] * 6)]
    for model, threads, batch in rows:
        found = settings("engines")[model, threads, batch, "fp32"]
        peer = min((t for e, t in found.items() if e != "lcnet"), key=lambda t: t["median"])
        cells = f"**{found['lcnet']['median']:.2f} ms**", f"{cell(peer)}, {peer['engine']}", cell(found["torch"])
        lines.append(row(f"`{model}`", threads, batch, *cells))
    machine = where(load("engines")["machine"])
    return "\n".join([*lines, "", f"{machine}; medians of alternating rounds, and the ratio to ours."])


def reached() -> str:
    """The fastest peer's time over ours in each setting that has a goal."""
    lines = [row("kernels", "network", "threads", "batch", "fastest peer", "ratio", "goal"), row(*["---"] * 7)]
    for isa, name, model, threads, batch, goal in GOALS:
        found = settings(name)[model, threads, batch, "fp32"]
        peer = min((t for e, t in found.items() if e != "lcnet"), key=lambda t: t["median"])
        ratio = peer["median"] / found["lcnet"]["median"]
        lines.append(row(isa, f"`{model}`", threads, batch, peer["engine"], f"**{ratio:.2f}**", goal))
    return "\n".join(lines)


def cell(timing: dict[str, Any] | None) -> str:
    if timing is None:
        return "-"
    if timing["engine"] == "lcnet":
        return f"**{timing['median']:.2f}**"
    return f"{timing['median']:.2f} ({timing['ratio']:.2f}x)"


def sizes() -> str:
    """The sweep over input sizes: cost grows with the multiply-adds, without a cliff at ragged sizes."""
    result = load("sizes")
    lines = [row("input", "MACs (M)", "ms", "GMAC/s", "of FMA peak"), row(*["---"] * 5)]
    for t in result["timings"]:
        macs = t["gmacs_per_second"] * t["median"]
        lines.append(
            row(
                f"{t['height']}x{t['width']}",
                f"{macs:.1f}",
                f"{t['median']:.3f}",
                f"{t['gmacs_per_second']:.1f}",
                f"{t['peak_fraction']:.0%}",
            )
        )
    return "\n".join(lines)


def training() -> str:
    """Steps and loader of training against timm's."""
    step, loader = load("train_step"), load("train_loader")
    lines = [row("training on a CPU", "lcnet", "timm"), row(*["---"] * 3)]
    steps = {(r["model"], r["size"], r["threads"], r["engine"]): r["images_per_second"] for r in step["rows"]}
    for (model, size, threads, engine), ours in steps.items():
        if engine == "lcnet":
            default, last = (steps[model, size, threads, e] for e in ("timm", "timm, channels-last"))
            cell = f"{default:.0f} ({ours / default:.2f}x); channels-last {last:.0f} ({ours / last:.2f}x)"
            lines.append(row(f"`{model}` at {size}, {threads} thread{'s' * (threads > 1)}", f"**{ours:.0f} images/s**", cell))
    speeds = {r["loader"]: r["images_per_second"] for r in loader["rows"]}
    for name, ours in speeds.items():
        if name.startswith("lcnet"):
            theirs = speeds["timm, RandAugment" if "RandAugment" in name else "timm"]
            label = f"loader, one worker{name.removeprefix('lcnet')}"
            lines.append(row(label, f"**{ours:.0f} images/s**", f"{theirs:.0f} ({ours / theirs:.2f}x)"))
    return "\n".join([*lines, "", f"{where(step['machine'])}; timm {step['machine']['timm']}. {accuracy()}"])


def accuracy() -> str:
    """A sentence about what both train under the same settings."""
    r = load("train_accuracy")
    top1 = {e: [100 * x["top1"] for x in r["rows"] if x["engine"] == e] for e in ("lcnet", "timm")}
    said = {e: f"{mean(v):.2f}% ± {stdev(v):.2f}" for e, v in top1.items()}
    epochs, size = r["recipe"]["epochs"], r["recipe"]["input_size"]
    return (
        f"The same recipe ({epochs} epochs at {size}, RMSprop, RandAugment, averaged weights) with "
        f"{len(top1['lcnet'])} seeds ends at {said['lcnet']} of the CIFAR-10 test pictures here and at {said['timm']} "
        "with timm's pieces (`bench/train_accuracy.py`)."
    )


def int8() -> str:
    """Accuracy and latency of quantised networks, ours and the peers'."""
    r = load("int8")
    head = row("engine", "precision", "top-1", "agreement with fp32", "signal to noise", f"ms at {r['size']}")
    lines = [head, row(*["---"] * 6)]
    for e in r["engines"]:
        engine, precision = e["engine"].split(" ", 1)
        noise = f"{e['sqnr_db']:.1f} dB" if "int8" in precision else ""
        ms = f"**{e['ms']:.3f}**" if engine == "lcnet" else f"{e['ms']:.3f}"
        lines.append(row(engine, precision, f"{e['top1']:.2f}%", f"{e['agreement']:.1%}", noise, ms))
    found = r["machine"]
    peers = ", ".join(f"{name} {found[name]}" for name in ("onnxruntime", "openvino", "nncf") if name in found)
    notes = f"`{r['model']}`, {r['test_images']} test pictures; {where(found)}; {peers}."
    return "\n".join([*lines, "", notes, *int8_speed(r["speed"])])


def int8_speed(rows: list[dict[str, Any]]) -> list[str]:
    """A sentence a network: our int8 against our fp32 and against the fastest int8 of the others."""
    notes = []
    for name, size in dict.fromkeys((r["model"], r["size"]) for r in rows):
        ms = {r["engine"]: r["ms"] for r in rows if r["model"] == name}
        peer = min((e for e in ms if "int8" in e and not e.startswith("lcnet")), key=ms.__getitem__)
        ours, exact = ms["lcnet int8"], ms["lcnet fp32"]
        notes.append(
            f"`{name}` at {size}: {ours:.2f} ms in int8, {exact:.2f} in fp32 ({exact / ours:.2f}x), "
            f"{ms[peer]:.2f} in the fastest other int8, {peer.split()[0]}'s ({ms[peer] / ours:.2f}x)."
        )
    return notes


def whole_way() -> str:
    """From a file to its label: ours, timm's, a script's."""
    r = load("whole_way")
    photo, large, folder, process = r["photo"], r["large"], r["folder"], r["process"]
    ours, peer = process["lcnet classify"], process["timm script"]
    base = process["import numpy, PIL.Image"]["seconds"]
    lines = [row("job", "lcnet", 'lcnet, `decode="fast"`', "timm + torch", "ONNX Runtime script"), row(*["---"] * 5)]
    for name, times in (("average photograph, bytes to top-5", photo), ("3000x2250 JPEG, bytes to top-5", large)):
        cells = [f"{times[k]:.2f} ms ({times[k] / times['lcnet']:.2f}x)" for k in ("timm", "onnxruntime script")]
        lines.append(row(name, f"**{times['lcnet']:.2f} ms**", f"{times['lcnet fast']:.2f} ms", *cells))
    n = folder["files"]
    speed = {k: n / folder[k] for k in ("lcnet stream", "timm DataLoader")}
    lines.append(
        row(
            f"{n} files, two processors",
            f"**{speed['lcnet stream']:.0f} images/s**",
            "",
            f"{speed['timm DataLoader']:.0f} images/s",
            "",
        )
    )
    lines.append(
        row(
            "new process, one file",
            f"**{ours['seconds']:.3f} s**, {ours['megabytes']:.0f} MB",
            "",
            f"{peer['seconds']:.2f} s, {peer['megabytes']:.0f} MB",
            "",
        )
    )
    steps = r["steps"]
    pillow = steps.pop("the same resize by Pillow and numpy") / steps["resize, crop, normalise"]
    rest = photo["lcnet"] - sum(steps.values())
    parts = [f"{k:<24} {'#' * round(v * 8):<32} {v:5.2f} ms" for k, v in (steps | {"the rest, caches cold": rest}).items()]
    notes = (
        f"The resize takes 1/{pillow:.1f} of Pillow's and numpy's time for the same pixels. A new process that only imports "
        f"numpy and Pillow takes {base:.3f} s. {where(r['machine'])}. Where our time for the average photograph goes:"
    )
    return "\n".join([*lines, "", notes, "", "```", *parts, "```"])


def on_ray() -> str:
    """Ray and one machine side by side."""
    found = load("cluster")
    lines = cluster_tables.ray(found, row)
    return (
        f"{lines}\n\n{where(found['machine'])}, {found['machine']['processors']} processors, load average {found['load']:.0f}."
    )


def callers() -> str:
    """Eight threads that call one model at once."""
    r = load("callers")
    eight = {x["engine"]: x for x in r["rows"] if x["callers"] == 8}
    ours, peer = (
        f"{eight[e]['images_per_second']:.0f} images/s with a p99 of {eight[e]['p99']:.0f} ms" for e in ("lcnet", "onnxruntime")
    )
    return f"Eight threads that call one model at once on two processors: {ours}; ONNX Runtime {peer}."


def finetune() -> str:
    """A line a number of pictures: trained and random weights."""
    lines = [row("pictures", "from trained weights", "from random ones"), row("---", "---", "---")]
    lines += [
        row(r["pictures"], *(f"{100 * r[name]:.1f}%" for name in ("finetune", "random"))) for r in load("finetune")["curve"]
    ]
    return "\n".join(lines)


def finetune_known() -> str:
    """What weights gain that know the classes: of more of the same pictures, and of others."""
    parts = []
    for name, told in (("known", "pictures like those that they learned from"), ("dusk", "grey, dark and noisy pictures")):
        rows = load("finetune")[name]
        gains, last = ([100 * (r[end] - r["start"]) for r in rows] for end in ("end", "last"))
        kept = sum(r["best_epoch"] == 0 for r in rows)
        parts.append(
            f"{told}: {mean(gains):+.1f} points of {100 * mean(r['start'] for r in rows):.1f}% on held-out pictures "
            f"({min(gains):+.1f} to {max(gains):+.1f} in {len(rows)} runs, of which {kept} kept the weights as they came; "
            f"the last epochs had {mean(last):+.1f})"
        )
    return f"Measured from the bundled model on 8 of its classes, 60 pictures each: {'; '.join(parts)}."


def ocr() -> str:
    """A line a classifier of text lines inside RapidOCR: its time for a page, and what it answers."""
    r = load("ocr")
    head = ("at `RapidOCR.text_cls`", "1 thread", "2 threads", "right", "turned wrongly", "left on its head")
    lines = [row(*head), row(*["---"] * len(head))]
    speed = {(x["classifier"], x["threads"]): x for x in r["speed"]}
    for x in r["answers"]:
        name = x["classifier"]
        ms = [speed[name, 1]["cpu_ms"], speed[name, 2]["ms"]]
        shown = f"**{name}**" if name.startswith("lcnet") else name
        lines.append(row(shown, *(f"{t:.0f} ms" for t in ms), f"{100 * x['right']:.1f}%", x["turned"], x["left"]))
    first, loads = r["speed"][0], [load for x in r["speed"] for load in x["load"]]
    notes = (
        f"{where(r['machine'])}; {', '.join(f'{k} {v}' for k, v in r['versions'].items())}. Milliseconds for the "
        f"{first['lines']} lines of a drawn page, medians of {first['rounds']} rounds in turn: of one thread the processor's "
        f"time, of two that on the clock, at a load of {min(loads):.1f} to {max(loads):.1f} on two processors. Answers: of "
        f"{r['answers'][0]['lines']} other drawn lines, each upright and on its head. What the two last columns count would be "
        "read wrongly: upright lines that are turned, and lines that should be and are not sure enough, at a confidence of 0.9."
    )
    return "\n".join([*lines, "", notes])


def decoded() -> str:
    """A line a picture: milliseconds of each decoder, and how many times as long as ours."""
    r = load("decode")
    peers = [name for name in r["versions"] if name != "libjpeg-turbo"]
    lines = [row("JPEG", "kB", "lcnet", *(f"{name} {r['versions'][name]}" for name in peers)), row(*["---"] * (3 + len(peers)))]
    for p in r["pictures"]:
        ms, name = p["milliseconds"], p["picture"] if p["files"] == 1 else f"{p['files']} {p['picture']}"
        times = (f"{ms[peer]:.2f} ({p['times_ours'][peer]:.2f}x)" for peer in peers)
        lines.append(row(name, round(p["bytes"] / 1000), f"**{ms['lcnet']:.2f}**", *times))
    return "\n".join([*lines, "", f"Milliseconds of one processor, medians. {where(r['machine'])}."])


PAGES: dict[str, dict[str, Callable[[], str]]] = {
    "README.md": {
        "engines short": engines_short,
        "real models": lambda: real_tables.speed(load("real_models"), where(load("real_models")["machine"]), row),
        "serve": lambda: serve_tables.short(load("serve"), row),
        "browser": lambda: web_tables.speed(load("web"), row),
    },
    "docs/serve.md": {"serve": lambda: serve_tables.full(load("serve"), row)},
    "docs/scale.md": {"ray": on_ray, "paper": lambda: cluster_tables.paper(load, row)},
    "docs/gallery.md": {
        "gallery search": lambda: (
            f"{gallery_tables.search(load('gallery'), row)} {where(load('gallery')['search']['machine'])}."
        ),
        "gallery build": lambda: f"{gallery_tables.build(load('gallery'))} {where(load('gallery')['build']['machine'])}.",
    },
    "docs/duplicates.md": {
        "duplicates": lambda: duplicate_tables.found(load("gallery")["duplicates"], row),
        "duplicates speed": lambda: (
            f"{duplicate_tables.speed(load('gallery')['duplicates'])} {where(load('gallery')['duplicates']['machine'])}."
        ),
    },
    "docs/pixels.md": {
        "hosts": lambda: real_tables.hosts(load("real_models"), row),
        "decode": decoded,
        "browser pixels": lambda: web_tables.pixels(load("web"), row),
    },
    "docs/browser.md": {"browser": lambda: web_tables.speed(load("web"), row)},
    "docs/ocr.md": {"ocr": ocr},
    "docs/int8.md": {"int8": int8},
    "docs/probe.md": {
        "digits": lambda: probe_tables.digits(load("probe")),
        "speed": lambda: f"{probe_tables.speed(load('probe'))} {where(load('probe')['machine'])}.",
        "unseen": lambda: probe_tables.unseen(load("probe"), row),
        "crops": lambda: probe_tables.crops(load("probe"), row),
        "added": lambda: probe_tables.added(load("probe"), row),
    },
    "docs/upright.md": {
        "accuracy": lambda: upright_tables.accuracy(load("upright"), row),
        "reliability": lambda: upright_tables.reliability(load("upright"), row),
        "reading": lambda: upright_tables.reading(load("upright"), row),
        "upright speed": lambda: f"{upright_tables.speed(load('upright'), row)}\n\n{where(load('upright')['machine'])}.",
    },
    "docs/training.md": {"finetune": finetune, "finetune known": finetune_known, "training": training},
    "docs/speed.md": {
        "reached": reached,
        "engines": engines,
        "engines avx2": lambda: engines("engines_avx2"),
        "engines zen3": lambda: engines("engines_zen3"),
        "engines zen4": lambda: engines("engines_zen4"),
        "sizes": sizes,
        "whole way": whole_way,
        "callers": callers,
        "arm instructions": lambda: arm_tables.instructions(load("arm"), row),
        "arm loops": lambda: arm_tables.loops(load("arm"), row),
    },
}


def render(text: str, tables: dict[str, Callable[[], str]]) -> str:
    """A page with every table replaced by what the results say now. Raises `ValueError` where one has no place."""
    for name, table in tables.items():
        before, rest = text.split(start := f"<!-- {name} -->\n")
        text = before + start + table() + "\n" + (end := f"<!-- end of {name} -->") + rest.split(end, 1)[1]
    return text


def main() -> int:
    stale = []
    for page, tables in PAGES.items():
        now = (ROOT / page).read_text()
        wanted = render(now, tables)
        if now != wanted and "--check" in sys.argv:
            stale.append(page)
        elif now != wanted:
            (ROOT / page).write_text(wanted)
    print(f"differ from results/, run bench/readme_tables.py: {', '.join(stale)}" if stale else "up to date")
    return int(bool(stale))


if __name__ == "__main__":
    sys.exit(main())
