"""What goes wrong: names that are code, a server that is busy, away, or wants a token; many pictures; a change of mind."""

import os
import shutil
import subprocess
import sys
import time

import numpy as np
import page_models
import pytest
from browsing import chromium, served, visiting  # noqa: F401
from PIL import Image

import lcnet

MODEL = page_models.BUNDLED
HOSTILE = "<img src=x onerror=alert(1)>'\"`$(touch bad)\u202egpj.exe\n&amp;.jpg"

# The longest time, in milliseconds, that the page was too busy for anything else.
LONGEST = """
() => new PerformanceObserver((all) => {
  seen.long = Math.max(seen.long ?? 0, ...all.getEntries().map((e) => e.duration));
}).observe({entryTypes: ["longtask"]})
"""
# All that a card has said.
STEPS = """
() => {
  const grid = document.getElementById("grid");
  seen.steps = new Set();
  const look = () => seen.steps.add(grid.querySelector(".what")?.textContent);
  new MutationObserver(look).observe(grid, {childList: true, subtree: true});
}
"""


def picture(path, seed):
    coarse = Image.fromarray(np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8))
    coarse.resize((140, 100), Image.Resampling.BICUBIC).save(path, quality=90)
    return path


@pytest.fixture(scope="module")
def hundred(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hundred")
    return [picture(folder / f"{i:03}.jpg", i) for i in range(100)]


@pytest.fixture
def visit(visiting, served):
    page = visiting(served).open()
    page.page.locator("#about").wait_for()
    return page


@pytest.fixture
def hostile(tmp_path):
    return picture(tmp_path / HOSTILE, 1)


def answers(page, text):
    page.page.locator("#count", has_text=text).wait_for()


def test_a_name_is_text_and_nothing_else(visit, hostile):
    visit.add(hostile)
    shown = HOSTILE.replace("\u202e", "\\u202e").replace("\n", "\\u000a")
    assert visit.page.locator(".card .name").inner_text() == shown
    assert visit.page.locator("#detail h2").inner_text() == shown
    visit.page.locator("main img").nth(1).wait_for()
    assert visit.page.locator("main img").count() == 2  # the card's and the panel's
    assert visit.page.locator(".large img").get_attribute("alt") == f"The picture {shown}"


COMMANDS = {"curl": ("bash",), "Python": (sys.executable,), "JavaScript": ("node", "--input-type=module")}


@pytest.mark.parametrize("name", [HOSTILE, '-it\'s "$HOME" & `b` \\.jpg'], ids=["hostile", "plain"])
@pytest.mark.parametrize("language", COMMANDS)
def test_the_shown_request_can_be_made(visit, tmp_path, language, name):
    command = COMMANDS[language]
    if not all(shutil.which(program) for program in (command[0], language if language == "curl" else command[0])):
        pytest.skip(f"{command[0]} or {language} is not installed")
    file = picture(tmp_path / name, 1)
    visit.add(file)
    visit.page.click(f"role=tab[name='{language}']")
    code = visit.page.locator("#code").text_content()
    assert code.isascii()
    run = subprocess.run(command, input=code, text=True, capture_output=True, cwd=tmp_path, timeout=60, check=True)
    best = lcnet.load(MODEL, threads=1).classify([file])[0].top[0]
    assert best.label in run.stdout and f"{best.probability:.6f}" in run.stdout
    assert os.listdir(tmp_path) == [name]


def test_a_request_is_copied(visit, hundred):
    visit.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visit.add(hundred[0])
    visit.page.click("text=Copy")
    visit.page.locator(".copy", has_text="Copied").wait_for()
    assert visit.page.evaluate("navigator.clipboard.readText()") == visit.page.locator("#code").text_content()


def test_a_hundred_pictures_each_with_its_own_answer(visit, hundred):
    running, most = set(), [0]
    asked = lambda request: "/v1/classify" in request.url  # noqa: E731
    visit.page.on("request", lambda r: asked(r) and (running.add(r), most.append(len(running))))
    visit.page.on("requestfinished", lambda r: running.discard(r))
    visit.page.evaluate(LONGEST)
    visit.add(*hundred)
    results = lcnet.load(MODEL, threads=1).classify(hundred)
    text = "(card, name) => card.querySelector(name).textContent"
    said = visit.cards.evaluate_all(f"all => all.map(card => ['.name', '.what'].map(name => ({text})(card, name)).join(': '))")
    assert said == [f"{f.name}: {r.label} {100 * r.probability:.1f}%" for f, r in zip(hundred, results, strict=True)]
    assert 2 <= max(most) <= 5  # four, and one whose end has not yet been told here
    visit.page.locator(".card img").nth(99).wait_for(state="attached")
    visit.cards.nth(99).scroll_into_view_if_needed()
    time.sleep(0.3)
    assert visit.page.evaluate("seen.urls.size") == 0  # every address of a picture is given back
    assert visit.page.evaluate("seen.long ?? 0") < 1000
    assert [text for text in visit.said if "100 pictures answered" in text]
    assert len(visit.said) < 10
    visit.page.click("#clear")
    assert visit.cards.count() == 0 and visit.page.locator("#intake-title").is_visible()


def test_a_busy_server_is_asked_again_when_it_says(visit, hundred):
    refused = []

    def busy(route):
        if len(refused) >= 3:
            return route.continue_()
        refused.append(time.monotonic())
        body = '{"error": {"code": "overloaded", "message": "the queue is full"}}'
        return route.fulfill(
            status=(503, 429)[len(refused) % 2], headers={"Retry-After": "1"}, content_type="application/json", body=body
        )

    visit.page.route("**/v1/classify*", busy)
    visit.add(*hundred[:6])
    assert time.monotonic() - refused[0] >= 1
    assert len(refused) == 3 and len(visit.labels) == 6


def test_a_server_that_stays_busy_is_given_up(visit, hundred):
    visit.page.route("**/v1/classify*", lambda route: route.fulfill(status=503, headers={"Retry-After": "0"}, body="busy"))
    visit.add(hundred[0])
    assert visit.page.locator(".failure .headline").inner_text() == "Server too busy"
    visit.page.unroute("**/v1/classify*")
    visit.page.click("#again")
    visit.page.locator("#count", has_text="1 picture answered").wait_for()


def test_a_server_that_goes_away_and_comes_back(visiting, hundred):
    serve = pytest.importorskip("lcnet.serve")
    with serve.running(MODEL) as url:
        page = visiting(url).open()
        page.add(hundred[0])
    page.drop(*hundred[1:4])
    page.page.locator("#banner", has_text="The server does not answer").wait_for()
    answers(page, "1 of 4 pictures answered")
    with serve.running(MODEL, port=int(url.rsplit(":", 1)[1])):
        page.page.click("#banner-act")
        answers(page, "4 pictures answered")
        assert not page.page.locator("#banner").is_visible()


def test_an_upload_that_is_broken_off_again_and_again_is_given_up(visit, hundred):
    visit.page.route("**/v1/classify*", lambda route: route.abort("connectionreset"))
    visit.add(hundred[0])
    assert visit.page.locator(".failure .headline").inner_text() == "Upload broken off"
    assert not visit.page.locator("#banner").is_visible()


def test_the_token_is_asked_for_and_kept_in_the_page_only(visiting, hundred):
    serve = pytest.importorskip("lcnet.serve")
    with serve.running(MODEL, tokens=["a secret of 1 page"]) as url:
        page = visiting(url).open()
        page.page.locator("#token-text:focus").wait_for()
        page.drop(*hundred[:2])
        page.page.keyboard.type("wrong")
        page.page.keyboard.press("Enter")
        page.page.locator("#token", has_text="does not know this token").wait_for()
        page.page.fill("#token-text", "a secret of 1 page")
        page.page.click("text=Use it")
        answers(page, "2 pictures answered")
        for name in ("curl", "Python", "JavaScript"):
            page.page.click(f"role=tab[name='{name}']")
            code = page.page.locator("#code").inner_text()
            assert "LCNET_TOKEN" in code and "secret" not in code
        kept = page.page.evaluate(
            "JSON.stringify([localStorage, sessionStorage, document.cookie, location.href, history.state])"
        )
        assert kept == f'[{{}},{{}},"","{url}/",null]'
        assert "secret" not in page.page.content()
        page.page.reload()
        page.page.locator("#token-text:focus").wait_for()


def test_what_is_under_way_can_be_cancelled_and_asked_again(visit, hundred):
    visit.page.route("**/v1/classify*", lambda route: None)  # never answered
    visit.drop(*hundred[:8])
    visit.page.locator(".card.busy").nth(7).wait_for()
    visit.page.click("#detail >> text=Cancel")
    assert visit.page.locator(".failure .headline").inner_text() == "Cancelled"
    visit.page.click("#cancel")
    visit.settled()
    assert visit.page.locator(".card.failed").count() == 8
    visit.page.unroute("**/v1/classify*")
    visit.page.click("#again")
    answers(visit, "8 pictures answered")


def test_the_upload_shows_how_far_it_is(visit, tmp_path):
    noise = tmp_path / "noise.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (900, 1200, 3), dtype=np.uint8)).save(noise)
    devtools = visit.page.context.new_cdp_session(visit.page)
    devtools.send("Network.enable")
    devtools.send(
        "Network.emulateNetworkConditions",
        {"offline": False, "latency": 5, "downloadThroughput": -1, "uploadThroughput": 1 << 20},
    )
    visit.page.evaluate(STEPS)
    visit.add(noise)
    steps = visit.page.evaluate("[...seen.steps]")
    shares = [int(step.split()[1].rstrip("%")) for step in steps if step and step.startswith("Sending")]
    assert len(set(shares)) >= 3 and shares == sorted(shares)


def test_too_large_is_said_in_words(visiting, tmp_path):
    serve = pytest.importorskip("lcnet.serve")
    large = tmp_path / "large.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (900, 1200, 3), dtype=np.uint8)).save(large)
    with serve.running(MODEL, max_body=100_000) as url:
        page = visiting(url).open()
        page.add(large, picture(tmp_path / "small.jpg", 3))
        assert page.page.locator(".card.failed .what").inner_text() in ("Too large", "Upload broken off")
        assert len(page.labels) == 1
