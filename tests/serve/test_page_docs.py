"""`/docs`: a page of openapi.json, by itself; and what the files of all pages may not contain."""

import json
import re
from urllib.request import urlopen

import pytest
from browsing import PAGE, chromium, served, visiting  # noqa: F401

FILES = sorted(path for path in PAGE.iterdir() if path.suffix in (".html", ".js", ".css", ".svg"))


def test_every_route_is_shown(visiting, served):
    with urlopen(f"{served}/openapi.json") as response:
        api = json.load(response)
    visit = visiting(served).open("/docs")
    visit.page.locator(".route").first.wait_for()
    wanted = {(method.upper(), path) for path, methods in api["paths"].items() for method in methods if method != "parameters"}
    shown = {tuple(text.split("\n")[:2]) for text in visit.page.locator(".route h3").all_inner_texts()}
    assert shown == wanted and len(wanted) > 5
    assert visit.page.locator("#contents a").count() == len(wanted)
    text = visit.page.locator("#api").inner_text()
    for methods in api["paths"].values():
        for operation in methods.values():
            for parameter in operation.get("parameters", ()) if isinstance(operation, dict) else ():
                assert parameter.get("name", "") in text


def test_a_link_leads_to_its_route(visiting, served):
    visit = visiting(served).open("/docs")
    visit.page.locator("#contents a", has_text="/v1/embed").click()
    assert visit.page.locator(".route:target h3 code").inner_text() == "/v1/embed"


def test_the_description_is_text(visiting, served):
    page = visiting(served)
    hostile = {
        "info": {"title": "<b>T</b>", "version": "1", "description": "a `<i>code</i>`\n\n<script>alert(1)</script>"},
        "paths": {},
    }
    page.page.route("**/openapi.json", lambda route: route.fulfill(json=hostile))
    page.open("/docs")
    page.page.locator("h1").wait_for()
    assert page.page.locator("main").inner_text().split("\n\n") == ["<b>T</b> 1", "a <i>code</i>", "<script>alert(1)</script>"]
    assert page.page.locator("main code").inner_text() == "<i>code</i>"


def test_a_schema_that_holds_itself_ends(visiting, served):
    page = visiting(served)
    node = {"type": "object", "properties": {"next": {"$ref": "#/components/schemas/Node"}}}
    body = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Node"}}}}
    api = {"info": {"title": "T"}, "components": {"schemas": {"Node": node}}, "paths": {"/a": {"post": {"requestBody": body}}}}
    page.page.route("**/openapi.json", lambda route: route.fulfill(json=api))
    page.open("/docs")
    page.page.locator(".fields").first.wait_for()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_file_has_what_the_policy_forbids(path):
    text = path.read_text()
    for forbidden in (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function",
        r"https?://(?!www\.w3\.org/2000/svg)",
    ):
        assert re.search(forbidden, text) is None
    assert re.search(r"""["'`(]/(v1|v2|page|docs|health|openapi)""", text) is None  # it may be mounted anywhere
    if path.suffix == ".html":
        assert re.search(r"<style|<script(?![^>]*\bsrc=)|\s(style|on\w+)=", text) is None
    assert text.count("\n") < 400


def test_every_file_that_is_named_is_there():
    named = set()
    for path in FILES:
        text = path.read_text()
        named |= set(re.findall(r'(?:href|src)="page/([\w.-]+)"', text)) | set(re.findall(r'"\./([\w-]+\.js)"', text))
    named |= {"thumbs.js", "index.html", "docs.html", "head.html"}
    assert named == {path.name for path in FILES}
