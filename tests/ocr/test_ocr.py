"""Text lines and pages as programs that read text have them: answers, turns, and what is refused."""

import copy
import pickle
import re
import sys
import threading
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from paddle_files import sample
from PIL import Image, ImageDraw, ImageFont
from weights import random_weights

import lcnet
from lcnet import modelfile
from lcnet.arch import Arch
from lcnet.config import Decision, Labels, ModelConfig, Preprocessing
from lcnet.convert import convert
from lcnet.modelfile import ModelFile
from lcnet.ocr import DocOrientation, LineOrientation, TextLineOrientation

PAGE = Path(__file__).parents[2] / "docs" / "ocr.md"
PADDLE = Preprocessing((3, 80, 160), "bilinear", 1.0, "squash", resize="opencv", alpha="drop")
LINES = ("0_degree", "180_degree")
PAGES = ("0", "90", "180", "270")


def classifier(labels, preprocessing=PADDLE, threads=1, **decision):
    """An untrained network with these labels, whose answers differ by what it sees: each class is the answer to some noise."""
    arch = Arch(0.25, preprocessing.input_size[0], num_classes=len(labels))
    weights, rng = random_weights(arch, 3), np.random.default_rng(5)
    config = ModelConfig(arch, preprocessing, Labels(tuple(labels)), Decision(**decision))
    noise = [rng.integers(0, 256, (*rng.integers(2, 300, 2), *preprocessing.input_size[:1]), dtype=np.uint8) for _ in range(16)]
    logits = lcnet.Classifier(ModelFile(config, weights), 1).logits(noise)
    for key in ("classifier.weight", "classifier.bias"):
        shift = logits.mean(axis=0) if key.endswith("bias") else 0
        weights[key] = ((weights[key] - shift).T / logits.std(axis=0)).T.astype(np.float32)
    return lcnet.Classifier(ModelFile(config, weights), threads)


@pytest.fixture
def lines(rng):
    """Of several shapes, one of them lying; colours differ by channel."""
    shapes = [(48, 320), (20, 33), (80, 160), (7, 900), (300, 40), (1, 1)]
    return [rng.integers(0, 256, (*shape, 3), dtype=np.uint8) for shape in shapes]


def drawn_lines(count, longest=26):
    """Dark on light paper, in the font that Pillow brings."""
    font, lines = ImageFont.load_default(28), []
    for number in range(count):
        text = f"Payment of {137 * number} by {number + 3} May, see page {11 * number}"[: 12 + number % (longest - 12)]
        image = Image.new("RGB", (int(font.getlength(text)) + 12, 40), (250, 246 - number, 235))
        ImageDraw.Draw(image).text((6, 2), text, (20, 10, number), font)
        lines.append(np.asarray(image))
    return lines


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Paddle's smaller text-line network, of its first release."""
    path = tmp_path_factory.mktemp("model") / "line.safetensors"
    convert(sample("PP-LCNet_x0_25_textline_ori_v1"), path)
    return TextLineOrientation(path, channel_order="rgb", threads=1)


def by_hand(model, line):
    """Probabilities of one line by OpenCV's resize and the plain formula."""
    cv2 = pytest.importorskip("cv2", reason="opencv-python-headless (extra: test) is not installed")
    x = cv2.resize(line, (160, 80), interpolation=cv2.INTER_LINEAR).astype(np.float64) / 255
    x = (x - PADDLE.mean) / PADDLE.std
    logits = model.run(np.float32(x.transpose(2, 0, 1)[None]))[0]
    return np.exp(logits) / np.exp(logits).sum()


def test_lines_are_scaled_and_asked_as_paddle_does(lines):
    model = classifier(LINES)
    for line, answer in zip(lines, TextLineOrientation(model, channel_order="rgb")(lines), strict=True):
        probs = by_hand(model, line)
        assert answer.angle == (0, 180)[probs.argmax()] and answer.label == LINES[probs.argmax()]
        assert answer.confidence == pytest.approx(probs.max(), abs=1e-5)


@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_blue_first_is_the_same_to_the_bit(lines, order):
    model = classifier(LINES, Preprocessing((3, 80, 160), "bilinear", 1.0, "squash", channel_order=order))
    red, blue = (TextLineOrientation(model, channel_order=o) for o in ("rgb", "bgr"))
    turned = [np.ascontiguousarray(line[:, :, ::-1]) for line in lines]
    assert blue(turned) == red(lines) != blue(lines)
    probs = model.probs(lines)  # which takes red first
    assert [a.confidence for a in red(lines)] == pytest.approx(probs.max(axis=1), abs=1e-6)


def test_pages_blue_first_are_the_same_to_the_bit(lines):
    for size in ((3, 64, 64), (3, 64, 96)):
        model = classifier(PAGES, Preprocessing(size, "bilinear", 1.0, "squash"))
        red, blue = (DocOrientation(model, channel_order=o) for o in ("rgb", "bgr"))
        assert blue([line[:, :, ::-1] for line in lines]) == red(lines) != blue(lines)


def test_labels_may_be_in_any_order_and_words(lines):
    usual = TextLineOrientation(classifier(LINES), channel_order="rgb")(lines)
    other = TextLineOrientation(classifier(("180", "0")), channel_order="rgb")(lines)
    assert [a.angle for a in other] == [180 - a.angle for a in usual]
    assert [a.label for a in other] == [str(a.angle) for a in other]


def test_temperature_of_the_model_counts(lines):
    plain, cold = (TextLineOrientation(classifier(LINES, temperature=t), channel_order="rgb")(lines) for t in (None, 0.5))
    odds = [np.log(a.confidence / (1 - a.confidence)) for a in plain]
    assert [np.log(a.confidence / (1 - a.confidence)) for a in cold] == pytest.approx([2 * o for o in odds], rel=1e-3)


def test_both_ways_is_the_mean_of_a_line_and_of_it_turned(trained):
    """In odds; so that a line on its head gives the opposite answer, as sure, which one way of asking does not promise."""
    lines = drawn_lines(40, 60)[20:]  # long ones, of which it is not sure
    turned = [line[::-1, ::-1] for line in lines]
    ask = TextLineOrientation(trained.model, channel_order="rgb", both_ways=True)
    found, opposite = ask(lines), ask(turned)
    assert [a.angle for a in found] == [180 - a.angle for a in opposite]
    assert [a.confidence for a in found] == pytest.approx([a.confidence for a in opposite], abs=1e-3)
    one, other = (trained.model.logits(part) for part in (lines, turned))
    odds = (one[:, 0] - one[:, 1] + other[:, 1] - other[:, 0]) / 2
    assert [a.confidence for a in found] == pytest.approx(1 / (1 + np.exp(-np.abs(odds))), abs=1e-3)
    assert [a.confidence for a in found] != pytest.approx([a.confidence for a in trained(lines)], abs=1e-3)


def test_grey_is_three_times_the_same(lines):
    for kind, labels in ((TextLineOrientation, LINES), (DocOrientation, PAGES)):
        ask = kind(classifier(labels), channel_order="bgr")
        grey = [line[:, :, 0] for line in lines]
        assert ask(grey) == ask([np.repeat(line[:, :, :1], 3, axis=2) for line in lines])
        assert all(turned.pixels.ndim == 2 for turned in ask.upright(grey, 0))


def test_strides_read_only_and_arrays_of_lines_do_not_matter(lines):
    ask = TextLineOrientation(classifier(LINES), channel_order="rgb")
    for line in lines:
        wide = np.zeros((line.shape[0], 2 * line.shape[1], 3), np.uint8)
        wide[:, ::2] = line
        fixed = line.copy()
        fixed.flags.writeable = False
        (expected,) = ask([line])
        assert ask((wide[:, ::2], line[::-1, ::-1].copy()[::-1, ::-1], np.asfortranarray(line), fixed)) == [expected] * 4
    same = np.stack([lines[0], lines[0][::-1]])
    assert ask(same) == ask(list(same)) == ask(iter(same))


def test_nothing_gives_nothing():
    for kind, labels in ((TextLineOrientation, LINES), (DocOrientation, PAGES)):
        ask = kind(classifier(labels), channel_order="rgb")
        assert ask([]) == [] and ask.upright(()) == []


def test_what_is_sure_enough_is_turned_and_all_else_is_the_array_that_was_given(lines):
    ask = TextLineOrientation(classifier(LINES), channel_order="rgb")
    lines = [*lines, *(line[::-1, ::-1] for line in lines)]
    answers = ask(lines)
    least = np.median([a.confidence for a in answers if a.angle == 180])
    done = ask.upright(lines, float(least))
    assert [d.answer for d in done] == answers
    assert {d.by for d in done} == {0, 180}
    for line, found in zip(lines, done, strict=True):
        if found.answer.angle == 180 and found.answer.confidence >= least:
            assert found.by == 180 and found.pixels.flags.c_contiguous
            assert np.array_equal(found.pixels, line[::-1, ::-1])
        else:
            assert found.by == 0 and found.pixels is line


def test_pages_are_turned_back_by_as_much_as_they_lie(rng):
    """The four turns of a page answer with angles that follow each other, so one of them is right for each."""
    ask = DocOrientation(classifier(PAGES, Preprocessing((3, 64, 64), "bilinear", 1.0, "squash")), channel_order="rgb")
    page = rng.integers(0, 256, (90, 70, 3), dtype=np.uint8)
    turns = [np.rot90(page, -k) for k in range(4)]  # clockwise
    found = ask.upright(turns, 0)
    first = found[0].answer.angle
    assert [d.answer.angle for d in found] == [(first + 90 * k) % 360 for k in range(4)]
    assert [d.by for d in found] == [d.answer.angle for d in found]
    assert all(np.array_equal(d.pixels, found[0].pixels) and (d.pixels.flags.c_contiguous or not d.by) for d in found)
    assert all(d.by == 0 and d.pixels is turn for d, turn in zip(ask.upright(turns, 1), turns, strict=True))


def test_memory_is_for_a_few_lines_however_many_there_are():
    ask = TextLineOrientation(classifier(LINES), channel_order="rgb")
    line = np.zeros((32, 64, 3), np.uint8)
    assert len(ask([line] * 10)) == 10
    tracemalloc.start()
    answers = ask([line] * 2000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(answers) == 2000 and answers == [answers[0]] * 2000
    assert peak < 12 << 20, "2,000 inputs would be 300 MB"


def test_threads_may_share_one(lines):
    ask = TextLineOrientation(classifier(LINES, threads=2), channel_order="rgb")
    expected, found = ask(lines), []
    threads = [threading.Thread(target=lambda: found.extend(ask(lines) for _ in range(10))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 40


def test_it_travels_to_another_process(lines):
    for kind, labels in ((TextLineOrientation, LINES), (DocOrientation, PAGES)):
        ask = kind(classifier(labels), channel_order="bgr")
        for same in (pickle.loads(pickle.dumps(ask)), copy.deepcopy(ask)):
            assert same(lines) == ask(lines)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (
            [np.zeros((5, 5, 3), np.uint8), np.zeros((5, 5, 3))],
            r"1 is float64 \[5, 5, 3\], expected uint8 \[H,W,3\] or \[H,W\]",
        ),
        ([np.zeros((0, 5, 3), np.uint8)], r"0 is uint8 \[0, 5, 3\], expected .* of at least one pixel"),
        ([np.zeros((5, 0), np.uint8)], r"0 is uint8 \[5, 0\]"),
        ([np.zeros((5, 5, 4), np.uint8)], r"0 is uint8 \[5, 5, 4\]"),
        ([np.zeros((3, 5, 5), np.uint8)], r"0 is uint8 \[3, 5, 5\]"),
        ([np.zeros(5, np.uint8)], r"0 is uint8 \[5\]"),
        (["a.png"], "0 is str"),
        ([None], "0 is NoneType"),
        (np.zeros((5, 5, 3), np.uint8), r"s are uint8 \[5, 5, 3\], expected a list of arrays.*: put one into a list"),
        ("a.png", "s are str, expected a list of arrays"),
        (b"data", "s are bytes, expected"),
        (None, "s are NoneType, expected"),
    ],
)
def test_what_is_no_line_is_refused(lines, words):
    for kind, labels, name in ((TextLineOrientation, LINES, "line"), (DocOrientation, PAGES, "page")):
        ask = kind(classifier(labels), channel_order="rgb")
        for call in (ask, ask.upright):
            with pytest.raises(lcnet.InputError, match=name + ("" if words.startswith("s ") else " ") + words):
                call(lines)


@pytest.mark.parametrize("least", [-0.1, 1.1, float("nan"), "0.9", None, True])
def test_a_confidence_is_from_0_to_1(least, lines):
    with pytest.raises(lcnet.InputError, match=r"min_confidence is .*, expected a number from 0 to 1"):
        TextLineOrientation(classifier(LINES), channel_order="rgb").upright(lines, least)


def test_a_model_that_tells_something_else_is_refused(tmp_path):
    for kind, good, hint in ((TextLineOrientation, LINES, "textline_ori"), (DocOrientation, PAGES, "doc_ori")):
        for labels in (("cat", "dog"), PAGES, LINES, ("0", "180", "360"), ("0", "0_degree")):
            if labels != good:
                with pytest.raises(
                    lcnet.InputError, match=f"the model has the classes {labels[0]}, .*, expected 0.*180.*{hint}"
                ):
                    kind(classifier(labels), channel_order="rgb")
        with pytest.raises(lcnet.InputError, match="classes airplane, "):
            kind("lcnet_050.cifar10", channel_order="rgb")
        grey = Preprocessing((1, 64, 64), mean=(0.5,), std=(0.5,))
        with pytest.raises(lcnet.InputError, match="takes 1 channels, expected 3"):
            kind(classifier(good, grey), channel_order="rgb")
    unlabelled = classifier(LINES)
    object.__setattr__(unlabelled.config, "labels", None)
    with pytest.raises(lcnet.InputError, match="the model has no labels"):
        TextLineOrientation(unlabelled, channel_order="rgb")


def test_options_are_looked_at():
    for kind, labels in ((TextLineOrientation, LINES), (DocOrientation, PAGES)):
        with pytest.raises(TypeError, match="channel_order"):
            kind(classifier(labels))
        with pytest.raises(lcnet.InputError, match="channel_order is 'RGB', expected 'rgb' or 'bgr'"):
            kind(classifier(labels), channel_order="RGB")
        with pytest.raises(lcnet.InputError, match="threads is 2, but a Classifier has its own"):
            kind(classifier(labels), channel_order="rgb", threads=2)


@pytest.fixture
def page(tmp_path):
    """The code of docs/ocr.md, a text a block, with untrained networks in the place of those that the hub has."""
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.S | re.M)
    for name, labels in (("textline_ori_025", LINES), ("doc_ori", PAGES)):
        path = tmp_path / f"{name}.safetensors"
        modelfile.write(path, classifier(labels)._source)
        blocks = [block.replace(f'"{name}"', repr(str(path))) for block in blocks]
    return blocks


def test_the_example_runs(page, lines, capsys):
    exec(page[0], {"crops": lines, "page": lines[0]})
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == len(lines) + 1 and all(row.split()[0] in ("0", "180") for row in printed[:-1])


def test_what_is_put_into_paddleocr_answers_as_its_own_does(page, lines, monkeypatch):
    """A stand-in for its pipeline, with the attributes that paddlex 3.7.2 has and the way in which it uses them."""
    inner = SimpleNamespace(use_textline_orientation=False, rotate_image=None, textline_orientation_model=None)

    def predict(page):
        ids = [int(np.asarray(info["class_ids"]).ravel()[0]) for info in inner.textline_orientation_model(lines)]
        return [{"textline_orientation_angles": ids, "page": page, "lines": inner.rotate_image(lines, ids)}]

    def made(**off):
        assert len(off) == 3 and not any(off.values())
        return SimpleNamespace(paddlex_pipeline=SimpleNamespace(_pipeline=inner), predict=predict)

    monkeypatch.setitem(sys.modules, "paddleocr", SimpleNamespace(PaddleOCR=made))
    values = {}
    (code,) = (block for block in page if "PaddleOCR" in block)
    exec(code.replace("0.9", "0.0"), values)  # what is untrained is sure of nothing
    turned, (result,) = values["read"](lines[0])
    assert inner.use_textline_orientation and result["page"] is turned.pixels
    assert result["textline_orientation_angles"] == [a.angle // 180 for a in values["lines"](lines)]
    assert {*result["textline_orientation_angles"]} == {0, 1}
    for given, found, turn in zip(lines, result["lines"], result["textline_orientation_angles"], strict=True):
        assert np.array_equal(found, np.rot90(given, 2 * turn))


def test_the_trained_network_turns_lines_right(trained):
    """Drawn lines: none that stands upright is turned, and nearly all that do not."""
    lines = drawn_lines(40)
    assert [d.by for d in trained.upright(lines)] == [0] * 40
    down = trained.upright([line[::-1, ::-1] for line in lines])
    right = [np.array_equal(d.pixels, line) for d, line in zip(down, lines, strict=True)]
    assert sum(right) >= 38
    assert isinstance(down[0].answer, LineOrientation) and down[0].answer.label == "180_degree"
