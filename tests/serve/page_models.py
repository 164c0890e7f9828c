"""Models whose answers the page shows in other ways: one that often says `unknown`, and one with groups."""

from dataclasses import replace
from pathlib import Path

from lcnet import modelfile
from lcnet.config import Decision
from lcnet.groups import Group
from lcnet.hub import locate

BUNDLED = "lcnet_050.cifar10"
ANIMALS = ("bird", "cat", "deer", "dog", "frog", "horse")


def _decided(path: Path, decision: Decision) -> Path:
    model = modelfile.read(locate(BUNDLED).path)
    modelfile.write(path, replace(model, config=replace(model.config, decision=decision)))
    return path


def careful(folder: Path) -> Path:
    """Each class must be likelier than not by far."""
    names = modelfile.read_config(locate(BUNDLED).path).labels.names
    return _decided(folder / "careful.safetensors", Decision(thresholds=dict.fromkeys(names, 0.5)))


def grouped(folder: Path) -> Path:
    """Any number of vehicles, and which animal it is most like."""
    animal = Group("animal", ANIMALS, at_least_one=True)
    other = Group("on wheels", ("automobile", "truck"), take="each", otherwise="no")
    return _decided(folder / "grouped.safetensors", Decision(multi_label=True, groups=(animal, other)))
