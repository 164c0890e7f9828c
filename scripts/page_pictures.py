"""Draw the pictures of the pages for the documentation.

    python scripts/page_pictures.py PHOTO... [--chromium PATH]
    python scripts/page_pictures.py --site web/dist [--chromium PATH]

The first draws docs/serve-page.png and docs/serve-page-dark.png: the page of `lcnet serve` with some photographs, of which the
first is shown in full. The second draws docs/browser-page.png, -dark and -phone: the page without a server, of the built npm
package, with its own samples. The model is the bundled one with thresholds, so that it may say `unknown`. Wants playwright and
a chromium, the second node.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import tempfile
import threading
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
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
WIDE = {"width": 1400, "height": 930}
PHONE = {"width": 390, "height": 844}


def careful(path: Path, least: float) -> Path:
    """The bundled model, with thresholds."""
    model = modelfile.read(locate(MODEL).path)
    assert model.config.labels is not None
    decision = Decision(thresholds=dict.fromkeys(model.config.labels.names, least))
    modelfile.write(path, replace(model, config=replace(model.config, decision=decision)))
    return path


def served(browser: Any, folder: Path, photos: list[str]) -> None:
    """The page of `lcnet serve`."""
    with lcnet.serve.running({MODEL: careful(folder / "model.safetensors", 0.45)}) as url:
        for scheme, name in (("light", "serve-page.png"), ("dark", "serve-page-dark.png")):
            page = browser.new_page(viewport=SIZE, color_scheme=scheme)
            page.goto(url)
            page.set_input_files("#files", photos)
            drawn(page, len(photos)).save(DOCS / name, optimize=True)


def alone(browser: Any, folder: Path, package: Path) -> None:
    """The page without a server: a phone has no room for the panel and shows the grid."""
    model = careful(folder / f"{MODEL}.safetensors", 0.75)
    subprocess.run(["node", DOCS.parent / "web" / "site.mjs", package, folder / "site", model], check=True)
    host = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder / "site")))
    threading.Thread(target=host.serve_forever, daemon=True).start()
    for scheme, size, name in (("light", WIDE, ""), ("dark", WIDE, "-dark"), ("light", PHONE, "-phone")):
        page = browser.new_page(viewport=size, color_scheme=scheme)
        page.goto(f"http://127.0.0.1:{host.server_port}/")
        page.locator("#whole", has_text="without").wait_for(state="attached")
        for _ in range(2):  # the first decoding of a browser takes longer
            page.click("#samples")
            page.locator("#count", has_text="4 pictures answered").wait_for()
            page.click("#clear")
        page.click("#samples")
        drawn(page, 4).save(DOCS / f"browser-page{name}.png", optimize=True)
    host.shutdown()


class Quiet(SimpleHTTPRequestHandler):
    """A static host that says nothing."""

    def log_message(self, *_: object) -> None:
        """Nothing."""


def drawn(page: Any, count: int) -> Image.Image:
    """The page when all is answered, in 256 colors."""
    page.locator(".card img").nth(count - 1).wait_for(state="attached")
    page.locator(".card.busy").first.wait_for(state="detached")
    if page.viewport_size != PHONE:
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
@click.argument("photos", nargs=-1, type=click.Path(exists=True, dir_okay=False, resolve_path=True))
@click.option("--site", "package", type=click.Path(exists=True, path_type=Path), help="The built npm package.")
@click.option("--chromium", default=shutil.which("chromium"), help="The program.")
def main(photos: tuple[str, ...], package: Path | None, chromium: str | None) -> None:
    """Draw them."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        if photos:
            served(browser, Path(folder), list(photos))
        if package:
            alone(browser, Path(folder), package)
        browser.close()


if __name__ == "__main__":
    main()
