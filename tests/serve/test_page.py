"""The page by real clicks and drops: what it shows is what the library says of the same files."""

import hashlib
import json
import re

import numpy as np
import page_models
import pytest
from browsing import chromium, served, visiting  # noqa: F401
from PIL import Image

import lcnet
from lcnet.hub import locate

MODEL = page_models.BUNDLED
TIMES = "\u00d7"


@pytest.fixture(scope="module")
def model():
    return lcnet.load(MODEL, threads=1)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Five small pictures that differ."""
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(7)
    for i in range(5):
        coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
        coarse.resize((200, 150), Image.Resampling.BICUBIC).save(folder / f"{i}.jpg", quality=90)
    return sorted(folder.glob("*.jpg"))


@pytest.fixture
def visit(visiting, served):
    page = visiting(served).open()
    page.page.locator("#about").wait_for()
    return page


def percent(probability):
    return f"{100 * probability:.1f}%"


def test_one_picture_is_answered_in_full(visit, model, files):
    visit.add(files[0])
    (result,) = model.classify([files[0]])
    panel = visit.page.locator("#detail")
    assert panel.locator(".headline bdi").inner_text() == result.label
    rows = panel.locator(".bars li")
    assert rows.locator(".label").all_inner_texts() == [one.label for one in result.top]
    assert rows.locator(".number").all_inner_texts() == [percent(one.probability) for one in result.top]
    assert visit.said[-1] == f"0.jpg: {result.label}, {percent(result.probability)}"
    widths = rows.locator(".bar i").evaluate_all("all => all.map(i => i.style.getPropertyValue('--share'))")
    assert [float(width) for width in widths] == pytest.approx([one.probability for one in result.top])


def test_the_time_is_split_in_four_that_sum_up(visit, files):
    visit.add(files[0])
    times = visit.page.locator(".time dd").all_inner_texts()
    total = visit.page.locator(".time h3 .number").inner_text()
    numbers = [float(text.removesuffix(" ms")) for text in (total, *times)]
    assert len(times) == 4 and sum(numbers[1:]) == pytest.approx(numbers[0], abs=0.3 if numbers[0] < 100 else 1.5)


def test_dropped_pictures_and_folders(visit, model, files, tmp_path):
    folder = tmp_path / "some"
    (folder / "within").mkdir(parents=True)
    (folder / "within" / "b.jpg").write_bytes(files[1].read_bytes())
    (folder / "notes.txt").write_text("no picture, and not asked for by name")
    visit.drop(files[0], folder)
    visit.page.locator("#count", has_text="2 pictures answered").wait_for()
    assert visit.labels == [result.label for result in model.classify(files[:2])]


def test_a_drop_of_no_picture_says_so(visit, tmp_path):
    (tmp_path / "empty").mkdir()
    visit.drop(tmp_path / "empty")
    visit.page.locator("#banner", has_text="holds no picture").wait_for()
    visit.page.click("#banner-act")
    assert not visit.page.locator("#banner").is_visible()


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
    assert visit.page.evaluate("document.getElementById('video').srcObject") is None  # the light of the camera is off


def test_unknown_is_shown_as_such(visit, files, model):
    visit.page.select_option("#model", "careful")
    visit.add(*files)
    sure = [result.label if result.probability >= 0.5 else "unknown" for result in model.classify(files)]
    assert visit.labels == sure and "unknown" in sure
    place = sure.index("unknown")
    visit.choose(place)
    assert visit.page.locator("#detail .headline.unknown").inner_text() == "unknown"
    assert visit.page.locator("#detail .bars .accepted").count() == 0
    best = model.classify([files[place]])[0].top[0]
    assert f"perhaps {best.label} {percent(best.probability)}" in visit.cards.nth(place).inner_text()


def test_groups_answer_each_for_itself(visit, files, tmp_path):
    (result,) = lcnet.load(page_models.grouped(tmp_path), threads=1).classify([files[0]])
    visit.page.select_option("#model", "grouped")
    visit.add(files[0])
    rows = zip(
        visit.page.locator(".groups dt").all_inner_texts(), visit.page.locator(".groups dd").all_inner_texts(), strict=True
    )
    said = {name: ", ".join([answer] if isinstance(answer, str) else answer or ()) for name, answer in result.answers.items()}
    assert dict(rows) == said


def test_another_model_is_asked_for_all(visit, files):
    visit.add(*files[:2])
    with visit.page.expect_response(lambda response: "model=grouped" in response.url):
        visit.page.select_option("#model", "grouped")
    visit.settled()
    visit.page.locator(".groups").wait_for()
    assert "grouped knows 10 classes" in visit.page.locator("#knows").text_content()


def test_what_is_known_of_the_model(visit):
    visit.page.click("#about")
    text = visit.page.locator("#model-dialog").inner_text()
    config = lcnet.load(MODEL).config
    sha256 = hashlib.sha256(locate(MODEL).path.read_bytes()).hexdigest()
    for fact in (
        sha256,
        "lcnet_050",
        f"3 {TIMES} 128 {TIMES} 128",
        config.preprocessing.crop_mode,
        "fp32",
        *config.labels.names,
    ):
        assert fact in text
    visit.page.keyboard.press("Escape")
    assert not visit.page.locator("#model-dialog").is_visible()


def test_more_classes_on_demand(visit, files):
    visit.add(files[0])
    visit.page.select_option("#top", label="all 10")
    visit.page.locator(".bars li").nth(9).wait_for()
    assert "top_k=10" in visit.page.locator("#code").inner_text()


def test_two_pictures_compared(visit, model, files):
    visit.add(*files[:3])
    visit.choose(0)
    visit.page.click("text=Compare with another picture")
    visit.cards.nth(2).click()
    shown = float(visit.page.locator(".cosine strong").inner_text())
    a, b = model.embeddings([files[0], files[2]]).astype(np.float64)
    assert shown == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b), abs=0.0006)
    assert visit.page.locator("#detail h2").inner_text() == "0.jpg"


def test_comparing_can_be_left(visit, files):
    visit.add(*files[:2])
    visit.page.click("text=Compare with another picture")
    visit.page.keyboard.press("Escape")
    visit.choose(1)
    assert visit.page.locator("#detail h2").inner_text() == "1.jpg" and visit.page.locator(".cosine").count() == 0


def test_pictures_that_the_browser_cannot_show_are_answered(visit, model, files, tmp_path):
    tiff = tmp_path / "scan.tif"
    Image.open(files[1]).save(tiff)
    visit.add(tiff)
    assert visit.labels == [model.classify([tiff])[0].label]
    visit.page.locator(".card .kind", has_text="TIF").wait_for()
    visit.page.locator(".large", has_text="cannot show this file").wait_for()


def test_a_turned_picture_is_shown_and_answered_as_it_is_meant(visit, model, files, tmp_path):
    turned = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(files[2]).save(turned, exif=exif)
    visit.add(turned)
    assert visit.labels == [model.classify([turned])[0].label]
    visit.page.locator("#detail", has_text=f"150 {TIMES} 200").wait_for()
    img = visit.page.locator(".large img")
    assert img.evaluate("i => [i.naturalWidth, i.naturalHeight]") == [150, 200]


def test_errors_in_words_and_the_others_unharmed(visit, model, files, tmp_path):
    (tmp_path / "notes.jpg").write_text("these are no pixels")
    (tmp_path / "half.jpg").write_bytes(files[0].read_bytes()[:1500])
    visit.add(tmp_path / "notes.jpg", files[0], tmp_path / "half.jpg")
    assert visit.labels == [model.classify([files[0]])[0].label]
    assert visit.page.locator(".card.failed .what").all_inner_texts() == ["Not a picture", "Damaged picture"]
    visit.choose(0)
    assert re.search(r"The server says: .+\n.*In its log as [\w.-]+", visit.page.locator(".failure").inner_text(), re.DOTALL)
    assert visit.page.locator("#count").inner_text().startswith("1 picture answered")
    assert "2 failed" in visit.page.locator("#count").inner_text()


def test_answers_can_be_saved(visit, model, files):
    visit.add(*files[:2])
    with visit.page.expect_download() as download:
        visit.page.click("#save")
    rows = json.loads(download.value.path().read_text())
    assert [(row["name"], row["labels"]) for row in rows] == [
        (f.name, [r.label]) for f, r in zip(files, model.classify(files[:2]), strict=False)
    ]
