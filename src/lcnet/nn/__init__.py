"""LCNet as torch modules: `create_model` as timm has it for this family, with timm's state-dict keys, and the way back.

Needs torch (extra `train`); the runtime half of the package never imports this.
"""

from ..errors import MissingExtraError

try:
    import torch  # noqa: F401
except ImportError as error:
    raise MissingExtraError(f"lcnet.nn needs torch ({error}): pip install 'lcnet[train]'") from error

from ..renamed import renamed
from .factory import ModelOptions, OptionError, create_model
from .features import FeatureInfo
from .model import LCNet, LCNetFeatures
from .weights import load_checkpoint, model_config, to_weights

__all__ = [
    "FeatureInfo",
    "LCNet",
    "LCNetFeatures",
    "ModelOptions",
    "OptionError",
    "create_model",
    "load_checkpoint",
    "model_config",
    "to_weights",
]

__getattr__ = renamed(__name__, {"Options": "ModelOptions"})
