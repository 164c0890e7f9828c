"""A folder that shows how good a model is: report.html, which holds everything, its pictures as PNG, evaluation.json.

Needs nothing but Pillow. Every name is escaped. The folder appears whole or not at all, and an existing one is replaced only
if asked for.
"""

from __future__ import annotations

import base64
import os
import sys
from collections.abc import Sequence
from html import escape as escape_html
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..dataset import array_of
from ..dataset.arrays import is_array
from ..errors import LcnetError
from ..files import check_folder, replacing_folder
from ..formats import json_text
from ..text import one_line
from .evaluation import Evaluation
from .tables import class_rows, decided_rows, group_rows, slice_rows, summary_rows

if TYPE_CHECKING:
    from PIL import Image

    from .run import LabeledPictures

PAGE = "report.html"
TILES = 24  # mistakes that are shown
CLASSES = 100  # rows of the table of classes; of more the worst
CALIBRATION = "Where a bar ends above its mean confidence, more answers are right than the model says; below, fewer."

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #202124; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem; overflow-wrap: anywhere } h2 { font-size: 1.15rem; margin-top: 2.2rem }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
td, th { padding: .15rem .8rem .15rem 0; text-align: right; border-bottom: 1px solid #e1e3e6 }
td:first-child, th:first-child { text-align: left; overflow-wrap: anywhere }
th { font-weight: 600 } img { max-width: 100%; height: auto } .note { color: #6e7278 }
figure { display: inline-block; width: 130px; margin: 0 10px 14px 0; vertical-align: top; font-size: 12px; line-height: 1.3 }
figure img { width: 128px } figcaption { overflow-wrap: anywhere } .wrong { color: #b35309 }
"""


def escape(text: str) -> str:
    """Text for the page: as text, whatever HTML it looks like, and with nothing that turns its direction or hides."""
    return escape_html(one_line(text))


def check(folder: Path, overwrite: bool = False) -> None:
    """Refuse, before any work, a folder that cannot or must not be written. Raises `InputError`."""
    check_folder(folder, overwrite, _foreign)


def _foreign(folder: Path) -> str:
    return "" if (folder / PAGE).is_file() or not any(folder.iterdir()) else f"it holds no {PAGE}, so it is no report"


def write_report(
    folder: str | os.PathLike[str],
    evaluation: Evaluation,
    dataset: LabeledPictures | None = None,
    *,
    title: str = "",
    history: Sequence[dict[str, Any]] | None = None,
    overwrite: bool = False,
) -> None:
    """Write the report of an evaluation, under a temporary name and then renamed.

    dataset: what the mistakes are read from, by default what was measured; its pictures must be in the same order. title: by
    default what the model says of itself. history: what training wrote an epoch, with any of `epoch`, `train_loss`,
    `val_loss`, `val_top1` and `lr`; drawn as learning curves. Raises `InputError` for a folder that exists, unless it is a
    report and `overwrite` is given.
    """
    target = Path(folder)
    check(target, overwrite)
    with replacing_folder(target) as temporary:
        _fill(temporary, evaluation, dataset or evaluation.answers.dataset, title or _title(evaluation), history or ())


def _title(evaluation: Evaluation) -> str:
    config = evaluation.answers.config
    source, data = (config.provenance.get(key) for key in ("source", "data"))
    name = f"{config.arch.name} trained on {data}" if data else str(source or config.arch.name)
    return f"{name}, measured on {evaluation.pictures:,} pictures"


def _fill(
    folder: Path, evaluation: Evaluation, dataset: LabeledPictures, title: str, history: Sequence[dict[str, Any]]
) -> None:
    from . import plots

    tiles = _tiles(evaluation, dataset)
    drawn = {
        "curves": plots.curves(history),
        "confusion": plots.confusion(evaluation),
        "precisions": plots.precisions(evaluation),
        "reliability": plots.reliability(evaluation.calibration),
        "mistakes": plots.sheet([(image, text) for image, text, _ in tiles]) if tiles else None,
    }
    images = {name: _encoded(image, "PNG") for name, image in drawn.items() if image is not None}
    for name, data in images.items():
        (folder / f"{name}.png").write_bytes(data)
    (folder / "evaluation.json").write_text(json_text(evaluation.to_json(), indent=2), encoding="utf-8")
    (folder / PAGE).write_text(_page(evaluation, title, images, tiles), encoding="utf-8")


Tile = tuple["Image.Image", list[str], list[str]]  # thumbnail, lines that its font can write, lines for the page


def _tiles(evaluation: Evaluation, dataset: LabeledPictures) -> list[Tile]:
    """The worst mistakes; a picture that has gone since is left out."""
    from ..image import decode
    from .plots import thumbnail, writable

    preprocessing, tiles = evaluation.answers.config.preprocessing, []
    for m in evaluation.mistakes[:TILES]:
        try:
            data = dataset.read(m.sample)
            pixels = (
                array_of(data, m.name) if is_array(data) else decode(data, preprocessing, max_pixels=sys.maxsize)
            )  # read before
        except LcnetError:
            continue
        lines = [f"is {_first(m.truth) or 'none'}", f"said {_first(m.predicted) or 'none'}", f"{100 * m.probability:.1f}%"]
        tiles.append((thumbnail(pixels), [writable(line) for line in lines], [*lines, m.name]))
    return tiles


def _first(names: str) -> str:
    return " | ".join(name.split(",")[0] for name in names.split(" | "))


def _encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _page(evaluation: Evaluation, title: str, images: dict[str, bytes], tiles: list[Tile]) -> str:
    parts = [f"<h1>{escape(title)}</h1>", f"<p>{evaluation.pictures:,} pictures. Intervals are 95%.</p>"]
    parts += map(_caption, evaluation.notes())
    parts.append(_table([["measure", "value", "interval"], *summary_rows(evaluation)]))
    if "curves" in images:
        parts += ["<h2>Training</h2>", _image(images["curves"], "learning curves")]
    if "confusion" in images:
        parts += ["<h2>Confusions</h2>", _caption(_confusion_text(evaluation))]
        parts.append(_image(images["confusion"], "confusion matrix, or the most confused pairs"))
        parts += _numbered(evaluation)
    if "precisions" in images:
        parts += ["<h2>Average precision, the lowest first</h2>", _image(images["precisions"], "average precisions")]
    parts += [
        "<h2>Calibration</h2>",
        _caption(CALIBRATION),
        _image(images["reliability"], "share that is right, by confidence"),
    ]
    if evaluation.classes is not None:
        parts += ["<h2>Classes</h2>", _table(class_rows(evaluation, CLASSES))]
    if evaluation.decided is not None:
        parts += ["<h2>With the thresholds</h2>", _table(decided_rows(evaluation, CLASSES))]
    if evaluation.groups:
        parts += ["<h2>Groups</h2>", _table(group_rows(evaluation))]
    if evaluation.slices:
        parts += ["<h2>By size</h2>", _table([["shorter side", "pictures", "right", "interval"], *slice_rows(evaluation)])]
    if tiles:
        parts += [f"<h2>Mistakes: {evaluation.wrong:,}, the most confident first</h2>", *map(_figure, tiles)]
    if evaluation.answers.skipped:
        rows = [[s.name, s.reason] for s in evaluation.answers.skipped]
        parts += ["<h2>Pictures that could not be read</h2>", _table([["picture", "reason"], *rows])]
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n' + "\n".join(parts) + "\n</body></html>\n"


def _confusion_text(evaluation: Evaluation) -> str:
    from .plots import MATRIX

    if len(evaluation.answers.names) <= MATRIX:
        return "A row is a true class, a column an answer: the darker a field, the larger its share of the row."
    return "The pairs that are confused most, the true class first: the longer a bar, the larger their share of the true class."


def _caption(text: str) -> str:
    return f'<p class="note">{escape(text)}</p>'


def _numbered(evaluation: Evaluation) -> list[str]:
    """The names that the pictures cannot write, or not whole."""
    from .plots import drawn, labels

    names, written = evaluation.answers.names, labels(evaluation.answers)
    odd = [
        f"{written[k].split(' ')[0]} {names[k]}"
        for k in drawn(evaluation)
        if written[k].startswith("#") and written[k] != names[k]
    ]
    return [_caption("; ".join(odd[:CLASSES]))] if odd else []


def _table(rows: Sequence[Sequence[str]]) -> str:
    def row(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    return "<table>\n" + "\n".join([row(rows[0], "th"), *(row(r, "td") for r in rows[1:])]) + "\n</table>"


def _image(data: bytes, alt: str) -> str:
    from .plots import UNIT

    width = int.from_bytes(data[16:20], "big") // UNIT  # of the PNG's header
    return f'<img src="{_inline(data, "png")}" width="{width}" alt="{escape(alt)}">'


def _inline(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _figure(tile: Tile) -> str:
    image, _, lines = tile
    truth, said, probability, name = map(escape, lines)
    text = f'{truth}<br><span class="wrong">{said}</span> {probability}<br><span class="note">{name}</span>'
    source = _inline(_encoded(image, "JPEG", quality=85), "jpeg")
    return f'<figure><img src="{source}" alt=""><figcaption>{text}</figcaption></figure>'
