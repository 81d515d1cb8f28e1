"""Imports of optional packages, with an error that says which extra to install."""

from __future__ import annotations

import importlib
from types import ModuleType

from meshmove.geometry.errors import MeshmoveError

__all__ = ["MissingPackageError", "require"]


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
