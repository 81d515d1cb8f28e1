"""Stills of a film: a mesh with its field at a time, whatever form they came in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry import CellMesh
from meshmove.geometry.arrays import Array
from meshmove.geometry.errors import FieldError, MeshmoveError
from meshmove.meshes.source import Source
from meshmove.motion.unknowns import Unknowns
from meshmove.options import number

__all__ = ["Still", "limits_of", "still_of", "stills_of", "times_of"]


@dataclass(frozen=True, eq=False)
class Still:
    """The mesh as plain arrays, its fields by name, each (n_vertices, k), the first of which is shown, and the time.

    `at_nodes`: of second-order cells the fields at all nodes, each (n_nodes, k).
    """

    cells: CellMesh
    fields: dict[str, Array]
    time: float
    at_nodes: dict[str, Array] = field(default_factory=dict)

    @property
    def shown(self) -> Array | None:
        """(n_vertices,): the first field, or its size where it has several components; None where there is none."""
        return _first(self.fields)

    @property
    def shown_at_nodes(self) -> Array | None:
        """(n_nodes,): the same at all nodes of second-order cells."""
        return _first(self.at_nodes)

    @property
    def values(self) -> Array | None:
        """All that are shown: at the nodes that cells have, or at the vertices."""
        nodes = [np.ravel(b.second_nodes) for b in self.cells.blocks if b.second_nodes is not None]
        return self.shown if self.shown_at_nodes is None else self.shown_at_nodes[np.unique(np.concatenate(nodes))]

    @property
    def name(self) -> str | None:
        return next(iter(self.fields), None)


def _first(fields: dict[str, Array]) -> Array | None:
    for values in fields.values():
        return values[:, 0] if values.shape[1] == 1 else np.linalg.norm(values, axis=1)
    return None


def still_of(unknowns: Unknowns, time: float, which: Any = None) -> Still:
    """Of fields that have been read; `which`: which of several is shown, by its number or key.

    Raises
    ------
    FieldError
        There is no such field.
    """
    read = {_name(k, unknowns.given): f.values for k, f in unknowns.read.items() if f.values is not None}
    named = {k: np.asarray(v, float).reshape(len(v), -1) for k, v in read.items()}
    if which is not None and read:
        first = _name(which, unknowns.given)
        if first not in named:
            known = ", ".join(map(repr, unknowns.read)) if None not in unknowns.read else "a single one"
            raise FieldError(f"Expected which field to show (got {which!r}; there is: {known})")
        named = {first: named[first], **named}
    nodal = {}
    if unknowns.source.cells.nodes is not None:
        keys = {_name(k, unknowns.given): k for k in unknowns.read}
        nodal = {name: unknowns.at_nodes(keys[name]) for name in named}
    return Still(unknowns.source.cells, named, float(time), nodal)


def _name(key: Any, given: Any) -> str:
    if key is None:
        return given if isinstance(given, str) else "field"
    return f"field {key}" if isinstance(key, int) else str(key)


def stills_of(frames: Iterable[Any], which: Any = None) -> list[Still]:
    """Of tuples (mesh, field, time) or (mesh, field), whose time is their number; a field that is None shows the mesh.

    Raises
    ------
    ValueError
        No frames, or one of another form.
    TypeError
        Frames that cannot be gone through.
    FieldError
        A field that does not belong to its mesh, or is not finite; with the number of the frame.
    """
    out = []
    if not isinstance(frames, Iterable):
        raise TypeError(f"Expected frames (mesh, field, time), one after another (got {type(frames).__name__})")
    for k, frame in enumerate(frames):
        if not isinstance(frame, tuple | list) or len(frame) not in (2, 3):
            raise ValueError(f"Expected frames (mesh, field, time) (got {type(frame).__name__} as frame {k})")
        mesh, given, time = (*frame, k)[:3]
        try:
            out.append(still_of(Unknowns.of(Source.of(mesh), given), _time(time, k), which))
        except MeshmoveError as why:
            raise type(why)(f"In frame {k}: {why}") from why
    if not out:
        raise ValueError("Expected at least one frame (got none)")
    return out


def _time(value: Any, k: int) -> float:
    return number(value, f"a time of frame {k}", low=-np.inf, open_low=False)


def limits_of(stills: Sequence[Still]) -> tuple[float, float]:
    """The range of all values, to round numbers."""
    values: list[NDArray] = [s.values for s in stills if s.values is not None]
    if not values:
        return 0.0, 1.0
    low, high = min(float(v.min()) for v in values), max(float(v.max()) for v in values)
    if not high - low > 1e-12 * max(abs(low), abs(high)):
        return low - 0.5, high + 0.5
    step = 10 ** (np.floor(np.log10(high - low)) - 1)
    return float(np.floor(low / step + 0.1) * step), float(np.ceil(high / step - 0.1) * step)


def times_of(stills: Sequence[Still]) -> list[str]:
    """Times as text, all with as many digits as tell them apart."""
    times = np.array([s.time for s in stills])
    apart = np.diff(np.unique(times))
    digits = int(np.clip(np.ceil(-np.log10(apart.min())), 0, 9)) if len(apart) else 3
    return [f"t = {t:.{digits}f}" for t in times]
