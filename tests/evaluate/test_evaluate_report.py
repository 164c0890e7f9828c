"""The report: one page that holds everything, pictures that show what they should, and a folder that is whole or absent."""

import base64
import io
import json
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from lcnet.arch import Arch
from lcnet.config import Decision, Labels, ModelConfig
from lcnet.errors import ImageError, InputError
from lcnet.evaluate import Answers, measure, metrics, plots, report
from lcnet.evaluate.report import write_report

HISTORY = [{"epoch": e, "train_loss": 2 / e, "val_loss": 2.2 / e, "val_top1": 1 - 1 / e, "lr": 0.1 / e} for e in range(1, 9)]


@pytest.fixture(autouse=True)
def few_repeats(monkeypatch):
    """Intervals take most of the time, and are tested with the metrics."""
    monkeypatch.setattr(metrics, "REPEATS", 50)


class Pictures:
    """Red pictures, the third of which is gone."""

    def __init__(self, size):
        self.names = [f"<b>&\"{i}'.png" for i in range(size)]

    def read(self, index):
        if index == 2:
            raise ImageError("gone")
        file = io.BytesIO()
        Image.new("RGB", (40, 20), "red").save(file, "PNG")
        return file.getvalue()


def evaluation(names, size=400, decision=Decision(), seed=0):  # noqa: B008
    rng, number = np.random.default_rng(seed), len(names)
    targets, logits = rng.integers(0, number, size), rng.normal(size=(size, number)).astype(np.float32)
    logits[np.arange(size), targets] += 2
    if decision.multi_label:
        targets = (rng.random((size, number)) < 0.3).astype(np.uint8)
    config = ModelConfig(Arch(0.25, num_classes=number), labels=Labels(tuple(names)), decision=decision)
    return measure(
        Answers(
            config,
            Pictures(size),
            logits,
            targets,
            np.arange(number),
            np.ones(number, bool),
            np.arange(size),
            np.full(size, 20),
        )
    )


class Page(HTMLParser):
    """Tags that are open, texts, and sources of pictures."""

    VOID = ("meta", "br", "img")

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.texts, self.images = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag == "img":
            self.images.append(dict(attributes)["src"])
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


NASTY = ("<script>alert(1)</script>", "cat & 'dog'", "犬", "plain")


def test_one_page_holds_everything_and_escapes_every_name(tmp_path):
    write_report(tmp_path / "r", evaluation(NASTY), title="<i>mine</i>", history=HISTORY)
    text = (tmp_path / "r" / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == [] and "script" not in page.tags and "i" not in page.tags and "b" not in page.tags
    texts = "".join(page.texts)
    for words in ("<i>mine</i>", *NASTY, "top-1", "Training", "Confusions", "Calibration", "Mistakes", "By size", '<b>&"'):
        assert words in texts
    assert not {"link", "script", "iframe"} & set(page.tags) and "url(" not in text, "nothing is fetched from elsewhere"
    for source in page.images:
        assert source.startswith(("data:image/png;base64,", "data:image/jpeg;base64,"))
        Image.open(io.BytesIO(base64.b64decode(source.partition("base64,")[2]))).verify()
    assert {p.name for p in (tmp_path / "r").iterdir()} == {
        "report.html",
        "evaluation.json",
        "confusion.png",
        "reliability.png",
        "mistakes.png",
        "curves.png",
    }
    assert json.loads((tmp_path / "r" / "evaluation.json").read_text(encoding="utf-8")) == evaluation(NASTY).to_json()


def test_mistakes_are_shown_but_for_those_that_are_gone(tmp_path):
    found = evaluation(NASTY, size=60)
    shown = [m for m in found.mistakes[:24] if m.sample != 2]
    write_report(tmp_path / "r", found)
    assert Page((tmp_path / "r" / "report.html").read_text(encoding="utf-8")).tags.count("figure") == len(shown)
    sheet = np.asarray(Image.open(tmp_path / "r" / "mistakes.png"))
    red = ((sheet[..., 0] > 200) & (sheet[..., 1] < 50) & (sheet[..., 2] < 50)).sum()
    tile = plots.TILE * plots.UNIT
    assert red == pytest.approx(len(shown) * tile * tile / 2, rel=0.02)


def test_a_thousand_classes_stay_readable(tmp_path):
    found = evaluation([f"class {i}, synonym" for i in range(1000)], size=3000)
    write_report(tmp_path / "r", found)
    image = Image.open(tmp_path / "r" / "confusion.png")
    assert image.height < 1500 and image.width < 2500
    text = (tmp_path / "r" / "report.html").read_text(encoding="utf-8")
    assert "the worst 100 of" in text and len(text) < 3_000_000


def test_a_multi_label_report(tmp_path):
    write_report(tmp_path / "r", evaluation(NASTY, decision=Decision(None, {"plain": 0.7}, True)))
    names = {p.name for p in (tmp_path / "r").iterdir()}
    assert "precisions.png" in names and "confusion.png" not in names
    text = (tmp_path / "r" / "report.html").read_text(encoding="utf-8")
    assert "mean average precision" in text and "With the thresholds" in text


def test_nothing_wrong_and_nothing_known(tmp_path):
    found = evaluation(("a", "b"), size=3)
    logits = (20 * np.eye(2)[found.answers.targets]).astype(np.float32)
    from dataclasses import replace

    write_report(tmp_path / "r", measure(replace(found.answers, logits=logits)), history=[{"epoch": 1}])
    assert not (tmp_path / "r" / "mistakes.png").exists() and not (tmp_path / "r" / "curves.png").exists()


def test_what_exists_is_not_lost(tmp_path, monkeypatch):
    found = evaluation(NASTY, size=20)
    write_report(tmp_path / "r", found, title="first")
    with pytest.raises(InputError, match="exists: choose another name"):
        write_report(tmp_path / "r", found)
    write_report(tmp_path / "r", found, title="second", overwrite=True)
    assert "<h1>second" in (tmp_path / "r" / "report.html").read_text(encoding="utf-8")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "mine.jpg").write_bytes(b"precious")
    with pytest.raises(InputError, match="is not overwritten: it holds no"):
        write_report(tmp_path / "photos", found, overwrite=True)
    with pytest.raises(InputError, match="there is no folder"):
        write_report(tmp_path / "no" / "r", found)

    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(report, "_encoded", fail)
    with pytest.raises(InputError, match="cannot be written: No space left"):
        write_report(tmp_path / "r", found, overwrite=True)
    assert "<h1>second" in (tmp_path / "r" / "report.html").read_text(encoding="utf-8")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["photos", "r"]
    assert (tmp_path / "photos" / "mine.jpg").read_bytes() == b"precious"


# The pictures


def colour(image, x, y):
    return image.getpixel((round(x * plots.UNIT), round(y * plots.UNIT)))


def test_the_matrix_shades_the_share_of_the_row():
    pairs = np.array([[0, 0, 90], [0, 1, 10], [1, 1, 5]])
    image = plots.matrix(pairs, ["a", "b"])
    cell, size = 34, (image.width / plots.UNIT, image.height / plots.UNIT)
    corner = (size[0] - 10 - 2 * cell, size[1] - 10 - 2 * cell)
    at = {(r, c): colour(image, corner[0] + c * cell + 4, corner[1] + r * cell + 4) for r in (0, 1) for c in (0, 1)}
    assert at[1, 1] == plots.GREEN and at[1, 0] == (246, 246, 246)
    assert at[0, 0][1] > at[0, 0][0] and at[0, 1][0] > at[0, 1][2], "right ones are green, confusions orange"


def test_names_that_the_font_lacks():
    assert plots.writable("Käfer, é") == "Kafer, e" and plots.writable("犬", 7) == "#7"
    assert plots.writable("x" * 20 + "y" * 20) == "x" * 13 + "…" + "y" * 14 and plots.writable("a犬") == "a?"


def test_names_that_look_the_same_once_cut_have_their_numbers(tmp_path):
    names = [f"a name that begins so {k} and that ends like this" for k in "xyz"] + ["short", "#1"]
    found = evaluation(names)
    assert plots.labels(found.answers) == [*(f"#{k} a name that b…ends like this" for k in range(3)), "short", "#1"]
    write_report(tmp_path / "r", found)
    text = (tmp_path / "r" / "report.html").read_text(encoding="utf-8")
    assert f"#0 {names[0]}; #1 {names[1]}; #2 {names[2]}</p>" in text
    assert plots.labels(evaluation(["crane, bird", "crane, machine", "käfer"]).answers) == ["#0 crane", "#1 crane", "kafer"]
    many = evaluation([f"a name that begins so {k} and that ends like this" for k in range(100)], size=90)
    assert len(plots.drawn(many)) < 60 and set(plots.drawn(many)) == set(
        many.pairs[many.pairs[:, 0] != many.pairs[:, 1]][:30, :2].flat
    )


@pytest.mark.parametrize("accuracy", [0.0, 1.0])
def test_legends_lie_on_nothing(accuracy):
    """Above the frame of every drawing the picture is the same whatever is drawn in it."""
    bins = [metrics.Bin(k / 15, (k + 1) / 15, 10, (k + 0.5) / 15, accuracy) for k in range(15)]
    free = [metrics.Bin(k / 15, (k + 1) / 15, 0, 0.0, 0.0) for k in range(15)]
    top = 33 * plots.UNIT
    assert np.array_equal(np.asarray(plots.reliability(bins))[:top], np.asarray(plots.reliability(free))[:top])
    high = [{"epoch": k, "val_top1": 1.0 if k % 2 else 0.0} for k in range(1, 40)]
    low = [{"epoch": k, "val_top1": 1.0 if k == 1 else 0.0} for k in range(1, 40)]
    drawn = [np.asarray(plots.curves(part))[: 28 * plots.UNIT, 80 * plots.UNIT :] for part in (high, low)]
    assert np.array_equal(*drawn) and (drawn[0] < 100).any()


def test_the_title_names_the_model(tmp_path):
    from dataclasses import replace

    found = evaluation(NASTY, size=20)
    config = replace(found.answers.config, provenance={"source": "lcnet train", "data": "photos"})
    for answers, words in (
        (found.answers, "<h1>lcnet_025, measured on 20 pictures</h1>"),
        (replace(found.answers, config=config), "<h1>lcnet_025 trained on photos, measured on 20 pictures</h1>"),
    ):
        write_report(tmp_path / "r", measure(answers), overwrite=True)
        assert words in (tmp_path / "r" / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("low, high", [(0, 1), (0.3, 0.31), (-5, 1e6), (1e-7, 3e-7), (7, 9)])
def test_ticks_are_round_and_inside(low, high):
    ticks = plots._ticks(low, high)
    assert 2 <= len(ticks) <= 7 and all(low - 1e-9 <= t <= high + 1e-9 * abs(high) for t in ticks)
    assert len({f"{t:g}" for t in ticks}) == len(ticks)


def test_curves_of_little():
    assert plots.curves([]) is None and plots.curves([{"epoch": 1, "val_loss": float("nan")}]) is None
    one = plots.curves([{"epoch": 1, "train_loss": 1.0, "val_top1": None}])
    three = plots.curves(HISTORY)
    assert one.height < three.height and np.asarray(three).min() < 100


def test_a_first_epoch_beyond_all_bounds_leaves_the_others_their_scale():
    rows = [{"epoch": k, "train_loss": 2 / k, "val_loss": 1e15 if k == 1 else 2.2 / k} for k in range(1, 11)]
    with_it, without = (np.asarray(plots.curves(part)) for part in (rows, [{**rows[0], "val_loss": 2.2}, *rows[1:]]))
    assert plots._within([1e15, 2.2, 2.0, 1.0, 0.5]) == ([2.2, 2.0, 1.0, 0.5], [1e15])
    assert plots._within([3.0, 2.0, 1.0, 0.5]) == ([3.0, 2.0, 1.0, 0.5], [])
    assert plots._within([0.0, 0.0, 0.0, 0.0, 1.0]) == ([0.0, 0.0, 0.0, 0.0, 1.0], [])
    late = slice(with_it.shape[1] // 2, None)
    curve = [(picture[100:, late] == plots.BLUE).all(axis=2) for picture in (with_it, without)]
    assert abs(int(curve[0].sum()) - int(curve[1].sum())) < 0.2 * curve[1].sum()
    words = with_it[:120, late].astype(int).sum() - without[:120, late].astype(int).sum()
    assert words < 0  # "1 above the top, up to 1e+15"
