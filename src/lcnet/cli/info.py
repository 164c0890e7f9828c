"""`lcnet info`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict
from textwrap import wrap
from typing import Any

import click

from ..arch import FAMILIES, SIZES, Arch, Stride, reduction_name
from ..text import one_line, shown
from .codes import Misuse
from .either import model_place
from .options import columns, json_text, say

RESTS_ON = ("images", "distinct", "classes")  # of a verdict: said before what was measured


@click.command()
@model_place(must=False)
@click.option("--cpu", is_flag=True, help="Show the kernels of this build, which this CPU has, and which would run.")
@click.option("--format", "-f", "style", type=click.Choice(["table", "json"]), default="table", show_default=True)
def info(model: str | None, cpu: bool, style: str) -> None:
    """Show one model in full: layers, shapes, preprocessing, labels, where it comes from. Downloads nothing."""
    if cpu == bool(model):
        raise Misuse("name a MODEL, or ask for --cpu: one of the two")
    facts = cpu_facts() if cpu else model_facts(str(model))
    if style == "json":
        click.echo(json_text(facts))
    else:
        say(cpu_text(facts) if cpu else model_text(facts))


def cpu_facts() -> dict[str, Any]:
    """Describe the kernels and processors that would be used."""
    from ..cpus import usable_cpus
    from ..image import jpeg
    from ..runtime import kernels

    isas = [{"isa": name, "supported": supported} for name, supported in kernels.isas()]
    decoder = "lcnet" if jpeg.wanted() else "Pillow"
    return {"processors": usable_cpus(), "selected": kernels.selected_isa(), "isas": isas, "jpeg": decoder}


def cpu_text(facts: dict[str, Any]) -> str:
    """Format `cpu_facts`."""
    rows = [["kernels", "this CPU"]] + [[i["isa"], "yes" if i["supported"] else "no"] for i in facts["isas"]]
    return f"{columns(rows)}\n\nselected: {facts['selected']}\nprocessors: {facts['processors']}\nJPEG: {facts['jpeg']}"


def model_facts(name: str) -> dict[str, Any]:
    """Describe a model by its file, or by the zoo's entry if the weights are not here."""
    from .. import zoo
    from ..labels.limits import limits_of

    config, path = _describe(name)
    arch = config.arch
    height, width = config.preprocessing.input_size[1:]
    layers = [{"layer": n, "macs": m, "output": list(o)} for n, m, o in arch.conv_costs(height, width)]
    if config.quantization:
        layers = [{**row, "runs_in": runs_in(config.quantization, str(row["layer"]))} for row in layers]
    shapes = zip(map(_reduction, arch.reductions), arch.feature_shapes(height, width), strict=True)
    return {
        "name": shown(name),
        "file": path,
        "architecture": {**asdict(arch), "name": arch.name, "bn_eps": config.bn_eps},
        "needs": config.to_json().get("needs", {}),
        "parameters": arch.parameters,
        "training_parameters": arch.training_parameters,
        "macs": arch.macs(height, width),
        "preprocessing": asdict(config.preprocessing),
        "labels": asdict(config.labels) if config.labels else None,
        "decision": asdict(config.decision),
        "limits": limits_of(config.labels.names) if config.labels else None,
        "provenance": config.provenance,
        "release": zoo.release(config.provenance),
        "quantization": asdict(config.quantization) if config.quantization else None,
        "layers": layers,
        "feature_maps": [{"stride": s, "shape": list(shape)} for s, shape in shapes],
    }


def _reduction(pair: Stride) -> int | list[int]:
    return pair[0] if pair[0] == pair[1] else list(pair)


def _named(reduction: int | list[int]) -> str:
    return str(reduction) if isinstance(reduction, int) else reduction_name((reduction[0], reduction[1]))


def _network(arch: dict[str, Any]) -> str:
    """What is other about a network than about timm's of its name."""
    name = arch["name"] if arch["name"] in SIZES else next(iter(FAMILIES[arch["family"]].sizes))
    usual, parts = asdict(Arch.of(name)), []
    if (arch["stem_stride"], arch["stage_strides"]) != (usual["stem_stride"], usual["stage_strides"]):
        stem, *stages = (f"{down}x{across}" for down, across in (arch["stem_stride"], *arch["stage_strides"]))
        parts.append(f"strides {stem} in the stem, {' '.join(stages)} in the stages")
    if not arch["head_channels"]:
        parts.append(f"no head conv: the classifier reads {', '.join(arch['classifier_input'])}, pooled")
    elif arch["head_channels"] != usual["head_channels"]:
        parts.append(f"{arch['head_channels']} channels in the head")
    named = ("activation", "hard_sigmoid_slope", "gate", "head_activation")
    parts += [f"{k.replace('_', ' ')} {arch[k]}" for k in named if arch[k] != usual[k]]
    if arch["head_channels"] and arch["head_bias"] != usual["head_bias"]:
        parts.append("the head has a bias" if arch["head_bias"] else "the head has no bias")
    return "; ".join(parts)


def _describe(name: str) -> tuple[Any, str | None]:
    from .. import hub, modelfile, zoo
    from ..errors import InputError, WeightsError

    try:
        found = hub.locate(name, offline=True)
    except WeightsError:
        with suppress(InputError):
            return zoo.find(name).config(), None
        raise
    return modelfile.read_config(found.path, found.config), shown(found.path)


def model_text(facts: dict[str, Any]) -> str:
    """Format `model_facts`."""
    from .decision_text import decision_lines

    pre, labels, arch = facts["preprocessing"], facts["labels"], facts["architecture"]
    exif = "honoured" if pre["exif"] else "ignored"
    size = " x ".join(map(str, pre["input_size"]))
    quantized = facts["quantization"]
    rows = [["layer", "MACs", "output", *(["runs in"] if quantized else [])]]
    rows += [
        [r["layer"], f"{r['macs']:,}", " x ".join(map(str, r["output"])), *([r["runs_in"]] if quantized else [])]
        for r in facts["layers"]
    ]
    maps = ", ".join(f"{_named(m['stride'])}: {' x '.join(map(str, m['shape']))}" for m in facts["feature_maps"])
    first = ", ".join(one_line(n.split(",")[0]) for n in labels["names"][:5]) if labels else ""
    return "\n".join(
        [
            columns(rows, right=(1,)),
            "",
            f"model          {one_line(facts['name'])} ({arch['name']}, width {arch['width']:g})",
            f"file           {one_line(facts['file'] or '') or 'not here: it is fetched at the first use'}",
            *([f"network        {_network(arch)}"] if _network(arch) else []),
            f"parameters     {_parameters(facts)}",
            f"MACs           {facts['macs']:,} at {size}",
            f"feature maps   {maps}",
            f"input          {size}, {pre['interpolation']}{_of_whom(pre)}, crop {pre['crop_pct']:g} {pre['crop_mode']}",
            f"normalise      {pre['channel_order'].upper()}, mean {_numbers(pre['mean'])}, std {_numbers(pre['std'])}",
            f"pixels         EXIF orientation {exif}, {_alpha(pre)}",
            f"labels         {len(labels['names'])}: {first}{', ...' if len(labels['names']) > 5 else ''}"
            if labels
            else f"labels         none stored for {arch['num_classes']} classes",
            *_titled("decision", decision_lines(facts["decision"], labels["names"] if labels else ())),
            *_titled("limits", wrap(facts["limits"] or "", 100)),
            *(f"{one_line(k):<14} {one_line(_short(v))}" for k, v in facts["provenance"].items()),
            *([f"release        {facts['release']}"] if facts["release"] else []),
            *([f"int8           {one_line(verdict_text(quantized['verdict']))}"] if quantized else []),
        ]
    )


def _parameters(facts: dict[str, Any]) -> str:
    count, training = facts["parameters"], facts["training_parameters"]
    return f"{count:,}" if count == training else f"{count:,}; {training:,} while training, with the branches"


def _titled(title: str, texts: Iterable[str]) -> Iterator[str]:
    """Lines of text, the first with a title."""
    return (f"{'' if i else title:<14} {one_line(text)}" for i, text in enumerate(texts))


def _short(value: Any) -> str:
    """A text, a list, or the values of a record that are not of its own kind, such as a whole recipe's."""
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if not isinstance(value, dict):
        return str(value)
    return ", ".join(f"{k}={v}" for k, v in value.items() if not isinstance(v, dict))


def runs_in(quantization: Any, layer: str) -> str:
    """What a layer of a quantised model computes in."""
    from ..modelfile.quantized import unit_of

    kept = unit_of(layer) in quantization.float_layers
    return "fp32" if kept or ".se." in layer else "int8"


def verdict_text(verdict: dict[str, Any]) -> str:
    """Whether the model passed its gate when it was made, in a line; files by other hands may say less."""
    if "passed" not in verdict:
        return "not measured when it was made"
    held_out, judged = (verdict.get(key) for key in ("held_out", "evaluation"))
    parts = [f"{key} {value}" for key, value in held_out.items() if key not in RESTS_ON] if isinstance(held_out, dict) else []
    if isinstance(judged, dict):
        parts.append(f"top-1 {judged.get('top1_fp32')}% in fp32, {judged.get('top1_int8')}% in int8")
    rests = _rests_on(judged if isinstance(judged, dict) else held_out)
    return f"{'passed' if verdict['passed'] else 'failed'} its gate{rests}: {', '.join(parts)}"


def _rests_on(part: Any) -> str:
    """How many pictures that differ, and answers of how many classes, a verdict rests on."""
    part = part if isinstance(part, dict) else {}
    of = f", {part['distinct']} distinct" if "distinct" in part else ", copies perhaps counted"
    classes = f", with answers of {part['classes']} classes" if "classes" in part else ""
    return f" on {part['images']} pictures{of}{classes}" if "images" in part else ""


def _of_whom(pre: dict[str, Any]) -> str:
    return " of OpenCV" if pre["resize"] == "opencv" else ""


def _alpha(pre: dict[str, Any]) -> str:
    return "alpha dropped" if pre["alpha"] == "drop" else f"background {_numbers(pre['background'])}"


def _numbers(values: Any) -> str:
    return ", ".join(f"{v:g}" for v in values)
