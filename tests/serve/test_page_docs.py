"""`/docs`: a page of openapi.json, by itself; and what the files of all pages may not contain."""

import http.client
import json
import re
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
from browsing import PAGE, chromium, served, visiting  # noqa: F401

FILES = sorted(path for path in PAGE.rglob("*") if path.suffix in (".html", ".js", ".css", ".svg"))


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


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PAGE).as_posix())
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


def test_every_file_that_is_named_is_there_and_every_file_is_named():
    named = {PAGE / name for name in ("head.html", "body.html", "http/index.html", "http/docs.html", "wasm/index.html")}
    for path in FILES:
        text = path.read_text()
        named |= {PAGE / name for name in re.findall(r'(?:href|src)="page/([\w./-]+)"', text)}
        beside = re.findall(r'from "(\.[\w./-]+\.js)"', text) + re.findall(r'new URL\("([\w-]+\.js)", import', text)
        named |= {(path.parent / name).resolve() for name in beside}
    assert {path.relative_to(PAGE).as_posix() for path in named if PAGE in path.parents} == {
        path.relative_to(PAGE).as_posix() for path in FILES
    }
    assert {path for path in named if PAGE not in path.parents} == {PAGE.parent / "lcnet" / "index.js"}  # the package


def test_the_server_hands_out_no_back_end_but_its_own(served):
    for name, status in (
        ("http/http.js", 200),
        ("page.js", 200),
        ("wasm/wasm.js", 404),
        ("body.html", 404),
        ("../page.js", 404),
    ):
        connection = http.client.HTTPConnection(urlsplit(served).netloc)
        connection.request("GET", f"/page/{name}")
        assert connection.getresponse().status == status, name
        connection.close()


def test_the_files_are_beside_the_module_or_in_the_checkout(tmp_path):
    from lcnet.serve.pages import folder

    module = tmp_path / "src" / "lcnet" / "serve" / "pages.py"
    module.parent.mkdir(parents=True)
    assert folder(module) == tmp_path / "web" / "page"
    (module.parent / "page").mkdir()
    assert folder(module) == module.parent / "page"
    assert (folder() / "http" / "index.html").is_file()
