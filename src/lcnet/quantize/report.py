"""What `lcnet quantize` measured, as text and as a picture; the JSON is the report itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import MissingExtraError
from ..text import one_line


def text(report: dict[str, Any]) -> str:
    """All of it, as the command prints it."""
    table = rows(report)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    aligned = [
        "  ".join((c.ljust if i in (0, 3) else c.rjust)(w) for i, (c, w) in enumerate(zip(row, widths, strict=True)))
        for row in table
    ]
    return "\n".join([*(line.rstrip() for line in aligned), "", *lines(report)])


def rows(report: dict[str, Any]) -> list[list[str]]:
    """The parts of the network, the noise that each brings in alone, and what it runs in."""
    head = ["part", "alone, dB", "of the MACs", "runs in"]
    return [head] + [[u["unit"], f"{u['sqnr_db']:.1f}", f"{u['macs']:.1%}", u["runs_in"]] for u in report["units"]]


def lines(report: dict[str, Any]) -> list[str]:
    """The measurements, a line each."""
    calibration, held, judged = report["calibration"], report["held_out"], report["evaluation"]
    size, ms, given = report["size"], report["latency"], report["pictures"]
    out = [f"pictures      {given['looked_at']} looked at, {given['distinct']} distinct{_left_out(given)}"]
    out += [f"calibration   {calibration['images']} pictures{_left_out(calibration)}"]
    out.append(f"held out      {_rests_on(held)}{_left_out(held)}: {_agreement(held)}{held['sqnr_db']:.1f} dB")
    if judged:
        out += _accuracy(judged)
    out.append(
        f"latency       {ms['fp32_ms']:.3f} ms fp32, {ms['int8_ms']:.3f} ms int8 ({ms['threads']} thread, one picture,"
        f" {ms['clock']}): {ms['fp32_ms'] / ms['int8_ms']:.2f} times as fast"
    )
    out.append(f"weights       {size['fp32_bytes'] / 1e6:.2f} MB fp32, {size['int8_bytes'] / 1e6:.2f} MB int8")
    verdict = report["gate"]
    out += [f"doubt         {text}" for text in verdict["doubts"]]
    return [*out, "gate          " + ("passed" if verdict["passed"] else "failed: " + "; ".join(verdict["reasons"]))]


def _accuracy(judged: dict[str, Any]) -> list[str]:
    top1 = f"{judged['top1_fp32']:.2f}% fp32, {judged['top1_int8']:.2f}% int8"
    drop = f"drop {judged['drop']:.2f} points (95%: {judged['drop_low']:.2f} to {judged['drop_high']:.2f})"
    return [
        f"top-1         {top1}: {drop}",
        f"labelled      {_rests_on(judged)}{_left_out(judged)}: {_agreement(judged)}{judged['sqnr_db']:.1f} dB",
        *_alike(judged),
    ]


def _alike(judged: dict[str, Any]) -> list[str]:
    """What was not measured on because it says nothing new, a line each."""
    out = []
    if judged["leaked"]:
        names = ", ".join(map(one_line, judged["leaks"])) + (", ..." if judged["leaked"] > len(judged["leaks"]) else "")
        out.append(f"not judged by {judged['leaked']} labelled pictures like those to calibrate on: {names}")
    if judged["copies"]:
        out.append(f"not judged by {judged['copies']} labelled pictures like others of them")
    return out


def _rests_on(part: dict[str, Any]) -> str:
    classes = f", answers of {part['classes']} classes" if "classes" in part else ""
    return f"{part['images']} pictures, {part['distinct']} distinct{classes}"


def _agreement(part: dict[str, Any]) -> str:
    if "agreement" not in part:
        return ""
    return f"agreement {part['agreement']:.2%}, expected drop {part['expected_drop']:.2f} points, "


def _left_out(part: dict[str, Any]) -> str:
    return f" ({part['left_out']} left out)" if part["left_out"] else ""


def draw(report: dict[str, Any], path: Path) -> None:
    """Draw the noise that each part brings in alone. Needs matplotlib (extra: bench)."""
    try:
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise MissingExtraError(f"the plot needs matplotlib ({error}): pip install 'lcnet[bench]'") from None
    units = report["units"]
    figure, axis = plt.subplots(figsize=(8, 4))
    colors = ["tab:orange" if u["runs_in"] == "fp32" else "tab:blue" for u in units]
    axis.bar(range(len(units)), [u["sqnr_db"] for u in units], color=colors)
    axis.axhline(report["held_out"]["sqnr_db"], color="black", linewidth=0.8, linestyle="--")
    axis.set_xticks(range(len(units)), [u["unit"] for u in units], rotation=60, ha="right", fontsize=8)
    axis.set_ylabel("signal to noise of the outputs, dB")
    axis.set_title("each part alone in int8 (orange: kept in float); dashed: the model as it is", fontsize=9)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)
