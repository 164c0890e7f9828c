"""The trained network on drawn pages: every turn told and sure, blank paper not, in each precision alike."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[2] / "bench"))

from page_kinds import draw
from real_models import real_model

from lcnet import load, zoo
from lcnet.convert import convert
from lcnet.modelfile import read_config
from lcnet.runtime.kernels import isas
from lcnet.upright.orientation import PageOrientation


@pytest.fixture(scope="module")
def doc_ori(tmp_path_factory):
    folder = tmp_path_factory.mktemp("doc_ori")
    convert(real_model("doc_ori", folder), folder / "doc_ori.safetensors", name="doc_ori")
    return folder / "doc_ori.safetensors"


def asked(path, pages, precision="fp32"):
    return PageOrientation(load(path, threads=1, precision=precision))(pages)


def test_the_temperature_is_the_zoos_and_its_source_is_told(doc_ori):
    config = read_config(doc_ori)
    assert config.decision.turns_temperature == zoo.find("doc_ori").turns_temperature
    assert "older than Paddle's own" in config.provenance["note"]
    assert config.to_json()["needs"]["turns"] == "0.1.0"


def test_classify_answers_as_before(doc_ori):
    model = load(doc_ori, threads=1)
    pixels = np.asarray(draw("fonts", 0))
    logits = model.logits(pixels)
    assert model.probs(pixels) == pytest.approx(np.exp(logits) / np.exp(logits).sum(), abs=1e-6)


@pytest.mark.parametrize("kind", ["fonts", "tables", "scans"])
def test_every_turn_of_a_page_is_told(doc_ori, kind):
    pixels = np.asarray(draw(kind, 1))
    answers = asked(doc_ori, [np.ascontiguousarray(np.rot90(pixels, -i)) for i in range(4)])
    assert [answer.angle for answer in answers] == [0, 90, 180, 270]
    assert min(answer.confidence for answer in answers) > 0.95  # of one view the network never says more than 0.93
    spread = np.ptp([answer.confidence for answer in answers])
    assert spread < 0.01  # a pixel's shift where an odd number of them is cut off


def test_blank_paper_is_left_alone(doc_ori):
    pages = [np.asarray(draw("blank", i)) for i in range(6)] + [np.full((1200, 900, 3), 255, np.uint8)]
    answers = asked(doc_ori, pages)
    assert max(answer.confidence for answer in answers) < 0.9
    assert answers[-1].confidence == pytest.approx(0.25, abs=0.01)


def test_bfloat16_answers_alike(doc_ori):
    if not dict(isas()).get("avx512bf16"):
        pytest.skip("this CPU has no bfloat16")
    pages = [np.asarray(draw("columns", i)) for i in range(3)]
    for exact, half in zip(asked(doc_ori, pages), asked(doc_ori, pages, "bf16"), strict=True):
        assert half.angle == exact.angle and half.confidence == pytest.approx(exact.confidence, abs=0.02)
