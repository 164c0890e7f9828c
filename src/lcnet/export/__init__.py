"""A model for other engines, a file a format; what differs from our runtime's answers is never kept."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..errors import RefusedError
from ..modelfile import ModelFile

TOLERANCE = 1e-4  # of the range of the outputs


class ExportError(RefusedError):
    """An export whose result differs from our runtime's: nothing is written."""


def parity(model: ModelFile, run: Callable[[np.ndarray], np.ndarray]) -> float:
    """Compare another engine with our runtime on two pictures of noise; return their largest difference.

    run: from input float32 [2,C,H,W] to the model's logits [2,K], or its embeddings if it has no classifier. The difference
    is a part of the range of our outputs. Raises `ExportError` if it is more than `TOLERANCE`.
    """
    from ..runtime import Classifier

    x = np.random.default_rng(0).normal(size=(2, *model.config.preprocessing.input_size)).astype(np.float32)
    ours = Classifier(model, threads=1)
    expected = ours.run(x) if model.config.arch.num_classes else ours.embeddings(x)
    difference = float(np.abs(run(x) - expected).max() / np.ptp(expected))
    if not difference <= TOLERANCE:
        raise ExportError(
            f"the exported network differs by {difference:.1e} of the range, at most {TOLERANCE:.0e} is "
            "accepted: nothing is written"
        )
    return difference
