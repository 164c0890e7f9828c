"""Public names that have been changed work under the old one too, and say so."""

from importlib import import_module

import pytest


@pytest.mark.parametrize(
    "module, old, new",
    [
        ("lcnet.evaluate", "Measure", "Estimate"),
        ("lcnet.evaluate", "Pictures", "LabeledPictures"),
        ("lcnet.quantize", "Options", "QuantizeOptions"),
        ("lcnet.nn", "Options", "ModelOptions"),
        ("lcnet.train", "Options", "TrainOptions"),
    ],
)
def test_the_old_name_warns_where_it_is_used_and_means_the_new_one(module, old, new):
    if module in ("lcnet.nn", "lcnet.train"):
        pytest.importorskip("torch")
    found = import_module(module)
    with pytest.warns(DeprecationWarning, match=rf"{module}\.{old} is called {new}") as warned:
        assert getattr(found, old) is getattr(found, new)
    assert [w.filename for w in warned] == [__file__]
    with pytest.warns(DeprecationWarning):
        exec(f"from {module} import {old}")


@pytest.mark.parametrize("module", ["lcnet.evaluate", "lcnet.quantize", "lcnet.train"])
def test_another_name_is_no_attribute(module, name="Nothing"):
    with pytest.raises(AttributeError, match=f"module '{module}' has no attribute '{name}'"):
        getattr(import_module(module), name)
