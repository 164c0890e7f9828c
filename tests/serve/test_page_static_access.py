"""The page without a server for everybody: what test_page_access.py holds of the other, where it is another page."""

import page_models
import pytest
from browsing import chromium, files, visiting  # noqa: F401
from static_site import host, site  # noqa: F401
from test_page_access import LEAST_CONTRAST, NAMELESS, PHONE, SCHEMES, SMALL, TEXTS, contrast


def opened(visiting, host, **options):
    visit = visiting(host.url, **options).open()
    visit.page.locator("#whole", has_text="without a network").wait_for(state="attached")
    return visit


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_text_can_be_read(visiting, host, files, scheme, tmp_path):
    host.pause = 1.5
    visit = visiting(host.url, color_scheme=scheme).open()
    poor = lambda: [t for t in visit.page.evaluate(TEXTS) if contrast(t[1], t[2]) < LEAST_CONTRAST]  # noqa: E731
    visit.page.locator(".loading", has_text=" of ").wait_for()
    assert poor() == []
    visit.page.locator("#whole", has_text="without a network").wait_for()
    assert poor() == []
    visit.drop(page_models.careful(tmp_path), *files)
    visit.page.locator("#count", has_text="6 pictures answered").wait_for()
    visit.choose(6)  # the failed one
    assert len(visit.page.evaluate(TEXTS)) > 40 and poor() == []
    visit.choose(0)
    assert visit.page.locator(".kernels").count() == 1 and poor() == []


def test_the_ways_in_by_keyboard(visiting, host, files, tmp_path):
    visit = opened(visiting, host)
    keys, order = visit.page.keyboard, []
    for _ in range(6):
        keys.press("Tab")
        order.append(visit.page.evaluate("document.activeElement.id || document.activeElement.textContent"))
    assert order == ["Skip to the pictures", "about", "own", "choose", "camera", "samples"]
    keys.press("Enter")  # the samples
    visit.settled()
    assert visit.cards.count() == 4
    assert visit.page.evaluate("document.activeElement.id") == "choose"  # the button of the samples has gone
    visit.page.focus("#own")
    with visit.page.expect_file_chooser() as chooser:
        keys.press("Enter")
    chooser.value.set_files([str(page_models.careful(tmp_path))])
    visit.page.locator("#model").wait_for()
    visit.page.focus("#model")
    keys.press("ArrowUp")
    visit.page.locator("#knows", has_text="lcnet_050.cifar10 knows").wait_for(state="attached")
    visit.settled()
    visit.page.focus("role=tab[name='JavaScript']")
    keys.press("ArrowRight")
    assert visit.page.locator("#code").inner_text().startswith("lcnet classify")


def test_everything_has_a_name_for_who_listens(visiting, host, files):
    visit = opened(visiting, host)
    assert visit.page.evaluate(NAMELESS) == []
    visit.add(*files)
    assert visit.page.evaluate(NAMELESS) == []
    assert visit.said[:2] == ["Loading lcnet_050.cifar10", "lcnet_050.cifar10 is ready"]


@pytest.mark.parametrize("width", [320, 390])
def test_a_phone_shows_all_without_sideways_scrolling(visiting, host, files, width):
    visit = opened(visiting, host, **{**PHONE, "viewport": {"width": width, "height": 700}})
    fits = lambda: visit.page.evaluate("document.documentElement.scrollWidth") <= width  # noqa: E731
    assert fits() and visit.page.locator("#samples").is_visible() and visit.page.locator("#own").is_visible()
    visit.page.tap("#samples")
    visit.settled()
    assert fits()
    visit.cards.nth(1).tap()
    panel = visit.page.locator("#detail")
    assert panel.is_visible() and panel.evaluate("d => d.matches(':modal') && d.scrollWidth <= d.clientWidth")
    assert visit.page.evaluate(SMALL) == []
