"""What axe-core, by which others judge pages, finds in ours: nothing. LCNET_AXE names its axe.min.js (npm: axe-core)."""

import os
from pathlib import Path

import pytest
from browsing import chromium, files, served, visiting  # noqa: F401
from static_site import host, site  # noqa: F401

AXE = os.environ.get("LCNET_AXE")
pytestmark = pytest.mark.skipif(not AXE, reason="LCNET_AXE does not name axe-core's axe.min.js")
FOUND = """
async () => (await axe.run(document, {resultTypes: ["violations"]})).violations.flatMap(
  ({id, help, nodes}) => nodes.map((node) => `${id}: ${help}: ${node.html.slice(0, 160)} ${node.failureSummary}`))
"""


def found(page):
    page.evaluate(Path(AXE).read_text())
    return page.evaluate(FOUND)


def every_state(visiting, url, files, scheme, width):
    visit = visiting(url, color_scheme=scheme, viewport={"width": width, "height": 844}).open()
    page = visit.page
    page.locator("#about").wait_for()
    assert found(page) == []
    visit.add(*files)
    assert found(page) == []
    visit.choose(0)
    page.locator("#detail h2").first.wait_for()
    assert found(page) == []
    page.keyboard.press("Escape")
    page.locator("#about").click()
    page.locator("#model-facts").wait_for()
    assert found(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page(visiting, served, files, scheme, width):
    every_state(visiting, served, files, scheme, width)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_without_a_server(visiting, host, files, scheme, width):
    every_state(visiting, host.url, files, scheme, width)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_model_on_its_way(visiting, host, scheme):
    host.pause = 3
    page = visiting(host.url, color_scheme=scheme).open().page
    page.locator(".loading", has_text=" of ").wait_for()
    assert found(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_description(visiting, served, scheme):
    page = visiting(served, color_scheme=scheme).open("/docs").page
    page.locator(".route").first.wait_for()
    assert found(page) == []
