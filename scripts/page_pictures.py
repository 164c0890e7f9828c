"""Draw docs/serve-page.png and docs/serve-page-dark.png: the page of `lcnet serve` with some photographs.

    python scripts/page_pictures.py PHOTO... [--chromium PATH]

The first photo is shown in full. The model is the bundled one with thresholds of 0.45, so that it may say `unknown`. Wants
playwright and a chromium.
"""

from __future__ import annotations

import io
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from PIL import Image

import lcnet.serve
from lcnet import modelfile
from lcnet.config import Decision
from lcnet.hub import locate

DOCS = Path(__file__).parents[1] / "docs"
MODEL = "lcnet_050.cifar10"
SIZE = {"width": 1240, "height": 700}


def careful(path: Path) -> Path:
    """The bundled model, with thresholds."""
    model = modelfile.read(locate(MODEL).path)
    assert model.config.labels is not None
    decision = Decision(thresholds=dict.fromkeys(model.config.labels.names, 0.45))
    modelfile.write(path, replace(model, config=replace(model.config, decision=decision)))
    return path


def drawn(browser: Any, url: str, photos: list[str], scheme: str) -> Image.Image:
    """The page when all is answered, in 256 colors."""
    page = browser.new_page(viewport=SIZE, color_scheme=scheme)
    page.goto(url)
    page.set_input_files("#files", photos)
    page.locator(".card img").nth(len(photos) - 1).wait_for(state="attached")
    page.locator(".card.busy").first.wait_for(state="detached")
    page.locator(".large img").wait_for()
    page.wait_for_timeout(500)
    whole = _shot(page)
    page.evaluate("document.querySelectorAll('main img').forEach((img) => (img.style.visibility = 'hidden'))")
    return whole.quantize(palette=_palette(_shot(page), whole), dither=Image.Dither.NONE)


def _shot(page: Any) -> Image.Image:
    return Image.open(io.BytesIO(page.screenshot())).convert("RGB")


def _palette(plain: Image.Image, whole: Image.Image) -> Image.Image:
    """The colors of the page itself, however few pixels have them, and those of the photographs."""
    palette = Image.new("P", (1, 1))
    found: Any = plain.getcolors(1 << 20) or []
    colors = sorted(found, reverse=True)[:96]
    photos = whole.quantize(256 - len(colors)).getpalette() or []
    palette.putpalette([value for _, color in colors for value in color] + photos[: 3 * (256 - len(colors))])
    return palette


@click.command()
@click.argument("photos", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, resolve_path=True))
@click.option("--chromium", default=shutil.which("chromium"), help="The program.")
def main(photos: tuple[str, ...], chromium: str | None) -> None:
    """Draw both."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        with lcnet.serve.running({MODEL: careful(Path(folder) / "model.safetensors")}) as url:
            for scheme, name in (("light", "serve-page.png"), ("dark", "serve-page-dark.png")):
                drawn(browser, url, list(photos), scheme).save(DOCS / name, optimize=True)
        browser.close()


if __name__ == "__main__":
    main()
