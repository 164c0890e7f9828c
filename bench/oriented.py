"""Pages and text lines that are drawn, not found: of a seed always the same, upright, and then turned.

Latin text in the fonts that the machine has beside Pillow's own, printed on paper that is tinted, tilted, blurred, noisy or
saved as a poor JPEG. They resemble what is scanned, so networks can be compared by them; how well one does in the world they do
not say.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

FONT_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts", "/System/Library/Fonts", "C:/Windows/Fonts")
TEXT_FONTS = ("DejaVuSans", "DejaVuSerif", "Liberation", "NotoSans-", "NotoSerif-", "Arial", "Times", "Courier", "Verdana")
WORDS = """
the of and a to in is was that for it with as on be at by this had not are but from or have an they which one were all
we when there can more if no out so said what up its about into them then only some could time these two may first any now
such like other than our over man made after also did many before must through years where much your way well down should
because each just those people how too little state good very make world still see work long here between both life under
never day same another know while last might us great old year off come since against go came right used take three payment
invoice Figure Table Section account number total amount received company department report contract signature Committee
""".split()
MARKS: tuple[str, ...] = (*itertools.repeat("", 12), *",,,,..;:?!")


class Artist:
    """Everything that is drawn from one seed."""

    def __init__(self, *seed: object, fonts: Sequence[str] | None = None, words: Sequence[str] = WORDS) -> None:
        self.random = Random("/".join(map(str, seed)))
        self.noise = np.random.default_rng(self.random.getrandbits(32))
        self.fonts, self.vocabulary = ("", *font_files()) if fonts is None else tuple(fonts), words

    def font(self, size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
        name = self.random.choice(self.fonts)
        return ImageFont.truetype(name, size) if name else ImageFont.load_default(size)

    def word(self) -> str:
        kind = self.random.random()
        if kind < 0.08:
            digits = self.random.randint(1, 6)
            return f"{self.random.randrange(int(10**digits)):,}"
        word = self.random.choice(self.vocabulary)
        word = word.upper() if kind < 0.11 else word.capitalize() if kind < 0.22 else word
        return word + self.random.choice(MARKS)

    def words(self, count: int) -> str:
        return " ".join(self.word() for _ in range(count))

    def colors(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Paper and ink; one time in ten the ink is the lighter one."""
        paper = tuple(self.random.randint(215, 255) for _ in "rgb")
        dark = self.random.randint(0, 110)
        ink = tuple(min(255, dark + self.random.randint(0, 40)) for _ in "rgb")
        return (ink, paper) if self.random.random() < 0.1 else (paper, ink)

    def spoiled(self, image: Image.Image, tilt: float, paper: tuple[int, ...]) -> Image.Image:
        """What scanners and cameras do: tilt, blur, noise, JPEG; each at times."""
        choose = self.random.random
        if choose() < 0.5:
            turned = self.random.uniform(-tilt, tilt)
            image = image.rotate(turned, Image.Resampling.BICUBIC, fillcolor=paper)
        if choose() < 0.4:
            image = image.filter(ImageFilter.GaussianBlur(self.random.uniform(0.3, 1.2)))
        if choose() < 0.4:
            levels = self.noise.normal(0, self.random.uniform(2, 14), (image.height, image.width, 1))
            image = Image.fromarray(np.clip(np.asarray(image) + levels, 0, 255).astype(np.uint8))
        if choose() < 0.4:
            data = io.BytesIO()
            image.save(data, "JPEG", quality=self.random.randint(25, 90))
            image = Image.open(data).convert("RGB")
        return image


@cache
def font_files() -> tuple[str, ...]:
    """The text fonts of this machine, by name."""
    found = [path for folder in FONT_FOLDERS for path in Path(folder).rglob("*.ttf") if path.stem.startswith(TEXT_FONTS)]
    return tuple(map(str, sorted(found, key=lambda path: path.name)))


def page(number: int) -> Image.Image:
    """An upright page: a title, columns of paragraphs, tables, boxes where pictures would be."""
    artist = Artist("page", number)
    random, (paper, ink) = artist.random, artist.colors()
    sides = sorted(random.randint(600, 1500) for _ in range(2))
    width, height = sides if random.random() < 0.8 else sides[::-1]
    image = Image.new("RGB", (width, height), paper)
    draw = ImageDraw.Draw(image)
    margin, size = random.randint(30, 90), random.randint(11, 26)
    top, columns = margin, random.choice([1, 1, 2, 2, 3])
    if random.random() < 0.7:
        draw.text((margin, top), artist.words(random.randint(2, 6)), ink, artist.font(2 * size))
        top += 4 * size
    gap, font = 2 * size, artist.font(size)
    column = (width - 2 * margin - gap * (columns - 1)) // columns
    last = height - margin - (random.randint(0, height // 2) if random.random() < 0.3 else 0)
    for i in range(columns):
        fill_column(artist, draw, font, size, ink, (margin + i * (column + gap), top, column, last))
    return artist.spoiled(image, 2.5, paper)


def fill_column(
    artist: Artist,
    draw: ImageDraw.ImageDraw,
    font: object,
    size: int,
    ink: tuple[int, ...],
    place: tuple[int, int, int, int],
    boxes: float = 0.12,
    tables: float = 0.12,
) -> None:
    """Fill from the top to the last row, paragraph by paragraph; `boxes` and `tables` are the shares of what is none."""
    random = artist.random
    left, top, width, last = place
    step = round(size * random.uniform(1.2, 1.7))
    while top + step < last:
        kind = random.random()
        rows = min(random.randint(2, 9), (last - top) // step)
        if kind < boxes:
            draw.rectangle((left, top, left + width, top + rows * step), tuple(random.randint(60, 230) for _ in "rgb"))
        elif kind < boxes + tables:
            _table(artist, draw, font, ink, (left, top, width, rows, step))
        else:
            _paragraph(artist, draw, font, ink, (left, top, width, rows, step))
        top += (rows + 1) * step


def _paragraph(
    artist: Artist, draw: ImageDraw.ImageDraw, font: object, ink: tuple[int, ...], place: tuple[int, int, int, int, int]
) -> None:
    """Lines of words, ragged on the right; the last one is short."""
    left, top, width, rows, step = place
    for number in range(rows):
        room = width * artist.random.uniform(0.2, 0.9) if number == rows - 1 else width
        text = artist.word()
        while draw.textlength(longer := f"{text} {artist.word()}", font) < room:  # type: ignore[arg-type]
            text = longer
        draw.text((left, top + number * step), text, ink, font)  # type: ignore[arg-type]


def _table(
    artist: Artist, draw: ImageDraw.ImageDraw, font: object, ink: tuple[int, ...], place: tuple[int, int, int, int, int]
) -> None:
    """Cells with one word each, between lines."""
    left, top, width, rows, step = place
    cells = artist.random.randint(2, 5)
    for number in range(rows):
        y = top + number * step
        draw.line((left, y, left + width, y), ink)
        for cell in range(cells):
            draw.text((left + 4 + cell * width // cells, y), artist.word()[:8], ink, font)  # type: ignore[arg-type]


def line(number: int) -> Image.Image:
    """An upright text line, cropped as a detector crops it: more or less close, of one word to a dozen."""
    artist = Artist("line", number)
    random, (paper, ink) = artist.random, artist.colors()
    size = random.randint(14, 64)
    text, font = artist.words(random.choice([1, 1, 2, 3, 4, 6, 8, 12])), artist.font(size)
    left, top, right, bottom = ImageDraw.Draw(Image.new("RGB", (1, 1))).textbbox((0, 0), text, font)
    around = [random.uniform(0.02, 0.3) * size for _ in range(4)]
    width, height = round(right - left + around[0] + around[1]), round(bottom - top + around[2] + around[3])
    image = Image.new("RGB", (max(width, 8), max(height, 8)), paper)
    ImageDraw.Draw(image).text((around[0] - left, around[2] - top), text, ink, font)
    return artist.spoiled(image, min(3.0, 20 * size / max(width, 1)), paper)


def turned(image: Image.Image, degrees: int) -> Image.Image:
    """The picture turned clockwise, to the bit."""
    turns = {90: Image.Transpose.ROTATE_270, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_90}
    return image.transpose(turns[degrees]) if degrees else image


def samples(kind: str, turns: int, first: int, count: int) -> Iterator[tuple[Image.Image, int]]:
    """Pictures of `kind` from the number `first` on, each in every turn, with the class: 0 upright, then clockwise."""
    draw = {"page": page, "line": line}[kind]
    for number in range(first, first + count):
        image = draw(number)
        for turn in range(turns):
            yield turned(image, 360 // turns * turn), turn
