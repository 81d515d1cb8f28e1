"""Imports of optional packages, with an error that says which extra to install."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

from meshmove.geometry.errors import MeshmoveError

__all__ = ["MissingPackageError", "found_in", "require"]

#: top-level modules that an extra brings, by the extra
_OF_EXTRA = {"torch": "neural", "torch_geometric": "neural", "safetensors": "neural"}


class MissingPackageError(MeshmoveError, ImportError):
    """A package that this feature needs is not installed."""


def require(module: str, extra: str | None = None) -> ModuleType:
    """Import `module`, or say how to get it.

    Parameters
    ----------
    module
        Name of the module to import, for example ``"pyvista"``.
    extra
        The extra of meshmove that installs it; None where it has none.

    Raises
    ------
    MissingPackageError
        The module, or something it imports, is not installed. It is an `ImportError`.

    Examples
    --------
    >>> require("math").floor(2.5)
    2
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = f"meshmove[{extra}]" if extra else module.partition(".")[0]
        raise MissingPackageError(
            f'Expected the package {module!r} to be installed (got: {error}). Try: pip install "{package}"'
        ) from error


def found_in(module: str, name: str) -> Any:
    """A name of a module of this package; where the module needs an extra, that is said.

    Raises
    ------
    MissingPackageError
        The module imports a package of an extra, such as torch, which is not installed.

    Examples
    --------
    >>> found_in("meshmove.options", "count")(3, "a number")
    3
    """
    try:
        return getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _OF_EXTRA:
            raise
        raise MissingPackageError(
            f"Expected the package {missing!r} to be installed for {name} (got: {error}). "
            f'Try: pip install "meshmove[{_OF_EXTRA[missing]}]"'
        ) from error
