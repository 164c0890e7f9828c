"""From logits to an answer, by a model's decision layer: probabilities, and which of the classes are accepted.

The rules are those of docs/model-file.md. The runtime answers with them, evaluation measures with the same code.
"""

from __future__ import annotations

import numpy as np

from ..config import Decision, ModelConfig

MULTI_LABEL_THRESHOLD = 0.5  # of a label that has no threshold of its own
UNKNOWN = "unknown"  # the label of a picture for which no class is accepted


def probabilities(logits: np.ndarray, decision: Decision) -> np.ndarray:
    """Probabilities float32 [N,K] of logits float32 [N,K]: softmax, or of a multi-label model the sigmoid of each."""
    temperature = decision.temperature or 1.0
    with np.errstate(over="ignore"):  # to Inf, of which exp makes the 0 or 1 that is meant
        if decision.multi_label:
            return np.asarray(np.exp(-np.logaddexp(0, -logits / temperature)))  # exact at both ends
        exp = np.exp((logits - logits.max(axis=1, keepdims=True)) / temperature)
        return np.asarray(exp / exp.sum(axis=1, keepdims=True))


def thresholds(config: ModelConfig) -> np.ndarray:
    """The least accepted probability of each class, float64 [K]: without one 0, or of a multi-label model 0.5."""
    usual = MULTI_LABEL_THRESHOLD if config.decision.multi_label else 0.0
    given = config.decision.thresholds or {}
    names = config.labels.names if config.labels and given else ("",) * config.arch.num_classes
    return np.array([given.get(name, usual) for name in names], np.float64)


def accepted(probs: np.ndarray, least: np.ndarray, multi_label: bool) -> np.ndarray:
    """Which classes are accepted, bool [N,K]: the best if its probability reaches its threshold; multi-label: all that do."""
    reached = probs >= least
    if not multi_label and probs.size:
        best = np.zeros_like(reached)
        np.put_along_axis(best, probs.argmax(axis=1)[:, None], True, axis=1)
        reached &= best
    return reached
