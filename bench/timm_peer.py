"""timm as a peer of the training benches: imported without torchvision's compiled half, which a CPU machine may not have."""

from __future__ import annotations

import warnings
from typing import Any

import torch

_OPERATORS = torch.library.Library("torchvision", "DEF")
for _name in ("nms", "qnms"):
    _OPERATORS.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


def import_timm() -> Any:
    """Import timm with what the benches use of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import timm
        import timm.data
        import timm.loss
        import timm.optim
        import timm.scheduler
        import timm.utils
    return timm
