"""The page without a server by real clicks and drops: what it shows is what the library says, and nothing leaves it."""

import gzip
import hashlib
import io
import json
import re
import shlex
import subprocess
import sys
from urllib.parse import unquote

import numpy as np
import page_models
import pytest
from browsing import chromium, visiting  # noqa: F401
from PIL import Image
from quantized_models import quantized_model
from static_site import PACKAGE, ROOT, Host, build, host, site  # noqa: F401

import lcnet
from lcnet import modelfile
from lcnet.hub import locate

MODEL = page_models.BUNDLED
TIMES = "\u00d7"


@pytest.fixture(scope="module")
def model():
    return lcnet.load(MODEL, threads=1)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Five small pictures that differ, without loss: their pixels are the same to the browser and to Pillow."""
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(7)
    for i in range(5):
        coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
        coarse.resize((200, 150), Image.Resampling.BICUBIC).save(folder / f"{i}.png")
    return sorted(folder.glob("*.png"))


@pytest.fixture(scope="module")
def int8(tmp_path_factory):
    path = tmp_path_factory.mktemp("int8") / "small.int8.safetensors"
    modelfile.write(path, quantized_model(48))
    return path


def ready_page(visiting, host, **options):
    visit = visiting(host.url, **options).open()
    visit.page.locator("#whole", has_text="without a network").wait_for(state="attached")
    return visit


@pytest.fixture
def visit(visiting, host):
    return ready_page(visiting, host)


def percent(probability):
    return f"{100 * probability:.1f}%"


def opened(visit, *paths):
    """Choose model files as a user does, and wait until the last is in use."""
    with visit.page.expect_file_chooser() as chooser:
        visit.page.click("#own")
    chooser.value.set_files([str(path) for path in paths])
    used(visit, paths[-1].name.removesuffix(".safetensors"))


def used(visit, name):
    visit.page.locator("#knows", has_text=f"{name} knows").wait_for(state="attached")


def test_one_picture_is_answered_as_the_library_does(visit, model, files):
    visit.add(files[0])
    (result,) = model.classify([files[0]])
    panel = visit.page.locator("#detail")
    assert panel.locator(".headline bdi").inner_text() == result.label
    rows = panel.locator(".bars li")
    assert rows.locator(".label").all_inner_texts() == [one.label for one in result.top]
    assert rows.locator(".number").all_inner_texts() == [percent(one.probability) for one in result.top]
    widths = rows.locator(".bar i").evaluate_all("all => all.map(i => i.style.getPropertyValue('--share'))")
    assert [float(width) for width in widths] == pytest.approx([one.probability for one in result.top], abs=1e-6)
    assert visit.said[-1] == f"0.png: {result.label}, {percent(result.probability)}"


def test_milliseconds_and_kernels(visit, files):
    visit.add(files[0])
    times = visit.page.locator(".time dd").all_inner_texts()
    numbers = [float(text.removesuffix(" ms")) for text in (visit.page.locator(".time h3 .number").inner_text(), *times)]
    assert len(times) == 3 and sum(numbers[1:]) == pytest.approx(numbers[0], abs=0.3 if numbers[0] < 100 else 1.5)
    assert re.fullmatch(r"fp32, kernels wasm_(relaxed|simd128)", visit.page.locator(".kernels").inner_text())


def test_nothing_is_asked_of_anybody_after_loading(visit, host, files, int8, tmp_path):
    """Pictures and models of every kind, and both questions: the host hears nothing, and the page is offline at last."""
    before, requests = list(host.asked), len(visit.requests)
    visit.add(*files[:2])
    visit.drop(files[2])
    opened(visit, page_models.careful(tmp_path))
    visit.drop(int8)
    used(visit, "small.int8")
    visit.settled()
    visit.choose(0)
    visit.page.click("text=Compare with another picture")
    visit.cards.nth(1).click()
    visit.page.locator(".cosine strong").wait_for()
    assert host.asked == before and all(url.startswith("blob:") for url in visit.requests[requests:])
    visit.page.context.set_offline(True)
    visit.add(files[3])
    assert len(visit.labels) == 4 and visit.page.locator(".failed").count() == 0


def test_what_is_asked_for_is_the_page_and_nothing_of_the_user(visit, host):
    assert all(re.fullmatch(r"/|/(page|page/wasm|lcnet|models)/[\w.-]+", path) for path in host.asked)
    assert f"/models/{MODEL}.safetensors" in host.asked and not [path for path in host.asked if "http" in path]


def test_dropped_pictures_and_folders_are_seen(visit, model, files, tmp_path):
    folder = tmp_path / "some"
    folder.mkdir()
    Image.new("RGB", (400, 300), (220, 30, 160)).save(folder / "plain.png")
    (folder / "notes.txt").write_text("no picture, and not asked for by name")
    visit.drop(folder, files[0])
    visit.page.locator("#count", has_text="2 pictures answered").wait_for()
    assert visit.labels == [result.label for result in model.classify([folder / "plain.png", files[0]])]
    visit.page.locator(".large img").wait_for()
    visit.page.wait_for_timeout(300)
    shot = Image.open(io.BytesIO(visit.page.screenshot())).convert("RGB")
    of_it = np.abs(np.asarray(shot, int) - (220, 30, 160)).max(axis=2) < 12
    assert of_it.sum() > 120_000  # the card and, in full, the panel


def test_a_pasted_picture(visit):
    visit.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visit.page.evaluate("""async () => {
        const canvas = document.createElement("canvas");
        canvas.getContext("2d").fillRect(0, 0, 90, 60);
        const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
        await navigator.clipboard.write([new ClipboardItem({"image/png": blob})]);
    }""")
    visit.page.keyboard.press("Control+V")
    visit.settled()
    assert len(visit.labels) == 1


def test_a_picture_from_the_camera(visit):
    visit.page.click("#camera")
    visit.page.locator("#shoot:enabled").click()
    visit.settled()
    assert visit.page.locator(".card .name").all_inner_texts() == ["camera-1.jpg"]


def test_samples_are_drawn(visit, host):
    visit.page.click("#samples")
    visit.settled()
    assert visit.labels == ["ship", "airplane", "automobile", "truck"]
    assert not visit.page.locator("#samples").is_visible()


def test_unknown_is_shown_as_such(visit, files, model, tmp_path):
    visit.add(*files)
    opened(visit, page_models.careful(tmp_path))
    visit.settled()
    sure = [result.label if result.probability >= 0.5 else "unknown" for result in model.classify(files)]
    assert visit.labels == sure and "unknown" in sure
    visit.choose(sure.index("unknown"))
    assert visit.page.locator("#detail .headline.unknown").inner_text() == "unknown"


def test_ones_own_model_by_drop_answers_for_all(visit, files, tmp_path):
    path = page_models.grouped(tmp_path)
    visit.add(*files[:2])
    visit.drop(path, files[2])
    visit.page.locator("#count", has_text="3 pictures answered").wait_for()
    used(visit, "grouped")
    visit.choose(2)
    (result,) = lcnet.load(path, threads=1).classify([files[2]])
    rows = dict(
        zip(visit.page.locator(".groups dt").all_inner_texts(), visit.page.locator(".groups dd").all_inner_texts(), strict=True)
    )
    assert rows == {
        name: ", ".join([answer] if isinstance(answer, str) else answer or ()) for name, answer in result.answers.items()
    }
    visit.page.select_option("#model", MODEL)  # and back
    used(visit, MODEL)
    visit.settled()
    assert visit.page.locator(".groups").count() == 0


def test_an_int8_model_answers_as_the_library_does(visit, files, int8):
    opened(visit, int8)
    visit.add(files[1])
    (result,) = lcnet.load(int8, threads=1).classify([files[1]])
    rows = visit.page.locator(".bars li .number").all_inner_texts()
    assert rows == [percent(one.probability) for one in result.top]
    assert visit.page.locator(".kernels").inner_text().startswith("int8, kernels wasm_")


def test_a_model_that_is_none_changes_nothing(visit, model, files, tmp_path):
    (tmp_path / "broken.safetensors").write_bytes(locate(MODEL).path.read_bytes()[:100_000])
    visit.add(files[0])
    visit.drop(tmp_path / "broken.safetensors")
    visit.page.locator(
        "#banner", has_text="broken.safetensors cannot be used. the model file: it is damaged, cut short"
    ).wait_for()
    visit.page.click("#banner-act")
    visit.add(files[1])
    assert visit.labels == [result.label for result in model.classify(files[:2])]
    assert visit.page.locator("#model-name").inner_text() == MODEL


def test_progress_while_the_model_loads_and_pictures_wait_for_it(visiting, host, files, model):
    host.pause = 1.5
    visit = visiting(host.url).open()
    visit.page.locator(".loading", has_text=f"Loading {MODEL}: 1.2 MB of 2.5 MB").wait_for()
    assert visit.page.locator(".loading progress").evaluate("bar => bar.position") == pytest.approx(0.48, abs=0.03)
    with visit.page.expect_file_chooser() as chooser:
        visit.page.click("#choose")
    chooser.value.set_files([str(files[0])])
    assert visit.cards.nth(0).locator(".what").inner_text() == "In line"
    visit.settled()
    assert visit.labels == [model.classify([files[0]])[0].label] and visit.page.locator(".loading").count() == 0
    assert visit.said[0] == f"Loading {MODEL}" and f"{MODEL} is ready" in visit.said


def test_a_site_without_models_takes_ones_own(visiting, host, site, files, tmp_path):
    (site / "models" / "models.json").rename(tmp_path / "models.json")
    try:
        visit = visiting(host.url).open()
        visit.page.locator("#knows", has_text="open a model file, or drop one").wait_for()
        visit.drop(page_models.careful(tmp_path))
        used(visit, "careful")
        visit.add(files[0])
        assert len(visit.labels) == 1
    finally:
        (tmp_path / "models.json").rename(site / "models" / "models.json")


def test_several_models_of_the_hosts_beneath_any_address(visiting, tmp_path, files):
    build(tmp_path / "deep" / "site", locate(MODEL).path, page_models.grouped(tmp_path))
    server = Host(tmp_path)
    visit = visiting(server.url).open("/deep/site/")
    visit.page.locator("#whole", has_text="without a network").wait_for(state="attached")
    visit.add(files[0])
    before = len(server.asked)
    visit.page.select_option("#model", "grouped")
    visit.page.locator(".groups").wait_for()
    assert server.asked[before:] == ["/deep/site/models/grouped.safetensors"]
    server.shutdown()


def test_more_models_than_are_kept(visit, host, files, tmp_path):
    """The first is read from its file again."""
    careful = page_models.careful(tmp_path)
    paths = [careful.rename(tmp_path / "m0.safetensors"), *(tmp_path / f"m{i}.safetensors" for i in range(1, 5))]
    for path in paths[1:]:
        path.write_bytes(paths[0].read_bytes())
    before = list(host.asked)
    opened(visit, *paths)
    visit.page.select_option("#model", "m0")
    used(visit, "m0")
    visit.add(files[0])
    assert len(visit.labels) == 1 and visit.page.locator("#model option").count() == 6 and host.asked == before


def test_the_page_can_ask_no_other_host(visit, site):
    other = Host(site)
    asked = visit.page.evaluate("url => fetch(url, {mode: 'no-cors'}).then(() => true, () => false)", f"{other.url}/")
    assert asked is False and other.asked == []
    assert visit.page.evaluate("seen.violations.splice(0)") == [f"connect-src {other.url}/"]
    visit.errors.clear()
    other.shutdown()


def test_a_browser_that_cannot_run_it_says_so(visiting, host):
    visit = visiting(host.url)
    visit.page.route("**/lcnet/index.js", lambda route: route.abort())
    visit.open()
    visit.page.locator("#banner", has_text="The model cannot be used. The network's thread ended").wait_for()


def test_two_pictures_compared(visit, model, files):
    visit.add(*files[:3])
    visit.choose(0)
    visit.page.click("text=Compare with another picture")
    visit.cards.nth(2).click()
    shown = float(visit.page.locator(".cosine strong").inner_text())
    a, b = model.embeddings([files[0], files[2]]).astype(np.float64)
    assert shown == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b), abs=0.0006)


def test_what_is_known_of_the_model(visit):
    visit.page.click("#about")
    text = visit.page.locator("#model-dialog").inner_text()
    config = lcnet.load(MODEL).config
    sha256 = hashlib.sha256(locate(MODEL).path.read_bytes()).hexdigest()
    facts = (sha256, "lcnet_050", f"3 {TIMES} 128 {TIMES} 128", config.preprocessing.crop_mode, "fp32", "wasm_")
    for fact in (*facts, *config.labels.names):
        assert fact in text


def test_errors_in_words_and_the_others_unharmed(visit, model, files, tmp_path):
    (tmp_path / "notes").write_text("these are no pixels")
    (tmp_path / "half.png").write_bytes(files[0].read_bytes()[:40])
    visit.add(tmp_path / "notes", files[0], tmp_path / "half.png")
    assert visit.labels == [model.classify([files[0]])[0].label]
    assert visit.page.locator(".card.failed .what").all_inner_texts() == ["Not a picture", "Damaged picture"]


def test_more_classes_on_demand(visit, files):
    visit.add(files[0])
    visit.page.select_option("#top", label="all 10")
    visit.page.locator(".bars li").nth(9).wait_for()


@pytest.mark.parametrize("name", ["0.png", '-it\'s "$HOME" & `b` %41 #1.png'], ids=["plain", "hostile"])
def test_the_shown_code_does_the_same(visit, site, host, model, files, tmp_path, name):
    for folder in (tmp_path, site):
        (folder / name).write_bytes(files[0].read_bytes())
        (folder / f"{MODEL}.safetensors").write_bytes(locate(MODEL).path.read_bytes())
    best = model.classify([files[0]])[0].top[0]
    visit.add(tmp_path / name)
    visit.page.click("role=tab[name='Command line']")
    words = shlex.split(visit.page.locator("#code").text_content().replace("\\\n", " "))
    assert words[0] == "lcnet"
    command = [sys.executable, "-m", *words, "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60, check=True)
    assert best.label in done.stdout and f"{best.probability:.5f}"[:6] in done.stdout
    visit.page.click("role=tab[name='JavaScript']")
    code = visit.page.locator("#code").text_content()
    package = json.loads((PACKAGE / "package.json").read_text())["name"]
    (site / "shown.js").write_text(code.replace(f'"{package}"', '"./lcnet/index.js"') + "\nwindow.result = result;\n")
    (site / "shown.html").write_text('<!doctype html><title>x</title><script type="module" src="shown.js"></script>')
    elsewhere = visit.page.context.new_page()
    elsewhere.goto(f"{host.url}/shown.html")
    elsewhere.wait_for_function("window.result")
    result = elsewhere.evaluate("window.result")
    assert (result["top"][0]["label"], len(result["top"])) == (best.label, 5)
    assert result["top"][0]["probability"] == pytest.approx(best.probability, abs=1e-6)
    assert f"/{name}" in [unquote(path) for path in host.asked]


def test_what_the_site_is_made_of_is_looked_at_first(site, tmp_path):
    def said(*words):
        done = subprocess.run(["node", ROOT / "web" / "site.mjs", *words], capture_output=True, text=True, timeout=60)
        return done.returncode, done.stderr.strip()

    (tmp_path / "mine.txt").write_text("kept")
    assert said(tmp_path, tmp_path / "new") == (1, f"{tmp_path} has no package: `make web` builds it")
    assert said(PACKAGE, tmp_path) == (1, f"{tmp_path} is there, and is no such page: name a new folder")
    code, words = said(PACKAGE, tmp_path / "new", tmp_path / "a b.safetensors")
    assert code == 1 and "cannot be an address" in words and not (tmp_path / "new").exists()
    assert (tmp_path / "mine.txt").read_text() == "kept"


def test_the_sizes_in_the_documentation(site):
    table = re.findall(
        r"^\| (the .+?) \| ([\d.]+) (KB|MB) \| ([\d.]+) (KB|MB) \|$", (ROOT / "docs/browser.md").read_text(), re.M
    )
    own = [site / "index.html", *(path for path in (site / "page").rglob("*") if path.is_file())]
    of_rows = (own, [site / "models" / f"{MODEL}.safetensors"])
    assert f"{len(own)} of them" in table[0][0] and len(table) == len(of_rows)
    for (what, *said), paths in zip(table, of_rows, strict=True):
        data = [path.read_bytes() for path in paths]
        sizes = [sum(map(len, data)), sum(len(gzip.compress(one)) for one in data)]
        units = [float(number) * {"KB": 1e3, "MB": 1e6}[unit] for number, unit in (said[:2], said[2:])]
        assert sizes == pytest.approx(units, rel=0.03), what
