"""Public names that have been changed: the old one warns, and works for one minor release."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any


def renamed(module: str, names: Mapping[str, str], otherwise: Callable[[str], Any] | None = None) -> Callable[[str], Any]:
    """Return a module's `__getattr__` for `names`, old to new; what is none of them is asked of `otherwise`."""

    def find(name: str) -> Any:
        if name in names:
            message = f"{module}.{name} is called {names[name]}; the old name goes with the next minor release"
            warnings.warn(message, DeprecationWarning, stacklevel=2)
            return getattr(sys.modules[module], names[name])
        if otherwise:
            return otherwise(name)
        raise AttributeError(f"module {module!r} has no attribute {name!r}")

    return find
