"""The report's pictures, drawn with Pillow alone: confusions, calibration, learning curves, and a sheet of mistakes.

All are drawn at twice the size at which a page shows them. Names that the built-in font cannot write appear as numbers.
"""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .metrics import Bin

if TYPE_CHECKING:
    from .evaluation import Evaluation
    from .run import Answers

UNIT = 2  # pixels of a picture for one on the page
INK, FAINT, GRID = (32, 33, 36), (110, 114, 120), (225, 227, 230)
BLUE, ORANGE, GREEN = (31, 100, 180), (214, 110, 20), (30, 140, 90)
BARS = (150, 185, 225)  # a lighter blue, on which lines are seen
MATRIX = 40  # classes up to which a matrix is drawn; beyond, the most confused pairs
PAIRS = 30
CUT = 20  # times the third quartile, above which a curve leaves its panel: no ordinary loss falls so far in a quarter of a run
LETTERS = 28  # of a name; of a longer one the middle is left out, as similar names differ at either end
TILE = 128  # pixels of the page that a thumbnail has at most


@lru_cache(maxsize=8)
def _font(size: int) -> Any:
    return ImageFont.load_default(size * UNIT)


def writable(text: str, number: int | None = None) -> str:
    """Text in the letters that the built-in font has, ASCII, without accents; or else `#number`."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    short = bare if len(bare) <= LETTERS else f"{bare[: LETTERS // 2 - 1].rstrip()}…{bare[-LETTERS // 2 :].lstrip()}"
    if all(" " <= c <= "~" or c == "…" for c in short):
        return short
    return f"#{number}" if number is not None else "".join(c if " " <= c <= "~" else "?" for c in short)


def labels(answers: Answers) -> list[str]:
    """What the pictures call each column: the first of its names, with its number where that is needed to know it."""
    numbers, short = answers.columns.tolist(), [n.split(",")[0] for n in answers.names]
    written = [writable(name, number) for name, number in zip(short, numbers, strict=True)]
    shared = Counter(written)
    return [f"#{number} {text}" if shared[text] > 1 else text for text, number in zip(written, numbers, strict=True)]


class Canvas:
    """A picture with the page's pixels as coordinates."""

    def __init__(self, width: float, height: float) -> None:
        self.image = Image.new("RGB", (round(width * UNIT), round(height * UNIT)), "white")
        self.draw = ImageDraw.Draw(self.image)

    def box(self, x: float, y: float, width: float, height: float, fill: Any = None, outline: Any = None) -> None:
        """Fill a rectangle, or draw its outline."""
        corners = [round(v * UNIT) for v in (x, y, x + width, y + height)]
        if corners[2] > corners[0] and corners[3] > corners[1]:
            self.draw.rectangle((corners[0], corners[1], corners[2] - 1, corners[3] - 1), fill, outline, UNIT)

    def line(self, points: Sequence[tuple[float, float]], fill: Any, width: float = 1.5) -> None:
        """Draw lines from point to point."""
        scaled = [(x * UNIT, y * UNIT) for x, y in points]
        if len(scaled) > 1:
            self.draw.line(scaled, fill, round(width * UNIT), joint="curve")
        for x, y in scaled if len(scaled) == 1 else ():
            self.draw.ellipse((x - 2 * UNIT, y - 2 * UNIT, x + 2 * UNIT, y + 2 * UNIT), fill)

    def text(self, x: float, y: float, text: str, anchor: str = "la", fill: Any = INK, size: int = 11) -> None:
        """Write one line; the anchor is Pillow's."""
        self.draw.text((x * UNIT, y * UNIT), text, fill, _font(size), anchor)

    def upwards(self, x: float, y: float, text: str, size: int = 11) -> None:
        """Write one line that runs up from (x, y), centred on x."""
        width, height = math.ceil(_font(size).getlength(text)) + 2, round(1.5 * size * UNIT)
        part = Image.new("RGB", (width, height), "white")
        ImageDraw.Draw(part).text((0, height // 2), text, INK, _font(size), "lm")
        turned = part.transpose(Image.Transpose.ROTATE_90)
        self.image.paste(turned, (round(x * UNIT) - turned.width // 2, round(y * UNIT) - turned.height))


def width_of(texts: Sequence[str], size: int = 11) -> float:
    """The widest of some lines."""
    return max((_font(size).getlength(t) for t in texts), default=0) / UNIT


def matrix(pairs: np.ndarray, labels: Sequence[str]) -> Image.Image:
    """Draw the confusion matrix: rows are true classes, shades the share of the row, with the numbers where they fit."""
    count = len(labels)
    counts = np.zeros((count, count), np.int64)
    counts[pairs[:, 0], pairs[:, 1]] = pairs[:, 2]
    cell = 34 if count <= 20 else 16
    left, top = width_of([*labels, "true"]) + 24, width_of(labels) + 42
    canvas = Canvas(left + max(count * cell, width_of(["answer"])) + 10, top + count * cell + 10)
    canvas.text(left, 6, "answer", fill=FAINT)
    canvas.text(left - 6, top - 6, "true", "rd", fill=FAINT)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    for row in range(count):
        canvas.text(left - 6, top + (row + 0.5) * cell, labels[row], "rm")
        canvas.upwards(left + (row + 0.5) * cell, top - 6, labels[row])
        for column in range(count):
            color = _shade(float(shares[row, column]), GREEN if row == column else ORANGE)
            canvas.box(left + column * cell, top + row * cell, cell - 1, cell - 1, color)
            if cell > 20 and counts[row, column]:
                dark = shares[row, column] > 0.6
                at = (left + (column + 0.5) * cell, top + (row + 0.5) * cell)
                canvas.text(*at, _short(int(counts[row, column])), "mm", "white" if dark else INK, 10)
    return canvas.image


def _shade(share: float, color: tuple[int, int, int]) -> tuple[int, ...]:
    weight = share**0.6  # small shares are what one looks for
    return tuple(round(246 + (c - 246) * weight) for c in color)


def _short(number: int) -> str:
    return str(number) if number < 10_000 else f"{number // 1000}k"


def bars(rows: Sequence[tuple[str, float, str]], color: Any = ORANGE) -> Image.Image:
    """Draw a bar a row: its name, a length of 0 to 1, and what is written behind it."""
    left = width_of([name for name, _, _ in rows]) + 16
    right = width_of([text for _, _, text in rows]) + 16
    canvas = Canvas(left + 320 + right, 12 + 20 * len(rows))
    for number, (name, length, text) in enumerate(rows):
        y = 6 + 20 * number
        canvas.text(left - 8, y + 10, name, "rm")
        canvas.box(left, y + 3, max(1.0, 320 * length), 14, color)
        canvas.text(left + 320 * length + 6, y + 10, text, "lm", FAINT)
    return canvas.image


def drawn(evaluation: Evaluation) -> list[int]:
    """The columns that `confusion` or `precisions` names."""
    count, pairs = len(evaluation.answers.names), evaluation.pairs
    if pairs is None or count <= MATRIX:
        return list(range(count))
    return np.unique(_confused(pairs)[:, :2]).tolist()


def _confused(pairs: np.ndarray) -> np.ndarray:
    return pairs[pairs[:, 0] != pairs[:, 1]][:PAIRS]


def confusion(evaluation: Evaluation) -> Image.Image | None:
    """Draw the matrix, or of many classes the pairs that are confused most; None if there is nothing to show."""
    answers, pairs = evaluation.answers, evaluation.pairs
    if pairs is None or evaluation.classes is None:
        return None
    if len(answers.names) <= MATRIX:
        return matrix(pairs, labels(answers))
    wrong = _confused(pairs)
    if not len(wrong):
        return None
    names, support = labels(answers), evaluation.classes.support
    most = max(n / support[t] for t, _, n in wrong.tolist())
    return bars([(f"{names[t]} as {names[p]}", n / support[t] / most, f"{n} of {support[t]}") for t, p, n in wrong.tolist()])


def precisions(evaluation: Evaluation) -> Image.Image | None:
    """Draw the lowest average precisions of a multi-label model."""
    each = evaluation.average_precisions
    if each is None:
        return None
    order = [k for k in np.argsort(each).tolist() if not np.isnan(each[k])][:PAIRS]
    names = labels(evaluation.answers)
    return bars([(names[k], float(each[k]), f"{100 * each[k]:.1f}%") for k in order], BLUE)


def reliability(bins: Sequence[Bin]) -> Image.Image:
    """Draw the share that is right over the confidence, and below how many pictures have that confidence."""
    side, left, top, low = 300, 46, 34, 70
    canvas = Canvas(left + side + 24, top + side + low + 56)
    most = max(1, *(b.pictures for b in bins))
    _legend(canvas, left, 8, [("share that is right", BARS), ("mean confidence", ORANGE)])
    _axes(canvas, (left, top, side, side), (0, 1), (0, 1), lambda v: f"{100 * v:.0f}%", lambda v: f"{100 * v:.0f}%")
    for b in bins:
        x, width = left + side * b.low, side * (b.high - b.low) - 1
        if b.pictures:
            canvas.box(x, top + side * (1 - b.accuracy), width, max(1.0, side * b.accuracy), BARS)
            canvas.box(x, top + side * (1 - b.confidence) - 1, width, 2, ORANGE)
        height = low * b.pictures / most
        canvas.box(x, top + side + 50 + low - height, width, height, FAINT if b.pictures else None)
    canvas.line([(left, top + side), (left + side, top)], FAINT, 1)
    canvas.text(left + side / 2, top + side + 20, "confidence", "ma", FAINT, 10)
    canvas.text(left, top + side + 34, f"how many have it, up to {most}", fill=FAINT, size=10)
    return canvas.image


def _legend(canvas: Canvas, left: float, y: float, names: Sequence[tuple[str, Any]]) -> None:
    """Write names in a line that nothing is drawn on, each behind a patch of its colour."""
    for name, color in names:
        canvas.box(left, y + 2, 12, 9, color)
        canvas.text(left + 17, y, name)
        left += 17 + width_of([name]) + 18


def _axes(
    canvas: Canvas,
    frame: tuple[float, float, float, float],
    xs: tuple[float, float],
    ys: tuple[float, float],
    x_text: Callable[[float], str],
    y_text: Callable[[float], str],
    x_step: float = 0.0,
) -> None:
    """Grid lines and their numbers around a frame: left, top, width, height."""
    left, top, width, height = frame
    for value in _ticks(*ys):
        y = top + height * (1 - (value - ys[0]) / (ys[1] - ys[0]))
        canvas.line([(left, y), (left + width, y)], GRID, 1)
        canvas.text(left - 6, y, y_text(value), "rm", FAINT, 10)
    for value in _ticks(*xs, least=x_step):
        x = left + width * (value - xs[0]) / (xs[1] - xs[0])
        canvas.text(x, top + height + 5, x_text(value), "ma", FAINT, 10)


def _ticks(low: float, high: float, least: float = 0.0) -> list[float]:
    """Round numbers from low to high, about five, no closer than `least`."""
    raw = max((high - low) / 5, least)
    base = 10 ** math.floor(math.log10(raw))
    step = next(base * m for m in (1, 2, 5, 10) if base * m >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(step * k, 12) for k in range(first, math.floor(high / step + 1e-9) + 1)]


Series = tuple[str, Any, list[tuple[float, float]]]  # name, colour, points


def curves(history: Sequence[dict[str, Any]]) -> Image.Image | None:
    """Draw the losses, the top-1 and the learning rate over the epochs; None if the history has none of them."""
    wanted = ((("train_loss", ORANGE), ("val_loss", BLUE)), (("val_top1", GREEN),), (("lr", FAINT),))
    panels = [[s for s in (_series(history, key, color) for key, color in panel) if s[2]] for panel in wanted]
    panels = [panel for panel in panels if panel]
    if not panels:
        return None
    width, height, gap = 460, 190, 58
    canvas = Canvas(70 + width + 16, (height + gap) * len(panels) + 18)
    for number, panel in enumerate(panels):
        _panel(canvas, (70, 30 + (height + gap) * number, width, height), panel)
    canvas.text(70 + width / 2, canvas.image.height / UNIT - 18, "epoch", "ma", FAINT, 10)
    return canvas.image


def _series(history: Sequence[dict[str, Any]], key: str, color: Any) -> Series:
    points = [(row.get("epoch"), row.get(key)) for row in history]
    return key, color, [(float(x), float(y)) for x, y in points if _number(x) and _number(y)]  # type: ignore[arg-type]


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _panel(canvas: Canvas, frame: tuple[float, float, float, float], panel: list[Series]) -> None:
    left, top, width, height = frame
    every = [y for _, _, points in panel for _, y in points]
    losses = all(name.endswith("loss") for name, _, _ in panel)
    values, cut = _within(every) if losses else (every, [])
    epochs = [x for _, _, points in panel for x, _ in points]
    xs, ys = _range(epochs), _range(values)
    _axes(canvas, frame, xs, ys, lambda v: f"{v:g}", lambda v: f"{v:g}", x_step=1)

    def place(x: float, y: float) -> tuple[float, float]:
        return left + width * (x - xs[0]) / (xs[1] - xs[0]), top + height * (1 - (y - ys[0]) / (ys[1] - ys[0]))

    for _, color, points in panel:
        canvas.line([place(x, min(y, ys[1])) for x, y in points], color)
    _legend(canvas, left, top - 22, [(name.replace("_", " "), color) for name, color, _ in panel])
    if cut:
        canvas.text(left + width, top - 22, f"{len(cut)} above the top, up to {max(cut):.2g}", "ra", FAINT, 10)


def _within(values: Sequence[float]) -> tuple[list[float], list[float]]:
    """The values that a panel has room for, and those so far above the rest that they would flatten it to a line."""
    most = CUT * float(np.quantile(values, 0.75))
    return [v for v in values if v <= most or most <= 0], [v for v in values if v > most > 0]


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5 * (abs(low) or 1), high + 0.5 * (abs(high) or 1))


def sheet(tiles: Sequence[tuple[Image.Image, Sequence[str]]], columns: int = 6) -> Image.Image:
    """Draw thumbnails in rows, a few lines of text below each."""
    lines = max((len(text) for _, text in tiles), default=0)
    width, height = TILE + 12, TILE + 16 + 14 * lines
    canvas = Canvas(12 + width * min(columns, max(1, len(tiles))), 12 + height * math.ceil(len(tiles) / columns))
    for number, (image, texts) in enumerate(tiles):
        x, y = 12 + width * (number % columns), 12 + height * (number // columns)
        at = (x * UNIT + (TILE * UNIT - image.width) // 2, y * UNIT + (TILE * UNIT - image.height) // 2)
        canvas.image.paste(image, at)
        for row, text in enumerate(texts):
            canvas.text(x, y + TILE + 4 + 14 * row, _cut(text), size=10, fill=(INK, ORANGE, FAINT)[min(row, 2)])
    return canvas.image


def _cut(text: str) -> str:
    while text and _font(10).getlength(text) > TILE * UNIT:
        text = text[:-2].rstrip() + "…"
    return text


def thumbnail(pixels: np.ndarray) -> Image.Image:
    """Scale a picture, uint8 [H,W,C], to fit a tile; of other numbers of channels than 3 the first is shown."""
    image = Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[:, :, 0]).convert("RGB")
    scale = TILE * UNIT / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.NEAREST if scale > 3 else Image.Resampling.LANCZOS)
