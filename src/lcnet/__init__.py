"""LCNet image classification, features and embeddings, fast on ordinary CPUs; no torch at run time.

    import lcnet
    model = lcnet.load("lcnet_050")
    print(model.classify("photo.jpg")[0].top[0])

Names are imported when they are first used, so that `import lcnet` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import data as data
    from . import image as image
    from . import probe as probe
    from .data import create_transform as create_transform
    from .data import resolve_data_config as resolve_data_config
    from .data import resolve_model_data_config as resolve_model_data_config
    from .errors import ImageError as ImageError
    from .errors import InputError as InputError
    from .errors import LcnetError as LcnetError
    from .errors import MissingExtraError as MissingExtraError
    from .errors import ModelFileError as ModelFileError
    from .errors import WeightsError as WeightsError
    from .nn import create_model as create_model
    from .runtime import Classifier as Classifier
    from .runtime import Prediction as Prediction
    from .runtime import Result as Result
    from .runtime import load as load
    from .zoo import is_model as is_model
    from .zoo import list_models as list_models
    from .zoo import list_pretrained as list_pretrained

_HOMES = {
    "load": "runtime",
    "Classifier": "runtime",
    "Prediction": "runtime",
    "Result": "runtime",
    "create_model": "nn",
    "is_model": "zoo",
    "list_models": "zoo",
    "list_pretrained": "zoo",
    "create_transform": "data",
    "resolve_data_config": "data",
    "resolve_model_data_config": "data",
    "LcnetError": "errors",
    "InputError": "errors",
    "ImageError": "errors",
    "ModelFileError": "errors",
    "WeightsError": "errors",
    "MissingExtraError": "errors",
}
_MODULES = ("data", "errors", "image", "modelfile", "nn", "probe", "zoo")

__all__ = [*_HOMES, *_MODULES, "__version__"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    if name in _MODULES:
        return import_module(f".{name}", __name__)
    if name == "__version__":
        from importlib.metadata import version

        return version("lcnet")
    raise AttributeError(f"module 'lcnet' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
