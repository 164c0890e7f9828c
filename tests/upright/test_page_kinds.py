"""The drawn pages that confidence is calibrated and measured on: the same of a number always, and never shared by the two."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[2] / "bench"))

import page_kinds
from upright_pages import Pages, log_loss, pages_of

KINDS = [kind for kind in ("sizes", "nearly blank", "photographs", "drawings") if kind in pages_of("measured")]  # quick ones


@pytest.mark.parametrize("kind", KINDS)
def test_a_number_is_a_page(kind):
    first, again, other = (page_kinds.draw(kind, number) for number in (0, 0, 1))
    assert first.mode == "RGB" and min(first.size) > 200
    assert first.tobytes() == again.tobytes() != other.tobytes()
    assert page_kinds.draw(kind, 0, calibrating=True).tobytes() != first.tobytes()


def test_files_say_how_they_are_turned(tmp_path):
    for number in range(4):
        page_kinds.write(tmp_path, "blank", number)
        page_kinds.write(tmp_path, "sizes", number)
    blank, sizes = (Pages(tmp_path, kind, 500) for kind in ("blank", "sizes"))
    assert sizes.turns.tolist() == [0, 1, 2, 3]
    assert sizes.wrong([0, 1, 2, 0]).tolist() == [False, False, False, True]
    assert blank.wrong([0, 1, 0, 3]).tolist() == [False, True, False, True]  # none of them may be turned
    upright, turned = (page.shape[:2] for page in sizes.pixels(0)[:2])
    assert upright == page_kinds.draw("sizes", 0).size[::-1] and turned == page_kinds.draw("sizes", 1).size


def test_the_loss_of_a_page_that_stands_no_way_is_least_where_nothing_is_said():
    means, turns = np.log([[0.25] * 4, [0.7, 0.1, 0.1, 0.1]]), np.array([0, 0])
    assert log_loss("blank", means[:1], turns[:1], 1) == pytest.approx(np.log(4))
    assert log_loss("blank", means, turns, 1) > np.log(4) > log_loss("sizes", means, turns, 1)
    assert log_loss("sizes", means[1:], turns[1:], 0.5) == pytest.approx(-np.log(49 / 52))
