"""A headless Chromium on the page of a real server, and what every visit must keep to: no script or style but ours, nobody
else asked, no error in the page."""

import os
import shutil
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

PAGE = Path(__file__).parents[2] / "web" / "page"
ARGUMENTS = ("--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
# What the page did that can be seen only from within: kept from its first line on.
WATCH = """
window.seen = {violations: [], said: [], urls: new Set()};
addEventListener("securitypolicyviolation", (e) => seen.violations.push(`${e.violatedDirective} ${e.blockedURI}`));
addEventListener("DOMContentLoaded", () => {
  const said = document.getElementById("said");
  new MutationObserver(() => said.textContent && seen.said.push(said.textContent)).observe(said, {childList: true});
});
const [make, revoke] = [URL.createObjectURL, URL.revokeObjectURL];
URL.createObjectURL = (blob) => { const url = make(blob); seen.urls.add(url); return url; };
URL.revokeObjectURL = (url) => { seen.urls.delete(url); revoke(url); };
"""


def _executable():
    return os.environ.get("LCNET_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def chromium():
    api = pytest.importorskip("playwright.sync_api", reason="playwright, the test-only driver of browsers, is not installed")
    executable = _executable()
    if not executable:
        pytest.skip("no chromium is installed (Debian: chromium); LCNET_CHROMIUM names another place")
    with api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=executable, args=list(ARGUMENTS))
        yield browser
        browser.close()


class Visit:
    """One page, with what pictures and cards are there."""

    def __init__(self, page, url):
        self.page, self.url = page, url
        self.requests, self.errors = [], []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda message: "Content Security" in message.text and self.errors.append(message.text))
        page.on("dialog", lambda dialog: (self.errors.append(f"dialog {dialog.message}"), dialog.dismiss()))
        page.add_init_script(WATCH)
        page.set_default_timeout(20_000)

    def open(self, path="/"):
        self.page.goto(self.url + path)
        return self

    def add(self, *files):
        """Choose files as a user does, and wait until all have an answer or an error."""
        with self.page.expect_file_chooser() as chooser:
            self.page.click("#choose")
        chooser.value.set_files([str(file) for file in files])
        self.settled()

    def settled(self):
        self.page.locator(".card").first.wait_for()
        self.page.locator(".card.busy").first.wait_for(state="detached")

    def drop(self, *paths):
        """Drag files over the page and let go, by the browser's own input."""
        devtools = self.page.context.new_cdp_session(self.page)
        data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            devtools.send("Input.dispatchDragEvent", {"type": kind, "x": 300, "y": 300, "data": data})

    @property
    def cards(self):
        return self.page.locator(".card")

    @property
    def labels(self):
        """What each card says, in order."""
        return self.page.locator(".card .what bdi").all_inner_texts()

    @property
    def said(self):
        return [text.strip() for text in self.page.evaluate("seen.said")]

    def choose(self, place=0):
        self.cards.nth(place).click()
        self.page.locator("#detail[open]").wait_for()

    def check(self):
        """What holds of every visit."""
        host = urlsplit(self.url).netloc
        asked = [urlsplit(url) for url in self.requests]
        assert [url for url in asked if url.scheme not in ("blob", "data") and url.netloc != host] == []
        assert self.errors == []
        assert self.page.evaluate("seen.violations") == []


@pytest.fixture
def visiting(chromium):
    """Makes visits: `visiting(url, **options of the context)`."""
    visits, contexts = [], []

    def visit(url, **options):
        contexts.append(chromium.new_context(**{"viewport": {"width": 1280, "height": 900}, **options}))
        visits.append(Visit(contexts[-1].new_page(), url))
        return visits[-1]

    yield visit
    try:
        for one in visits:
            one.check()
    finally:
        for context in contexts:
            context.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The address of a server of three models: one that always knows, one that is careful, one with groups."""
    pytest.importorskip("prometheus_client", reason="prometheus_client (extra: serve) is not installed")
    import page_models

    import lcnet.serve

    folder = tmp_path_factory.mktemp("models")
    models = {
        page_models.BUNDLED: page_models.BUNDLED,
        "careful": page_models.careful(folder),
        "grouped": page_models.grouped(folder),
    }
    with lcnet.serve.running(models) as url:
        yield url


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Six small pictures, and what is none."""
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(3)
    for i in range(6):
        Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize((200, 150)).save(folder / f"{i}.jpg")
    (folder / "9 no picture.jpg").write_text("nothing to see")
    return sorted(folder.glob("*.jpg"))
