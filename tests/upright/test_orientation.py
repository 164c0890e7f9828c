"""The decision put together of several views, by a network that is made up, so that what it must answer is known."""

import numpy as np
import pytest

from lcnet.arch import Arch
from lcnet.config import Decision, Labels, ModelConfig, Preprocessing
from lcnet.errors import InputError
from lcnet.upright.orientation import ANGLES, SETTLED, Orientation, PageOrientation

SIDE = 64


class Stub:
    """Takes the brightest quadrant for the top left one: a page with that corner white stands upright.

    `says`: how sure it is, as a probability; `runs`: the views that it was asked about.
    """

    def __init__(self, says=0.92, names=("0", "90", "180", "270"), decision=None, size=(SIDE, SIDE), dull=0):
        self.preprocessing = Preprocessing((3, *size), interpolation="bilinear", resize="opencv")
        self.labels = Labels(names)
        self.config = ModelConfig(Arch(0.25, num_classes=4), self.preprocessing, self.labels, decision or Decision())
        self.says, self.dull, self.runs = says, dull, []
        self.columns = [int(n.rstrip("°").partition("_")[0]) // 90 if n else 0 for n in names]

    def run(self, x):
        self.runs.append(x.shape)
        return np.stack([self.one(view) for view in x])

    def one(self, view):
        half, wide = view.shape[1] // 2, view.shape[2] // 2
        grey = view.mean(0)
        corners = [grey[:half, :wide], grey[:half, wide:], grey[half:, wide:], grey[half:, :wide]]  # clockwise
        means = np.array([corner.mean() for corner in corners])
        best = int(means.argmax()) if np.ptp(means) > 0.1 else None
        probs = np.full(4, (1 - self.says) / 3)
        probs[self.dull if best is None else best] = self.says
        return np.log(probs[self.columns]).astype(np.float32)


def page(width=300, height=420):
    pixels = np.full((height, width, 3), 30, np.uint8)
    pixels[: height // 2, : width // 2] = 240
    return pixels


def turned(pixels, quarters):
    return np.ascontiguousarray(np.rot90(pixels, -quarters))


@pytest.mark.parametrize("names", [("0", "90", "180", "270"), ("270", "0°", "180_degree", "90"), ("90", "180", "270", "0")])
@pytest.mark.parametrize("size", [(SIDE, SIDE), (64, 96)])
def test_turning_a_page_turns_the_answer(names, size):
    decide = PageOrientation(Stub(names=names, size=size))
    for first in range(4):
        for more in range(4):
            (answer,) = decide([turned(turned(page(), first), more)])
            assert answer.angle == ANGLES[(first + more) % 4]


@pytest.mark.parametrize("says", [0.92, 0.6])
def test_answers_are_permuted_exactly(says):
    decide = PageOrientation(Stub(says))
    (upright,) = decide([page(320, 320)])
    for quarters in range(4):
        (answer,) = decide([turned(page(320, 320), quarters)])
        assert answer.probs == pytest.approx(np.roll(upright.probs, quarters).tolist(), abs=1e-6)


def test_it_is_what_was_said_of_it():
    (answer,) = PageOrientation(Stub(0.92))([page()])
    assert isinstance(answer, Orientation)
    assert answer.confidence == answer.probs[0] == pytest.approx(0.92, abs=1e-6)
    assert sum(answer.probs) == pytest.approx(1)


def test_a_network_that_always_says_the_same_knows_nothing():
    """Turned back, four times the same answer is one for each angle."""
    stub = Stub(0.92, dull=2)
    (answer,) = PageOrientation(stub)([np.full((500, 400, 3), 250, np.uint8)])
    assert answer.confidence == pytest.approx(0.25, abs=1e-6)


def test_settled_pages_are_asked_about_twice_and_others_twelve_times():
    stub = Stub(0.92)
    PageOrientation(stub)([page()])
    assert stub.runs == [(2, 3, SIDE, SIDE)]
    unsure = Stub(SETTLED - 0.01)
    PageOrientation(unsure)([page()])
    assert [shape[0] for shape in unsure.runs] == [2, 2, 4, 4]
    assert unsure.runs[2][2:] == (96, 96) and unsure.runs[3][2:] == (SIDE, SIDE)


def test_only_unsettled_pages_are_asked_about_again():
    stub = Stub(0.92)
    answers = PageOrientation(stub)([page(), np.full((500, 400, 3), 250, np.uint8), turned(page(), 3)])
    assert [answer.angle for answer in answers][::2] == [0, 270]
    assert [shape[0] for shape in stub.runs] == [6, 2, 4, 4]


def test_many_pages_are_looked_at_a_few_at_a_time():
    stub = Stub()
    answers = PageOrientation(stub)([turned(page(), i) for i in range(21)])
    assert [answer.angle for answer in answers] == [ANGLES[i % 4] for i in range(21)]
    assert [shape[0] for shape in stub.runs] == [16, 16, 10]
    assert PageOrientation(stub)([]) == []


def test_the_temperature_sharpens_and_keeps_the_order():
    plain, sharp = (PageOrientation(Stub(0.85, decision=Decision(turns_temperature=t))) for t in (None, 0.5))
    (before,), (after,) = plain([page()]), sharp([page()])
    odds = (0.85 / 0.05) ** 2  # divided by a half, the logarithms are doubled
    assert before.confidence == pytest.approx(0.85, abs=1e-6) and before.angle == after.angle
    assert after.confidence == pytest.approx(odds / (odds + 3), abs=1e-6)


def test_the_other_temperature_does_not_matter():
    (answer,) = PageOrientation(Stub(0.85, decision=Decision(temperature=0.1)))([page()])
    assert answer.confidence == pytest.approx(0.85, abs=1e-6)


@pytest.mark.parametrize("names", [("0", "90", "180", "271"), ("a", "b", "c", "d"), ("0", "0°", "180", "270")])
def test_another_classifier_is_refused(names):
    stub = Stub()
    stub.labels = Labels(names)
    with pytest.raises(InputError, match="expected 0, 90, 180 and 270"):
        PageOrientation(stub)
    stub.labels = None
    with pytest.raises(InputError, match="no labels"):
        PageOrientation(stub)


def test_the_least_side_is_that_of_the_second_look():
    stub = Stub()
    stub.preprocessing = Preprocessing((3, 224, 224), interpolation="bilinear", resize="opencv")
    assert PageOrientation(stub).short_side == 366
