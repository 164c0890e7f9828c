"""The page for everybody: by keyboard, by ear, on a phone, in the dark, with less motion, and with letters that can be read."""

import numpy as np
import pytest
from browsing import chromium, files, served, visiting  # noqa: F401

SCHEMES = ("light", "dark")
LEAST_CONTRAST = 4.5  # of text, WCAG 2.2 AA
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "device_scale_factor": 1}
# Text that is seen, with its color and the colors behind it from the back to the front.
TEXTS = """
() => [...document.querySelectorAll("body *")].filter((e) =>
    e.checkVisibility({checkVisibilityCSS: true}) && !e.closest(".hidden, :disabled, video") && e.getClientRects().length &&
    [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim())
  ).map((e) => {
    const behind = [];
    for (let at = e; at; at = at.parentElement) behind.unshift(getComputedStyle(at).backgroundColor);
    return [e.textContent.trim().slice(0, 40), getComputedStyle(e).color, behind];
  })
"""

NAMELESS = """
() => [...document.querySelectorAll("button, select, input, a, img, dialog, video, progress, [role]")].filter((e) => {
  const named = ["aria-label", "aria-labelledby", "alt"].some((name) => e.hasAttribute(name));
  return e.checkVisibility() && e.role !== "status" && !named && !e.labels?.length && !e.textContent.trim();
}).map((e) => e.outerHTML)
"""
# What is too small for a finger, WCAG 2.2 AA.
SMALL = """
() => [...document.querySelectorAll("#detail button, #detail select")]
  .filter((e) => e.checkVisibility() && e.getBoundingClientRect().height < 24).map((e) => e.outerHTML)
"""


def opened(visiting, served, **options):
    visit = visiting(served, **options).open()
    visit.page.locator("#about").wait_for()
    return visit


def _channels(color):
    numbers = [float(n) for n in color[color.index("(") + 1 : -1].replace("/", " ").replace(",", " ").split()]
    return np.array(numbers[:3]) / 255, numbers[3] if len(numbers) > 3 else 1.0


def _luminance(rgb):
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(color, behind):
    """By WCAG's definition; `behind`: the backgrounds from back to front, some of them transparent."""
    ground = np.ones(3)
    for one in behind:
        rgb, alpha = _channels(one)
        ground = alpha * rgb + (1 - alpha) * ground
    rgb, alpha = _channels(color)
    high, low = sorted((_luminance(alpha * rgb + (1 - alpha) * ground), _luminance(ground)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_that_of_the_standard():
    assert contrast("rgb(0, 0, 0)", ["rgb(255, 255, 255)"]) == pytest.approx(21)
    assert contrast("rgb(119, 119, 119)", ["rgb(255, 255, 255)", "rgba(0, 0, 0, 0)"]) == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_text_can_be_read(visiting, served, files, scheme):
    visit = opened(visiting, served, color_scheme=scheme)
    poor = lambda: [t for t in visit.page.evaluate(TEXTS) if contrast(t[1], t[2]) < LEAST_CONTRAST]  # noqa: E731
    assert poor() == []
    visit.page.select_option("#model", "careful")
    visit.add(*files)
    assert poor() == []
    visit.choose(6)  # the failed one
    assert len(visit.page.evaluate(TEXTS)) > 40 and poor() == []
    visit.page.click("#about")
    assert poor() == []
    visit.page.goto(f"{served}/docs")
    visit.page.locator(".route").first.wait_for()
    assert poor() == []


@pytest.mark.parametrize("scheme", SCHEMES)
def test_dark_and_light_follow_the_system(visiting, served, scheme):
    visit = opened(visiting, served, color_scheme=scheme)
    ground = visit.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (_luminance(_channels(ground)[0]) > 0.5) == (scheme == "light")


def test_all_of_it_by_keyboard(visiting, served, files):
    visit = opened(visiting, served)
    keys, focused = visit.page.keyboard, lambda: visit.page.evaluate("document.activeElement.id")
    order = []
    for _ in range(6):
        keys.press("Tab")
        order.append(focused() or visit.page.evaluate("document.activeElement.textContent"))
    assert order == ["Skip to the pictures", "model", "about", "API", "choose", "camera"]
    visit.page.focus("#choose")
    with visit.page.expect_file_chooser() as chooser:
        keys.press("Enter")
    chooser.value.set_files([str(file) for file in files])
    visit.settled()
    for _ in range(5):
        keys.press("Tab")
        if visit.page.evaluate("document.activeElement.role") == "option":
            break
    names = lambda: visit.page.evaluate("document.activeElement.querySelector('.name').textContent")  # noqa: E731
    assert names() == "0.jpg"
    for key, name in (
        ("ArrowRight", "1.jpg"),
        ("End", "9 no picture.jpg"),
        ("ArrowLeft", "5.jpg"),
        ("Home", "0.jpg"),
        ("ArrowDown", "3.jpg"),
    ):
        keys.press(key)
        assert names() == name
    keys.press("Enter")
    assert visit.page.locator("#detail h2").inner_text() == "3.jpg"
    assert names() == "3.jpg"  # the keyboard stays in the grid
    keys.press("Delete")
    assert names() == "4.jpg" and visit.cards.count() == 6
    keys.press("Enter")
    keys.press("Tab")
    if focused() == "detail":  # which scrolls, and is a stop for that
        keys.press("Tab")
    assert focused() == "top"
    visit.page.focus("role=tab[name='curl']")
    keys.press("ArrowRight")
    assert "urlopen" in visit.page.locator("#code").inner_text()


def test_the_focus_can_be_seen(visiting, served, files):
    visit = opened(visiting, served)
    visit.add(files[0])
    for _ in range(12):
        visit.page.keyboard.press("Tab")
        width = visit.page.evaluate(
            "document.activeElement === document.body ? 3 : parseFloat(getComputedStyle(document.activeElement).outlineWidth)"
        )
        assert width >= 2, visit.page.evaluate("document.activeElement.outerHTML")


def test_everything_has_a_name_for_who_listens(visiting, served, files):
    visit = opened(visiting, served)
    visit.add(*files)
    assert visit.page.evaluate(NAMELESS) == []
    assert visit.page.evaluate(
        "new Set([...document.querySelectorAll('[id]')].map((e) => e.id)).size === document.querySelectorAll('[id]').length"
    )
    assert visit.page.evaluate("document.documentElement.lang") == "en"
    assert [text for text in visit.said if text.startswith("6 pictures answered") and text.endswith("1 failed")]
    assert {"9 no picture.jpg", "Not a picture"} <= set(visit.cards.nth(6).inner_text().splitlines())


@pytest.mark.parametrize("width", [320, 390])
def test_a_phone_shows_all_without_sideways_scrolling(visiting, served, files, width):
    visit = opened(visiting, served, **{**PHONE, "viewport": {"width": width, "height": 700}})
    fits = lambda: visit.page.evaluate("document.documentElement.scrollWidth") <= width  # noqa: E731
    assert fits()
    visit.add(*files)
    assert fits() and not visit.page.locator("#detail").is_visible()
    visit.cards.nth(1).tap()
    panel = visit.page.locator("#detail")
    assert panel.is_visible() and panel.evaluate("d => d.matches(':modal') && d.scrollWidth <= d.clientWidth")
    assert panel.evaluate("d => Math.round(d.getBoundingClientRect().width)") == width
    assert visit.page.evaluate(SMALL) == []
    visit.page.tap("#detail .close")
    assert visit.page.evaluate("document.activeElement.querySelector('.name').textContent") == "1.jpg"


def test_comparing_on_a_phone(visiting, served, files):
    visit = opened(visiting, served, **PHONE)
    visit.add(*files[:3])
    visit.cards.nth(0).tap()
    visit.page.tap("text=Compare with another picture")
    visit.page.locator("#banner", has_text="Choose the picture to compare with").wait_for()
    visit.cards.nth(2).tap()
    visit.page.locator(".cosine strong").wait_for()
    assert visit.page.locator("#detail h2").inner_text() == "0.jpg"


def test_less_motion_for_who_wants_it(visiting, served, files):
    still = opened(visiting, served, reduced_motion="reduce")
    still.add(files[0])
    moving = opened(visiting, served, reduced_motion="no-preference")
    moving.add(files[0])
    duration = "getComputedStyle(document.querySelector('.bars .bar i')).transitionDuration"
    assert (still.page.evaluate(duration), moving.page.evaluate(duration)) == ("0s", "0.25s")


def test_a_window_that_grows_brings_the_panel_beside_the_grid(visiting, served, files):
    visit = opened(visiting, served, **PHONE)
    visit.add(*files[:2])
    visit.cards.nth(0).tap()
    visit.page.set_viewport_size({"width": 1200, "height": 800})
    visit.page.locator("#detail[open]:not(:modal)").wait_for()
    visit.cards.nth(1).click()
    assert visit.page.locator("#detail h2").inner_text() == "1.jpg"
