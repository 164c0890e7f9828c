"""What a model's provenance says of the pictures that it was trained on, held against pictures that it is measured on."""

from __future__ import annotations

from ..config import ModelConfig
from ..dataset import Dataset, split
from ..dataset.sketch import Sketch, sketch
from ..errors import InputError


def sketch_of(config: ModelConfig) -> Sketch | None:
    """The sample of what the model was trained on; None if it does not say."""
    return Sketch.from_json(config.provenance.get("train_sketch"))


def held_out(config: ModelConfig, pictures: Dataset) -> Dataset | None:
    """Return those of all the pictures that training had, which it set aside for validation; None if these are others.

    The split is done again as training did it, and believed only if its other side is what the model was trained on.
    """
    said, trained = config.provenance, sketch_of(config)
    counts = [n for key in ("train_images", "val_images") if type(n := said.get(key)) is int]
    if not trained or len(counts) != 2 or sum(counts) != len(pictures):
        return None
    try:
        rest, aside = split(pictures, said.get("val_fraction", 0), said.get("seed", 0))
    except InputError:  # what it says is no fraction or no seed, or there is nothing to divide
        return None
    return aside if len(aside) == counts[1] and sketch(rest) == trained else None
