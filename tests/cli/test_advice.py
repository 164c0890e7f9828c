"""What is raised for Python names parameters; the command line says which options they are."""

import ast
import re

import pytest
from test_architecture import MODULES, room_of

from lcnet.cli.advice import advised

CALLED = ("image", "runtime", "sources", "config", "modelfile")  # the rooms whose errors a program gets for its own pictures


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("it has 3 x 3 pixels, more than max_pixels = 8: make it", "it has 3 x 3 pixels, more than --max-pixels 8: make it"),
        ("the limit is 9 (max_member)", "the limit is 9 (--max-member)"),
        ("leave such pictures out (skip_unreadable)", "leave such pictures out (--skip-unreadable)"),
        ("any of them (restrict: only those)", "any of them (--restrict: only those)"),
        ("max_member/skip_unreadable.jpg: it is empty", "max_member/skip_unreadable.jpg: it is empty"),
    ],
)
def test_parameters_become_options(message, said):
    assert advised(message) == said and advised(ValueError(message)) == said


@pytest.mark.parametrize("room", CALLED)
def test_no_message_for_python_names_an_option(room):
    texts = [
        (module, node.value)
        for module, file in MODULES.items()
        if room_of(module) == room
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    assert len(texts) > 20
    assert [t for t in texts if re.search(r"(^|[\s(])--[a-z]", re.sub(r"`[^`]*`", "", t[1]))] == []
