"""What there is instead of a moved mesh, where one of many fails."""

from __future__ import annotations

import os
import pickle
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .adapt import Adapting, adapt
from .result import Adaptation

__all__ = ["Caught", "Failure", "tried"]


@dataclass(frozen=True, eq=False, repr=False)
class Failure:
    """One of many meshes that was not moved: which one, and why.

    Attributes
    ----------
    number
        Its place among the meshes, from 0 on.
    mesh
        As it was handed over: a mesh or a path.
    error
        What was raised for it.
    trace
        The traceback, of the process where it happened; empty where the mesh never came that far.

    Examples
    --------
    >>> import meshmove, numpy as np, skfem
    >>> mesh = skfem.MeshTri().refined(2)
    >>> (out,) = meshmove.adapt_many([mesh], [np.full(25, np.nan)])
    >>> isinstance(out, meshmove.Failure), out.number, type(out.error).__name__
    (True, 0, 'FieldError')
    """

    number: int
    mesh: Any
    error: Exception
    trace: str = ""

    def __str__(self) -> str:
        path = isinstance(self.mesh, str | os.PathLike)
        which = os.fspath(self.mesh) if path else f"a {type(self.mesh).__name__}"
        return f"mesh {self.number}, {which}: {type(self.error).__name__}: {self.error}"

    def __repr__(self) -> str:
        return f"<Failure of {self}>"


@dataclass(frozen=True)
class Caught:
    """An error on its way home."""

    error: Exception
    trace: str = ""


def tried(mesh: Any, field: Any, options: Mapping[str, Any], once: Adapting | None = None) -> Adaptation | Caught:
    """The mesh adapted, or the error caught: what travels between processes is a result in either case.

    `once`: what adapts it in place of `adapt`, with the same options.
    """
    try:
        return adapt(mesh, field, **options) if once is None else once(mesh, field)
    except Exception as error:
        return Caught(_lasting(error), traceback.format_exc())


def _lasting(error: Exception) -> Exception:
    """The error, or its words where it cannot go through pickle, which would end a pool of processes."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
