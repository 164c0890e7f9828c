"""Random weights for timing: as fast as trained ones, and of a scale that keeps denormals and infinities away."""

from __future__ import annotations

import numpy as np

from ..config import ModelConfig
from ..modelfile import ModelFile


def random_model(config: ModelConfig, seed: int = 0) -> ModelFile:
    """Make a model of this description with He-scaled convs and batch norms near identity."""
    rng = np.random.default_rng(seed)

    def tensor(key: str, shape: tuple[int, ...]) -> np.ndarray:
        if key.endswith(("running_var", "weight")) and len(shape) == 1:
            return rng.uniform(0.8, 1.25, shape)
        if len(shape) == 1:
            return rng.normal(0, 0.2, shape)
        return rng.normal(0, (2.5 / np.prod(shape[1:])) ** 0.5, shape)

    weights = {key: tensor(key, shape).astype(np.float32) for key, shape in config.arch.shapes().items()}
    return ModelFile(config, weights)
