"""docs/ocr.md put into RapidOCR: pages with lines on their heads, and pages that lie, are read right by what it says there."""

import re
from pathlib import Path

import numpy as np
import pytest
from paddle_files import sample
from PIL import Image, ImageDraw, ImageFont
from real_models import real_model

from lcnet.convert import convert

PAGE = Path(__file__).parents[2] / "docs" / "ocr.md"
TEXTS = """
Committee report on the harvest
Total amount received in May
Please sign both copies below
The garden closes at half past six
Number of visitors last year
Return it to the front office
Nothing was left of the old bridge
See the map on the next page
""".strip().splitlines()
DOWN = (1, 2, 4, 7)  # of these, the lines that are printed on their heads

pytestmark = pytest.mark.slow


def page(down=()):
    """Dark on light, a line below the other, uint8 [H,W,3] blue first."""
    font = ImageFont.load_default(30)
    image = Image.new("RGB", (640, 700), (246, 243, 236))
    for number, text in enumerate(TEXTS):
        line = Image.new("RGB", (int(font.getlength(text)) + 8, 42), (246, 243, 236))
        ImageDraw.Draw(line).text((4, 2), text, (25, 25, 60), font)
        image.paste(line.rotate(180) if number in down else line, (50, 60 + 74 * number))
    return np.ascontiguousarray(np.asarray(image)[:, :, ::-1])


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    """The names that the page's code makes, with the models in files in place of those that the hub has."""
    pytest.importorskip("rapidocr", reason="rapidocr (extra: ocr) is not installed: make test-ocr")
    folder = tmp_path_factory.mktemp("models")
    line, doc = folder / "textline_ori_025.safetensors", folder / "doc_ori.safetensors"
    convert(sample("PP-LCNet_x0_25_textline_ori_v1"), line)
    convert(real_model("doc_ori", folder), doc, name="doc_ori")
    (code,) = (b for b in re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.S | re.M) if "TextClsOutput" in b)
    code = code.replace('"textline_ori_025"', repr(str(line))).replace('"doc_ori"', repr(str(doc)))
    values = {}
    exec(code, values)
    return values


def texts(result):
    """What was read, spaces aside, which recognisers take or leave."""
    return [re.sub(r"\s", "", text) for text in result.txts]


EXPECTED = [re.sub(r"\s", "", text) for text in TEXTS]


def test_lines_on_their_heads_are_read(recipe):
    ocr, seen = recipe["ocr"], page(DOWN)
    without = texts(ocr(seen, use_cls=False))
    assert all((text in without) == (number not in DOWN) for number, text in enumerate(EXPECTED))
    assert texts(ocr(seen, use_cls=True)) == EXPECTED


@pytest.mark.parametrize("angle", [0, 90, 180, 270])
def test_pages_that_lie_are_read_in_order(recipe, angle):
    lying = np.rot90(page(), -angle // 90)
    turned, result = recipe["read"](lying)
    assert turned.by == angle and np.array_equal(turned.pixels, page())
    assert texts(result) == EXPECTED
    if angle:
        assert texts(recipe["ocr"](np.ascontiguousarray(lying))) != EXPECTED


def test_an_answer_is_what_its_own_classifier_gives(recipe):
    from rapidocr import RapidOCR

    own, ours = RapidOCR()._load_cls_model(), recipe["ocr"].text_cls
    lines = [page()[60 + 74 * n : 102 + 74 * n, 45:560] for n in range(4)]
    lines += [line[::-1, ::-1].copy() for line in lines]
    for given in (lines, lines[0]):
        first, second = own(given), ours(given)
        assert len(first) == len(second) and type(first) is type(second)
        assert [label for label, _ in first.cls_res] == [label for label, _ in second.cls_res]
        assert all(np.array_equal(a, b) for a, b in zip(first.img_list, second.img_list, strict=True))
        assert all(0.5 <= score <= 1 for _, score in second.cls_res) and second.elapse > 0
