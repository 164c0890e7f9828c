"""Drawn pages and lines: the same every time, different from each other, turned as their class says."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

SPEC = importlib.util.spec_from_file_location("oriented", Path(__file__).parents[2] / "bench" / "oriented.py")
oriented = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(oriented)


@pytest.mark.parametrize(("kind", "turns"), [("page", 4), ("line", 2)])
def test_every_picture_comes_in_every_turn(kind, turns):
    found = list(oriented.samples(kind, turns, 5, 2))
    assert [turn for _, turn in found] == [*range(turns)] * 2
    for image, turn in found[:turns]:
        clockwise = np.rot90(np.asarray(found[0][0]), -turn * 4 // turns)
        np.testing.assert_array_equal(np.asarray(image), clockwise)
    assert found[0][0].size != found[turns][0].size
    assert found[turns][0].tobytes() == next(oriented.samples(kind, turns, 6, 1))[0].tobytes()


def test_there_is_text_on_them():
    for draw in (oriented.page, oriented.line):
        pixels = np.asarray(draw(3).convert("L"), np.float32)
        assert np.abs(np.diff(pixels, axis=1)).max() > 30
