"""Weights for tests whose logits react to the image: seeded, with batch-norm statistics as a trained network has them."""

import numpy as np

from lcnet.arch import Arch


def random_weights(arch: Arch, seed: int = 0) -> dict[str, np.ndarray]:
    """He-scaled convs and batch norms spread around 1, so that signals neither die nor explode through 27 layers."""
    rng = np.random.default_rng(seed)

    def tensor(key: str, shape: tuple[int, ...]) -> np.ndarray:
        if key.endswith("running_var"):
            return rng.uniform(0.5, 1.5, shape)
        if key.endswith("running_mean") or key.endswith("bias"):
            return rng.normal(0, 0.2, shape)
        if len(shape) == 1:
            return rng.uniform(0.7, 1.6, shape)
        fan_in = int(np.prod(shape[1:]))
        return rng.normal(0, (2.5 / fan_in) ** 0.5, shape)

    return {key: tensor(key, shape).astype(np.float32) for key, shape in arch.shapes().items()}
